"""Submitting over HTTP: what is accepted, what is refused and why, and how often."""

import json
import re
from typing import Any
from uuid import UUID

import pytest

from contracts import catalogue
from mock_server.core.model import MODEL
from mock_server.core.submission import SMALL_BODY
from tests.conftest import GOOD, PRESET, SUBMIT, Vendor
from tests.uploads import RESOLVED, uploaded

BAD = catalogue.examples("portrait-request")["bad"]
JUDGED_BY_THE_CORE = {"model-of-another-route": "model.route"}
"""Bad examples of which the server knows more than the schema."""


def test_a_submission_is_answered_with_exactly_200_and_a_pending_task(vendor: Vendor) -> None:
    answer = vendor.submit()
    assert answer.status_code == 200
    body = answer.get_json()
    assert body == {
        "output": {"task_status": "PENDING", "task_id": body["output"]["task_id"]},
        "request_id": body["request_id"],
    }
    assert UUID(body["output"]["task_id"]).version == 4
    assert str(UUID(body["request_id"])) == body["request_id"]


def test_the_usual_headers_come_with_an_answer(vendor: Vendor) -> None:
    vendor.later(1)
    answer = vendor.submit()
    assert {name.lower(): value for name, value in answer.headers} == {
        "content-type": "application/json",
        "x-request-id": answer.get_json()["request_id"],
        "x-dashscope-call-gateway": "true",
        "req-cost-time": "0",
        "req-arrive-time": "1768444200001",
        "resp-start-time": "1768444200001",
        "x-envoy-upstream-service-time": "0",
        "vary": "Origin,Access-Control-Request-Method,Access-Control-Request-Headers, Accept-Encoding",
        "date": "Thu, 15 Jan 2026 02:30:00 GMT",
        "server": "facechain-mock",
        "content-length": str(len(answer.data)),
    }


def with_uploads(vendor: Vendor, body: dict[str, Any]) -> dict[str, Any]:
    """The body with pictures that were uploaded just now in place of its oss:// links."""
    found: dict[str, Any] = json.loads(
        re.sub(r'oss://[^"]*', lambda _link: uploaded(vendor), json.dumps(body, ensure_ascii=False))
    )
    return found


@pytest.mark.parametrize("name", GOOD)
def test_a_good_body_is_accepted_and_comes_to_its_pictures(vendor: Vendor, name: str) -> None:
    body = with_uploads(vendor, GOOD[name])
    task = vendor.submitted(body, headers=RESOLVED if "oss://" in json.dumps(body) else None)
    vendor.later(1_000)
    assert vendor.status(task) == "SUCCEEDED"


def test_an_oss_link_needs_its_header(vendor: Vendor) -> None:
    body = with_uploads(vendor, GOOD["train-free-with-temporary-files"])
    answer = vendor.submit(body)
    row = catalogue.errors()["media_format"]
    assert (answer.status_code, answer.get_json()["code"]) == (row.status, row.code)
    assert answer.headers["x-mock-reason"].startswith("oss.resolve-header at header X-DashScope-OssResourceResolve: ")


def test_an_upload_that_is_not_there_fails_the_task(vendor: Vendor) -> None:
    task = vendor.submitted(GOOD["train-free-with-temporary-files"], headers=RESOLVED)
    vendor.later(1_000)
    output = vendor.output(task)
    assert (output["task_status"], output["code"]) == ("FAILED", catalogue.errors()["media_unreachable"].code)


@pytest.mark.parametrize(
    "change",
    [
        {"input": {}},
        {"input": {"prompt": "a portrait by the sea"}},
        {"input": {"prompt": None, "ref_img": 1}},
        {"parameters": {**PRESET["parameters"], "seed": 1, "watermark": False}},
        {"resources": [{**PRESET["resources"][0], "weight": 0.5}]},
        {"user": "42"},
    ],
    ids=str,
)
def test_a_preset_style_takes_what_real_clients_add(vendor: Vendor, change: dict[str, Any]) -> None:
    assert vendor.submit({**PRESET, **change}).status_code == 200


def test_a_preset_style_needs_no_input(vendor: Vendor) -> None:
    assert vendor.submit({name: value for name, value in PRESET.items() if name != "input"}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "application/json; charset=utf-8"},
        {"Content-Type": "application/json;charset=UTF-8"},
        {"Content-Type": "text/plain"},
        {"Content-Type": ""},
        {"Accept": "*/*"},
        {"Accept": "text/html"},
        {"X-DashScope-OssResourceResolve": "enable"},
        {"X-DashScope-DataInspection": '{"input":"cip","output":"cip"}'},
        {"X-DashScope-WorkSpace": "ws-1"},
        {"User-Agent": "dashscope/1.20; python/3.11"},
        {"Connection": "keep-alive"},
        {"X-DashScope-Async": "ENABLE"},
        {"X-DashScope-Async": " enable "},
    ],
    ids=str,
)
def test_headers_of_real_clients_are_taken(vendor: Vendor, headers: dict[str, str]) -> None:
    assert vendor.submit(None, data=json.dumps(PRESET), headers=headers).status_code == 200


@pytest.mark.parametrize("spell", [str.lower, str.upper, str.title])
def test_header_names_have_any_case(vendor: Vendor, spell: Any) -> None:
    named = {"Authorization": "Bearer sk-main", "X-DashScope-Async": "enable", "Content-Type": "application/json"}
    headers = {spell(name): value for name, value in named.items()}
    assert vendor.call("POST", SUBMIT, headers=headers, data=json.dumps(PRESET)).status_code == 200


@pytest.mark.parametrize("path", [SUBMIT, f"{SUBMIT}/", f"{SUBMIT}?a=1&b=", f"{SUBMIT}/?stream=false"])
def test_a_slash_and_query_arguments_change_nothing(vendor: Vendor, path: str) -> None:
    assert vendor.submit(path=path).status_code == 200


@pytest.mark.parametrize("name", BAD)
def test_a_bad_body_is_refused_by_its_rule_and_makes_no_task(vendor: Vendor, name: str) -> None:
    rule = JUDGED_BY_THE_CORE.get(name, BAD[name]["rule"])
    row = catalogue.errors()[catalogue.rules()[rule].error or ""]
    answer = vendor.submit(BAD[name]["body"])
    body = answer.get_json()
    assert (answer.status_code, body["code"]) == (row.status, row.code)
    assert body["message"].startswith(row.message.partition("{")[0])
    assert body.keys() == {"code", "message", "request_id"}
    reason = answer.headers["x-mock-reason"]
    assert reason.startswith(f"{rule} at {BAD[name]['place'] or 'body'}: ")
    assert reason.endswith(f" ({catalogue.rules()[rule].evidence})")
    assert vendor.admin("GET", "tasks").get_json()["tasks"] == []


def preset(**parameters: object) -> dict[str, Any]:
    return {**PRESET, "parameters": {**PRESET["parameters"], **parameters}}


@pytest.mark.parametrize(
    ("body", "reason", "text"),
    [
        (preset(n=9), "n_out_of_range", "portrait.n.range at parameters.n: 9 is above 4 (documented)"),
        (preset(n=0), "n_out_of_range", "portrait.n.range at parameters.n: 0 is below 1 (documented)"),
        (
            preset(style="f_idcard_mail"),
            "style_invalid",
            "portrait.style.enum at parameters.style: 'f_idcard_mail' is not one of the 12 styles; "
            "nearest is 'f_idcard_male' (documented)",
        ),
        (
            preset(style="portrait_url_template"),
            "empty_input",
            "portrait.input.required at input: is missing (documented)",
        ),
        ({"model": MODEL}, "empty_parameters", "portrait.parameters.required at parameters: is missing (documented)"),
        ({}, "empty_model", "model.missing at model: is missing; it is facechain-generation (documented)"),
        ({**PRESET, "model": ""}, "empty_model", "model.missing at model: is missing; it is facechain-generation"),
        (
            {**PRESET, "model": "facechain-finetune"},
            "url_error",
            "model.route at model: is facechain-finetune, which has a route of its own; "
            "this one is of facechain-generation (observed)",
        ),
        (
            {**PRESET, "model": ["人"]},
            "model_not_exist",
            'model.known at model: is ["\\u4eba"]; it is facechain-generation (observed)',
        ),
        (preset(n=9, style=1), "style_invalid", "portrait.style.enum at parameters.style: 1 is not"),
        (preset(n=9, style=1), "style_invalid", "; and 1 more (documented)"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_reason_names_rule_place_and_the_nearest_right_thing(
    vendor: Vendor, body: object, reason: str, text: str
) -> None:
    answer = vendor.submit(body)
    row = catalogue.errors()[reason]
    assert (answer.status_code, answer.get_json()["code"]) == (row.status, row.code)
    assert text in answer.headers["x-mock-reason"]


@pytest.mark.parametrize(
    ("data", "reason", "text"),
    [
        (b"", "body_invalid", "body.json at body: is not JSON: Expecting value at line 1 column 1"),
        (b"{", "body_invalid", "body.json at body: is not JSON: Expecting property name"),
        (b"\xff{}", "body_invalid", "body.json at body: is not UTF-8 at byte 0"),
        (b'{"n": NaN}', "body_invalid", "body.json at body: is not JSON: NaN is no JSON number"),
        (b'{"n": -Infinity}', "body_invalid", "-Infinity is no JSON number"),
        (b"[" * 100_000, "body_invalid", "body.json at body: is nested too deeply"),
        (b"model=facechain-generation", "body_invalid", "is not JSON"),
        (b"[]", "illegal_input", "body.object at body: is [], not an object"),
        (b'"text"', "illegal_input", 'body.object at body: is "text", not an object'),
        (b"null", "illegal_input", "body.object at body: is null, not an object"),
        (b" " * 1_048_577, "too_large", "body.size at body: is larger than 1048576 bytes"),
    ],
    ids=["empty", "cut", "latin", "nan", "infinity", "deep", "form", "array", "string", "null", "large"],
)
def test_a_body_that_is_no_json_object_is_refused(vendor: Vendor, data: bytes, reason: str, text: str) -> None:
    answer = vendor.submit(data=data)
    row = catalogue.errors()[reason]
    assert (answer.status_code, answer.get_json()["code"]) == (row.status, row.code)
    assert answer.get_json()["message"] == row.message
    assert text in answer.headers["x-mock-reason"]


@pytest.mark.parametrize("size", [SMALL_BODY, SMALL_BODY + 1, 1_048_576])
def test_a_good_body_is_taken_up_to_its_largest_size(vendor: Vendor, size: int) -> None:
    data = json.dumps(PRESET).encode()
    assert vendor.submit(data=data + b" " * (size - len(data))).status_code == 200


def test_a_reason_is_one_line_of_printable_ascii(vendor: Vendor) -> None:
    answer = vendor.submit({**PRESET, "model": "a\r\nX-Evil: 1\u4eba\ud800" + "x" * 5_000})
    reason = answer.headers["x-mock-reason"]
    assert re.fullmatch(r"[ -~]{1,1000}", reason)
    assert "X-Evil" not in answer.headers


@pytest.mark.parametrize(
    ("value", "reason", "text"),
    [
        (None, "sync_not_supported", "async.header.required at header X-DashScope-Async: is missing; send enable"),
        ("disable", "sync_not_supported", 'is "disable"; send enable'),
        ("", "sync_not_supported", 'is ""; send enable'),
        ("false", "async_header_invalid", 'async.header.value at header X-DashScope-Async: is "false"; send enable'),
        ("enabled", "async_header_invalid", 'is "enabled"'),
    ],
)
def test_a_submission_must_ask_to_run_asynchronously(vendor: Vendor, value: str | None, reason: str, text: str) -> None:
    answer = vendor.submit(headers={"X-DashScope-Async": value})
    row = catalogue.errors()[reason]
    assert (answer.status_code, answer.get_json()["code"]) == (row.status, row.code)
    assert answer.get_json()["message"] == row.message
    assert text in answer.headers["x-mock-reason"]


@pytest.mark.parametrize(
    ("authorization", "reason"),
    [
        (None, "no_api_key"),
        ("", "no_api_key"),
        ("  ", "no_api_key"),
        ("Bearer", "invalid_api_key"),
        ("Bearer ", "invalid_api_key"),
        ("Bearer secret", "invalid_api_key"),
        ("Bearer sk-", "invalid_api_key"),
        ("Bearer sk-a sk-b", "invalid_api_key"),
        ("Basic c2stYTo=", "invalid_api_key"),
        ("sk-main", "invalid_api_key"),
        ("Bearer\tsk-main", "invalid_api_key"),
    ],
)
def test_a_call_without_a_good_key_is_unauthorized(vendor: Vendor, authorization: str | None, reason: str) -> None:
    answer = vendor.submit(headers={"Authorization": authorization})
    assert answer.status_code == 401
    assert answer.get_json()["code"] == "InvalidApiKey"
    assert answer.get_json()["message"] == catalogue.errors()[reason].message
    assert answer.headers["x-mock-reason"].startswith("auth.key.")


@pytest.mark.parametrize("authorization", ["Bearer sk-main", "bearer sk-main", "BEARER sk-ws-1.2_3"])
def test_any_key_that_begins_with_sk_is_accepted(vendor: Vendor, authorization: str) -> None:
    assert vendor.submit(headers={"Authorization": authorization}).status_code == 200


def test_with_configured_keys_no_other_is_accepted() -> None:
    vendor = Vendor(api_key={"sk-one": "acme", "token-without-prefix": ""})
    assert vendor.submit(key="sk-one").status_code == 200
    assert vendor.submit(key="token-without-prefix").status_code == 200
    assert vendor.submit(key="sk-two").status_code == 401


def test_no_key_is_ever_answered(vendor: Vendor) -> None:
    task = vendor.submitted(key="sk-very-secret")
    shown = [vendor.list(key="sk-very-secret").text, vendor.query(task, key="sk-very-secret").text]
    shown += [vendor.admin("GET", "tasks").text, str(vendor.submit(key="x-very-secret").headers)]
    assert not any("very-secret" in text for text in shown)


def test_a_workspace_must_be_one_of_those_configured() -> None:
    vendor = Vendor(workspace=("ws-1", "ws-2"))
    assert vendor.submit(headers={"X-DashScope-WorkSpace": "ws-2"}).status_code == 200
    assert vendor.submit().status_code == 200
    answer = vendor.submit(headers={"X-DashScope-WorkSpace": "ws-3"})
    assert (answer.status_code, answer.get_json()["code"]) == (401, "NOT AUTHORIZED")
    assert answer.get_json()["message"] == catalogue.errors()["workspace_unknown"].message
    assert answer.headers["x-mock-reason"].startswith("workspace.known at header X-DashScope-WorkSpace")


@pytest.mark.parametrize(
    ("after_ms", "status"), [((0, 0, 0), 429), ((0, 0, 999), 429), ((0, 0, 1_000), 200), ((0, 600, 399), 429)]
)
def test_an_account_submits_twice_a_second(vendor: Vendor, after_ms: tuple[int, ...], status: int) -> None:
    answers = []
    for wait_ms in after_ms:
        vendor.later(wait_ms)
        answers.append(vendor.submit())
    assert [answer.status_code for answer in answers] == [200, 200, status]
    if status == 429:
        assert answers[2].get_json()["code"] == "Throttling.RateQuota"
        assert answers[2].get_json()["message"] == catalogue.errors()["rate_quota"].message
        assert answers[2].headers["x-mock-reason"].startswith("rate.submissions: 2 submissions were taken")
        assert "retry-after" not in answers[2].headers


def test_a_submission_refused_for_its_rate_takes_no_place_in_the_window(vendor: Vendor) -> None:
    statuses = [vendor.submit().status_code for _ in range(5)]
    vendor.later(1_000)
    assert [*statuses, vendor.submit().status_code] == [200, 200, 429, 429, 429, 200]


def test_a_submission_refused_for_its_body_takes_a_place_in_the_window(vendor: Vendor) -> None:
    assert [vendor.submit({}).status_code for _ in range(3)] == [400, 400, 429]


def test_keys_of_one_account_share_its_limits_and_its_tasks() -> None:
    vendor = Vendor(api_key={"sk-main": "acme", "sk-ram": "acme", "sk-other": "globex"})
    task = vendor.submitted(key="sk-main")
    vendor.submitted(key="sk-ram")
    assert vendor.submit(key="sk-ram").status_code == 429
    assert vendor.submit(key="sk-other").status_code == 200
    assert vendor.status(task, key="sk-ram") == "PENDING"
    assert vendor.status(task, key="sk-other") == "UNKNOWN"
    assert vendor.cancel(task, key="sk-ram").status_code == 200


def test_keys_that_are_not_configured_are_accounts_of_their_own(vendor: Vendor) -> None:
    assert [vendor.submit(key=f"sk-{number}").status_code for number in range(5)] == [200] * 5


def test_without_limits_neither_rate_nor_queue_holds_anyone_up(unlimited: Vendor) -> None:
    tasks = [unlimited.submitted() for _ in range(30)]
    unlimited.later(500)
    assert {unlimited.status(task) for task in tasks} == {"RUNNING"}
    unlimited.later(500)
    assert {unlimited.status(task) for task in tasks} == {"SUCCEEDED"}


def test_the_same_seed_gives_the_same_ids() -> None:
    first, second, other = Vendor(seed=3), Vendor(seed=3), Vendor(seed=4)
    assert first.submit().data == second.submit().data
    assert other.submit().data != first.submit().data
