# mypy: ignore-errors
import unittest

import httpx

from facechain_testkit import mock_facechain

API = "https://dashscope.aliyuncs.com/api/v1"


@mock_facechain(scenario="invalid-key")
async def test_a_coroutine(facechain):
    async with httpx.AsyncClient() as session:
        answer = await session.get(f"{API}/tasks", headers={"Authorization": f"Bearer {facechain.api_key}"})
    assert answer.json()["code"] == "InvalidApiKey"


@mock_facechain()
class PortraitTests(unittest.TestCase):
    def test_a_key_is_needed(self):
        assert httpx.get(f"{API}/tasks").status_code == 401
