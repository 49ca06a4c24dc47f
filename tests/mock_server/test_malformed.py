"""What no client should send, over raw sockets and in process: it is refused in the vendor's words, nothing breaks."""

from __future__ import annotations

import copy
import json
import logging
import re
import socket
import struct
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from http.client import HTTPException, HTTPResponse
from typing import Any

import pytest
from flask import Flask, got_request_exception
from flask.testing import FlaskClient

from contracts import catalogue
from contracts.validation import RequestContract, answer_violations
from mock_server.app import create_app
from mock_server.core import simulator
from mock_server.serving import Server, running
from mock_server.settings import Settings

SUBMIT = "/api/v1/services/aigc/album/gen_potrait"
KEY = {"Authorization": "Bearer sk-malformed"}
SUBMITTING = {**KEY, "X-DashScope-Async": "enable", "Content-Type": "application/json"}
GOOD = json.dumps(catalogue.examples("portrait-request")["good"]["preset-style"]).encode()
JUNK: list[Any] = [None, True, 0, -1, 1.5, "", "x", [], {}, [[]]]
EVIL = "X-Evil: 1"
PATIENCE_S = 10


@dataclass(frozen=True)
class Answer:
    """One answer as it came over the line. Header names are lower case."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str:
        (value,) = [value for key, value in self.headers if key == name]
        return value


@dataclass(frozen=True)
class Served:
    """A running server, and what has gone wrong inside it so far."""

    app: Flask
    server: Server
    failures: list[str] = field(default_factory=list)

    def exchange(self, raw: bytes, *, finished: bool = False) -> Answer | None:
        """Send ``raw`` and read one answer; None when the server hangs up without one.

        With ``finished`` the client says that nothing more will come.
        """
        with self.dial() as line:
            with suppress(ConnectionError):  # the server may hang up before it has heard everything
                line.sendall(raw)
                if finished:
                    line.shutdown(socket.SHUT_WR)
            return read_answer(line, raw.partition(b" ")[0].decode("latin-1"))

    def dial(self) -> socket.socket:
        return socket.create_connection((self.server.host, self.server.port), timeout=PATIENCE_S)

    def is_quiet(self) -> bool:
        """Whether no connection is left over; waits a moment for those that are being closed."""
        deadline = time.monotonic() + PATIENCE_S
        channels: Any = self.server._server
        while channels.active_channels and time.monotonic() < deadline:
            time.sleep(0.001)
        return not channels.active_channels


class _Recorder(logging.Handler):
    def __init__(self, failures: list[str]) -> None:
        super().__init__(logging.ERROR)
        self._failures = failures

    def emit(self, record: logging.LogRecord) -> None:
        self._failures.append(record.getMessage())


def read_answer(line: socket.socket, method: str = "GET") -> Answer | None:
    response = HTTPResponse(line, method=method)
    try:
        response.begin()
        headers = [(name.lower(), value) for name, value in response.getheaders()]
        return Answer(response.status, headers, response.read())
    except (HTTPException, ConnectionError):
        return None
    finally:
        response.close()


def written(method: str, path: str, body: bytes | None = None, *more: str, close: bool = True) -> bytes:
    """A request that is as it should be, but for what the caller put in."""
    headers = [f"{name}: {value}" for name, value in SUBMITTING.items()]
    length = [] if body is None else [f"Content-Length: {len(body)}"]
    ending = ["Connection: close"] if close else []
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", *headers, *length, *more, *ending, "", ""]
    return "\r\n".join(lines).encode("latin-1") + (body or b"")


def assert_refused(answer: Answer | None, *statuses: int) -> Answer:
    """A refusal in the vendor's shape, explained beside it."""
    assert answer is not None, "the server hung up"
    assert answer.status in (statuses or (400,)), answer
    assert answer.header("content-type") == "application/json"
    body = json.loads(answer.body)
    assert answer_violations("error", body) == []
    assert set(body) == {"code", "message", "request_id"}
    assert answer.header("x-request-id") == body["request_id"]
    assert answer.header("x-mock-reason").strip()
    assert "x-evil" not in dict(answer.headers)
    return answer


def posted(client: FlaskClient, body: bytes) -> Answer:
    """The answer to a submission in process."""
    response = client.post(SUBMIT, data=body, headers=SUBMITTING)
    return Answer(response.status_code, [(name.lower(), value) for name, value in response.headers], response.data)


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    """A server without limits that takes any likeness, for all tests of this file."""
    app = create_app(Settings(limits="off", seed=5, behaviour={"resource-check": "accept"}))
    with running(app) as server:
        yield Served(app, server)


@pytest.fixture
def client(served: Served) -> FlaskClient:
    return served.app.test_client()


@pytest.fixture(autouse=True)
def unharmed(served: Served) -> Iterator[None]:
    """After each test: nothing was raised inside, the server answers, no connection and no thread is left over."""
    threads = set(threading.enumerate())

    def record(_app: Flask, exception: BaseException) -> None:
        served.failures.append(repr(exception))

    recorder = _Recorder(served.failures)
    logging.getLogger("waitress").addHandler(recorder)
    with got_request_exception.connected_to(record, served.app):
        yield
        alive = served.exchange(written("GET", "/api/v1/tasks/x"))
    quiet = served.is_quiet()
    logging.getLogger("waitress").removeHandler(recorder)
    failures, served.failures[:] = list(served.failures), []
    assert failures == []
    assert alive is not None
    assert alive.status == 200
    assert quiet, "a connection is left over"
    assert set(threading.enumerate()) <= threads


# -- bodies ------------------------------------------------------------------------------------------------------------


def with_n(text: str) -> bytes:
    """A good body with ``text`` for the field ``n``."""
    model = '"model": "facechain-generation"'
    likeness = '"resources": [{"resource_id": "r", "resource_type": "facelora"}]'
    return f'{{{model}, {likeness}, "parameters": {{"style": "f_idcard_male", {text}}}}}'.encode()


def deep(opening: str, closing: str = "", levels: int = 100_000) -> str:
    return opening * levels + closing * levels


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        pytest.param(b"", "body.json at body: is not JSON", id="empty"),
        pytest.param(b" \r\n\t", "body.json at body: is not JSON", id="white space"),
        pytest.param(b"{", "body.json at body: is not JSON", id="half an object"),
        pytest.param(b"{'model': 1}", "body.json at body: is not JSON", id="single quotes"),
        pytest.param(b'{"model": 1,}', "body.json at body: is not JSON", id="a comma too many"),
        pytest.param(b'{"model": 1 /* x */}', "body.json at body: is not JSON", id="a comment"),
        pytest.param(GOOD + b"x", "body.json at body: is not JSON: Extra data", id="more after the end"),
        pytest.param(GOOD + GOOD, "body.json at body: is not JSON: Extra data", id="two bodies"),
        pytest.param(b"model=facechain-generation&n=1", "body.json at body: is not JSON", id="a form"),
        pytest.param(b"\0", "body.json at body: is not JSON", id="a null byte"),
        pytest.param(GOOD.replace(b"facechain", b"\0"), "body.json at body: is not JSON", id="a null byte inside"),
        pytest.param(b'{"model": "\xff"}', "body.json at body: is not UTF-8 at byte 11", id="invalid UTF-8"),
        pytest.param(b'{"model": "\xed\xa0\x80"}', "body.json at body: is not UTF-8", id="UTF-8 of a surrogate"),
        pytest.param(b'{"model": "\xc0\xaf"}', "body.json at body: is not UTF-8", id="overlong UTF-8"),
        pytest.param(GOOD.decode().encode("utf-16"), "body.json at body: is not UTF-8", id="UTF-16"),
        pytest.param(GOOD.decode().encode("utf-16-le"), "body.json at body: is not JSON", id="UTF-16, no BOM"),
        pytest.param(GOOD.decode().encode("utf-32"), "body.json at body: is not UTF-8", id="UTF-32"),
        pytest.param(b"\xef\xbb\xbf" + GOOD, "body.json at body: is not JSON: Unexpected UTF-8 BOM", id="a BOM"),
        pytest.param(deep("[").encode(), "body.json at body: is nested too deeply", id="deep and unclosed"),
        pytest.param(deep("[", "]").encode(), "body.json at body: is nested too deeply", id="deep arrays"),
        pytest.param(deep('{"a":').encode(), "body.json at body: is nested too deeply", id="deep objects"),
        pytest.param(with_n(f'"x": {deep("[", "]")}'), "body.json at body: is nested too deeply", id="deep inside"),
        pytest.param(with_n('"n": NaN'), "body.json at body: is not JSON: NaN", id="NaN"),
        pytest.param(with_n('"n": Infinity'), "body.json at body: is not JSON: Infinity", id="Infinity"),
        pytest.param(with_n('"n": -Infinity'), "body.json at body: is not JSON: -Infinity", id="-Infinity"),
        pytest.param(with_n('"x": NaN'), "body.json at body: is not JSON: NaN", id="NaN where anything goes"),
        pytest.param(with_n('"n": ' + "1" * 10_000), "body.json at body: is not JSON", id="10,000 digits"),
        pytest.param(with_n('"n": ' + "1" * 4_000), "portrait.n.range at parameters.n", id="4,000 digits"),
        pytest.param(with_n('"n": 1e999'), "portrait.n.type at parameters.n", id="1e999"),
        pytest.param(with_n('"n": -1e999'), "portrait.n.type at parameters.n", id="-1e999"),
        pytest.param(with_n('"n": 1e300'), "portrait.n.range at parameters.n", id="1e300"),
        pytest.param(with_n('"n": -0'), "portrait.n.range at parameters.n: 0 is below 1", id="-0"),
        pytest.param(with_n('"n": 0x1'), "body.json at body: is not JSON", id="hexadecimal"),
        pytest.param(with_n('"n": 01'), "body.json at body: is not JSON", id="a leading zero"),
        pytest.param(with_n('"n": 1, "n": 9'), "portrait.n.range at parameters.n: 9", id="duplicate: the last is bad"),
        pytest.param(b"null", "body.object at body: is null", id="null"),
        pytest.param(b"true", "body.object at body: is true", id="true"),
        pytest.param(b"7", "body.object at body: is 7", id="a number"),
        pytest.param(b'"x"', 'body.object at body: is "x"', id="a string"),
        pytest.param(b"[]", "body.object at body: is []", id="an array"),
        pytest.param(b"{}", "model.missing at model", id="an empty object"),
        pytest.param(b'{"model": "\\ud800"}', 'model.known at model: is "\\ud800"', id="half a surrogate pair"),
        pytest.param(b'{"model": "' + b"m" * 1_000_000 + b'"}', "model.known at model", id="a long name"),
        pytest.param(b'{"model": "' + b"m" * 1_048_576 + b'"}', "body.size at body", id="just too large"),
        pytest.param(b'{"resources": [' + b"1," * 300_000 + b"1]}", "model.missing at model", id="a long array"),
    ],
)
def test_a_body_that_is_wrong_is_refused_and_the_place_is_named(client: FlaskClient, body: bytes, reason: str) -> None:
    assert assert_refused(posted(client, body)).header("x-mock-reason").startswith(reason)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(with_n('"n": 9, "n": 1'), id="duplicate keys: the last one wins"),
        pytest.param(with_n('"n": 1.0'), id="1.0 is an integer, says JSON Schema"),
        pytest.param(with_n('"n": 2e0'), id="so is 2e0"),
        pytest.param(with_n('"n": 1, "seed": 1e999'), id="1e999 where anything goes"),
        pytest.param(with_n('"n": 1, "seed": ' + "1" * 4_000), id="4,000 digits where anything goes"),
        pytest.param(with_n('"n": 1, "x": "\\ud800"'), id="half a surrogate pair where anything goes"),
        pytest.param(with_n('"n": 1, "\\u0000": "\\u0000"'), id="null characters where anything goes"),
        pytest.param(with_n(f'"n": 1, "x": {deep("[", "]", 500)}'), id="500 levels where anything goes"),
        pytest.param(with_n(f'"n": 1, {", ".join(f"{json.dumps(str(i))}: 0" for i in range(50_000))}'), id="many keys"),
        pytest.param(b"\r\n\t " + GOOD + b"\r\n\t ", id="white space around"),
    ],
)
def test_a_body_that_is_odd_but_keeps_the_rules_is_accepted(client: FlaskClient, body: bytes) -> None:
    assert posted(client, body).status == 200


def nodes(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The path of every node of a JSON value."""
    yield path
    for key, item in value.items() if isinstance(value, dict) else enumerate(value if isinstance(value, list) else []):
        yield from nodes(item, (*path, key))


def replaced(value: Any, path: Sequence[str | int], new: Any) -> Any:
    """A copy of ``value`` with ``new`` in the place of one node."""
    if not path:
        return new
    result = copy.copy(value)
    result[path[0]] = replaced(value[path[0]], path[1:], new)
    return result


@pytest.mark.parametrize("name", catalogue.examples("portrait-request")["good"])
def test_any_type_in_any_place_is_taken_or_refused_as_the_contract_says(client: FlaskClient, name: str) -> None:
    good = catalogue.examples("portrait-request")["good"][name]
    contract = RequestContract()
    for path in nodes(good):
        for junk in JUNK:
            body = replaced(good, path, junk)
            answer = posted(client, json.dumps(body).encode())
            assert (answer.status == 200) == contract.is_valid(body), (path, junk, answer)
            if answer.status != 200:
                assert_refused(answer)


def test_the_types_in_all_places_are_some_hundreds_of_bodies() -> None:
    good = catalogue.examples("portrait-request")["good"].values()
    assert sum(len(list(nodes(body))) * len(JUNK) for body in good) > 1_000


@pytest.mark.parametrize(
    "body",
    [
        pytest.param("%s", id="the body"),
        pytest.param('{"model": %s}', id="the model"),
        pytest.param('{"model": "facechain-generation", "parameters": {"style": %s}}', id="the style"),
        pytest.param(with_n('"n": 1, "x": %s').decode(), id="where anything goes"),
    ],
)
def test_no_depth_of_nesting_is_one_too_many(client: FlaskClient, body: str) -> None:
    most = sys.getrecursionlimit()
    for levels in range(most - 200, most + 10, 2):
        answer = posted(client, (body % deep("[", "]", levels)).encode())
        if answer.status != 200:
            assert_refused(answer)


# -- the size and the framing of a body --------------------------------------------------------------------------------


def chunked(*parts: bytes, ending: bytes = b"0\r\n\r\n") -> bytes:
    head = written("POST", SUBMIT, None, "Transfer-Encoding: chunked")
    return head + b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + ending


def framed(*headers: str, body: bytes = b"") -> bytes:
    return written("POST", SUBMIT, None, *headers) + body


def submissions(served: Served, key: str = KEY["Authorization"]) -> int:
    """How many tasks an account has submitted."""
    return int(served.app.test_client().get("/api/v1/tasks", headers={"Authorization": key}).get_json()["total"])


TEN_MEGABYTES = b'{"model": "' + b"m" * 10_000_000 + b'"}'


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        pytest.param(written("POST", SUBMIT, TEN_MEGABYTES), "body.size", id="10 MB"),
        pytest.param(chunked(TEN_MEGABYTES), "body.size", id="10 MB in one chunk"),
        pytest.param(chunked(*[b"x" * 100_000] * 100), "body.size", id="10 MB in many chunks"),
        pytest.param(framed(f"Content-Length: {10**12}"), "http.request: exceeds", id="1 TB announced"),
        pytest.param(framed(f"Content-Length: {'9' * 5_000}"), "http.request", id="a length of 5,000 digits"),
        pytest.param(framed("Content-Length: -1"), "http.request", id="a negative length"),
        pytest.param(framed("Content-Length: +2", body=b"{}"), "http.request", id="a length with a sign"),
        pytest.param(framed("Content-Length: two"), "http.request", id="a length in words"),
        pytest.param(framed("Content-Length: 2", "Content-Length: 3", body=b"{}"), "http.request", id="two lengths"),
        pytest.param(framed("Content-Length: 9", body=GOOD), "body.json", id="a length too short"),
        pytest.param(framed("Transfer-Encoding: gzip"), "http.request", id="an unknown encoding"),
        pytest.param(framed("Transfer-Encoding: gzip, chunked"), "http.request", id="an unknown encoding, chunked"),
        pytest.param(chunked(b"{}"), "model.missing", id="one small chunk"),
        pytest.param(chunked(b"{", b"}"), "model.missing", id="two small chunks"),
        pytest.param(chunked(b"{}", ending=b"0\r\nX-Trailer: 1\r\n\r\n"), "model.missing", id="a trailer"),
        pytest.param(chunked(), "body.json", id="no chunk"),
        pytest.param(chunked(ending=b"zz\r\n{}\r\n0\r\n\r\n"), "http.request", id="a chunk size that is no number"),
        pytest.param(chunked(ending=b"-2\r\n{}\r\n0\r\n\r\n"), "http.request", id="a negative chunk size"),
        pytest.param(chunked(ending=b"\r\n{}\r\n0\r\n\r\n"), "http.request", id="a missing chunk size"),
        pytest.param(chunked(ending=b"2\r\n{}xx\r\n0\r\n\r\n"), "http.request", id="a chunk longer than it says"),
        pytest.param(chunked(ending=b"2;x=\x00\r\n{}\r\n0\r\n\r\n"), "http.request", id="a bad chunk extension"),
    ],
)
def test_a_body_of_the_wrong_size_or_framing_is_refused(served: Served, raw: bytes, reason: str) -> None:
    assert assert_refused(served.exchange(raw)).header("x-mock-reason").startswith(reason)


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(framed(f"Content-Length: {len(GOOD) + 1}", body=GOOD), id="a length too long"),
        pytest.param(chunked(GOOD, ending=b""), id="no last chunk"),
        pytest.param(chunked(ending=b"%x\r\n%s" % (len(GOOD) + 1, GOOD)), id="a chunk too short"),
        pytest.param(chunked(ending=b"f" * 16 + b"\r\n" + GOOD), id="a chunk of 16 exabytes"),
        pytest.param(b"", id="nothing"),
        pytest.param(b"\r\n\r\n\r\n", id="empty lines"),
        pytest.param(b"GET /api/v1/tasks/x HTTP/1.1\nHost: localhost\n\n", id="lines that end in LF alone"),
        pytest.param(bytes(range(256)) * 8, id="every byte there is"),
    ],
)
def test_half_a_request_is_not_answered_and_submits_nothing(served: Served, raw: bytes) -> None:
    before = submissions(served)
    assert served.exchange(raw, finished=True) is None
    assert submissions(served) == before


# -- request lines, methods and headers --------------------------------------------------------------------------------


def line(text: bytes) -> bytes:
    """A request with ``text`` for its first line."""
    return text + b"\r\n" + written("GET", "/x").partition(b"\r\n")[2]


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"hello\r\n\r\n", id="a word"),
        pytest.param(b"GET\r\n\r\n", id="no path"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", id="the beginning of TLS"),
        pytest.param(line(b"get /api/v1/tasks/x HTTP/1.1"), id="a method in lower case"),
        pytest.param(line(b"GET  /api/v1/tasks/x HTTP/1.1"), id="two spaces"),
        pytest.param(line(b"GET /api/v1/tasks/a b HTTP/1.1"), id="a space in the path"),
        pytest.param(line(b"GET /api/v1/tasks/x HTTP/one"), id="a version in words"),
        pytest.param(line(b"GET /api/v1/tasks/x FTP/1.1"), id="another protocol"),
        pytest.param(line(b"GET /api/v1/tasks/\xff HTTP/1.1"), id="a path that is not ASCII"),
        pytest.param(line("GET /api/v1/tasks?page_no=٣ HTTP/1.1".encode()), id="a query that is not ASCII"),
        pytest.param(line(b"GET http://[::1/api/v1/tasks HTTP/1.1"), id="half an IPv6 address"),
        pytest.param(line(b"GET /api/v1/tasks/x\rX HTTP/1.1"), id="a CR in the first line"),
        pytest.param(written("GET", "/api/v1/tasks/x", None, "no colon"), id="a header without colon"),
        pytest.param(written("GET", "/api/v1/tasks/x", None, "Accept : */*"), id="a space before the colon"),
        pytest.param(written("GET", "/api/v1/tasks/x", None, ": x"), id="a header without name"),
        pytest.param(written("GET", "/api/v1/tasks/x", None, "X-A: a\0b"), id="a null byte in a header"),
        pytest.param(written("GET", "/api/v1/tasks/x", None, f"X-A: a\r{EVIL}"), id="a CR in a header"),
        pytest.param(written("GET", "/api/v1/tasks/x", None, f"X-A: a\n{EVIL}"), id="an LF in a header"),
        pytest.param(line(b"GET /api/v1/tasks/x HTTP/1.1\r\n folded: 1"), id="a first header that is folded"),
    ],
)
def test_what_is_not_http_is_refused_in_the_vendors_shape_and_hung_up_on(served: Served, raw: bytes) -> None:
    answer = assert_refused(served.exchange(raw))
    assert answer.header("x-mock-reason").startswith("http.request: ")
    assert answer.header("connection") == "close"


@pytest.mark.parametrize("method", ["OPTIONS", "TRACE", "PATCH", "PUT", "DELETE", "CONNECT", "FOO", "G!T", "A" * 5_000])
@pytest.mark.parametrize("path", [SUBMIT, "/api/v1/tasks", "/api/v1/tasks/x", "/api/v1/tasks/x/cancel"])
def test_another_method_is_refused_with_400_and_named(served: Served, method: str, path: str) -> None:
    answer = assert_refused(served.exchange(written(method, path)))
    body = json.loads(answer.body)
    assert (body["code"], body["message"]) == ("InvalidParameter", f"Request method '{method}' is not supported.")
    assert answer.header("x-mock-reason").startswith("route.method at method: ")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", SUBMIT, 400),
        ("POST", "/api/v1/tasks", 400),
        ("POST", "/api/v1/tasks/x", 400),
        ("HEAD", SUBMIT, 400),
        ("GET", "/api/v1/tasks/x/cancel", 400),
        ("HEAD", "/api/v1/tasks", 200),
        ("HEAD", "/api/v1/tasks/x", 200),
    ],
)
def test_a_method_of_another_path_is_refused_and_head_goes_where_get_goes(
    served: Served, method: str, path: str, status: int
) -> None:
    answer = served.exchange(written(method, path))
    assert answer is not None
    assert (answer.status, answer.body == b"") == (status, method == "HEAD")


@pytest.mark.parametrize(
    ("path", "task_id"),
    [
        ("%00", "\0"),
        ("a%00b", "a\0b"),
        ("a\0b", "a\0b"),
        (f"a%0d%0a{EVIL.replace(' ', '%20')}", f"a\r\n{EVIL}"),
        ("a%0a", "a\n"),
        ("%2e%2e", ".."),
        ("..", ".."),
        (".", "."),
        ("%", "%"),
        ("%zz", "%zz"),
        ("%25", "%"),
        ("%ff", "�"),
        ("%ed%a0%80", "���"),
        ("%F0%9F%98%80", "😀"),
        ("a;b", "a;b"),
        ("<script>", "<script>"),
        ("%22", '"'),
        ("a" * 200_000, "a" * 200_000),
        ("{task_id}", "{task_id}"),
        ("0", "0"),
    ],
)
def test_any_task_id_is_unknown_and_echoed_in_the_body_alone(served: Served, path: str, task_id: str) -> None:
    answer = served.exchange(written("GET", f"/api/v1/tasks/{path}"))
    assert answer is not None
    assert answer.status == 200
    assert json.loads(answer.body)["output"] == {"task_id": task_id, "task_status": "UNKNOWN"}
    assert "x-evil" not in dict(answer.headers)
    assert_refused(served.exchange(written("POST", f"/api/v1/tasks/{path}/cancel", b"")))


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/",
        "/api/v1//",
        "/api/v1//tasks",
        "/api/v1/tasks//",
        "/api/v1/tasks/a/b",
        "/api/v1/tasks/a%2Fb",
        "/api/v1/tasks/..%2Fx",
        "/api/v1/tasks/../tasks",
        "/api/v1/./tasks",
        "/api/v1/TASKS",
        "/api/v1/tasks%00",
        "/api/v1/tasks%0d%0aX-Evil:%201",
        "/api/v1/services/aigc/album/gen_portrait",
        "/api/v1/" + "a" * 200_000,
    ],
)
def test_a_path_that_is_none_of_the_vendors_is_refused(served: Served, path: str) -> None:
    answer = assert_refused(served.exchange(written("GET", path)))
    assert answer.header("x-mock-reason").startswith("route.known at path: ")


@pytest.mark.parametrize("path", ["/", "*", "/api/v1", "/api/v2/tasks", "/favicon.ico", "/%0d%0aX-Evil:%201", "/\0"])
def test_a_path_outside_the_vendors_prefix_is_404_and_nothing_else(served: Served, path: str) -> None:
    answer = served.exchange(written("GET", path))
    assert answer is not None
    assert (answer.status, answer.body) == (404, b"")
    assert "x-evil" not in dict(answer.headers)


@pytest.mark.parametrize(
    "query",
    [
        "page_no=0",
        "page_no=-1",
        "page_no=1.0",
        "page_no=1e3",
        "page_no=" + "9" * 5_000,
        "page_no=%ff",
        "page_no=%D9%A3",
        "page_no=1&page_no=x",
        "page_size=101",
        "page_size=%00",
        "start_time=20260230000000",
        "start_time=2026011510300",
        "start_time=%EF%BC%92%EF%BC%90260115103000",
        "start_time=00000000000000",
        "end_time=%0d%0aX-Evil:%201",
        "status=%0d%0aX-Evil:%201",
        "status=%00",
        "start_time=20260101000000&end_time=20260103000000",
        "start_time=20260103000000&end_time=20260102000000",
    ],
)
def test_a_filter_that_is_wrong_is_refused(served: Served, query: str) -> None:
    answer = assert_refused(served.exchange(written("GET", f"/api/v1/tasks?{query}")))
    assert answer.header("x-mock-reason").startswith("list.filters at query ")


@pytest.mark.parametrize(
    "query",
    [
        "&&&",
        "=",
        "?",
        "%",
        "page_no",
        "page_no=",
        "region=%0d%0aX-Evil:%201",
        "region=%00",
        "x=%ff",
        "a=b&" * 20_000,
        "start_time=00010101000000",
        "end_time=99991231235959",
        "region=[]",
        "page_no=x&page_no=1",
        "page_no=1000000",
    ],
)
def test_a_query_that_is_odd_is_answered(served: Served, query: str) -> None:
    answer = served.exchange(written("GET", f"/api/v1/tasks?{query}"))
    assert answer is not None
    assert answer.status == 200
    assert answer_violations("task-list", json.loads(answer.body)) == []
    assert "x-evil" not in dict(answer.headers)


@pytest.mark.parametrize(
    ("header", "statuses"),
    [
        ("Authorization: Bearer sk-another", (401,)),
        ("X-Mock-Session: a b", (400,)),
        ("X-Mock-Session: \xff", (400,)),
        ("X-Mock-Session: " + "a" * 65, (400,)),
        ("X-A: " + "a" * 300_000, (431,)),
        ("\r\n".join(f"X-{number}: a" for number in range(40_000)), (431,)),
    ],
    ids=["two keys", "session with a space", "session not ASCII", "session too long", "one too long", "too many"],
)
def test_headers_that_are_wrong_are_refused(served: Served, header: str, statuses: tuple[int, ...]) -> None:
    assert_refused(served.exchange(written("GET", "/api/v1/tasks/x", None, header)), *statuses)


@pytest.mark.parametrize(
    "header",
    [
        "X-A: " + "a" * 200_000,
        "\r\n".join(f"X-{number}: a" for number in range(5_000)),
        "Cookie: \xff\xfe",
        "X-A:",
        "Upgrade: websocket",
        "Expect: the unexpected",
        "Host: \xff",
        "Host: a b",
        "Accept-Encoding: x",
        "Range: bytes=5-1",
        "Content-Type: \xff",
        "X-Forwarded-For: x",
        "X-DashScope-Async: x",
        "X-DashScope-Async: disable",
        "X_A: x",
    ],
)
def test_headers_that_are_odd_are_let_be(served: Served, header: str) -> None:
    answer = served.exchange(written("GET", "/api/v1/tasks/x", None, header))
    assert answer is not None
    assert answer.status == 200
    assert answer_violations("task", json.loads(answer.body)) == []


@pytest.mark.parametrize("field", ["model", "style", "size", "resource_type", "resource_id"])
def test_a_line_break_in_a_field_does_not_become_a_header(served: Served, field: str) -> None:
    body = with_n('"size": "768*1024"').decode()
    for known in (
        f'"{field}": "{word}"' for word in ("facechain-generation", "f_idcard_male", "768*1024", "facelora", "r")
    ):
        body = body.replace(known, f'"{field}": "x\\r\\n{EVIL}"')
    answer = served.exchange(written("POST", SUBMIT, body.encode()))
    assert answer is not None
    assert EVIL.encode() not in answer.body
    if field == "resource_id":
        assert answer.status == 200
    else:
        assert_refused(answer)


# -- connections -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("abrupt", [False, True], ids=["with FIN", "with RST"])
def test_a_client_may_leave_at_any_byte_and_half_a_request_submits_nothing(served: Served, abrupt: bool) -> None:
    key = f"Bearer sk-leaver-{abrupt}"
    whole = written("POST", SUBMIT, GOOD, close=False).replace(KEY["Authorization"].encode(), key.encode())
    for length in range(len(whole)):
        with served.dial() as leaver:
            leaver.sendall(whole[:length])
            if abrupt:
                leaver.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    assert served.is_quiet()
    assert submissions(served, key) == 0


def test_a_client_may_leave_before_its_answer_comes(served: Served) -> None:
    for _ in range(50):
        with served.dial() as leaver:
            leaver.sendall(written("POST", SUBMIT, GOOD) * 3)
            leaver.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def test_a_request_may_come_byte_by_byte(served: Served) -> None:
    with served.dial() as slow:
        slow.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in written("POST", SUBMIT, GOOD):
            slow.sendall(bytes([byte]))
        answer = read_answer(slow)
    assert answer is not None
    assert answer.status == 200


def test_requests_in_one_piece_are_answered_in_order_until_one_is_not_http(served: Served) -> None:
    paths = [f"/api/v1/tasks/{number}" for number in range(20)]
    with served.dial() as pipeline:
        pipeline.sendall(b"".join(written("GET", path, close=False) for path in paths) + b"nonsense\r\n\r\n")
        with pipeline.makefile("rb") as reader:
            raw = reader.read()
    assert re.findall(rb'"task_id":"(\d+)"', raw) == [b"%d" % number for number in range(20)]
    assert raw.count(b"HTTP/1.1 200 ") == 20
    assert raw.count(b" 400 Bad Request\r\n") == 1


def test_many_idle_connections_leave_room_for_one_more(served: Served) -> None:
    idle = [served.dial() for _ in range(300)]
    try:
        for each in idle:
            each.sendall(b"POST /api/v1/tasks/x/cancel HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n{")
        answer = served.exchange(written("GET", "/api/v1/tasks/x"))
    finally:
        for each in idle:
            each.close()
    assert answer is not None
    assert answer.status == 200


def test_a_server_may_be_stopped_in_the_middle_of_calls(served: Served) -> None:
    def call(server: Server) -> None:
        with suppress(OSError), socket.create_connection((server.host, server.port), timeout=PATIENCE_S) as line:
            while line.send(written("GET", "/api/v1/tasks/x", close=False)) and line.recv(4_096):
                pass

    for _ in range(20):
        with running(served.app) as server:
            callers = [threading.Thread(target=call, args=(server,)) for _ in range(4)]
            for caller in callers:
                caller.start()
            assert Served(served.app, server).exchange(written("GET", "/api/v1/tasks/x")) is not None
        for caller in callers:
            caller.join(PATIENCE_S)
        assert not any(caller.is_alive() for caller in callers)


def test_a_name_with_two_addresses_is_served_on_one_port(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    real = socket.getaddrinfo

    def both(host: str, port: int, family: int = 0, *more: int) -> list[Any]:
        hosts = ["127.0.0.1"] if family == socket.AF_INET else ["::1", "127.0.0.1"]
        return [found for each in hosts for found in real(each, port, 0, *more)]

    monkeypatch.setattr(socket, "getaddrinfo", both)
    with running(served.app, "localhost") as server:
        monkeypatch.undo()
        answer = Served(served.app, server).exchange(written("GET", "/api/v1/tasks/x"))
    assert answer is not None
    assert answer.status == 200


def test_a_mistake_of_the_mocks_own_is_a_500_that_says_so(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_call: object, task_id: str) -> dict[str, Any]:
        raise ZeroDivisionError(task_id)

    monkeypatch.setitem(simulator.OPERATIONS, "query_task", fail)
    answer = assert_refused(served.exchange(written("GET", "/api/v1/tasks/x")), 500)
    assert json.loads(answer.body)["code"] == "InternalError"
    assert answer.header("x-mock-reason").startswith("mock.failure: ")
    assert served.failures == ["ZeroDivisionError('x')"]
    served.failures.clear()
    monkeypatch.undo()
