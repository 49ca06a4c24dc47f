"""Has the key in the headers of its session, and uses that session for the pictures too."""

from __future__ import annotations

from collections.abc import Callable

import requests

from tests.wrong_clients.order import ORDER

SCENARIO, FINDING = "happy", "key-sent-to-storage"


def run(base_url: str, key: str, sleep: Callable[[float], None]) -> None:
    session = requests.Session()
    session.headers.update({"Authorization": f"Bearer {key}", "X-DashScope-Async": "enable"})
    output = session.post(f"{base_url}/services/aigc/album/gen_potrait", json=ORDER).json()["output"]
    while output["task_status"] in ("PENDING", "RUNNING"):
        sleep(2)
        output = session.get(f"{base_url}/tasks/{output['task_id']}").json()["output"]
    for result in output["results"]:
        session.get(result["url"])
