"""The door for ``httpx``, sync and async: the vendor's hosts are answered here, other hosts go their way."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from unittest import mock

import httpcore
import httpx

from facechain_testkit.doors import Handler, is_vendor_host, pieces, plain_request, reply_headers, wait_for_head
from mock_server.core.model import Reply
from mock_server.core.ports import Clock


class _Body(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A body that arrives whole, or piece by piece, or ends too soon as on a line that dies."""

    def __init__(self, reply: Reply, clock: Clock, request: httpx.Request) -> None:
        self._reply = reply
        self._clock = clock
        self._request = request

    def __iter__(self) -> Iterator[bytes]:
        whole = self._reply.body
        arrived = 0
        try:
            for piece in pieces(whole, self._reply.wire, self._clock, _patience_s(self._request)):
                arrived += len(piece)
                yield piece
        except TimeoutError as error:
            raise _late(self._request, error) from httpcore.ReadTimeout(str(error))
        if arrived < len(whole):
            text = (
                "peer closed connection without sending complete message body "
                f"(received {arrived} bytes, expected {len(whole)})"
            )
            raise httpx.RemoteProtocolError(text, request=self._request) from httpcore.RemoteProtocolError(text)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self:
            yield piece


@contextmanager
def httpx_door(handler: Handler, clock: Clock) -> Iterator[None]:
    """Answer ``httpx`` clients for the vendor's hosts as long as this lasts."""
    send, send_async = httpx.HTTPTransport.handle_request, httpx.AsyncHTTPTransport.handle_async_request

    def answer(request: httpx.Request, body: bytes) -> httpx.Response:
        reply = handler(plain_request(request.method, str(request.url), request.headers.items(), body))
        if reply.wire is not None:
            _wait(reply, clock, request)
        phrase = HTTPStatus(reply.status).phrase.encode()
        return httpx.Response(
            reply.status,
            headers=reply_headers(reply),
            stream=httpx.ByteStream(b"") if request.method == "HEAD" else _Body(reply, clock, request),
            extensions={"http_version": b"HTTP/1.1", "reason_phrase": phrase},
        )

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


def _patience_s(request: httpx.Request) -> float | None:
    patience_s: float | None = request.extensions.get("timeout", {}).get("read")
    return patience_s


def _wait(reply: Reply, clock: Clock, request: httpx.Request) -> None:
    """Let the time before a reply pass. Raises what ``httpx`` raises when none comes."""
    assert reply.wire is not None
    try:
        wait_for_head(reply.wire, clock, _patience_s(request))
    except TimeoutError as error:
        raise _late(request, error) from httpcore.ReadTimeout(str(error))
    except ConnectionResetError as error:
        raise httpx.ReadError(str(error), request=request) from httpcore.ReadError(str(error))
    except EOFError:
        text = "Server disconnected without sending a response."
        raise httpx.RemoteProtocolError(text, request=request) from httpcore.RemoteProtocolError(text)


def _late(request: httpx.Request, error: TimeoutError) -> httpx.ReadTimeout:
    return httpx.ReadTimeout(str(error), request=request)
