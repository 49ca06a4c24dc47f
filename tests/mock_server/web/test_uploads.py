"""Temporary uploads: the policy, the form post at the storage, and what its ``oss://`` link is good for."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree

import pytest
from werkzeug.test import TestResponse

from contracts import catalogue
from mock_server.core import uploads
from tests.conftest import GOOD, IMMEDIATE, START_MS, SUBMIT, Vendor
from tests.uploads import (
    FORM,
    RESOLVED,
    as_parts,
    ask_policy,
    fields,
    form,
    form_post,
    photo,
    policy,
    post_parts,
    uploaded,
)

GENERATION, DETECTION, TRAINING = "facechain-generation", "facechain-facedetect", "facechain-finetune"
DETECT, TRAIN = "/api/v1/services/vision/facedetection/detect", "/api/v1/fine-tunes"
HOUR_MS = 3_600_000
TERMS = catalogue.limits()["upload_policy"]


def refusal(answer: TestResponse, rule: str) -> dict[str, str]:
    """The fields of the storage's refusal, which broke this rule."""
    assert answer.headers["content-type"] == "application/xml"
    assert answer.headers["x-mock-reason"].startswith(f"{rule} at form " if rule != "upload.form" else rule)
    root = ElementTree.fromstring(answer.data)  # noqa: S314  # our own server's answer
    assert root.tag == "Error"
    found = {child.tag: child.text or "" for child in root}
    assert re.fullmatch(r"[0-9A-F]{24}", found["RequestId"])
    assert found["RequestId"] == answer.headers["x-oss-request-id"]
    assert found["HostId"] == "dashscope-file-mgr.oss-cn-beijing.aliyuncs.com"
    return found


# -- the policy -------------------------------------------------------------------------------------------------------


def test_a_policy_is_answered_with_the_types_that_were_seen(vendor: Vendor) -> None:
    answer = ask_policy(vendor)
    assert answer.get_json().keys() == {"data", "request_id"}
    data = answer.get_json()["data"]
    assert {name: type(value) for name, value in data.items()} == {
        "policy": str,
        "signature": str,
        "upload_dir": str,
        "upload_host": str,
        "expire_in_seconds": int,
        "max_file_size_mb": int,
        "capacity_limit_mb": int,
        "oss_access_key_id": str,
        "x_oss_object_acl": str,
        "x_oss_forbid_overwrite": str,
    }
    assert {name: data[name] for name in list(data)[4:]} == {
        "expire_in_seconds": 300,
        "max_file_size_mb": 1024,
        "capacity_limit_mb": 999999999,
        "oss_access_key_id": "MockAccessKeyId",
        "x_oss_object_acl": "private",
        "x_oss_forbid_overwrite": "true",
    }
    request_id = answer.get_json()["request_id"]
    assert re.fullmatch(rf"dashscope-instant/[0-9a-f]{{32}}/2026-01-15/{request_id}", data["upload_dir"])
    assert data["upload_host"] == "http://localhost/dashscope-file-mgr"


@pytest.mark.parametrize(("life", "expiration"), [("stated", "10:35:00.123"), ("observed", "10:53:00.123")])
def test_a_policy_says_what_it_allows(life: str, expiration: str) -> None:
    vendor = Vendor(behaviour={"policy-life": life})
    vendor.later(123)
    given = policy(vendor)
    document = json.loads(base64.b64decode(given["policy"], validate=True))
    assert document["expiration"] == f"2026-01-15T{expiration.replace('10:', '02:', 1)}Z"
    assert document["conditions"] == [
        ["content-length-range", 0, 1_073_741_824],
        ["starts-with", "$key", given["upload_dir"]],
        {"bucket": "dashscope-file-mgr"},
        {"x-oss-object-acl": "private"},
        {"x-oss-forbid-overwrite": "true"},
    ]
    assert given["expire_in_seconds"] == 300, "this is what clients are told all the same"


def test_each_policy_has_a_folder_of_its_own(vendor: Vendor) -> None:
    folders = [policy(vendor)["upload_dir"] for _ in range(3)] + [policy(vendor, key="sk-other")["upload_dir"]]
    assert len(set(folders)) == 4
    assert len({folder.split("/")[1] for folder in folders}) == 2, "an account has one name"


@pytest.mark.parametrize("model", [GENERATION, DETECTION, TRAINING])
def test_a_policy_is_given_for_every_model(vendor: Vendor, model: str) -> None:
    assert ask_policy(vendor, model).status_code == 200


@pytest.mark.parametrize(
    ("query", "message", "reason"),
    [
        ("", "Required parameter(s) missing", "policy.action at query action: is missing; it is getPolicy"),
        ("action=&model=" + GENERATION, "Required", "policy.action at query action: is missing"),
        ("action=getpolicy&model=" + GENERATION, "Required", 'policy.action at query action: is "getpolicy"; it is'),
        ("action=putPolicy&model=" + GENERATION, "Required", "policy.action at query action: is "),
        ("action=getPolicy", "Required", "policy.action at query model: is missing; it is one of facechain-generation"),
        ("action=getPolicy&model=", "Required", "policy.action at query model: is missing"),
        ("action=getPolicy&model=facechain", "Model not exist.", 'model.known at query model: is "facechain"'),
        ("action=getPolicy&model=qwen-vl-plus", "Model not exist.", "model.known at query model: "),
        ("action=getPolicy&model=%E4%BA%BA", "Model not exist.", "model.known at query model: "),
    ],
)
def test_a_policy_for_what_there_is_not_is_refused(vendor: Vendor, query: str, message: str, reason: str) -> None:
    answer = vendor.vendor_call("GET", f"/api/v1/uploads?{query}")
    assert answer.status_code == 400
    assert answer.get_json()["code"] == "InvalidParameter"
    assert answer.get_json()["message"].startswith(message)
    assert answer.headers["X-Mock-Reason"].startswith(reason)


def test_a_policy_needs_a_key(vendor: Vendor) -> None:
    assert vendor.call("GET", f"/api/v1/uploads?action=getPolicy&model={GENERATION}").status_code == 401


def test_a_hundred_policies_a_second_are_given_to_each_account_for_each_model(vendor: Vendor) -> None:
    assert {ask_policy(vendor).status_code for _ in range(100)} == {200}
    answer = ask_policy(vendor)
    assert (answer.status_code, answer.get_json()["code"]) == (429, "Throttling.RateQuota")
    assert answer.headers["X-Mock-Reason"].startswith("rate.policies: 100 policies for facechain-generation were ")
    assert ask_policy(vendor, DETECTION).status_code == 200
    assert ask_policy(vendor, key="sk-other").status_code == 200
    vendor.later(999)
    assert ask_policy(vendor).status_code == 429
    vendor.later(1)
    assert ask_policy(vendor).status_code == 200


def test_without_limits_policies_are_not_counted(unlimited: Vendor) -> None:
    assert {ask_policy(unlimited).status_code for _ in range(150)} == {200}


# -- the form post ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wanted", "status"), [("200", 200), ("201", 201), ("204", 204), (None, 204), ("", 204), ("999", 204), ("2e2", 204)]
)
def test_an_upload_is_answered_with_the_status_that_it_asks_for(
    vendor: Vendor, wanted: str | None, status: int
) -> None:
    given = policy(vendor)
    sent = {**fields(given), "success_action_status": wanted}
    answer = form_post(vendor, given, {name: value for name, value in sent.items() if value is not None})
    assert answer.status_code == status
    assert answer.headers["server"] == "facechain-mock"
    assert answer.headers["etag"] == '"AB86A1E1EF70DFF97959067B723C5C24"'
    if status != 201:
        assert answer.data == b""
        return
    root = ElementTree.fromstring(answer.data)  # noqa: S314  # our own server's answer
    assert root.tag == "PostResponse"
    host = "https://dashscope-file-mgr.oss-cn-beijing.aliyuncs.com"
    assert {child.tag: child.text for child in root} == {
        "Bucket": "dashscope-file-mgr",
        "Location": f"{host}/{sent['key']}",
        "Key": sent["key"],
        "ETag": "AB86A1E1EF70DFF97959067B723C5C24",
    }


@pytest.mark.parametrize("extra", [{"x-oss-content-type": "image/png"}, {"Content-Type": "image/png"}, {"note": "x"}])
def test_a_field_that_nobody_asked_for_does_no_harm(vendor: Vendor, extra: dict[str, str]) -> None:
    given = policy(vendor)
    assert form_post(vendor, given, {**fields(given), **extra}).status_code == 200


def test_the_x_oss_content_type_of_the_sdk_may_be_missing(vendor: Vendor) -> None:
    given = policy(vendor)
    sent = fields(given)
    del sent["x-oss-content-type"]
    assert form_post(vendor, given, sent).status_code == 200


MISSING = {
    "OSSAccessKeyId": ("AccessDenied", "policy.signature"),
    "Signature": ("AccessDenied", "policy.signature"),
    "policy": ("AccessDenied", "policy.signature"),
    "key": ("AccessDenied", "policy.conditions"),
    "x-oss-object-acl": ("AccessDenied", "policy.conditions"),
    "x-oss-forbid-overwrite": ("AccessDenied", "policy.conditions"),
}
CHANGED = MISSING | {
    "OSSAccessKeyId": ("InvalidAccessKeyId", "policy.signature"),
    "Signature": ("SignatureDoesNotMatch", "policy.signature"),
    "policy": ("SignatureDoesNotMatch", "policy.signature"),
}
OPTIONAL = {"success_action_status", "x-oss-content-type"}


def test_every_field_is_tried(vendor: Vendor) -> None:
    assert set(fields(policy(vendor))) == MISSING.keys() | OPTIONAL == CHANGED.keys() | OPTIONAL


@pytest.mark.parametrize("name", MISSING)
@pytest.mark.parametrize("how", ["missing", "empty", "renamed"])
def test_a_form_that_lacks_a_field_is_refused(vendor: Vendor, name: str, how: str) -> None:
    given = policy(vendor)
    sent = fields(given)
    value = sent.pop(name)
    sent |= {"missing": {}, "empty": {name: ""}, "renamed": {name.replace("-", "_") + "_": value}}[how]
    answer = form_post(vendor, given, sent)
    code, rule = MISSING[name]
    found = refusal(answer, rule)
    assert (answer.status_code, found["Code"]) == (403, code)
    assert f" at form {name}: " in answer.headers["x-mock-reason"]


@pytest.mark.parametrize("name", CHANGED)
@pytest.mark.parametrize("change", ["x{}", "{}x", "{}\u00e9", "\u4eba", "\x00", "{0}{0}"])
def test_a_form_with_another_value_in_a_field_is_refused(vendor: Vendor, name: str, change: str) -> None:
    given = policy(vendor)
    sent = fields(given)
    if name == "key":
        sent["key"] = f"{change.format(given['upload_dir'])}/me.jpg"
        if sent["key"].startswith(f"{given['upload_dir']}/"):
            return
    else:
        sent[name] = change.format(sent[name])
    answer = form_post(vendor, given, sent)
    code, rule = CHANGED[name]
    found = refusal(answer, rule)
    assert (answer.status_code, found["Code"]) in [(403, code), (400, "InvalidObjectName")]


def test_a_signature_belongs_to_its_policy(vendor: Vendor) -> None:
    one, two = policy(vendor), policy(vendor)
    answer = form_post(vendor, one, {**fields(one), "Signature": two["signature"]})
    assert refusal(answer, "policy.signature")["Code"] == "SignatureDoesNotMatch"


def test_a_policy_of_another_server_is_refused(vendor: Vendor) -> None:
    given = policy(Vendor(seed=8))
    answer = form_post(vendor, given, fields(given))
    assert refusal(answer, "policy.signature")["Code"] == "SignatureDoesNotMatch"


def test_a_policy_that_somebody_wrote_is_refused(vendor: Vendor) -> None:
    given = policy(vendor)
    document = json.loads(base64.b64decode(given["policy"]))
    document["expiration"] = "2036-01-15T02:35:00.000Z"
    forged = base64.b64encode(json.dumps(document).encode()).decode()
    answer = form_post(vendor, given, {**fields(given), "policy": forged})
    assert refusal(answer, "policy.signature")["Code"] == "SignatureDoesNotMatch"


@pytest.mark.parametrize("name", ["Signature", "policy", "key", "success_action_status"])
def test_of_a_field_that_comes_twice_the_last_counts(vendor: Vendor, name: str) -> None:
    given = policy(vendor)
    sent = fields(given)
    wrong = (name, None, b"elsewhere")
    file = ("file", "me.jpg", b"me")
    good = post_parts(vendor, given, [wrong, *as_parts(sent), file])
    assert good.status_code == 200
    bad = post_parts(vendor, given, [*as_parts({**sent, "key": sent["key"] + "2"}), wrong, file])
    assert bad.status_code == (204 if name == "success_action_status" else 403)


@pytest.mark.parametrize("name", CHANGED)
def test_a_field_that_comes_twice_alike_does_no_harm(vendor: Vendor, name: str) -> None:
    given = policy(vendor)
    parts = as_parts(fields(given))
    twice = [each for each in parts if each[0] == name]
    assert post_parts(vendor, given, [*parts, *twice, ("file", "me.jpg", b"me")]).status_code == 200


FILE = ("file", "me.jpg", b"me")


@pytest.mark.parametrize(
    ("before", "behind", "code", "problem"),
    [
        ([], [], "IncorrectNumberOfFilesInPOSTRequest", "0 of them were sent"),
        ([], [("File2", "me.jpg", b"me")], "IncorrectNumberOfFilesInPOSTRequest", "0 of them were sent"),
        ([FILE], [FILE], "IncorrectNumberOfFilesInPOSTRequest", "2 of them were sent"),
        ([], [FILE, FILE], "IncorrectNumberOfFilesInPOSTRequest", "2 of them were sent"),
        ([FILE], [], "InvalidArgument", "comes before OSSAccessKeyId, Signature, policy, key, "),
        ([], [FILE, ("note", None, b"x")], "InvalidArgument", "comes before note; it has to be the last"),
        ([], [FILE, ("other", "b.jpg", b"x")], "InvalidArgument", "comes before other"),
    ],
)
def test_a_form_has_one_file_and_it_comes_last(
    vendor: Vendor, before: list[Any], behind: list[Any], code: str, problem: str
) -> None:
    given = policy(vendor)
    answer = post_parts(vendor, given, [*before, *as_parts(fields(given)), *behind])
    assert (answer.status_code, refusal(answer, "upload.form")["Code"]) == (400, code)
    assert problem in answer.headers["x-mock-reason"]


def test_the_file_may_be_a_field_without_a_name_of_its_own(vendor: Vendor) -> None:
    given = policy(vendor)
    assert post_parts(vendor, given, [*as_parts(fields(given)), ("file", None, b"me")]).status_code == 200


def test_the_key_may_leave_the_name_to_the_file(vendor: Vendor) -> None:
    given = policy(vendor)
    sent = fields(given, "${filename}")
    assert form_post(vendor, given, {**sent, "success_action_status": "201"}).text.count("/me.jpg<") == 2


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"{}", "application/json"),
        (b"me", "application/octet-stream"),
        (b"me", "multipart/form-data"),
        (form([FILE]), FORM + "x"),
        (form([FILE])[:-20], FORM),
        (b"--a-boundary-of-the-tests\r\n\r\nme\r\n--a-boundary-of-the-tests--", FORM),
    ],
)
def test_what_is_no_form_is_refused_as_the_storage_does(vendor: Vendor, body: bytes, content_type: str) -> None:
    answer = vendor.call("POST", "/dashscope-file-mgr", data=body, content_type=content_type)
    assert (answer.status_code, refusal(answer, "upload.form")["Code"]) == (400, "MalformedPOSTRequest")


def test_a_form_of_16_mebibytes_is_taken_and_one_byte_more_is_not(vendor: Vendor) -> None:
    given = policy(vendor)
    sent = fields(given)
    most = int(catalogue.limits()["upload_body_bytes"])
    room = most - len(form([*as_parts(sent), ("file", "me.jpg", b"")]))
    answer = form_post(vendor, given, sent, b"x" * (room + 1))
    assert answer.status_code == 400
    assert "<Code>EntityTooLarge</Code>" in answer.text
    assert answer.headers["x-mock-reason"].startswith(f"upload.size at body: is larger than {most} bytes")
    assert form_post(vendor, given, sent, b"x" * room).status_code == 200


@pytest.mark.parametrize(
    "key",
    [
        "me.jpg",
        "/{}/me.jpg",
        "{}",
        "{}/",
        "{}x/me.jpg",
        "{}\\me.jpg",
        "../{}/me.jpg",
        "x/{}/me.jpg",
        "{}%2fme.jpg",
        "oss://{}/me.jpg",
        "dashscope-instant/me.jpg",
    ],
)
def test_a_key_outside_the_folder_of_the_policy_is_refused(vendor: Vendor, key: str) -> None:
    given = policy(vendor)
    answer = form_post(vendor, given, {**fields(given), "key": key.format(given["upload_dir"])})
    found = refusal(answer, "policy.conditions")
    assert (answer.status_code, found["Code"]) == (403, "AccessDenied")
    assert found["Message"].startswith("Invalid according to Policy: Policy Condition failed: [")
    assert "it is upload_dir, a slash and a name" in answer.headers["x-mock-reason"]


def test_a_key_has_1023_bytes_at_most(vendor: Vendor) -> None:
    given = policy(vendor)
    room = uploads.MOST_KEY - len(given["upload_dir"]) - 1
    assert form_post(vendor, given, fields(given, "x" * room)).status_code == 200
    for name in ("x" * (room + 1), "人" * (room // 3 + 1), "x" * 1_000_000, "a\x00b", "a\nb", "a\x7fb"):
        answer = form_post(vendor, given, fields(given, name))
        assert (answer.status_code, refusal(answer, "policy.conditions")["Code"]) == (400, "InvalidObjectName")


@pytest.mark.parametrize(
    "name", ["人像.jpg", "a b.jpg", "a/b/c.jpg", "../../x.jpg", "<&>.jpg", "😀", "%00", "a\u3000b"]
)
def test_a_key_may_hold_nearly_anything_behind_the_folder(vendor: Vendor, name: str) -> None:
    given = policy(vendor)
    sent = fields(given, name)
    answer = form_post(vendor, given, {**sent, "success_action_status": "201"})
    root = ElementTree.fromstring(answer.data)  # noqa: S314  # our own server's answer
    assert root.findtext("Key") == sent["key"]


@pytest.mark.parametrize(("life", "seconds"), [("stated", 300), ("observed", 1_380)])
@pytest.mark.parametrize("start_ms", [0, 1, 999])
def test_a_policy_expires(life: str, seconds: int, start_ms: int) -> None:
    assert TERMS[f"{life}_seconds"] == seconds
    vendor = Vendor(behaviour={"policy-life": life})
    vendor.later(start_ms)
    given = policy(vendor)
    vendor.later(seconds * 1_000 - 1)
    assert form_post(vendor, given, fields(given)).status_code == 200
    vendor.later(1)
    answer = form_post(vendor, given, fields(given, "again.jpg"))
    found = refusal(answer, "policy.expiry")
    assert (answer.status_code, found["Code"]) == (403, "AccessDenied")
    assert found["Message"] == "Invalid according to Policy: Policy expired."


def test_nothing_is_overwritten(vendor: Vendor) -> None:
    given = policy(vendor)
    sent = fields(given)
    assert form_post(vendor, given, sent, photo(600, 600)).status_code == 200
    answer = form_post(vendor, given, sent, b"no picture")
    assert answer.status_code == 409
    assert refusal(answer, "upload.overwrite")["Code"] == "FileAlreadyExists"
    assert verdict(vendor, "user_photo", f"oss://{sent['key']}") == "fine"


def test_one_policy_is_good_for_several_uploads(vendor: Vendor) -> None:
    given = policy(vendor)
    assert {form_post(vendor, given, fields(given, f"{n}.jpg")).status_code for n in range(20)} == {200}


def test_uploads_are_bounded_and_the_oldest_goes(vendor: Vendor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "MOST_UPLOADS", 3)
    links = [uploaded(vendor) for _ in range(5)]
    assert [verdict(vendor, "user_photo", link) for link in links] == ["media_unreachable"] * 2 + ["fine"] * 3


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS"])
def test_the_storage_takes_nothing_but_a_form_post(vendor: Vendor, method: str) -> None:
    for path in ("/dashscope-file-mgr", "/dashscope-file-mgr/x"):
        assert vendor.call(method, path).status_code in (403, 404)
    assert vendor.call("POST", "/dashscope-file-mgr/x", data=b"").status_code == 404


def test_an_upload_cannot_be_fetched(vendor: Vendor) -> None:
    key = uploaded(vendor).removeprefix("oss://")
    assert vendor.fetch(f"/dashscope-file-mgr/{key}").status_code == 403


def test_no_photo_is_sent_to_the_real_storage_by_who_takes_the_mock_for_the_vendors_host(vendor: Vendor) -> None:
    given = policy(vendor, headers={"Host": "dashscope.aliyuncs.com"})
    assert given["upload_host"] == "http://dashscope.aliyuncs.com/dashscope-file-mgr"


# -- what a link is good for ------------------------------------------------------------------------------------------

MODELS = {"user_photo": GENERATION, "template": GENERATION, "detection": DETECTION, "training": TRAINING}


def submission(kind: str, url: str) -> tuple[str, dict[str, Any]]:
    """Path and body of a submission that shows ``url`` as this kind of picture."""
    pictures: dict[str, Any] = {"template_url": "https://a.example/t.jpg", "user_urls": ["https://a.example/me.jpg"]}
    if kind == "detection":
        return DETECT, {"model": DETECTION, "input": {"images": [url]}, "parameters": {}}
    if kind == "training":
        return TRAIN, {"model": TRAINING, "training_file_ids": [url]}
    changed = {"template_url": url} if kind == "template" else {"user_urls": [url]}
    return SUBMIT, {**GOOD["train-free"], "input": {**pictures, **changed}}


def submitted(
    vendor: Vendor, kind: str, url: str, headers: Mapping[str, str | None] = RESOLVED, *, key: str = "sk-main"
) -> TestResponse:
    """The answer to such a submission, whose task or job ends at once."""
    path, body = submission(kind, url)
    if path != DETECT:
        model = {} if path == SUBMIT else {"model": TRAINING}
        assert vendor.admin("POST", "plans", {**IMMEDIATE, **model}).status_code == 201
    usual = {} if path == SUBMIT else {"X-DashScope-Async": None}
    answer = vendor.vendor_call("POST", path, json=body, headers={**usual, **headers}, key=key)
    vendor.admin("DELETE", "plans")
    return answer


def verdict(vendor: Vendor, kind: str, url: str, *, key: str = "sk-main") -> str:
    """``fine``, or the reason in ``contracts/errors.json`` for which the picture will not do."""
    vendor.later(1_000)  # as often as the limits allow
    answer = submitted(vendor, kind, url, key=key)
    assert answer.status_code == 200, answer.text
    output = answer.get_json()["output"]
    if kind == "detection":
        (is_face,), (text,) = output["is_face"], output["failed_reason"]
        assert is_face == (text == "")
        words = {row.message: reason for reason, row in catalogue.errors().items()}
        return "fine" if is_face else words[text]
    if kind == "training":
        told = vendor.vendor_call("GET", f"{TRAIN}/{output['job_id']}", key=key).get_json()["output"]
        status = told["status"]
    else:
        told = vendor.output(output["task_id"], key=key)
        status = told["task_status"]
    if status == "SUCCEEDED":
        return "fine"
    assert status == "FAILED"
    reasons = {(row.code, row.message): reason for reason, row in catalogue.errors().items()}
    return reasons[told["code"], told["message"]]


@pytest.fixture(params=MODELS)
def kind(request: pytest.FixtureRequest) -> str:
    """What a picture is shown as."""
    return str(request.param)


def test_a_link_of_an_upload_is_taken_for_the_picture(vendor: Vendor, kind: str) -> None:
    assert verdict(vendor, kind, uploaded(vendor, model=MODELS[kind])) == "fine"


def test_a_link_is_what_was_uploaded_and_nothing_better(vendor: Vendor, kind: str) -> None:
    link = uploaded(vendor, photo(100, 100), model=MODELS[kind])
    if kind == "detection":
        output = submitted(vendor, kind, link).get_json()["output"]
        assert output == {"is_face": [False], "failed_reason": ["image resolution out of range"]}
    else:
        assert verdict(vendor, kind, link) == "image_resolution"


@pytest.mark.parametrize("value", [None, "", "disable", "true", "enable, enable", "1"])
def test_a_link_needs_the_header_that_has_it_resolved(vendor: Vendor, kind: str, value: str | None) -> None:
    link = uploaded(vendor, model=MODELS[kind])
    answer = submitted(vendor, kind, link, {"X-DashScope-OssResourceResolve": value})
    assert answer.status_code == 400
    assert answer.get_json()["code"] == "InvalidParameter.DataInspection"
    assert answer.get_json()["message"].startswith("The media format is not supported or incorrect for the data inspe")
    reason = answer.headers["X-Mock-Reason"]
    assert reason.startswith("oss.resolve-header at header X-DashScope-OssResourceResolve: is ")
    assert "is an oss:// link; send enable" in reason
    assert link not in reason


@pytest.mark.parametrize("value", ["enable", "Enable", " enable "])
def test_the_header_may_be_written_otherwise(vendor: Vendor, kind: str, value: str) -> None:
    link = uploaded(vendor, model=MODELS[kind])
    assert submitted(vendor, kind, link, {"X-DashScope-OssResourceResolve": value}).status_code == 200


def test_the_header_is_not_needed_for_other_links(vendor: Vendor, kind: str) -> None:
    assert submitted(vendor, kind, "https://a.example/me.jpg", {}).status_code == 200


@pytest.mark.parametrize(
    "link", ["oss://nowhere", "oss:///{}", "oss://{}x", "oss://{}?x=1", "oss://{}#x", "oss://dashscope-file-mgr/{}"]
)
def test_an_unknown_link_cannot_be_had(vendor: Vendor, kind: str, link: str) -> None:
    key = uploaded(vendor, model=MODELS[kind]).removeprefix("oss://")
    assert verdict(vendor, kind, link.format(key)) == "media_unreachable"


def test_a_link_of_another_account_cannot_be_had(vendor: Vendor, kind: str) -> None:
    link = uploaded(vendor, model=MODELS[kind])
    assert verdict(vendor, kind, link, key="sk-other") == "media_unreachable"
    assert verdict(vendor, kind, link) == "fine"


def test_a_link_of_another_key_of_the_account_can_be_had() -> None:
    vendor = Vendor(api_key={"sk-a": "acme", "sk-b": "acme"})
    assert verdict(vendor, "user_photo", uploaded(vendor, key="sk-a"), key="sk-b") == "fine"


@pytest.mark.parametrize("model", [GENERATION, DETECTION, TRAINING])
def test_a_link_for_another_model_cannot_be_had(vendor: Vendor, kind: str, model: str) -> None:
    expected = "fine" if model == MODELS[kind] else "media_unreachable"
    assert verdict(vendor, kind, uploaded(vendor, model=model)) == expected


@pytest.mark.parametrize(
    ("wait_ms", "expected"),
    [(48 * HOUR_MS - 1, "fine"), (48 * HOUR_MS, "media_unreachable"), (480 * HOUR_MS, "media_unreachable")],
)
def test_a_link_works_for_48_hours(vendor: Vendor, kind: str, wait_ms: int, expected: str) -> None:
    link = uploaded(vendor, model=MODELS[kind])
    assert vendor.clock.now_ms() == START_MS
    vendor.later(wait_ms - 1_000)  # ``verdict`` waits for the rest
    assert verdict(vendor, kind, link) == expected


def test_a_link_that_cannot_be_had_is_refused_at_once_where_that_is_chosen(kind: str) -> None:
    vendor = Vendor(behaviour={"picture-timing": "submit", "detection-limits": "refuse"})
    link = uploaded(vendor, model=MODELS[kind])
    vendor.later(48 * HOUR_MS)
    answer = submitted(vendor, kind, link)
    assert answer.status_code == 400
    code = "InvalidParameter" if kind == "detection" else "InvalidParameter.DataInspection"
    assert answer.get_json()["code"] == code
    assert answer.headers["X-Mock-Reason"].startswith("upload.expiry at ")
    assert "was uploaded more than 48 hours ago" in answer.headers["X-Mock-Reason"]


# -- sessions ---------------------------------------------------------------------------------------------------------


def test_the_session_of_a_policy_is_carried_by_its_upload_host(vendor: Vendor) -> None:
    one = vendor.of_session("one")
    given = policy(one)
    assert given["upload_host"] == "http://localhost/dashscope-file-mgr?x-mock-session=one"
    sent = fields(given)
    assert form_post(vendor, given, sent, photo(600, 600)).status_code == 200, "posted by who knows of no session"
    link = f"oss://{sent['key']}"
    assert verdict(one, "user_photo", link) == "fine"
    assert verdict(vendor, "user_photo", link) == "media_unreachable"
    assert verdict(vendor.of_session("two"), "user_photo", link) == "media_unreachable"
    (entry,) = one.admin("GET", "requests?operation=upload_object").get_json()["requests"]
    assert (entry["session"], entry["status"]) == ("one", 200)


def test_a_session_that_is_none_is_refused_as_the_storage_does(vendor: Vendor) -> None:
    answer = vendor.call("POST", "/dashscope-file-mgr?x-mock-session=a%20b", data=form([FILE]), content_type=FORM)
    assert answer.status_code == 404
    assert "X-Mock-Session" in answer.headers["X-Mock-Reason"]


# -- pictures as they are ---------------------------------------------------------------------------------------------

KIB, MIB = 1_024, 1_048_576
OUTSIDE: dict[str, dict[str, tuple[bytes, str]]] = {
    "user_photo": {
        "too narrow": (photo(255, 256), "image_resolution"),
        "too low": (photo(256, 255), "image_resolution"),
        "too wide": (photo(2_049, 300, "PNG"), "image_resolution"),
        "too long": (photo(300, 300, size=3 * MIB + 1), "image_size"),
        "WEBP": (photo(300, 300, "WEBP"), "image_format"),
        "GIF": (photo(300, 300, "GIF"), "image_format"),
        "text": (b"buy milk", "image_format"),
        "nothing": (b"", "image_format"),
        "broken off": (photo(300, 300)[:-2], "image_format"),
        "a broken PNG": (photo(300, 300, "PNG")[:-4], "image_format"),
    },
    "template": {
        "too narrow": (photo(511, 512), "image_resolution"),
        "too wide": (photo(1_681, 512), "image_resolution"),
        "too high": (photo(512, 1_261), "image_resolution"),
        "too long": (photo(512, 512, size=5 * MIB + 1), "image_size"),
        "BMP": (photo(512, 512, "BMP"), "image_format"),
    },
    "training": {
        "too narrow": (photo(255, 256), "image_resolution"),
        "too high": (photo(256, 4_097), "image_resolution"),
        "too long": (photo(256, 256, size=5 * MIB + 1), "image_size"),
        "TIFF": (photo(256, 256, "TIFF"), "image_format"),
    },
}
INSIDE: dict[str, dict[str, bytes]] = {
    "user_photo": {
        "smallest": photo(256, 256),
        "largest": photo(2_048, 2_048),
        "longest": photo(300, 300, "PNG", size=3 * MIB),
    },
    "template": {
        "smallest": photo(512, 512),
        "largest": photo(1_680, 1_260),
        "longest": photo(600, 600, size=5 * MIB),
    },
    "training": {"smallest": photo(256, 256), "largest": photo(4_096, 4_096), "WEBP": photo(256, 256, "WEBP")},
    "detection": {"smallest": photo(256, 256), "longest": photo(256, 256, size=5 * MIB)},
}
BAD = [(kind, name) for kind, cases in OUTSIDE.items() for name in cases]
FINE = [(kind, name) for kind, cases in INSIDE.items() for name in cases]


@pytest.mark.parametrize(("kind", "name"), BAD)
def test_a_real_picture_just_outside_a_limit_fails_the_task(vendor: Vendor, kind: str, name: str) -> None:
    content, reason = OUTSIDE[kind][name]
    assert verdict(vendor, kind, uploaded(vendor, content, model=MODELS[kind])) == reason


@pytest.mark.parametrize(("kind", "name"), FINE)
def test_a_real_picture_at_a_limit_is_taken(vendor: Vendor, kind: str, name: str) -> None:
    assert verdict(vendor, kind, uploaded(vendor, INSIDE[kind][name], model=MODELS[kind])) == "fine"


@pytest.fixture(scope="module")
def at_submit() -> Vendor:
    """A vendor that refuses a picture at submit; to be renewed."""
    return Vendor(behaviour={"picture-timing": "submit"})


@pytest.mark.parametrize(("kind", "name"), BAD)
def test_a_real_picture_just_outside_a_limit_is_refused_at_once_where_that_is_chosen(
    at_submit: Vendor, kind: str, name: str
) -> None:
    vendor = at_submit.renewed()
    content, reason = OUTSIDE[kind][name]
    answer = submitted(vendor, kind, uploaded(vendor, content, model=MODELS[kind]))
    row = catalogue.errors()[reason]
    assert answer.status_code == 400
    assert (answer.get_json()["code"], answer.get_json()["message"]) == (row.code, row.message)
    assert answer.headers["X-Mock-Reason"].startswith("picture.")
    assert vendor.admin("GET", "tasks").get_json() == {"tasks": []}


# -- what is written down ---------------------------------------------------------------------------------------------


def test_a_stale_policy_is_found_and_a_fresh_one_is_not() -> None:
    vendor = Vendor(behaviour={"policy-life": "observed"})
    given = policy(vendor)
    vendor.later(299_999)
    form_post(vendor, given, fields(given))
    found = [each["id"] for each in vendor.admin("GET", "findings").get_json()["findings"]]
    assert "upload-policy-stale" not in found
    vendor.later(1)
    form_post(vendor, given, fields(given, "b.jpg"))
    found = [each["id"] for each in vendor.admin("GET", "findings").get_json()["findings"]]
    assert "upload-policy-stale" in found


def test_an_upload_is_journaled_with_its_account_and_without_its_form(vendor: Vendor) -> None:
    given = policy(vendor)
    form_post(vendor, given, fields(given))
    asked, stored = vendor.admin("GET", "requests").get_json()["requests"]
    assert (asked["operation"], stored["operation"]) == ("get_upload_policy", "upload_object")
    assert stored["account"] == asked["account"]
    assert "body" not in stored
