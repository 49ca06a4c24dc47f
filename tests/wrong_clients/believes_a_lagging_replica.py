"""Takes UNKNOWN, right after submitting, for a task that is gone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import aiohttp

from tests.wrong_clients.order import IN_TIME, ORDER

SCENARIO, PLAN, FINDING = "replica-lag", IN_TIME, "task-abandoned"


async def portrait(base_url: str, key: str, sleep: Callable[[float], None]) -> None:
    headers = {"Authorization": f"Bearer {key}", "X-DashScope-Async": "enable"}
    async with aiohttp.ClientSession() as session:
        submission = session.post(f"{base_url}/services/aigc/album/gen_potrait", json=ORDER, headers=headers)
        async with submission as answer:
            output = (await answer.json())["output"]
        while output["task_status"] in ("PENDING", "RUNNING"):
            sleep(2)
            async with session.get(f"{base_url}/tasks/{output['task_id']}", headers=headers) as answer:
                output = (await answer.json())["output"]
        for result in output.get("results", []):
            await session.get(result["url"])


def run(base_url: str, key: str, sleep: Callable[[float], None]) -> None:
    asyncio.run(portrait(base_url, key, sleep))
