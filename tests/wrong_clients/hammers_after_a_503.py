"""Asks an overloaded service again at once, as an HTTP adapter does that retries without back-off."""

from __future__ import annotations

from collections.abc import Callable

import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from tests.wrong_clients.order import ORDER

SCENARIO, FINDING = "poll-503", "no-back-off"


def run(base_url: str, key: str, sleep: Callable[[float], None]) -> None:
    session = requests.Session()
    for scheme in ("http://", "https://"):
        session.mount(scheme, HTTPAdapter(max_retries=Retry(5, status_forcelist=[503])))
    headers = {"Authorization": f"Bearer {key}", "X-DashScope-Async": "enable"}
    output = session.post(f"{base_url}/services/aigc/album/gen_potrait", json=ORDER, headers=headers).json()["output"]
    while output["task_status"] in ("PENDING", "RUNNING"):
        sleep(2)
        output = session.get(f"{base_url}/tasks/{output['task_id']}", headers=headers).json()["output"]
    for result in output["results"]:
        session.get(result["url"])
