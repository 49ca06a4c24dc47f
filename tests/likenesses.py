"""What tests of detection and training share: the calls of a client, spelled once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from werkzeug.test import TestResponse

from mock_server.core.model import DETECTION_MODEL, TRAINING_MODEL
from tests.conftest import PRESET, Vendor

DETECT = "/api/v1/services/vision/facedetection/detect"
JOBS = "/api/v1/fine-tunes"
PHOTO = "https://pictures.example/me.jpg"
TRAINING: Mapping[str, Any] = {"model": TRAINING_MODEL, "training_file_ids": [PHOTO]}
SLOW = {"progression": "time", "pending_ms": 1_000, "running_ms": 60_000}


def asset(name: str = "me.jpg", /, **properties: object) -> str:
    """The URL of a photo that is as its query says."""
    return f"https://assets.facechain.test/{name}?" + "&".join(f"{key}={value}" for key, value in properties.items())


NO_FACE = asset(faces=0)


def detection(*urls: object) -> dict[str, Any]:
    return {"model": DETECTION_MODEL, "input": {"images": list(urls)}, "parameters": {}}


def training(*files: object) -> dict[str, Any]:
    return {**TRAINING, "training_file_ids": list(files)}


def family_call(vendor: Vendor, method: str, path: str, **more: Any) -> TestResponse:
    """A call with a key, and without the header of calls that are answered later."""
    headers = {"X-DashScope-Async": None, **(more.pop("headers", None) or {})}
    return vendor.vendor_call(method, path, headers=headers, **more)


def detect(vendor: Vendor, *urls: object, **more: Any) -> TestResponse:
    return family_call(vendor, "POST", DETECT, json=detection(*urls or (PHOTO,)), **more)


def detected(vendor: Vendor, *urls: object, **more: Any) -> list[tuple[bool, str]]:
    """For each photo whether it has a face, and why not."""
    answer = detect(vendor, *urls, **more)
    assert answer.status_code == 200, answer.text
    output = answer.get_json()["output"]
    return list(zip(output["is_face"], output["failed_reason"], strict=True))


def train(vendor: Vendor, *files: object, plan: Mapping[str, Any] | None = None, **more: Any) -> TestResponse:
    """Create a job; ``plan`` is queued for it first."""
    if plan is not None:
        assert vendor.admin("POST", "plans", {"model": TRAINING_MODEL, **plan}).status_code == 201
    content = {} if "data" in more else {"json": more.pop("body", training(*files or (PHOTO,)))}
    return family_call(vendor, "POST", JOBS, **content, **more)


def trained(vendor: Vendor, *files: object, **more: Any) -> str:
    """The id of a job that was accepted. Where limits count, a second passes first."""
    vendor.later(1_000 if vendor.settings.limits == "documented" else 0)
    answer = train(vendor, *files, **more)
    assert answer.status_code == 200, answer.text
    return str(answer.get_json()["output"]["job_id"])


def get_job(vendor: Vendor, job_id: str, **more: Any) -> TestResponse:
    return family_call(vendor, "GET", f"{JOBS}/{job_id}", **more)


def job_of(vendor: Vendor, job_id: str, **more: Any) -> dict[str, Any]:
    """What asking for a job answers under ``output``."""
    answer = get_job(vendor, job_id, **more)
    assert answer.status_code == 200, answer.text
    output: dict[str, Any] = answer.get_json()["output"]
    return output


def job_status(vendor: Vendor, job_id: str, **more: Any) -> str:
    return str(job_of(vendor, job_id, **more)["status"])


def jobs(vendor: Vendor, query: str = "", **more: Any) -> dict[str, Any]:
    """What a list of jobs answers under ``output``."""
    answer = family_call(vendor, "GET", f"{JOBS}?{query}" if query else JOBS, **more)
    assert answer.status_code == 200, answer.text
    output: dict[str, Any] = answer.get_json()["output"]
    return output


def cancel_job(vendor: Vendor, job_id: str, **more: Any) -> TestResponse:
    return family_call(vendor, "POST", f"{JOBS}/{job_id}/cancel", **more)


def delete_job(vendor: Vendor, job_id: str, **more: Any) -> TestResponse:
    return family_call(vendor, "DELETE", f"{JOBS}/{job_id}", **more)


def likeness(job_id: str) -> str:
    """The ``resource_id`` of what a job trains."""
    return f"{TRAINING_MODEL}-{job_id}"


def portrait(*likenesses: str) -> dict[str, Any]:
    resources = [{"resource_id": each, "resource_type": "facelora"} for each in likenesses]
    return {**PRESET, "resources": resources}


def rule_of(answer: TestResponse) -> str:
    """The rule that an answer was refused by."""
    return str(answer.headers["x-mock-reason"]).partition(":")[0].partition(" at ")[0]
