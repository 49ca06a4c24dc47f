"""Waits shorter than a portrait takes, and never learns that it FAILED."""

from __future__ import annotations

from collections.abc import Callable

import requests

from tests.wrong_clients.order import IN_TIME, ORDER

SCENARIO, PLAN, FINDING = "failed-resolution", IN_TIME, "failure-unseen"
SEEN = ("vercel/ai#16282",)


def run(base_url: str, key: str, sleep: Callable[[float], None]) -> None:
    headers = {"Authorization": f"Bearer {key}", "X-DashScope-Async": "enable"}
    answer = requests.post(f"{base_url}/services/aigc/album/gen_potrait", json=ORDER, headers=headers, timeout=9)
    task_id = answer.json()["output"]["task_id"]
    for _ in range(3):
        sleep(2)
        output = requests.get(f"{base_url}/tasks/{task_id}", headers=headers, timeout=9).json()["output"]
        if output["task_status"] == "SUCCEEDED":
            for result in output["results"]:
                requests.get(result["url"], timeout=9)
            return
    print("your portrait is on its way")
