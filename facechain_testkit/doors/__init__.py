"""The ways into a mocked vendor inside this process: one for each HTTP library, all with one state behind."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock
from urllib.parse import unquote, urlsplit

from mock_server.core.model import Reply, Request

Handler = Callable[[Request], Reply]
"""What stands behind every door: a plain request in, a plain reply out."""

API_HOST = "dashscope.aliyuncs.com"
_VENDOR_HOST = re.compile(
    r"(?:[\w-]+\.)*dashscope[\w-]*\.(?:oss-[\w-]+\.)?aliyuncs\.com"
    r"|(?:[\w-]+\.)+maas\.aliyuncs\.com"
    r"|(?:[\w-]+\.)*maas\.qianwenaiapi\.com",
    re.IGNORECASE,
)
_LOOPBACK = re.compile(r"localhost|127(?:\.\d+){3}|::1|0\.0\.0\.0|", re.IGNORECASE)


class VendorHostRefused(ConnectionError):
    """A client reached for the real vendor by a way that no door watches. Nothing was sent."""


def is_vendor_host(host: str | None) -> bool:
    """Whether ``host`` is one of the vendor's: its API, its picture store, its upload store."""
    return host is not None and _VENDOR_HOST.fullmatch(host) is not None


def plain_request(method: str, url: str, headers: Iterable[tuple[str, str]], body: bytes) -> Request:
    """A request of any HTTP library as the vendor's core takes it."""
    parts = urlsplit(url)
    return Request(
        method=method.upper(),
        path=unquote(parts.path or "/", errors="replace"),
        query=parts.query,
        headers={name.lower(): value for name, value in headers},
        body=body,
        origin=f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}",
    )


def reply_headers(reply: Reply) -> list[tuple[str, str]]:
    """The headers of a reply, with the length of the body it was meant to have."""
    return [*reply.headers, ("content-length", str(len(reply.body)))]


@contextmanager
def guarded_network(*, strict: bool = False) -> Iterator[None]:
    """Refuse to look up the vendor's hosts, and with ``strict`` every host that is not this machine."""
    look_up = socket.getaddrinfo

    def guarded(host: Any, *arguments: Any, **more: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host or ""
        if is_vendor_host(name):
            raise VendorHostRefused(
                f"{name} is the real vendor, and this client comes through no door of facechain; "
                "use requests, httpx or aiohttp, or give it facechain.base_url"
            )
        if strict and not _LOOPBACK.fullmatch(name):
            raise ConnectionRefusedError(f"{name} is another machine, and strict_network is on")
        return look_up(host, *arguments, **more)

    with mock.patch.object(socket, "getaddrinfo", guarded):
        yield
