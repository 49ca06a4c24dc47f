"""Keeps links in place of pictures, and follows them when somebody looks: the day after."""

from __future__ import annotations

from collections.abc import Callable

import httpx

from tests.wrong_clients.order import ORDER

SCENARIO, FINDING = "happy", "link-expired"


def run(base_url: str, key: str, sleep: Callable[[float], None]) -> None:
    headers = {"Authorization": f"Bearer {key}", "X-DashScope-Async": "enable"}
    output = httpx.post(f"{base_url}/services/aigc/album/gen_potrait", json=ORDER, headers=headers).json()["output"]
    while output["task_status"] in ("PENDING", "RUNNING"):
        sleep(2)
        output = httpx.get(f"{base_url}/tasks/{output['task_id']}", headers=headers).json()["output"]
    album = [result["url"] for result in output["results"]]
    sleep(25 * 3600)
    for url in album:
        httpx.get(url)
