"""Waits for SUCCEEDED or FAILED alone, so that a task that has gone UNKNOWN is polled for ever."""

from __future__ import annotations

from collections.abc import Callable

import requests

from tests.wrong_clients.order import ORDER

SCENARIO, FINDING = "unknown", "polled-after-end"
SEEN = ("replicate/replicate-python#460",)


def run(base_url: str, key: str, sleep: Callable[[float], None]) -> None:
    headers = {"Authorization": f"Bearer {key}", "X-DashScope-Async": "enable"}
    answer = requests.post(f"{base_url}/services/aigc/album/gen_potrait", json=ORDER, headers=headers, timeout=9)
    task_id = answer.json()["output"]["task_id"]
    while True:
        sleep(5)
        output = requests.get(f"{base_url}/tasks/{task_id}", headers=headers, timeout=9).json()["output"]
        if output["task_status"] in ("SUCCEEDED", "FAILED"):
            break
    for result in output.get("results", []):
        requests.get(result["url"], timeout=9)
