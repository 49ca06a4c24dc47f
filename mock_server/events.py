"""Posts events to whoever wants to be told when a task ends. Each once, without a retry, as the vendor's bus does."""

from __future__ import annotations

import sys
import threading
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

    def watch() -> None:
        while not is_over.wait(LOOK_S):
            post_events(simulator, url, complain or _complain)
        post_events(simulator, url, complain or _complain)  # what ended since the last look

    thread = threading.Thread(target=watch, name="facechain-events", daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join(FAREWELL_S)


def _complain(text: str) -> None:
    with suppress(OSError, ValueError):  # nobody reads it any more: no reason to stop posting
        print(text, file=sys.stderr, flush=True)


def post_events(simulator: Simulator, url: str, complain: Callable[[str], None]) -> None:
    """Post an event for each task that has ended since the last look."""
    now_ms = simulator.clock.now_ms()
    for world in simulator.worlds.all():
        for task in newly_ended(world, now_ms):
            _post(task, url, complain)


def _post(task: Task, url: str, complain: Callable[[str], None]) -> None:
    import requests
    from cloudevents.core.bindings.http import to_structured_event
    from cloudevents.core.v1.event import CloudEvent

    ended = datetime.fromtimestamp((task.ended_ms or 0) / 1000, timezone.utc)
    attributes = {
        "id": task.request_id,
        "source": SOURCE,
        "type": TYPE,
        "time": ended,
        "datacontenttype": "application/json;charset=utf-8",
    }
    message = to_structured_event(CloudEvent(attributes, event_data(task)))
    try:
        with requests.Session() as session:
            session.trust_env = False
            answer = session.post(
                url, data=message.body, headers=message.headers, timeout=PATIENCE_S, allow_redirects=False, stream=True
            )  # its body, perhaps an endless one, is not read
        if not 200 <= answer.status_code < 300:
            complain(f"facechain-mock: the event of task {task.id} was answered with {answer.status_code}")
    except requests.RequestException as error:
        complain(f"facechain-mock: the event of task {task.id} did not get through: {error}")
