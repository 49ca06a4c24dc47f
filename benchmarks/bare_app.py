"""The yardstick: two Flask routes that do nothing of ours, on the same server and the same paths."""

from __future__ import annotations

import sys

from flask import Flask, Response, jsonify, request

from mock_server.serving import serve

RESULT = "http://127.0.0.1:8790/dashscope-result-bj/account/20260115/task/1.jpg?Expires=1768521600&Signature=c2ln"


def create_bare_app() -> Flask:
    """No key, no limits, no validation, no state: a poll answers about 470 bytes, a submission what it must."""
    app = Flask("bare_app", static_folder=None)

    @app.get("/api/v1/tasks/<task_id>")
    def query(task_id: str) -> Response:
        return jsonify(
            request_id="7574ee8f-38a3-4b1e-9280-11c33ab46e51",
            output={
                "task_id": task_id,
                "task_status": "SUCCEEDED",
                "submit_time": "2026-01-15 10:00:00.000",
                "scheduled_time": "2026-01-15 10:00:00.200",
                "end_time": "2026-01-15 10:00:01.000",
                "results": [{"url": RESULT}],
                "task_metrics": {"TOTAL": 1, "SUCCEEDED": 1, "FAILED": 0},
            },
            usage={"image_count": 1},
        )

    @app.post("/api/v1/services/aigc/album/gen_potrait")
    def submit() -> Response:
        content = request.get_json()
        output = {"task_status": "PENDING", "task_id": content["model"]}
        return jsonify(request_id="7574ee8f-38a3-4b1e-9280-11c33ab46e51", output=output)

    return app


if __name__ == "__main__":
    serve(create_bare_app(), "127.0.0.1", int(sys.argv[1]), announce=lambda _: None)
