"""Faults in process: every kind at every stage, what they leave behind, and waits that the clock decides."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any

import pytest
from werkzeug.test import TestResponse

from contracts import catalogue
from contracts.validation import answer_violations
from mock_server.clock import VendorClock
from mock_server.core.faults import ALTERING, HTML_PAGE, KINDS, STAGES
from tests.conftest import HELD, IMMEDIATE, PRESET, START_MS, SUBMIT, TASKS, Vendor

PLAN = json.dumps(IMMEDIATE)


@pytest.fixture(autouse=True)
def _every_answer_keeps_the_contract() -> None:
    """Not here: answers are broken on purpose."""


def put_in(vendor: Vendor, stage: str, kind: str, **chosen: Any) -> str:
    """Put a fault in; gives its id."""
    answer = vendor.admin("POST", "faults", {"stage": stage, "kind": kind, **chosen})
    assert answer.status_code == 201, answer.text
    return str(answer.get_json()["id"])


def shown(vendor: Vendor) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = vendor.admin("GET", "requests").get_json()["requests"]
    return found


# -- every kind at every stage ----------------------------------------------------------------------------------------


class Target:
    """The call that a fault at some stage strikes, and what is behind it."""

    def __init__(self, vendor: Vendor, stage: str) -> None:
        self.vendor = vendor
        self.stage = stage
        if stage in ("poll", "link"):
            self.task = vendor.submitted(plan=IMMEDIATE)
            self.url = vendor.output(self.task)["results"][0]["url"]

    def call(self) -> TestResponse:
        if self.stage in ("before", "submit", "accepted"):
            return self.vendor.submit(headers={"X-Mock-Plan": PLAN})
        if self.stage == "poll":
            return self.vendor.query(self.task)
        return self.vendor.call("GET", self.url)

    def is_well(self, answer: TestResponse) -> bool:
        """Whether the answer is what it would have been."""
        if self.stage == "link":
            return answer.status_code == 200 and answer.data[:3] == b"\xff\xd8\xff"
        schema = "task" if self.stage == "poll" else "submit-answer"
        return answer.status_code == 200 and not answer_violations(schema, answer.get_json(force=True))


def makes_sense(stage: str, kind: str) -> bool:
    if kind == "storage":
        return stage == "link"
    return stage == "poll" or kind not in ALTERING


COMBINATIONS = [(stage, kind) for stage in STAGES for kind in KINDS]


@pytest.mark.parametrize(("stage", "kind"), COMBINATIONS)
def test_a_fault_does_what_its_kind_says_at_its_stage_and_then_stops(
    vendor: Vendor, monkeypatch: pytest.MonkeyPatch, stage: str, kind: str
) -> None:
    chosen = {"stage": stage, "kind": kind, "times": 1, "ms": 20, "bytes": 10}
    target = Target(vendor, stage)
    waited: list[int] = []
    monkeypatch.setattr(vendor.clock, "wait_ms", waited.append)
    if not makes_sense(stage, kind):
        assert vendor.admin("POST", "faults", chosen).status_code == 400
        return
    fault = put_in(vendor, **chosen)  # type: ignore[arg-type]
    met, answer = "", None
    try:
        answer = target.call()
        body = answer.data
    except ConnectionResetError:
        met = "reset"
    except ConnectionAbortedError:
        met = "closed"
    if kind in ("reset", "empty", "cut", "hang"):
        assert met == ("reset" if kind == "reset" else "closed")
    else:
        assert answer is not None
        assert_struck(target, kind, answer, body, waited)
    assert shown(vendor)[-1]["faults"] == [fault]
    assert target.is_well(target.call()), "once and no more"
    assert "faults" not in shown(vendor)[-1]
    tasks = len(vendor.admin("GET", "tasks").get_json()["tasks"])
    lost = stage in ("before", "submit") and kind in ("status", "html", "reset", "empty", "hang")
    assert tasks == (1 if stage in ("poll", "link") or lost else 2), "whether the submission counted"


def assert_struck(target: Target, kind: str, answer: TestResponse, body: bytes, waited: list[int]) -> None:
    if kind == "status" and target.stage == "link":
        assert (answer.status_code, answer.mimetype) == (503, "application/xml")
    elif kind == "status":
        assert (answer.status_code, answer.get_json()["code"]) == (500, "InternalError")
        assert answer_violations("error", answer.get_json()) == []
        assert answer.headers["X-Mock-Reason"].startswith("fault: fault-1 put this in on purpose, at stage ")
        assert "Retry-After" not in answer.headers
    elif kind == "html":
        assert (answer.status_code, answer.mimetype, body) == (502, "text/html", HTML_PAGE)
    elif kind == "content-type":
        assert answer.mimetype == "text/plain"
        assert target.is_well(answer)
    elif kind == "garbage":
        assert answer.status_code == 200
        with pytest.raises(ValueError, match=r"."):
            json.loads(body)
    elif kind == "storage":
        assert (answer.status_code, answer.mimetype) == (403, "application/xml")
    elif kind == "latency":
        assert waited == [20]
        assert target.is_well(answer)
    elif kind == "dribble":
        assert set(waited) == {20}
        assert len(waited) == -(-len(body) // 10)
        assert target.is_well(answer)
    elif kind == "extra-fields":
        assert "trace" in answer.get_json()
        assert target.is_well(answer), "which a client that ignores what it does not know will not notice"
    else:
        assert not target.is_well(answer) or kind in ("backwards", "lag")
        output = answer.get_json()["output"]
        expected = {"missing-field": None, "unknown-status": "SUSPENDED", "backwards": "RUNNING", "lag": "UNKNOWN"}
        assert output.get("task_status") == expected[kind]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("stage", ["before", "submit"])
def test_a_submission_that_was_refused_on_purpose_costs_nothing(vendor: Vendor, stage: str, kind: str) -> None:
    if kind not in ("status", "html"):
        return
    put_in(vendor, stage, kind, times=1)
    assert vendor.submit().status_code in (500, 502)
    assert vendor.admin("GET", "ledger").get_json()["submissions"] == 0


@pytest.mark.parametrize("reason", [row.reason for row in catalogue.errors().values() if row.status and not row.param])
def test_any_error_of_the_catalogue_may_be_put_in(vendor: Vendor, reason: str) -> None:
    put_in(vendor, "poll", "status", error=reason)
    answer = vendor.query("x")
    row = catalogue.errors()[reason]
    assert (answer.status_code, answer.get_json()["code"]) == (row.status, row.code)


@pytest.mark.breaks_contract  # a query never has an answer of this shape
@pytest.mark.parametrize("reason", [row.reason for row in catalogue.errors().values() if row.param])
def test_an_error_about_a_parameter_keeps_its_shape_when_it_is_put_in(vendor: Vendor, reason: str) -> None:
    put_in(vendor, "poll", "status", error=reason)
    answer = vendor.query("x")
    row = catalogue.errors()[reason]
    shape = {"message": row.message, "type": row.code, "param": row.param, "code": None}
    assert (answer.status_code, answer.get_json()) == (row.status, {"error": shape})


@pytest.mark.parametrize("stage", ["before", "submit", "accepted", "poll"])
def test_retry_after_is_sent_when_it_was_asked_for(vendor: Vendor, stage: str) -> None:
    target = Target(vendor, stage)
    put_in(vendor, stage, "status", error="rate_quota", retry_after=7, times=1)
    assert target.call().headers["Retry-After"] == "7"


@pytest.mark.parametrize(
    ("rule", "status", "code"),
    [
        ("link.expiry", 403, "AccessDenied"),
        ("link.object", 404, "NoSuchKey"),
        ("link.signature", 403, "SignatureDoesNotMatch"),
        ("link.unsigned", 403, "AccessDenied"),
    ],
)
def test_a_link_may_be_refused_in_every_way_of_the_storage(vendor: Vendor, rule: str, status: int, code: str) -> None:
    target = Target(vendor, "link")
    put_in(vendor, "link", "storage", rule=rule, times=1)
    answer = target.call()
    assert (answer.status_code, f"<Code>{code}</Code>" in answer.text) == (status, True)
    assert answer.headers["X-Mock-Reason"].startswith(f"{rule}: fault-1 put this in on purpose")


def test_a_fault_before_anything_strikes_without_a_key_and_on_any_path(vendor: Vendor) -> None:
    put_in(vendor, "before", "status", error="model_unavailable")
    for path in (TASKS, f"{TASKS}/x", "/api/v1/nothing"):
        assert vendor.call("GET", path).status_code == 503


def test_two_faults_on_one_answer_both_tell(vendor: Vendor) -> None:
    target = Target(vendor, "poll")
    put_in(vendor, "poll", "extra-fields")
    put_in(vendor, "poll", "content-type")
    answer = target.call()
    assert (answer.mimetype, "trace" in json.loads(answer.data)) == ("text/plain", True)


# -- states -----------------------------------------------------------------------------------------------------------


def test_a_state_that_goes_backwards_keeps_what_was_settled_before(vendor: Vendor) -> None:
    task = vendor.submitted(plan=IMMEDIATE)
    put_in(vendor, "poll", "backwards", when="SUCCEEDED", skip=1, times=1)
    first, second, third = (vendor.output(task) for _ in range(3))
    assert [output["task_status"] for output in (first, second, third)] == ["SUCCEEDED", "RUNNING", "SUCCEEDED"]
    assert second.keys() == {"task_id", "task_status", "submit_time", "scheduled_time", "task_metrics"}
    assert second["task_metrics"] == {"TOTAL": 2, "SUCCEEDED": 0, "FAILED": 0}
    assert first == third


def test_a_replica_that_lags_answers_as_if_there_were_no_task(vendor: Vendor) -> None:
    task = vendor.submitted(plan=IMMEDIATE)
    put_in(vendor, "poll", "lag", times=1)
    unknown = vendor.query("x").get_json()["output"]
    put_in(vendor, "poll", "lag", times=1)
    assert vendor.output(task) == {**unknown, "task_id": task}


def test_a_missing_field_may_be_any(vendor: Vendor) -> None:
    task = vendor.submitted(plan=IMMEDIATE)
    for place in ("output.results", "usage", "request_id", "output.end_time"):
        put_in(vendor, "poll", "missing-field", place=place, times=1)
        body = vendor.query(task).get_json()
        for name in place.split("."):
            assert isinstance(body, dict)
            body = body.get(name)
        assert body is None, place


# -- where they strike ------------------------------------------------------------------------------------------------


def test_a_fault_may_be_narrowed_to_a_route(vendor: Vendor) -> None:
    put_in(vendor, "before", "status", route="list_tasks")
    assert vendor.vendor_call("GET", TASKS).status_code == 500
    assert vendor.query("x").status_code == 200


def test_a_fault_may_be_narrowed_to_an_account(vendor: Vendor) -> None:
    vendor.query("x", key="sk-one")
    account = shown(vendor)[0]["account"]
    put_in(vendor, "poll", "status", account=account)
    assert vendor.query("x", key="sk-one").status_code == 500
    assert vendor.query("x", key="sk-two").status_code == 200


def test_a_fault_may_be_narrowed_to_a_task(vendor: Vendor) -> None:
    one, other = vendor.submitted(plan=HELD), vendor.submitted(plan=HELD)
    put_in(vendor, "poll", "status", task_id=one)
    assert (vendor.query(one).status_code, vendor.query(other).status_code) == (500, 200)


def test_a_fault_may_be_narrowed_to_a_scenario(vendor: Vendor) -> None:
    put_in(vendor, "submit", "status", scenario="immediate")
    assert vendor.submit(headers={"X-Mock-Scenario": "immediate"}).status_code == 500
    assert vendor.submit().status_code == 200


def test_a_fault_may_be_narrowed_to_a_state(vendor: Vendor) -> None:
    task = vendor.submitted()
    put_in(vendor, "poll", "unknown-status", when="RUNNING")
    met = []
    for _ in range(3):
        met.append(vendor.status(task))
        vendor.later(500)
    assert met == ["PENDING", "SUSPENDED", "SUCCEEDED"]


def test_a_fault_of_one_session_strikes_in_no_other(vendor: Vendor) -> None:
    one = vendor.of_session("one")
    put_in(one, "poll", "status")
    assert (one.query("x").status_code, vendor.query("x").status_code) == (500, 200)


def test_a_fault_lasts_for_a_window_of_the_clock(vendor: Vendor) -> None:
    vendor.later(5_000)
    put_in(vendor, "poll", "status", after_ms=1_000, for_ms=1_000)
    met = []
    for _ in range(5):
        met.append(vendor.query("x").status_code)
        vendor.later(500)
    assert met == [200, 200, 500, 500, 200]


def test_one_seed_strikes_alike_and_another_does_not() -> None:
    def course(seed: int) -> list[int]:
        vendor = Vendor(seed=seed, limits="off")
        put_in(vendor, "poll", "status", probability=0.5)
        return [vendor.query("x").status_code for _ in range(64)]

    assert course(1) == course(1) != course(2)


def test_a_fault_may_be_seen_and_taken_out(vendor: Vendor) -> None:
    fault = put_in(vendor, "poll", "status")
    vendor.query("x")
    (row,) = vendor.admin("GET", "faults").get_json()["faults"]
    assert (row["id"], row["matched"], row["struck"]) == (fault, 1, 1)
    assert vendor.admin("DELETE", f"faults/{fault}").get_json() == {"faults": []}
    assert vendor.query("x").status_code == 200
    assert vendor.admin("DELETE", f"faults/{fault}").status_code == 404


def test_a_reset_of_faults_leaves_tasks_and_journal(vendor: Vendor) -> None:
    put_in(vendor, "poll", "status")
    task = vendor.submitted(plan=IMMEDIATE)
    vendor.admin("POST", "reset/faults")
    assert vendor.status(task) == "SUCCEEDED"
    assert len(shown(vendor)) == 2


# -- waiting ----------------------------------------------------------------------------------------------------------


class WatchedClock(VendorClock):
    """Tells when somebody begins to wait on it."""

    def __init__(self) -> None:
        super().__init__(START_MS, monotonic=lambda: 0.0)
        self.is_waited_on = threading.Event()

    def wait_ms(self, ms: int) -> None:
        self.is_waited_on.set()
        super().wait_ms(ms)


@pytest.fixture
def clock(vendor: Vendor, monkeypatch: pytest.MonkeyPatch) -> WatchedClock:
    """The vendor's clock, which moves by itself not at all."""
    watched = WatchedClock()
    monkeypatch.setattr(vendor, "clock", watched)
    monkeypatch.setattr(vendor.app.extensions["facechain-simulator"], "clock", watched)
    return watched


def test_on_a_frozen_clock_nobody_waits(vendor: Vendor, clock: WatchedClock) -> None:
    clock.freeze()
    put_in(vendor, "poll", "latency", ms=600_000)
    assert vendor.query("x").data
    assert clock.is_waited_on.is_set()
    assert clock.now_ms() == START_MS


@pytest.mark.parametrize("end", [lambda clock: clock.advance("1s"), WatchedClock.freeze], ids=["advance", "freeze"])
def test_a_wait_ends_when_the_clock_is_moved(
    vendor: Vendor, clock: WatchedClock, end: Callable[[WatchedClock], None]
) -> None:
    put_in(vendor, "poll", "latency", ms=600_000)
    answers: list[bytes] = []
    waiting = threading.Thread(target=lambda: answers.append(vendor.query("x").data))
    waiting.start()
    assert clock.is_waited_on.wait(10)
    clock.advance("599s")
    waiting.join(0.05)
    assert waiting.is_alive(), "a second is left"
    end(clock)
    waiting.join(10)
    assert not waiting.is_alive()
    assert b"UNKNOWN" in answers[0]


def test_a_wait_of_one_holds_up_no_other(vendor: Vendor, clock: WatchedClock) -> None:
    put_in(vendor, "poll", "latency", ms=600_000, times=1)
    waiting = threading.Thread(target=lambda: vendor.query("x").data)
    waiting.start()
    assert clock.is_waited_on.wait(10)
    assert vendor.query("y").status_code == 200
    assert vendor.submit(PRESET).status_code == 200
    clock.advance("1h")
    waiting.join(10)
    assert not waiting.is_alive()


def test_a_late_answer_is_in_the_journal_while_it_waits(vendor: Vendor, clock: WatchedClock) -> None:
    put_in(vendor, "accepted", "latency", ms=600_000, times=1)
    waiting = threading.Thread(target=lambda: vendor.submit().data)
    waiting.start()
    assert clock.is_waited_on.wait(10)
    (request,) = shown(vendor)
    assert (request["path"], request["wire"]) == (SUBMIT, "latency")
    assert vendor.vendor_call("GET", TASKS).get_json()["total"] == 1
    clock.advance("1h")
    waiting.join(10)


# -- what a caller may write ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"", "fault.stage is missing"),
        (b"[]", "the body is not a JSON object"),
        (b"{", "the body is not a JSON object"),
        (b'{"stage": "poll", "kind": "staus"}', "fault.kind is 'staus'; it is one of .*; nearest is status"),
        (b'{"stage": "poll", "kind": "status", "time": 1}', "fault has no field 'time'; nearest is 'times'"),
        (b'{"stage": "poll", "kind": "status", "error": "rate"}', "fault.error is 'rate', which is not in the error"),
        (b'{"stage": "poll", "kind": "latency", "ms": NaN}', "."),
    ],
)
def test_a_fault_that_cannot_be_read_is_refused_with_what_it_may_be(vendor: Vendor, body: bytes, problem: str) -> None:
    answer = vendor.admin("POST", "faults", data=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    with pytest.raises(ValueError, match=problem):
        raise ValueError(answer.get_json()["error"])
    assert vendor.admin("GET", "faults").get_json() == {"faults": []}
