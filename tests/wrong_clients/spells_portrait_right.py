"""Corrects the path, which the vendor spells gen_potrait."""

from __future__ import annotations

from collections.abc import Callable

import requests

from tests.wrong_clients.order import ORDER

SCENARIO, FINDING = "happy", "breaks-contract"


def run(base_url: str, key: str, sleep: Callable[[float], None]) -> None:
    headers = {"Authorization": f"Bearer {key}", "X-DashScope-Async": "enable"}
    answer = requests.post(f"{base_url}/services/aigc/album/gen_portrait", json=ORDER, headers=headers, timeout=9)
    answer.raise_for_status()
    output = answer.json()["output"]
    while output["task_status"] in ("PENDING", "RUNNING"):
        sleep(2)
        output = requests.get(f"{base_url}/tasks/{output['task_id']}", headers=headers, timeout=9).json()["output"]
    for result in output["results"]:
        requests.get(result["url"], timeout=9)
