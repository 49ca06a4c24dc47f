"""Every part of the page that shows the task asks for it, all at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import aiohttp

from tests.wrong_clients.order import ORDER

SCENARIO, FINDING = "happy", "polled-too-fast"


async def show(session: aiohttp.ClientSession, base_url: str, task_id: str) -> dict[str, str]:
    async with session.get(f"{base_url}/tasks/{task_id}") as answer:
        output: dict[str, str] = (await answer.json())["output"]
        return output


async def watch(base_url: str, key: str, sleep: Callable[[float], None]) -> None:
    headers = {"Authorization": f"Bearer {key}", "X-DashScope-Async": "enable"}
    async with aiohttp.ClientSession(headers=headers) as session:
        async with session.post(f"{base_url}/services/aigc/album/gen_potrait", json=ORDER) as answer:
            task_id = (await answer.json())["output"]["task_id"]
        sleep(5)
        bar, title = await asyncio.gather(*(show(session, base_url, task_id) for _ in range(2)))
    async with aiohttp.ClientSession() as without_key:
        for result in (bar.get("results") or title.get("results")) or []:
            await without_key.get(result["url"])  # type: ignore[index] # from the network


def run(base_url: str, key: str, sleep: Callable[[float], None]) -> None:
    asyncio.run(watch(base_url, key, sleep))
