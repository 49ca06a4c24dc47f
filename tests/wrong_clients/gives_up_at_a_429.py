"""Takes the first throttled query for the end, and leaves a task that goes on, as the vendor's SDK 1.x does."""

from __future__ import annotations

from collections.abc import Callable

import requests

from tests.wrong_clients.order import IN_TIME, ORDER

SCENARIO, PLAN, FINDING = "poll-429", IN_TIME, "task-abandoned"


def run(base_url: str, key: str, sleep: Callable[[float], None]) -> None:
    headers = {"Authorization": f"Bearer {key}", "X-DashScope-Async": "enable"}
    answer = requests.post(f"{base_url}/services/aigc/album/gen_potrait", json=ORDER, headers=headers, timeout=9)
    answer.raise_for_status()
    task_id = answer.json()["output"]["task_id"]
    while True:
        sleep(2)
        answer = requests.get(f"{base_url}/tasks/{task_id}", headers=headers, timeout=9)
        answer.raise_for_status()
        output = answer.json()["output"]
        if output["task_status"] not in ("PENDING", "RUNNING"):
            break
    for result in output.get("results", []):
        requests.get(result["url"], timeout=9).raise_for_status()
