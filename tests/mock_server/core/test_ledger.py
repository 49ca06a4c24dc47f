"""The ledger: what submissions would have cost, which were paid twice, and how long they would have taken live."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest

from contracts import catalogue
from mock_server.core import ledger as ledger_module
from mock_server.core.ledger import Ledger
from mock_server.core.model import Task
from mock_server.core.plans import Plan
from tests.conftest import GOOD, HELD_PENDING, IMMEDIATE, PRESET, SUBMIT, TASKS, Vendor

PRICE = 0.18
PRICE_OF_TRAINING = 2.5
LIVE_S = 27.926


def portrait(n: int) -> dict[str, Any]:
    return {**PRESET, "parameters": {**PRESET["parameters"], "n": n}}


def ledger(vendor: Vendor) -> dict[str, Any]:
    told: dict[str, Any] = vendor.admin("GET", "ledger").get_json()
    return told


def failing(*images: str | dict[str, str]) -> dict[str, Any]:
    return {**IMMEDIATE, "outcome": {"images": list(images)}}


BAD: dict[str, str] = {"error": "output_inspection"}


def test_the_price_is_the_contracts() -> None:
    model = catalogue.limits()["models"]["facechain-generation"]
    profile = catalogue.profiles()["real"].plan
    assert (model["price_cny"], (profile["pending_ms"] + profile["running_ms"]) / 1000) == (PRICE, LIVE_S)
    assert catalogue.limits()["models"]["facechain-finetune"]["price_cny"] == PRICE_OF_TRAINING


def test_an_empty_ledger_owes_nothing(vendor: Vendor) -> None:
    assert ledger(vendor) == {
        "currency": "CNY",
        "price_per_picture": PRICE,
        "price_per_training": PRICE_OF_TRAINING,
        "submissions": 0,
        "pictures": 0,
        "total": 0,
        "expected": 0,
        "duplicates": [],
        "spent_twice": 0,
        "live_seconds": 0,
        "tasks": [],
    }


@pytest.mark.parametrize(
    ("n", "plan", "pictures"),
    [
        (1, IMMEDIATE, 1),
        (4, IMMEDIATE, 4),
        (4, failing("ok", BAD, "ok", BAD), 2),
        (2, failing(BAD, BAD), 0),
        (1, failing("ok", BAD), 1),
        (4, {**IMMEDIATE, "outcome": {"error": "algo_error"}}, 0),
        (4, {**IMMEDIATE, "outcome": {"status": "FAILED"}}, 0),
        (4, {**IMMEDIATE, "outcome": {"status": "CANCELED"}}, 0),
        (4, {**IMMEDIATE, "outcome": {"status": "UNKNOWN"}}, 0),
    ],
)
def test_pictures_that_were_made_are_paid_for_and_failures_are_free(
    vendor: Vendor, n: int, plan: dict[str, Any], pictures: int
) -> None:
    task = vendor.submitted(portrait(n), plan=plan)
    told = ledger(vendor)
    cost = round(pictures * PRICE, 2)
    (row,) = told["tasks"]
    assert (row["task_id"], row["pictures"], row["price"], row["settled"]) == (task, pictures, cost, True)
    assert (told["pictures"], told["total"], told["expected"]) == (pictures, cost, cost)


def test_what_has_not_ended_is_expected_at_its_full_price_and_not_yet_in_the_total(vendor: Vendor) -> None:
    vendor.submitted(portrait(4))
    vendor.submitted(portrait(2))
    told = ledger(vendor)
    assert (told["submissions"], told["pictures"], told["total"], told["expected"]) == (2, 0, 0, 1.08)
    vendor.later(1_000)
    told = ledger(vendor)
    assert (told["pictures"], told["total"], told["expected"]) == (4, 0.72, 1.08)
    vendor.later(1_000)
    told = ledger(vendor)
    assert (told["pictures"], told["total"], told["expected"]) == (6, 1.08, 1.08)


def test_money_is_rounded_to_fen(vendor: Vendor) -> None:
    for _ in range(3):
        vendor.submitted(portrait(1), plan=IMMEDIATE)
        vendor.later(1_000)
    assert ledger(vendor)["total"] == 0.54


def test_a_task_that_was_cancelled_costs_nothing(vendor: Vendor) -> None:
    task = vendor.submitted(portrait(4), plan=HELD_PENDING)
    assert vendor.vendor_call("POST", f"{TASKS}/{task}/cancel").status_code == 200
    told = ledger(vendor)
    assert (told["tasks"][0]["status"], told["expected"]) == ("CANCELED", 0)


def test_what_was_refused_is_not_in_the_ledger(vendor: Vendor) -> None:
    vendor.submit({**PRESET, "model": "another"})
    vendor.submit(key="sk-mock-arrears")
    vendor.submit(headers={"X-Mock-Scenario": "submit-503"})
    assert ledger(vendor)["submissions"] == 0


@pytest.mark.parametrize("kind", ["reset", "empty", "hang", "status", "html", "cut"])
@pytest.mark.breaks_contract
def test_a_submission_whose_answer_was_lost_is_priced_and_marked(vendor: Vendor, kind: str) -> None:
    vendor.admin("POST", "faults", {"stage": "accepted", "kind": kind, "times": 1})
    with suppress(ConnectionError):
        assert vendor.submit(portrait(2)).data is not None
    vendor.later(1_000)
    told = ledger(vendor)
    assert (told["total"], told["tasks"][0]["answered"]) == (0.36, False)


def test_rows_name_the_request_that_made_them(vendor: Vendor) -> None:
    vendor.query("x")
    vendor.submitted()
    (row,) = ledger(vendor)["tasks"]
    assert vendor.admin("GET", f"requests/{row['request']}").get_json()["path"] == SUBMIT


# -- paid twice -------------------------------------------------------------------------------------------------------


def repeats(vendor: Vendor) -> dict[str, str]:
    """The tasks that pay for once more, by the task that they repeat."""
    return {row["task_id"]: row["repeats"] for row in ledger(vendor)["duplicates"]}


def test_the_same_portrait_asked_for_while_the_first_is_alive_is_paid_twice(vendor: Vendor) -> None:
    first = vendor.submitted(portrait(2))
    second = vendor.submitted(portrait(2))
    assert repeats(vendor) == {second: first}
    vendor.later(5_000)
    told = ledger(vendor)
    assert repeats(vendor) == {second: first}
    assert (told["spent_twice"], told["total"]) == (0.36, 0.72)


def test_the_same_body_spelled_otherwise_is_the_same_portrait(vendor: Vendor) -> None:
    first = vendor.submitted(portrait(2))
    spelled = '{"resources": %s, "parameters": {"n":2, "size":"768*1024", "style":"f_business_female"}, "model":"%s"}'
    likeness = str(PRESET["resources"]).replace("'", '"')
    second = vendor.submitted(data=spelled % (likeness, PRESET["model"]), headers={"Content-Type": "application/json"})
    assert repeats(vendor) == {second: first}


@pytest.mark.parametrize("limits", ["documented", "off"])
def test_the_same_portrait_after_the_first_has_ended_is_a_new_wish(limits: str) -> None:
    vendor = Vendor(limits=limits)
    vendor.submitted(portrait(2))
    vendor.later(1_000)  # and nobody has looked at the first one meanwhile
    vendor.submitted(portrait(2))
    assert repeats(vendor) == {}


def test_another_body_or_another_account_repeats_nothing(vendor: Vendor) -> None:
    vendor.submitted(portrait(2))
    vendor.submitted(portrait(3))
    vendor.submitted(portrait(2), key="sk-another")
    vendor.of_session("another").submitted(portrait(2))
    assert repeats(vendor) == {}


def test_a_third_one_repeats_the_oldest_that_is_still_alive(vendor: Vendor) -> None:
    first = vendor.submitted(portrait(1))
    second = vendor.submitted(portrait(1))
    vendor.later(1_500)  # the first has ended, and the second runs
    third = vendor.submitted(portrait(1))
    assert repeats(vendor) == {second: first, third: second}


def test_a_repetition_that_was_cancelled_is_not_paid(vendor: Vendor) -> None:
    vendor.submitted(portrait(2))
    second = vendor.submitted(portrait(2))
    assert vendor.vendor_call("POST", f"{TASKS}/{second}/cancel").status_code == 200
    assert repeats(vendor) == {}
    assert ledger(vendor)["spent_twice"] == 0


def test_nor_is_a_first_one_that_was_cancelled(vendor: Vendor) -> None:
    first = vendor.submitted(portrait(2), plan=HELD_PENDING)
    vendor.submitted(portrait(2))
    assert vendor.vendor_call("POST", f"{TASKS}/{first}/cancel").status_code == 200
    assert repeats(vendor) == {}


def test_a_lost_answer_and_a_second_try_are_paid_twice(vendor: Vendor) -> None:
    lost = {"X-Mock-Scenario": "lost-submit"}
    with pytest.raises(ConnectionResetError):
        vendor.submit(portrait(4), headers=lost)
    second = vendor.submitted(portrait(4), headers=lost)
    vendor.later(5_000)
    told = ledger(vendor)
    assert [row["task_id"] for row in told["duplicates"]] == [second]
    assert (told["spent_twice"], told["total"]) == (0.72, 1.44)


# -- time at the vendor's ---------------------------------------------------------------------------------------------


def test_the_vendor_works_on_one_task_at_a_time_for_each_account(unlimited: Vendor) -> None:
    for key, tasks in (("sk-one", 3), ("sk-two", 2)):
        for _ in range(tasks):
            unlimited.submitted(key=key)
    assert ledger(unlimited)["live_seconds"] == pytest.approx(3 * LIVE_S)


# -- bounds and resets ------------------------------------------------------------------------------------------------


def test_the_oldest_lines_go_when_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_module, "MOST_LINES", 3)
    book = Ledger()
    for number in range(5):
        book.enter(number, "me", f"{number}", Task(f"{number}", "", "", "", 1, number, Plan()), answered=True)
    assert [line.number for line in book.lines()] == [2, 3, 4]


def test_clearing_forgets_the_first_of_a_pair_too() -> None:
    book = Ledger()
    for _ in range(2):
        book.enter(1, "me", "same", Task("1", "", "", "", 1, 0, Plan()), answered=True)
        book.clear()
    assert book.lines() == []
    book.enter(2, "me", "same", Task("2", "", "", "", 1, 0, Plan()), answered=True)
    assert [line.repeats for line in book.lines()] == [None]


def test_many_lines_of_one_wish_are_judged_quickly() -> None:
    book = Ledger()
    for number in range(20_000):
        book.enter(number, "me", "same", Task(str(number), "", "", "", 1, 0, Plan()), answered=True)
    assert {line.repeats for line in book.lines()} == {None, "0"}


def test_a_ledger_is_its_sessions_own_and_a_full_reset_empties_it(vendor: Vendor) -> None:
    one, other = vendor.of_session("one"), vendor.of_session("other")
    one.submitted()
    other.submitted()
    one.admin("POST", "reset")
    assert (ledger(one)["submissions"], ledger(other)["submissions"], ledger(vendor)["submissions"]) == (0, 1, 0)


@pytest.mark.parametrize("mode", ["preset-style", "template-with-lora", "train-free"])
def test_every_mode_costs_the_same(vendor: Vendor, mode: str) -> None:
    task = vendor.submitted(GOOD[mode], plan=IMMEDIATE)
    (row,) = ledger(vendor)["tasks"]
    assert row["task_id"] == task
    assert row["price"] == round(GOOD[mode]["parameters"].get("n", 4) * PRICE, 2)
