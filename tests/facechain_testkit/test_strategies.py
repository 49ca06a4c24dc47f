"""The Hypothesis strategies: the mocked vendor takes what is valid, refuses the rest by name, and examples shrink."""

import json
import subprocess
import sys
from functools import cache
from io import BytesIO
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, find, given, settings
from hypothesis import strategies as st
from werkzeug.test import TestResponse

from contracts import catalogue
from contracts.validation import RequestContract, answer_violations
from facechain_testkit.provider import MODES, OUTCOMES, BadImage, InvalidBody, Mode, breakable_rules
from facechain_testkit.strategies import (
    api_keys,
    bad_image_urls,
    detection_bodies,
    file_ids,
    image_urls,
    invalid_detection_bodies,
    invalid_job_bodies,
    invalid_submit_bodies,
    job_bodies,
    job_ids,
    photos,
    plans,
    resource_ids,
    submit_bodies,
    task_histories,
)
from mock_server.app import create_app
from mock_server.core.plans import Plan, plan_from_json
from mock_server.settings import Settings

CONTRACT = RequestContract()
PORTRAITS = "services/aigc/album/gen_potrait"
DETECTIONS = "services/vision/facedetection/detect"
TRAININGS = "fine-tunes"
TRAIN_FREE = catalogue.examples("portrait-request")["good"]["train-free"]
Bodies = st.SearchStrategy[dict[str, Any]]


def steadily(examples: int = 50) -> settings:
    """The same examples in every run, however slow the machine is."""
    slowly = [HealthCheck.too_slow]
    return settings(derandomize=True, deadline=None, database=None, max_examples=examples, suppress_health_check=slowly)


@cache
def client() -> FlaskClient:
    """One vendor without limits: nothing that is submitted here waits for anything else."""
    return create_app(Settings(limits="off", seed=7)).test_client()


def submitted(body: object, key: str = "sk-any", path: str = PORTRAITS, **headers: str) -> TestResponse:
    usual = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    if path == PORTRAITS:
        usual["X-DashScope-Async"] = "enable"
    return client().post(f"/api/v1/{path}", data=json.dumps(body), headers={**usual, **headers})


@pytest.mark.parametrize("mode", [None, *MODES])
def test_the_vendor_takes_a_valid_submission(mode: Mode | None) -> None:
    @steadily()
    @given(submit_bodies(mode), api_keys())
    def takes(body: dict[str, Any], key: str) -> None:
        assert CONTRACT.violations(body) == []
        assert submitted(body, key).status_code == 200

    takes()


@steadily(150)
@given(invalid_submit_bodies())
def test_the_vendor_refuses_an_invalid_submission_by_the_rule_it_names(invalid: InvalidBody) -> None:
    answer = submitted(invalid.body)
    row = catalogue.errors()[invalid.error]
    assert (answer.status_code, answer.get_json()["code"]) == (row.status, row.code)
    assert answer.headers["X-Mock-Reason"].startswith(f"{invalid.rule} at {invalid.place or 'body'}: ")


@pytest.mark.parametrize(("bodies", "path"), [(detection_bodies(), DETECTIONS), (job_bodies(), TRAININGS)])
def test_the_vendor_takes_a_valid_body_of_the_family(bodies: Bodies, path: str) -> None:
    @steadily()
    @given(bodies)
    def takes(body: dict[str, Any]) -> None:
        answer = submitted(body, path=path)
        assert answer.status_code == 200
        assert all(answer.get_json()["output"].get("is_face", [True]))

    takes()


@pytest.mark.parametrize(
    ("bodies", "path"), [(invalid_detection_bodies(), DETECTIONS), (invalid_job_bodies(), TRAININGS)]
)
def test_the_vendor_refuses_an_invalid_body_of_the_family(bodies: st.SearchStrategy[InvalidBody], path: str) -> None:
    @steadily(150)
    @given(bodies)
    def refuses(invalid: InvalidBody) -> None:
        answer = submitted(invalid.body, path=path)
        row = catalogue.errors()[invalid.error]
        assert (answer.status_code, answer.get_json()["code"]) == (row.status, row.code)
        assert answer.headers["X-Mock-Reason"].startswith(f"{invalid.rule} at {invalid.place or 'body'}: ")

    refuses()


@steadily()
@given(bad_image_urls(kind="detection"))
def test_detection_refuses_a_bad_picture_by_its_reason(bad: BadImage) -> None:
    answer = submitted({"model": "facechain-facedetect", "input": {"images": [bad.url]}}, path=DETECTIONS)
    assert answer.get_json()["output"] == {"is_face": [False], "failed_reason": [bad.reason]}


@steadily(20)
@given(bad_image_urls())
def test_a_task_with_a_bad_picture_fails_by_its_error(bad: BadImage) -> None:
    body = {**TRAIN_FREE, "input": {**TRAIN_FREE["input"], "user_urls": [bad.url]}}
    task_id = submitted(body, **{"X-Mock-Scenario": "immediate"}).get_json()["output"]["task_id"]
    answer = client().get(f"/api/v1/tasks/{task_id}", headers={"Authorization": "Bearer sk-any"}).get_json()["output"]
    assert (answer["task_status"], answer["code"]) == ("FAILED", catalogue.errors()[bad.error].code)


@steadily(20)
@given(photos(), job_ids(), file_ids())
def test_a_file_can_be_uploaded_and_what_was_not_is_not_found(photo: bytes, job_id: str, file_id: str) -> None:
    headers = {"Authorization": "Bearer sk-any"}
    form = {"files": (BytesIO(photo), "me.jpg")}
    kept = client().post("/api/v1/files", data=form, headers=headers).get_json()["data"]["uploaded_files"]
    shown = client().get(f"/api/v1/files/{kept[0]['file_id']}", headers=headers).get_json()["data"]
    assert shown["size"] == len(photo)
    assert client().delete(f"/api/v1/files/{kept[0]['file_id']}", headers=headers).status_code == 200
    for path, status in ((f"fine-tunes/{job_id}", 404), (f"files/{file_id}", 400)):
        assert client().get(f"/api/v1/{path}", headers=headers).status_code == status


@pytest.mark.parametrize("rule", breakable_rules())
def test_a_rule_is_broken_when_it_is_named(rule: str) -> None:
    @steadily(6)
    @given(invalid_submit_bodies(rule))
    def is_broken(invalid: InvalidBody) -> None:
        assert invalid.rule == rule
        assert not CONTRACT.is_valid(invalid.body)
        assert submitted(invalid.body).headers["X-Mock-Reason"].startswith(f"{rule} at ")

    is_broken()


@steadily()
@given(submit_bodies("preset"), resource_ids())
def test_the_vendor_takes_a_resource_id(body: dict[str, Any], resource_id: str) -> None:
    body["resources"][0]["resource_id"] = resource_id
    assert submitted(body).status_code == 200


@steadily()
@given(submit_bodies("train_free"), image_urls("template"), st.lists(image_urls(), min_size=1, max_size=5))
def test_the_vendor_takes_a_picture(body: dict[str, Any], template: str, photos: list[str]) -> None:
    body["input"] = {"template_url": template, "user_urls": photos}
    assert submitted(body).status_code == 200


@steadily()
@given(submit_bodies(), plans())
def test_the_vendor_takes_a_plan(body: dict[str, Any], plan: dict[str, Any]) -> None:
    assert plan_from_json(plan, Plan()).progression == plan["progression"]
    assert submitted(body, **{"X-Mock-Plan": json.dumps(plan)}).status_code == 200


@steadily()
@given(task_histories())
def test_a_history_keeps_the_contract(history: list[dict[str, Any]]) -> None:
    assert [problem for answer in history for problem in answer_violations("task", answer)] == []
    assert history[0]["output"]["task_status"] == "PENDING"
    assert history[-1]["output"]["task_status"] in OUTCOMES


@pytest.mark.parametrize(("rule", "edges"), [("portrait.n.range", (0, 5)), ("portrait.user-urls.count", (0, 6))])
def test_a_number_out_of_range_shrinks_to_the_edge(rule: str, edges: tuple[int, int]) -> None:
    def number(invalid: InvalidBody) -> int:
        body = invalid.body
        return len(body["input"]["user_urls"]) if "urls" in rule else body["parameters"]["n"]

    below = find(invalid_submit_bodies(rule), lambda invalid: number(invalid) < 1, settings=steadily())
    above = find(invalid_submit_bodies(rule), lambda invalid: number(invalid) > 1, settings=steadily())
    assert (number(below), number(above)) == edges


def test_a_submission_shrinks_to_what_its_mode_needs() -> None:
    body = find(submit_bodies(), lambda body: body["parameters"].get("n", 0) > 1, settings=steadily(100))
    assert body == {
        "model": "facechain-generation",
        "parameters": {"style": "f_idcard_male", "n": 2},
        "resources": [{"resource_id": "women_model", "resource_type": "facelora"}],
    }


def test_a_picture_shrinks_to_the_least_that_its_limits_allow() -> None:
    url = find(image_urls(), lambda url: "format=png" in url, settings=steadily(100))
    assert url.endswith("-000000.jpg?width=256&height=256&bytes=3276&format=png&faces=1&face_px=128&angle=0")


def test_without_hypothesis_the_import_says_what_to_install() -> None:
    script = "import sys; sys.modules['hypothesis'] = None; import facechain_testkit.strategies"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False, text=True)
    assert run.stderr.strip().endswith("needs Hypothesis: pip install facechain-testkit[hypothesis]")
