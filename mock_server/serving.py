"""Runs an app: in the foreground until a signal, or in a thread on a free port."""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from http import HTTPStatus
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn
from uuid import uuid4

from waitress import wasyncore
from waitress.channel import ClientDisconnected, HTTPChannel
from waitress.parser import HTTPRequestParser, ParsingError
from waitress.server import create_server
from waitress.task import ErrorTask, ThreadedTaskDispatcher, WSGITask

from mock_server.core.gateway import SERVER, explanation, worded
from mock_server.core.model import VendorError
from mock_server.web.line import LINE

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication
    from flask import Flask

THREADS = 8
MOST_CONNECTIONS = 2_000
MOST_BODY_BYTES = 64 * 1_048_576
"""What the server reads before it hangs up; the vendor's own limit is checked by the core."""


_NOT_HTTP = (HTTPStatus.BAD_REQUEST, "request_format")
_REFUSALS = {
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: (HTTPStatus.BAD_REQUEST, "too_large"),
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE: (HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "request_format"),
    HTTPStatus.INTERNAL_SERVER_ERROR: (HTTPStatus.INTERNAL_SERVER_ERROR, "internal_error"),
}
"""What is answered in place of the web server's own errors: a status, and a reason in ``contracts/errors.json``."""


class _Parser(HTTPRequestParser):
    """Refuses what the web server's parser trips over: half an IPv6 address, a length of 5,000 digits."""

    def parse_header(self, header_plus: bytes) -> None:
        try:
            super().parse_header(header_plus)
        except ValueError as error:
            raise ParsingError(str(error)) from error


class _VendorErrorTask(ErrorTask):
    """Answers what is not HTTP at all, in the vendor's shape."""

    def execute(self) -> None:
        error = self.request.error
        status, reason = _REFUSALS.get(error.code, _NOT_HTTP)
        request_id = str(uuid4())
        body = json.dumps({**worded(reason, {}), "request_id": request_id}, ensure_ascii=False).encode()
        self.status = f"{status.value} {status.phrase}"
        self.response_headers.extend(
            [
                ("Content-Type", "application/json"),
                ("X-Request-Id", request_id),
                ("X-Mock-Reason", explanation(VendorError(reason, rule="http.request", problem=error.body))),
            ]
        )
        self.set_close_on_finish()
        self.content_length = len(body)
        self.write(body)


class _VendorTask(WSGITask):
    """Sends what the app chose, and is the ``Line`` that the app may make trouble on."""

    def get_environment(self) -> dict[str, Any]:
        environ: dict[str, Any] = super().get_environment()
        environ[LINE] = self
        return environ

    @contextmanager
    def waiting(self) -> Iterator[None]:
        spare: _SpareThreads = self.channel.server.spare
        spare.lend(1)
        try:
            yield
        finally:
            spare.lend(-1)

    def is_gone(self) -> bool:
        return not self.channel.connected

    def drop(self, *, reset: bool) -> NoReturn:
        if reset:
            with suppress(OSError):  # the client may have left first
                self.channel.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raise ClientDisconnected

    def build_response_header(self) -> bytes:
        """The head of the answer. What the app chose goes out as it is when nothing has to be added."""
        headers, wanted = self.response_headers, self.request.headers.get("CONNECTION", "").lower()
        names = {name for name, _ in headers}
        if self.version == "1.1" and wanted != "close" and self.content_length is not None and names >= _COMPLETE:
            lines = "".join([f"{_title(name)}: {value}\r\n" for name, value in headers])
            return f"HTTP/1.1 {self.status}\r\n{lines}\r\n".encode("latin-1")
        header: bytes = super().build_response_header()
        return header.replace(f"Via: {SERVER}\r\n".encode(), b"", 1)


_COMPLETE = {"date", "server"}


@lru_cache(maxsize=256)
def _title(name: str) -> str:
    return name.title()


class _Channel(HTTPChannel):
    parser_class = _Parser
    task_class = _VendorTask
    error_task_class = _VendorErrorTask


class _SpareThreads:
    """Gives each request that waits on purpose a thread of its own, so that it holds up no other one."""

    def __init__(self, dispatcher: ThreadedTaskDispatcher) -> None:
        self._dispatcher = dispatcher
        self._lock = threading.Lock()
        self._waiting = 0
        self.closed = False

    def lend(self, change: int) -> None:
        with self._lock:
            self._waiting += change
            if not self.closed:
                self._dispatcher.set_thread_count(THREADS + min(self._waiting, MOST_CONNECTIONS))

    def close(self) -> None:
        with self._lock:
            self.closed = True


class Server:
    """An app on a port, answering from the moment it is made. ``run`` or ``start`` it, then ``stop`` it."""

    def __init__(self, app: WSGIApplication, host: str = "127.0.0.1", port: int = 0) -> None:
        logging.getLogger("waitress").setLevel(logging.ERROR)  # a full queue and threads that hang are meant here
        self._map: dict[int, Any] = {}
        dispatcher = ThreadedTaskDispatcher()
        try:
            self._server = create_server(
                app,
                map=self._map,
                _dispatcher=dispatcher,
                host=host,
                port=port,
                ipv6=":" in host,  # a name that has addresses of both kinds is served on one of them
                ident=SERVER,
                connection_limit=MOST_CONNECTIONS,
                asyncore_use_poll=True,
                max_request_body_size=MOST_BODY_BYTES,
                channel_request_lookahead=1,  # so that a client's leaving is noticed while it waits
                clear_untrusted_proxy_headers=False,
            )
        except OSError as error:
            wasyncore.close_all(self._map)
            why = f"cannot listen on {host} port {port}: {error.strerror or error}"
            raise OSError(error.errno, f"{why}; choose another with --port, or 0 for a free one") from error
        except ValueError as error:
            raise ValueError(f"host is {host!r}, which is no address or name of this machine") from error
        dispatcher.set_thread_count(THREADS)
        self._server.channel_class = _Channel
        self._server.spare = self._spare = _SpareThreads(self._server.task_dispatcher)
        self._thread: threading.Thread | None = None
        self._has_begun = False
        self._stopping = False
        self._waking = threading.RLock()
        """Held while the trigger is pulled and while it is closed, which must not meet: its number may be reused."""
        self.host = host
        self.port = int(self._server.effective_port)

    @property
    def url(self) -> str:
        """Scheme, host and port, without a slash at the end."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    def waker(self) -> int:
        """The descriptor that ends the server's wait when a byte is written to it."""
        descriptor: int = self._server.trigger.trigger
        os.set_blocking(descriptor, False)
        return descriptor

    def run(self) -> None:
        """Serve in this thread until ``stop``."""
        self._has_begun = True
        while not self._stopping:
            wasyncore.loop(map=self._map, use_poll=True, count=1)
        self._close()

    def _close(self) -> None:
        wasyncore.dispatcher.close(self._server)  # the port alone; its own ``close`` would close the trigger too
        for channel in list(self._server.active_channels.values()):
            channel.close()
        self._spare.close()
        self._server.task_dispatcher.shutdown(timeout=0.1)
        with self._waking:
            wasyncore.close_all(self._map)

    def start(self) -> None:
        """Serve in a thread of its own until ``stop``."""
        self._has_begun = True
        self._thread = threading.Thread(target=self.run, name=SERVER, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Close the port and every connection. Safe from any thread, from a signal handler, and once more."""
        self._stopping = True
        if not self._has_begun:
            self._has_begun = True
            self._close()
            return
        with self._waking:
            if self._map:  # not closed yet
                self._server.trigger.pull_trigger()
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
        signal.set_wakeup_fd(-1)
        server.stop()

    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, stop)
    signal.set_wakeup_fd(server.waker())  # else a signal that comes just before the wait would end it 30 s later
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
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise OSError(error.errno, f"cannot write the ready-file {path}: {error.strerror}") from error
    with open(descriptor, "w", encoding="utf-8") as file:
        json.dump(ready, file)
    draft.replace(path)
