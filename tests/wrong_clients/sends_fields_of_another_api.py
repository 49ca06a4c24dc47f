"""Sends a negative prompt and a seed, as image APIs of other vendors take them."""

from __future__ import annotations

from collections.abc import Callable

import httpx

from tests.wrong_clients.order import ORDER

SCENARIO, FINDING = "happy", "field-ignored"


def run(base_url: str, key: str, sleep: Callable[[float], None]) -> None:
    headers = {"Authorization": f"Bearer {key}", "X-DashScope-Async": "enable"}
    order = {**ORDER, "parameters": {**ORDER["parameters"], "negative_prompt": "blurry", "seed": 7}}
    output = httpx.post(f"{base_url}/services/aigc/album/gen_potrait", json=order, headers=headers).json()["output"]
    while output["task_status"] in ("PENDING", "RUNNING"):
        sleep(2)
        output = httpx.get(f"{base_url}/tasks/{output['task_id']}", headers=headers).json()["output"]
    for result in output["results"]:
        httpx.get(result["url"])
