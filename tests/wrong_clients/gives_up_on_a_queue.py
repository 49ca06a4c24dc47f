"""Sleeps a fixed time, looks once, and takes a task that still waits in the queue for a failed one."""

from __future__ import annotations

from collections.abc import Callable

import httpx

from tests.wrong_clients.order import ORDER

SCENARIO, FINDING = "slow-start", "task-abandoned"
SEEN = ("KotlinFoundation/kmp-contest-starter-kit#39",)


def run(base_url: str, key: str, sleep: Callable[[float], None]) -> None:
    headers = {"Authorization": f"Bearer {key}", "X-DashScope-Async": "enable"}
    answer = httpx.post(f"{base_url}/services/aigc/album/gen_potrait", json=ORDER, headers=headers)
    task_id = answer.json()["output"]["task_id"]
    sleep(30)
    output = httpx.get(f"{base_url}/tasks/{task_id}", headers=headers).json()["output"]
    if output["task_status"] != "SUCCEEDED":
        raise RuntimeError("the portrait could not be made")
    for result in output["results"]:
        httpx.get(result["url"])
