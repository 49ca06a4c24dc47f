"""The file resource, and the policies of temporary uploads."""

from __future__ import annotations

from flask import Blueprint, Response

from mock_server.web.wire import vendor_answer

files = Blueprint("files", __name__, url_prefix="/api/v1")


@files.post("/files")
def upload_files() -> Response:
    return vendor_answer("upload_files")


@files.get("/files")
def list_files() -> Response:
    return vendor_answer("list_files")


@files.get("/files/<file_id>")
def get_file(file_id: str) -> Response:
    return vendor_answer("get_file", file_id=file_id)


@files.delete("/files/<file_id>")
def delete_file(file_id: str) -> Response:
    return vendor_answer("delete_file", file_id=file_id)


@files.get("/uploads")
def get_upload_policy() -> Response:
    return vendor_answer("get_upload_policy")
