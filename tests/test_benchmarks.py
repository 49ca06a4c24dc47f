"""The pieces of the benchmarks count and reckon as they say; how fast anything is, nobody asks here."""

from __future__ import annotations

import json
import socket
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from benchmarks.bare_app import create_bare_app
from benchmarks.load import Connection, drive
from benchmarks.messages import KEY, SUBMIT_PATH, polls, submission, submissions
from benchmarks.processes import Process
from benchmarks.run import PICTURES, RUNNING, poll_ratios, too_costly
from benchmarks.table import Figure, table
from mock_server.app import create_app
from mock_server.serving import running
from mock_server.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from wsgiref.types import StartResponse, WSGIEnvironment

    from flask import Flask


def test_the_load_sends_its_requests_in_turn_and_counts_every_answer() -> None:
    seen: Counter[str] = Counter()

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        seen[environ["PATH_INFO"]] += 1
        start_response("200 OK" if environ["PATH_INFO"].endswith("/a") else "404 Not Found", [("Content-Length", "2")])
        return [b"ok"]

    requests = [request.encode() for request in polls("a") + polls("b")]
    with running(app) as server:
        tally = drive(server.port, requests, connections=3, seconds=5, most=41)
    assert seen == {"/api/v1/tasks/a": 21, "/api/v1/tasks/b": 20}
    assert tally.statuses == {"200": 21, "404": 20}
    assert tally.answered == 41
    assert 0 < tally.p50_ms <= tally.p99_ms


def test_the_load_ends_when_its_time_is_over() -> None:
    with running(create_bare_app()) as server:
        tally = drive(server.port, [polls("a")[0].encode()], connections=2, seconds=0, most=1_000)
    assert tally.answered == 2


def test_an_answer_counts_when_it_is_whole() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        connection = Connection(ours)
        found = []
        for part in (b"HTTP/1.1 200 OK\r\ncontent-le", b"ngth: 3\r\n\r\n", b"ab", b"c"):
            theirs.sendall(part)
            found.append(connection.answer())
    assert found == [None, None, None, b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc"]


def test_a_lost_connection_is_no_answer() -> None:
    ours, theirs = socket.socketpair()
    with ours:
        theirs.close()
        with pytest.raises(ConnectionError, match="closed"):
            Connection(ours).answer()


def test_a_process_of_the_benchmark_gives_its_output_and_is_gone() -> None:
    with Process("-c", "print(input())", stdin="hello") as process:
        assert process.output(timeout_s=30) == "hello\n"
    with Process("-c", "import time; time.sleep(600)") as process:
        pass
    assert process.ended


def test_no_two_submissions_are_alike() -> None:
    assert len(set(submissions(100))) == 100


def create_our_app() -> Flask:
    return create_app(Settings(limits="off", api_key={KEY: ""}))


@pytest.mark.parametrize("create", [create_bare_app, create_our_app])
def test_both_servers_take_what_the_loads_send(create: Callable[[], Flask]) -> None:
    client = create().test_client()
    headers = {"Authorization": f"Bearer {KEY}", "X-DashScope-Async": "enable"}
    submitted = client.post(SUBMIT_PATH, json=submission(1), headers=headers)
    assert submitted.status_code == 200
    task_id = submitted.get_json()["output"]["task_id"]
    assert client.get(f"/api/v1/tasks/{task_id}", headers=headers).get_json()["output"]["task_id"] == task_id


def test_a_ratio_is_taken_within_a_round() -> None:
    figure = Figure("poll", "us", ours=[300, 200, 800], bare=[100, 200, 400], goal=2)
    assert figure.ratios == [3, 1, 2]
    assert (figure.judged, figure.verdict) == (2, "ok")


@pytest.mark.parametrize(("value", "verdict"), [(399, "ok"), (400, "ok"), (401, "NOT MET")])
def test_a_figure_without_yardstick_is_judged_by_itself(value: float, verdict: str) -> None:
    assert Figure("boot", "ms", ours=[value], goal=400).verdict == verdict


def test_the_table_shows_medians_spreads_and_verdicts() -> None:
    figures = [
        Figure("poll", "us", ours=[300, 400, 800], bare=[200, 200, 200], goal=1.5, per_second=True),
        Figure("stop", "ms", ours=[50], goal=200),
        Figure("p50", "ms", ours=[1.5], bare=[1.0]),
    ]
    assert table(figures) == (
        "| figure | ours    | bare Flask | ratio (min-max)  | goal      |         |\n"
        "|--------|---------|------------|------------------|-----------|---------|\n"
        "| poll   | 2,500/s | 5,000/s    | 2.00 (1.50-4.00) | <= 1.5x   | NOT MET |\n"
        "| stop   | 50.0 ms | -          |                  | <= 200 ms | ok      |\n"
        "| p50    | 1.5 ms  | 1.0 ms     | 1.50 (1.50-1.50) |           |         |"
    )


def test_a_figure_in_json_keeps_its_spread() -> None:
    shown = json.loads(json.dumps(Figure("poll", "us", ours=[1, 2, 6], bare=[1, 1, 2], goal=1.5).as_json()))
    assert shown["ratio"] == {"median": 2, "min": 1, "max": 3, "rounds": 3}
    assert (shown["goal"], shown["verdict"]) == (1.5, "NOT MET")


def test_a_poll_is_compared_by_its_cpu_where_that_is_known() -> None:
    figures = [
        Figure(RUNNING, "us", ours=[3], bare=[1]),
        Figure(f"{RUNNING}: CPU", "us", ours=[2], bare=[1]),
        Figure(PICTURES, "us", ours=[4], bare=[1]),
    ]
    assert poll_ratios(figures) == {RUNNING: 2, PICTURES: 4}


def test_a_poll_is_too_costly_at_more_than_twice_what_was_recorded() -> None:
    assert too_costly({RUNNING: 3.0, PICTURES: 2.0}, {RUNNING: 1.5, PICTURES: 1.0}) == []
    (problem,) = too_costly({RUNNING: 3.1, PICTURES: 2.0}, {RUNNING: 1.5, PICTURES: 1.0})
    assert RUNNING in problem
