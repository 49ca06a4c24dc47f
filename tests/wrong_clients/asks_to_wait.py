"""Leaves out the header X-DashScope-Async, and expects the pictures in the answer."""

from __future__ import annotations

from collections.abc import Callable

import httpx

from tests.wrong_clients.order import ORDER

SCENARIO, FINDING = "happy", "breaks-contract"


def run(base_url: str, key: str, sleep: Callable[[float], None]) -> None:
    headers = {"Authorization": f"Bearer {key}"}
    answer = httpx.post(f"{base_url}/services/aigc/album/gen_potrait", json=ORDER, headers=headers)
    answer.raise_for_status()
    output = answer.json()["output"]
    while output["task_status"] in ("PENDING", "RUNNING"):
        sleep(2)
        output = httpx.get(f"{base_url}/tasks/{output['task_id']}", headers=headers).json()["output"]
    for result in output["results"]:
        httpx.get(result["url"])
