"""Between Flask and the core: a Flask request becomes a plain one, a plain reply becomes Flask's."""

from __future__ import annotations

import re

from flask import Response, current_app, request

from mock_server.core.model import Reply, Request
from mock_server.core.simulator import Simulator

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
    if not _HOST.fullmatch(host):
        host = f"{environ['SERVER_NAME']}:{environ['SERVER_PORT']}"
    return Request(
        method=request.method,
        path=request.path,
        query=environ.get("QUERY_STRING", ""),
        headers=headers,
        body=request.stream.read(MOST_BODY_BYTES + 1),
        origin=f"{environ['wsgi.url_scheme']}://{host}",
    )


def flask_response(reply: Reply) -> Response:
    """The reply as Flask sends it, with exactly the headers that the core chose."""
    response = Response(reply.body, reply.status)
    response.headers.clear()
    response.headers.extend(reply.headers)
    return response


def vendor_answer(operation: str | None, *, allowed: tuple[str, ...] = (), **path: str) -> Response:
    """What the vendor answers to the current request."""
    return flask_response(simulator().answer(plain_request(), operation, allowed=allowed, **path))
