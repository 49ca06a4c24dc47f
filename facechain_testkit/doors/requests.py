"""The door for ``requests``: the vendor's hosts go to a ``responses`` mock of our own, other hosts go their way."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http.client import IncompleteRead, RemoteDisconnected
from typing import Any
from unittest import mock
from urllib.parse import urlsplit

import requests
import responses
from requests.adapters import BaseAdapter, HTTPAdapter
from urllib3.exceptions import ProtocolError
from urllib3.util import Retry

from facechain_testkit.doors import Handler, is_vendor_host, plain_request, reply_headers
from mock_server.core.model import Reply, Wire
from mock_server.core.ports import Clock


class DoorAdapter(HTTPAdapter):
    """Stands in for the adapter a session would use; ``responses`` answers in its place."""

    def __init__(self, replaced: BaseAdapter) -> None:
        self.max_retries = getattr(replaced, "max_retries", Retry(0))

    def close(self) -> None:
        """There is no connection to close."""


class _Anything(responses.CallbackResponse):
    """The one registration: every request that comes to the door, by any method, goes to the callback."""

    def matches(self, request: Any) -> tuple[bool, str]:  # noqa: ARG002 - the library calls it so
        return True, ""


@contextmanager
def requests_door(handler: Handler, clock: Clock) -> Iterator[None]:
    """Answer ``requests`` for the vendor's hosts as long as this lasts."""

    def answer(request: Any) -> tuple[int, list[tuple[str, str]], bytes]:
        reply = handler(plain_request(request.method, request.url, request.headers.items(), _body(request.body)))
        body = reply.body if reply.wire is None else _sent(reply, reply.wire, clock, _read_timeout(request))
        return reply.status, reply_headers(reply), body

    find_adapter = requests.Session.get_adapter

    def get_adapter(session: requests.Session, url: str) -> BaseAdapter:
        adapter = find_adapter(session, url)
        return DoorAdapter(adapter) if is_vendor_host(urlsplit(url).hostname) else adapter

    answering = responses.RequestsMock(
        assert_all_requests_are_fired=False, target=f"{__name__}.{DoorAdapter.__name__}.send"
    )
    answering.add(_Anything(responses.GET, "https://vendor", callback=answer, content_type=None))
    with answering, mock.patch.object(requests.Session, "get_adapter", get_adapter):
        yield


def _body(body: Any) -> bytes:
    return body.encode() if isinstance(body, str) else bytes(body or b"")


def _read_timeout(request: Any) -> float | None:
    timeout = request.req_kwargs.get("timeout")
    limit: float | None = timeout[1] if isinstance(timeout, tuple) else getattr(timeout, "read_timeout", timeout)
    return limit


def _sent(reply: Reply, wire: Wire, clock: Clock, timeout_s: float | None) -> bytes:
    """What arrives of the body. Raises what ``requests`` raises when the line fails; waiting moves the clock."""
    is_late = timeout_s is not None and max(wire.delay_ms, wire.pause_ms * (wire.kind == "dribble")) > timeout_s * 1000
    if is_late or wire.kind == "hang":
        clock.advance(timeout_s or 0)
        raise requests.ReadTimeout(f"the reply did not come within {timeout_s} s")
    clock.advance(wire.delay_ms / 1000)
    if wire.kind == "reset":
        raise _aborted(ConnectionResetError(104, "Connection reset by peer"))
    if wire.kind == "empty":
        raise _aborted(RemoteDisconnected("Remote end closed connection without response"))
    if wire.kind == "cut":
        part, rest = reply.body[: wire.bytes], len(reply.body) - wire.bytes
        broken = IncompleteRead(part, max(rest, 0))
        raise requests.exceptions.ChunkedEncodingError(ProtocolError(f"Connection broken: {broken!r}", broken))
    if wire.kind == "dribble":
        clock.advance(wire.pause_ms * -(-len(reply.body) // max(wire.bytes, 1)) / 1000)
    return reply.body


def _aborted(cause: Exception) -> requests.ConnectionError:
    return requests.ConnectionError(ProtocolError("Connection aborted.", cause))
