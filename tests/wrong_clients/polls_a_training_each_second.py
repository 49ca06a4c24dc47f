"""Asks for a training as often as for a portrait, though it takes minutes."""

from __future__ import annotations

from collections.abc import Callable

import httpx

from tests.wrong_clients.order import PHOTO

SCENARIO, FINDING = "slow-training", "job-polled-too-fast"


def run(base_url: str, key: str, sleep: Callable[[float], None]) -> None:
    headers = {"Authorization": f"Bearer {key}"}
    order = {"model": "facechain-finetune", "training_file_ids": [PHOTO]}
    with httpx.Client(base_url=base_url, headers=headers) as client:
        job = client.post("/fine-tunes", json=order).json()["output"]
        while job["status"] not in ("SUCCEEDED", "FAILED", "CANCELED"):
            sleep(1)
            job = client.get(f"/fine-tunes/{job['job_id']}").json()["output"]
    print(job["finetuned_output"])
