# mypy: ignore-errors
# ruff: noqa: S113 - a timeout would be better, and longer to read
import http.client

import httpx
import pytest
import requests

API = "https://dashscope.aliyuncs.com/api/v1"


def test_all_ways_lead_to_one_vendor(facechain, order):
    headers = {"Authorization": f"Bearer {facechain.api_key}", "X-DashScope-Async": "enable"}
    answer = httpx.post(f"{API}/services/aigc/album/gen_potrait", json=order, headers=headers).json()
    task = f"tasks/{answer['output']['task_id']}"
    assert requests.get(f"{API}/{task}", headers=headers).json()["output"]["task_status"] == "RUNNING"
    assert requests.get(f"{facechain.base_url}/{task}", headers=headers).json()["output"]["task_status"] == "SUCCEEDED"
    assert [request["operation"] for request in facechain.journal] == ["submit_portrait", "query_task", "query_task"]


def test_no_way_leads_to_the_real_vendor(facechain):
    with pytest.raises(ConnectionError, match="is the real vendor"):
        http.client.HTTPSConnection("dashscope.aliyuncs.com").request("GET", "/")
