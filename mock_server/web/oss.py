"""The object storage: what result links lead to."""

from __future__ import annotations

from flask import Blueprint, Response

from mock_server.core.oss import BUCKET
from mock_server.web.wire import flask_response, plain_request, simulator

oss = Blueprint("oss", __name__)


@oss.get(f"/{BUCKET}/<path:key>")
def fetch_picture(key: str) -> Response:
    return flask_response(simulator().fetch(plain_request(), key))
