"""How much memory a finished task takes: many are submitted and polled to their end in this process."""

from __future__ import annotations

import gc
import json
import sys

from benchmarks.messages import KEY, SUBMIT_PATH, TASKS_PATH, submission
from benchmarks.processes import memory_kb
from mock_server.app import create_simulator
from mock_server.clock import VendorClock
from mock_server.core.model import Request
from mock_server.core.simulator import Simulator
from mock_server.settings import Settings

WARM_UP = 1_000
BATCH = 100


def bytes_per_task(count: int) -> float | None:
    """What the process grew by for each of ``count`` tasks that SUCCEEDED; None where it cannot be seen."""
    clock = VendorClock()
    clock.freeze()
    simulator = create_simulator(Settings(limits="off", api_key={KEY: ""}, seed=1), clock=clock)
    _finish(simulator, clock, WARM_UP)
    gc.collect()
    before = memory_kb()
    _finish(simulator, clock, count)
    gc.collect()
    after = memory_kb()
    return None if before is None or after is None else (after["Rss"] - before["Rss"]) * 1024 / count


def _finish(simulator: Simulator, clock: VendorClock, count: int) -> None:
    """In small batches, so that what this function itself remembers is not part of the growth."""
    headers = {"authorization": f"Bearer {KEY}", "x-dashscope-async": "enable", "content-type": "application/json"}
    for first in range(0, count, BATCH):
        task_ids = []
        for number in range(first, first + BATCH):
            body = json.dumps(submission(number)).encode()
            request = Request("POST", SUBMIT_PATH, headers=headers, body=body)
            reply = simulator.answer(request, "submit_portrait")
            task_ids.append(json.loads(reply.body)["output"]["task_id"])
            clock.advance(0.005)
        clock.advance(1)
        for task_id in task_ids:
            request = Request("GET", f"{TASKS_PATH}/{task_id}", headers=headers)
            reply = simulator.answer(request, "query_task", task_id=task_id)
            assert b"SUCCEEDED" in reply.body, reply.body


if __name__ == "__main__":
    json.dump(bytes_per_task(int(sys.argv[1])), sys.stdout)
