"""Has less patience than a submission may take, and then submits again, with no key to tell the two apart."""

from __future__ import annotations

from collections.abc import Callable

import httpx

from tests.wrong_clients.order import IN_TIME, ORDER

SCENARIO, PLAN, FINDING = "slow-submit", IN_TIME, "submitted-twice"
ALSO = ("task-abandoned",)
SEEN = ("ohdearquant/lionagi#2393", "xorbitsai/xagent#2513")


def run(base_url: str, key: str, sleep: Callable[[float], None]) -> None:
    headers = {"Authorization": f"Bearer {key}", "X-DashScope-Async": "enable"}
    with httpx.Client(timeout=5) as client:
        while True:
            try:
                answer = client.post(f"{base_url}/services/aigc/album/gen_potrait", json=ORDER, headers=headers)
                break
            except httpx.TimeoutException:
                sleep(1)
        task_id = answer.json()["output"]["task_id"]
        output = answer.json()["output"]
        while output["task_status"] in ("PENDING", "RUNNING"):
            sleep(2)
            output = client.get(f"{base_url}/tasks/{task_id}", headers=headers).json()["output"]
        for result in output.get("results", []):
            client.get(result["url"])
