"""Hands the links on and fetches nothing, though they die after a day."""

from __future__ import annotations

from collections.abc import Callable

import requests

from tests.wrong_clients.order import ORDER

SCENARIO, FINDING = "happy", "pictures-unfetched"


def run(base_url: str, key: str, sleep: Callable[[float], None]) -> None:
    headers = {"Authorization": f"Bearer {key}", "X-DashScope-Async": "enable"}
    answer = requests.post(f"{base_url}/services/aigc/album/gen_potrait", json=ORDER, headers=headers, timeout=9)
    output = answer.json()["output"]
    while output["task_status"] in ("PENDING", "RUNNING"):
        sleep(2)
        output = requests.get(f"{base_url}/tasks/{output['task_id']}", headers=headers, timeout=9).json()["output"]
    print([result["url"] for result in output["results"]])
