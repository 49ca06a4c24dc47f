"""Who may use the admin API. One guard stands before every route of it."""

from __future__ import annotations

import hmac
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from flask import current_app, g, jsonify, make_response, request
from werkzeug.exceptions import HTTPException

from mock_server.core.model import LOOPBACK_NAMES
from mock_server.web.wire import MOST_BODY_BYTES, is_host

GUARD = "facechain-guard"
MOST_ERROR_TEXT = 1_000
OPEN_ENDPOINTS = frozenset({"control.health", "control.version"})


@dataclass(frozen=True)
class Guard:
    """Who may use the admin API: the token, and the host names a browser may have come by."""

    token: str
    hosts: frozenset[str] = LOOPBACK_NAMES


def refusal(status: int, error: str, **more: Any) -> HTTPException:
    """What ends a request with this answer when it is raised."""
    return HTTPException(response=make_response(jsonify({"error": shortened(error), **more}), status))


def shortened(text: str) -> str:
    """What was wrong may be as long as the request; what is said of it is not."""
    return text if len(text) <= MOST_ERROR_TEXT else f"{text[:MOST_ERROR_TEXT]}..."


def guard() -> None:
    """Stands before every admin route: foreign hosts, foreign pages, missing tokens, form posts, large bodies."""
    known: Guard = current_app.extensions[GUARD]
    hosts = {name.lower() for name in known.hosts}
    host = request.environ.get("HTTP_HOST", "")
    if not _is_one_of(hosts, host):
        raise refusal(421, f"Host {host[:100]!r} is not one of {', '.join(sorted(hosts))}; allow it with --allow-host")
    origin = request.headers.get("Origin")
    if origin is not None:
        scheme, _, origin_host = origin.partition("://")
        if scheme not in ("http", "https") or not _is_one_of(hosts, origin_host):
            raise refusal(403, "a page of another origin may not use the admin API")
    if request.endpoint in OPEN_ENDPOINTS:
        return
    token = request.headers.get("X-Admin-Token", "")
    if not hmac.compare_digest(token.encode(), known.token.encode()):
        raise refusal(401, "header X-Admin-Token is missing or wrong; the token is printed when the server starts")
    if request.method not in ("GET", "HEAD") and request.mimetype != "application/json":
        raise refusal(415, f"Content-Type is {request.mimetype or 'missing'}; send application/json")
    g.body = request.stream.read(MOST_BODY_BYTES + 1)
    if len(g.body) > MOST_BODY_BYTES:
        raise refusal(413, f"the body is larger than {MOST_BODY_BYTES} bytes")


def _is_one_of(hosts: Collection[str], host: str) -> bool:
    """Whether ``host``, perhaps with a port, is well formed and one of ``hosts``, whatever its port."""
    return is_host(host) and urlsplit(f"//{host}").hostname in hosts
