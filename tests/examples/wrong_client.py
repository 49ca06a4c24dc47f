# mypy: ignore-errors
# ruff: noqa: S113 - a timeout would be better, and longer to read
import requests

API = "https://dashscope.aliyuncs.com/api/v1"


def make_portrait(key, order):
    headers = {"Authorization": f"Bearer {key}", "X-DashScope-Async": "enable"}
    submitted = requests.post(f"{API}/services/aigc/album/gen_potrait", json=order, headers=headers).json()
    while True:
        task = requests.get(f"{API}/tasks/{submitted['output']['task_id']}", headers=headers).json()["output"]
        if task["task_status"] == "SUCCEEDED":
            return task["results"]


def test_a_portrait(facechain, order):
    make_portrait(facechain.api_key, order)
    facechain.assert_clean()
