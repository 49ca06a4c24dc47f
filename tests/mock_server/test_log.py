"""The line for each request, and what happens when nobody can read it."""

from __future__ import annotations

import io
import json

import pytest

from mock_server.app import create_app
from mock_server.log import request_log
from mock_server.settings import Settings


class Broken(io.StringIO):
    def write(self, _text: str) -> int:
        raise BrokenPipeError


@pytest.mark.parametrize("kind", ["text", "json"])
def test_each_request_is_a_line_without_its_key(kind: str) -> None:
    stream = io.StringIO()
    client = create_app(Settings(seed=1), log=request_log(kind, stream)).test_client()
    client.get("/api/v1/tasks/abc", headers={"Authorization": "Bearer sk-0123456789abcdef"})
    client.get("/api/v1/tasks/abc")
    lines = stream.getvalue().splitlines()
    assert ["200" in lines[0], "401" in lines[1]] == [True, True]
    assert "sk-0123456789abcdef" not in stream.getvalue()
    if kind == "json":
        assert json.loads(lines[0])["task_status"] == "UNKNOWN"


def test_a_log_that_nobody_reads_fails_no_request() -> None:
    client = create_app(Settings(seed=1), log=request_log("text", Broken())).test_client()
    assert client.get("/api/v1/tasks/abc", headers={"Authorization": "Bearer sk-x"}).status_code == 200


def test_off_is_no_log() -> None:
    assert request_log("off", io.StringIO()) is None
