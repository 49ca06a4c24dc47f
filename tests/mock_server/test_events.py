"""The event for each portrait that ends, as a receiver of one's own gets it, and what a bad receiver cannot do."""

from __future__ import annotations

import io
import socket
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler
from typing import Any
from unittest import mock

import pytest

from mock_server import events
from mock_server.clock import VendorClock
from mock_server.core.simulator import Simulator
from mock_server.events import announcing, post_events
from mock_server.web.wire import SIMULATOR
from tests.conftest import HELD, HELD_PENDING, IMMEDIATE, PRESET, START_MS, Vendor
from tests.receiver import DEADLINE_S, Receiver, answer_with, receiving

FAILED = {"progression": "immediate", "outcome": {"error": "image_resolution"}}


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A receiver that takes every event."""
    with receiving() as found:
        yield found


@pytest.fixture
def telling(receiver: Receiver) -> Vendor:
    """A vendor that tells the receiver, whenever ``post_events`` looks."""
    return Vendor(limits="off", event_url=receiver.url)


def simulator_of(vendor: Vendor) -> Simulator:
    found: Simulator = vendor.app.extensions[SIMULATOR]
    return found


def look(vendor: Vendor, receiver: Receiver) -> list[str]:
    """Post what there is to post; gives the complaints."""
    complaints: list[str] = []
    post_events(simulator_of(vendor), receiver.url, complaints.append)
    return complaints


# -- what is told -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("plan", "status"), [(IMMEDIATE, "SUCCEEDED"), (FAILED, "FAILED")])
def test_the_end_of_a_task_is_one_event_with_all_that_the_vendor_tells(
    telling: Vendor, receiver: Receiver, plan: dict[str, Any], status: str
) -> None:
    telling.later(1_234)
    answer = telling.submit(PRESET, plan=plan)
    task, request_id = answer.get_json()["output"]["task_id"], answer.get_json()["request_id"]
    assert look(telling, receiver) == []
    ((method, path, message),) = receiver.requests
    assert (method, path) == ("POST", "/events?from=mock")
    assert message.headers["content-type" if "content-type" in message.headers else "Content-Type"].startswith(
        "application/cloudevents+json"
    )
    (event,) = receiver.events
    assert event.get_specversion() == "1.0"
    assert event.get_id() == request_id
    assert event.get_source() == "acs.dashscope"
    assert event.get_type() == "dashscope:System:AsyncTaskFinish"
    assert event.get_time() == datetime.fromtimestamp((START_MS + 1_234) / 1000, timezone.utc)
    data: Any = event.get_data()
    key = telling.list().get_json()["data"][0]["api_key_id"]
    assert data == {
        "task_id": task,
        "task_status": status,
        "request_id": request_id,
        "start_time": "2026-01-15 10:30:01",
        "end_time": "2026-01-15 10:30:01",
        "user_api_unique_key": "apikey:v1:aigc:album:gen_potrait:facechain-generation",
        "contain_result": status == "SUCCEEDED",
        "region": "cn-beijing",
        "api_key_id": key,
    }


def test_a_task_that_was_cancelled_is_not_told_of(telling: Vendor, receiver: Receiver) -> None:
    task = telling.submitted(plan=HELD_PENDING)
    assert telling.cancel(task).status_code == 200
    telling.submitted(plan={"progression": "immediate", "outcome": {"status": "CANCELED"}})
    telling.later(10_000_000)
    assert look(telling, receiver) == []
    assert receiver.requests == []


def test_a_task_that_has_not_ended_is_told_of_once_it_has(telling: Vendor, receiver: Receiver) -> None:
    task = telling.submitted(plan=HELD)
    assert look(telling, receiver) == []
    assert receiver.requests == []
    telling.admin("POST", f"tasks/{task}/release")
    telling.later(10_000)
    for _ in range(3):
        assert look(telling, receiver) == []
    assert receiver.told == [task]


def test_a_task_that_nobody_asks_for_is_told_of_all_the_same(telling: Vendor, receiver: Receiver) -> None:
    task = telling.submitted()
    telling.later(10_000)
    look(telling, receiver)
    assert receiver.told == [task]


def test_a_task_that_the_vendor_gave_up_is_told_of(telling: Vendor, receiver: Receiver) -> None:
    task = telling.submitted(plan={"progression": "time", "running_ms": 4 * 3_600_000})
    telling.later(3 * 3_600_000)
    look(telling, receiver)
    assert receiver.told == [task]


def test_tasks_that_wait_for_each_other_are_told_of_in_their_order(receiver: Receiver) -> None:
    vendor = Vendor(event_url=receiver.url)
    tasks = [vendor.submitted() for _ in range(2)]
    vendor.later(1_000)
    tasks.append(vendor.submitted())
    vendor.later(100_000)
    look(vendor, receiver)
    assert receiver.told == tasks


def test_the_tasks_of_every_account_and_session_are_told_of(telling: Vendor, receiver: Receiver) -> None:
    tasks = [
        telling.submitted(plan=IMMEDIATE),
        telling.submitted(plan=IMMEDIATE, key="sk-other"),
        telling.of_session("one").submitted(plan=IMMEDIATE),
        telling.of_session("two").submitted(plan=IMMEDIATE),
    ]
    look(telling, receiver)
    assert sorted(receiver.told) == sorted(tasks)
    assert len({event.get_id() for event in receiver.events}) == 4


def test_a_task_that_was_forgotten_is_not_told_of(telling: Vendor, receiver: Receiver) -> None:
    telling.submitted(plan=IMMEDIATE)
    telling.of_session("one").submitted(plan=IMMEDIATE)
    telling.admin("POST", "reset/tasks")
    telling.of_session("one").admin("POST", "reset")
    look(telling, receiver)
    assert receiver.requests == []


def test_trainings_detections_and_files_are_not_told_of(telling: Vendor, receiver: Receiver) -> None:
    job = {"model": "facechain-finetune", "training_file_ids": ["https://a.example/me.jpg"]}
    faces = {"model": "facechain-facedetect", "input": {"images": ["https://a.example/me.jpg"]}}
    for path, body in (("fine-tunes", job), ("services/vision/facedetection/detect", faces)):
        headers = {"X-DashScope-Async": None}
        assert telling.vendor_call("POST", f"/api/v1/{path}", json=body, headers=headers).status_code == 200
    telling.later(10_000_000)
    look(telling, receiver)
    assert receiver.requests == []


def test_a_refused_submission_is_not_told_of(telling: Vendor, receiver: Receiver) -> None:
    assert telling.submit({**PRESET, "parameters": {"style": "none"}}).status_code == 400
    look(telling, receiver)
    assert receiver.requests == []


# -- once -------------------------------------------------------------------------------------------------------------


def test_no_task_is_told_of_twice_however_many_look_at_the_same_time(telling: Vendor, receiver: Receiver) -> None:
    tasks = [telling.submitted(plan=IMMEDIATE) for _ in range(30)]
    together = threading.Barrier(8)

    def watch() -> list[str]:
        together.wait(DEADLINE_S)
        return look(telling, receiver)

    with ThreadPoolExecutor(8) as pool:
        looks = [pool.submit(watch) for _ in range(8)]
        assert [each.result() for each in looks] == [[]] * 8
    assert sorted(receiver.told) == sorted(tasks)


def test_what_was_told_is_not_told_again_after_a_query(telling: Vendor, receiver: Receiver) -> None:
    task = telling.submitted(plan=IMMEDIATE)
    for _ in range(3):
        look(telling, receiver)
        assert telling.status(task) == "SUCCEEDED"
        telling.later(1_000)
    assert receiver.told == [task]


def test_what_a_query_saw_first_is_told_all_the_same(telling: Vendor, receiver: Receiver) -> None:
    task = telling.submitted(plan=IMMEDIATE)
    assert telling.status(task) == "SUCCEEDED"
    look(telling, receiver)
    assert receiver.told == [task]


# -- somebody who watches ---------------------------------------------------------------------------------------------


def test_a_watcher_tells_of_tasks_while_it_lasts(telling: Vendor, receiver: Receiver) -> None:
    complaints: list[str] = []
    with announcing(simulator_of(telling), receiver.url, complaints.append):
        task = telling.submitted(plan=IMMEDIATE)
        receiver.wait_for(1)
        later = telling.submitted()
        telling.later(10_000)
        receiver.wait_for(2)
    assert receiver.told == [task, later]
    assert complaints == []
    telling.submitted(plan=IMMEDIATE)
    assert [thread.name for thread in threading.enumerate() if thread.name == "facechain-events"] == []
    assert len(receiver.requests) == 2


def test_two_watchers_tell_of_a_task_once(telling: Vendor, receiver: Receiver) -> None:
    simulator = simulator_of(telling)
    with announcing(simulator, receiver.url), announcing(simulator, receiver.url):
        tasks = [telling.submitted(plan=IMMEDIATE) for _ in range(20)]
        receiver.wait_for(20)
    assert sorted(receiver.told) == sorted(tasks)


def test_a_clock_that_runs_is_enough(receiver: Receiver) -> None:
    vendor = Vendor(limits="off", event_url=receiver.url)
    simulator = simulator_of(vendor)
    simulator.clock = VendorClock(START_MS, factor=1_000)
    with announcing(simulator, receiver.url):
        task = vendor.submitted()
        receiver.wait_for(1)
    assert receiver.told == [task]


def test_without_a_url_nobody_watches_and_nothing_is_kept_for_it(vendor: Vendor) -> None:
    with announcing(simulator_of(vendor), None):
        vendor.submitted(plan=IMMEDIATE)
        assert "facechain-events" not in {thread.name for thread in threading.enumerate()}
    world = simulator_of(vendor).worlds.open("")
    assert [world.change(name, lambda account: account.unannounced) for name in world.accounts()] == [{}]


def test_without_its_package_it_is_said_how_to_get_it(vendor: Vendor) -> None:
    with (
        mock.patch.object(events, "find_spec", return_value=None),
        pytest.raises(ValueError, match=r"needs the CloudEvents SDK: pip install cloudevents"),
        announcing(simulator_of(vendor), "http://127.0.0.1:9/"),
    ):
        pass


# -- receivers that are no good ---------------------------------------------------------------------------------------


def test_a_receiver_that_is_down_gets_one_complaint_a_task_and_no_second_try(
    telling: Vendor, receiver: Receiver
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        receiver.url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
    task = telling.submitted(plan=IMMEDIATE)
    (complaint,) = look(telling, receiver)
    assert complaint.startswith(f"facechain-mock: the event of task {task} did not get through: ")
    assert "\n" not in complaint
    assert look(telling, receiver) == []
    assert telling.status(task) == "SUCCEEDED"


@pytest.mark.parametrize("status", [300, 301, 302, 303, 307, 308, 400, 401, 404, 429, 500, 503])
def test_an_answer_that_is_no_yes_gets_one_complaint_and_is_not_followed(
    telling: Vendor, receiver: Receiver, status: int
) -> None:
    receiver.answer = lambda handler: answer_with(handler, status, Location=receiver.url.replace("events", "elsewhere"))
    task = telling.submitted(plan=IMMEDIATE)
    assert look(telling, receiver) == [f"facechain-mock: the event of task {task} was answered with {status}"]
    assert look(telling, receiver) == []
    assert [path for _, path, _ in receiver.requests] == ["/events?from=mock"]
    assert telling.status(task) == "SUCCEEDED"


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_any_yes_will_do(telling: Vendor, receiver: Receiver, status: int) -> None:
    receiver.answer = lambda handler: answer_with(handler, status)
    telling.submitted(plan=IMMEDIATE)
    assert look(telling, receiver) == []


def test_a_receiver_that_never_answers_holds_up_no_client(
    telling: Vendor, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "PATIENCE_S", 0.2)
    may_go = threading.Event()
    receiver.answer = lambda _handler: _wait(may_go)
    complaints: list[str] = []
    complained = threading.Event()

    def complain(text: str) -> None:
        complaints.append(text)
        complained.set()

    with announcing(simulator_of(telling), receiver.url, complain):
        first = telling.submitted(plan=IMMEDIATE)
        receiver.wait_for(1)
        second = telling.submitted(plan=IMMEDIATE)
        assert [telling.status(task) for task in (first, second)] == ["SUCCEEDED"] * 2
        receiver.wait_for(2)
        assert complained.wait(DEADLINE_S)
    may_go.set()
    assert complaints[0].startswith(f"facechain-mock: the event of task {first} did not get through: ")
    assert receiver.told == [first, second]


def _wait(may_go: threading.Event) -> None:
    may_go.wait(DEADLINE_S)


@pytest.mark.parametrize("place", ["http://[bad", "//", "http://127.0.0.1:0/", "\\"])
def test_a_redirect_to_nowhere_stops_no_event(telling: Vendor, receiver: Receiver, place: str) -> None:
    receiver.answer = lambda handler: answer_with(handler, 302, Location=place)
    tasks = [telling.submitted(plan=IMMEDIATE) for _ in range(2)]
    assert len(look(telling, receiver)) == 2
    assert receiver.told == tasks


@pytest.mark.parametrize("status", [200, 302])
def test_an_answer_without_end_is_not_read(telling: Vendor, receiver: Receiver, status: int) -> None:
    has_left = threading.Event()

    def pour(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        handler.end_headers()
        try:
            while True:
                handler.wfile.write(b"x" * 65_536)
        except OSError:
            has_left.set()

    receiver.answer = pour
    telling.submitted(plan=IMMEDIATE)
    assert len(look(telling, receiver)) == (status == 302)
    assert has_left.wait(DEADLINE_S)


@pytest.mark.parametrize("answer", [b"", b"no HTTP\r\n\r\n", b"HTTP/1.1 200 OK\r\nX-A: " + b"a" * 100_000])
def test_an_answer_that_is_none_gets_one_complaint(telling: Vendor, receiver: Receiver, answer: bytes) -> None:
    def send(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(answer)
        handler.close_connection = True

    receiver.answer = send
    telling.submitted(plan=IMMEDIATE)
    (complaint,) = look(telling, receiver)
    assert "did not get through" in complaint
    assert "\n" not in complaint


def test_a_proxy_of_this_machine_is_not_asked(
    telling: Vendor, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://192.0.2.1:1")
    monkeypatch.setenv("no_proxy", "")
    task = telling.submitted(plan=IMMEDIATE)
    assert look(telling, receiver) == []
    assert receiver.told == [task]


def test_a_complaint_is_a_line_on_standard_error(
    telling: Vendor, receiver: Receiver, capsys: pytest.CaptureFixture[str]
) -> None:
    receiver.answer = lambda handler: answer_with(handler, 500)
    with announcing(simulator_of(telling), receiver.url):
        task = telling.submitted(plan=IMMEDIATE)
        receiver.wait_for(1)
    assert capsys.readouterr().err == f"facechain-mock: the event of task {task} was answered with 500\n"


@contextmanager
def nobody_reading() -> Iterator[None]:
    closed = io.StringIO()
    closed.close()
    with mock.patch.object(sys, "stderr", closed):
        yield


def test_a_complaint_that_nobody_reads_stops_nothing(telling: Vendor, receiver: Receiver) -> None:
    receiver.answer = lambda handler: answer_with(handler, 500)
    with nobody_reading(), announcing(simulator_of(telling), receiver.url):
        for number in range(3):
            telling.submitted(plan=IMMEDIATE)
            receiver.wait_for(number + 1)
    assert len(receiver.requests) == 3


def test_no_key_is_told_to_the_receiver(telling: Vendor, receiver: Receiver) -> None:
    telling.submitted(plan=IMMEDIATE, key="sk-0123456789abcdef")
    look(telling, receiver)
    ((_, _, message),) = receiver.requests
    assert "sk-0123456789abcdef" not in str(message.headers) + message.body.decode()
    assert "Authorization" not in message.headers
