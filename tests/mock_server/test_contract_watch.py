"""The hook that judges every answer of the suite would notice a bad one."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from mock_server.core import simulator
from mock_server.core.model import Reply
from mock_server.core.simulator import Simulator
from tests.conftest import ANSWERS, Vendor, answers_watched

pytest_plugins = ("pytester",)

Answer = Callable[..., Reply]


def test_every_operation_but_the_one_that_streams_events_has_a_schema() -> None:
    assert ANSWERS.keys() | {"stream_job"} == simulator.OPERATIONS.keys()
    assert "stream_job" not in ANSWERS


def changed(answer: Answer, **changes: Any) -> Answer:
    def worse(self: Simulator, *given: Any, **more: Any) -> Reply:
        return replace(answer(self, *given, **more), **changes)

    return worse


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"body": b'{"request_id":"1","output":{"task_id":"1","task_status":"DONE"}}'}, "'DONE' is not one of"),
        ({"body": b'{"output":{"task_id":"1","task_status":"UNKNOWN"}}'}, "'request_id' is a required property"),
        ({"status": 500}, "'code' is a required property"),
        ({"headers": (("content-type", "text/html"),)}, "content-type is 'text/html'"),
        ({"headers": (("content-type", "application/json"),)}, "is not x-request-id"),
        ({"headers": (("content-type", "application/json"), ("x-request-id", "another"))}, "is not x-request-id"),
    ],
)
@pytest.mark.breaks_contract
def test_a_bad_answer_is_noticed(
    vendor: Vendor, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], problem: str
) -> None:
    monkeypatch.setattr(Simulator, "answer", changed(Simulator.answer, **changes))
    with answers_watched() as violations:
        vendor.query("1111")
    assert any(problem in violation for violation in violations), violations


def test_a_good_answer_is_left_alone(vendor: Vendor) -> None:
    with answers_watched() as violations:
        vendor.query("1111")
        vendor.query("1111", key="none")
    assert violations == []


@pytest.mark.parametrize(
    ("marked", "outcomes"), [("", {"passed": 1, "errors": 1}), ("@pytest.mark.breaks_contract", {"passed": 1})]
)
@pytest.mark.breaks_contract
def test_the_hook_fails_the_test_that_met_a_bad_answer(
    pytester: pytest.Pytester, marked: str, outcomes: dict[str, int]
) -> None:
    pytester.makeconftest("from tests.conftest import _every_answer_keeps_the_contract, pytest_configure")
    pytester.makepyfile(f"""
        import pytest
        from mock_server.core import simulator
        from tests.conftest import Vendor

        {marked}
        def test_it(monkeypatch):
            monkeypatch.setitem(simulator.OPERATIONS, "query_task", lambda call, task_id: {{"output": None}})
            Vendor().query("1111")
    """)
    result = pytester.runpytest_inprocess("-p", "no:randomly", "-p", "no:asyncio")
    result.assert_outcomes(**outcomes)
