"""The ways into a mocked vendor inside this process: one for each HTTP library, all with one state behind."""

from __future__ import annotations

import errno
import re
import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import lru_cache
from typing import Any
from unittest import mock
from urllib.parse import unquote, urlsplit

from mock_server.core.model import Reply, Request, Wire
from mock_server.core.ports import Clock

Handler = Callable[[Request], Reply]
"""What stands behind every door: a plain request in, a plain reply out."""

API_HOST = "dashscope.aliyuncs.com"
_VENDOR_HOST = re.compile(
    r"(?:[\w-]+\.)*dashscope[\w-]*\.(?:oss-[\w-]+\.)?aliyuncs\.com\.?"
    r"|(?:[\w-]+\.)+maas\.aliyuncs\.com\.?"
    r"|(?:[\w-]+\.)*maas\.qianwenaiapi\.com\.?",
    re.IGNORECASE,
)
_LOOPBACK = re.compile(r"localhost|(?:::ffff:)?127(?:\.\d+){3}|::1?|0\.0\.0\.0|", re.IGNORECASE)


class VendorHostRefused(ConnectionError):
    """A client reached for the real vendor by a way that no door watches. Nothing was sent."""


@lru_cache(maxsize=256)
def is_vendor_host(host: str | None) -> bool:
    """Whether ``host`` is one of the vendor's: its API, its picture store, its upload store."""
    return host is not None and _VENDOR_HOST.fullmatch(host) is not None


@lru_cache(maxsize=1024)
def is_vendor_url(url: str) -> bool:
    """Whether ``url`` leads to one of the vendor's hosts."""
    return is_vendor_host(urlsplit(url).hostname)


def plain_request(method: str, url: str, headers: Iterable[tuple[str, str | bytes]], body: bytes) -> Request:
    """A request of any HTTP library as the vendor's core takes it."""
    path, query, origin, host = _parts(url)
    named = {"host": host}
    for name, value in headers:
        named[name.lower()] = value if isinstance(value, str) else value.decode("latin-1")
    return Request(
        method=method.upper(), path=path, query=query, headers=named, body=body, origin=origin, is_inside=True
    )


@lru_cache(maxsize=1024)
def _parts(url: str) -> tuple[str, str, str, str]:
    """Path, query, origin and host of a URL."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    path = "/" + unquote(parts.path, errors="replace").lstrip("/")
    return path, parts.query, f"{parts.scheme}://{host}", host


def reply_headers(reply: Reply) -> list[tuple[str, str]]:
    """The headers of a reply, with the length of the body it was meant to have."""
    return [*reply.headers, ("content-length", str(len(reply.body)))]


def wait_for_head(wire: Wire, clock: Clock, patience_s: float | None) -> None:
    """Let the time before a reply pass, by moving the clock.

    Raises what the line says when no reply comes: TimeoutError, ConnectionResetError, or EOFError when it is closed
    without a byte. A client without patience would wait for ever for a held reply, and gets TimeoutError at once.
    """
    if wire.kind == "hang" or (patience_s is not None and wire.delay_ms > patience_s * 1000):
        clock.advance(patience_s or 0)
        raise TimeoutError("timed out" if patience_s is not None else "held for ever, and the client sets no time-out")
    clock.advance(wire.delay_ms / 1000)
    if wire.kind == "reset":
        raise ConnectionResetError(errno.ECONNRESET, "Connection reset by peer")
    if wire.kind == "empty":
        raise EOFError


def pieces(body: bytes, wire: Wire | None, clock: Clock, patience_s: float | None) -> Iterator[bytes]:
    """The body as it comes in, perhaps too little of it. Raises TimeoutError when a pause outlasts the patience."""
    if wire is None or wire.kind != "dribble":
        yield body if wire is None or wire.kind != "cut" else body[: max(wire.bytes, 1)]
        return
    step = max(wire.bytes, 1)
    for start in range(0, len(body), step):
        if start and patience_s is not None and wire.pause_ms > patience_s * 1000:
            clock.advance(patience_s)
            raise TimeoutError("timed out")
        clock.advance(wire.pause_ms / 1000 if start else 0)
        yield body[start : start + step]


@contextmanager
def guarded_network(*, strict: bool = False) -> Iterator[None]:
    """Refuse to look up, or to connect to, the vendor's hosts; with ``strict`` every host that is not this machine."""

    def refuse(host: object) -> None:
        name = host.decode("ascii", "replace") if isinstance(host, bytes) else str(host or "")
        if is_vendor_host(name):
            raise VendorHostRefused(
                f"{name} is the real vendor, and this client comes through no door of facechain; "
                "use requests, httpx or aiohttp, or give it facechain.base_url"
            )
        if strict and not _LOOPBACK.fullmatch(name):
            raise ConnectionRefusedError(f"{name} is another machine, and strict_network is on")

    def look_up(original: Callable[..., Any]) -> Callable[..., Any]:
        def guarded(host: Any, *arguments: Any, **more: Any) -> Any:
            refuse(host)
            return original(host, *arguments, **more)

        return guarded

    def connect(original: Callable[..., Any]) -> Callable[..., Any]:
        def guarded(self: socket.socket, address: Any) -> Any:
            if self.family in (socket.AF_INET, socket.AF_INET6) and isinstance(address, tuple) and address:
                refuse(address[0])
            return original(self, address)

        return guarded

    with ExitStack() as patches:
        for name in ("getaddrinfo", "gethostbyname", "gethostbyname_ex"):
            patches.enter_context(mock.patch.object(socket, name, look_up(getattr(socket, name))))
        for name in ("connect", "connect_ex"):
            patches.enter_context(mock.patch.object(socket.socket, name, connect(getattr(socket.socket, name))))
        yield
