"""The handle on one mocked vendor: running and stopping, what it sets and puts back, and the decorator."""

# ruff: noqa: S113 - what answers here is the kit, which never keeps a client waiting

from __future__ import annotations

import asyncio
import gc
import inspect
import os
import sys
import time
import unittest
from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from types import ModuleType
from typing import Any

import pytest
import requests

from contracts import catalogue
from facechain_testkit.kit import API_KEY, VENDOR_URL, Facechain, mock_facechain
from mock_server.core.tasks import VENDOR_ZONE

SUBMIT = f"{VENDOR_URL}/services/aigc/album/gen_potrait"
BODY = catalogue.examples("portrait-request")["good"]["preset-style"]
HEADERS = {"Authorization": f"Bearer {API_KEY}", "X-DashScope-Async": "enable"}
VARIABLES = ("DASHSCOPE_API_KEY", "DASHSCOPE_HTTP_BASE_URL")


def submit() -> str:
    answer = requests.post(SUBMIT, json=BODY, headers=HEADERS).json()
    return str(answer["output"]["task_id"])


def query(task_id: str = "none", base_url: str = VENDOR_URL) -> dict[str, Any]:
    output: dict[str, Any] = requests.get(f"{base_url}/tasks/{task_id}", headers=HEADERS).json()["output"]
    return output


# -- running ----------------------------------------------------------------------------------------------------------


def test_a_kit_runs_once_at_a_time_and_may_run_again() -> None:
    kit = Facechain()
    with pytest.raises(RuntimeError, match="is not running; start it"):
        _ = kit.base_url
    with kit, pytest.raises(RuntimeError, match="is running already"):
        kit.start()
    kit.stop()
    with kit:
        query()
        assert query(base_url=kit.base_url)
    assert len(kit.journal) == 2


def test_what_happened_can_be_looked_at_after_the_end() -> None:
    with mock_facechain() as kit:
        submit()
    assert kit.story().startswith("1 task, 1 request, 0.36 CNY, seed 0\n")
    assert [finding.id for finding in kit.findings()] == ["task-abandoned"]


def test_the_port_is_closed_with_the_kit() -> None:
    with mock_facechain() as kit:
        url = kit.base_url
        assert kit.base_url == url
        assert url.startswith("http://127.0.0.1:")
        assert url.endswith("/api/v1")
    with pytest.raises(requests.ConnectionError):
        query(base_url=url)


def test_a_kit_that_only_serves_patches_nothing() -> None:
    get_adapter, environment = requests.Session.get_adapter, dict(os.environ)
    with Facechain().serving() as kit:
        assert requests.Session.get_adapter is get_adapter
        assert dict(os.environ) == environment
        assert query(base_url=kit.base_url)["task_status"] == "UNKNOWN"
    assert len(kit.journal) == 1


def test_two_ports_are_two_vendors() -> None:
    with Facechain(seed=1).serving() as one, Facechain(seed=2).serving() as other:
        query(base_url=one.base_url)
        assert (len(one.journal), len(other.journal)) == (1, 0)


def test_a_kit_is_quick_to_make_and_its_port_quick_to_open() -> None:
    """Generous: in peace a kit takes a quarter of a millisecond, a port two."""

    def best_ms(step: Any) -> float:
        took = []
        for _ in range(7):
            began = time.process_time()
            step()
            took.append((time.process_time() - began) * 1000)
        return min(took)

    def opened() -> None:
        with mock_facechain() as kit:
            assert kit.base_url

    def made() -> None:
        with mock_facechain():
            pass

    gc.collect()
    assert best_ms(made) < 5
    assert best_ms(opened) < 40


@pytest.mark.parametrize(
    ("chosen", "told"),
    [
        ({"scenario": "poll-42"}, "poll-429"),
        ({"clock": "stopped"}, "clock is 'stopped'; it is running, frozen, or a start such as"),
        ({"limits": "none"}, "documented"),
        ({"profile": "rough"}, "calm"),
        ({"behaviours": {"second-task": "both"}}, "queue"),
        ({"plan": {"progression": "slow"}}, "polls"),
    ],
)
def test_a_choice_that_is_none_is_refused_with_those_there_are(chosen: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        Facechain(**chosen)


def test_the_clock_starts_where_it_is_told() -> None:
    with mock_facechain(clock="2026-10-09 23:59:59") as kit:
        submit()
        began_ms = int(datetime(2026, 10, 9, 23, 59, 59, tzinfo=VENDOR_ZONE).timestamp() * 1000)
        assert began_ms <= kit.tasks[0].submitted_ms <= began_ms + 60_000
    with mock_facechain(clock="frozen") as kit:
        assert kit.clock.frozen


# -- what it sets and puts back ---------------------------------------------------------------------------------------


@pytest.fixture
def sdk(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Something that looks like the vendor's SDK after it was imported."""
    module = ModuleType("dashscope")
    vars(module).update(base_http_api_url="https://before", api_key="sk-before")
    monkeypatch.setitem(sys.modules, "dashscope", module)
    return module


def told_to_sdk(sdk: Any) -> tuple[str | None, str | None]:
    return sdk.base_http_api_url, sdk.api_key


def test_an_sdk_that_is_there_is_pointed_here_and_put_back(sdk: ModuleType) -> None:
    with mock_facechain() as kit:
        assert told_to_sdk(sdk) == (VENDOR_URL, API_KEY)
        url = kit.base_url
        assert told_to_sdk(sdk) == (url, API_KEY)
        assert os.environ["DASHSCOPE_HTTP_BASE_URL"] == url
        with mock_facechain():
            assert told_to_sdk(sdk) == (VENDOR_URL, API_KEY)
        assert told_to_sdk(sdk) == (url, API_KEY)
    assert told_to_sdk(sdk) == ("https://before", "sk-before")


@pytest.mark.parametrize("variables", [{}, dict(zip(VARIABLES, ("sk-own", "https://own"), strict=True))])
def test_an_sdk_imported_meanwhile_is_as_if_imported_before(
    variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delitem(sys.modules, "dashscope", raising=False)
    module = ModuleType("dashscope")
    with mock_facechain():
        vars(module).update(base_http_api_url=os.environ[VARIABLES[1]], api_key=os.environ[VARIABLES[0]])
        monkeypatch.setitem(sys.modules, "dashscope", module)
        assert told_to_sdk(module) == (VENDOR_URL, API_KEY)
    assert told_to_sdk(module) == (variables.get(VARIABLES[1], VENDOR_URL), variables.get(VARIABLES[0]))
    assert {name: os.environ.get(name) for name in VARIABLES} == {name: variables.get(name) for name in VARIABLES}


# -- what is to happen, and what has ----------------------------------------------------------------------------------


def test_plans_queue_up_and_a_whole_one_may_be_given() -> None:
    with mock_facechain(limits="off") as kit:
        kit.plan_next(outcome="FAILED", error="image_resolution")
        kit.plan_next({"progression": "immediate"}, images=["ok", {"error": "output_inspection"}])
        kit.plan_next(scenario="canceled")
        tasks = [submit() for _ in range(4)]
        for task_id in tasks:
            query(task_id)
            query(task_id)
        assert [task.status for task in kit.tasks] == ["FAILED", "SUCCEEDED", "CANCELED", "SUCCEEDED"]
        assert [task.delivered for task in kit.tasks] == [0, 1, 0, 2]
        with pytest.raises(ValueError, match="image_resolution"):
            kit.plan_next(outcome="FAILED", error="image_resolutoin")


def test_a_held_task_is_released() -> None:
    with mock_facechain(scenario="never-ends") as kit:
        task_id = submit()
        kit.clock.advance("1h")
        assert query(task_id)["task_status"] == "RUNNING"
        kit.release(task_id)
        assert query(task_id)["task_status"] == "SUCCEEDED"
        with pytest.raises(KeyError, match="no task 'none'; there are"):
            kit.release("none")


def test_scenario_faults_and_journal_can_be_changed_meanwhile() -> None:
    with mock_facechain() as kit:
        kit.scenario = "arrears"
        assert requests.post(SUBMIT, json=BODY, headers=HEADERS).json()["code"] == "Arrearage"
        with pytest.raises(ValueError, match="arrears"):
            kit.scenario = "arears"
        assert kit.scenario == "arrears"
        kit.scenario = None
        fault = kit.faults.add("poll", "status", error="rate_quota")
        assert requests.get(f"{VENDOR_URL}/tasks/none", headers=HEADERS).status_code == 429
        assert [each["struck"] for each in kit.faults] == [1]
        kit.faults.remove(fault)
        query()
        kit.faults.add("poll", "reset")
        kit.faults.clear()
        assert list(kit.faults) == []
        assert [entry["status"] for entry in kit.journal.find(operation="query_task")] == [429, 200]
        kit.journal.clear()
        assert len(kit.journal) == 0


def test_a_reset_forgets_everything() -> None:
    with mock_facechain(clock="frozen") as kit:
        began_ms = kit.clock.now_ms()
        first = submit()
        kit.clock.advance("1d")
        kit.reset()
        assert (len(kit.journal), kit.tasks, kit.clock.now_ms()) == (0, [], began_ms)
        assert submit() == first


def test_findings_come_with_advice_and_by_level() -> None:
    with mock_facechain() as kit:
        kit.assert_clean()
        submit()
        submit()
        assert [finding.id for finding in kit.findings("must")] == ["submitted-twice"]
        kit.clock.advance("1h")
        with pytest.raises(AssertionError, match="advised against:\n  must   submitted-twice") as raised:
            kit.assert_clean()
        assert "list the tasks of the last minutes" in str(raised.value)
        with pytest.raises(AssertionError, match=r"0\.36 CNY would be spent twice: \S+ repeats \S+"):
            kit.assert_no_duplicate_spend()


# -- decorating -------------------------------------------------------------------------------------------------------


def test_a_function_has_the_mock_and_may_ask_for_the_handle() -> None:
    @mock_facechain(seed=4)
    def without(number: int) -> int:
        return len(query()) + number

    @mock_facechain(seed=4)
    def with_handle(number: int, facechain: Facechain) -> int:
        query()
        return len(facechain.journal) + facechain.seed + number

    assert without(1) == 3
    assert with_handle(1) == 6  # type: ignore[call-arg] # the decorator gives it


def test_a_coroutine_has_the_mock_until_it_is_done() -> None:
    @mock_facechain()
    async def asked(facechain: Facechain) -> int:
        await asyncio.sleep(0)
        query()
        return len(facechain.journal)

    assert asyncio.run(asked()) == 1  # type: ignore[call-arg] # the decorator gives it


def test_generators_have_the_mock_until_they_end() -> None:
    @mock_facechain()
    def yielding(facechain: Facechain) -> Iterator[int]:
        query()
        yield len(facechain.journal)
        query()
        yield len(facechain.journal)

    @mock_facechain()
    async def yielding_too(facechain: Facechain) -> AsyncIterator[int]:
        query()
        yield len(facechain.journal)

    async def all_of_them() -> list[int]:
        return [number async for number in yielding_too()]  # type: ignore[call-arg] # the decorator gives it

    assert list(yielding()) == [1, 2]  # type: ignore[call-arg] # the decorator gives it
    assert asyncio.run(all_of_them()) == [1]


class _Counting:
    def test_inherited(self, facechain: Facechain) -> int:
        query()
        return len(facechain.journal)


@mock_facechain()
class _Decorated(_Counting):
    def test_own(self, facechain: Facechain) -> int:
        query()
        return len(facechain.journal)

    @staticmethod
    def test_static(facechain: Facechain) -> int:
        query()
        return len(facechain.journal)

    @classmethod
    def test_of_class(cls, facechain: Facechain) -> str:
        query()
        return f"{cls.__name__} {len(facechain.journal)}"

    def other(self) -> str:
        return "as it was"


def test_a_class_has_a_fresh_mock_for_every_test_in_it() -> None:
    decorated: Any = _Decorated()
    assert [decorated.test_own(), decorated.test_inherited(), decorated.test_static()] == [1, 1, 1]
    assert decorated.test_of_class() == "_Decorated 1"
    assert decorated.other() == "as it was"
    with pytest.raises(TypeError, match="facechain"):
        _Counting().test_inherited()  # type: ignore[call-arg] # the class that it comes from is left alone


@mock_facechain(scenario="arrears")
class TestWithUnittest(unittest.TestCase):
    def test_the_handle_is_given(self, facechain: Facechain) -> None:
        assert requests.post(SUBMIT, json=BODY, headers=HEADERS).json()["code"] == "Arrearage"
        assert len(facechain.journal) == 1

    def test_every_test_has_its_own(self, facechain: Facechain) -> None:
        assert len(facechain.journal) == 0


def test_a_decorated_function_keeps_name_and_parameters() -> None:
    @mock_facechain()
    def named(number: int, facechain: Facechain) -> None:
        """What it says."""

    assert (named.__name__, named.__doc__) == ("named", "What it says.")
    assert list(inspect.signature(named).parameters) == ["number"]
