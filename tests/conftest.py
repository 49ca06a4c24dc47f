"""What the tests share: a mocked vendor with a hand-moved clock, and the hook that judges its every answer."""

from __future__ import annotations

import functools
import json
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import replace
from io import BytesIO
from typing import TYPE_CHECKING, Any
from unittest import mock
from urllib.parse import urlsplit

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from contracts import catalogue
from contracts.validation import answer_violations
from mock_server.app import create_app, create_simulator
from mock_server.clock import VendorClock
from mock_server.core.gateway import PREFIX
from mock_server.core.model import Reply, Request
from mock_server.core.simulator import Simulator
from mock_server.settings import Settings
from mock_server.web.front import VendorApp, is_busy
from mock_server.web.line import LINE
from mock_server.web.wire import SIMULATOR

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

START_MS = 1_768_444_200_000
"""15 January 2026, 10:30:00.000 in UTC+8."""

SUBMIT = "/api/v1/services/aigc/album/gen_potrait"
TASKS = "/api/v1/tasks"
TOKEN = "a-token-of-the-tests"
GOOD: Mapping[str, dict[str, Any]] = catalogue.examples("portrait-request")["good"]
PRESET = GOOD["preset-style"]
ANSWERS = {
    "submit_portrait": "submit-answer",
    "query_task": "task",
    "list_tasks": "task-list",
    "cancel_task": "cancel-answer",
    "detect_faces": "detection",
    "create_job": "job",
    "list_jobs": "job-list",
    "get_job": "job",
    "cancel_job": "job-changed",
    "delete_job": "job-changed",
    "get_job_logs": "job-logs",
    "upload_files": "file-upload",
    "list_files": "file-list",
    "get_file": "file",
    "delete_file": "cancel-answer",
    "get_upload_policy": "upload-policy",
}
"""The schema that a 200 keeps, by ``operationId``."""

IMMEDIATE = {"progression": "immediate"}
HELD = {"progression": "hold", "in": "RUNNING"}
HELD_PENDING = {"progression": "hold", "in": "PENDING"}


class Vendor:
    """A mocked vendor and its client. Time stands still until ``later``; ``chosen`` are settings by name."""

    def __init__(self, *, seed: int = 7, session: str = "", **chosen: Any) -> None:
        self.clock = VendorClock(START_MS, monotonic=lambda: 0.0)
        self.settings = Settings(seed=seed, admin_token=TOKEN, **chosen)
        self.app: Flask = create_app(self.settings, clock=self.clock)
        self.app.config["PROPAGATE_EXCEPTIONS"] = True  # a mistake of ours fails the test, and is no answer
        self.session = session

    def renewed(self) -> Vendor:
        """The same app with a new simulator: nothing has happened yet."""
        self.clock = VendorClock(START_MS, monotonic=lambda: 0.0)
        self.app.extensions[SIMULATOR] = create_simulator(self.settings, clock=self.clock)
        return self

    def of_session(self, session: str) -> Vendor:
        """The same vendor as another session meets it."""
        other = object.__new__(Vendor)
        other.__dict__.update(self.__dict__, session=session)
        return other

    def later(self, by_ms: int) -> None:
        self.clock.advance(f"{by_ms}ms")

    def call(self, method: str, path: str, *, headers: Mapping[str, str] | None = None, **more: Any) -> TestResponse:
        """A plain call, with the session's header and no other but those given."""
        named = {"X-Mock-Session": self.session} if self.session else {}
        return self.app.test_client().open(path, method=method, headers={**named, **(headers or {})}, **more)

    def vendor_call(
        self,
        method: str,
        path: str,
        *,
        key: str = "sk-main",
        headers: Mapping[str, str | None] | None = None,
        **more: Any,
    ) -> TestResponse:
        """A call with a key and what a submission needs; a header given as None is left out."""
        usual = {"Authorization": f"Bearer {key}", "X-DashScope-Async": "enable", **(headers or {})}
        sent = {name: value for name, value in usual.items() if value is not None}
        return self.call(method, path, headers=sent, **more)

    def submit(
        self, body: object = PRESET, *, plan: Mapping[str, Any] | None = None, path: str = SUBMIT, **more: Any
    ) -> TestResponse:
        """Submit ``body`` as JSON, or ``data`` as it is; ``plan`` is queued for it first."""
        if plan is not None:
            assert self.admin("POST", "plans", plan).status_code == 201
        content: dict[str, Any] = {} if "data" in more else {"json": body}
        return self.vendor_call("POST", path, **content, **more)

    def submitted(self, body: object = PRESET, **more: Any) -> str:
        """The id of a task that was accepted."""
        answer = self.submit(body, **more)
        assert answer.status_code == 200, answer.text
        return str(answer.get_json()["output"]["task_id"])

    def query(self, task_id: str, **more: Any) -> TestResponse:
        return self.vendor_call("GET", f"{TASKS}/{task_id}", **more)

    def output(self, task_id: str, **more: Any) -> dict[str, Any]:
        """What a query answers under ``output``."""
        answer = self.query(task_id, **more)
        assert answer.status_code == 200, answer.text
        output: dict[str, Any] = answer.get_json()["output"]
        return output

    def status(self, task_id: str, **more: Any) -> str:
        return str(self.output(task_id, **more)["task_status"])

    def list(self, query: str = "", **more: Any) -> TestResponse:
        return self.vendor_call("GET", f"{TASKS}?{query}" if query else TASKS, **more)

    def cancel(self, task_id: str, **more: Any) -> TestResponse:
        return self.vendor_call("POST", f"{TASKS}/{task_id}/cancel", **more)

    def links(self, task_id: str, **more: Any) -> Sequence[str]:
        """The result links of a task that has ended well."""
        return [result["url"] for result in self.output(task_id, **more)["results"] if "url" in result]

    def fetch(self, url: str, *, method: str = "GET", **more: Any) -> TestResponse:
        """What a link leads to, asked without a key."""
        target = urlsplit(url)
        return self.call(method, f"{target.path}?{target.query}" if target.query else target.path, **more)

    def admin(self, method: str, path: str, json: object = None, **more: Any) -> TestResponse:
        """A call of the admin API with its token; a change carries JSON."""
        if method not in ("GET", "HEAD") and "data" not in more:
            more["json"] = {} if json is None else json
        headers = {"X-Admin-Token": TOKEN, **more.pop("headers", {})}
        return self.call(method, f"/__admin/{path}", headers=headers, **more)

    def timeline(self, task_id: str) -> dict[str, int]:
        """When a task was submitted, scheduled and ended, in milliseconds after the start of the test."""
        events = self.admin("GET", f"tasks/{task_id}").get_json()["timeline"]
        return {event["event"]: event["at_ms"] - START_MS for event in events}


@pytest.fixture(scope="session")
def _kept_vendors() -> dict[str, Vendor]:
    """Making the routes of an app takes longer than most tests, so two apps are kept and get new simulators."""
    return {limits: Vendor(limits=limits) for limits in ("documented", "off")}


@pytest.fixture
def vendor(_kept_vendors: dict[str, Vendor]) -> Vendor:
    """A fresh vendor with documented limits, on a clock that only the test moves."""
    return _kept_vendors["documented"].renewed()


@pytest.fixture
def unlimited(_kept_vendors: dict[str, Vendor]) -> Vendor:
    """A fresh vendor without limits, on a clock that only the test moves."""
    return _kept_vendors["off"].renewed()


def reply_violations(operation: str | None, request: Request, reply: Reply) -> list[str]:
    """How a reply under the vendor's prefix breaks the contract; empty when it keeps it."""
    headers = dict(reply.headers)
    if operation == "stream_job" and reply.status == 200:
        events = [line for line in reply.body.decode().splitlines() if line.startswith("data:")]
        is_stream = headers.get("content-type") == "text/event-stream;charset=UTF-8"
        return [] if is_stream and events else [f"{request.path}: is no stream of events"]
    if headers.get("content-type") != "application/json":
        return [f"{request.method} {request.path}: content-type is {headers.get('content-type')!r}"]
    schema = ANSWERS[operation or ""] if reply.status == 200 else "error"
    if headers.get("x-mock-reason", "").startswith("files.purpose"):
        return [f"{request.path}: {problem}" for problem in answer_violations("purpose-error", json.loads(reply.body))]
    try:
        body = json.loads(reply.body)
    except ValueError as error:
        return [f"{request.method} {request.path}: {reply.status} is not JSON: {error}"]
    found = answer_violations(schema, body)
    request_id = body.get("request_id") if isinstance(body, dict) else None
    if headers.get("x-request-id") != request_id:
        found.append(f"request_id: {request_id!r} is not x-request-id, {headers.get('x-request-id')!r}")
    return [f"{request.method} {request.path}: {reply.status} breaks {schema}: {problem}" for problem in found]


@contextmanager
def answers_watched() -> Iterator[list[str]]:
    """Judge every answer of every vendor in this process; gives the violations found so far."""
    found: list[str] = []
    lock = threading.Lock()
    answer = Simulator.answer

    @functools.wraps(answer)
    def judged(self: Simulator, request: Request, operation: str | None, **more: Any) -> Reply:
        reply = answer(self, request, operation, **more)
        if request.path.startswith(PREFIX):
            violations = reply_violations(operation, request, reply)
            with lock:
                found.extend(violations)
        return reply

    with mock.patch.object(Simulator, "answer", judged):
        yield found


class Heard:
    """A simulator that remembers what it was asked and answered; once it has ``repeat``, it answers only that."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator
        self.calls: list[tuple[Any, ...]] = []
        self.repeat: Reply | None = None

    def answer(self, request: Request, operation: str | None, *, allowed: Sequence[str] = (), **path: str) -> Reply:
        reply = self.repeat or self._simulator.answer(request, operation, allowed=allowed, **path)
        self.calls.append((request, operation, sorted(allowed), path, reply))
        return reply

    def __getattr__(self, name: str) -> Any:
        return getattr(self._simulator, name)


@contextmanager
def both_ways_compared() -> Iterator[list[str]]:
    """Have every request of a test client that the front answers go through Flask too; gives the differences found.

    The second time the simulator is not asked again: what counts is that it is asked for the same, and that what
    it answers goes out the same, to the byte.
    """
    found: list[str] = []
    lock = threading.Lock()
    through_front = VendorApp.wsgi_app

    def compared(app: VendorApp, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        body = environ.get("wsgi.input")
        if not (app.front and is_busy(environ) and isinstance(body, BytesIO)) or LINE in environ:
            return through_front(app, environ, start_response)
        kept = dict(environ)
        front, long_way = copy(app), copy(app)
        long_way.front = False
        heard, repeated = Heard(app.extensions[SIMULATOR]), Heard(app.extensions[SIMULATOR])
        front.extensions = {**app.extensions, SIMULATOR: heard}
        long_way.extensions = {**app.extensions, SIMULATOR: repeated}
        first = _sent(lambda *given: through_front(front, *given), environ)
        if heard.calls:
            body.seek(0)
            reply: Reply = heard.calls[0][-1]
            without_delay = reply.wire and replace(reply.wire, delay_ms=0, pause_ms=0)  # it has been waited for
            repeated.repeat = replace(reply, wire=without_delay)
            again = _sent(lambda *given: through_front(long_way, *given), kept)
            if (first[:3], heard.calls[0][:-1]) != (again[:3], repeated.calls[0][:-1]):
                with lock:
                    found.append(f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}: {first} is not {again}")
        status, headers, content, error = first
        if error is not None:
            raise error
        start_response(status, headers)
        return [content]

    with mock.patch.object(VendorApp, "wsgi_app", compared):
        yield found


def _sent(app: WSGIApplication, environ: WSGIEnvironment) -> tuple[str, list[tuple[str, str]], bytes, Exception | None]:
    """Status, headers and body as an app sends them, and what it was broken off by on purpose."""
    status, headers, content = "", [], b""

    def start_response(given: str, names: list[tuple[str, str]], *_: object) -> Callable[[bytes], object]:
        nonlocal status, headers
        status, headers = given, names
        return lambda _: None

    try:
        for piece in app(environ, start_response):
            content += piece
    except ConnectionError as error:
        return status, headers, content, error
    return status, headers, content, None


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "breaks_contract: the vendor is made to give answers that break its contract")


@pytest.fixture(autouse=True)
def _every_answer_keeps_the_contract(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fails a test in which the vendor gave an answer that its schemas forbid."""
    with answers_watched() as violations, both_ways_compared() as differences:
        yield
    if request.node.get_closest_marker("breaks_contract") is not None:
        return
    assert differences == []
    if violations:
        pytest.fail("answers that break the contract:\n" + "\n".join(violations[:20]), pytrace=False)
