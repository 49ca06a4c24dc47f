"""Between Flask and the core: a Flask request becomes a plain one, a plain reply becomes Flask's."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from urllib.parse import urlsplit

from flask import Response, current_app, request

from mock_server.core.model import Reply, Request
from mock_server.core.simulator import Simulator
from mock_server.web.line import LINE, PoliteLine, troubled

MOST_BODY_BYTES = 1_048_576
SIMULATOR = "facechain-simulator"
_HOST = re.compile(r"(?:[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::\d{1,5})?")


def simulator() -> Simulator:
    """The vendor that this app stands in front of."""
    found: Simulator = current_app.extensions[SIMULATOR]
    return found


def plain_request() -> Request:
    """The current request without Flask. A body is read up to one byte past the limit."""
    environ = request.environ
    headers = {name[5:].replace("_", "-").lower(): value for name, value in environ.items() if name.startswith("HTTP_")}
    if "CONTENT_TYPE" in environ:
        headers["content-type"] = environ["CONTENT_TYPE"]
    host = headers.get("host", "")
    if not is_host(host):
        host = f"{environ['SERVER_NAME']}:{environ['SERVER_PORT']}"
    return Request(
        method=request.method,
        path=request.path,
        query=environ.get("QUERY_STRING", ""),
        headers=headers,
        body=request.stream.read(MOST_BODY_BYTES + 1),
        origin=f"{environ['wsgi.url_scheme']}://{host}",
    )


@lru_cache(maxsize=64)
def is_host(text: str) -> bool:
    """Whether ``text`` is a name or an address, perhaps with a port, that can stand in a link."""
    try:
        return _HOST.fullmatch(text) is not None and urlsplit(f"//{text}").port != 0
    except ValueError:
        return False


def flask_response(reply: Reply) -> Response:
    """The reply as Flask sends it, with exactly the headers that the core chose, and the line's troubles."""
    body: bytes | Iterator[bytes] = reply.body
    if reply.wire is not None:
        line = request.environ.get(LINE) or PoliteLine()
        body = troubled(reply.body, reply.wire, line, simulator().clock)
    response = Response(body, reply.status)
    response.headers.clear()
    response.headers.extend(reply.headers)
    if reply.wire is not None:
        response.headers["content-length"] = str(len(reply.body))
    return response


def vendor_answer(operation: str | None, *, allowed: tuple[str, ...] = (), **path: str) -> Response:
    """What the vendor answers to the current request."""
    return flask_response(simulator().answer(plain_request(), operation, allowed=allowed, **path))
