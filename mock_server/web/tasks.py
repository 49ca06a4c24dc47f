"""The task resource: query, list, cancel."""

from __future__ import annotations

from flask import Blueprint, Response

from mock_server.web.wire import vendor_answer

tasks = Blueprint("tasks", __name__)


@tasks.get("/api/v1/tasks")
def list_tasks() -> Response:
    return vendor_answer("list_tasks")


@tasks.get("/api/v1/tasks/<task_id>")
def query_task(task_id: str) -> Response:
    return vendor_answer("query_task", task_id=task_id)


@tasks.post("/api/v1/tasks/<task_id>/cancel")
def cancel_task(task_id: str) -> Response:
    return vendor_answer("cancel_task", task_id=task_id)
