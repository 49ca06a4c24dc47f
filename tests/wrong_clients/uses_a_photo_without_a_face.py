"""Asks detection about a photo, drops the answer, and orders the portrait of a photo without a face."""

from __future__ import annotations

from collections.abc import Callable

import requests

from tests.wrong_clients.order import PHOTO, WITH_PHOTO

SCENARIO, FINDING = "no-face", "photo-refused-before"


def run(base_url: str, key: str, sleep: Callable[[float], None]) -> None:
    headers = {"Authorization": f"Bearer {key}"}
    look = {"model": "facechain-facedetect", "input": {"images": [PHOTO]}, "parameters": {}}
    requests.post(f"{base_url}/services/vision/facedetection/detect", json=look, headers=headers, timeout=9)
    headers["X-DashScope-Async"] = "enable"
    answer = requests.post(f"{base_url}/services/aigc/album/gen_potrait", json=WITH_PHOTO, headers=headers, timeout=9)
    output = answer.json()["output"]
    while output["task_status"] in ("PENDING", "RUNNING"):
        sleep(2)
        output = requests.get(f"{base_url}/tasks/{output['task_id']}", headers=headers, timeout=9).json()["output"]
    if output["task_status"] != "SUCCEEDED":
        raise RuntimeError(output.get("message"))
