"""Knows two endings; a task that a colleague has cancelled is polled to the last attempt."""

from __future__ import annotations

from collections.abc import Callable

import httpx

from tests.wrong_clients.order import ORDER

SCENARIO, FINDING = "canceled", "polled-after-end"
SEEN = ("MiroShark/MiroShark#8",)


def run(base_url: str, key: str, sleep: Callable[[float], None]) -> None:
    headers = {"Authorization": f"Bearer {key}", "X-DashScope-Async": "enable"}
    with httpx.Client() as client:
        answer = client.post(f"{base_url}/services/aigc/album/gen_potrait", json=ORDER, headers=headers)
        task_id = answer.json()["output"]["task_id"]
        for attempt in range(20):
            sleep(min(1 + attempt, 5))
            output = client.get(f"{base_url}/tasks/{task_id}", headers=headers).json()["output"]
            if output["task_status"] == "SUCCEEDED":
                return
            if output["task_status"] == "FAILED":
                raise RuntimeError(output.get("message"))
    raise TimeoutError(task_id)
