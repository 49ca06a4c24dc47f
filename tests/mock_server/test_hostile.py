"""Thousands of mixed requests under the profile ``hostile``: one seed, one course, and the server outlives it."""

from __future__ import annotations

import gc
import hashlib
import json
import random
import re
import threading
import tracemalloc
from collections import Counter
from collections.abc import Callable
from http.client import HTTPConnection, HTTPException
from typing import Any

import pytest

from contracts import catalogue
from mock_server.app import create_app, create_simulator
from mock_server.clock import VendorClock
from mock_server.core import front, journal
from mock_server.core.model import Reply, Request
from mock_server.core.simulator import Simulator
from mock_server.serving import Server, running
from mock_server.settings import Settings
from mock_server.web.wire import SIMULATOR

START_MS = 1_768_444_200_000
SUBMIT = "/api/v1/services/aigc/album/gen_potrait"
TASKS = "/api/v1/tasks"
BODIES = [json.dumps(body).encode() for body in catalogue.examples("portrait-request")["good"].values()]
BAD_BODIES = [
    b"",
    b"{",
    b"[]",
    b"\xff",
    *(json.dumps(row["body"]).encode() for row in catalogue.examples("portrait-request")["bad"].values()),
][:40]
IN_PROCESS = 10_000
ON_THE_WIRE = 1_000
Call = tuple[str, str, dict[str, str], bytes]
Answer = tuple[int, bytes]


@pytest.fixture(autouse=True)
def _every_answer_keeps_the_contract() -> None:
    """Not here: answers are broken on purpose."""


class Crowd:
    """Clients of all sorts, good and bad; one seed gives one course of calls, if the answers are the same."""

    def __init__(self, seed: int, clock: VendorClock) -> None:
        self._chance = random.Random(seed)
        self._clock = clock
        self._tasks = ["no-such-task"]
        self._links = ["/dashscope-result-bj/nothing.jpg"]

    def next_call(self) -> Call:
        """Some time passes, and somebody asks for something."""
        self._clock.advance(f"{self._chance.choice((0, 50, 600, 1_100, 20_000))}ms")
        key = self._chance.choice(("sk-one", "sk-two", "sk-mock-poll-429", "sk-three"))
        headers = {"authorization": f"Bearer {key}", "x-dashscope-async": "enable", "content-type": "application/json"}
        kind = self._chance.choices(
            ("submit", "query", "fetch", "list", "cancel", "bad body", "bad path", "bad key"),
            (20, 45, 3, 8, 6, 8, 5, 5),
        )[0]
        task = self._chance.choice(self._tasks[-6:])
        if kind == "bad key":
            headers["authorization"] = self._chance.choice(("", "Bearer", "Bearer nobody", "Basic eA=="))
        if kind == "submit":
            if self._chance.random() < 0.1:
                headers["x-mock-scenario"] = self._chance.choice(list(catalogue.scenarios()))
            return "POST", SUBMIT, headers, self._chance.choice(BODIES)
        if kind == "bad body":
            return "POST", SUBMIT, headers, self._chance.choice(BAD_BODIES)
        if kind == "fetch":
            return "GET", self._chance.choice(self._links[-3:]), {}, b""
        if kind == "list":
            return "GET", self._chance.choice((TASKS, f"{TASKS}?page_size=100", f"{TASKS}?page_no=x")), headers, b""
        if kind == "cancel":
            return "POST", f"{TASKS}/{task}/cancel", headers, b""
        if kind == "bad path":
            path = self._chance.choice(("/", "/api/v1/", f"{TASKS}/a/b", "/api/v1/services/aigc/album/gen_portrait"))
            return self._chance.choice(("GET", "PUT", "POST")), path, headers, b""
        return "GET", f"{TASKS}/{task}", headers, b""

    def hear(self, body: bytes) -> None:
        """Learn of tasks and links from an answer."""
        self._tasks += [found.decode() for found in re.findall(rb'"task_id":"([0-9a-f-]{36})"', body)[:1]]
        self._links += [found.decode() for found in re.findall(rb'"url":"https?://[^/]+([^"]+)"', body)[:1]]
        del self._tasks[:-20], self._links[:-20]


def vendor(seed: int) -> tuple[Simulator, VendorClock]:
    clock = VendorClock(START_MS, monotonic=lambda: 0.0)
    clock.freeze()
    return create_simulator(Settings(seed=seed, profile="hostile"), clock=clock), clock


def passed(simulator: Simulator, crowd: Crowd, calls: int) -> list[Reply]:
    """The replies to so many calls."""
    replies = []
    for _ in range(calls):
        method, path, headers, body = crowd.next_call()
        path, _, query = path.partition("?")
        reply = front.handle(simulator, Request(method, path, query, headers, body))
        crowd.hear(reply.body)
        replies.append(reply)
    return replies


def course(seed: int, calls: int) -> tuple[list[str], Counter[str]]:
    """A digest of each reply with what befell it on the line, and how often each fault struck."""
    simulator, clock = vendor(seed)
    digests = []
    for reply in passed(simulator, Crowd(1, clock), calls):
        reason = dict(reply.headers).get("x-mock-reason", "")
        if reply.status >= 500 and reply.status != 502:
            assert "put this in on purpose" in reason, (reply.status, reason)
        digests.append(hashlib.blake2b(repr(reply).encode(), digest_size=8).hexdigest())
    shown = simulator.worlds.open("").faults.shown()
    return digests, Counter({f"{fault['stage']} {fault['kind']} {fault['id']}": fault["struck"] for fault in shown})


def test_ten_thousand_requests_go_the_same_way_twice() -> None:
    first, struck = course(42, IN_PROCESS)
    again, struck_again = course(42, IN_PROCESS)
    assert first == again
    assert struck == struck_again
    assert len(first) == IN_PROCESS
    assert min(struck.values()) > 0, "every fault of the profile struck"


def test_another_seed_is_another_course() -> None:
    assert course(42, 300)[0] != course(43, 300)[0]


def test_memory_stays_flat(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "MOST_ENTRIES", 300)
    simulator, clock = vendor(42)
    crowd = Crowd(1, clock)

    def pass_a_day() -> None:
        for _ in range(4):
            passed(simulator, crowd, 250)
        clock.advance("25h")  # so that the vendor forgets its tasks
        passed(simulator, crowd, 250)
        gc.collect()

    pass_a_day()
    tracemalloc.start()
    try:
        pass_a_day()
        kept = tracemalloc.take_snapshot().filter_traces([tracemalloc.Filter(False, "*media.py")])
    finally:
        tracemalloc.stop()
    grown = sum(trace.size for trace in kept.traces)
    lines = len(simulator.worlds.open("").ledger.lines())
    assert grown < 500_000 + 1_000 * lines, f"{grown} bytes for 1,250 requests"


# -- on the wire ------------------------------------------------------------------------------------------------------


def served(server: Server, crowd: Crowd, calls: int) -> list[object]:
    """What a client met: status, body without the port, or the exception."""
    met: list[object] = []
    line = HTTPConnection(server.host, server.port, timeout=10)
    for _ in range(calls):
        method, path, headers, body = crowd.next_call()
        try:
            line.request(method, path, body if method == "POST" else None, headers)
            answer = line.getresponse()
            text = answer.read()
        except (HTTPException, OSError) as error:
            met.append(type(error))
            line.close()
            continue
        reason = answer.headers.get("X-Mock-Reason", "")
        assert answer.status < 500 or answer.status == 502 or "put this in on purpose" in reason, reason
        crowd.hear(text)
        text = text.replace(f":{server.port}/".encode(), b"/")
        met.append((answer.status, hashlib.blake2b(text, digest_size=8).hexdigest()))
    line.close()
    return met


def on_the_wire(seed: int, run: Callable[[Server, VendorClock], Any]) -> Any:
    clock = VendorClock(START_MS, monotonic=lambda: 0.0)
    clock.freeze()  # so that nobody waits
    app = create_app(Settings(seed=seed, profile="hostile"), clock=clock)
    with running(app) as server:
        met = run(server, clock)
        simulator: Simulator = app.extensions[SIMULATOR]
        simulator.worlds.clear("")
        alive = HTTPConnection(server.host, server.port, timeout=10)
        alive.request("GET", "/__admin/health")
        assert alive.getresponse().status == 200
        alive.close()
    return met


def test_a_thousand_requests_on_the_wire_go_the_same_way_twice() -> None:
    first, again = (on_the_wire(42, lambda server, clock: served(server, Crowd(1, clock), ON_THE_WIRE)) for _ in "ab")
    assert first == again
    met = Counter(each.__name__ if isinstance(each, type) else str(each[0]) for each in first)
    assert {"200", "400", "401", "404", "429", "500", "502", "503"} <= met.keys()
    assert {"ConnectionResetError", "IncompleteRead"} <= met.keys()


def test_eight_hostile_clients_at_once_break_nothing() -> None:
    def run(server: Server, clock: VendorClock) -> list[object]:
        met: list[object] = []
        failures: list[BaseException] = []

        def work(seed: int) -> None:
            try:
                met.extend(served(server, Crowd(seed, clock), 60))
            except BaseException as error:  # noqa: BLE001 - whatever a client meets is the finding
                failures.append(error)

        clients = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
        assert failures == []
        return met

    assert len(on_the_wire(42, run)) == 8 * 60
