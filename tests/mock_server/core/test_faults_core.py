"""Which faults strike when: counts, chance, windows of time, filters, and what a caller may write."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from statistics import median
from typing import Any

import pytest

from contracts import catalogue
from mock_server.core import faults as faults_module
from mock_server.core.faults import (
    KINDS,
    MOST_FAULTS,
    STAGES,
    Fault,
    Faults,
    Moment,
    altered,
    fault_from_json,
    fault_to_json,
    latency_ms,
    scenario_faults,
)
from mock_server.core.model import Wire

NOW_MS = 1_768_444_200_000
POLL = Moment("poll", NOW_MS, "query_task", account="me", task_id="t-1", scenarios=(), status="RUNNING")


def struck(faults: Faults, moments: Iterable[Moment]) -> str:
    """One character a moment: ``x`` where a fault struck."""
    return "".join("x" if faults.strike(moment, KINDS) else "." for moment in moments)


def alone(**chosen: Any) -> Faults:
    """A world with one fault on queries."""
    faults = Faults("seed")
    faults.add(fault_from_json({"stage": "poll", "kind": "status", **chosen}), NOW_MS)
    return faults


# -- counts -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("chosen", "course"),
    [
        ({}, "xxxxxxxx"),
        ({"times": 2}, "xx......"),
        ({"times": 0}, "........"),
        ({"skip": 3}, "...xxxxx"),
        ({"skip": 3, "times": 2}, "...xx..."),
        ({"times": None}, "xxxxxxxx"),
    ],
)
def test_a_fault_lets_some_calls_pass_and_lasts_for_a_count(chosen: dict[str, Any], course: str) -> None:
    assert struck(alone(**chosen), [POLL] * 8) == course


def test_calls_that_a_fault_does_not_concern_are_not_counted() -> None:
    faults = alone(skip=1, times=1, task_id="t-1")
    other = replace(POLL, task_id="t-2")
    assert struck(faults, [other, POLL, other, POLL, other, POLL]) == "...x.."


def test_two_faults_count_by_themselves_and_strike_in_order() -> None:
    faults = Faults("seed")
    for kind in ("status", "html"):
        faults.add(fault_from_json({"stage": "poll", "kind": kind, "times": 1}), NOW_MS)
    assert [fault.kind for fault in faults.strike(POLL, KINDS)] == ["status", "html"]
    assert faults.strike(POLL, KINDS) == []


def test_only_kinds_that_are_asked_for_strike_or_count() -> None:
    faults = alone(times=1)
    assert faults.strike(POLL, ("html",)) == []
    assert faults.strike(POLL, ("status",)) != []


# -- chance -----------------------------------------------------------------------------------------------------------


def course_of(seed: str, probability: float = 0.3) -> str:
    faults = Faults(seed)
    faults.add(fault_from_json({"stage": "poll", "kind": "status", "probability": probability}), NOW_MS)
    return struck(faults, [POLL] * 200)


def test_one_seed_gives_one_course_and_another_seed_another() -> None:
    courses = {seed: course_of(seed) for seed in ("1:", "2:", "1:session")}
    assert all(course_of(seed) == course for seed, course in courses.items())
    assert len(set(courses.values())) == 3


@pytest.mark.parametrize(("probability", "least", "most"), [(0.0, 0, 0), (0.3, 40, 80), (1.0, 200, 200)])
def test_a_fault_strikes_about_as_often_as_it_should(probability: float, least: int, most: int) -> None:
    assert least <= course_of("seed", probability).count("x") <= most


def test_two_faults_of_one_probability_do_not_strike_in_step() -> None:
    faults = Faults("seed")
    for _ in range(2):
        faults.add(fault_from_json({"stage": "poll", "kind": "status", "probability": 0.5}), NOW_MS)
    sizes = {len(faults.strike(POLL, KINDS)) for _ in range(100)}
    assert sizes == {0, 1, 2}


def test_a_count_of_times_counts_strikes_and_not_chances() -> None:
    faults = alone(probability=0.3, times=5)
    assert struck(faults, [POLL] * 200).count("x") == 5


def test_clearing_begins_the_course_again() -> None:
    lasting = fault_from_json({"stage": "poll", "kind": "status", "probability": 0.3})
    faults = Faults("seed", (lasting,))
    first = struck(faults, [POLL] * 100)
    faults.add(fault_from_json({"stage": "poll", "kind": "html"}), NOW_MS)
    faults.clear()
    assert struck(faults, [POLL] * 100) == first
    assert [fault["kind"] for fault in faults.shown()] == ["status"]


# -- windows and filters ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("chosen", "course"),
    [
        ({"after_ms": 2}, "..xxx"),
        ({"for_ms": 2}, "xx..."),
        ({"after_ms": 1, "for_ms": 3}, ".xxx."),
        ({"for_ms": 0}, "....."),
    ],
)
def test_a_fault_lasts_for_a_window_of_the_clock(chosen: dict[str, Any], course: str) -> None:
    moments = [replace(POLL, now_ms=NOW_MS + ms) for ms in range(5)]
    assert struck(alone(**chosen), moments) == course


def test_a_window_that_has_not_opened_uses_up_no_count() -> None:
    moments = [replace(POLL, now_ms=NOW_MS + ms) for ms in range(5)]
    assert struck(alone(after_ms=2, times=1), moments) == "..x.."


FILTERS: list[tuple[dict[str, Any], Moment]] = [
    ({"route": "query_task"}, replace(POLL, route="list_tasks")),
    ({"account": "me"}, replace(POLL, account="somebody-else")),
    ({"scenario": "happy"}, POLL),
    ({"task_id": "t-1"}, replace(POLL, task_id="t-2")),
    ({"kind": "lag", "when": "RUNNING"}, replace(POLL, status="SUCCEEDED")),
    ({}, replace(POLL, stage="before")),
]


@pytest.mark.parametrize(("chosen", "other"), FILTERS)
def test_a_filter_lets_everything_else_pass(chosen: dict[str, Any], other: Moment) -> None:
    concerned = replace(POLL, scenarios=("happy",))
    assert struck(alone(**chosen), [other, concerned, other]) == ".x."


def test_filters_go_together() -> None:
    faults = alone(account="me", task_id="t-1")
    assert struck(faults, [POLL, replace(POLL, account="you"), replace(POLL, task_id="t-2")]) == "x.."


# -- faults that scenarios bring --------------------------------------------------------------------------------------


def test_a_scenario_counts_on_queries_for_each_task() -> None:
    faults = Faults("seed")
    polls = [replace(POLL, task_id=task, scenarios=("poll-429",)) for task in ("a", "b")]
    assert struck(faults, polls * 3) == "xxxx.."


def test_a_scenario_counts_on_submissions_for_each_account() -> None:
    faults = Faults("seed")
    submissions = [
        Moment("submit", NOW_MS, "submit_portrait", account=account, scenarios=("submit-429",)) for account in "ab"
    ]
    assert struck(faults, submissions * 3) == "xxxx.."


def test_the_faults_of_a_scenario_are_named_after_it_and_come_first() -> None:
    faults = alone()
    found = faults.strike(replace(POLL, scenarios=("poll-500", "poll-429")), KINDS)
    assert [fault.id for fault in found] == ["poll-500", "poll-429", "fault-1"]


@pytest.mark.parametrize("name", catalogue.scenarios())
def test_the_faults_of_every_scenario_can_be_read(name: str) -> None:
    assert len(scenario_faults(name)) == len(catalogue.scenario(name).faults)


def test_counts_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faults_module, "MOST_COUNTS", 10)
    faults = Faults("seed")
    for task in range(50):
        faults.strike(replace(POLL, task_id=str(task), scenarios=("poll-429",)), KINDS)
    assert len(faults._matched) <= 10
    assert len(faults._struck) <= 10


# -- adding and removing ----------------------------------------------------------------------------------------------


def test_a_fault_gets_an_id_and_shows_how_often_it_matched_and_struck() -> None:
    faults = alone(skip=1, times=2)
    struck(faults, [POLL] * 5)
    assert faults.shown() == [
        {"id": "fault-1", "stage": "poll", "kind": "status", "skip": 1, "times": 2, "matched": 5, "struck": 2}
    ]


def test_a_fault_that_was_removed_strikes_no_more() -> None:
    faults = alone()
    faults.remove("fault-1")
    assert struck(faults, [POLL]) == "."
    with pytest.raises(KeyError):
        faults.remove("fault-1")


def test_there_is_a_most_of_faults() -> None:
    faults = Faults("seed")
    fault = fault_from_json({"stage": "poll", "kind": "status"})
    for _ in range(MOST_FAULTS):
        faults.add(fault, NOW_MS)
    with pytest.raises(ValueError, match="there are 1000 faults already"):
        faults.add(fault, NOW_MS)


# -- latency ----------------------------------------------------------------------------------------------------------


def latencies(**chosen: Any) -> list[int]:
    fault = fault_from_json({"stage": "poll", "kind": "latency", **chosen})
    return [latency_ms(fault, draw / 1_000) for draw in range(1_000)]


def test_a_fixed_latency_is_always_the_same() -> None:
    assert set(latencies(ms=250)) == {250}


def test_a_uniform_latency_stays_within_its_bounds_and_fills_them() -> None:
    found = latencies(distribution="uniform", least_ms=100, most_ms=300)
    assert (min(found), max(found)) == (100, 300)
    assert median(found) == pytest.approx(200, abs=1)


@pytest.mark.parametrize("sigma", [0.0, 0.5, 1.0, 2.0])
def test_a_log_normal_latency_has_its_median_and_its_cap(sigma: float) -> None:
    found = latencies(distribution="log-normal", ms=100, sigma=sigma, most_ms=1_000)
    assert median(found) == pytest.approx(100, abs=2)
    assert max(found) <= 1_000
    assert min(found) >= 0
    assert found == sorted(found)
    assert found[841] == pytest.approx(min(100 * math.exp(sigma), 1_000), rel=0.02)


@pytest.mark.parametrize("draw", [0.0, 1e-12, 1 - 2**-53])
def test_the_ends_of_a_log_normal_latency_are_finite(draw: float) -> None:
    fault = fault_from_json({"stage": "poll", "kind": "latency", "distribution": "log-normal", "sigma": 5})
    assert 0 <= latency_ms(fault, draw) <= 60_000


def test_latencies_differ_from_strike_to_strike_and_one_seed_gives_one_course() -> None:
    def course(seed: str) -> list[int]:
        faults = Faults(seed)
        chosen = {"stage": "poll", "kind": "latency", "distribution": "uniform", "most_ms": 60_000}
        faults.add(fault_from_json(chosen), NOW_MS)
        wires = [faults.wire(faults.strike(POLL, KINDS)) for _ in range(20)]
        return [wire.delay_ms for wire in wires if wire is not None]

    assert course("a") == course("a") != course("b")
    assert len(set(course("a"))) == 20


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        ([], None),
        ([{"kind": "status"}], None),
        ([{"kind": "latency", "ms": 70}, {"kind": "latency", "ms": 30}], Wire(delay_ms=100)),
        ([{"kind": "latency", "ms": 70}, {"kind": "reset"}], Wire(70, "reset", 40, 1_000)),
        ([{"kind": "cut", "bytes": 7}, {"kind": "latency", "ms": 70}], Wire(70, "cut", 7, 1_000)),
        ([{"kind": "dribble", "bytes": 3, "ms": 20}], Wire(0, "dribble", 3, 20)),
        ([{"kind": "cut"}, {"kind": "hang"}], Wire(0, "hang", 40, 1_000)),
    ],
)
def test_what_faults_do_to_the_line_together(chosen: list[dict[str, Any]], expected: Wire | None) -> None:
    faults = Faults("seed")
    for each in chosen:
        faults.add(fault_from_json({"stage": "poll", **each}), NOW_MS)
    assert faults.wire(faults.strike(POLL, KINDS)) == expected


# -- what they do to an answer ----------------------------------------------------------------------------------------

ANSWER: dict[str, Any] = {
    "request_id": "r",
    "output": {"task_id": "t", "task_status": "SUCCEEDED", "submit_time": "s", "task_metrics": {"TOTAL": 2}},
    "usage": {"image_count": 2},
}


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ("usage", {"request_id": "r", "output": ANSWER["output"]}),
        ("output.task_metrics.TOTAL", {**ANSWER, "output": {**ANSWER["output"], "task_metrics": {}}}),
        ("output.nothing", ANSWER),
        ("usage.image_count.more", ANSWER),
        ("nothing.at.all", ANSWER),
    ],
)
def test_a_missing_field_is_missing_and_nothing_else(place: str, expected: dict[str, Any]) -> None:
    assert altered(ANSWER, [Fault("poll", "missing-field", place=place)]) == expected


@pytest.mark.parametrize("kind", ["backwards", "lag", "unknown-status", "extra-fields"])
@pytest.mark.parametrize("place", ["request_id", "output", "output.task_id", "output.task_metrics"])
def test_what_one_fault_took_away_the_next_one_does_not_need(place: str, kind: str) -> None:
    body = altered(ANSWER, [Fault("poll", "missing-field", place=place), Fault("poll", kind)])
    assert "output" in body
    assert ("request_id" in body) == (place != "request_id")


def test_the_answer_itself_is_left_as_it_was() -> None:
    before = repr(ANSWER)
    for kind in ("missing-field", "backwards", "lag", "unknown-status", "extra-fields"):
        altered(ANSWER, [Fault("poll", kind)])
    assert repr(ANSWER) == before


# -- what a caller may write ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        (None, "fault is None; it is an object with stage and kind"),
        ([], "fault is []; it is an object"),
        ({}, "fault.stage is missing; it is one of before, submit, accepted, poll, link"),
        ({"stage": "poll"}, "fault.kind is missing; it is one of status, html"),
        ({"stage": "pol", "kind": "status"}, "fault.stage is 'pol'; it is one of .*; nearest is poll"),
        ({"stage": "poll", "kind": "stats"}, "fault.kind is 'stats'; it is one of .*; nearest is status"),
        ({"stage": ["poll"], "kind": "status"}, r"fault.stage is \['poll'\]"),
        ({"tims": 2}, "fault has no field 'tims'; nearest is 'times'"),
        ({"error": "rate_quta"}, "fault.error is 'rate_quta', which is not in the error catalogue; .*'rate_quota'"),
        ({"error": None, "retry_after": -1}, "fault.retry_after is -1; it is a whole number from 0 to 86400"),
        ({"times": 1.5}, "fault.times is 1.5; it is a whole number from 0 to 1000000"),
        ({"times": True}, "fault.times is True; it is a whole number"),
        ({"times": "2"}, "fault.times is '2'; it is a whole number"),
        ({"probability": 1.1}, "fault.probability is 1.1; it is a number from 0 to 1"),
        ({"probability": float("nan")}, "fault.probability is nan; it is a number from 0 to 1"),
        ({"probability": "0.5"}, "fault.probability is '0.5'; it is a number from 0 to 1"),
        ({"sigma": -1}, "fault.sigma is -1; it is a number from 0 to 5"),
        ({"ms": 600_001}, "fault.ms is 600001; it is a whole number from 0 to 600000"),
        ({"least_ms": 5, "most_ms": 4}, "fault.least_ms is 5, above most_ms 4"),
        ({"distribution": "normal"}, "fault.distribution is 'normal'; it is one of .*; nearest is log-normal"),
        ({"route": "query"}, "fault.route is 'query'; it is one of .*; nearest is query_task"),
        ({"rule": "link.expired"}, "fault.rule is 'link.expired'; it is one of .*; nearest is link.expiry"),
        ({"scenario": "pol-429"}, "unknown scenario 'pol-429'; nearest is 'poll-429'"),
        ({"account": ""}, "fault.account is ''; it is a text of 1 to 200 characters"),
        ({"task_id": 7}, "fault.task_id is 7; it is a text"),
        ({"place": "x" * 201}, "it is a text of 1 to 200 characters"),
        ({"kind": "storage"}, "a fault of kind storage has stage link"),
        ({"stage": "accepted", "kind": "lag"}, "a fault of kind lag has stage poll"),
        ({"route": "list_tasks"}, "a fault at stage poll never meets list_tasks, but query_task"),
        ({"stage": "before", "route": "fetch_picture"}, "a fault at stage before never meets fetch_picture"),
        ({"stage": "before", "account": "me"}, "fault.account is not known yet at stage before, but at submit, "),
        ({"stage": "before", "scenario": "happy"}, "fault.scenario is not known yet at stage before"),
        ({"stage": "submit", "task_id": "t"}, "fault.task_id is not known yet at stage submit, but at accepted, "),
        ({"stage": "link", "kind": "cut", "when": "RUNNING"}, "fault.when is not known yet at stage link"),
        ({"when": "RUNNING"}, "a fault of kind status comes before the task is looked at, so it has no when"),
    ],
)
def test_a_fault_that_cannot_be_is_explained(given: Any, problem: str) -> None:
    if isinstance(given, dict) and given and given.keys() != {"stage"}:
        given = {"stage": "poll", "kind": "status", **given}
    with pytest.raises(ValueError, match=problem.replace("[]", r"\[\]")):
        fault_from_json(given)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("stage", STAGES)
def test_a_fault_reads_back_as_it_is_shown(stage: str, kind: str) -> None:
    chosen = {"stage": stage, "kind": kind, "times": 2, "skip": 1, "probability": 0.5, "ms": 10, "bytes": 3}
    try:
        fault = fault_from_json(chosen)
    except ValueError:
        assert kind == "storage" or stage != "poll"
        return
    shown = fault_to_json(fault)
    assert {name: value for name, value in shown.items() if name != "id"} == chosen
    assert fault_from_json({name: value for name, value in shown.items() if name != "id"}) == fault
