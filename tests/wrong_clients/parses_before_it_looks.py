"""Reads JSON before it looks at the status, and dies of a gateway's HTML page while the task goes on."""

from __future__ import annotations

from collections.abc import Callable

import httpx

from tests.wrong_clients.order import IN_TIME, ORDER

SCENARIO, PLAN, FINDING = "poll-html", IN_TIME, "task-abandoned"


def run(base_url: str, key: str, sleep: Callable[[float], None]) -> None:
    headers = {"Authorization": f"Bearer {key}", "X-DashScope-Async": "enable"}
    with httpx.Client(headers=headers) as api, httpx.Client() as storage:
        output = api.post(f"{base_url}/services/aigc/album/gen_potrait", json=ORDER).json()["output"]
        while output["task_status"] in ("PENDING", "RUNNING"):
            sleep(2)
            output = api.get(f"{base_url}/tasks/{output['task_id']}").json()["output"]
        for result in output.get("results", []):
            storage.get(result["url"])
