"""The portrait resource: where tasks are submitted."""

from __future__ import annotations

from flask import Blueprint, Response

from mock_server.web.wire import vendor_answer

portraits = Blueprint("portraits", __name__)


@portraits.post("/api/v1/services/aigc/album/gen_potrait")
def submit_portrait() -> Response:
    return vendor_answer("submit_portrait")
