"""Posts events to whoever wants to be told when a task ends. Each once, without a retry, as the vendor's bus does."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timezone
from importlib.util import find_spec

from mock_server.core.events import SOURCE, TYPE, event_data, newly_ended
from mock_server.core.model import Task
from mock_server.core.simulator import Simulator

LOOK_S = 0.05
PATIENCE_S = 5
FAREWELL_S = 0.5
"""So long may a stop take that comes while an event is posted."""


def require_events_sdk() -> None:
    """Raises ValueError when the package that makes the events is not installed."""
    if find_spec("cloudevents") is None:
        raise ValueError("event-url needs the CloudEvents SDK: pip install cloudevents")


@contextmanager
def announcing(simulator: Simulator, url: str | None, complain: Callable[[str], None] | None = None) -> Iterator[None]:
    """Post an event to ``url`` for each task that ends while this lasts; nothing when ``url`` is None.

    An event that cannot be delivered is lost, and ``complain`` (a line on standard error) is told. Raises ValueError
    without the SDK.
    """
    if url is None:
        yield
        return
    require_events_sdk()
    is_over = threading.Event()

    told = complain or _complain

    def watch() -> None:
        while not is_over.wait(LOOK_S):
            post_events(simulator, url, told, is_over)
        until_s = time.monotonic() + FAREWELL_S
        post_events(simulator, url, told, until_s=until_s)  # what ended since the last look

    thread = threading.Thread(target=watch, name="facechain-events", daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join(2 * FAREWELL_S)


def _complain(text: str) -> None:
    with suppress(OSError, ValueError):  # nobody reads it any more: no reason to stop posting
        print(text, file=sys.stderr, flush=True)


def post_events(
    simulator: Simulator,
    url: str,
    complain: Callable[[str], None],
    is_over: threading.Event | None = None,
    until_s: float = float("inf"),
) -> None:
    """Post an event for each task that has ended since the last look, until ``is_over``, or that time has come."""
    now_ms = simulator.clock.now_ms()
    for world in simulator.worlds.all():
        for task in newly_ended(world, now_ms):
            if time.monotonic() >= until_s:
                complain(f"facechain-mock: the event of task {task.id}, and any after it, came too late to be posted")
                return
            _post(task, url, complain)
            if is_over is not None and is_over.is_set():
                return


def _post(task: Task, url: str, complain: Callable[[str], None]) -> None:
    import requests
    from cloudevents.core.bindings.http import to_structured_event
    from cloudevents.core.v1.event import CloudEvent
    from requests.adapters import HTTPAdapter

    ended = datetime.fromtimestamp((task.ended_ms or 0) / 1000, timezone.utc)
    attributes = {
        "id": task.request_id,
        "source": SOURCE,
        "type": TYPE,
        "time": ended,
        "datacontenttype": "application/json;charset=utf-8",
    }
    message = to_structured_event(CloudEvent(attributes, event_data(task)))
    request = requests.Request("POST", url, headers=dict(message.headers), data=message.body).prepare()
    adapter = HTTPAdapter()  # a session would read the body of a redirect, however long, and parse where it leads
    try:
        answer = adapter.send(request, stream=True, timeout=PATIENCE_S)
        answer.close()
        if not 200 <= answer.status_code < 300:
            complain(f"facechain-mock: the event of task {task.id} was answered with {answer.status_code}")
    except requests.RequestException as error:
        complain(f"facechain-mock: the event of task {task.id} did not get through: {error}")
    finally:
        adapter.close()
