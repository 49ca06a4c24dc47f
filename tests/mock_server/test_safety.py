"""What must never happen on the machine of somebody who has production keys, tried in as many ways as we know."""

from __future__ import annotations

import _socket
import ast
import builtins
import hmac
import http.client
import io
import json
import logging
import os
import re
import socket
import struct
import subprocess
import sys
import time
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn
from unittest import mock
from urllib.parse import parse_qs, quote, urlsplit
from xml.etree import ElementTree

import pytest
from flask import Flask
from PIL import Image, ImageChops
from werkzeug.test import EnvironBuilder, TestResponse, run_wsgi_app

import contracts
import facechain_testkit
import mock_server
from mock_server.__main__ import main
from mock_server.app import create_app
from mock_server.clock import MOST_MS, VendorClock
from mock_server.core import faults, journal, media
from mock_server.core.plans import MOST_IMAGES
from mock_server.core.simulator import Simulator
from mock_server.log import request_log
from mock_server.serving import Server, running, write_ready_file
from mock_server.settings import Settings
from mock_server.stores import memory
from mock_server.web.control import PREFIX
from mock_server.web.guard import GUARD
from mock_server.web.wire import MOST_BODY_BYTES, MOST_FORM_BYTES, SIMULATOR
from tests.conftest import GOOD, IMMEDIATE, PRESET, START_MS, SUBMIT, TASKS, TOKEN, Vendor
from tests.uploads import (
    BOUNDARY,
    FILES,
    FORM,
    RESOLVED,
    as_parts,
    fields,
    file_id,
    form,
    form_post,
    photo,
    policy,
    post_parts,
    send_form,
    uploaded,
)

MEGABYTE = 1_048_576
CORS = "access-control-"
TEMPLATE = GOOD["template-with-lora"]
TRAIN_FREE = GOOD["train-free"]


def raw(vendor: Vendor, method: str, path: str, **variables: str) -> tuple[int, list[tuple[str, str]], bytes]:
    """Status, headers and body of a call whose WSGI variables may hold anything, as no client would send them."""
    environ = EnvironBuilder(path="/x", headers=[("X-Admin-Token", TOKEN)]).get_environ()
    environ["REQUEST_METHOD"], environ["PATH_INFO"] = method, path
    environ.update(variables)
    chunks, status, headers = run_wsgi_app(vendor.app.wsgi_app, environ)
    return int(status[:3]), list(headers), b"".join(chunks)


def sent(server: Server, data: bytes) -> bytes:
    """Everything that a server answers to these bytes."""
    with socket.create_connection((server.host, server.port), timeout=10) as line:
        line.sendall(data)
        answer = b""
        while chunk := line.recv(65_536):
            answer += chunk
        return answer


def written(method: str, target: str, *headers: str, body: bytes = b"") -> bytes:
    """A request that ends its connection."""
    length = [f"Content-Length: {len(body)}"] if body else []
    lines = [f"{method} {target} HTTP/1.1", *headers, *length, "Connection: close", "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A server without limits on a port, for all tests of this file that need a line."""
    app = create_app(Settings(seed=7, limits="off", admin_token=TOKEN), clock=VendorClock(START_MS))
    with running(app) as started:
        yield started


# -- Host: whoever comes by another name is a page that was rebound ---------------------------------------------------

FOREIGN_HOSTS = [
    "evil.test",
    "evil.test:8790",
    "localhost.evil.test",
    "127.0.0.1.evil.test",
    "evil.test@localhost",
    "evil.test:80@localhost:80",
    "localhost@evil.test",
    "evil.test#@localhost",
    "localhost/evil.test",
    "localhost?evil.test",
    "localhost#evil.test",
    "localhost\\@evil.test",
    "localhost,evil.test",
    "localhost evil.test",
    "localhost\tevil.test",
    "localhost\r\nevil.test",
    "localhost\x00evil.test",
    "localhost:99999",
    "localhost:0",
    "localhost:-1",
    "localhost:port",
    "localhost:80:80",
    "localhost.",
    "localhost%00",
    "l\xf6calhost",
    "0.0.0.0",  # noqa: S104  # a browser takes it for this machine, and so rebinding is tried by it
    "0",
    "127.1",
    "0x7f000001",
    "2130706433",
    "[::]",
    "[::1",
    "::1",
    "[::1%25lo]",
    "[::ffff:127.0.0.1]",
    "[localhost]",
    " localhost",
    "localhost ",
    "http://localhost",
    "//localhost",
    "*",
    "null",
    "",
]


@pytest.mark.parametrize("host", FOREIGN_HOSTS)
@pytest.mark.parametrize("path", ["health", "clock", "nothing"])
def test_a_forged_host_reaches_nothing_of_the_admin_api(vendor: Vendor, host: str, path: str) -> None:
    status, _, body = raw(vendor, "GET", f"{PREFIX}/{path}", HTTP_HOST=host)
    assert status == 421
    assert "--allow-host" in json.loads(body)["error"]


def test_no_host_at_all_reaches_nothing_either(server: Server) -> None:
    answer = sent(server, b"GET /__admin/health HTTP/1.0\r\n\r\n")
    assert answer.startswith(b"HTTP/1.0 421 ")


@pytest.mark.parametrize(
    ("target", "headers"),
    [
        pytest.param("/__admin/health", ["Host: localhost", "Host: evil.test"], id="two hosts"),
        pytest.param("/__admin/health", ["Host: evil.test", "X-Forwarded-Host: localhost"], id="X-Forwarded-Host"),
        pytest.param("/__admin/health", ["Host: evil.test", "Forwarded: host=localhost"], id="Forwarded"),
        pytest.param("http://localhost/__admin/health", ["Host: evil.test"], id="in the target"),
    ],
)
def test_a_forged_host_on_the_line_reaches_nothing(server: Server, target: str, headers: list[str]) -> None:
    assert sent(server, written("GET", target, *headers)).startswith(b"HTTP/1.1 421 ")


def test_a_name_that_was_allowed_is_known_in_any_case() -> None:
    vendor = Vendor(allow_host=("Mock.Internal",))
    for host in ("mock.internal", "MOCK.INTERNAL:8790"):
        assert raw(vendor, "GET", f"{PREFIX}/health", HTTP_HOST=host)[0] == 200
    assert raw(vendor, "GET", f"{PREFIX}/health", HTTP_HOST="internal")[0] == 421


@pytest.mark.parametrize("host", [host for host in FOREIGN_HOSTS if not re.fullmatch(r"[\w.\[\]:]+(:8790)?", host)])
def test_a_malformed_host_gets_into_no_link(vendor: Vendor, host: str) -> None:
    task = vendor.submitted(plan=IMMEDIATE)
    _, _, body = raw(vendor, "GET", f"{TASKS}/{task}", HTTP_HOST=host, HTTP_AUTHORIZATION="Bearer sk-main")
    for result in json.loads(body)["output"]["results"]:
        assert re.match(r"http://localhost(:80)?/dashscope-result-bj/", result["url"])


@pytest.mark.parametrize("header", ["X-Forwarded-Host", "X-Forwarded-Proto", "Forwarded", "X-Original-Host"])
def test_no_header_but_host_gets_into_a_link(vendor: Vendor, header: str) -> None:
    task = vendor.submitted(plan=IMMEDIATE)
    for link in vendor.links(task, headers={header: "host=evil.test"}):
        assert link.startswith("http://localhost/")


# -- Origin, form posts, token: a page on the web may not even change a thing -----------------------------------------


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.test",
        "https://localhost.evil.test",
        "http://evil.test@localhost",
        "http://localhost@evil.test",
        "http://localhost/",
        "http://localhost/path",
        "http://localhost http://evil.test",
        "http://localhost, http://evil.test",
        "HTTP://localhost",
        "javascript://localhost",
        "chrome-extension://localhost",
        "file://",
        "//localhost",
        "localhost",
        "null",
        "",
    ],
)
def test_a_page_of_another_origin_changes_nothing(vendor: Vendor, origin: str) -> None:
    answer = vendor.admin("POST", "plans", IMMEDIATE, headers={"Origin": origin})
    assert answer.status_code == 403
    assert vendor.admin("GET", "plans").get_json() == {"plans": []}


@pytest.mark.parametrize(
    "content_type",
    [
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "text/plain",
        "text/plain; charset=application/json",
        "text/plain; application/json",
        "application/x-www-form-urlencoded, application/json",
        "application/jsonp",
        "application/json-patch+json",
        "",
        None,
    ],
)
def test_what_a_form_of_another_page_can_send_changes_nothing(vendor: Vendor, content_type: str | None) -> None:
    body = b'{"progression": "immediate"}'
    for headers, status in (({}, 415), ({"X-Admin-Token": ""}, 401)):
        answer = vendor.admin("POST", "plans", data=body, content_type=content_type, headers=headers)
        assert answer.status_code == status
    assert vendor.admin("GET", "plans").get_json() == {"plans": []}


@pytest.mark.parametrize("token", [None, "", " ", TOKEN[:-1], TOKEN + "x", TOKEN.upper(), f"Bearer {TOKEN}", "é", "*"])
def test_without_the_token_nothing_is_told_and_nothing_changes(vendor: Vendor, token: str | None) -> None:
    headers = {} if token is None else {"X-Admin-Token": token}
    for method, path in (("GET", "tasks"), ("POST", "reset"), ("GET", "nothing")):
        answer = vendor.call(method, f"{PREFIX}/{path}", headers=headers, **({"json": {}} if method == "POST" else {}))
        assert answer.status_code == 401
        assert answer.get_json().keys() == {"error"}
        assert TOKEN not in answer.text


@pytest.mark.parametrize("place", ["X-Admin-Token=", "token=", "x-admin-token="])
def test_the_token_counts_in_its_header_alone(vendor: Vendor, place: str) -> None:
    assert vendor.call("GET", f"{PREFIX}/tasks?{place}{TOKEN}").status_code == 401
    assert vendor.call("GET", f"{PREFIX}/tasks", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 401
    assert vendor.call("GET", f"{PREFIX}/tasks", headers={"Cookie": f"{place}{TOKEN}"}).status_code == 401


def test_tokens_are_compared_in_a_time_that_does_not_tell(vendor: Vendor) -> None:
    with mock.patch("hmac.compare_digest", wraps=hmac.compare_digest) as compared:
        for token in ("", "x", TOKEN[:-1], TOKEN):
            vendor.admin("GET", "clock", headers={"X-Admin-Token": token})
    assert [call.args[0] for call in compared.call_args_list] == [b"", b"x", TOKEN[:-1].encode(), TOKEN.encode()]


def test_a_token_that_nobody_chose_is_long_and_random() -> None:
    tokens = {create_app(Settings(admin_token=chosen)).extensions[GUARD].token for chosen in (None, None, "")}
    assert len(tokens) == 3
    assert all(len(token) >= 22 for token in tokens)


# -- bodies -----------------------------------------------------------------------------------------------------------


def test_a_body_of_10_megabytes_is_refused_by_the_admin_api(vendor: Vendor) -> None:
    body = b'{"scenario": "' + b"x" * 10 * MEGABYTE + b'"}'
    for method, path in (("POST", "plans"), ("PUT", "clock"), ("POST", "requests/count"), ("POST", "reset")):
        answer = vendor.admin(method, path, data=body, content_type="application/json")
        assert answer.status_code == 413
        assert answer.get_json() == {"error": f"the body is larger than {MOST_BODY_BYTES} bytes"}


def test_a_body_just_small_enough_is_read_to_its_end(vendor: Vendor) -> None:
    blank = b" " * (MOST_BODY_BYTES - 2)
    assert vendor.admin("POST", "plans", data=b"{" + blank + b"}", content_type="application/json").status_code == 201
    answer = vendor.admin("POST", "plans", data=b"{" + blank + b" }", content_type="application/json")
    assert answer.status_code == 413


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_a_large_body_on_the_line_is_refused_by_the_admin_api(server: Server, framing: str) -> None:
    headers = ["Host: localhost", f"X-Admin-Token: {TOKEN}", "Content-Type: application/json"]
    size = 2 * MEGABYTE
    if framing == "length":
        answer = sent(server, written("POST", "/__admin/plans", *headers, body=b"x" * size))
    else:
        chunks = f"{size:x}\r\n".encode() + b"x" * size + b"\r\n0\r\n\r\n"
        answer = sent(server, written("POST", "/__admin/plans", *headers, "Transfer-Encoding: chunked") + chunks)
    assert answer.startswith(b"HTTP/1.1 413 ")


def test_a_large_body_is_refused_in_the_vendors_shape_and_not_kept(vendor: Vendor) -> None:
    answer = vendor.submit(data=b"x" * 10 * MEGABYTE)
    assert answer.status_code == 400
    assert answer.headers["X-Mock-Reason"].startswith("body.size at body: is larger than 1048576 bytes")
    (entry,) = vendor.admin("GET", "requests").get_json()["requests"]
    assert len(entry["body"]) == journal.MOST_BODY_BYTES


@pytest.mark.parametrize("depth", [10, 500, 900, 990, 1_000, 100_000])
@pytest.mark.parametrize(("method", "path", "name"), [("PUT", "scenario", "scenario"), ("POST", "faults", "stage")])
def test_no_depth_of_nesting_breaks_the_admin_api(
    vendor: Vendor, method: str, path: str, name: str, depth: int
) -> None:
    body = f'{{"{name}": {"[" * depth}{"]" * depth}, "kind": "status"}}'.encode()
    answer = vendor.admin(method, path, data=body, content_type="application/json")
    assert answer.status_code == 400
    assert answer.get_json().keys() == {"error"}


# -- names that would be paths ----------------------------------------------------------------------------------------

PATHS = [
    "../../../../etc/passwd",
    "..%2f..%2f..%2fetc%2fpasswd",
    "%2e%2e/%2e%2e/etc/passwd",
    "%252e%252e%252f%252e%252e%252fetc%252fpasswd",
    "..%c0%af..%c0%afetc%c0%afpasswd",
    "....//....//etc/passwd",
    "..\\..\\..\\windows\\win.ini",
    "..%5c..%5cwindows%5cwin.ini",
    "/etc/passwd",
    "%2fetc%2fpasswd",
    "//etc/passwd",
    "C:\\windows\\win.ini",
    "\\\\evil.test\\share\\file",
    "//evil.test/share/file",
    "file:///etc/passwd",
    "/proc/self/environ",
    "x%00.jpg",
    "../contracts/errors.json%00",
    "%00",
    ".",
    "..",
    "~root",
    "CON",
    "a" * 5_000,
    "%",
    "%zz",
    "\u2025/\u2025/etc/passwd",
]


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every file that is opened while the test runs."""
    found: list[str] = []
    for module, name in ((builtins, "open"), (io, "open"), (os, "open"), (os, "listdir"), (os, "scandir")):
        original = getattr(module, name)

        def recorded(path: Any, *more: Any, _original: Any = original, **named: Any) -> Any:
            found.append(str(path))
            return _original(path, *more, **named)

        monkeypatch.setattr(module, name, recorded)
    return found


def assert_only_code_was_opened(opened: list[str]) -> None:
    """Our own data was read, and modules were looked for and imported, but nothing that a request named."""
    homes = [*(Path(package.__file__ or "").parent for package in (contracts, mock_server)), Path(sys.prefix)]
    homes.append(Path(sys.base_prefix))
    for path in opened:
        assert any(Path(path).resolve().is_relative_to(home) for home in homes), path


@pytest.mark.parametrize("name", PATHS)
def test_no_id_or_name_of_the_vendors_paths_leads_to_a_file(unlimited: Vendor, opened: list[str], name: str) -> None:
    escaped = quote(name, safe="/%")
    answers = [
        unlimited.query(escaped),
        unlimited.cancel(escaped),
        unlimited.call("GET", f"/dashscope-result-bj/{escaped}"),
        unlimited.call("GET", f"/dashscope-result-bj/{escaped}?Expires=1&Signature={escaped}"),
        unlimited.call("GET", f"/{escaped}"),
        unlimited.submit({**PRESET, "resources": [{"resource_id": f"mock-{name}", "resource_type": "facelora"}]}),
        unlimited.submit({**PRESET, "resources": [{"resource_id": name, "resource_type": "facelora"}]}),
        unlimited.submit({**PRESET, "parameters": {"style": name}}),
        unlimited.submit({**PRESET, "model": name}),
        unlimited.submit({**TEMPLATE, "input": {"template_url": name}}),
        unlimited.list(f"api_key_id={escaped}&region={escaped}"),
    ]
    assert_only_code_was_opened(opened)
    for answer in answers:
        assert answer.status_code in (200, 400, 403, 404)
        assert b"root:" not in answer.data


@pytest.mark.parametrize("name", PATHS)
def test_no_id_or_name_of_the_admin_api_leads_to_a_file(vendor: Vendor, opened: list[str], name: str) -> None:
    escaped = quote(name, safe="/%")
    answers = [
        vendor.admin("GET", f"tasks/{escaped}"),
        vendor.admin("PUT", f"tasks/{escaped}", {"plan": IMMEDIATE}),
        vendor.admin("POST", f"tasks/{escaped}/release"),
        vendor.admin("DELETE", f"faults/{escaped}"),
        vendor.admin("GET", f"requests/{escaped}"),
        vendor.admin("GET", escaped),
        vendor.admin("PUT", "scenario", {"scenario": name}),
        vendor.admin("POST", "plans", {"scenario": name}),
        vendor.admin("POST", "faults", {"stage": "poll", "kind": "status", "error": name}),
        vendor.admin("POST", "faults", {"stage": "poll", "kind": "missing-field", "place": name[:200]}),
    ]
    assert_only_code_was_opened(opened)
    for answer in answers[:-1]:
        assert answer.status_code in (400, 404) or name in (".", "..")
        assert b"root:" not in answer.data


@pytest.mark.parametrize("name", [name for name in PATHS if not re.fullmatch(r"[A-Za-z0-9._-]{1,64}", name)])
def test_a_session_is_no_path(vendor: Vendor, opened: list[str], name: str) -> None:
    given = {"HTTP_X_MOCK_SESSION": name, "HTTP_AUTHORIZATION": "Bearer sk-main"}
    for path in (f"{TASKS}/x", f"{PREFIX}/tasks"):
        assert raw(vendor, "GET", path, **given)[0] == 400
    assert raw(vendor, "GET", "/dashscope-result-bj/x", **given)[0] == 404
    assert_only_code_was_opened(opened)


# -- headers that would be two ----------------------------------------------------------------------------------------

BREAKS = ["\r\n", "\n", "\r", "\r\n\r\n", "\x0b", "\x85", "\x00", "%0d%0a", "%250d%250a", "\\r\\n"]
EVIL = "X-Evil: 1"


def assert_one_line_each(headers: list[tuple[str, str]]) -> None:
    for name, value in headers:
        assert name.lower() != "x-evil"
        assert not re.search(r"[\r\n\x00\x0b\x85]", value), (name, value)


@pytest.mark.parametrize("line_break", BREAKS)
@pytest.mark.parametrize(
    "variable",
    [
        "HTTP_HOST",
        "HTTP_ORIGIN",
        "HTTP_AUTHORIZATION",
        "HTTP_X_MOCK_SESSION",
        "HTTP_X_MOCK_SCENARIO",
        "HTTP_X_MOCK_PLAN",
        "HTTP_X_DASHSCOPE_ASYNC",
        "HTTP_X_DASHSCOPE_WORKSPACE",
        "HTTP_X_ADMIN_TOKEN",
        "HTTP_USER_AGENT",
        "CONTENT_TYPE",
        "QUERY_STRING",
    ],
)
def test_no_header_of_a_request_becomes_one_of_the_answer(vendor: Vendor, variable: str, line_break: str) -> None:
    text = f"x{line_break}{EVIL}"
    usual = {"HTTP_AUTHORIZATION": "Bearer sk-main", "HTTP_X_DASHSCOPE_ASYNC": "enable"}
    for method, path in (
        ("POST", SUBMIT),
        ("GET", f"{TASKS}/x"),
        ("GET", TASKS),
        ("GET", "/dashscope-result-bj/x"),
        ("GET", f"{PREFIX}/clock"),
        ("GET", f"{PREFIX}/requests"),
        ("GET", "/elsewhere"),
    ):
        status, headers, _ = raw(vendor, method, path, **{**usual, variable: text})
        assert status < 500
        assert_one_line_each(headers)


@pytest.mark.parametrize("line_break", BREAKS)
def test_no_value_of_a_request_becomes_a_header_of_the_answer(unlimited: Vendor, line_break: str) -> None:
    text = f"x{line_break}{EVIL}"
    escaped = quote(text)
    likeness = {"resource_type": "facelora"}
    answers: list[TestResponse] = [
        unlimited.submit({**PRESET, "model": text}),
        unlimited.submit({**PRESET, "parameters": {**PRESET["parameters"], "style": text}}),
        unlimited.submit({**PRESET, "parameters": {**PRESET["parameters"], "n": text}}),
        unlimited.submit({**PRESET, "parameters": {**PRESET["parameters"], text: text}}),
        unlimited.submit({**PRESET, "resources": [{**likeness, "resource_id": f"mock-{text}"}]}),
        unlimited.submit({**PRESET, "resources": [{"resource_id": "r", "resource_type": text}]}),
        unlimited.submit({**TEMPLATE, "input": {"template_url": f"https://{text}.facechain.test/a.jpg"}}),
        unlimited.submit({**TRAIN_FREE, "input": {**TRAIN_FREE["input"], "user_urls": [text]}}),
        unlimited.query(escaped),
        unlimited.cancel(escaped),
        unlimited.vendor_call("GET", f"/api/v1/{escaped}"),
        *(
            unlimited.list(f"{name}={escaped}")
            for name in (
                "status",
                "start_time",
                "end_time",
                "page_no",
                "page_size",
                "region",
                "x-mock-session",
                escaped,
            )
        ),
        unlimited.call("GET", f"/dashscope-result-bj/{escaped}?Expires={escaped}&Signature={escaped}"),
        unlimited.call("GET", f"/{escaped}"),
        unlimited.admin("GET", f"tasks/{escaped}"),
        unlimited.admin("DELETE", f"faults/{escaped}"),
        unlimited.admin("GET", f"requests?{escaped}={escaped}"),
        unlimited.admin("GET", escaped),
        unlimited.admin("PUT", "scenario", {"scenario": text}),
        unlimited.admin("PUT", "clock", {"action": text}),
        unlimited.admin("POST", "plans", {text: text}),
        unlimited.admin("POST", "plans", {"outcome": {"error": text}}),
        unlimited.admin("POST", "faults", {"stage": "poll", "kind": text}),
    ]
    for answer in answers:
        assert answer.status_code < 500
        assert_one_line_each(list(answer.headers))


@pytest.mark.parametrize("name", ["place", "when", "account", "task_id"])
def test_what_a_fault_is_told_becomes_no_header(unlimited: Vendor, name: str) -> None:
    task = unlimited.submitted(plan=IMMEDIATE)
    given = {"stage": "poll", "kind": "missing-field", name: f"x\r\n{EVIL}"}
    assert unlimited.admin("POST", "faults", given).status_code == 201
    for answer in (unlimited.query(task), unlimited.admin("GET", "faults"), unlimited.admin("GET", "requests")):
        assert_one_line_each(list(answer.headers))


@pytest.mark.parametrize("line_break", ["%0d%0a", "%0a", "%0d", "%0D%0A%0D%0A", "%E5%98%8D%E5%98%8A"])
@pytest.mark.parametrize(
    "target",
    ["/api/v1/tasks/{}", "/api/v1/tasks?status={}", "/dashscope-result-bj/{}?Expires={}", "/__admin/{}", "/{}"],
)
def test_no_line_break_of_a_target_gets_onto_the_line(server: Server, target: str, line_break: str) -> None:
    text = f"x{line_break}X-Evil:%201"
    headers = ["Host: localhost", "Authorization: Bearer sk-main", f"X-Admin-Token: {TOKEN}"]
    head = sent(server, written("GET", target.replace("{}", text), *headers)).partition(b"\r\n\r\n")[0]
    assert head.startswith(b"HTTP/1.1 ")
    assert not re.search(rb"[\r\n]\s*x-evil", head, re.IGNORECASE)


# -- nothing is ever fetched ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Canary:
    """A listener on this machine that nobody should call, and the calls that were tried."""

    listener: socket.socket
    called: list[object] = field(default_factory=list)

    @property
    def port(self) -> int:
        return int(self.listener.getsockname()[1])

    def call(self, *given: object, **_named: object) -> NoReturn:
        """Stands in for everything that asks for an address or connects to one."""
        self.called.append(given)
        raise OSError("nobody may be called")

    def is_silent(self) -> bool:
        try:
            self.listener.accept()[0].close()
        except BlockingIOError:
            return self.called == []
        return False


@pytest.fixture
def canary(monkeypatch: pytest.MonkeyPatch) -> Iterator[Canary]:
    """A listener, and no way to any address or name while the test runs."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        bird = Canary(listener)
        for name in ("getaddrinfo", "gethostbyname", "gethostbyname_ex", "create_connection"):
            monkeypatch.setattr(socket, name, bird.call)
        for name in ("connect", "connect_ex"):
            monkeypatch.setattr(socket.socket, name, bird.call)
        yield bird


def test_the_canary_sings_when_it_is_called_by_name_or_by_address(canary: Canary) -> None:
    assert canary.is_silent()
    with pytest.raises(OSError, match="nobody may be called"):
        socket.getaddrinfo("localhost", canary.port)
    assert not canary.is_silent()
    canary.called.clear()
    with socket.socket() as caller:
        _socket.socket.connect(caller, ("127.0.0.1", canary.port))  # beneath what was put in its place
        assert not canary.is_silent()


@pytest.mark.parametrize(
    "shape",
    [
        "http://127.0.0.1:{}/a.jpg",
        "http://localhost:{}/a.jpg",
        "https://127.0.0.1:{}/a.png?width=300&height=300",
        "http://[::ffff:127.0.0.1]:{}/a.jpg",
        "http://2130706433:{}/a.jpg",
        "http://user:password@127.0.0.1:{}/a.jpg",
        "http://immediate.facechain.test@127.0.0.1:{}/a.jpg",
        "http://127.0.0.1:{}/immediate.facechain.test/a.jpg",
        "https://assets.facechain.test:{}/a.jpg?width=300&height=300&bytes=4000000&format=webp",
        "https://immediate.facechain.test:{}/a.jpg",
        "https://dashscope-result-bj.oss-cn-beijing.aliyuncs.com:{}/a.jpg",
        "oss://127.0.0.1:{}/a.jpg",
        "ftp://127.0.0.1:{}/a.jpg",
        "gopher://127.0.0.1:{}/a",
        "file://127.0.0.1:{}/etc/passwd",
        "//127.0.0.1:{}/a.jpg",
    ],
)
def test_no_url_is_ever_fetched_wherever_it_stands(canary: Canary, shape: str) -> None:
    url = shape.format(canary.port)
    vendor = Vendor(limits="off", public_base_url=f"http://127.0.0.1:{canary.port}")
    everywhere = {"callback": url, "webhook": url, "result_url": url, "$ref": url, "$schema": url}
    bodies: list[Any] = [
        {**TEMPLATE, "input": {**TEMPLATE["input"], "template_url": url}, **everywhere},
        {**TRAIN_FREE, "input": {"template_url": url, "user_urls": [url] * 3, **everywhere}},
        {**PRESET, "input": {"template_url": url, "user_urls": [url]}},
        {**PRESET, "resources": [{"resource_id": url, "resource_type": "facelora"}]},
        {**PRESET, "model": url},
        {**PRESET, "parameters": {**PRESET["parameters"], "style": url, **everywhere}},
    ]
    headers = dict.fromkeys(
        (
            "X-Mock-Callback",
            "X-Mock-Webhook",
            "X-DashScope-Callback",
            "Referer",
            "X-Forwarded-Host",
            "Forwarded",
            "Via",
        ),
        url,
    ) | {"X-DashScope-OssResourceResolve": "enable"}
    for body in bodies:
        answer = vendor.submit(body, headers=headers)
        assert answer.status_code in (200, 400, 403)  # 403: a likeness that nobody has
    sync = {**headers, "X-DashScope-Async": None}
    for path, body in (
        ("services/vision/facedetection/detect", {"model": "facechain-facedetect", "input": {"images": [url] * 3}}),
        ("fine-tunes", {"model": "facechain-finetune", "training_file_ids": [url] * 3, **everywhere}),
    ):
        answer = vendor.vendor_call("POST", f"/api/v1/{path}", json=body, headers=sync)
        assert answer.status_code in (200, 400)
    send_form(vendor, form([("files", url, url.encode()), ("descriptions", None, url.encode())]), headers=sync)
    given = policy(vendor)
    redirect = {"success_action_redirect": url, "redirect": url, "callback": url}
    assert form_post(vendor, given, {**fields(given), **redirect}, url.encode()).status_code == 200
    for name in ("X-Mock-Scenario", "X-Mock-Plan", "X-Mock-Session", "Origin", "Host", "Authorization"):
        vendor.submit(PRESET, headers={**headers, name: url})
    vendor.query(quote(url, safe=""))
    vendor.list(f"url={quote(url)}")
    vendor.fetch(f"/dashscope-result-bj/{url}")
    for method, path, said in (
        ("POST", "plans", {"scenario": url}),
        ("POST", "plans", {"outcome": {"error": url}}),
        ("POST", "faults", {"stage": "poll", "kind": "status", "place": url, "account": url}),
        ("POST", "faults", {"stage": "poll", "kind": url}),
        ("PUT", "scenario", {"scenario": url}),
        ("PUT", "clock", {"action": "advance", "by": url}),
        ("POST", "requests/count", {"path": url}),
        ("POST", "assets", {"url": url}),
        ("POST", "resources", {"resource_id": url}),
    ):
        vendor.admin(method, path, said)
    vendor.later(10_000)
    for task in vendor.admin("GET", "tasks").get_json()["tasks"]:
        assert vendor.query(task["task_id"]).status_code in (200, 429)
        for link in vendor.links(task["task_id"]) if task["status"] == "SUCCEEDED" else []:
            assert vendor.fetch(link).status_code == 200
    vendor.admin("GET", "findings")
    assert canary.is_silent()


# -- keys -------------------------------------------------------------------------------------------------------------

KEYS = {
    "vendor": "sk-0123456789abcdef0123456789abcdef",
    "workspace": "sk-ws-H.ABCDEF.1a2b.MEUCIQDx0y9z8w7v6u5t4s3r2q1p",
    "temporary": "st-9f8e7d6c5b4a39281706f5e4d3c2b1a0",
    "underlined": "sk_live_51H8xYzAbCdEfGhIjKlMnOpQr",
    "access key": "LTAI5tAbCdEfGhIjKlMnOpQr",
    "scenario": "sk-mock-happy-but-secret",
    "garbage": "correct-horse-battery-staple",
    "encoded": "dXNlcjpwYXNzd29yZC1vZi1hLXVzZXI=",
}


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
@pytest.mark.parametrize(
    "scheme", ["Bearer {}", "bearer  {}", "{}", "Basic {}", "Bearer {} and more", "Bearer Bearer {}"]
)
def test_no_key_is_shown_or_logged(
    key: str,
    scheme: str,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    unlimited: Vendor,
) -> None:
    caplog.set_level(logging.DEBUG)
    mine = {"Authorization": scheme.format(key)}
    likeness = {"resource_type": "facelora"}
    unlimited.submit(PRESET, headers={**mine, "X-Mock-Plan": json.dumps(IMMEDIATE)})
    for name in ("X-Mock-Scenario", "X-Mock-Plan", "X-Mock-Session", "X-DashScope-WorkSpace", "User-Agent", "Cookie"):
        unlimited.submit(PRESET, headers={**mine, name: key})
    for body in (
        {**PRESET, "model": key},
        {**PRESET, "api_key": key},
        {**PRESET, "parameters": {**PRESET["parameters"], "token": key, key: key}},
        {**PRESET, "resources": [{**likeness, "resource_id": key}]},
        {**PRESET, "resources": [{**likeness, "resource_id": f"mock-{key}"}]},
        {**TEMPLATE, "input": {"template_url": f"https://assets.facechain.test/a.jpg?key={key}"}},
        {**TEMPLATE, "input": {"template_url": f"https://{key}.facechain.test/a.jpg"}},
    ):
        unlimited.submit(body, headers=mine)
    unlimited.submit(data=f'{{"api_key": "{key}"'.encode(), headers=mine)
    unlimited.submit(data=b" " * (journal.MOST_BODY_BYTES - 12) + key.encode(), headers=mine)
    unlimited.query(key, headers=mine)
    unlimited.query(f"x?api_key={key}", headers=mine)
    unlimited.cancel(key, headers=mine)
    unlimited.list(f"api_key={key}&status={key}", headers=mine)
    unlimited.vendor_call("GET", f"/api/v1/{key}", headers=mine)
    unlimited.call("GET", f"/dashscope-result-bj/{key}?OSSAccessKeyId={key}&Signature={key}", headers=mine)
    assert_nowhere(key, unlimited)
    logged = caplog.text + "".join(capfd.readouterr())
    assert key not in logged


@pytest.mark.parametrize("key", [key for name, key in KEYS.items() if name not in ("garbage", "encoded")])
def test_what_looks_like_a_key_is_not_shown_either_when_nobody_signs_with_it(unlimited: Vendor, key: str) -> None:
    unlimited.submit({**PRESET, "note": key, "resources": [{"resource_id": key, "resource_type": "facelora"}]})
    unlimited.submit(headers={"X-Mock-Scenario": key})
    unlimited.query(key)
    unlimited.list(f"status={key}")
    unlimited.vendor_call("GET", f"/api/v1/{key}")
    assert_nowhere(key, unlimited)


@pytest.mark.parametrize("name", ["key", "api_key", "api-key", "apikey", "token", "access_token", "secret", "password"])
def test_what_is_called_a_secret_is_not_shown_whatever_it_looks_like(unlimited: Vendor, name: str) -> None:
    unlimited.list(f"{name}=hunter2.or.so&page_no=1")
    unlimited.submit({**PRESET, name: "hunter2.or.so"})
    assert_nowhere("hunter2.or.so", unlimited)
    assert "page_no=1" in unlimited.admin("GET", "requests/1").get_json()["query"]


def assert_nowhere(key: str, vendor: Vendor) -> None:
    """The key stands in nothing that the admin API shows."""
    shown = {path: vendor.admin("GET", path) for path in SHOWING}
    numbers = [entry["n"] for entry in shown["requests"].get_json()["requests"]]
    assert numbers
    shown |= {f"requests/{number}": vendor.admin("GET", f"requests/{number}") for number in numbers}
    for path, answer in shown.items():
        assert answer.status_code == 200
        assert key not in answer.text, path
        assert key not in str(answer.headers), path


SHOWING = ("requests", "tasks", "ledger", "findings", "plans", "faults", "scenario", "clock")


def test_the_words_of_a_request_are_left_alone(unlimited: Vendor) -> None:
    body = {**PRESET, "parameters": {**PRESET["parameters"], "skin_retouch": True}}
    unlimited.submitted(body)
    (entry,) = unlimited.admin("GET", "requests").get_json()["requests"]
    assert json.loads(entry["body"]) == body
    found = unlimited.admin("GET", "findings").get_json()["findings"]
    assert [each["what"] for each in found if "redacted" in each["what"]] == []


def test_the_ready_file_holds_the_admin_token_and_no_other_secret(tmp_path: Path) -> None:
    ready = tmp_path / "ready.json"
    app = create_app(Settings(seed=1, api_key={KEYS["vendor"]: "me"}))
    with running(app) as server:
        write_ready_file(str(ready), server, app.extensions[GUARD].token)
        sent(server, written("GET", f"{TASKS}/x", "Host: localhost", f"Authorization: Bearer {KEYS['vendor']}"))
    text = ready.read_text("utf-8")
    assert json.loads(text).keys() == {"base_url", "admin_url", "admin_token", "pid"}
    assert KEYS["vendor"] not in text
    assert ready.stat().st_mode & 0o777 == 0o600


# -- no debugger, no traceback ----------------------------------------------------------------------------------------


DEBUGGING = {"FLASK_DEBUG": "1", "FLASK_ENV": "development"}
SAFE = [
    pytest.param({}, id="plain"),
    pytest.param(DEBUGGING, id="FLASK_DEBUG"),
]


@pytest.fixture(params=[pytest.param({}, id="plain"), pytest.param(DEBUGGING, id="FLASK_DEBUG")])
def deployed(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Flask:
    """An app as a user gets it, whatever the environment asks for."""
    for name in ("FLASK_DEBUG", "FLASK_ENV"):
        monkeypatch.delenv(name, raising=False)
    for name, value in request.param.items():
        monkeypatch.setenv(name, value)
    return create_app(Settings(seed=1, admin_token=TOKEN))


@pytest.mark.parametrize("deployed", SAFE, indirect=True)
def test_debug_mode_cannot_be_on(deployed: Flask) -> None:
    assert deployed.debug is False
    assert deployed.testing is False


@pytest.mark.parametrize(
    "path",
    [
        "/console",
        "/?__debugger__=yes&cmd=resource&f=debugger.js",
        "/?__debugger__=yes&cmd=printpin&s=x",
        "/api/v1/tasks/x?__debugger__=yes&cmd=1%2B1&frm=0&s=x",
        "/static/x",
        "/.env",
    ],
)
def test_there_is_no_debugger(deployed: Flask, path: str) -> None:
    answer = deployed.test_client().get(path)
    assert answer.status_code in (401, 404)
    assert "debugger" not in answer.text.lower()


@pytest.mark.parametrize("deployed", SAFE, indirect=True)
@pytest.mark.parametrize("path", [f"{TASKS}/x", f"{PREFIX}/tasks", "/dashscope-result-bj/x"])
def test_a_mistake_of_ours_shows_no_traceback(deployed: Flask, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    def fail(*_given: object, **_named: object) -> None:
        raise RuntimeError("a detail of ours")

    monkeypatch.setattr(Simulator, "answer", fail)
    monkeypatch.setattr(Simulator, "fetch", fail)
    monkeypatch.setattr(memory.MemoryWorld, "tasks", fail)
    logging.getLogger(deployed.logger.name).setLevel(logging.CRITICAL)
    try:
        answer = deployed.test_client().get(path, headers={"X-Admin-Token": TOKEN})
    finally:
        logging.getLogger(deployed.logger.name).setLevel(logging.NOTSET)
    assert answer.status_code == 500
    assert "a detail of ours" not in answer.text
    assert "Traceback" not in answer.text
    assert "RuntimeError" not in answer.text


# -- who can reach it -------------------------------------------------------------------------------------------------

EVERYWHERE = ["0.0.0.0", "::", "192.0.2.1", "mock.example", ""]  # noqa: S104  # what is refused


def test_it_listens_on_this_machine_alone_unless_told_otherwise(server: Server) -> None:
    assert Settings().host == "127.0.0.1"
    bound: Any = server._server
    assert bound.socket.getsockname()[0] == "127.0.0.1"


@pytest.mark.parametrize("host", EVERYWHERE)
def test_it_refuses_loudly_to_listen_elsewhere_without_a_token(
    host: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("FACECHAIN_MOCK_")]:
        monkeypatch.delenv(name)
    assert main(["serve", "--port", "0", "--host", host]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("facechain-mock: host is ")
    assert "--admin-token" in err
    assert "127.0.0.1" in err


def routes(app: Flask) -> list[str]:
    """A path for each route of an app, the vendor's and ours."""
    return sorted({re.sub(r"<[^>]+>", "1", str(rule)) for rule in app.url_map.iter_rules()})


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_no_answer_of_any_route_lets_a_page_of_another_origin_read_it(unlimited: Vendor, method: str) -> None:
    paths = [*routes(unlimited.app), "/", "/elsewhere", "/api/v1/elsewhere", PREFIX]
    assert len(paths) > 20
    for path in paths:
        for origin in ("https://evil.test", "http://localhost", "null"):
            asked = {"Origin": origin, "X-Admin-Token": TOKEN, "Authorization": "Bearer sk-main"}
            preflight = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-admin-token"}
            answer = unlimited.call(method, path, headers={**asked, **preflight}, json={})
            assert [name for name in answer.headers.keys() if name.lower().startswith(CORS)] == []  # noqa: SIM118
            assert method != "OPTIONS" or answer.status_code >= 400


def test_every_answer_says_that_a_mock_gave_it(server: Server) -> None:
    key = ["Host: localhost", "Authorization: Bearer sk-main", f"X-Admin-Token: {TOKEN}"]
    for path in (f"{TASKS}/x", TASKS, "/api/v1/elsewhere", "/dashscope-result-bj/x", "/", f"{PREFIX}/clock", PREFIX):
        head = sent(server, written("GET", path, *key)).partition(b"\r\n\r\n")[0].decode("latin-1")
        assert re.findall(r"(?im)^server: (.*?)\r?$", head) == ["facechain-mock"]
    broken = sent(server, b"no HTTP at all\r\n\r\n")
    assert b"Server: facechain-mock\r\n" in broken


def test_every_picture_says_that_a_mock_made_it(unlimited: Vendor) -> None:
    for link in unlimited.links(unlimited.submitted(plan=IMMEDIATE)):
        answer = unlimited.fetch(link)
        assert answer.headers["Server"] == "facechain-mock"
        assert media.read_properties(answer.data)["mock"] is True


@pytest.mark.parametrize("style", ["f_business_female", "train_free_portrait_url_template", "no such style"])
def test_the_mark_on_a_picture_can_be_seen(monkeypatch: pytest.MonkeyPatch, style: str) -> None:
    draw = media.render_portrait.__wrapped__  # what was drawn before is remembered
    portrait = media.Portrait("a-task", 1, style, 7, "png")
    marked = Image.open(io.BytesIO(draw(portrait)))
    monkeypatch.setattr(media, "MOCK_MARK", "")
    plain = Image.open(io.BytesIO(draw(portrait)))
    left, top, right, bottom = ImageChops.difference(marked, plain).getbbox() or (0, 0, 0, 0)
    assert right - left > marked.width // 2
    assert bottom - top >= 15
    assert top >= media.BAR_TOP


# -- no code from data ------------------------------------------------------------------------------------------------

RUNS_CODE = {
    "eval",
    "exec",
    "compile",
    "__import__",
    "breakpoint",
    "render_template",
    "render_template_string",
    "system",
    "popen",
    "import_module",
    "run_path",
    "run_module",
    "unsafe_load",
}
LOADS_CODE = {
    "pickle",
    "_pickle",
    "cPickle",
    "marshal",
    "shelve",
    "dill",
    "yaml",
    "jinja2",
    "mako",
    "runpy",
    "code",
    "ctypes",
    "xml",
}
CALLS_OUT = {
    "urllib.request",
    "http.client",
    "ftplib",
    "smtplib",
    "requests",
    "httpx",
    "aiohttp",
    "urllib3",
    "responses",
}
STARTS_PROGRAMS = {"subprocess", "multiprocessing", "pty"}


def modules(package: Any) -> list[Path]:
    return sorted(Path(package.__file__).parent.rglob("*.py"))


def imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{name.name}" for name in node.names)


def called(tree: ast.AST) -> Iterator[str]:
    """Names that are called; of a method its last name, but for ``re.compile``, which compiles no code."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            function = node.func
            if isinstance(function, ast.Name):
                yield function.id
            elif isinstance(function, ast.Attribute) and ast.unparse(function) != "re.compile":
                yield function.attr


ALLOWED = {f"events.py imports requests{name}" for name in ("", ".adapters", ".adapters.HTTPAdapter")}
"""Events are posted to whom the owner of the server named when it was started; no request has a word in it."""


@pytest.mark.parametrize(
    ("package", "banned"),
    [
        (contracts, LOADS_CODE | CALLS_OUT | STARTS_PROGRAMS),
        (mock_server, LOADS_CODE | CALLS_OUT | STARTS_PROGRAMS),
        (facechain_testkit, LOADS_CODE - {"xml"}),  # which it writes, and never reads
    ],
    ids=["contracts", "mock_server", "facechain_testkit"],
)
def test_no_package_runs_code_from_data_and_the_server_calls_nobody(package: Any, banned: set[str]) -> None:
    found = []
    for path in modules(package):
        tree = ast.parse(path.read_text("utf-8"))
        found += [f"{path.name} calls {name}" for name in called(tree) if name in RUNS_CODE]
        found += [f"{path.name} imports {name}" for name in imported(tree) if {name, name.partition(".")[0]} & banned]
    assert modules(package)
    assert set(found) - ALLOWED == set()


def test_the_walk_finds_what_it_looks_for() -> None:
    tree = ast.parse("import pickle\nfrom urllib import request\neval('1')\nos.system('x')\nre.compile('x')\n")
    assert set(imported(tree)) & LOADS_CODE == {"pickle"}
    assert set(imported(tree)) & CALLS_OUT == {"urllib.request"}
    assert set(called(tree)) & RUNS_CODE == {"eval", "system"}


# -- nothing grows without end ----------------------------------------------------------------------------------------


def test_queued_plans_are_bounded(vendor: Vendor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "MOST_QUEUED_PLANS", 3)
    assert [vendor.admin("POST", "plans", IMMEDIATE).status_code for _ in range(5)] == [201, 201, 201, 400, 400]
    assert "clear them" in vendor.admin("POST", "plans", IMMEDIATE).get_json()["error"]
    assert len(vendor.admin("GET", "plans").get_json()["plans"]) == 3


def test_faults_are_bounded(vendor: Vendor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faults, "MOST_FAULTS", 3)
    fault = {"stage": "poll", "kind": "empty"}
    assert [vendor.admin("POST", "faults", fault).status_code for _ in range(5)] == [201, 201, 201, 400, 400]
    assert len(vendor.admin("GET", "faults").get_json()["faults"]) == 3


def test_the_counts_of_faults_are_bounded(unlimited: Vendor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faults, "MOST_COUNTS", 10)
    for _ in range(30):
        unlimited.query(unlimited.submitted(plan={"scenario": "poll-429"}))
    world: Any = unlimited.app.extensions["facechain-simulator"].worlds.open("")
    assert len(world.faults._struck) <= 10
    assert len(world.faults._matched) <= 10


def test_sessions_are_bounded_and_the_one_unused_longest_goes(vendor: Vendor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "MOST_SESSIONS", 3)
    first = vendor.of_session("first")
    first.submitted()
    for number in range(10):
        vendor.of_session(f"s{number}").query("x")
        assert len(first.admin("GET", "tasks").get_json()["tasks"]) == 1
    assert vendor.of_session("s0").admin("GET", "requests").get_json() == {"requests": []}
    worlds: Any = vendor.app.extensions["facechain-simulator"].worlds
    assert len(worlds._worlds) == 3


def test_requests_are_bounded_by_count(unlimited: Vendor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "MOST_ENTRIES", 5)
    for _ in range(12):
        unlimited.query("x")
    kept = unlimited.admin("GET", "requests").get_json()["requests"]
    assert [entry["n"] for entry in kept] == [8, 9, 10, 11, 12]
    assert unlimited.admin("GET", "requests/1").status_code == 404


LONG = "x" * 200_000
ENTRY_BYTES = 20_000


@pytest.mark.parametrize(
    "request_",
    [
        pytest.param({"headers": {"X-Mock-Scenario": LONG}}, id="scenario"),
        pytest.param({"headers": {"X-Mock-Plan": json.dumps({LONG: 1})}}, id="plan"),
        pytest.param({"headers": {"User-Agent": LONG}}, id="user agent"),
        pytest.param({"headers": {"X-DashScope-Async": LONG}}, id="async header"),
        pytest.param({"body": {**PRESET, "model": LONG}}, id="model"),
        pytest.param({"body": {**PRESET, LONG: LONG}}, id="a field"),
        pytest.param({"path": f"{TASKS}/{LONG}/cancel"}, id="path"),
        pytest.param({"path": f"{SUBMIT}?{LONG}={LONG}"}, id="query"),
    ],
)
def test_requests_are_bounded_by_bytes_wherever_these_stand(
    unlimited: Vendor, monkeypatch: pytest.MonkeyPatch, request_: Mapping[str, Any]
) -> None:
    monkeypatch.setattr(journal, "MOST_BYTES", 3 * ENTRY_BYTES)
    for _ in range(10):
        unlimited.submit(**request_)
    answer = unlimited.admin("GET", "requests")
    assert 1 <= len(answer.get_json()["requests"]) <= 10
    assert all(len(json.dumps(entry)) < ENTRY_BYTES for entry in answer.get_json()["requests"])
    assert len(answer.data) < 4 * ENTRY_BYTES


@pytest.mark.parametrize(
    "plan",
    [
        {"outcome": {"images": ["ok"] * (MOST_IMAGES + 1)}},
        {"outcome": {"images": "ok" * 1_000}},
        {"pending_ms": 30 * 24 * 3_600_000 + 1},
        {"running_ms": 10**30},
        {"progression": "polls", "pending": 1_000_001},
        {"progression": "manual", "times": 1_000_001},
        {"seconds": 1e300},
        {"outcome": {"error": LONG}},
        {LONG: 1},
        {"scenario": LONG},
        {"progression": LONG},
    ],
    ids=lambda plan: str(plan)[:40],
)
def test_plans_are_bounded(vendor: Vendor, plan: dict[str, Any]) -> None:
    assert vendor.admin("POST", "plans", plan).status_code == 400
    assert vendor.submit(headers={"X-Mock-Plan": json.dumps(plan)}).status_code == 400
    assert vendor.admin("GET", "plans").get_json() == {"plans": []}


def test_the_status_that_a_plan_ends_in_is_bounded(vendor: Vendor) -> None:
    assert vendor.admin("POST", "plans", {"outcome": {"status": "S" * 64}}).status_code == 201
    assert vendor.admin("POST", "plans", {"outcome": {"status": "S" * 65}}).status_code == 400


@pytest.mark.parametrize(
    "fault",
    [
        {"account": "x" * 201},
        {"ms": 600_001},
        {"bytes": MEGABYTE + 1},
        {"times": 10**9},
        {"probability": 1.1},
        {"for_ms": -1},
    ],
    ids=str,
)
def test_faults_are_bounded_in_what_they_do(vendor: Vendor, fault: dict[str, Any]) -> None:
    assert vendor.admin("POST", "faults", {"stage": "poll", "kind": "latency", **fault}).status_code == 400


@pytest.mark.parametrize("name", ["stage", "kind"])
def test_a_fault_without_what_it_needs_is_refused(vendor: Vendor, name: str) -> None:
    fault = {"stage": "poll", "kind": "status", name: None}
    vendor.app.config["PROPAGATE_EXCEPTIONS"] = None
    try:
        assert vendor.admin("POST", "faults", fault).status_code == 400
    finally:
        vendor.app.config["PROPAGATE_EXCEPTIONS"] = True


@pytest.mark.parametrize("by", [f"{MOST_MS + 1}ms", "3651d", "9" * 400 + "d", 1e300, 10**400, -1, "-1h", LONG])
def test_a_jump_of_the_clock_is_bounded(vendor: Vendor, by: object) -> None:
    assert vendor.admin("PUT", "clock", {"action": "advance", "by": by}).status_code == 400
    assert vendor.clock.now_ms() == START_MS


@pytest.mark.parametrize("factor", [1_000_001, 1e300, 0, -1, "10", True, None])
def test_the_pace_of_the_clock_is_bounded(vendor: Vendor, factor: object) -> None:
    assert vendor.admin("PUT", "clock", {"action": "scale", "factor": factor}).status_code == 400


def test_many_jumps_of_the_clock_never_leave_the_calendar(vendor: Vendor) -> None:
    for _ in range(1_000):
        if vendor.admin("PUT", "clock", {"action": "advance", "by": "3650d"}).status_code != 200:
            break
    assert vendor.admin("GET", "clock").status_code == 200
    assert vendor.query("x").status_code == 200
    assert vendor.submit().status_code == 200


def test_an_answer_to_what_is_wrong_is_short(vendor: Vendor) -> None:
    for method, path, given in (
        ("PUT", "scenario", {"scenario": LONG}),
        ("PUT", "clock", {"action": LONG}),
        ("POST", "plans", {LONG: 1}),
        ("POST", "faults", {"stage": LONG, "kind": "status"}),
        ("POST", "requests/count", {LONG: 1}),
        ("GET", "x" * 50_000, None),
    ):
        answer = vendor.admin(method, path, given)
        assert answer.status_code in (400, 404)
        assert len(answer.get_json()["error"]) <= 2_000


# -- pictures made to harm --------------------------------------------------------------------------------------------


def chunk(kind: bytes, data: bytes) -> bytes:
    """One chunk of a PNG."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, *chunks: bytes) -> bytes:
    """A PNG that says it is so large, whatever it holds."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(chunks) + chunk(b"IEND", b"")


def jpeg(width: int, height: int, before: bytes = b"") -> bytes:
    """A JPEG that says it is so large, whatever it holds."""
    frame = struct.pack(">HHBHHB", 0xFFC0, 11, 8, height, width, 1) + b"\x01\x11\x00"
    return b"\xff\xd8" + before + frame + b"\xff\xd9"


def tiff(*tags: tuple[int, int, int, int], count: int | None = None, first: int = 8) -> bytes:
    entries = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    return b"II*\0" + struct.pack("<IH", first, len(tags) if count is None else count) + entries


DEFLATED = zlib.compress(b"\0" * 50 * MEGABYTE)
ZIP = b"PK\x03\x04" + b"\0" * 26 + b"PK\x05\x06" + b"\0" * 18
PAGE = b"<html><script>fetch('http://evil.test/')</script><?php system('id') ?>"

HARMFUL: dict[str, bytes] = {
    "a bomb: PNG": png(100_000, 100_000, chunk(b"IDAT", DEFLATED)),
    "a bomb: the largest PNG": png(2**31 - 1, 2**31 - 1, chunk(b"IDAT", DEFLATED)),
    "a bomb: PNG text": png(300, 300, chunk(b"zTXt", b"a\0\0" + DEFLATED), chunk(b"iCCP", b"a\0\0" + DEFLATED)),
    "a bomb: JPEG": jpeg(65_535, 65_535),
    "a bomb: GIF": b"GIF89a" + struct.pack("<HH", 65_535, 65_535) + b"\0;",
    "a bomb: WEBP": b"RIFF\xff\xff\xff\xffWEBPVP8X\x0a\0\0\0\0\0\0\0" + b"\xff" * 6,
    "a bomb: BMP": b"BM" + b"\0" * 12 + struct.pack("<Iii", 40, 2**31 - 1, -(2**31)) + b"\0" * 28,
    "a bomb: ZIP": ZIP + DEFLATED,
    "a bomb: gzip": b"\x1f\x8b\x08\0" + DEFLATED,
    "PNG of a million chunks": png(300, 300, chunk(b"tEXt", b"") * 1_000_000),
    "JPEG of a million segments": jpeg(300, 300, b"\xff\xe0\0\x02" * 1_000_000),
    "JPEG of fill bytes": b"\xff\xd8" + b"\xff" * 8 * MEGABYTE,
    "JPEG of ends": b"\xff\xd8\xff\xc0\0\x0b\x08\x01\x2c\x01\x2c" + b"\xff\xd9" * 4 * MEGABYTE,
    "TIFF of 65535 tags": tiff(*[(1, 3, 1, 1)] * 65_535),
    "TIFF that says 65535 tags": tiff((256, 3, 1, 300), count=65_535),
    "TIFF that points at itself": tiff((256, 3, 1, 300), (257, 3, 1, 300), first=0),
    "TIFF that points behind its end": tiff((256, 3, 1, 300), first=2**32 - 1),
    "BigTIFF that points anywhere": b"II+\0\x08\0\0\0" + b"\xff" * 16,
    "PNG whose length lies": b"\x89PNG\r\n\x1a\n\xff\xff\xff\xffIHDR" + b"\x7f\xff\xff\xff" * 4,
    "PNG whose chunk is endless": png(300, 300).replace(b"\0\0\0\0IEND", b"\xff\xff\xff\xffIEND"),
    "PNG with a wrong check sum": png(300, 300).replace(b"\x08\x02\0\0\0", b"\x08\x02\0\0\x01"),
    "JPEG whose segment is endless": b"\xff\xd8\xff\xe0\xff\xff",
    "JPEG whose segment has no length": b"\xff\xd8\xff\xe0\0\0" * 100_000,
    "WEBP whose length lies": b"RIFF\xff\xff\xff\xffWEBPVP8 \xff\xff\xff\xff\0\0\0\x9d\x01\x2a",
    "BMP whose header lies": b"BM" + b"\xff" * 40,
    "negative BMP": b"BM" + b"\0" * 12 + struct.pack("<Iii", 40, -300, 300) + b"\0" * 28,
    "no pixels: PNG": png(0, 0),
    "no pixels: JPEG": jpeg(0, 300),
    "only a beginning: PNG": b"\x89PNG\r\n\x1a\n",
    "only a beginning: JPEG": b"\xff\xd8\xff",
    "JPEG and ZIP": photo(300, 300) + ZIP,
    "JPEG and page": photo(300, 300) + PAGE,
    "PNG and page": photo(300, 300, "PNG") + PAGE,
    "GIF and page": b"GIF89a/*" + b"\0" * 20 + b"*/=1;" + PAGE,
    "page and JPEG": PAGE + photo(300, 300),
    "PDF and JPEG": b"%PDF-1.7\n" + photo(300, 300),
    "SVG": b'<?xml version="1.0"?><!DOCTYPE s [<!ENTITY x SYSTEM "file:///etc/passwd">]><svg>&x;</svg>',
    "billion laughs": b'<!DOCTYPE l [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]><svg>&b;</svg>' * 1_000,
    "program": b"\x7fELF" + b"\0" * 100,
    "pickle": b"cos\nsystem\n(S'id'\ntR.",
    "two pictures": photo(300, 300) + photo(3_000, 3_000),
    "noise": bytes(range(256)) * 4_096,
}


PICTURES_ALL_THE_SAME = {"a bomb: PNG text", "JPEG and ZIP", "JPEG and page", "PNG and page", "two pictures"}


@pytest.fixture
def undecoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was decoded while the test runs: pictures, archives, anything packed."""
    found: list[str] = []

    def noted(name: str) -> Any:
        return lambda *_given, **_named: found.append(name)

    for module, name in ((Image, "open"), (zlib, "decompress"), (zlib, "decompressobj"), (zipfile, "ZipFile")):
        monkeypatch.setattr(module, name, noted(name))
    return found


@pytest.mark.parametrize("name", HARMFUL)
def test_a_picture_made_to_harm_is_taken_for_what_it_is_soon_and_without_decoding_it(
    unlimited: Vendor, undecoded: list[str], name: str
) -> None:
    content = HARMFUL[name]
    started = time.process_time()
    link = uploaded(unlimited, content, model="facechain-facedetect")
    body = {"model": "facechain-facedetect", "input": {"images": [link]}}
    headers = {"X-DashScope-Async": None, **RESOLVED}
    answer = unlimited.vendor_call("POST", DETECT, json=body, headers=headers)
    assert answer.status_code == 200
    (is_face,), (reason,) = answer.get_json()["output"].values()
    assert is_face == (reason == "") == (name in PICTURES_ALL_THE_SAME)
    id_ = file_id(unlimited, content)
    told = unlimited.vendor_call("GET", f"{FILES}/{id_}").get_json()["data"]
    assert told["size"] == len(content)
    answer = unlimited.fetch(told["url"])
    assert answer.data == content
    assert answer.headers["content-type"] == "application/octet-stream", "nothing that a browser would run"
    assert time.process_time() - started < SOON_S
    assert undecoded == []


DETECT = "/api/v1/services/vision/facedetection/detect"
SOON_S = 3.0
"""The worst of them takes a tenth of it here."""


@pytest.mark.parametrize("format_", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"])
def test_a_picture_that_was_cut_anywhere_harms_nothing(unlimited: Vendor, format_: str) -> None:
    whole = photo(40, 30, format_)
    cuts = [whole[:at] for at in sorted({*range(0, min(len(whole), 200), 3), len(whole) // 2, len(whole) - 1})]
    parts = [("files", f"{number}.jpg", content) for number, content in enumerate(cuts)]
    kept = send_form(unlimited, form(parts)).get_json()["data"]["uploaded_files"]
    assert len(kept) == len(cuts)
    for file in kept:
        body = {"model": "facechain-finetune", "training_file_ids": [file["file_id"]]}
        answer = unlimited.vendor_call("POST", "/api/v1/fine-tunes", json=body, headers={"X-DashScope-Async": None})
        assert answer.status_code == 200


@pytest.mark.parametrize("name", HARMFUL)
def test_a_picture_made_to_harm_is_no_form_and_no_json(unlimited: Vendor, name: str) -> None:
    content = HARMFUL[name]
    for path, content_type in (
        (FILES, FORM),
        (FILES, "multipart/form-data; boundary=\x00\x01"),
        ("/dashscope-file-mgr", FORM),
        (SUBMIT, "application/json"),
        (DETECT, "image/jpeg"),
    ):
        headers = {"X-DashScope-Async": "enable" if path == SUBMIT else None}
        answer = unlimited.vendor_call("POST", path, data=content, content_type=content_type, headers=headers)
        assert answer.status_code == 400


# -- forms made to harm -----------------------------------------------------------------------------------------------

A_HEAD = b'Content-Disposition: form-data; name="files"; filename="a"'
FORMS: dict[str, bytes] = {
    "line breaks": b"\r\n\r\n" + b"\r\n" * (7 * MEGABYTE),
    "nearly boundaries": b"\r\n\r\n" + b"\r\n--" * (3 * MEGABYTE),
    "boundaries that go on": b"\r\n\r\n" + f"\r\n--{BOUNDARY}x".encode() * 400_000,
    "a boundary of blanks": f"\r\n\r\n\r\n--{BOUNDARY}".encode() + b" " * (14 * MEGABYTE),
    "a million headers": b"\r\n" + b"a:b\r\n" * (2 * MEGABYTE) + b"\r\n",
    "one endless header": b"a" * (14 * MEGABYTE) + b"\r\n\r\n",
    "a million parameters": b"; a=b" * (2 * MEGABYTE) + b"\r\n\r\n",
    "a million escapes": b'; x="' + b'\\"' * (7 * MEGABYTE) + b'"\r\n\r\n',
    "continued headers": b"\r\n a" * (3 * MEGABYTE) + b"\r\n\r\n",
    "a thousand heads": (b"; a=b" * 700 + b"\r\n\r\n\r\n--" + BOUNDARY.encode() + b"\r\n" + A_HEAD) * 1_100,
}


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("path", [FILES, "/dashscope-file-mgr"])
def test_a_form_made_to_harm_is_read_soon_or_refused_soon(unlimited: Vendor, name: str, path: str) -> None:
    body = f"--{BOUNDARY}\r\n".encode() + A_HEAD + FORMS[name] + f"\r\n--{BOUNDARY}--".encode()
    started = time.process_time()
    answer = unlimited.vendor_call("POST", path, data=body, content_type=FORM, headers={"X-DashScope-Async": None})
    assert answer.status_code in (200, 400, 403)
    assert time.process_time() - started < SOON_S


@pytest.mark.parametrize(
    "content_type",
    [
        'multipart/form-data; boundary="' + '\\"' * 20_000,
        "multipart/form-data; " + "a=b; " * 10_000,
        "multipart/form-data; " + "boundary*0=a; boundary*1=b; " * 2_000,
        "multipart/form-data;" + " " * 50_000 + "x",
        "multipart/form-data; boundary=" + "b" * 50_000,
        "multipart/form-data; boundary=%00",
        "multipart/form-data; boundary=(a+)+$",
        "multipart/form-data; boundary*=utf-8''%ff%fe",
        "multipart/" + "x" * 50_000,
    ],
    ids=lambda text: text[20:50],
)
def test_a_content_type_made_to_harm_is_refused_soon(unlimited: Vendor, content_type: str) -> None:
    started = time.process_time()
    for path in (FILES, "/dashscope-file-mgr"):
        answer = unlimited.vendor_call("POST", path, data=b"--x--", content_type=content_type)
        assert answer.status_code == 400
        assert len(answer.headers["X-Mock-Reason"]) <= 1_000
    assert time.process_time() - started < SOON_S


# -- names of uploads that would be paths -----------------------------------------------------------------------------

NAMES = [
    *PATHS,
    "../../../../etc/passwd\x00.jpg",
    "%2e%2e%2f%2e%2e%2fetc%2fpasswd",
    "\uff0e\uff0e\uff0fetc\uff0fpasswd",
    "人像/../../etc/passwd",
    "\u202egpj.exe",
    "a\tb",
    "NUL.jpg",
    "me.jpg:stream",
    "$(id).jpg",
    "; rm -rf .jpg",
    "' OR 1=1 --",
    "{{7*7}}${7*7}",
]


@pytest.mark.parametrize("name", NAMES)
def test_no_name_of_an_upload_leads_to_a_file(unlimited: Vendor, opened: list[str], name: str) -> None:
    kept = send_form(unlimited, form([("files", name, b"mine"), ("descriptions", None, name.encode())]))
    if kept.status_code == 200:  # a name of 5,000 letters stands in no head
        (file,) = kept.get_json()["data"]["uploaded_files"]
        assert not set(file["name"]) & set("/\\")
        told = unlimited.vendor_call("GET", f"{FILES}/{file['file_id']}").get_json()["data"]
        assert unlimited.fetch(told["url"]).data == b"mine"
    given = policy(unlimited)
    answers = [
        kept,
        form_post(unlimited, given, fields(given, name)),
        form_post(unlimited, given, {**fields(given), "key": name}),
        post_parts(unlimited, given, [*as_parts(fields(given, "${filename}")), ("file", name, b"mine")]),
    ]
    for answer in answers:
        assert answer.status_code in (200, 400, 403, 409)
        assert b"root:" not in answer.data
        assert_one_line_each(list(answer.headers))
        if "xml" in answer.headers.get("content-type", ""):
            ElementTree.fromstring(answer.data)  # noqa: S314  # our own server's answer
    assert_only_code_was_opened(opened)


@pytest.mark.parametrize("name", NAMES)
def test_no_link_to_an_upload_leads_to_a_file(unlimited: Vendor, opened: list[str], name: str) -> None:
    escaped = quote(name, safe="/%")
    body = {"model": "facechain-facedetect", "input": {"images": [f"oss://{escaped}"]}}
    answers = [
        unlimited.vendor_call("GET", f"{FILES}/{escaped}"),
        unlimited.vendor_call("DELETE", f"{FILES}/{escaped}"),
        unlimited.vendor_call("GET", f"/api/v1/uploads?action={escaped}&model={escaped}"),
        unlimited.call("GET", f"/dashscope-file-mgr/{escaped}?Expires=1&Signature={escaped}"),
        unlimited.call("POST", f"/dashscope-file-mgr/{escaped}", data=b""),
        unlimited.vendor_call("POST", DETECT, json=body, headers={"X-DashScope-Async": None, **RESOLVED}),
        unlimited.vendor_call("POST", "/api/v1/fine-tunes", json={"training_file_ids": [name]}),
    ]
    assert_only_code_was_opened(opened)
    for answer in answers:
        assert answer.status_code in (200, 400, 403, 404) or name in (".", "..")
        assert b"root:" not in answer.data


# -- secrets of uploads -----------------------------------------------------------------------------------------------


def test_nothing_that_is_shown_or_logged_holds_a_secret_of_an_upload(capfd: pytest.CaptureFixture[str]) -> None:
    log = io.StringIO()
    writers = [request_log(kind, log) for kind in ("text", "json")]
    vendor = Vendor(limits="off", event_url="http://127.0.0.1:9/")
    simulator: Any = vendor.app.extensions[SIMULATOR]
    simulator._log = lambda entry: [write(entry) for write in writers if write is not None]
    key = KEYS["vendor"]
    given = policy(vendor, key=key)
    sent = fields(given)
    values = {"Signature": given["signature"], "policy": given["policy"], "the key": key}

    assert form_post(vendor, given, sent).status_code == 200
    for name in sent:
        form_post(vendor, given, {other: value for other, value in sent.items() if other != name})
        for secret in values.values():
            form_post(vendor, given, {**sent, name: secret})
            form_post(vendor, given, {**sent, name: f"{given['upload_dir']}/{secret}", secret: secret})
    for secret in values.values():
        post_parts(vendor, given, [*as_parts(sent), ("file", secret, b"me"), (secret, None, secret.encode())])
        send_form(vendor, form([("purpose", None, key.encode()), ("files", secret, b"me")]), key=key)
        send_form(vendor, form([("files", "a.jpg", b"me")]), content_type=f"multipart/x; Signature={secret}", key=key)
        query = f"Signature={quote(secret, safe='')}&policy={quote(secret, safe='')}&OSSAccessKeyId=x"
        vendor.call("POST", f"/dashscope-file-mgr?{query}", data=form([("file", "a", b"me")]), content_type=FORM)
        vendor.vendor_call("GET", f"/api/v1/uploads?action=getPolicy&{query}", key=key)
    vendor.later(300_000)
    form_post(vendor, given, sent)
    url = vendor.vendor_call("GET", f"{FILES}/{file_id(vendor, key=key)}", key=key).get_json()["data"]["url"]
    assert vendor.fetch(url).status_code == 200
    assert vendor.fetch(url.replace("Expires=1", "Expires=2")).status_code == 403
    values["Signature of a link"] = parse_qs(urlsplit(url).query)["Signature"][0]
    values |= {f"{name}, escaped": quote(value, safe="") for name, value in values.items()}

    vendor.submit(PRESET, key=key)
    shown = {path: vendor.admin("GET", path) for path in (*SHOWING, "jobs", "assets", "resources")}
    numbers = [entry["n"] for entry in shown["requests"].get_json()["requests"]]
    assert len(numbers) > 40
    shown |= {f"requests/{number}": vendor.admin("GET", f"requests/{number}") for number in numbers}
    texts = {path: answer.text + str(answer.headers) for path, answer in shown.items()}
    texts |= {"log": log.getvalue(), "console": "".join(capfd.readouterr())}
    for path, text in texts.items():
        assert [name for name, value in values.items() if value in text or value[:40] in text] == [], path
    assert log.getvalue().count("\n") == 2 * len(numbers)


# -- many uploads at once ---------------------------------------------------------------------------------------------

UPLOADS = 1_000
A_PHOTO = photo(600, 600, size=200_000)
ALL_WITHIN_S = 30
"""Here they take about 2 seconds."""


def upload_over_the_line(host: str, port: int, key: str, content: bytes = A_PHOTO) -> dict[str, Any]:
    """Upload a file to a server on a port; gives the answer's data."""
    line = http.client.HTTPConnection(host, port, timeout=60)
    headers = {"Content-Type": FORM, "Authorization": f"Bearer {key}"}
    try:
        line.request("POST", FILES, form([("files", "me.jpg", content)]), headers)
        answer = line.getresponse()
        assert answer.status == 200
        data: dict[str, Any] = json.loads(answer.read())["data"]
        return data
    finally:
        line.close()


def test_a_thousand_uploads_at_once_are_all_taken_and_the_server_is_well_afterwards(server: Server) -> None:
    started = time.monotonic()

    def upload(number: int) -> dict[str, Any]:
        return upload_over_the_line(server.host, server.port, f"sk-crowd-{number % 10}")

    with ThreadPoolExecutor(200) as pool:
        answers = list(pool.map(upload, range(UPLOADS)))
    assert time.monotonic() - started < ALL_WITHIN_S
    ids = {file["file_id"] for data in answers for file in data["uploaded_files"]}
    assert len(ids) == UPLOADS
    assert [data["failed_uploads"] for data in answers] == [[]] * UPLOADS
    key = ["Host: localhost", "Authorization: Bearer sk-crowd-0"]
    listed = sent(server, written("GET", f"{FILES}?page_size=100", *key)).partition(b"\r\n\r\n")[2]
    assert json.loads(listed)["data"]["total"] == UPLOADS // 10
    assert len({file["id"] for file in json.loads(listed)["data"]["files"]}) == UPLOADS // 10
    assert sent(server, written("GET", f"{TASKS}/x", *key)).startswith(b"HTTP/1.1 200 ")


@dataclass(frozen=True)
class Process:
    """A server in a process of its own, whose memory can be looked at."""

    pid: int
    port: int

    def memory(self) -> tuple[float, float]:
        """How many MiB the process holds now, and held at most."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        found = {name: int(re.findall(rf"(?m)^{name}:\s*(\d+) kB$", status)[0]) for name in ("VmRSS", "VmHWM")}
        return found["VmRSS"] / 1_024, found["VmHWM"] / 1_024


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Process]:
    """A server started as a user does."""
    command = [sys.executable, "-m", "mock_server", "serve", "--port", "0", "--limits", "off", "--log", "off"]
    started = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    try:
        assert started.stdout is not None
        greeting = started.stdout.readline()
        yield Process(started.pid, int(greeting.rpartition(":")[2].partition("/")[0]))
    finally:
        started.kill()
        started.communicate()


linux_only = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads the memory from /proc")
GROWS_BY_MIB = 160
"""Of 1,000 photos of 200 kB, 191 MiB in all, 64 MiB are kept; here it grows by 82."""

PEAK_MIB = 800
"""While 64 bodies of 16 MiB, 1 GiB in all, come at once, of which 8 are read at a time; here it is 580."""


@linux_only
def test_the_memory_is_bounded_however_much_is_uploaded(process: Process) -> None:
    upload_over_the_line("127.0.0.1", process.port, "sk-first")
    before, _ = process.memory()
    with ThreadPoolExecutor(50) as pool:
        keys = [f"sk-{number % 10}" for number in range(UPLOADS)]
        kept = list(pool.map(lambda key: upload_over_the_line("127.0.0.1", process.port, key), keys))
    assert [data["failed_uploads"] for data in kept] == [[]] * UPLOADS
    after, peak = process.memory()
    assert after - before < GROWS_BY_MIB, (before, after, peak)


@linux_only
def test_the_memory_is_bounded_however_large_bodies_come_at_once(process: Process) -> None:
    content = bytes(MOST_FORM_BYTES - 1_000)
    with ThreadPoolExecutor(64) as pool:
        keys = [f"sk-{number}" for number in range(64)]
        kept = list(pool.map(lambda key: upload_over_the_line("127.0.0.1", process.port, key, content), keys))
    assert [data["failed_uploads"] for data in kept] == [[]] * 64
    after, peak = process.memory()
    assert peak < PEAK_MIB, (after, peak)
    assert len(upload_over_the_line("127.0.0.1", process.port, "sk-last")["uploaded_files"]) == 1


def test_what_is_known_of_uploads_is_bounded_in_length(unlimited: Vendor) -> None:
    parts = [("files", "n" * 4_000, b"x"), ("descriptions", None, LONG.encode())]
    assert send_form(unlimited, form(parts * 10)).status_code == 200
    given = policy(unlimited)
    assert form_post(unlimited, given, fields(given, LONG)).status_code == 400
    answer = unlimited.vendor_call("GET", FILES)
    assert len(answer.data) < 30_000
