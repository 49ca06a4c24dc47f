"""What outlives a clock that is moved back, and names that only look like slips of the pen."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from contracts import catalogue
from mock_server.app import create_app
from mock_server.clock import VendorClock
from mock_server.settings import Settings, read_settings

ORDER = json.dumps(catalogue.examples("portrait-request")["good"]["preset-style"])
HEADERS = {"Authorization": "Bearer sk-x", "X-DashScope-Async": "enable", "Content-Type": "application/json"}
SUBMIT = "/api/v1/services/aigc/album/gen_potrait"
ADMIN = {"X-Admin-Token": "t"}


def test_a_task_after_the_clock_was_moved_back_runs_at_its_own_pace() -> None:
    clock = VendorClock(1_768_444_200_000, monotonic=lambda: 0.0)
    client = create_app(Settings(seed=1, admin_token="t"), clock=clock).test_client()
    clock.advance("2h")
    first = client.post(SUBMIT, data=ORDER, headers=HEADERS).get_json()["output"]["task_id"]
    clock.advance("1m")
    assert client.get(f"/api/v1/tasks/{first}", headers=HEADERS).get_json()["output"]["task_status"] == "SUCCEEDED"
    clock.reset()
    second = client.post(SUBMIT, data=ORDER, headers=HEADERS).get_json()["output"]["task_id"]
    clock.advance("1m")
    assert client.get(f"/api/v1/tasks/{second}", headers=HEADERS).get_json()["output"]["task_status"] == "SUCCEEDED"


def test_a_fault_strikes_also_after_the_clock_was_moved_back() -> None:
    clock = VendorClock(1_768_444_200_000, monotonic=lambda: 0.0)
    client = create_app(Settings(seed=1, admin_token="t"), clock=clock).test_client()
    clock.advance("1h")
    fault = {"stage": "submit", "kind": "status", "error": "rate_quota"}
    assert client.post("/__admin/faults", json=fault, headers=ADMIN).status_code == 201
    clock.reset()
    assert client.post(SUBMIT, data=ORDER, headers=HEADERS).status_code == 429


def test_a_configured_key_is_meant_as_it_is() -> None:
    client = create_app(Settings(seed=1, api_key={"sk-mock-arrear": "me"})).test_client()
    answer = client.get("/api/v1/tasks/abc", headers={"Authorization": "Bearer sk-mock-arrear"})
    assert answer.status_code == 200


def test_a_misspelt_variable_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="unknown variable FACECHAIN_MOCK_PROT; nearest is 'FACECHAIN_MOCK_PORT'"):
        read_settings({}, {"FACECHAIN_MOCK_PROT": "1"}, tmp_path)
