"""Asks for the finished task anew before each picture, though the links were all in the first answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import aiohttp

from tests.wrong_clients.order import ORDER

SCENARIO, FINDING = "immediate", "polled-after-end"


async def portrait(base_url: str, key: str, sleep: Callable[[float], None]) -> None:
    headers = {"Authorization": f"Bearer {key}", "X-DashScope-Async": "enable"}
    async with aiohttp.ClientSession() as session:
        submission = session.post(f"{base_url}/services/aigc/album/gen_potrait", json=ORDER, headers=headers)
        async with submission as answer:
            task_id = (await answer.json())["output"]["task_id"]
        for number in range(ORDER["parameters"]["n"]):
            sleep(2)
            async with session.get(f"{base_url}/tasks/{task_id}", headers=headers) as answer:
                output: dict[str, Any] = (await answer.json())["output"]
            async with session.get(output["results"][number]["url"]) as picture:
                await picture.read()


def run(base_url: str, key: str, sleep: Callable[[float], None]) -> None:
    asyncio.run(portrait(base_url, key, sleep))
