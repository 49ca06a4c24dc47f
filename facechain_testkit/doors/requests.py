"""The door for ``requests``: the vendor's hosts go to a ``responses`` mock of our own, other hosts go their way."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import RemoteDisconnected
from typing import Any
from unittest import mock
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

import requests
import responses
from requests.adapters import BaseAdapter, HTTPAdapter
from urllib3 import HTTPSConnectionPool
from urllib3.exceptions import HTTPError, MaxRetryError, ProtocolError, ReadTimeoutError
from urllib3.util import Retry

from facechain_testkit.doors import Handler, is_vendor_url, pieces, plain_request, reply_headers, wait_for_head
from mock_server.core.model import Reply, Wire
from mock_server.core.ports import Clock


class DoorAdapter(HTTPAdapter):
    """What an adapter's own ``send`` ends in at the door; ``responses`` answers in place of the network."""


class _Anything(responses.CallbackResponse):
    """The one registration: every request that comes to the door, by any method, goes to the callback."""

    def matches(self, request: Any) -> tuple[bool, str]:  # noqa: ARG002 - the library calls it so
        return True, ""

    def get_response(self, request: Any) -> Any:
        response = super().get_response(request)
        if request.method == "HEAD":
            response.length_remaining = 0  # older versions of the library do not know that no body follows
        return response


class _Forgetful(responses.CallList):
    """The kit has a journal; a second list of every request would only grow."""

    def add(self, request: Any, response: Any) -> None:
        pass

    def add_call(self, call: Any) -> None:
        pass


class _Incoming(io.RawIOBase):
    """A body on its way, as urllib3 reads it from a socket."""

    def __init__(self, arriving: Iterator[bytes]) -> None:
        self._arriving = arriving
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._rest = self._rest or next(self._arriving, b"")
        given = self._rest[: len(buffer)]
        buffer[: len(given)] = given
        self._rest = self._rest[len(given) :]
        return len(given)


@contextmanager
def requests_door(handler: Handler, clock: Clock) -> Iterator[None]:
    """Answer ``requests`` for the vendor's hosts as long as this lasts."""

    def answer(request: Any) -> tuple[int, list[tuple[str, str]], Any]:
        reply = handler(plain_request(request.method, request.url, request.headers.items(), _body(request.body)))
        body = reply.body if reply.wire is None else _sent(reply, reply.wire, clock, request)
        return reply.status, reply_headers(reply), b"" if request.method == "HEAD" else body

    find_adapter = requests.Session.get_adapter

    def get_adapter(session: requests.Session, url: str) -> BaseAdapter:
        adapter = find_adapter(session, url)
        return _at_the_door(adapter) if is_vendor_url(url) else adapter

    answering = responses.RequestsMock(
        assert_all_requests_are_fired=False, target=f"{__name__}.{DoorAdapter.__name__}.send"
    )
    registered = answering.add(_Anything(responses.GET, "https://vendor", callback=answer, content_type=None))
    answering._calls = registered._calls = _Forgetful()
    with (
        answering,
        mock.patch.object(DoorAdapter, "send", _retrying(DoorAdapter.send)),
        mock.patch.object(requests.Session, "get_adapter", get_adapter),
    ):
        yield


def _at_the_door(adapter: BaseAdapter) -> BaseAdapter:
    """The same adapter, of the same state, with the door in place of the network. One that is no HTTPAdapter stays."""
    if isinstance(adapter, DoorAdapter) or not isinstance(adapter, HTTPAdapter):
        return adapter
    of = type(adapter)
    if of not in _DOOR_CLASSES:
        _DOOR_CLASSES[of] = type(of.__name__, (of, DoorAdapter), {})
    door: BaseAdapter = object.__new__(_DOOR_CLASSES[of])
    door.__dict__ = adapter.__dict__
    return door


_DOOR_CLASSES: WeakKeyDictionary[type[HTTPAdapter], type[HTTPAdapter]] = WeakKeyDictionary({HTTPAdapter: DoorAdapter})
"""Each class of adapters with the door right before HTTPAdapter, so that its ``super().send`` comes in here."""


_NO_RETRIES = Retry(0)
"""Given to ``responses``, which would retry a status at once, where urllib3 waits."""


def _retrying(send: Any) -> Any:
    """``send`` with the adapter's own retries and errors, as HTTPAdapter and urllib3 have them."""

    def retrying(adapter: HTTPAdapter, request: Any, *arguments: Any, **more: Any) -> requests.Response:
        retries = adapter.max_retries
        while True:
            try:
                response: requests.Response = send(adapter, request, *arguments, **more, retries=_NO_RETRIES)
                if not retries.is_retry(request.method, response.status_code, "Retry-After" in response.headers):
                    return response
            except (ProtocolError, ReadTimeoutError) as error:
                retries = _incremented(retries, request, error=error)
                retries.sleep()
                continue
            try:
                retries = retries.increment(request.method, request.url, response=response.raw)
            except MaxRetryError as error:
                if retries.raise_on_status:
                    raise requests.exceptions.RetryError(error, request=request) from error
                return response
            response.close()
            retries.sleep(response.raw)

    return retrying


def _incremented(retries: Retry, request: Any, error: HTTPError) -> Retry:
    """One retry less. Raises what HTTPAdapter raises when none is left."""
    try:
        return retries.increment(request.method, request.url, error=error, _stacktrace=sys.exc_info()[2])
    except ReadTimeoutError as late:
        raise requests.ReadTimeout(late, request=request) from late
    except (ProtocolError, MaxRetryError) as lost:
        raise requests.ConnectionError(lost, request=request) from lost


def _body(body: Any) -> bytes:
    if body is None:
        return b""
    body = body.read() if hasattr(body, "read") else body
    if isinstance(body, str):
        return body.encode()
    return bytes(body) if isinstance(body, bytes | bytearray | memoryview) else b"".join(body)


def _read_timeout(request: Any) -> float | None:
    timeout = request.req_kwargs.get("timeout")
    limit: float | None = timeout[1] if isinstance(timeout, tuple) else getattr(timeout, "read_timeout", timeout)
    return limit


def _sent(reply: Reply, wire: Wire, clock: Clock, request: Any) -> io.BufferedReader:
    """The body as it will arrive. Raises what urllib3 raises when not even the head does."""
    patience_s = _read_timeout(request)
    try:
        wait_for_head(wire, clock, patience_s)
    except TimeoutError as error:
        text = f"Read timed out. (read timeout={patience_s})" if patience_s is not None else str(error)
        pool = HTTPSConnectionPool(str(urlsplit(request.url).hostname))  # for the message; it opens nothing
        raise ReadTimeoutError(pool, request.url, text) from error
    except ConnectionResetError as error:
        raise ProtocolError("Connection aborted.", error) from error
    except EOFError:
        cause = RemoteDisconnected("Remote end closed connection without response")
        raise ProtocolError("Connection aborted.", cause) from cause
    return io.BufferedReader(_Incoming(pieces(reply.body, wire, clock, patience_s)))
