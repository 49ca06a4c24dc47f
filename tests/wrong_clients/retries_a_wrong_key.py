"""Submits on and on with a key that was refused, as if that were a matter of time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import aiohttp

from tests.wrong_clients.order import ORDER

SCENARIO, FINDING = "invalid-key", "retried-in-vain"


async def submit(base_url: str, key: str, sleep: Callable[[float], None]) -> None:
    headers = {"Authorization": f"Bearer {key}", "X-DashScope-Async": "enable"}
    async with aiohttp.ClientSession(headers=headers) as session:
        for _ in range(3):
            async with session.post(f"{base_url}/services/aigc/album/gen_potrait", json=ORDER) as answer:
                if answer.status == 200:
                    return
            sleep(5)
    raise PermissionError("still refused")


def run(base_url: str, key: str, sleep: Callable[[float], None]) -> None:
    asyncio.run(submit(base_url, key, sleep))
