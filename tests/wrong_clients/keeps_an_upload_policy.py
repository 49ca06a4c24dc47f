"""Asks for an upload policy once, and uploads by it for as long as it runs."""

from __future__ import annotations

from collections.abc import Callable

import httpx

from tests.wrong_clients.order import upload_form

SCENARIO, FINDING = "happy", "upload-policy-stale"


def run(base_url: str, key: str, sleep: Callable[[float], None]) -> None:
    asked = {"action": "getPolicy", "model": "facechain-generation"}
    answer = httpx.get(f"{base_url}/uploads", params=asked, headers={"Authorization": f"Bearer {key}"})
    policy = answer.json()["data"]
    for name in ("me.jpg", "me-too.jpg"):
        form = upload_form(policy, name)
        httpx.post(policy["upload_host"], data=form, files={"file": (name, b"a photo")}).raise_for_status()
        sleep(400)  # the user looks for the next photo
