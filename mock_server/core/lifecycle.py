"""When a task changes status: arithmetic on its facts and its plan, worked out when somebody looks."""

from __future__ import annotations

from contracts import catalogue
from mock_server.core.model import Lane, Task, TaskStatus
from mock_server.core.plans import Outcome, Plan

HOUR_MS = 3_600_000
FOREVER_MS = 1 << 62
SLACK_MS = 1_000
"""So far apart may be the times of calls that cross; more, and somebody moved the clock back."""

CANCELING_MS = 1_000
"""How long a training that was running takes to stop."""

PATIENCE = 2
"""So many queries of waiting tasks pass before a task by polls that nobody queries goes on by theirs."""
TIMED_OUT = Outcome("FAILED", "internal_timeout")
CANCELED = Outcome("CANCELED")


def retention_ms() -> int:
    """How long an ended task is remembered, rule ``task.retention``."""
    return int(catalogue.limits()["task_retention_hours"]) * HOUR_MS


def timeout_ms() -> int:
    """How long after its submission a task without result fails, rule ``task.timeout``."""
    return int(catalogue.limits()["task_timeout_hours"]) * HOUR_MS


def settle(lane: Lane, now_ms: int) -> None:
    """Write down what time did to the queue up to ``now_ms``, rule ``concurrency.running``.

    A boundary belongs to the later status. What is settled stays settled, wherever the clock goes.
    """
    queue = lane.queue
    if lane.slot_free_ms > now_ms + SLACK_MS:
        lane.slot_free_ms = now_ms
    while queue:
        task = queue[0]
        settle_alone(task, now_ms, lane.slot_free_ms)
        if task.ended_ms is None:
            return
        if task.scheduled_ms is not None:
            lane.slot_free_ms = task.ended_ms
        queue.popleft()


def look(lane: Lane, task: Task, now_ms: int) -> None:
    """Settle, and count this query of ``task`` when its plan goes by polls and it is its turn.

    A task by polls that nobody queries would hold up those behind it for ever: from the third query of
    theirs in a row on, each counts for the one in front.
    """
    if not task.queued:
        task.polls += task.plan.progression == "polls"
        settle_alone(task, now_ms)
        return
    settle_one(lane, task, now_ms)
    front = lane.queue[0] if lane.queue else None
    if front is None or front.plan.progression != "polls":
        return
    front.waited_for = 0 if front is task else front.waited_for + 1
    if front is task or front.waited_for > PATIENCE:
        front.polls += 1
        settle(lane, now_ms)


def settle_one(lane: Lane, task: Task, now_ms: int) -> None:
    """Write down what time did to ``task``, in its turn or, without limits, by itself."""
    if task.queued:
        settle(lane, now_ms)
        _time_out(task, now_ms)
    else:
        settle_alone(task, now_ms)


def settle_all(lane: Lane, now_ms: int) -> None:
    """Write down what time did to every task of the lane."""
    for task in lane.tasks.values():
        settle_one(lane, task, now_ms)


def cancel(task: Task, now_ms: int) -> bool:
    """End a task that is still PENDING; False when it is not, rule ``task.cancel.pending``."""
    if task.status != TaskStatus.PENDING:
        return False
    task.ended_ms, task.outcome = now_ms, CANCELED
    return True


def replan(task: Task, plan: Plan, now_ms: int) -> None:
    """Give a task that has not ended another plan: counted from its submission, but nothing happens before now."""
    task.plan, task.polls, task.released_ms, task.replanned_ms = plan, 0, None, now_ms


def release(task: Task, now_ms: int) -> None:
    """Let a held task go on. Raises ValueError when its plan does not hold it."""
    if task.plan.progression != "hold":
        raise ValueError(f"task {task.id} is not held; its plan goes by {task.plan.progression}")
    task.released_ms = now_ms


def is_forgotten(task: Task, now_ms: int) -> bool:
    """Whether the vendor answers UNKNOWN because the task ended too long ago."""
    return task.expires and task.ended_ms is not None and now_ms - task.ended_ms >= retention_ms()


def settle_alone(task: Task, now_ms: int, free_ms: int = 0) -> None:
    """Write down what time did to one task, which may run from ``free_ms`` on."""
    if task.ended_ms is not None:
        return
    latest_ms = min(now_ms, _deadline_ms(task))
    if task.scheduled_ms is None:
        start_ms = _start_ms(task, free_ms, now_ms)
        if start_ms is not None and max(start_ms, task.replanned_ms) <= latest_ms:
            task.scheduled_ms = max(start_ms, task.replanned_ms)
    if task.scheduled_ms is not None:
        end_ms = _end_ms(task, task.scheduled_ms, now_ms)
        if end_ms is not None and max(end_ms, task.replanned_ms) <= latest_ms:
            task.ended_ms, task.outcome = max(end_ms, task.replanned_ms), _outcome(task)
    _time_out(task, now_ms)


def _time_out(task: Task, now_ms: int) -> None:
    deadline_ms = _deadline_ms(task)
    if task.ended_ms is None and now_ms >= deadline_ms:
        task.ended_ms, task.outcome = deadline_ms, TIMED_OUT


def _deadline_ms(task: Task) -> int:
    """When the vendor gives the task up. One that a test holds is never given up."""
    is_patient = not task.expires or task.plan.progression == "hold"
    return FOREVER_MS if is_patient else task.submitted_ms + timeout_ms()


def _outcome(task: Task) -> Outcome:
    """The planned outcome; a task whose every picture fails has failed."""
    if task.canceled_ms is not None:
        return CANCELED
    planned = task.plan.outcome
    failures = [error for error in planned.images[: task.n] if error is not None]
    return Outcome("FAILED", failures[0]) if failures and len(failures) == task.n else planned


def _start_ms(task: Task, free_ms: int, now_ms: int) -> int | None:
    """When the task gets the running slot, or None while that waits for a poll or a release."""
    plan = task.plan
    if plan.progression == "polls":
        return now_ms if task.polls > plan.pending else None
    if plan.progression == "hold" and plan.hold_in == "PENDING":
        return None if task.released_ms is None else max(task.released_ms, free_ms)
    return max(task.submitted_ms + plan.pending_ms, free_ms)


def _end_ms(task: Task, scheduled_ms: int, now_ms: int) -> int | None:
    """When the task ends, or None while that waits for a poll or a release."""
    plan = task.plan
    if task.canceled_ms is not None:
        return task.canceled_ms + CANCELING_MS
    if plan.progression == "polls":
        return now_ms if task.polls > plan.pending + plan.running else None
    end_ms = scheduled_ms + plan.running_ms
    if plan.progression == "hold" and plan.hold_in == "RUNNING":
        return None if task.released_ms is None else max(task.released_ms, end_ms)
    return end_ms
