"""Takes a failed query for a failed task, and orders the portrait once more."""

from __future__ import annotations

from collections.abc import Callable

import requests

from tests.wrong_clients.order import IN_TIME, ORDER

SCENARIO, PLAN, FINDING = "poll-500", IN_TIME, "submitted-twice"
ALSO = ("task-abandoned",)


def run(base_url: str, key: str, sleep: Callable[[float], None]) -> None:
    session = requests.Session()
    headers = {"Authorization": f"Bearer {key}", "X-DashScope-Async": "enable"}
    for _ in range(4):
        answer = session.post(f"{base_url}/services/aigc/album/gen_potrait", json=ORDER, headers=headers)
        task_id = answer.json()["output"]["task_id"]
        for _ in range(9):
            sleep(3)
            answer = session.get(f"{base_url}/tasks/{task_id}", headers=headers)
            if answer.status_code != 200:
                break
            output = answer.json()["output"]
            if output["task_status"] == "SUCCEEDED":
                for result in output["results"]:
                    session.get(result["url"])
                return
