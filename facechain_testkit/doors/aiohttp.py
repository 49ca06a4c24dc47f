"""The door for ``aiohttp``: connections to the vendor's hosts end here, in memory, under the library's own parser."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from unittest import mock

import aiohttp
from aiohttp.connector import TCPConnector

from facechain_testkit.doors import Handler, is_vendor_host, pieces, plain_request, reply_headers, wait_for_head
from mock_server.core.model import Reply, Wire
from mock_server.core.ports import Clock


@contextmanager
def aiohttp_door(handler: Handler, clock: Clock) -> Iterator[None]:
    """Answer ``aiohttp`` sessions for the vendor's hosts as long as this lasts."""
    connect = TCPConnector._create_connection

    async def create_connection(connector: Any, request: Any, traces: Any, timeout: aiohttp.ClientTimeout) -> Any:
        if not is_vendor_host(request.url.host):
            return await connect(connector, request, traces, timeout)
        protocol = connector._factory()
        protocol.connection_made(_Line(protocol, str(request.url.origin()), handler, clock, timeout))
        return protocol

    with mock.patch.object(TCPConnector, "_create_connection", create_connection):
        yield


class _Line(asyncio.Transport):
    """A connection whose far end is the vendor: takes a request's bytes, gives a reply's bytes.

    It serves one request and is then not used again, so that a session outlives a kit and meets the next one.
    """

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
        self._head: _Head | None = None
        self._is_served = False
        self._is_lost = False
        self._is_told_to_continue = False
        self._loop = asyncio.get_running_loop()

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        self._received += data
        if self._head is None:
            end = self._received.find(b"\r\n\r\n")
            if end < 0:
                return
            self._head = _read_head(bytes(self._received[:end]))
            del self._received[: end + 4]
        head = self._head
        if head.expects_continue and not self._received and not self._is_told_to_continue:
            self._is_told_to_continue = True
            self._loop.call_soon(self._protocol.data_received, b"HTTP/1.1 100 Continue\r\n\r\n")
            return
        body = _body_in(head, self._received)
        if body is not None:
            self._received.clear()
            self._loop.call_soon(self._answer, head, body)

    def is_closing(self) -> bool:
        return self._is_served or self._is_lost

    def close(self) -> None:
        self._end(None)

    def abort(self) -> None:
        self._end(None)

    def pause_reading(self) -> None:
        """A reply comes in one go, so there is nothing to pause."""

    def resume_reading(self) -> None:
        """As ``pause_reading``."""

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return ("127.0.0.1", 443) if name in ("peername", "sockname") else default

    def _end(self, error: Exception | None) -> None:
        if not self._is_lost:
            self._is_lost = True
            if not self._loop.is_closed():
                self._loop.call_soon(self._protocol.connection_lost, error)

    def _answer(self, head: _Head, body: bytes) -> None:
        if self._is_lost:
            return
        self._is_served = True
        try:
            reply = self._handler(plain_request(head.method, self._origin + head.target, head.headers, body))
        except BaseException as error:
            self._protocol.set_exception(error)
            raise
        if head.method == "HEAD" or reply.wire is None:
            self._protocol.data_received(_head(reply) + (b"" if head.method == "HEAD" else reply.body))
        else:
            self._trouble(reply, reply.wire)

    def _trouble(self, reply: Reply, wire: Wire) -> None:
        """Send what gets through; waiting moves the clock."""
        began_ms = self._clock.now_ms()
        of_read, of_all = self._timeout.sock_read, self._timeout.total

        def patience_s() -> float | None:
            left = None if not of_all else max(of_all - (self._clock.now_ms() - began_ms) / 1000, 0)
            return min((each for each in (of_read or None, left) if each is not None), default=None)

        try:
            wait_for_head(wire, self._clock, patience_s())
            self._protocol.data_received(_head(reply))
            arrived = 0
            for piece in pieces(reply.body, wire, self._clock, patience_s()):
                arrived += len(piece)
                self._protocol.data_received(piece)
            if arrived < len(reply.body):
                self._end(None)
        except TimeoutError:
            self._give_up(by_read=of_read is not None and (not of_all or of_read <= of_all))
        except ConnectionResetError as error:
            self._end(error)
        except EOFError:
            self._end(None)

    def _give_up(self, *, by_read: bool) -> None:
        """The client's patience is over: of one read, or of the whole call."""
        if by_read:
            self._protocol._on_read_timeout()
            return
        late = asyncio.TimeoutError()
        late.__cause__ = asyncio.CancelledError()
        self._protocol.set_exception(late)
        payload = self._protocol._payload
        if payload is not None:
            payload.set_exception(late)


def _head(reply: Reply) -> bytes:
    lines = [f"HTTP/1.1 {reply.status} {HTTPStatus(reply.status).phrase}"]
    lines += [f"{name}: {value}" for name, value in reply_headers(reply)]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


@dataclass(frozen=True)
class _Head:
    """The first lines of a request."""

    method: str
    target: str
    headers: list[tuple[str, str]]

    @property
    def expects_continue(self) -> bool:
        return self.value("expect").lower() == "100-continue"

    def value(self, wanted: str) -> str:
        return next((value for name, value in self.headers if name.lower() == wanted), "")


def _read_head(data: bytes) -> _Head:
    """The first lines of a request."""
    first, *lines = data.decode("latin-1").split("\r\n")
    method, target, _ = first.split(" ", 2)
    headers = [(name.strip(), value.strip()) for name, _, value in (line.partition(":") for line in lines)]
    return _Head(method, target, headers)


def _body_in(head: _Head, rest: bytearray) -> bytes | None:
    """The body that has come in, None as long as it is not whole."""
    if head.value("transfer-encoding").lower() == "chunked":
        return _unchunked(rest) if rest.endswith(b"0\r\n\r\n") else None
    length = int(head.value("content-length") or 0)
    return bytes(rest[:length]) if len(rest) >= length else None


def _unchunked(rest: bytearray) -> bytes | None:
    """The chunks together, None when the last is not there yet."""
    body = bytearray()
    start = 0
    while True:
        line_end = rest.find(b"\r\n", start)
        if line_end < 0:
            return None
        length = int(rest[start:line_end].split(b";")[0], 16)
        if length == 0:
            return bytes(body)
        start = line_end + 2 + length + 2
        if len(rest) < start:
            return None
        body += rest[line_end + 2 : start - 2]
