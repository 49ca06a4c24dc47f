"""The handle on one mocked vendor: running and stopping, what it sets and puts back, and the decorator."""

# ruff: noqa: S113 - what answers here is the kit, which never keeps a client waiting

from __future__ import annotations

import asyncio
import gc
import inspect
import json
import os
import sys
import time
import unittest
from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Queue
from threading import Thread
from types import ModuleType
from typing import Any

import pytest
import requests
from faker import Generator

from contracts import catalogue
from facechain_testkit.kit import API_KEY, VENDOR_URL, Facechain, mock_facechain
from facechain_testkit.provider import FaceChainProvider
from mock_server.core.tasks import VENDOR_ZONE

SUBMIT = f"{VENDOR_URL}/services/aigc/album/gen_potrait"
BODY = catalogue.examples("portrait-request")["good"]["preset-style"]
HEADERS = {"Authorization": f"Bearer {API_KEY}", "X-DashScope-Async": "enable"}
KEY = {"Authorization": HEADERS["Authorization"]}
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


# -- trainings, photos, events ----------------------------------------------------------------------------------------

PHOTO = "https://assets.facechain.test/me.jpg"


def train(*photos: str) -> str:
    body = {"model": "facechain-finetune", "training_file_ids": list(photos) or [PHOTO]}
    answer = requests.post(f"{VENDOR_URL}/fine-tunes", json=body, headers=KEY).json()
    return str(answer["output"]["job_id"])


def look(job_id: str) -> dict[str, Any]:
    output: dict[str, Any] = requests.get(f"{VENDOR_URL}/fine-tunes/{job_id}", headers=KEY).json()["output"]
    return output


def reason_of(photo: str) -> str:
    """What detection has against a photo; nothing when it is good."""
    body = {"model": "facechain-facedetect", "input": {"images": [photo]}}
    answer = requests.post(f"{VENDOR_URL}/services/vision/facedetection/detect", json=body, headers=KEY).json()
    return str(answer["output"]["failed_reason"][0] if "output" in answer else answer["code"])


def test_a_misspelt_attribute_is_refused_with_the_nearest_one() -> None:
    kit: Any = Facechain()
    with pytest.raises(AttributeError, match="has no attribute 'senario'; nearest is 'scenario'"):
        kit.senario = "failed-algo"
    with pytest.raises(AttributeError, match="journal"):
        kit.journal = []
    kit.scenario = "failed-algo"
    assert kit.scenario == "failed-algo"


def test_a_training_goes_as_planned_and_is_told_of() -> None:
    with mock_facechain(clock="frozen") as kit:
        kit.plan_next_job(outcome="FAILED", error="algo_error")
        kit.plan_next_job({"progression": "hold", "in": "RUNNING"})
        failed = train()
        look(failed)
        assert (look(failed)["status"], look(failed)["code"]) == ("FAILED", "InternalError.Algo")
        kit.clock.advance(1)
        held = train(f"{PHOTO}?faces=1", PHOTO)
        assert look(held)["status"] == "RUNNING"
        kit.release(held)
        assert look(held)["status"] == "SUCCEEDED"
        assert [job.status for job in kit.jobs] == ["FAILED", "SUCCEEDED"]
        assert kit.tasks == []
        assert kit.ledger["total"] == 2.5
        first, *lines = kit.story().splitlines()
        assert first == "0 tasks, 2 trainings, 7 requests, 2.50 CNY, seed 0"
        assert lines[0].startswith(f"  training {failed}  1 photo  submitted 09:00:00.000, running +0.000 s, FAILED +")
        assert lines[1].startswith(f"  training {held}  2 photos  submitted 09:00:01.000")


def test_plans_of_trainings_and_of_portraits_queue_apart() -> None:
    with mock_facechain(clock="frozen") as kit:
        kit.plan_next_job(scenario="failed-training")
        kit.plan_next(outcome="FAILED")
        job_id, task_id = train(), submit()
        for _ in range(2):
            statuses = look(job_id)["status"], query(task_id)["task_status"]
        assert statuses == ("FAILED", "FAILED")


def test_all_trainings_may_go_by_one_plan() -> None:
    with mock_facechain(training={"progression": "immediate"}) as kit:
        assert look(train())["status"] == "SUCCEEDED"
        assert query(submit())["task_status"] == "RUNNING"
        assert [job.output for job in kit.jobs] == [f"facechain-finetune-{kit.jobs[0].id}"]


@pytest.mark.parametrize(
    ("call", "problem"),
    [
        (lambda kit: kit.plan_next_job(images=["ok"]), "plan has no field 'images'"),
        (lambda kit: kit.plan_next_job(outcom="FAILED"), "plan has no field 'outcom'; nearest is 'outcome'"),
        (lambda kit: kit.add_asset("me.jpg", widht=9), "picture has no property 'widht'; nearest is 'width'"),
        (lambda kit: kit.add_asset("me.jpg", faces="two"), "faces is 'two'; it is a whole number"),
        (lambda kit: kit.add_asset("me.jpg", file=b"", faces=-1), "faces is -1"),
        (lambda _kit: Facechain(training={"progresion": "immediate"}), "nearest is 'progression'"),
        (lambda _kit: Facechain(assets="no/such/folder"), "'no/such/folder' is not a folder"),
        (lambda _kit: Facechain(unknown_images="ignore"), "it is one of accept, refuse"),
        (lambda _kit: Facechain(event_url="https://example.com/"), "event-url"),
    ],
)
def test_what_cannot_be_is_refused_by_name(call: Any, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        call(Facechain())


def test_a_url_shows_what_somebody_says_of_it() -> None:
    with mock_facechain() as kit:
        assert kit.add_asset("two.jpg", faces=2) == "https://assets.facechain.test/two.jpg"
        assert reason_of("https://assets.facechain.test/two.jpg") == "more than one face detected"
        assert kit.add_asset("https://photos.example/me", width=100) == "https://photos.example/me"
        assert reason_of("https://photos.example/me") == "image resolution out of range"
        assert reason_of("https://photos.example/you") == ""


def test_a_url_shows_what_the_header_of_a_file_says(tmp_path: Path) -> None:
    photo = FaceChainProvider(Generator()).facechain_photo(format="png", width=200, height=300)
    file = tmp_path / "me.png"
    file.write_bytes(photo)
    with mock_facechain() as kit:
        assert reason_of(kit.add_asset("a", file=photo)) == "image resolution out of range"
        assert reason_of(kit.add_asset("b", file=file)) == "image resolution out of range"
        assert reason_of(kit.add_asset("c", file=str(file), width=300, face_px=150)) == ""
        assert reason_of(kit.add_asset("d", file=photo[:50])) == "image format not supported"
        with pytest.raises(FileNotFoundError):
            kit.add_asset("e", file=tmp_path / "you.png")


def test_a_folder_of_photos_stands_behind_the_assets(tmp_path: Path) -> None:
    good, small = (FaceChainProvider(Generator()).facechain_photo(format="png", width=side) for side in (300, 200))
    (tmp_path / "good.png").write_bytes(good)
    (tmp_path / "small.png").write_bytes(small)
    with mock_facechain(assets=str(tmp_path)):
        assert reason_of("https://assets.facechain.test/good.png") == ""
        assert reason_of("https://assets.facechain.test/small.png") == "image resolution out of range"


def test_a_photo_that_nobody_declared_can_be_refused() -> None:
    with mock_facechain(unknown_images="refuse") as kit:
        assert reason_of("https://photos.example/me.jpg") != ""
        assert reason_of(kit.add_asset("https://photos.example/me.jpg")) == ""


def test_a_likeness_can_be_had_without_a_training() -> None:
    body = {**BODY, "resources": [{"resource_id": "my-likeness", "resource_type": "facelora"}]}
    with mock_facechain(clock="frozen") as kit:
        assert requests.post(SUBMIT, json=body, headers=HEADERS).status_code == 403
        assert kit.add_resource("my-likeness") == "my-likeness"
        assert requests.post(SUBMIT, json=body, headers=HEADERS).status_code == 200


@pytest.mark.parametrize("on_a_port", [False, True])
def test_an_event_tells_that_a_task_has_ended(on_a_port: bool) -> None:
    events: Queue[dict[str, Any]] = Queue()

    class Bus(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            events.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_words: object) -> None:
            """The test prints nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Bus) as bus:
        Thread(target=bus.serve_forever, daemon=True).start()
        with mock_facechain(event_url=f"http://127.0.0.1:{bus.server_port}/", plan={"progression": "immediate"}) as kit:
            url = kit.base_url if on_a_port else VENDOR_URL
            answer = requests.post(f"{url}/services/aigc/album/gen_potrait", json=BODY, headers=HEADERS).json()
            event = events.get(timeout=10)
        bus.shutdown()
    assert event["type"] == "dashscope:System:AsyncTaskFinish"
    assert event["data"]["task_id"] == answer["output"]["task_id"]
    assert event["data"]["task_status"] == "SUCCEEDED"
    assert events.empty()
