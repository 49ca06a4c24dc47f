"""Submits again when the line dies before the answer, though the first task was accepted."""

from __future__ import annotations

from collections.abc import Callable

import requests

from tests.wrong_clients.order import IN_TIME, ORDER

SCENARIO, PLAN, FINDING = "lost-submit", IN_TIME, "submitted-twice"
SEEN = ("Comfy-Org/ComfyUI#16204",)


def submit(base_url: str, headers: dict[str, str], sleep: Callable[[float], None], again: int = 3) -> str:
    url = f"{base_url}/services/aigc/album/gen_potrait"
    try:
        return str(requests.post(url, json=ORDER, headers=headers, timeout=9).json()["output"]["task_id"])
    except requests.ConnectionError:
        if not again:
            raise
    sleep(2)
    return submit(base_url, headers, sleep, again - 1)


def run(base_url: str, key: str, sleep: Callable[[float], None]) -> None:
    headers = {"Authorization": f"Bearer {key}", "X-DashScope-Async": "enable"}
    task_id = submit(base_url, headers, sleep)
    for _ in range(60):
        sleep(2)
        output = requests.get(f"{base_url}/tasks/{task_id}", headers=headers, timeout=9).json()["output"]
        if output["task_status"] == "SUCCEEDED":
            for result in output["results"]:
                requests.get(result["url"], timeout=9)
            break
