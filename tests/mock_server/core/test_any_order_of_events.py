"""Whatever clients and tests do, in any order: one running task, two windows, no task lost, none moved back."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from contracts import catalogue
from tests.conftest import PRESET, START_MS, Vendor

HOUR = 3_600_000
ORDER = ["PENDING", "RUNNING", "SUCCEEDED"]
FINAL = {"SUCCEEDED", "FAILED", "CANCELED"}
ACCOUNTS = {"sk-a1": "a", "sk-a2": "a", "sk-b1": "b"}
LIMITS = catalogue.limits()
SUBMISSIONS = LIMITS["models"]["facechain-generation"]["submissions_per_second"]
TASK_CALLS = LIMITS["task_calls_per_second"]

durations = st.sampled_from([0, 1, 200, 999, 1_000, 1_001, 5_000])
outcomes = st.sampled_from(
    [
        {"status": "SUCCEEDED"},
        {"error": "algo_error"},
        {"images": ["ok", {"error": "output_inspection"}]},
        {"images": [{"error": "output_inspection"}] * 4},
    ]
)
plans = st.one_of(
    st.fixed_dictionaries({"progression": st.just("time"), "pending_ms": durations, "running_ms": durations}),
    st.fixed_dictionaries(
        {"progression": st.just("polls"), "pending": st.integers(0, 2), "running": st.integers(0, 2)}
    ),
    st.fixed_dictionaries(
        {"progression": st.just("hold"), "in": st.sampled_from(["PENDING", "RUNNING"]), "running_ms": durations}
    ),
    st.just({"progression": "immediate"}),
).flatmap(lambda plan: outcomes.map(lambda outcome: {**plan, "outcome": outcome}))
keys = st.sampled_from(sorted(ACCOUNTS))
picks = st.integers(0, 99)


@dataclass
class Seen:
    """What the test knows of one task."""

    account: str
    submitted_ms: int
    statuses: list[str] = field(default_factory=lambda: ["PENDING"])
    answer: dict[str, Any] | None = None
    """The first answer after its end."""


class Clients(RuleBasedStateMachine):
    """Two accounts with three keys; time is moved by the test alone, forward or, if allowed, back."""

    vendor: Vendor
    goes_back = False

    def __init__(self) -> None:
        super().__init__()
        self.tasks: dict[str, Seen] = {}
        self.submissions: dict[str, list[int]] = {"a": [], "b": []}
        self.calls: dict[str, list[int]] = {"a": [], "b": []}

    @initialize()
    def start(self) -> None:
        self.vendor.clock.reset()
        self.session = self.vendor.of_session(uuid4().hex)

    @property
    def now_ms(self) -> int:
        return self.vendor.clock.now_ms()

    def task(self, pick: int) -> tuple[str, Seen]:
        return list(self.tasks.items())[pick % len(self.tasks)]

    def key_of(self, account: str) -> str:
        return next(key for key, owner in ACCOUNTS.items() if owner == account)

    def admitted(self, record: list[int], limit: int, status: int) -> bool:
        """Judge 429 or not against everything admitted so far, and note an admission."""
        if not self.goes_back:
            taken = sum(self.now_ms - 1_000 < at <= self.now_ms for at in record)
            assert (status == 429) == (taken >= limit)
        if status != 429:
            record.append(self.now_ms)
        return status != 429

    @rule(key=keys, wanted=st.lists(st.tuples(plans, st.integers(0, 4)), min_size=1, max_size=4))
    def submit(self, key: str, wanted: list[tuple[dict[str, Any], int]]) -> None:
        self.session.admin("DELETE", "plans")
        for plan, n in wanted:
            body = {**PRESET, "parameters": {"style": "f_idcard_male", "n": n}}
            answer = self.session.submit(body, plan=plan, key=key)
            if self.admitted(self.submissions[ACCOUNTS[key]], SUBMISSIONS, answer.status_code):
                assert answer.status_code == (200 if n else 400)
            if answer.status_code == 200:
                self.tasks[answer.get_json()["output"]["task_id"]] = Seen(ACCOUNTS[key], self.now_ms)

    @precondition(lambda self: self.tasks)
    @rule(pick=picks, key=keys)
    def query(self, pick: int, key: str) -> None:
        task_id, seen = self.task(pick)
        answer = self.session.query(task_id, key=key)
        if not self.admitted(self.calls[ACCOUNTS[key]], TASK_CALLS, answer.status_code):
            return
        output = answer.get_json()["output"]
        if ACCOUNTS[key] != seen.account:
            assert output == {"task_id": task_id, "task_status": "UNKNOWN"}
        else:
            self.note(seen, answer.get_json())

    def note(self, seen: Seen, answer: dict[str, Any]) -> None:
        status = answer["output"]["task_status"]
        if seen.answer is not None:
            now = {name: value for name, value in answer.items() if name != "request_id"}
            assert now == seen.answer or status == "UNKNOWN", "an end is final"
        elif status in FINAL:
            seen.answer = {name: value for name, value in answer.items() if name != "request_id"}
        self.step(seen, status)

    def step(self, seen: Seen, status: str) -> None:
        before = seen.statuses[-1]
        assert before not in FINAL or status in (before, "UNKNOWN")
        assert before != "UNKNOWN" or status == "UNKNOWN" or self.goes_back
        if before == "RUNNING":
            assert status not in ("PENDING", "CANCELED")
        seen.statuses.append(status)

    @rule(key=keys)
    def list_(self, key: str) -> None:
        answer = self.session.list("page_size=100", key=key)
        if not self.admitted(self.calls[ACCOUNTS[key]], TASK_CALLS, answer.status_code):
            return
        listed = {row["task_id"]: row for row in answer.get_json()["data"]}
        assert {self.tasks[task_id].account for task_id in listed} <= {ACCOUNTS[key]}
        for task_id, row in listed.items():
            self.step(self.tasks[task_id], row["status"])
        assert sum(row["status"] == "RUNNING" for row in listed.values()) <= 1
        if not self.goes_back:
            recent = {
                task_id
                for task_id, seen in self.tasks.items()
                if seen.account == ACCOUNTS[key] and self.now_ms - seen.submitted_ms < 24 * HOUR
            }
            assert recent <= listed.keys(), "a task was lost"

    @precondition(lambda self: self.tasks)
    @rule(pick=picks)
    def cancel(self, pick: int) -> None:
        task_id, seen = self.task(pick)
        answer = self.session.cancel(task_id, key=self.key_of(seen.account))
        if not self.admitted(self.calls[seen.account], TASK_CALLS, answer.status_code):
            return
        if answer.status_code == 200:
            assert seen.statuses[-1] == "PENDING"
            self.step(seen, "CANCELED")

    @precondition(lambda self: self.tasks)
    @rule(pick=picks)
    def release(self, pick: int) -> None:
        task_id, _ = self.task(pick)
        assert self.session.admin("POST", f"tasks/{task_id}/release").status_code in (200, 400, 404)

    @precondition(lambda self: self.tasks)
    @rule(pick=picks, plan=plans)
    def replan(self, pick: int, plan: dict[str, Any]) -> None:
        task_id, _ = self.task(pick)
        assert self.session.admin("PUT", f"tasks/{task_id}", {"plan": plan}).status_code in (200, 400, 404)

    @rule(by_ms=st.sampled_from([1, 500, 999, 1_000, 1_000, 5_000]))
    def wait(self, by_ms: int) -> None:
        self.vendor.later(by_ms)

    @rule(by_ms=st.sampled_from([60_000, HOUR, 3 * HOUR, 24 * HOUR - 1, 24 * HOUR]))
    def wait_long(self, by_ms: int) -> None:
        self.vendor.later(by_ms)

    @precondition(lambda self: self.goes_back)
    @rule()
    def move_the_clock_back(self) -> None:
        self.vendor.clock.reset()
        assert self.now_ms == START_MS

    @invariant()
    def no_two_tasks_of_an_account_run(self) -> None:
        if not hasattr(self, "session"):
            return
        tasks = list(self.vendor_world().tasks())
        for account in ACCOUNTS.values():
            running = [task for owner, task in tasks if owner == account and task.status == "RUNNING"]
            assert len(running) <= 1
        if self.goes_back:
            return
        spans = sorted(
            (task.scheduled_ms, task.ended_ms or self.now_ms, owner)
            for owner, task in tasks
            if task.scheduled_ms is not None
        )
        for account in ACCOUNTS.values():
            own = [(start, end) for start, end, owner in spans if owner == account]
            assert all(end <= start for (_, end), (start, _) in pairwise(own)), "two ran at once"

    @invariant()
    def no_second_has_more_submissions_or_calls_than_allowed(self) -> None:
        if self.goes_back:
            return
        for records, limit in ((self.submissions, SUBMISSIONS), (self.calls, TASK_CALLS)):
            for record in records.values():
                assert all(sum(start <= at < start + 1_000 for at in record) <= limit for start in record[-limit:])

    def vendor_world(self) -> Any:
        simulator = self.vendor.app.extensions["facechain-simulator"]
        return simulator.worlds.open(self.session.session)

    def teardown(self) -> None:
        """In the end every task is known, and a day after its end none is."""
        if self.goes_back or not hasattr(self, "session"):
            return
        for task_id in self.tasks:
            self.session.admin("POST", f"tasks/{task_id}/release")
        self.vendor.later(4 * HOUR)
        self.session.admin("GET", "tasks")  # settles them all
        self.no_two_tasks_of_an_account_run()
        for task_id, seen in self.tasks.items():
            self.vendor.later(50)
            output = self.session.output(task_id, key=self.key_of(seen.account))
            known = self.now_ms - seen.submitted_ms < 24 * HOUR
            assert output["task_status"] in (FINAL if known else {*FINAL, "UNKNOWN"})
        self.vendor.later(24 * HOUR)
        for task_id, seen in self.tasks.items():
            self.vendor.later(50)
            assert self.session.status(task_id, key=self.key_of(seen.account)) == "UNKNOWN"


class ClientsOfAClockThatGoesBack(Clients):
    goes_back = True


@pytest.mark.parametrize("clients", [Clients, ClientsOfAClockThatGoesBack])
def test_no_order_of_events_breaks_a_promise(clients: type[Clients]) -> None:
    clients.vendor = Vendor(api_key=ACCOUNTS)
    run_state_machine_as_test(
        clients,
        settings=settings(
            max_examples=40,
            stateful_step_count=25,
            derandomize=True,
            deadline=None,
            database=None,
            phases=[Phase.generate],  # to shrink a failure takes minutes; it is short enough as it is
            suppress_health_check=list(HealthCheck),
        ),
    )
