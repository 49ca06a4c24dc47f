"""Plans as a caller writes them: every shape, and what is said about a wrong one."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts import catalogue
from mock_server.core.plans import LONGEST_MS, MOST_POLLS, Outcome, Plan, plan_from_json, plan_to_json

CALM = Plan(pending_ms=200, running_ms=800)


@pytest.mark.parametrize(
    ("given", "plan"),
    [
        ({}, CALM),
        ({"progression": "time"}, CALM),
        ({"pending_ms": 5}, Plan(pending_ms=5, running_ms=800)),
        ({"progression": "time", "seconds": 5}, Plan(running_ms=5_000)),
        ({"seconds": 0.25}, Plan(running_ms=250)),
        ({"progression": "polls", "pending": 1, "running": 2}, Plan("polls", pending=1, running=2)),
        ({"progression": "polls"}, Plan("polls")),
        ({"progression": "manual", "times": 3}, Plan("polls", running=3)),
        ({"progression": "manual"}, Plan("polls", running=1)),
        ({"running": 2}, Plan("polls", running=2)),
        ({"times": 2}, Plan("polls", running=2)),
        ({"in": "PENDING", "running_ms": 9}, Plan("hold", running_ms=9, hold_in="PENDING")),
        ({"progression": "immediate"}, Plan("immediate")),
        ({"progression": "hold"}, Plan("hold")),
        ({"progression": "hold", "in": "PENDING"}, Plan("hold", hold_in="PENDING")),
        ({"outcome": {}}, CALM),
        ({"outcome": {"error": "algo_error"}}, Plan("time", 200, 800, outcome=Outcome("FAILED", "algo_error"))),
        ({"outcome": {"status": "FAILED"}}, Plan("time", 200, 800, outcome=Outcome("FAILED"))),
        ({"outcome": {"status": "SUSPENDED"}}, Plan("time", 200, 800, outcome=Outcome("SUSPENDED"))),
        (
            {"progression": "immediate", "outcome": {"images": ["ok", {"error": "output_inspection"}]}},
            Plan("immediate", outcome=Outcome(images=(None, "output_inspection"))),
        ),
    ],
    ids=str,
)
def test_a_plan_is_read(given: dict[str, Any], plan: Plan) -> None:
    assert plan_from_json(given, CALM) == plan


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (None, "plan is None; it is an object"),
        ([], "plan is []; it is an object"),
        ({"pendingms": 1}, "plan has no field 'pendingms'; nearest is 'pending_ms'"),
        ({"progression": "poll"}, "plan.progression is 'poll'; it is one of time, polls, immediate, hold, manual"),
        ({"progression": ["time"]}, "plan.progression is ['time']"),
        (
            {"progression": "polls", "running_ms": 5},
            "plan.running_ms means nothing to the progression polls, which takes",
        ),
        ({"progression": "immediate", "running": 5}, "plan.running means nothing to the progression immediate, which"),
        (
            {"running": 9, "running_ms": 5},
            "plan.running means nothing to the progression time, which takes pending_ms,",
        ),
        ({"times": -1, "running": 9}, "plan.times means nothing to the progression time"),
        ({"pending_ms": -1}, f"plan.pending_ms is -1; it is a whole number from 0 to {LONGEST_MS}"),
        ({"running_ms": LONGEST_MS + 1}, "plan.running_ms is"),
        ({"running_ms": 1.5}, "plan.running_ms is 1.5; it is a whole number"),
        ({"running_ms": "1"}, "plan.running_ms is '1'"),
        ({"running_ms": True}, "plan.running_ms is True"),
        ({"progression": "polls", "pending": MOST_POLLS + 1}, "plan.pending is 1000001; it is a whole number from 0"),
        ({"progression": "manual", "times": -1}, "plan.times is -1"),
        ({"seconds": "5"}, "plan.seconds is '5'; it is a number"),
        ({"seconds": -1}, "plan.seconds is -1; it is a number from 0 to 2592000"),
        ({"seconds": float("inf")}, "plan.seconds is inf"),
        ({"seconds": float("nan")}, "plan.seconds is nan"),
        ({"seconds": 10**400}, "plan.seconds is 1000"),
        ({"progression": "hold", "in": "DONE"}, "plan.in is 'DONE'; it is PENDING or RUNNING"),
        ({"progression": "hold", "in": []}, "plan.in is []"),
        ({"outcome": "FAILED"}, "plan.outcome is 'FAILED'; it is an object"),
        ({"outcome": {"code": 1}}, "plan.outcome has no field 'code'; it has status, error, images"),
        ({"outcome": {"status": "RUNNING"}}, "plan.outcome.status is 'RUNNING'; it is a final status"),
        ({"outcome": {"status": "failed"}}, "plan.outcome.status is 'failed'"),
        ({"outcome": {"status": None}}, "plan.outcome.status is None"),
        ({"outcome": {"error": "algo_eror"}}, "plan.outcome.error is 'algo_eror', which is not in the error catalogue"),
        ({"outcome": {"error": "algo_eror"}}, "nearest is 'algo_error'"),
        ({"outcome": {"error": ["algo_error"]}}, "plan.outcome.error is ['algo_error']"),
        ({"outcome": {"images": "ok"}}, "plan.outcome.images is a list of at most"),
        ({"outcome": {"images": ["ok"] * 6}}, "plan.outcome.images is a list of at most"),
        ({"outcome": {"images": ["good"]}}, "plan.outcome.images holds 'good'; an entry is \"ok\" or"),
        ({"outcome": {"images": [{"error": "nothing"}]}}, "plan.outcome.images is 'nothing', which is not in"),
        ({"outcome": {"images": [{"error": "algo_error", "x": 1}]}}, "plan.outcome.images holds {"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_a_wrong_plan_is_explained(given: object, text: str) -> None:
    with pytest.raises(ValueError) as raised:  # noqa: PT011  # the text is compared below, brackets and all
        plan_from_json(given, CALM)
    assert text in str(raised.value)


counts = st.integers(0, 1_000)
reasons = st.sampled_from(sorted(catalogue.errors()))
outcomes = st.one_of(
    st.builds(Outcome, st.sampled_from(["SUCCEEDED", "FAILED", "CANCELED", "SUSPENDED"])),
    st.builds(Outcome, st.just("FAILED"), reasons),
    st.builds(
        Outcome, st.just("SUCCEEDED"), st.none(), st.lists(st.none() | reasons, min_size=1, max_size=4).map(tuple)
    ),
)
plans = st.one_of(
    st.builds(Plan, st.just("time"), counts, counts, outcome=outcomes),
    st.builds(Plan, st.just("polls"), pending=counts, running=counts, outcome=outcomes),
    st.builds(Plan, st.just("immediate"), outcome=outcomes),
    st.builds(Plan, st.just("hold"), counts, counts, hold_in=st.sampled_from(["PENDING", "RUNNING"]), outcome=outcomes),
)


@settings(max_examples=200, derandomize=True, deadline=None, database=None)
@given(plan=plans, default=plans)
def test_a_plan_that_is_shown_can_be_read_again_whatever_the_default(plan: Plan, default: Plan) -> None:
    if default.progression == "hold":
        default = CALM  # no profile holds its tasks
    assert plan_from_json(plan_to_json(plan), default) == plan
