"""Queries in a loop without a pause."""

from __future__ import annotations

from collections.abc import Callable

import requests

from tests.wrong_clients.order import ORDER

SCENARIO, FINDING = "happy", "polled-too-fast"


def run(base_url: str, key: str, sleep: Callable[[float], None]) -> None:
    headers = {"Authorization": f"Bearer {key}", "X-DashScope-Async": "enable"}
    answer = requests.post(f"{base_url}/services/aigc/album/gen_potrait", json=ORDER, headers=headers, timeout=9)
    output = answer.json()["output"]
    while output["task_status"] in ("PENDING", "RUNNING"):
        output = requests.get(f"{base_url}/tasks/{output['task_id']}", headers=headers, timeout=9).json()["output"]
    for result in output["results"]:
        requests.get(result["url"], timeout=9)
