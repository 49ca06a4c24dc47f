"""The object storage: what links lead to, and where temporary uploads are posted."""

from __future__ import annotations

from flask import Blueprint, Response

from mock_server.core.oss import FILE_BUCKET, RESULT_BUCKET
from mock_server.web.wire import ExactResponse, plain_request, simulator

oss = Blueprint("oss", __name__)


@oss.get(f"/{RESULT_BUCKET}/<path:key>")
def fetch_picture(key: str) -> Response:
    return ExactResponse(simulator().fetch(plain_request(), RESULT_BUCKET, key))


@oss.get(f"/{FILE_BUCKET}/<path:key>")
def fetch_file(key: str) -> Response:
    return ExactResponse(simulator().fetch(plain_request(), FILE_BUCKET, key))


@oss.post(f"/{FILE_BUCKET}")
def upload_object() -> Response:
    return ExactResponse(simulator().upload(plain_request()))
