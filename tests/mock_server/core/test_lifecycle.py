"""When a task changes status, by each kind of plan, one millisecond on each side of every boundary."""

from __future__ import annotations

from typing import Any

import pytest

from contracts import catalogue, validation
from mock_server.core import lifecycle
from mock_server.core.model import Lane, Task, TaskStatus
from mock_server.core.plans import Outcome, Plan, plan_from_json

HOUR = lifecycle.HOUR_MS
T0 = 1_768_444_200_000


def plan(**given: Any) -> Plan:
    return plan_from_json(given, Plan())


def submitted(account: Lane, given: Plan, *, at_ms: int = 0, n: int = 4, queued: bool = True) -> Task:
    """A task submitted ``at_ms`` after the start."""
    number = len(account.tasks)
    task = Task(f"task-{number}", "key", "request", "f_idcard_male", n, T0 + at_ms, given, queued=queued)
    account.tasks[task.id] = task
    if queued:
        account.queue.append(task)
    return task


def status_at(account: Lane, task: Task, at_ms: int) -> str:
    lifecycle.settle_one(account, task, T0 + at_ms)
    return task.status


def times(task: Task) -> tuple[int | None, int | None]:
    """When a task was scheduled and ended, after the start."""
    scheduled = None if task.scheduled_ms is None else task.scheduled_ms - T0
    return scheduled, None if task.ended_ms is None else task.ended_ms - T0


def test_a_status_is_spelled_as_in_the_schema() -> None:
    spelled = catalogue.schema("task")["$defs"]["status"]["enum"]
    assert [status.value for status in TaskStatus] == spelled
    assert validation.answer_violations("task", {"request_id": "1", "output": {"task_id": "1", "task_status": "x"}})


@pytest.mark.parametrize("queued", [True, False], ids=["queued", "without limits"])
@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (
            plan(progression="time", pending_ms=1_000, running_ms=4_000),
            {0: "PENDING", 999: "PENDING", 1_000: "RUNNING", 4_999: "RUNNING", 5_000: "SUCCEEDED"},
        ),
        (plan(progression="time", running_ms=1), {0: "RUNNING", 1: "SUCCEEDED"}),
        (plan(progression="time", pending_ms=1), {0: "PENDING", 1: "SUCCEEDED"}),
        (plan(progression="time", seconds=2.5), {0: "RUNNING", 2_499: "RUNNING", 2_500: "SUCCEEDED"}),
        (plan(progression="immediate"), {0: "SUCCEEDED"}),
        (plan(progression="immediate", outcome={"status": "FAILED"}), {0: "FAILED"}),
        (
            plan(progression="time", running_ms=10, outcome={"error": "algo_error"}),
            {9: "RUNNING", 10: "FAILED", 86_400_000: "FAILED"},
        ),
        (plan(progression="time", outcome={"status": "SUSPENDED"}), {0: "SUSPENDED"}),
        (plan(progression="hold"), {0: "RUNNING", 3 * HOUR: "RUNNING", 30 * HOUR: "RUNNING"}),
        (plan(progression="hold", **{"in": "PENDING"}), {0: "PENDING", 3 * HOUR: "PENDING", 30 * HOUR: "PENDING"}),
        (plan(progression="polls", pending=1), {0: "PENDING", 3 * HOUR - 1: "PENDING", 3 * HOUR: "FAILED"}),
        (plan(progression="time", running_ms=3 * HOUR), {3 * HOUR - 1: "RUNNING", 3 * HOUR: "SUCCEEDED"}),
        (plan(progression="time", running_ms=3 * HOUR + 1), {3 * HOUR - 1: "RUNNING", 3 * HOUR: "FAILED"}),
        (plan(progression="time", pending_ms=3 * HOUR), {3 * HOUR - 1: "PENDING", 3 * HOUR: "SUCCEEDED"}),
        (plan(progression="time", pending_ms=3 * HOUR + 1), {3 * HOUR - 1: "PENDING", 3 * HOUR: "FAILED"}),
    ],
)
def test_a_task_is_where_its_plan_says_at_every_moment(given: Plan, expected: dict[int, str], queued: bool) -> None:
    one = Lane()
    watched = submitted(one, given, queued=queued)
    for at_ms, status in expected.items():
        assert status_at(one, watched, at_ms) == status
        other = Lane()
        assert status_at(other, submitted(other, given, queued=queued), at_ms) == status, "looked at for the first time"


@pytest.mark.parametrize("queued", [True, False], ids=["queued", "without limits"])
@pytest.mark.parametrize(
    ("pending", "running", "expected"),
    [
        (0, 1, ["RUNNING", "SUCCEEDED", "SUCCEEDED"]),
        (0, 0, ["SUCCEEDED", "SUCCEEDED"]),
        (1, 2, ["PENDING", "RUNNING", "RUNNING", "SUCCEEDED"]),
        (2, 0, ["PENDING", "PENDING", "SUCCEEDED"]),
        (0, 3, ["RUNNING", "RUNNING", "RUNNING", "SUCCEEDED"]),
    ],
)
def test_a_plan_by_polls_counts_the_queries_of_its_task(
    pending: int, running: int, expected: list[str], queued: bool
) -> None:
    account = Lane()
    task = submitted(account, plan(progression="polls", pending=pending, running=running), queued=queued)
    seen = []
    for number in range(len(expected)):
        lifecycle.look(account, task, T0 + number)
        seen.append(task.status)
    assert seen == expected


def test_looking_without_a_query_counts_for_no_plan() -> None:
    account = Lane()
    task = submitted(account, plan(progression="polls", running=1))
    assert [status_at(account, task, at_ms) for at_ms in (0, 10, 20)] == ["PENDING"] * 3


def test_tasks_polled_in_turn_do_not_disturb_each_other() -> None:
    account = Lane()
    by_polls = plan(progression="polls", pending=1, running=1)
    tasks = [submitted(account, by_polls, queued=False) for _ in range(2)]
    seen: list[list[str]] = [[], []]
    for at_ms in range(3):
        for task, statuses in zip(tasks, seen, strict=True):
            lifecycle.look(account, task, T0 + at_ms)
            statuses.append(task.status)
    assert seen == [["PENDING", "RUNNING", "SUCCEEDED"]] * 2


def test_queries_count_only_while_it_is_the_tasks_turn() -> None:
    account = Lane()
    by_polls = plan(progression="polls", running=1)
    first, second = submitted(account, by_polls), submitted(account, by_polls)
    seen = []
    for number, task in enumerate([second, second, first, second, first, second, second]):
        lifecycle.look(account, task, T0 + number)
        seen.append((first.status, second.status))
    assert seen == [
        ("PENDING", "PENDING"),
        ("PENDING", "PENDING"),
        ("RUNNING", "PENDING"),
        ("RUNNING", "PENDING"),
        ("SUCCEEDED", "PENDING"),
        ("SUCCEEDED", "RUNNING"),
        ("SUCCEEDED", "SUCCEEDED"),
    ]


# -- the queue of one -------------------------------------------------------------------------------------------------

A_SECOND = plan(progression="time", pending_ms=200, running_ms=800)


def test_the_next_task_starts_when_the_one_before_has_ended_in_order_of_submission() -> None:
    account = Lane()
    tasks = [submitted(account, A_SECOND, at_ms=at_ms) for at_ms in (0, 10, 20)]
    lifecycle.settle(account, T0 + 10_000)
    assert [times(task) for task in tasks] == [(200, 1_000), (1_000, 1_800), (1_800, 2_600)]


def test_a_free_slot_does_not_shorten_the_wait_that_is_planned() -> None:
    account = Lane()
    first = submitted(account, A_SECOND)
    second = submitted(account, A_SECOND, at_ms=900)
    third = submitted(account, A_SECOND, at_ms=5_000)
    lifecycle.settle(account, T0 + 10_000)
    assert [times(task) for task in (first, second, third)] == [(200, 1_000), (1_100, 1_900), (5_200, 6_000)]


@pytest.mark.parametrize(
    "looks", [[10_000], [0, 500, 999, 1_000, 1_001, 1_799, 1_800, 10_000], list(range(0, 4_000, 7))]
)
def test_how_often_somebody_looks_changes_nothing(looks: list[int]) -> None:
    account = Lane()
    tasks = [submitted(account, A_SECOND, at_ms=at_ms) for at_ms in (0, 10, 20)]
    lifecycle.cancel(tasks[1], T0 + 30)
    for at_ms in looks:
        lifecycle.settle(account, T0 + at_ms)
    assert [times(task) for task in tasks] == [(200, 1_000), (None, 30), (1_000, 1_800)]


def test_a_cancelled_task_lets_the_next_one_move_up() -> None:
    account = Lane()
    held = plan(progression="hold", **{"in": "PENDING"})
    first, second = submitted(account, held), submitted(account, A_SECOND)
    assert status_at(account, second, 5_000) == "PENDING"
    assert lifecycle.cancel(first, T0 + 5_000)
    assert status_at(account, second, 5_000) == "SUCCEEDED"
    assert times(second) == (200, 1_000), "a task that never ran did not hold the slot"


def test_a_cancelled_task_at_the_end_of_the_queue_holds_up_nobody() -> None:
    account = Lane()
    first, second, third = (submitted(account, A_SECOND) for _ in range(3))
    assert lifecycle.cancel(second, T0 + 100)
    lifecycle.settle(account, T0 + 10_000)
    assert [times(task) for task in (first, second, third)] == [(200, 1_000), (None, 100), (1_000, 1_800)]


def test_a_task_that_times_out_frees_the_slot() -> None:
    account = Lane()
    first = submitted(account, plan(progression="time", running_ms=4 * HOUR))
    second = submitted(account, A_SECOND, at_ms=1_000)
    assert status_at(account, second, 3 * HOUR - 1) == "PENDING"
    assert status_at(account, second, 3 * HOUR) == "RUNNING"
    assert times(first) == (0, 3 * HOUR)
    assert times(second)[0] == 3 * HOUR


def test_a_task_that_waited_too_long_fails_without_having_run() -> None:
    account = Lane()
    nearly = plan(progression="time", running_ms=3 * HOUR)
    first, second = submitted(account, nearly), submitted(account, A_SECOND, at_ms=0)
    third = submitted(account, A_SECOND, at_ms=1_000)
    lifecycle.settle(account, T0 + 4 * HOUR)
    assert times(first) == (0, 3 * HOUR)
    assert (second.status, times(second)) == ("FAILED", (3 * HOUR, 3 * HOUR))
    assert (third.status, times(third)) == ("SUCCEEDED", (3 * HOUR, 3 * HOUR + 800))


def test_a_task_behind_one_that_is_held_times_out_all_the_same() -> None:
    account = Lane()
    submitted(account, plan(progression="hold"))
    waiting = submitted(account, A_SECOND, at_ms=1_000)
    assert [status_at(account, waiting, 3 * HOUR + at_ms) for at_ms in (999, 1_000)] == ["PENDING", "FAILED"]
    assert times(waiting) == (None, 3 * HOUR + 1_000)


def test_the_timeout_is_told_as_the_vendor_tells_it() -> None:
    account = Lane()
    task = submitted(account, plan(progression="polls", pending=1))
    assert status_at(account, task, 3 * HOUR) == "FAILED"
    assert task.outcome is not None
    row = catalogue.errors()[task.outcome.error or ""]
    assert (row.code, row.reason) == ("InternalError.Timeout", catalogue.rules()["task.timeout"].error)


# -- cancel, release, another plan ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("at_ms", "cancelled"), [(0, True), (199, True), (200, False), (999, False), (1_000, False), (90_000_000, False)]
)
def test_a_task_can_be_cancelled_until_it_is_scheduled(at_ms: int, cancelled: bool) -> None:
    account = Lane()
    task = submitted(account, A_SECOND)
    lifecycle.settle(account, T0 + at_ms)
    assert lifecycle.cancel(task, T0 + at_ms) == cancelled
    assert (status_at(account, task, 100_000) == "CANCELED") == cancelled


def test_a_held_task_goes_on_from_its_release() -> None:
    account = Lane()
    task = submitted(account, plan(progression="hold", running_ms=100))
    assert status_at(account, task, 5_000) == "RUNNING"
    lifecycle.release(task, T0 + 5_000)
    assert status_at(account, task, 5_000) == "SUCCEEDED"
    assert times(task) == (0, 5_000)


def test_a_task_released_early_still_runs_as_long_as_planned() -> None:
    account = Lane()
    task = submitted(account, plan(progression="hold", running_ms=100))
    lifecycle.release(task, T0 + 30)
    assert [status_at(account, task, at_ms) for at_ms in (99, 100)] == ["RUNNING", "SUCCEEDED"]


def test_a_task_held_in_pending_runs_after_its_release() -> None:
    account = Lane()
    task = submitted(account, plan(progression="hold", running_ms=100, **{"in": "PENDING"}))
    assert status_at(account, task, 5_000) == "PENDING"
    lifecycle.release(task, T0 + 5_000)
    assert [status_at(account, task, at_ms) for at_ms in (5_000, 5_099, 5_100)] == ["RUNNING", "RUNNING", "SUCCEEDED"]


def test_another_plan_counts_from_the_submission_and_starts_its_polls_again() -> None:
    account = Lane()
    task = submitted(account, plan(progression="polls", pending=5))
    for number in range(3):
        lifecycle.look(account, task, T0 + number)
    lifecycle.replan(task, plan(progression="polls", pending=1, running=1), T0 + 3)
    seen = []
    for number in range(3):
        lifecycle.look(account, task, T0 + 10 + number)
        seen.append(task.status)
    assert seen == ["PENDING", "RUNNING", "SUCCEEDED"]
    other = submitted(account, plan(progression="hold"), at_ms=100)
    lifecycle.replan(other, A_SECOND, T0 + 200)
    assert [status_at(account, other, at_ms) for at_ms in (299, 300, 1_100)] == ["PENDING", "RUNNING", "SUCCEEDED"]


def test_another_plan_takes_no_running_task_back() -> None:
    account = Lane()
    task = submitted(account, plan(progression="hold"))
    assert status_at(account, task, 10) == "RUNNING"
    lifecycle.replan(task, plan(progression="time", pending_ms=60_000, running_ms=500), T0 + 10)
    assert [status_at(account, task, at_ms) for at_ms in (11, 499, 500)] == ["RUNNING", "RUNNING", "SUCCEEDED"]


def test_another_plan_lets_nothing_happen_before_it_was_given() -> None:
    lane = Lane()
    task = submitted(lane, plan(progression="hold", **{"in": "PENDING"}))
    lifecycle.replan(task, plan(progression="time", pending_ms=100, running_ms=200), T0 + 5_000)
    assert [status_at(lane, task, at_ms) for at_ms in (5_000, 5_199, 5_200)] == ["RUNNING", "RUNNING", "SUCCEEDED"]
    running = submitted(lane, plan(progression="hold"), at_ms=5_200)
    assert status_at(lane, running, 9_000) == "RUNNING"
    lifecycle.replan(running, plan(progression="time", running_ms=100), T0 + 9_000)
    assert status_at(lane, running, 9_000) == "SUCCEEDED"
    assert (times(task), times(running)) == ((5_000, 5_200), (5_200, 9_000))


# -- outcomes ---------------------------------------------------------------------------------------------------------

BAD, WORSE = "output_inspection", "algo_error"


@pytest.mark.parametrize(
    ("n", "images", "status", "error", "pictures"),
    [
        (2, [], "SUCCEEDED", None, (None, None)),
        (2, ["ok", {"error": BAD}], "SUCCEEDED", None, (None, BAD)),
        (4, [{"error": BAD}], "SUCCEEDED", None, (BAD, None, None, None)),
        (1, ["ok", {"error": BAD}], "SUCCEEDED", None, (None,)),
        (2, [{"error": BAD}, {"error": WORSE}], "FAILED", BAD, ()),
        (1, [{"error": WORSE}, "ok"], "FAILED", WORSE, ()),
    ],
)
def test_a_task_has_failed_when_every_picture_has(
    n: int, images: list[Any], status: str, error: str | None, pictures: tuple[str | None, ...]
) -> None:
    account = Lane()
    task = submitted(account, plan(progression="immediate", outcome={"images": images}), n=n)
    assert status_at(account, task, 0) == status
    assert task.outcome is not None
    assert (task.outcome.error, task.pictures) == (error, pictures)
    assert task.delivered == pictures.count(None)


@pytest.mark.parametrize("age_ms", [24 * HOUR - 1, 24 * HOUR, 24 * HOUR + 1])
def test_a_task_is_forgotten_24_hours_after_its_end(age_ms: int) -> None:
    account = Lane()
    task = submitted(account, A_SECOND)
    lifecycle.settle(account, T0 + 1_000)
    assert lifecycle.is_forgotten(task, T0 + 1_000 + age_ms) == (age_ms >= 24 * HOUR)


def test_a_task_that_has_not_ended_is_never_forgotten() -> None:
    assert not lifecycle.is_forgotten(submitted(Lane(), A_SECOND), T0 + 10_000 * HOUR)


@pytest.mark.parametrize("queued", [True, False], ids=["queued", "without limits"])
@pytest.mark.parametrize(
    "given",
    [A_SECOND, plan(progression="immediate"), plan(progression="hold"), plan(progression="polls", running=3)],
)
def test_a_clock_that_is_moved_back_moves_no_task_back(given: Plan, queued: bool) -> None:
    account = Lane()
    task = submitted(account, given, queued=queued)
    order = ["PENDING", "RUNNING", "SUCCEEDED"]
    seen = []
    for at_ms in (0, 500, 250, 0, -5_000, 600, 100, 5_000, -1, 0):
        lifecycle.look(account, task, T0 + at_ms)
        seen.append(order.index(task.status))
    assert seen == sorted(seen)


def test_what_was_settled_stays_settled_in_its_times_too() -> None:
    account = Lane()
    task = submitted(account, A_SECOND)
    lifecycle.settle(account, T0 + 5_000)
    before = times(task)
    lifecycle.replan(task, plan(progression="time", running_ms=9_000), T0 + 5_000)
    assert not lifecycle.cancel(task, T0)
    assert (status_at(account, task, 0), times(task)) == ("SUCCEEDED", before)
    assert task.outcome == Outcome()
