"""Puts n beside the model, where nobody looks, and pays for four pictures in place of one."""

from __future__ import annotations

from collections.abc import Callable

import httpx

from tests.wrong_clients.order import ORDER

SCENARIO, FINDING = "happy", "field-at-wrong-level"


def run(base_url: str, key: str, sleep: Callable[[float], None]) -> None:
    headers = {"Authorization": f"Bearer {key}", "X-DashScope-Async": "enable"}
    order = {**ORDER, "parameters": {"style": "f_business_female"}, "n": 1}
    output = httpx.post(f"{base_url}/services/aigc/album/gen_potrait", json=order, headers=headers).json()["output"]
    while output["task_status"] in ("PENDING", "RUNNING"):
        sleep(2)
        output = httpx.get(f"{base_url}/tasks/{output['task_id']}", headers=headers).json()["output"]
    for result in output["results"]:
        httpx.get(result["url"])
