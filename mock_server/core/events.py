"""What the vendor's event bus pushes: one event for each portrait task that has SUCCEEDED or FAILED."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mock_server.core import lifecycle
from mock_server.core.model import Account, Task, TaskStatus
from mock_server.core.ports import World
from mock_server.core.tasks import REGION, UNIQUE_KEY, vendor_time

TYPE = "dashscope:System:AsyncTaskFinish"
SOURCE = "acs.dashscope"
_TOLD = frozenset({TaskStatus.SUCCEEDED.value, TaskStatus.FAILED.value})


def newly_ended(world: World, now_ms: int) -> Iterator[Task]:
    """The tasks to be told of, each claimed when it is given, and given once, whoever asks."""

    def claim(account: Account) -> Task | None:
        for task in list(account.unannounced.values()):
            lifecycle.settle_one(account.lane(task), task, now_ms)
            if task.ended_ms is not None:
                del account.unannounced[task.id]
                if task.status in _TOLD:
                    return task
        return None

    for account in world.accounts():
        while (task := world.change(account, claim)) is not None:
            yield task


def event_data(task: Task) -> dict[str, Any]:
    """The ``data`` of the event. Times are of the vendor's zone, without milliseconds."""
    moments = {"start_time": task.scheduled_ms or task.submitted_ms, "end_time": task.ended_ms or 0}
    return {
        "task_id": task.id,
        "task_status": task.status,
        "request_id": task.request_id,
        **{name: vendor_time(at_ms, millis=False) for name, at_ms in moments.items()},
        "user_api_unique_key": UNIQUE_KEY,
        "contain_result": task.status == TaskStatus.SUCCEEDED,
        "region": REGION,
        "api_key_id": task.key_id,
    }
