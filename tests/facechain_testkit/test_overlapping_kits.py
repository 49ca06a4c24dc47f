"""Kits and tasks that overlap: what stops out of turn is put back, and what nobody queries holds up nobody."""

from __future__ import annotations

import os

import pytest
import requests

from contracts import catalogue
from facechain_testkit import Facechain
from facechain_testkit.client import PortraitClient

ORDER = catalogue.examples("portrait-request")["good"]["preset-style"]


def client_of(facechain: Facechain) -> PortraitClient:
    clock = facechain.clock
    return PortraitClient(api_key=facechain.api_key, sleep=clock.advance, now=lambda: clock.now_ms() / 1000)


def test_kits_that_stop_out_of_turn_put_everything_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DASHSCOPE_API_KEY", raising=False)
    find_adapter = requests.Session.get_adapter
    first, second = Facechain().start(), Facechain().start()
    first.stop()
    assert client_of(second).submit(ORDER), "the later kit still answers"
    second.stop()
    assert requests.Session.get_adapter is find_adapter
    assert "DASHSCOPE_API_KEY" not in os.environ


def test_a_task_that_nobody_queries_holds_up_no_other_one() -> None:
    with Facechain() as facechain:
        client = client_of(facechain)
        client.submit(ORDER)
        second = client.submit(ORDER)
        assert client.wait(second, deadline_s=60).status == "SUCCEEDED"
        assert [task.status for task in facechain.tasks] == ["SUCCEEDED", "SUCCEEDED"]


def test_tasks_that_are_queried_in_turn_keep_their_own_pace() -> None:
    plan = {"progression": "polls", "pending": 0, "running": 3}
    with Facechain(plan=plan, limits="documented") as facechain:
        client = client_of(facechain)
        tasks = [client.submit(ORDER), client.submit(ORDER)]
        headers = {"Authorization": f"Bearer {facechain.api_key}"}
        seen: list[list[str]] = [[], []]
        for _ in range(4):
            for task, met in zip(tasks, seen, strict=True):
                facechain.clock.advance(1)
                answer = requests.get(f"https://dashscope.aliyuncs.com/api/v1/tasks/{task}", headers=headers, timeout=5)
                met.append(answer.json()["output"]["task_status"])
    assert seen[0] == ["RUNNING", "RUNNING", "RUNNING", "SUCCEEDED"]
    assert seen[1][:3] == ["PENDING", "PENDING", "PENDING"]


def test_handles_stay_good_after_a_reset() -> None:
    with Facechain() as facechain:
        faults, journal = facechain.faults, facechain.journal
        facechain.reset()
        faults.add("submit", "status", error="rate_quota", times=1)
        answer = requests.post(
            "https://dashscope.aliyuncs.com/api/v1/services/aigc/album/gen_potrait",
            json=ORDER,
            headers={"Authorization": "Bearer sk-mock", "X-DashScope-Async": "enable"},
            timeout=5,
        )
        assert (answer.status_code, len(journal)) == (429, 1)


def test_an_unknown_level_is_refused() -> None:
    with Facechain() as facechain, pytest.raises(ValueError, match="level is 'shuld'; it is one of must, should, may"):
        facechain.assert_clean("shuld")
