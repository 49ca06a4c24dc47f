"""Looks for SUCCEEDED only, so that a failed task is polled to the last attempt and reported as slow."""

from __future__ import annotations

from collections.abc import Callable

import requests

from tests.wrong_clients.order import ORDER

SCENARIO, FINDING = "failed-algo", "polled-after-end"
SEEN = ("AIProxyTeam/AIProxySwift#27",)


def run(base_url: str, key: str, sleep: Callable[[float], None]) -> None:
    headers = {"Authorization": f"Bearer {key}", "X-DashScope-Async": "enable"}
    answer = requests.post(f"{base_url}/services/aigc/album/gen_potrait", json=ORDER, headers=headers, timeout=9)
    task_id = answer.json()["output"]["task_id"]
    for _ in range(30):
        sleep(2)
        output = requests.get(f"{base_url}/tasks/{task_id}", headers=headers, timeout=9).json()["output"]
        if output["task_status"] == "SUCCEEDED":
            return
    raise TimeoutError("the portrait takes too long")
