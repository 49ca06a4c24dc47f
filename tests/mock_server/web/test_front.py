"""The short cut before Flask: what it answers is what Flask would have answered, and it can be turned off."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any
from unittest import mock

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from mock_server.app import create_app
from mock_server.core.front import handle
from mock_server.core.model import Reply, Request
from mock_server.core.simulator import Simulator
from mock_server.settings import Settings
from mock_server.web.front import VendorApp
from mock_server.web.line import LINE, PoliteLine
from tests.conftest import SUBMIT, TASKS, Vendor, _sent, both_ways_compared

UNCOMPARED = {LINE: PoliteLine()}
"""What has a request go one way only."""

BUSY: dict[str, Callable[[Vendor], TestResponse]] = {
    "a query": lambda vendor: vendor.query("1111"),
    "a query with a slash": lambda vendor: vendor.query("1111/"),
    "a query of odd characters": lambda vendor: vendor.query("%E4%BD%A0%00%FF%2F..%2F?a=%20"),
    "a query without a key": lambda vendor: vendor.query("1111", key=""),
    "a cancellation by GET": lambda vendor: vendor.vendor_call("GET", f"{TASKS}/1111/cancel"),
    "too many slashes": lambda vendor: vendor.vendor_call("GET", f"{TASKS}//1111"),
    "a submission": lambda vendor: vendor.submit(),
    "a submission that is no JSON": lambda vendor: vendor.submit(data=b"{"),
    "a submission that is too large": lambda vendor: vendor.submit(data=b" " * 1_048_577),
}


@pytest.mark.parametrize("call", BUSY.values(), ids=BUSY.keys())
def test_a_busy_call_is_answered_as_flask_would(vendor: Vendor, call: Callable[[Vendor], TestResponse]) -> None:
    with mock.patch("tests.conftest._sent", side_effect=_sent) as sent, both_ways_compared() as differences:
        call(vendor)
    assert differences == []
    assert sent.call_count >= 2  # by both ways, and once more each by the hook of every test


@pytest.mark.breaks_contract
@pytest.mark.parametrize("changes", [{"status": 404}, {"body": b"{}"}, {"headers": (("server", "another"),)}])
def test_a_difference_would_be_noticed(vendor: Vendor, changes: dict[str, object]) -> None:
    def other(simulator: Simulator, request: Request) -> Reply:
        return replace(handle(simulator, request), **changes)  # type: ignore[arg-type]

    with mock.patch("mock_server.web.front.handle", other), both_ways_compared() as differences:
        vendor.query("1111")
    assert len(differences) == 1
    assert differences[0].startswith(f"GET {TASKS}/1111: ")


@pytest.mark.parametrize(
    ("settings", "method", "path", "is_short"),
    [
        ({}, "GET", f"{TASKS}/1111", True),
        ({}, "POST", SUBMIT, True),
        ({}, "GET", TASKS, False),
        ({}, "POST", f"{TASKS}/1111/cancel", False),
        ({"front": "off"}, "GET", f"{TASKS}/1111", False),
        ({"front": "off"}, "POST", SUBMIT, False),
    ],
)
def test_only_queries_and_submissions_take_it_unless_it_is_off(
    settings: dict[str, str], method: str, path: str, is_short: bool
) -> None:
    app = create_app(Settings(seed=7, **settings))  # type: ignore[arg-type]
    with mock.patch.object(Flask, "wsgi_app", autospec=True, side_effect=Flask.wsgi_app) as long_way:
        app.test_client().open(path, method=method, environ_overrides=UNCOMPARED)
    assert (long_way.call_count == 0) is is_short


@pytest.mark.parametrize("hook", ["before_request", "after_request", "teardown_request"])
def test_whoever_hooks_into_requests_sees_them_all(hook: str) -> None:
    app = create_app(Settings(seed=7))
    seen = []

    def see(*given: Any) -> Any:
        seen.append(given)
        return given[0] if given else None

    getattr(app, hook)(see)
    app.test_client().get(f"{TASKS}/1111", environ_overrides=UNCOMPARED)
    assert len(seen) == 1


def test_the_app_is_one_of_flask() -> None:
    app = create_app(Settings(seed=7))
    assert isinstance(app, Flask)
    assert isinstance(app, VendorApp)
