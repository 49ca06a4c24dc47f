"""A picture that will not do is explained wherever somebody may look: header, journal, log of the training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mock_server.core.lifecycle import CANCELING_MS
from tests.conftest import GOOD, Vendor

DETECT = "/api/v1/services/vision/facedetection/detect"
JOBS = "/api/v1/fine-tunes"
SMALL = "https://assets.facechain.test/a.jpg?width=255&height=256"
WHY = "255x256"
NO_ASYNC = {"X-DashScope-Async": None}


def detected(vendor: Vendor, *urls: str) -> Any:
    body = {"model": "facechain-facedetect", "input": {"images": list(urls)}}
    return vendor.vendor_call("POST", DETECT, headers=NO_ASYNC, json=body)


def created(vendor: Vendor, url: str) -> Any:
    body = {"model": "facechain-finetune", "training_file_ids": [url]}
    return vendor.vendor_call("POST", JOBS, headers=NO_ASYNC, json=body)


def portrait(photo: str) -> dict[str, Any]:
    body = GOOD["train-free"]
    return {**body, "input": {**body["input"], "user_urls": ["https://photos.example/me.jpg", photo]}}


def explained(vendor: Vendor) -> str:
    """What the journal says of the latest request."""
    return str(vendor.admin("GET", "requests").get_json()["requests"][-1].get("explanation", ""))


def test_detection_explains_each_photo_that_it_refuses(vendor: Vendor) -> None:
    answer = detected(vendor, SMALL, "https://photos.example/me.jpg", "https://assets.facechain.test/b.jpg?faces=0")
    assert answer.status_code == 200
    reason = answer.headers["X-Mock-Reason"]
    assert reason.startswith("picture.resolution at input.images.0: ")
    assert WHY in reason
    assert "picture.face at input.images.2: " in reason
    assert explained(vendor) in reason


def test_what_is_well_is_not_explained(vendor: Vendor) -> None:
    for answer in (detected(vendor, "https://photos.example/me.jpg"), vendor.submit(), vendor.query("1111")):
        assert answer.status_code == 200
        assert "X-Mock-Reason" not in answer.headers
        assert explained(vendor) == ""


def test_a_portrait_that_will_fail_says_so_at_once_and_when_it_has(vendor: Vendor) -> None:
    answer = vendor.submit(portrait(SMALL))
    task = answer.get_json()["output"]["task_id"]
    expected = f"picture.resolution at input.user_urls.1: is {WHY}"
    assert answer.headers["X-Mock-Reason"].startswith(expected)
    assert "X-Mock-Reason" not in vendor.query(task).headers
    vendor.later(1_000)
    ended = vendor.query(task)
    assert ended.get_json()["output"]["code"] == "InvalidImageResolution"
    assert ended.headers["X-Mock-Reason"] == answer.headers["X-Mock-Reason"]
    assert explained(vendor).startswith(expected)
    assert vendor.admin("GET", "findings").get_json()["findings"] == []


def test_a_training_that_fails_says_why_and_so_does_its_log(vendor: Vendor) -> None:
    answer = created(vendor, SMALL)
    job = answer.get_json()["output"]["job_id"]
    expected = f"picture.resolution at training_file_ids.0: is {WHY}"
    assert answer.headers["X-Mock-Reason"].startswith(expected)
    vendor.later(10 * CANCELING_MS)
    ended = vendor.vendor_call("GET", f"{JOBS}/{job}", headers=NO_ASYNC)
    assert ended.get_json()["output"]["status"] == "FAILED"
    assert ended.headers["X-Mock-Reason"].startswith(expected)
    last = vendor.vendor_call("GET", f"{JOBS}/{job}/logs", headers=NO_ASYNC).get_json()["output"]["logs"][-1]
    assert f"training_file_ids.0 is {WHY}" in last


def test_a_planned_failure_is_not_explained_by_a_picture(vendor: Vendor) -> None:
    task = vendor.submitted(portrait("https://photos.example/a.jpg"), plan={"outcome": {"error": "algo_error"}})
    vendor.later(1_000)
    assert "X-Mock-Reason" not in vendor.query(task).headers


@pytest.mark.parametrize(("asked", "near"), [("mee.jpg", "me.jpg"), ("photos/yuo.png", "photos/you.png")])
def test_a_picture_that_is_not_in_the_folder_is_told_with_the_nearest(tmp_path: Path, asked: str, near: str) -> None:
    (tmp_path / "photos").mkdir()
    for name in ("me.jpg", "photos/you.png"):
        (tmp_path / name).write_bytes(b"")
    answer = detected(Vendor(assets=str(tmp_path)), f"https://assets.facechain.test/{asked}")
    assert answer.headers["X-Mock-Reason"].startswith("picture.download at input.images.0: ")
    assert f"nearest is '{near}'" in answer.headers["X-Mock-Reason"]


def test_a_picture_that_nobody_declared_is_told_with_the_nearest_that_somebody_did() -> None:
    vendor = Vendor(unknown_images="refuse")
    vendor.admin("POST", "assets", {"url": "https://cdn.example/x.jpg"})
    reason = detected(vendor, "https://cdn.example/x.jpg?v=2").headers["X-Mock-Reason"]
    assert reason.startswith("picture.known at input.images.0: ")
    assert reason.endswith("nearest is 'https://cdn.example/x.jpg' (assumed)")


@pytest.mark.parametrize(
    ("method", "path", "content", "text"),
    [
        ("POST", "assets", {"uri": "https://a/b"}, "the body has an unknown field 'uri'; nearest is 'url'"),
        ("POST", "resources", {"resource": "x"}, "the body has an unknown field 'resource'; nearest is 'resource_id'"),
        ("PUT", "scenario", {"senario": "happy"}, "the body has an unknown field 'senario'; nearest is 'scenario'"),
    ],
)
def test_a_misspelt_field_of_the_admin_api_is_told_with_the_nearest(
    vendor: Vendor, method: str, path: str, content: dict[str, Any], text: str
) -> None:
    answer = vendor.admin(method, path, content)
    assert (answer.status_code, answer.get_json()) == (400, {"error": text})


def test_a_misspelt_field_of_a_submission_is_told_where_the_right_one_is_missing(vendor: Vendor) -> None:
    body = {"model": "facechain-facedetect", "input": {"image": ["https://photos.example/me.jpg"]}}
    answer = vendor.vendor_call("POST", DETECT, headers=NO_ASYNC, json=body)
    assert "at input.images: is missing; nearest given is 'image'" in answer.headers["X-Mock-Reason"]


def test_the_host_of_declared_pictures_may_be_misspelt_too(vendor: Vendor) -> None:
    reason = detected(vendor, "https://asset.facechain.test/a.jpg?width=9").headers["X-Mock-Reason"]
    assert reason.startswith("mock.scenario at input.images.0: ")
    assert "nearest is assets.facechain.test" in reason
