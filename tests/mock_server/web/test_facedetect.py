"""Detecting faces over HTTP: what is answered for which photo, at once and free of charge, and what is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from contracts import catalogue
from mock_server.core.facedetect import MOST_IMAGES
from mock_server.core.journal import MOST_PICTURES
from mock_server.core.model import DETECTION_MODEL, MODEL, TRAINING_MODEL
from tests.conftest import SUBMIT, Vendor
from tests.likenesses import DETECT, NO_FACE, PHOTO, asset, detect, detected, detection, family_call, rule_of
from tests.uploads import RESOLVED, photo, uploaded

EXAMPLES = catalogue.examples("detection-request")
LIMITS = catalogue.limits()["images"]["detection"]
FINE = (True, "")


# -- answers ----------------------------------------------------------------------------------------------------------


def test_detection_answers_at_once_and_with_exactly_these_fields(vendor: Vendor) -> None:
    answer = detect(vendor, PHOTO, NO_FACE)
    assert (answer.status_code, answer.get_json()) == (
        200,
        {
            "output": {"is_face": [True, False], "failed_reason": ["", "no face detected"]},
            "usage": {},
            "request_id": answer.headers["x-request-id"],
        },
    )
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("properties", "reason"),
    [
        ({}, ""),
        ({"faces": 0}, "face"),
        ({"faces": 2}, "faces"),
        ({"faces": 1000}, "faces"),
        ({"face_px": LIMITS["min_face_px"]}, ""),
        ({"face_px": LIMITS["min_face_px"] - 1}, "face-size"),
        ({"format": "webp"}, ""),
        ({"format": "png"}, ""),
        ({"format": "gif"}, "format"),
        ({"format": "heic"}, "format"),
        ({"bytes": LIMITS["max_bytes"]}, ""),
        ({"bytes": LIMITS["max_bytes"] + 1}, "bytes"),
        ({"width": 256, "height": 256, "face_px": 200}, ""),
        ({"width": 255, "height": 256, "face_px": 200}, "resolution"),
        ({"width": 256, "height": 255, "face_px": 200}, "resolution"),
        ({"width": 4096, "height": 4096}, ""),
        ({"width": 4097, "height": 256, "face_px": 200}, "resolution"),
        ({"width": 256, "height": 4097, "face_px": 200}, "resolution"),
        ({"faces": 0, "format": "gif"}, "format"),
        ({"faces": 0, "width": 10, "height": 10}, "resolution"),
    ],
    ids=str,
)
def test_a_photo_is_judged_by_the_limits_of_detection(vendor: Vendor, properties: dict[str, Any], reason: str) -> None:
    expected = (False, catalogue.picture_problems()[reason].reason) if reason else FINE
    assert detected(vendor, asset(angle=0, **properties)) == [expected]


@pytest.mark.parametrize(("angle", "is_face"), [(0, True), (15, True), (16, False), (90, False)])
def test_a_face_may_be_turned_as_far_as_for_portraits(vendor: Vendor, angle: int, is_face: bool) -> None:
    """The page asks for a frontal face and gives no number."""
    reason = "" if is_face else catalogue.picture_problems()["angle"].reason
    assert detected(vendor, asset(angle=angle)) == [(is_face, reason)]


def test_a_photo_may_pass_detection_and_be_too_large_for_a_portrait(vendor: Vendor) -> None:
    large = asset(width=4000, height=4000)
    assert detected(vendor, large) == [FINE]
    body = catalogue.examples("portrait-request")["good"]["train-free"]
    task = vendor.submitted({**body, "input": {**body["input"], "user_urls": [large]}})
    vendor.later(1_000)
    assert vendor.output(task)["code"] == "InvalidImageResolution"


def test_only_the_reason_that_is_published_counts_as_documented() -> None:
    documented = {row.reason for row in catalogue.picture_problems().values() if row.evidence == "documented"}
    assert documented == {"no face detected"}


def test_the_answers_run_beside_the_photos(vendor: Vendor) -> None:
    photos = [NO_FACE, PHOTO, asset(faces=2), NO_FACE, PHOTO, asset(width=1)]
    reasons = [catalogue.picture_problems()[name].reason for name in ("face", "faces", "face", "resolution")]
    assert detected(vendor, *photos) == [
        (False, reasons[0]),
        FINE,
        (False, reasons[1]),
        (False, reasons[2]),
        FINE,
        (False, reasons[3]),
    ]


def test_a_photo_that_is_given_twice_is_answered_twice(vendor: Vendor) -> None:
    assert detected(vendor, *[NO_FACE] * 3, *[PHOTO] * 2) == [(False, "no face detected")] * 3 + [FINE] * 2


@pytest.mark.parametrize("number", [MOST_PICTURES - 1, MOST_PICTURES, MOST_PICTURES + 1, MOST_IMAGES])
def test_a_list_may_be_long(vendor: Vendor, number: int) -> None:
    """No most number is documented; the journal remembers the first ones alone."""
    photos = [NO_FACE if index % 3 == 0 else f"{PHOTO}?{index}" for index in range(number)]
    assert [is_face for is_face, _ in detected(vendor, *photos)] == [index % 3 != 0 for index in range(number)]


def test_a_list_may_not_be_endless(vendor: Vendor) -> None:
    answer = detect(vendor, *[PHOTO] * (MOST_IMAGES + 1))
    assert (answer.status_code, answer.get_json()["code"]) == (400, "InvalidParameter")
    assert answer.headers["X-Mock-Reason"].startswith("mock.images at input.images: holds 1001 pictures")


def test_detection_costs_nothing_and_makes_no_task(vendor: Vendor) -> None:
    detect(vendor)
    ledger = vendor.admin("GET", "ledger").get_json()
    assert (ledger["submissions"], ledger["expected"]) == (0, 0)
    assert vendor.admin("GET", "tasks").get_json()["tasks"] == vendor.admin("GET", "jobs").get_json()["jobs"] == []


def test_detection_says_the_same_in_the_middle_of_everything_else(vendor: Vendor) -> None:
    vendor.submitted()
    assert detected(vendor, PHOTO, NO_FACE) == [FINE, (False, "no face detected")]
    vendor.later(1_000)
    assert detected(vendor, PHOTO, NO_FACE) == [FINE, (False, "no face detected")]


# -- what is known of a photo -----------------------------------------------------------------------------------------


def test_a_photo_of_which_nothing_is_known_is_a_good_one(vendor: Vendor) -> None:
    assert (
        detected(vendor, "http://x.example/a", "https://x.example/b.txt", "https://assets.facechain.test/c.jpg")
        == [FINE] * 3
    )


def test_what_was_declared_of_a_url_counts(vendor: Vendor) -> None:
    assert vendor.admin("POST", "assets", {"url": PHOTO, "faces": 0}).status_code == 201
    assert detected(vendor, PHOTO, f"{PHOTO}?x") == [(False, "no face detected"), FINE]
    assert vendor.admin("DELETE", "assets").status_code == 200
    assert detected(vendor, PHOTO) == [FINE]


def test_what_was_declared_in_a_session_counts_there_alone(vendor: Vendor) -> None:
    one, other = vendor.of_session("one"), vendor.of_session("other")
    one.admin("POST", "assets", {"url": PHOTO, "faces": 0})
    assert detected(one, PHOTO) == [(False, "no face detected")]
    assert detected(other, PHOTO) == detected(vendor, PHOTO) == [FINE]


def test_a_photo_that_nobody_declared_may_be_refused() -> None:
    vendor = Vendor(unknown_images="refuse")
    message = catalogue.errors()["invalid_url"].message
    assert detected(vendor, PHOTO, asset(faces=1)) == [(False, message), FINE]


def test_a_url_that_declares_nonsense_is_refused(vendor: Vendor) -> None:
    answer = detect(vendor, PHOTO, asset(smiles=3))
    assert (answer.status_code, rule_of(answer)) == (400, "picture.asset")
    assert " at input.images.1: " in answer.headers["x-mock-reason"]


@pytest.mark.parametrize("carrier", ["header", "key", "session", "host"])
def test_the_scenario_without_faces_holds_for_every_photo_of_the_call(vendor: Vendor, carrier: str) -> None:
    photos = [PHOTO, asset(faces=1)]
    more: dict[str, Any] = {}
    if carrier == "header":
        more = {"headers": {"X-Mock-Scenario": "no-face"}}
    elif carrier == "key":
        more = {"key": "sk-mock-no-face"}
    elif carrier == "session":
        vendor.admin("PUT", "scenario", {"scenario": "no-face"})
    else:
        photos.append("https://no-face.facechain.test/me.jpg")
    assert detected(vendor, *photos, **more) == [(False, "no face detected")] * len(photos)


# -- temporary uploads ------------------------------------------------------------------------------------------------


def test_a_temporary_upload_is_looked_at(vendor: Vendor) -> None:
    good, small = (uploaded(vendor, photo(side, side), model=DETECTION_MODEL) for side in (300, 255))
    reason = catalogue.picture_problems()["resolution"].reason
    assert detected(vendor, good, small, headers=RESOLVED) == [FINE, (False, reason)]


@pytest.mark.parametrize("value", [None, "", "disable", "true"])
def test_an_oss_link_needs_its_header(vendor: Vendor, value: str | None) -> None:
    link = uploaded(vendor, model=DETECTION_MODEL)
    answer = detect(vendor, PHOTO, link, headers={"X-DashScope-OssResourceResolve": value})
    row = catalogue.errors()["media_format"]
    assert (answer.status_code, answer.get_json()["code"]) == (row.status, row.code)
    assert rule_of(answer) == "oss.resolve-header"
    assert "input.images.1 is an oss:// link; send enable" in answer.headers["x-mock-reason"]


def unknown_link(vendor: Vendor) -> str:
    return "oss://dashscope-instant/nobody/2026-01-15/me.jpg"


def link_of_another_model(vendor: Vendor) -> str:
    return uploaded(vendor, photo(), model=MODEL)


def link_of_another_account(vendor: Vendor) -> str:
    return uploaded(vendor, photo(), model=DETECTION_MODEL, key="sk-other")


def link_of_the_day_before_yesterday(vendor: Vendor) -> str:
    link = uploaded(vendor, photo(), model=DETECTION_MODEL)
    vendor.clock.advance("48h")
    return link


LOST = [unknown_link, link_of_another_model, link_of_another_account, link_of_the_day_before_yesterday]


@pytest.mark.parametrize("lose", LOST, ids=lambda lose: str(lose.__name__))
def test_a_link_that_leads_nowhere_shows_no_face(vendor: Vendor, lose: Any) -> None:
    link = lose(vendor)
    message = catalogue.errors()["media_unreachable"].message
    assert detected(vendor, PHOTO, link, headers=RESOLVED) == [FINE, (False, message)]


def test_an_upload_is_there_until_the_last_millisecond(vendor: Vendor) -> None:
    link = uploaded(vendor, photo(), model=DETECTION_MODEL)
    vendor.later(48 * 3_600_000 - 1)
    assert detected(vendor, link, headers=RESOLVED) == [FINE]
    vendor.later(1)
    assert detected(vendor, link, headers=RESOLVED) != [FINE]


@pytest.mark.parametrize("lose", LOST, ids=lambda lose: str(lose.__name__))
def test_or_has_the_whole_call_refused(lose: Any) -> None:
    vendor = Vendor(behaviour={"detection-limits": "refuse"})
    answer = detect(vendor, PHOTO, lose(vendor), headers=RESOLVED)
    assert (answer.status_code, answer.get_json()["message"]) == (
        400,
        catalogue.errors()["parameters_invalid"].message,
    )
    assert rule_of(answer) in ("picture.download", "upload.expiry")


def test_so_does_a_photo_that_nobody_declared() -> None:
    vendor = Vendor(behaviour={"detection-limits": "refuse"}, unknown_images="refuse")
    assert detected(vendor, asset(faces=1)) == [FINE]
    assert rule_of(detect(vendor, asset(faces=1), PHOTO)) == "picture.known"


@pytest.mark.parametrize(
    ("properties", "refused"),
    [
        ({"format": "gif"}, True),
        ({"bytes": 6_000_000}, True),
        ({"width": 1}, True),
        ({"faces": 0}, False),
        ({"faces": 2}, False),
        ({"face_px": 1}, False),
    ],
    ids=str,
)
def test_what_is_wrong_with_the_face_refuses_no_call(properties: dict[str, Any], refused: bool) -> None:
    vendor = Vendor(behaviour={"detection-limits": "refuse"})
    answer = detect(vendor, PHOTO, asset(**properties), NO_FACE)
    assert answer.status_code == (400 if refused else 200)
    if refused:
        assert " at input.images.1: " in answer.headers["x-mock-reason"]


# -- requests ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", EXAMPLES["good"])
def test_a_good_body_is_taken(vendor: Vendor, name: str) -> None:
    body = json.dumps(EXAMPLES["good"][name])
    if "oss://" in body:
        link = uploaded(vendor, photo(), model=DETECTION_MODEL)
        body = json.dumps(detection(link))
    answer = family_call(vendor, "POST", DETECT, data=body, headers=RESOLVED)
    assert answer.status_code == 200, answer.text
    assert len(answer.get_json()["output"]["is_face"]) == len(json.loads(body)["input"]["images"])


@pytest.mark.parametrize("name", EXAMPLES["bad"])
def test_a_bad_body_is_refused_by_its_rule(vendor: Vendor, name: str) -> None:
    body, rule, place = (EXAMPLES["bad"][name][part] for part in ("body", "rule", "place"))
    answer = family_call(vendor, "POST", DETECT, json=body)
    if isinstance(body, dict) and body.get("model") in (MODEL, TRAINING_MODEL):
        rule = "model.route"  # the server knows more than the schema
    row = catalogue.errors()[catalogue.rules()[rule].error or ""]
    assert (answer.status_code, answer.get_json()["code"]) == (row.status, row.code)
    assert answer.headers["x-mock-reason"].startswith(f"{rule} at {place or 'body'}: ")


@pytest.mark.parametrize("url", ["https://pictures.example/\u6211.jpg", "https://pictures.example/a b.jpg"])
def test_a_url_that_is_not_percent_encoded_is_an_internal_error(vendor: Vendor, url: str) -> None:
    answer = detect(vendor, PHOTO, url)
    assert (answer.status_code, answer.get_json()["code"]) == (500, "InternalError.Algo")
    assert rule_of(answer) == "detection.image.ascii"


@pytest.mark.parametrize(
    ("value", "reason", "text"),
    [
        (None, None, ""),
        ("", None, ""),
        ("disable", None, ""),
        ("DISABLE", None, ""),
        (" disable ", None, ""),
        ("enable", "async_not_supported", "async.header.unsupported at header X-DashScope-Async: is enable"),
        ("ENABLE", "async_not_supported", "async.header.unsupported"),
        (" enable", "async_not_supported", "async.header.unsupported"),
        ("false", "async_header_invalid", 'async.header.value at header X-DashScope-Async: is "false"; leave it out'),
        ("true", "async_header_invalid", "async.header.value"),
    ],
)
def test_detection_is_not_asked_for_asynchronously(
    vendor: Vendor, value: str | None, reason: str | None, text: str
) -> None:
    answer = detect(vendor, headers={"X-DashScope-Async": value})
    if reason is None:
        assert answer.status_code == 200
        return
    row = catalogue.errors()[reason]
    assert (answer.status_code, answer.get_json()["code"], answer.get_json()["message"]) == (
        row.status,
        row.code,
        row.message,
    )
    assert text in answer.headers["x-mock-reason"]


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
def test_the_route_takes_one_method(vendor: Vendor, method: str) -> None:
    answer = family_call(vendor, method, DETECT)
    assert (answer.status_code, answer.get_json()["message"]) == (400, f"Request method '{method}' is not supported.")


def test_the_models_of_the_other_routes_are_sent_there(vendor: Vendor) -> None:
    for model in (MODEL, TRAINING_MODEL):
        answer = family_call(vendor, "POST", DETECT, json={**detection(PHOTO), "model": model})
        assert rule_of(answer) == "model.route"
    answer = vendor.submit({**detection(PHOTO)}, path=SUBMIT)
    assert rule_of(answer) == "model.route"


# -- rate -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("after_ms", "status"),
    [
        ((0, 0, 0, 0, 0, 0), 429),
        ((0, 0, 0, 0, 0, 999), 429),
        ((0, 0, 0, 0, 0, 1_000), 200),
        ((0, 200, 200, 200, 200, 199), 429),
        ((0, 200, 200, 200, 200, 200), 200),
    ],
)
def test_an_account_detects_five_times_a_second(vendor: Vendor, after_ms: tuple[int, ...], status: int) -> None:
    answers = []
    for wait_ms in after_ms:
        vendor.later(wait_ms)
        answers.append(detect(vendor))
    assert [answer.status_code for answer in answers] == [200] * 5 + [status]
    if status == 429:
        assert answers[-1].get_json()["code"] == "Throttling.RateQuota"
        assert answers[-1].headers["x-mock-reason"].startswith("rate.detections: 5 detections were taken")


def test_detections_count_neither_as_submissions_nor_as_queries(vendor: Vendor) -> None:
    assert [detect(vendor).status_code for _ in range(6)] == [200] * 5 + [429]
    assert vendor.submit().status_code == vendor.list().status_code == 200


def test_each_account_has_a_rate_of_its_own(vendor: Vendor) -> None:
    assert [detect(vendor).status_code for _ in range(6)][-1] == 429
    assert detect(vendor, key="sk-other").status_code == 200


def test_without_limits_nobody_is_throttled(unlimited: Vendor) -> None:
    assert {detect(unlimited).status_code for _ in range(50)} == {200}


# -- scenarios and faults ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scenario", "status", "code"),
    [
        ("invalid-key", 401, "InvalidApiKey"),
        ("not-approved", 403, "AccessDenied"),
        ("arrears", 400, "Arrearage"),
        ("retired", 403, "Endpoint.AccessDenied"),
        ("free-tier-used", 403, "AllocationQuota.FreeTierOnly"),
    ],
)
@pytest.mark.parametrize("carrier", ["header", "key"])
def test_an_account_that_is_refused_is_refused_here_too(
    vendor: Vendor, carrier: str, scenario: str, status: int, code: str
) -> None:
    more: dict[str, Any] = {"key": f"sk-mock-{scenario}"}
    if carrier == "header":
        more = {"headers": {"X-Mock-Scenario": scenario}}
    answer = detect(vendor, **more)
    assert (answer.status_code, answer.get_json()["code"]) == (status, code)


def test_a_throttled_scenario_throttles_each_kind_of_submission_by_itself(vendor: Vendor) -> None:
    vendor.admin("PUT", "scenario", {"scenario": "submit-429"})
    for call in (detect, Vendor.submit):
        met = []
        for _ in range(3):
            vendor.later(1_000)
            met.append(call(vendor).status_code)
        assert met == [429, 429, 200]


@pytest.mark.parametrize("stage", ["before", "submit"])
def test_a_fault_strikes_at_its_stage(vendor: Vendor, stage: str) -> None:
    fault = {"stage": stage, "kind": "status", "error": "model_unavailable", "times": 1, "route": "detect_faces"}
    assert vendor.admin("POST", "faults", fault).status_code == 201
    assert vendor.submit().status_code == 200
    assert [detect(vendor).status_code for _ in range(2)] == [503, 200]


@pytest.mark.parametrize("stage", ["accepted", "poll", "link"])
def test_a_fault_that_could_never_strike_is_not_taken(vendor: Vendor, stage: str) -> None:
    answer = vendor.admin("POST", "faults", {"stage": stage, "kind": "status", "route": "detect_faces"})
    assert answer.status_code == 400
    assert "never meets detect_faces" in answer.get_json()["error"]


@pytest.mark.breaks_contract
def test_an_answer_may_be_spoiled_on_its_way(vendor: Vendor) -> None:
    for kind, error in (("reset", ConnectionResetError), ("empty", ConnectionAbortedError)):
        vendor.admin("POST", "faults", {"stage": "submit", "kind": kind, "times": 1, "route": "detect_faces"})
        with pytest.raises(error):
            detect(vendor)
    vendor.admin("POST", "faults", {"stage": "submit", "kind": "html", "times": 1, "route": "detect_faces"})
    assert (detect(vendor).status_code, detect(vendor).status_code) == (502, 200)


def test_what_is_queued_for_portraits_and_trainings_stays_in_the_queue(vendor: Vendor) -> None:
    for model in (MODEL, TRAINING_MODEL):
        vendor.admin("POST", "plans", {"model": model, "scenario": "arrears"})
    assert detect(vendor).status_code == 200
    assert len(vendor.admin("GET", "plans").get_json()["plans"]) == 2
