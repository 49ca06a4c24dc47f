"""The detection resource."""

from __future__ import annotations

from flask import Blueprint, Response

from mock_server.web.wire import vendor_answer

facedetect = Blueprint("facedetect", __name__)


@facedetect.post("/api/v1/services/vision/facedetection/detect")
def detect_faces() -> Response:
    return vendor_answer("detect_faces")
