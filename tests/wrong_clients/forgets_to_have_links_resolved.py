"""Uploads a photo, and submits its oss:// link without the header that has the vendor resolve it."""

from __future__ import annotations

from collections.abc import Callable

import requests

from tests.wrong_clients.order import WITH_PHOTO, upload_form

SCENARIO, FINDING = "happy", "oss-link-unresolved"


def run(base_url: str, key: str, sleep: Callable[[float], None]) -> None:
    headers = {"Authorization": f"Bearer {key}", "X-DashScope-Async": "enable"}
    asked = {"action": "getPolicy", "model": "facechain-generation"}
    policy = requests.get(f"{base_url}/uploads", params=asked, headers=headers, timeout=9).json()["data"]
    form = upload_form(policy, "me.jpg")
    requests.post(policy["upload_host"], data=form, files={"file": ("me.jpg", b"a photo")}, timeout=9)
    order = {**WITH_PHOTO, "input": {**WITH_PHOTO["input"], "user_urls": [f"oss://{form['key']}"]}}
    answer = requests.post(f"{base_url}/services/aigc/album/gen_potrait", json=order, headers=headers, timeout=9)
    answer.raise_for_status()
