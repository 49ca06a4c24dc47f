"""Judging traffic: captured bodies, responses of several libraries, hooks, and the middleware."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterable, Mapping
from hashlib import sha256
from io import BytesIO
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from wsgiref.util import setup_testing_defaults

import httpx
import pytest
import requests
import responses
from flask import Flask, request
from werkzeug.test import Client, TestResponse

from contracts import catalogue
from facechain_testkit import checks
from facechain_testkit.checks import (
    Breach,
    ContractMiddleware,
    assert_contract,
    httpx_async_event_hook,
    httpx_event_hook,
    operation_of,
    requests_hook,
    validate_request,
    validate_response,
)
from mock_server.app import create_app
from mock_server.settings import Settings
from tests.conftest import ANSWERS

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

API = "https://dashscope.aliyuncs.com/api/v1"
SUBMIT = "/api/v1/services/aigc/album/gen_potrait"
GOOD = catalogue.examples("portrait-request")["good"]
BODY = GOOD["vendor-sample-preset-style"]
BAD_BODY = {**BODY, "parameters": {"style": "f_idcard_male", "n": 9}}
N_IS_9 = "portrait.n.range at parameters.n: 9 is above 4 (documented)"

ACCEPTED = {
    "output": {"task_status": "PENDING", "task_id": "6f1b2f1c-0a4e-4f0b-9a55-2f6f0f3a7c11"},
    "request_id": "9f3c1a52-4b1d-9a07-8c3e-5d2a7e60b914",
}
RUNNING = {
    "request_id": "b7a4c2d9-10e3-95f8-a6c1-3e8d5f704a2b",
    "output": {
        "task_id": "6f1b2f1c-0a4e-4f0b-9a55-2f6f0f3a7c11",
        "task_status": "RUNNING",
        "task_metrics": {"TOTAL": 4, "SUCCEEDED": 0, "FAILED": 0},
    },
}
EMPTY_PAGE = {"total": 0, "data": [], "total_page": 0, "page_no": 1, "page_size": 10, "request_id": "r-1"}
CANCELED = {"request_id": "4d6f8a1b-93c2-9e75-b0d8-1a7c5e3f2946"}
REFUSED = {"code": "InvalidApiKey", "message": "Invalid API-key provided.", "request_id": "r-2"}
NO_STATUS = {"request_id": "r-3", "output": {"task_id": "t"}}


# -- bodies -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", GOOD)
@pytest.mark.parametrize("form", ["object", "text", "bytes"])
def test_a_good_request_has_no_violations(name: str, form: str) -> None:
    text = json.dumps(GOOD[name], ensure_ascii=False)
    assert validate_request({"object": GOOD[name], "text": text, "bytes": text.encode()}[form]) == []


@pytest.mark.parametrize("name", catalogue.examples("portrait-request")["bad"])
def test_a_bad_request_breaks_the_rule_of_its_example_first(name: str) -> None:
    example = catalogue.examples("portrait-request")["bad"][name]
    first, *_ = validate_request(json.dumps(example["body"]))
    assert (first.rule, first.place) == (example["rule"], example["place"])


@pytest.mark.parametrize(
    ("body", "rule", "problem"),
    [
        (b"", "body.json", "is not JSON: Expecting value at line 1 column 1"),
        ("{'model': 1}", "body.json", "is not JSON: Expecting property name enclosed in double quotes"),
        (b'{"model": NaN}', "body.json", "is not JSON: NaN is no JSON number"),
        (b"\xff\xfe", "body.json", "is not UTF-8 at byte 0"),
        ("\ud800", "body.json", "is not UTF-8 at byte 0"),
        (b"[" * 100_000, "body.json", "is nested too deeply"),
        (b"[]", "body.object", "an array is not an object"),
        ("null", "body.object", "null is not an object"),
        (b" " * 1_048_577, "body.size", "has 1048577 bytes, takes at most 1048576"),
    ],
    ids=["empty", "quotes", "nan", "not-utf-8", "surrogate", "deep", "array", "null", "large"],
)
def test_what_is_no_json_object_breaks_the_rules_of_the_body(body: bytes | str, rule: str, problem: str) -> None:
    (found,) = validate_request(body)
    assert (found.rule, found.place) == (rule, "")
    assert found.problem.startswith(problem)


def test_a_violation_reads_as_rule_place_problem_and_evidence() -> None:
    assert [str(violation) for violation in validate_request(BAD_BODY)] == [N_IS_9]


def test_a_behaviour_changes_what_is_good() -> None:
    body = {**BODY, "parameters": {"style": "f_idcard_male", "n": 5}}
    assert validate_request(body) != []
    assert validate_request(body, {"n-maximum": "5"}) == []


def test_an_unknown_behaviour_is_told_of() -> None:
    with pytest.raises(ValueError, match="n-maximum"):
        validate_request(BODY, {"n-maximun": "5"})


@pytest.mark.parametrize(
    ("operation", "status", "body"),
    [
        ("submit_portrait", 200, ACCEPTED),
        ("query_task", 200, RUNNING),
        ("query_task", 200, {"request_id": "r", "output": {"task_id": "1111", "task_status": "UNKNOWN"}}),
        ("list_tasks", 200, EMPTY_PAGE),
        ("cancel_task", 200, CANCELED),
        ("cancel_task", 400, REFUSED),
        ("query_task", 503, REFUSED),
    ],
)
@pytest.mark.parametrize("form", [lambda body: body, json.dumps, lambda body: json.dumps(body).encode()])
def test_a_good_answer_has_no_problems(
    operation: str, status: int, body: Mapping[str, Any], form: Callable[[Any], Any]
) -> None:
    assert validate_response(operation, status, form(body)) == []


@pytest.mark.parametrize(
    ("operation", "status", "body", "problem"),
    [
        ("submit_portrait", 200, RUNNING, "output.task_status: 'PENDING' was expected"),
        ("query_task", 200, NO_STATUS, "output: 'task_status' is a required property"),
        ("query_task", 200, {**RUNNING, "usage": {"image_count": 4}}, "usage.image_count: 0 was expected"),
        ("query_task", 200, b"<html>", "body: is not JSON: Expecting value at line 1 column 1"),
        ("query_task", 502, "<html>", "body: is not JSON: Expecting value at line 1 column 1"),
        ("query_task", 200, "[]", "body: [] is not of type 'object'"),
        ("query_task", 404, b"", "body: is not JSON: Expecting value at line 1 column 1"),
        ("list_tasks", 200, ACCEPTED, "body: 'total' is a required property"),
        ("cancel_task", 200, {}, "body: 'request_id' is a required property"),
        ("cancel_task", 400, {"error": {"code": "x"}}, "body: 'code' is a required property"),
    ],
)
def test_a_bad_answer_is_told_by_place_and_problem(
    operation: str, status: int, body: bytes | str | Mapping[str, Any], problem: str
) -> None:
    assert problem in validate_response(operation, status, body)


@pytest.mark.parametrize("operation", [operation for operation in ANSWERS if operation != "delete_file"])
def test_the_examples_of_the_contract_are_judged_as_it_says(operation: str) -> None:
    examples = catalogue.examples(ANSWERS[operation])
    assert [name for name, body in examples["good"].items() if validate_response(operation, 200, body)] == []
    bad = {name: validate_response(operation, 200, row["body"]) for name, row in examples["bad"].items()}
    assert [name for name, problems in bad.items() if not problems] == []


def test_every_operation_of_the_contract_is_known() -> None:
    assert set(checks._answers()) == {*ANSWERS, "stream_job"}


@pytest.mark.parametrize("operation", ["detect_faces", "create_job"])
def test_the_requests_of_the_family_are_judged_by_their_own_schemas(operation: str) -> None:
    examples = catalogue.examples(checks.REQUESTS[operation])
    for body in examples["good"].values():
        assert validate_request(body, operation=operation) == []
        assert validate_request(body) != []
    for example in examples["bad"].values():
        first, *_ = validate_request(json.dumps(example["body"]), operation=operation)
        assert (first.rule, first.place) == (example["rule"], example["place"])


def test_a_call_without_json_has_no_request_to_judge() -> None:
    with pytest.raises(
        ValueError, match="'upload_files' sends no JSON; those that do are submit_portrait, detect_faces"
    ):
        validate_request({}, operation="upload_files")


def test_a_refused_purpose_may_have_a_shape_of_its_own() -> None:
    (body,) = catalogue.examples("purpose-error")["good"].values()
    assert validate_response("upload_files", 400, body) == []
    assert validate_response("upload_files", 400, REFUSED) == []
    assert validate_response("list_files", 400, body) != []
    assert "body: 'code' is a required property" in validate_response("upload_files", 400, {"error": {}})


def test_a_stream_is_not_judged_and_its_refusal_is() -> None:
    assert validate_response("stream_job", 200, b"id:1\nevent:result\ndata:{}\n\n") == []
    assert validate_response("stream_job", 404, b"") != []


def test_an_unknown_operation_is_told_of() -> None:
    with pytest.raises(ValueError, match="unknown operation 'poll'; known are submit_portrait"):
        validate_response("poll", 200, {})


# -- which call it is -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "url", "operation"),
    [
        ("POST", f"{API}/services/aigc/album/gen_potrait", "submit_portrait"),
        ("post", f"{API}/services/aigc/album/gen_potrait/", "submit_portrait"),
        ("GET", f"{API}/tasks/t-1", "query_task"),
        ("GET", f"{API}/tasks/t-1?x=1#y", "query_task"),
        ("GET", f"{API}/tasks", "list_tasks"),
        ("GET", f"{API}/tasks/?page_no=1", "list_tasks"),
        ("POST", f"{API}/tasks/t-1/cancel", "cancel_task"),
        ("GET", "/api/v1/tasks/t-1", "query_task"),
        ("GET", "http://127.0.0.1:8790/api/v1/tasks/t-1", "query_task"),
        ("GET", "http://[::1]:8790/api/v1/tasks/t-1", "query_task"),
        ("GET", "http://localhost/api/v1/tasks/t-1", "query_task"),
        ("GET", "http://facechain-mock:8790/api/v1/tasks/t-1", "query_task"),
        ("GET", "https://mock.facechain.test/api/v1/tasks/t-1", "query_task"),
        ("GET", "https://ws-1.cn-beijing.maas.aliyuncs.com/api/v1/tasks/t-1", "query_task"),
        ("POST", f"{API}/services/vision/facedetection/detect", "detect_faces"),
        ("POST", f"{API}/fine-tunes", "create_job"),
        ("GET", f"{API}/fine-tunes?page_no=1", "list_jobs"),
        ("DELETE", f"{API}/fine-tunes/ft-1", "delete_job"),
        ("GET", f"{API}/fine-tunes/ft-1/logs", "get_job_logs"),
        ("POST", f"{API}/files", "upload_files"),
        ("GET", f"{API}/uploads?action=getPolicy&model=facechain-generation", "get_upload_policy"),
        ("POST", "https://dashscope-file-mgr.oss-cn-beijing.aliyuncs.com/", None),
        ("POST", f"{API}/services/aigc/album/gen_portrait", None),
        ("GET", f"{API}/services/aigc/album/gen_potrait", None),
        ("DELETE", f"{API}/tasks/t-1", None),
        ("GET", f"{API}/tasks/t-1/cancel", None),
        ("GET", f"{API}/tasks/t-1/more", None),
        ("GET", "/tasks/t-1", None),
        ("GET", "/proxy/api/v1/tasks/t-1", None),
        ("GET", "https://tasks.example.com/api/v1/tasks/t-1", None),
        ("GET", "https://evilaliyuncs.com/api/v1/tasks/t-1", None),
        ("GET", "https://aliyuncs.com.example.org/api/v1/tasks/t-1", None),
        ("GET", "https://[broken/api/v1/tasks/t-1", None),
        ("GET", "", None),
    ],
)
def test_a_call_is_known_by_method_and_url(method: str, url: str, operation: str | None) -> None:
    assert operation_of(method, url) == operation


# -- responses of several libraries -----------------------------------------------------------------------------------

Respond = Callable[[str, str, bytes, int, bytes], object]


def by_requests(method: str, url: str, asked: bytes, status: int, answered: bytes) -> requests.Response:
    found = requests.Response()
    found.status_code = status
    found.raw = BytesIO(answered)
    found.request = requests.Request(method, url, data=asked).prepare()
    return found


def by_httpx(method: str, url: str, asked: bytes, status: int, answered: bytes) -> httpx.Response:
    return httpx.Response(status, content=answered, request=httpx.Request(method, url, content=asked))


def by_flask(method: str, url: str, asked: bytes, status: int, answered: bytes) -> TestResponse:
    app = Flask("stand-in")

    @app.route("/<path:_path>", methods=[method])
    def answer(_path: str) -> tuple[bytes, int]:
        request.get_data()
        return answered, status

    return app.test_client().open(url.removeprefix("https://dashscope.aliyuncs.com"), method=method, data=asked)


def by_shape(method: str, url: str, asked: bytes, status: int, answered: bytes) -> SimpleNamespace:
    return SimpleNamespace(
        status=status, body=answered.decode(), request=SimpleNamespace(method=method, url=url, body=asked)
    )


@pytest.fixture(params=[by_requests, by_httpx, by_flask, by_shape])
def respond(request: pytest.FixtureRequest) -> Respond:
    """Makes a response of one library."""
    made: Respond = request.param
    return made


def encoded(value: object) -> bytes:
    return json.dumps(value).encode()


@pytest.mark.parametrize(
    ("method", "path", "asked", "status", "answered", "operation"),
    [
        ("POST", SUBMIT, BODY, 200, ACCEPTED, "submit_portrait"),
        ("POST", SUBMIT, BODY, 401, REFUSED, "submit_portrait"),
        ("GET", "/api/v1/tasks/t-1", "", 200, RUNNING, "query_task"),
        ("GET", "/api/v1/tasks", "", 200, EMPTY_PAGE, "list_tasks"),
        ("POST", "/api/v1/tasks/t-1/cancel", "", 200, CANCELED, "cancel_task"),
    ],
)
def test_an_exchange_that_keeps_the_contract_passes_and_is_named(
    respond: Respond, method: str, path: str, asked: object, status: int, answered: object, operation: str
) -> None:
    url = f"https://dashscope.aliyuncs.com{path}"
    assert assert_contract(respond(method, url, encoded(asked), status, encoded(answered))) == operation


def test_a_bad_submission_and_a_bad_answer_are_both_named(respond: Respond) -> None:
    response = respond("POST", f"https://dashscope.aliyuncs.com{SUBMIT}", encoded(BAD_BODY), 200, b"{}")
    with pytest.raises(AssertionError) as error:
        assert_contract(response)
    text = str(error.value)
    assert "submit_portrait, 200" in text
    assert f"request: {N_IS_9}" in text
    assert "answer: body: 'output' is a required property" in text


def test_what_is_none_of_the_contracts_is_left_alone(respond: Respond) -> None:
    url = "https://dashscope.aliyuncs.com/api/v1/services/aigc/text2image/image-synthesis"
    assert assert_contract(respond("POST", url, b"{", 200, b"no JSON at all")) is None


def test_another_host_is_left_alone_unless_the_operation_is_given() -> None:
    response = by_requests("GET", "https://tasks.example.com/api/v1/tasks/t-1?key=secret", b"", 200, b"{}")
    assert assert_contract(response) is None
    with pytest.raises(AssertionError, match="query_task") as error:
        assert_contract(response, operation="query_task")
    assert "secret" not in str(error.value)


def test_an_assertion_knows_behaviours() -> None:
    body = encoded({**BODY, "parameters": {"style": "f_idcard_male", "n": 5}})
    response = by_requests("POST", f"{API}/services/aigc/album/gen_potrait", body, 200, encoded(ACCEPTED))
    assert assert_contract(response, behaviours={"n-maximum": "5"}) == "submit_portrait"


@pytest.mark.parametrize(
    "streamed",
    [
        httpx.Request("POST", f"{API}/services/aigc/album/gen_potrait", content=iter([b"{}"])),
        requests.Request("POST", f"{API}/services/aigc/album/gen_potrait", data=iter([b"{}"])).prepare(),
    ],
    ids=["httpx", "requests"],
)
def test_a_body_that_was_streamed_is_not_judged(streamed: object) -> None:
    assert assert_contract(SimpleNamespace(status_code=200, content=encoded(ACCEPTED), request=streamed))


@pytest.mark.parametrize(
    ("thing", "text"),
    [
        (None, "NoneType is not a response that can be judged: it needs status_code"),
        ({"status": 200}, "dict is not a response"),
        (SimpleNamespace(status_code=200, content=b"{}"), "SimpleNamespace is not a response"),
        (httpx.Response(200, content=b"{}"), "Response cannot be judged: The request instance has not been set"),
        (
            httpx.Response(200, stream=httpx.ByteStream(b"{}"), request=httpx.Request("GET", f"{API}/tasks/t-1")),
            "Response cannot be judged: Attempted to access streaming response content",
        ),
    ],
    ids=["none", "dict", "no-request", "httpx-without-request", "httpx-unread"],
)
def test_what_is_no_response_is_refused_clearly(thing: object, text: str) -> None:
    with pytest.raises(TypeError, match=text):
        assert_contract(thing)


# -- hooks ------------------------------------------------------------------------------------------------------------

CALLS = [
    pytest.param("GET", f"{API}/tasks/t-1", encoded(RUNNING), True, id="good"),
    pytest.param("GET", f"{API}/tasks/t-1", encoded(NO_STATUS), False, id="bad"),
    pytest.param("GET", "https://api.example.com/api/v1/tasks/t-1", b"anything", True, id="another-host"),
    pytest.param(
        "GET", "https://dashscope-result-bj.oss-cn-beijing.aliyuncs.com/a.jpg", b"\xff\xd8", True, id="picture"
    ),
]


@pytest.mark.parametrize(("method", "url", "answer", "passes"), CALLS)
@pytest.mark.parametrize("stream", [False, True])
def test_a_requests_session_judges_its_answers(
    method: str, url: str, answer: bytes, passes: bool, stream: bool
) -> None:
    with responses.RequestsMock() as mocked, requests.Session() as session:
        mocked.add(method, url, body=answer)
        session.hooks["response"].append(requests_hook)
        if passes:
            assert b"".join(session.request(method, url, stream=stream).iter_content(7)) == answer
        else:
            with pytest.raises(AssertionError, match="'task_status' is a required property"):
                session.request(method, url, stream=stream)


@pytest.mark.parametrize(("method", "url", "answer", "passes"), CALLS)
def test_an_httpx_client_judges_its_answers(method: str, url: str, answer: bytes, passes: bool) -> None:
    transport = httpx.MockTransport(lambda _request: httpx.Response(200, stream=httpx.ByteStream(answer)))
    with httpx.Client(transport=transport, event_hooks={"response": [httpx_event_hook]}) as client:
        if passes:
            assert client.request(method, url).content == answer
        else:
            with pytest.raises(AssertionError, match="'task_status' is a required property"):
                client.request(method, url)


@pytest.mark.parametrize(("method", "url", "answer", "passes"), CALLS)
async def test_an_async_httpx_client_judges_its_answers(method: str, url: str, answer: bytes, passes: bool) -> None:
    transport = httpx.MockTransport(lambda _request: httpx.Response(200, stream=httpx.ByteStream(answer)))
    async with httpx.AsyncClient(transport=transport, event_hooks={"response": [httpx_async_event_hook]}) as client:
        if passes:
            assert (await client.request(method, url)).content == answer
        else:
            with pytest.raises(AssertionError, match="'task_status' is a required property"):
                await client.request(method, url)


def test_a_hook_judges_the_submission_too() -> None:
    with responses.RequestsMock() as mocked, requests.Session() as session:
        mocked.add("POST", f"{API}/services/aigc/album/gen_potrait", json=ACCEPTED)
        session.hooks["response"].append(requests_hook)
        with pytest.raises(AssertionError, match=r"portrait\.n\.range at parameters\.n"):
            session.post(f"{API}/services/aigc/album/gen_potrait", json=BAD_BODY)


# -- the middleware ---------------------------------------------------------------------------------------------------


def stand_in(answer: object, *, status: str = "200 OK", as_list: bool = False, reads: bool = True) -> WSGIApplication:
    """A WSGI app that answers in the vendor's place, and in a header with a digest of what it was asked."""
    text = answer if isinstance(answer, bytes) else encoded(answer)

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        asked = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)) if reads else b""
        start_response(status, [("Content-Length", str(len(text))), ("X-Asked", sha256(asked).hexdigest())])
        pieces = [text[:9], text[9:]]
        return pieces if as_list else iter(pieces)

    return app


@pytest.mark.parametrize("as_list", [True, False])
@pytest.mark.parametrize("reads", [True, False])
def test_the_middleware_finds_breaches_and_changes_nothing(as_list: bool, reads: bool) -> None:
    app = stand_in({"request_id": "r"}, as_list=as_list, reads=reads)
    middleware = ContractMiddleware(app)
    plain, watched = (Client(each).post(SUBMIT, json=BAD_BODY) for each in (app, middleware))
    assert (watched.status, list(watched.headers), watched.data) == (plain.status, list(plain.headers), plain.data)
    assert watched.headers["X-Asked"] == sha256(encoded(BAD_BODY) if reads else b"").hexdigest()
    (breach,) = middleware.violations
    assert breach == Breach(
        "submit_portrait",
        "POST",
        SUBMIT,
        200,
        (f"request: {N_IS_9}", "answer: body: 'output' is a required property"),
    )


def test_a_breach_reads_as_one_story() -> None:
    middleware = ContractMiddleware(stand_in(NO_STATUS))
    assert Client(middleware).get("/api/v1/tasks/t-1?secret=1").data == encoded(NO_STATUS)
    assert str(middleware.violations[0]) == (
        "GET /api/v1/tasks/t-1 (query_task, 200) breaks the contract:\n"
        "  answer: output: 'task_status' is a required property"
    )


@pytest.mark.parametrize(
    ("method", "path", "app"),
    [
        ("GET", "/api/v1/tasks/t-1", stand_in(RUNNING)),
        ("GET", "/api/v1/tasks/t-1", stand_in(REFUSED, status="401 Unauthorized")),
        ("GET", "/api/v1/tasks/t-1/more", stand_in(b"anything")),
        ("PUT", "/api/v1/tasks/t-1", stand_in(b"anything")),
        ("GET", "/", stand_in(b"<html>")),
        ("GET", "/api/v1/tasks/t-1", stand_in(b" " * (checks.MOST_ANSWER_BYTES + 1))),
    ],
    ids=["good", "refused", "another-path", "another-method", "a-page", "too-long"],
)
def test_the_middleware_lets_pass_what_is_good_or_not_its_own(method: str, path: str, app: WSGIApplication) -> None:
    middleware = ContractMiddleware(app)
    assert Client(middleware).open(path, method=method).data
    assert list(middleware.violations) == []


def test_an_app_below_a_mount_point_is_judged() -> None:
    middleware = ContractMiddleware(stand_in(NO_STATUS))
    assert Client(middleware).get("/tasks/t-1", environ_overrides={"SCRIPT_NAME": "/api/v1"}).data
    assert [breach.operation for breach in middleware.violations] == ["query_task"]


def test_a_violation_can_be_raised_at_once() -> None:
    def fail(breach: Breach) -> None:
        raise AssertionError(str(breach))

    with pytest.raises(AssertionError, match="'task_status' is a required property"):
        Client(ContractMiddleware(stand_in(NO_STATUS, as_list=True), fail)).get("/api/v1/tasks/t-1")


def test_the_middleware_knows_behaviours() -> None:
    body = {**BODY, "parameters": {"style": "f_idcard_male", "n": 5}}
    strict, wide = (ContractMiddleware(stand_in(ACCEPTED), behaviours={"n-maximum": most}) for most in "45")
    for middleware in (strict, wide):
        assert Client(middleware).post(SUBMIT, json=body).data
    assert [len(middleware.violations) for middleware in (strict, wide)] == [1, 0]


@pytest.mark.parametrize(
    ("sent", "problems"),
    [(gzip.compress(encoded(RUNNING)), 0), (gzip.compress(encoded(NO_STATUS)), 1), (b"not packed", 1)],
    ids=["good", "bad", "not-packed"],
)
def test_a_packed_answer_is_judged_by_what_is_in_it(sent: bytes, problems: int) -> None:
    def app(_environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Encoding", "gzip")])
        return [sent]

    middleware = ContractMiddleware(app)
    assert Client(middleware).get("/api/v1/tasks/t-1").data == sent
    assert sum(len(breach.problems) for breach in middleware.violations) == problems


def test_a_flask_answer_is_judged_although_nobody_reads_it() -> None:
    app = Flask("stand-in")
    app.add_url_rule("/api/v1/tasks/<task_id>", view_func=lambda **_: NO_STATUS)
    app.wsgi_app = middleware = ContractMiddleware(app.wsgi_app)  # type: ignore[method-assign]  # as Flask documents
    assert app.test_client().get("/api/v1/tasks/t-1").status_code == 200
    assert len(middleware.violations) == 1


def test_what_an_app_writes_is_judged_too() -> None:
    def app(_environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [])(encoded(NO_STATUS)[:5])
        return [encoded(NO_STATUS)[5:]]

    middleware = ContractMiddleware(app)
    assert Client(middleware).get("/api/v1/tasks/t-1").data == encoded(NO_STATUS)
    assert [breach.problems for breach in middleware.violations] == [
        ("answer: output: 'task_status' is a required property",)
    ]


@pytest.mark.parametrize("length", ["", "no number", "1048577", "999"])
def test_a_body_of_unknown_length_is_left_to_the_app(length: str) -> None:
    environ: WSGIEnvironment = {"REQUEST_METHOD": "POST", "PATH_INFO": SUBMIT, "CONTENT_LENGTH": length}
    setup_testing_defaults(environ)
    environ["wsgi.input"] = BytesIO(b"{}")
    middleware = ContractMiddleware(stand_in(ACCEPTED, reads=False))
    list(middleware(environ, lambda *_: lambda _chunk: None))
    assert environ["wsgi.input"].read() == b"{}"
    assert list(middleware.violations) == []


class Closing:
    """An answer that was left before its end, and knows that it was closed."""

    def __init__(self) -> None:
        self.is_closed = False
        self._pieces = iter([encoded(NO_STATUS), b" "])

    def __iter__(self) -> Closing:
        return self

    def __next__(self) -> bytes:
        return next(self._pieces)

    def close(self) -> None:
        self.is_closed = True


def test_an_answer_that_the_client_left_is_closed_and_not_judged() -> None:
    answer = Closing()

    def app(_environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [])
        return answer

    environ: WSGIEnvironment = {"REQUEST_METHOD": "GET", "PATH_INFO": "/api/v1/tasks/t-1"}
    middleware = ContractMiddleware(app)
    sent = middleware(environ, lambda *_: lambda _chunk: None)
    next(iter(sent))
    sent.close()  # type: ignore[attr-defined]  # a server closes what can be closed
    assert answer.is_closed
    assert list(middleware.violations) == []


def test_only_the_latest_breaches_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "MOST_BREACHES", 2)
    middleware = ContractMiddleware(stand_in(NO_STATUS))
    for number in range(4):
        assert Client(middleware).get(f"/api/v1/tasks/t-{number}").data
    assert [breach.url[-3:] for breach in middleware.violations] == ["t-2", "t-3"]


def test_the_mock_itself_passes_the_middleware() -> None:
    middleware = ContractMiddleware(create_app(Settings(seed=7)))
    client = Client(middleware)
    headers = {"Authorization": "Bearer sk-main", "X-DashScope-Async": "enable"}
    task = client.post(SUBMIT, json=BODY, headers=headers).get_json()
    for path in (f"/api/v1/tasks/{task['output']['task_id']}", "/api/v1/tasks", "/api/v1/tasks/1111"):
        assert client.get(path, headers=headers).status_code == 200
    assert client.get("/api/v1/tasks").status_code == 401
    assert list(middleware.violations) == []


def _form(**more: str) -> dict[str, Any]:
    return {"files": (BytesIO(b"a photo"), "me.jpg"), **more}


def test_the_mock_passes_the_middleware_with_detections_trainings_and_uploads() -> None:
    middleware = ContractMiddleware(create_app(Settings(seed=7, limits="off")))
    client = Client(middleware)
    headers = {"Authorization": "Bearer sk-main"}
    file = client.post("/api/v1/files", data=_form(), headers=headers).get_json()["data"]["uploaded_files"][0]
    training = {"model": "facechain-finetune", "training_file_ids": ["https://assets.facechain.test/me.jpg"]}
    detection = {"model": "facechain-facedetect", "input": {"images": training["training_file_ids"]}}
    job = client.post("/api/v1/fine-tunes", json=training, headers=headers).get_json()["output"]["job_id"]
    found = client.post("/api/v1/services/vision/facedetection/detect", json=detection, headers=headers)
    assert found.status_code == 200
    for path in ("files", f"files/{file['file_id']}", "fine-tunes", f"fine-tunes/{job}", f"fine-tunes/{job}/logs"):
        assert client.get(f"/api/v1/{path}", headers=headers).status_code == 200
    assert client.get(f"/api/v1/fine-tunes/{job}/stream", headers=headers).status_code == 200
    assert client.post("/api/v1/files", data=_form(purpose="x"), headers=headers).status_code == 400
    assert list(middleware.violations) == []
    wrong = {**training, "training_file_ids": []}
    assert client.post("/api/v1/fine-tunes", json=wrong, headers=headers).status_code == 400
    (breach,) = middleware.violations
    assert breach.operation == "create_job"
    assert breach.problems[0].startswith("request: job.files.empty at training_file_ids: ")
