"""The door for ``aiohttp``: connections to the vendor's hosts end here, in memory, under the library's own parser."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any
from unittest import mock

import aiohttp
from aiohttp.connector import TCPConnector

from facechain_testkit.doors import Handler, is_vendor_host, plain_request, reply_headers
from mock_server.core.model import Reply, Wire
from mock_server.core.ports import Clock


@contextmanager
def aiohttp_door(handler: Handler, clock: Clock) -> Iterator[None]:
    """Answer ``aiohttp`` sessions for the vendor's hosts as long as this lasts."""
    connect = TCPConnector._create_connection
    opened: list[_Line] = []

    async def create_connection(connector: Any, request: Any, traces: Any, timeout: aiohttp.ClientTimeout) -> Any:
        if not is_vendor_host(request.url.host):
            return await connect(connector, request, traces, timeout)
        protocol = connector._factory()
        line = _Line(protocol, str(request.url.origin()), handler, clock, timeout)
        opened.append(line)
        protocol.connection_made(line)
        return protocol

    with mock.patch.object(TCPConnector, "_create_connection", create_connection):
        try:
            yield
        finally:
            for line in opened:
                line.forget()


class _Line(asyncio.Transport):
    """A connection whose far end is the vendor: takes a request's bytes, gives a reply's bytes."""

    def __init__(
        self, protocol: Any, origin: str, handler: Handler, clock: Clock, timeout: aiohttp.ClientTimeout
    ) -> None:
        super().__init__()
        self._protocol = protocol
        self._origin = origin
        self._handler = handler
        self._clock = clock
        self._timeout = timeout
        self._received = bytearray()
        self._closing = False
        self._loop = asyncio.get_running_loop()

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        self._received += data
        parsed = _request_in(bytes(self._received))
        if parsed is not None:
            self._received.clear()
            self._loop.call_soon(self._answer, *parsed)

    def is_closing(self) -> bool:
        return self._closing

    def close(self) -> None:
        self._end(None)

    def abort(self) -> None:
        self._end(None)

    def forget(self) -> None:
        """Close without a word to a loop that may have ended."""
        self._closing = True

    def pause_reading(self) -> None:
        """A reply comes in one piece, so there is nothing to pause."""

    def resume_reading(self) -> None:
        """As ``pause_reading``."""

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return ("127.0.0.1", 443) if name in ("peername", "sockname") else default

    def _end(self, error: Exception | None) -> None:
        if not self._closing:
            self._closing = True
            self._loop.call_soon(self._protocol.connection_lost, error)

    def _answer(self, method: str, target: str, headers: list[tuple[str, str]], body: bytes) -> None:
        if self._closing:
            return
        reply = self._handler(plain_request(method, self._origin + target, headers, body))
        whole = _head(reply) + (b"" if method == "HEAD" else reply.body)
        if reply.wire is None:
            self._protocol.data_received(whole)
        else:
            self._trouble(reply, reply.wire, whole)

    def _trouble(self, reply: Reply, wire: Wire, whole: bytes) -> None:
        """Send what gets through; waiting moves the clock."""
        held_ms = max(wire.delay_ms, wire.pause_ms if wire.kind == "dribble" else 0)
        limits = {"sock_read": self._timeout.sock_read, "total": self._timeout.total}
        given = {name: limit for name, limit in limits.items() if limit}
        first = min(given, key=lambda name: given[name], default=None)
        if wire.kind == "hang" or (first is not None and held_ms > given[first] * 1000):
            self._clock.advance(given.get(first or "", 0))
            late = aiohttp.SocketTimeoutError("Timeout on reading data from socket")
            self._protocol.set_exception(late if first == "sock_read" else asyncio.TimeoutError())
            return
        self._clock.advance(wire.delay_ms / 1000)
        if wire.kind == "reset":
            self._end(ConnectionResetError(104, "Connection reset by peer"))
        elif wire.kind == "empty":
            self._end(None)
        elif wire.kind == "cut":
            self._protocol.data_received(_head(reply) + reply.body[: wire.bytes])
            self._end(None)
        else:
            if wire.kind == "dribble":
                self._clock.advance(wire.pause_ms * -(-len(reply.body) // max(wire.bytes, 1)) / 1000)
            self._protocol.data_received(whole)


def _head(reply: Reply) -> bytes:
    lines = [f"HTTP/1.1 {reply.status} {HTTPStatus(reply.status).phrase}"]
    lines += [f"{name}: {value}" for name, value in reply_headers(reply)]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def _request_in(data: bytes) -> tuple[str, str, list[tuple[str, str]], bytes] | None:
    """Method, target, headers and body of a request that has come in whole, else None."""
    head, blank, rest = data.partition(b"\r\n\r\n")
    if not blank:
        return None
    first, *lines = head.decode("latin-1").split("\r\n")
    method, target, _ = first.split(" ", 2)
    headers = [(name.strip(), value.strip()) for name, _, value in (line.partition(":") for line in lines)]
    named = {name.lower(): value for name, value in headers}
    if named.get("transfer-encoding", "").lower() == "chunked":
        body = _unchunked(rest)
    else:
        length = int(named.get("content-length", 0))
        body = rest[:length] if len(rest) >= length else None
    return None if body is None else (method, target, headers, body)


def _unchunked(rest: bytes) -> bytes | None:
    body = b""
    while True:
        size, line_end, rest = rest.partition(b"\r\n")
        if not line_end:
            return None
        length = int(size.split(b";")[0], 16)
        if length == 0:
            return body
        if len(rest) < length + 2:
            return None
        body, rest = body + rest[:length], rest[length + 2 :]
