"""A receiver of events on a port of this machine, for tests."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cloudevents.core.base import BaseCloudEvent
from cloudevents.core.bindings.http import HTTPMessage, from_http_event

DEADLINE_S = 20
"""So long is waited for what comes within milliseconds, before the test fails."""


class Receiver:
    """Somebody who wants to be told, on a port of this machine. ``answer`` says how it answers each request."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str, HTTPMessage]] = []
        self.answer: Callable[[BaseHTTPRequestHandler], None] = lambda handler: answer_with(handler, 200)
        self._arrived = threading.Condition()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                with receiver._arrived:
                    receiver.requests.append((self.command, self.path, HTTPMessage(dict(self.headers), body)))
                    receiver._arrived.notify_all()
                receiver.answer(self)

            do_GET = do_POST

            def log_message(self, format: str, *args: object) -> None:
                """Nobody reads it."""

        class Server(ThreadingHTTPServer):
            def handle_error(self, request: object, client_address: object) -> None:
                """A line that the other side closed is no news."""

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/events?from=mock"

    def wait_for(self, number: int) -> list[BaseCloudEvent]:
        """The events, once so many have come."""
        with self._arrived:
            assert self._arrived.wait_for(lambda: len(self.requests) >= number, DEADLINE_S)
        return self.events

    @property
    def events(self) -> list[BaseCloudEvent]:
        return [from_http_event(message) for _, _, message in self.requests]

    @property
    def told(self) -> list[str]:
        """The ids of the tasks that were told of."""
        return [task_of(event) for event in self.events]


def task_of(event: BaseCloudEvent) -> str:
    data: Any = event.get_data()
    return str(data["task_id"])


def answer_with(handler: BaseHTTPRequestHandler, status: int, **headers: str) -> None:
    """An answer without a body."""
    handler.send_response(status)
    for name, value in {"Content-Length": "0", **headers}.items():
        handler.send_header(name, value)
    handler.end_headers()


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver that answers each event with 200, until told otherwise."""
    found = Receiver()
    thread = threading.Thread(target=found.server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield found
    finally:
        found.server.shutdown()
        found.server.server_close()
        thread.join()
