"""Reads the url of every result, and stops at the one that has none: the fourth picture, paid for, is never fetched."""

from __future__ import annotations

from collections.abc import Callable

import requests

from tests.wrong_clients.order import ORDER

SCENARIO, FINDING = "partial", "pictures-unfetched"


def run(base_url: str, key: str, sleep: Callable[[float], None]) -> None:
    headers = {"Authorization": f"Bearer {key}", "X-DashScope-Async": "enable"}
    order = {**ORDER, "parameters": {**ORDER["parameters"], "n": 4}}
    answer = requests.post(f"{base_url}/services/aigc/album/gen_potrait", json=order, headers=headers, timeout=9)
    output = answer.json()["output"]
    while output["task_status"] in ("PENDING", "RUNNING"):
        sleep(2)
        output = requests.get(f"{base_url}/tasks/{output['task_id']}", headers=headers, timeout=9).json()["output"]
    for result in output["results"]:
        requests.get(result["url"], timeout=9)
