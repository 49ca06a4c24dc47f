"""Faults on real sockets: what the line does, what three client libraries make of it, and that nobody else suffers."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, IncompleteRead, RemoteDisconnected
from typing import Any

import aiohttp
import httpx
import pytest
import requests
from flask import Flask

from contracts import catalogue
from mock_server.app import create_app
from mock_server.clock import VendorClock
from mock_server.core.faults import HTML_PAGE, fault_from_json
from mock_server.core.simulator import Simulator
from mock_server.serving import Server, running
from mock_server.settings import Settings
from mock_server.web.wire import SIMULATOR

SUBMIT = "/api/v1/services/aigc/album/gen_potrait"
TASKS = "/api/v1/tasks"
PATH = f"{TASKS}/x"
KEY = {"Authorization": "Bearer sk-wire"}
SUBMITTING = {**KEY, "X-DashScope-Async": "enable", "Content-Type": "application/json"}
BODY = json.dumps(catalogue.examples("portrait-request")["good"]["preset-style"]).encode()
IMPATIENCE_S = 0.2
PATIENCE_S = 10
FOR_EVER: dict[str, Any] = {"kind": "latency", "ms": 600_000}


@pytest.fixture(autouse=True)
def _every_answer_keeps_the_contract() -> None:
    """Not here: answers are broken on purpose."""


@dataclass
class Site:
    """A running server, and what is behind it."""

    app: Flask
    server: Server
    clock: VendorClock

    def put_in(self, stage: str = "poll", **chosen: Any) -> None:
        simulator: Simulator = self.app.extensions[SIMULATOR]
        simulator.worlds.open("").faults.add(fault_from_json({"stage": stage, **chosen}), self.clock.now_ms())

    def dial(self, timeout_s: float = PATIENCE_S) -> HTTPConnection:
        return HTTPConnection(self.server.host, self.server.port, timeout=timeout_s)

    def ask(self, method: str = "GET", path: str = PATH, *, timeout_s: float = PATIENCE_S) -> tuple[int, bytes]:
        """Status and body of one call on a connection of its own."""
        line = self.dial(timeout_s)
        try:
            submits = method == "POST"
            line.request(method, path, BODY if submits else None, SUBMITTING if submits else KEY)
            answer = line.getresponse()
            return answer.status, answer.read()
        finally:
            line.close()

    def held(self, path: str) -> socket.socket:
        """A connection that has asked and waits for its answer."""
        line = socket.create_connection((self.server.host, self.server.port), timeout=PATIENCE_S)
        line.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: {KEY['Authorization']}\r\n\r\n".encode())
        return line

    def waiting(self) -> int:
        """How many requests are held back on purpose."""
        return self.server._spare._waiting

    def hurry(self) -> None:
        """Move the clock on until nobody waits for it any more; some may be only just beginning to."""

        def nobody_waits() -> bool:
            self.clock.advance("10m")
            return self.waiting() == 0

        assert soon(nobody_waits)

    def idle(self) -> bool:
        """Whether every thread and connection that a test made use of is gone, soon."""
        return soon(lambda: threads() <= 8 and not self.server._server.active_channels)


def threads() -> int:
    """How many threads answer requests."""
    return sum(thread.name.startswith("waitress") for thread in threading.enumerate())


def soon(holds: Callable[[], bool], within_s: float = PATIENCE_S) -> bool:
    """Whether it comes true within some time."""
    until = time.monotonic() + within_s
    while not holds():
        if time.monotonic() > until:
            return False
        time.sleep(0.005)
    return True


@pytest.fixture(scope="module")
def _served() -> Iterator[Site]:
    clock = VendorClock()
    app = create_app(Settings(seed=11, limits="off"), clock=clock)
    with running(app) as server:
        yield Site(app, server, clock)


@pytest.fixture
def site(_served: Site) -> Iterator[Site]:
    """A server on which nothing has happened yet; afterwards it answers, and nothing is left over."""
    simulator: Simulator = _served.app.extensions[SIMULATOR]
    simulator.worlds.clear("")
    yield _served
    simulator.worlds.clear("")
    _served.clock.advance("1h")
    assert _served.ask()[0] == 200
    assert _served.idle()


# -- what the line does -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("chosen", "met"),
    [
        ({"kind": "reset"}, ConnectionResetError),
        ({"kind": "empty"}, RemoteDisconnected),
        ({"kind": "cut", "bytes": 10}, IncompleteRead),
        ({"kind": "hang"}, TimeoutError),
        (FOR_EVER, TimeoutError),
    ],
)
@pytest.mark.parametrize(("stage", "method", "path"), [("poll", "GET", PATH), ("accepted", "POST", SUBMIT)])
def test_the_line_really_fails(
    site: Site, chosen: dict[str, Any], met: type[Exception], stage: str, method: str, path: str
) -> None:
    site.put_in(stage, **chosen, times=1)
    with pytest.raises(met) as caught:
        site.ask(method, path, timeout_s=IMPATIENCE_S if met is TimeoutError else PATIENCE_S)
    assert caught.type is met, "and not one of its children"
    assert site.ask(method, path)[0] == 200
    if stage == "accepted":
        assert json.loads(site.ask("GET", TASKS)[1])["total"] == 2, "the one whose answer was lost counts"


def test_a_cut_answer_is_cut_where_it_was_asked_for(site: Site) -> None:
    whole = site.ask()[1]
    for size in (1, 10, len(whole) - 1):
        site.put_in(kind="cut", bytes=size, times=1)
        with pytest.raises(IncompleteRead) as caught:
            site.ask()
        assert len(caught.value.partial) == size
        assert caught.value.expected == len(whole) - size


def test_a_reset_leaves_no_byte_and_a_close_says_goodbye(site: Site) -> None:
    for kind, met in (("reset", ConnectionResetError), ("empty", None)):
        site.put_in(kind=kind, times=1)
        with site.held(PATH) as line:
            if met is None:
                assert line.recv(100) == b""
            else:
                with pytest.raises(met):
                    line.recv(100)


def test_a_picture_may_be_cut(site: Site) -> None:
    task = json.loads(site.ask("POST", SUBMIT)[1])["output"]["task_id"]
    site.clock.advance("2s")
    url = json.loads(site.ask("GET", f"{TASKS}/{task}")[1])["output"]["results"][0]["url"]
    site.put_in("link", kind="cut", bytes=1_000, times=1)
    with pytest.raises(IncompleteRead) as caught:
        site.ask("GET", url.partition(str(site.server.port))[2])
    assert caught.value.partial[:3] == b"\xff\xd8\xff"
    assert len(caught.value.partial) == 1_000


def test_a_dribble_is_slow_and_whole(site: Site) -> None:
    whole = json.loads(site.ask()[1])["output"]
    site.put_in(kind="dribble", bytes=10, ms=20, times=1)
    began = time.monotonic()
    answer = site.ask()[1]
    assert json.loads(answer)["output"] == whole
    assert time.monotonic() - began >= 0.02 * (len(answer) // 10)


def test_a_late_answer_is_late_and_whole(site: Site) -> None:
    site.put_in(kind="latency", ms=150, times=1)
    began = time.monotonic()
    assert site.ask()[0] == 200
    assert time.monotonic() - began >= 0.15


def test_nobody_waits_on_a_frozen_or_moved_clock(site: Site) -> None:
    site.put_in(**FOR_EVER)
    site.clock.freeze()
    assert site.ask()[0] == 200
    site.clock.resume()
    with site.held(PATH) as line:
        assert soon(lambda: site.waiting() == 1)
        site.hurry()
        assert line.recv(100).startswith(b"HTTP/1.1 200 OK\r\n")


def test_a_gateways_page_a_wrong_type_and_garbage_arrive_as_they_are(site: Site) -> None:
    for kind in ("html", "content-type", "garbage"):
        site.put_in(kind=kind, times=1)
    answers = [requests.get(site.server.url + PATH, headers=KEY, timeout=PATIENCE_S) for _ in range(3)]
    page, typed, garbage = answers[0], answers[1], answers[1]
    assert (page.status_code, page.headers["Content-Type"], page.content) == (502, "text/html", HTML_PAGE)
    assert (typed.status_code, typed.headers["Content-Type"]) == (200, "text/plain")
    assert garbage.headers["Content-Length"] == str(len(garbage.content))
    with pytest.raises(ValueError, match=r"."):
        garbage.json()


def test_a_connection_that_lived_through_a_fault_is_used_again(site: Site) -> None:
    site.put_in(kind="status", times=1)
    site.put_in(kind="latency", ms=1)
    line = site.dial()
    statuses = []
    for _ in range(3):
        line.request("GET", PATH, headers=KEY)
        answer = line.getresponse()
        answer.read()
        statuses.append(answer.status)
    line.close()
    assert statuses == [500, 200, 200]


def test_a_fault_on_one_connection_leaves_the_others_alone(site: Site) -> None:
    neighbour = site.dial()
    try:
        for _ in range(2):
            neighbour.request("GET", PATH, headers=KEY)
            answer = neighbour.getresponse()
            assert (answer.status, b"UNKNOWN" in answer.read()) == (200, True)
            site.put_in(kind="reset", times=1)
            with pytest.raises(ConnectionResetError):
                site.ask()
    finally:
        neighbour.close()


# -- what client libraries make of it ---------------------------------------------------------------------------------


def by_requests(url: str) -> object:
    return requests.get(url, headers=KEY, timeout=IMPATIENCE_S).json()


def by_httpx(url: str) -> object:
    with httpx.Client(timeout=IMPATIENCE_S, trust_env=False) as client:
        return client.get(url, headers=KEY).json()


def by_aiohttp(url: str) -> object:
    async def get() -> object:
        timeout = aiohttp.ClientTimeout(total=IMPATIENCE_S)
        async with aiohttp.ClientSession(timeout=timeout) as session, session.get(url, headers=KEY) as answer:
            return await answer.json()

    return asyncio.run(get())


RAISED: dict[str, tuple[type[BaseException] | None, type[BaseException] | None, type[BaseException] | None]] = {
    "reset": (requests.ConnectionError, httpx.ReadError, aiohttp.ClientOSError),
    "empty": (requests.ConnectionError, httpx.RemoteProtocolError, aiohttp.ServerDisconnectedError),
    "cut": (requests.exceptions.ChunkedEncodingError, httpx.RemoteProtocolError, aiohttp.ClientPayloadError),
    "hang": (requests.ReadTimeout, httpx.ReadTimeout, asyncio.TimeoutError),
    "latency": (requests.ReadTimeout, httpx.ReadTimeout, asyncio.TimeoutError),
    "html": (requests.exceptions.JSONDecodeError, json.JSONDecodeError, aiohttp.ContentTypeError),
    "garbage": (requests.exceptions.JSONDecodeError, UnicodeDecodeError, UnicodeDecodeError),
    "content-type": (None, None, aiohttp.ContentTypeError),
    "missing-field": (None, None, None),
}
"""What a plain call that reads JSON raises in requests, httpx and aiohttp; None where it notices nothing."""

ASKED_AGAIN = {("reset", by_aiohttp), ("empty", by_aiohttp)}
"""Where a library asks once more by itself before it raises; aiohttp does so for GET, and not for POST."""


@pytest.mark.parametrize("library", [by_requests, by_httpx, by_aiohttp])
@pytest.mark.parametrize("kind", RAISED)
def test_what_a_client_library_raises(site: Site, kind: str, library: Callable[[str], object]) -> None:
    site.put_in(kind=kind, ms=600_000)
    expected = RAISED[kind][(by_requests, by_httpx, by_aiohttp).index(library)]
    raised: type[BaseException] | None = None
    try:
        library(site.server.url + PATH)
    except Exception as error:  # noqa: BLE001 - which one it is, is the question
        raised = type(error)
    if expected is None or raised is None:
        assert raised is expected
    else:
        assert issubclass(raised, expected), raised
    heard = site.app.extensions[SIMULATOR].worlds.open("").journal.entries()
    assert len(heard) == (2 if (kind, library) in ASKED_AGAIN else 1)


# -- those who wait hold up nobody ------------------------------------------------------------------------------------

CROWD = 64


@contextmanager
def crowd(site: Site, size: int, **chosen: Any) -> Iterator[list[socket.socket]]:
    """So many requests that are all held back at once."""
    site.put_in(task_id="held", **chosen)
    with ExitStack() as stack:
        lines = [stack.enter_context(site.held(f"{TASKS}/held")) for _ in range(size)]
        assert soon(lambda: site.waiting() == size)
        yield lines


@pytest.mark.parametrize("chosen", [{"kind": "hang"}, FOR_EVER, {"kind": "dribble", "bytes": 1, "ms": 600_000}])
def test_a_crowd_that_waits_holds_up_nobody_else(site: Site, chosen: dict[str, Any]) -> None:
    with crowd(site, CROWD, **chosen):
        took_s = []
        for call in (("GET", PATH), ("POST", SUBMIT), ("GET", TASKS)):
            began = time.monotonic()
            assert site.ask(*call)[0] == 200
            took_s.append(time.monotonic() - began)
        assert sorted(took_s)[1] < 0.5, took_s
    assert soon(lambda: threads() <= 8, within_s=2), "those who left are waited for no longer"
    assert site.waiting() == 0


def test_a_crowd_gets_its_answers_when_the_time_has_come(site: Site) -> None:
    with crowd(site, CROWD, **FOR_EVER) as lines:
        assert threads() > CROWD
        site.hurry()
        assert all(line.recv(100).startswith(b"HTTP/1.1 200 OK\r\n") for line in lines)
    assert soon(lambda: threads() <= 8)


def test_a_hang_ends_when_its_client_leaves(site: Site) -> None:
    with crowd(site, CROWD, kind="hang") as lines:
        assert threads() > CROWD
        for line in lines[: CROWD // 2]:
            line.close()
        assert soon(lambda: site.waiting() == CROWD // 2, within_s=1)
    assert soon(lambda: site.waiting() == 0, within_s=1)
    assert soon(lambda: threads() <= 8, within_s=1)


def test_a_hang_lasts_as_long_as_its_client(site: Site) -> None:
    with crowd(site, 1, kind="hang") as (line,):
        line.settimeout(0.3)
        with pytest.raises(TimeoutError):
            line.recv(1)
        assert site.waiting() == 1


def seconds_to_stop(clients: int) -> float:
    """How long a server takes to stop while so many clients hang on it."""
    clock = VendorClock()
    app = create_app(Settings(seed=11, limits="off"), clock=clock)
    server = Server(app)
    server.start()
    site = Site(app, server, clock)
    with crowd(site, clients, kind="hang"):
        began = time.monotonic()
        server.stop()
        took_s = time.monotonic() - began
    assert soon(lambda: site.waiting() == 0, within_s=1)
    return took_s


def test_a_server_with_fifty_clients_that_hang_stops_at_once() -> None:
    took_s: list[float] = []
    while len(took_s) < 3 and min(took_s, default=1.0) >= 0.5:  # the machine may be busy with something else
        took_s.append(seconds_to_stop(50))
    assert min(took_s) < 0.5, took_s
