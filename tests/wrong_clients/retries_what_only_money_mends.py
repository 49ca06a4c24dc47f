"""Retries every refusal alike, with patience, also the one that says the account owes money."""

from __future__ import annotations

from collections.abc import Callable

import requests

from tests.wrong_clients.order import ORDER

SCENARIO, FINDING = "arrears", "retried-in-vain"


def run(base_url: str, key: str, sleep: Callable[[float], None]) -> None:
    headers = {"Authorization": f"Bearer {key}", "X-DashScope-Async": "enable"}
    for attempt in range(4):
        answer = requests.post(f"{base_url}/services/aigc/album/gen_potrait", json=ORDER, headers=headers, timeout=9)
        if answer.ok:
            break
        sleep(2**attempt)
    answer.raise_for_status()
