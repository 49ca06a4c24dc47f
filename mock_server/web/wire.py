"""Between Flask and the core: a Flask request becomes a plain one, a plain reply becomes Flask's."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from ipaddress import IPv6Address
from typing import TYPE_CHECKING

from flask import Response, current_app, request
from werkzeug.http import HTTP_STATUS_CODES
from werkzeug.wsgi import get_input_stream

from contracts import catalogue
from mock_server.core.model import Reply, Request
from mock_server.core.simulator import Simulator
from mock_server.web.line import LINE, PoliteLine, troubled

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

MOST_BODY_BYTES = int(catalogue.limits()["body_bytes"])
MOST_FORM_BYTES = int(catalogue.limits()["upload_body_bytes"])
SIMULATOR = "facechain-simulator"
_HOST = re.compile(r"(?:[A-Za-z0-9._-]{1,253}|\[(?P<v6>[0-9A-Fa-f:.]{2,45})\])(?::(?P<port>\d{1,5}))?")


def simulator() -> Simulator:
    """The vendor that this app stands in front of."""
    found: Simulator = current_app.extensions[SIMULATOR]
    return found


def plain_request(environ: WSGIEnvironment | None = None) -> Request:
    """A request without Flask, the current one unless another is given. A body is read one byte past the limit."""
    is_current = environ is None
    environ = request.environ if environ is None else environ
    headers = {_header_name(name): value for name, value in environ.items() if name[:5] == "HTTP_"}
    if "CONTENT_TYPE" in environ:
        headers["content-type"] = environ["CONTENT_TYPE"]
    host = headers.get("host", "")
    if not is_host(host):
        host = f"{environ['SERVER_NAME']}:{environ['SERVER_PORT']}"
    body = b""
    if environ.get("CONTENT_LENGTH") or "HTTP_TRANSFER_ENCODING" in environ or environ.get("wsgi.input_terminated"):
        stream = request.stream if is_current else get_input_stream(environ)
        body = stream.read(_most_bytes(headers) + 1)
    return Request(
        method=environ["REQUEST_METHOD"].upper(),
        path="/" + environ.get("PATH_INFO", "").encode("latin-1").decode(errors="replace").lstrip("/"),
        query=environ.get("QUERY_STRING", ""),
        headers=headers,
        body=body,
        origin=f"{environ['wsgi.url_scheme']}://{host}",
    )


def _most_bytes(headers: Mapping[str, str]) -> int:
    """How much of a body the core may want to see: files come in forms, and are larger than what is said in JSON."""
    return MOST_FORM_BYTES if headers.get("content-type", "").lower().startswith("multipart/") else MOST_BODY_BYTES


@lru_cache(maxsize=256)
def _header_name(variable: str) -> str:
    """``x-mock-session`` for ``HTTP_X_MOCK_SESSION``."""
    return variable[5:].replace("_", "-").lower()


@lru_cache(maxsize=64)
def is_host(text: str) -> bool:
    """Whether ``text`` is a name or an address, perhaps with a port, that can stand in a link."""
    found = _HOST.fullmatch(text)
    if found is None or not 0 < int(found["port"] or 80) <= 65_535:
        return False
    try:
        return found["v6"] is None or IPv6Address(found["v6"]) is not None
    except ValueError:
        return False


def send(
    reply: Reply, environ: WSGIEnvironment, start_response: StartResponse, simulator: Simulator
) -> Iterable[bytes]:
    """The reply as WSGI has it, with exactly the headers that the core chose, and with the line's troubles."""
    headers = [*reply.headers, ("Content-Length", str(len(reply.body)))]
    start_response(_status_line(reply.status), headers)
    if environ["REQUEST_METHOD"] == "HEAD":
        return ()
    if reply.wire is None:
        return (reply.body,)
    return troubled(reply.body, reply.wire, environ.get(LINE) or PoliteLine(), simulator.clock)


@lru_cache(maxsize=64)
def _status_line(status: int) -> str:
    return f"{status} {HTTP_STATUS_CODES.get(status, 'Unknown').upper()}"


class ExactResponse(Response):
    """A reply that goes out as ``send`` sends it, past what Flask would add or look up."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(status=reply.status)
        self._reply = reply

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        return send(self._reply, environ, start_response, simulator())


def vendor_answer(operation: str | None, *, allowed: tuple[str, ...] = (), **path: str) -> Response:
    """What the vendor answers to the current request."""
    return ExactResponse(simulator().answer(plain_request(), operation, allowed=allowed, **path))
