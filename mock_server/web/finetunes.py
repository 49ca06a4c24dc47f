"""The training resource: create, get, list, cancel and delete jobs, read their logs."""

from __future__ import annotations

from flask import Blueprint, Response

from mock_server.web.wire import vendor_answer

finetunes = Blueprint("finetunes", __name__, url_prefix="/api/v1/fine-tunes")


@finetunes.post("")
def create_job() -> Response:
    return vendor_answer("create_job")


@finetunes.get("")
def list_jobs() -> Response:
    return vendor_answer("list_jobs")


@finetunes.get("/<job_id>")
def get_job(job_id: str) -> Response:
    return vendor_answer("get_job", job_id=job_id)


@finetunes.delete("/<job_id>")
def delete_job(job_id: str) -> Response:
    return vendor_answer("delete_job", job_id=job_id)


@finetunes.post("/<job_id>/cancel")
def cancel_job(job_id: str) -> Response:
    return vendor_answer("cancel_job", job_id=job_id)


@finetunes.get("/<job_id>/logs")
def get_job_logs(job_id: str) -> Response:
    return vendor_answer("get_job_logs", job_id=job_id)


@finetunes.get("/<job_id>/stream")
def stream_job(job_id: str) -> Response:
    return vendor_answer("stream_job", job_id=job_id)
