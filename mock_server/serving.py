"""Runs an app: in the foreground until a signal, or in a thread on a free port."""

from __future__ import annotations

import json
import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any
from wsgiref.types import WSGIApplication

from waitress import wasyncore
from waitress.channel import HTTPChannel
from waitress.server import create_server
from waitress.task import ErrorTask, WSGITask

from mock_server.core.gateway import SERVER

if TYPE_CHECKING:
    from flask import Flask

THREADS = 8
MOST_CONNECTIONS = 2_000
MOST_BODY_BYTES = 64 * 1_048_576
"""What the server reads before it hangs up; the vendor's own limit is checked by the core."""


class _VendorErrorTask(ErrorTask):
    """Answers what is not HTTP at all, in the vendor's shape."""

    def execute(self) -> None:
        error = self.request.error
        body = json.dumps({"code": "InvalidParameter", "message": error.reason, "request_id": ""}).encode()
        self.status = f"{error.code} {error.reason}"
        self.response_headers.extend(
            [("Content-Type", "application/json"), ("X-Mock-Reason", f"http.request: {error.body}"[:200])]
        )
        self.set_close_on_finish()
        self.content_length = len(body)
        self.write(body)


class _VendorTask(WSGITask):
    """Sends what the app chose, without the header that would call the app's server a proxy."""

    def build_response_header(self) -> bytes:
        header: bytes = super().build_response_header()
        return header.replace(f"Via: {SERVER}\r\n".encode(), b"", 1)


class _Channel(HTTPChannel):
    task_class = _VendorTask
    error_task_class = _VendorErrorTask


class Server:
    """An app on a port, answering from the moment it is made. ``run`` or ``start`` it, then ``stop`` it."""

    def __init__(self, app: WSGIApplication, host: str = "127.0.0.1", port: int = 0) -> None:
        logging.getLogger("waitress.queue").setLevel(logging.ERROR)
        self._map: dict[int, Any] = {}
        self._server = create_server(
            app,
            map=self._map,
            host=host,
            port=port,
            threads=THREADS,
            ident=SERVER,
            connection_limit=MOST_CONNECTIONS,
            asyncore_use_poll=True,
            max_request_body_size=MOST_BODY_BYTES,
            clear_untrusted_proxy_headers=False,
        )
        self._server.channel_class = _Channel
        self._thread: threading.Thread | None = None
        self.host = host
        self.port = int(self._server.effective_port)

    @property
    def url(self) -> str:
        """Scheme, host and port, without a slash at the end."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    def run(self) -> None:
        """Serve in this thread until ``stop``."""
        wasyncore.loop(map=self._map, use_poll=True)
        self._server.task_dispatcher.shutdown(timeout=0.1)

    def start(self) -> None:
        """Serve in a thread of its own until ``stop``."""
        self._thread = threading.Thread(target=self.run, name=SERVER, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Close the port and every connection. Safe from any thread and from a signal handler."""
        self._server.trigger.pull_trigger(lambda: wasyncore.close_all(self._map))
        if self._thread is not None:
            self._thread.join()
            self._thread = None


@contextmanager
def running(app: WSGIApplication, host: str = "127.0.0.1", port: int = 0) -> Iterator[Server]:
    """The app on a port (a free one when 0) in a thread, for the length of a ``with`` block."""
    server = Server(app, host, port)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def serve(app: Flask, host: str, port: int, announce: Callable[[Server], None]) -> None:
    """Serve in the foreground until Ctrl-C or SIGTERM; ``announce`` is called once the port answers.

    Raises OSError when the port cannot be had.
    """
    server = Server(app, host, port)

    def stop(_signal: int, _frame: FrameType | None) -> None:
        server.stop()

    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, stop)
    announce(server)
    server.run()


def write_ready_file(path: str, server: Server, admin_token: str) -> None:
    """Tell another program where the server is: JSON, written whole or not at all, readable by its owner."""
    ready = {
        "base_url": f"{server.url}/api/v1",
        "admin_url": f"{server.url}/__admin",
        "admin_token": admin_token,
        "pid": os.getpid(),
    }
    draft = Path(f"{path}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:
        json.dump(ready, file)
    draft.replace(path)
