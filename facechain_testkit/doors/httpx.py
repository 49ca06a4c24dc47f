"""The door for ``httpx``, sync and async: the vendor's hosts are answered here, other hosts go their way."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from unittest import mock

import httpx

from facechain_testkit.doors import Handler, is_vendor_host, plain_request, reply_headers
from mock_server.core.model import Reply, Wire
from mock_server.core.ports import Clock


class _Body(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A body that arrives whole, or ends too soon as on a line that dies."""

    def __init__(self, part: bytes, whole: int) -> None:
        self._part = part
        self._whole = whole

    def __iter__(self) -> Iterator[bytes]:
        yield self._part
        if len(self._part) < self._whole:
            raise httpx.RemoteProtocolError(
                "peer closed connection without sending complete message body "
                f"(received {len(self._part)} bytes, expected {self._whole})"
            )

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self:
            yield piece


@contextmanager
def httpx_door(handler: Handler, clock: Clock) -> Iterator[None]:
    """Answer ``httpx`` clients for the vendor's hosts as long as this lasts."""
    send, send_async = httpx.HTTPTransport.handle_request, httpx.AsyncHTTPTransport.handle_async_request

    def answer(request: httpx.Request, body: bytes) -> httpx.Response:
        reply = handler(plain_request(request.method, str(request.url), request.headers.items(), body))
        part = reply.body if reply.wire is None else _sent(reply, reply.wire, clock, request)
        whole = 0 if request.method == "HEAD" else len(reply.body)
        return httpx.Response(reply.status, headers=reply_headers(reply), stream=_Body(part, whole))

    def handle_request(transport: httpx.HTTPTransport, request: httpx.Request) -> httpx.Response:
        if not is_vendor_host(request.url.host):
            return send(transport, request)
        return answer(request, request.read())

    async def handle_async_request(transport: httpx.AsyncHTTPTransport, request: httpx.Request) -> httpx.Response:
        if not is_vendor_host(request.url.host):
            return await send_async(transport, request)
        return answer(request, await request.aread())

    with (
        mock.patch.object(httpx.HTTPTransport, "handle_request", handle_request),
        mock.patch.object(httpx.AsyncHTTPTransport, "handle_async_request", handle_async_request),
    ):
        yield


def _sent(reply: Reply, wire: Wire, clock: Clock, request: httpx.Request) -> bytes:
    """What arrives of the body. Raises what ``httpx`` raises when the line fails; waiting moves the clock."""
    timeout_s = request.extensions.get("timeout", {}).get("read")
    is_late = timeout_s is not None and max(wire.delay_ms, wire.pause_ms * (wire.kind == "dribble")) > timeout_s * 1000
    if is_late or wire.kind == "hang":
        clock.advance(timeout_s or 0)
        raise httpx.ReadTimeout(f"the reply did not come within {timeout_s} s", request=request)
    clock.advance(wire.delay_ms / 1000)
    if wire.kind == "reset":
        raise httpx.ReadError("[Errno 104] Connection reset by peer", request=request)
    if wire.kind == "empty":
        raise httpx.RemoteProtocolError("Server disconnected without sending a response.", request=request)
    if wire.kind == "dribble":
        clock.advance(wire.pause_ms * -(-len(reply.body) // max(wire.bytes, 1)) / 1000)
    return reply.body[: wire.bytes] if wire.kind == "cut" else reply.body
