"""Whatever two accounts do with their trainings, in any order: one runs, none goes back, a likeness is there or not."""

from __future__ import annotations

from dataclasses import dataclass
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
from mock_server.core.lifecycle import CANCELING_MS
from mock_server.core.model import TRAINING_MODEL
from tests.conftest import START_MS, Vendor
from tests.likenesses import NO_FACE, PHOTO, cancel_job, delete_job, get_job, jobs, likeness, portrait, rule_of, train

HOUR = 3_600_000
ACCOUNTS = {"sk-a1": "a", "sk-a2": "a", "sk-b1": "b"}
MODEL = catalogue.limits()["models"][TRAINING_MODEL]
PER_SECOND, QUOTA = MODEL["submissions_per_second"], MODEL["jobs_per_user"]
ENDS = {"SUCCEEDED", "FAILED", "CANCELED"}
NEXT = {
    "PENDING": {"RUNNING", "CANCELING", *ENDS},
    "QUEUING": {"RUNNING", "CANCELING", *ENDS},
    "RUNNING": {"CANCELING", *ENDS},
    "CANCELING": {"CANCELED"},
    **{end: set[str]() for end in ENDS},
}
"""What may be seen after each status; a job that is not looked at for a while may have gone through several."""

durations = st.sampled_from([0, 1, 999, 1_000, 1_001, 5_000])
outcomes = st.sampled_from([{"status": "SUCCEEDED"}, {"status": "SUCCEEDED"}, {"error": "algo_error"}])
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
photos = st.lists(st.sampled_from([PHOTO, PHOTO, PHOTO, NO_FACE]), min_size=1, max_size=3)


@dataclass
class Seen:
    """What the test knows of one job."""

    account: str
    statuses: list[str]
    photos: list[str]
    end: dict[str, Any] | None = None
    """What was shown after its end, the first time."""
    is_deleted: bool = False
    is_stopped: bool = False
    """Whether it was told to stop."""


class Trainers(RuleBasedStateMachine):
    """Two accounts with three keys; time is moved by the test alone, forward or, if allowed, back."""

    vendor: Vendor
    goes_back = False

    def __init__(self) -> None:
        super().__init__()
        self.jobs: dict[str, Seen] = {}
        self.admitted: dict[str, list[int]] = {"a": [], "b": []}

    @initialize()
    def start(self) -> None:
        self.vendor.clock.reset()
        self.session = self.vendor.of_session(uuid4().hex)

    @property
    def now_ms(self) -> int:
        return self.vendor.clock.now_ms()

    def job(self, pick: int) -> tuple[str, Seen]:
        return list(self.jobs.items())[pick % len(self.jobs)]

    def key_of(self, account: str) -> str:
        return next(key for key, owner in ACCOUNTS.items() if owner == account)

    def own(self, account: str) -> dict[str, Seen]:
        """The jobs of an account that were not deleted."""
        return {job_id: seen for job_id, seen in self.jobs.items() if seen.account == account and not seen.is_deleted}

    def note(self, job_id: str, job: dict[str, Any]) -> None:
        seen, status = self.jobs[job_id], job["status"]
        before = seen.statuses[-1]
        assert status == before or status in NEXT[before], f"{before} became {status}"
        assert status not in ("CANCELING", "CANCELED") or seen.is_stopped
        if seen.end is not None:
            assert job == seen.end, "an end is final"
        elif status in ENDS:
            seen.end = job
            assert status != "SUCCEEDED" or (NO_FACE not in seen.photos and not seen.is_stopped)
        seen.statuses.append(status)

    @rule(key=keys, plan=plans, files=photos)
    def create(self, key: str, plan: dict[str, Any], files: list[str]) -> None:
        self.session.admin("DELETE", "plans")
        account = ACCOUNTS[key]
        answer = train(self.session, *files, plan=plan, key=key)
        if answer.status_code == 429 and rule_of(answer) == "rate.jobs":
            recent = [at for at in self.admitted[account] if self.now_ms - 1_000 < at <= self.now_ms]
            assert len(recent) >= PER_SECOND or self.goes_back
            return
        self.admitted[account].append(self.now_ms)
        if answer.status_code == 429:
            assert rule_of(answer) == "job.quota"
            assert len(self.own(account)) >= QUOTA
            return
        job = answer.get_json()["output"]
        assert job["job_id"] not in self.jobs, "no id names two jobs"
        assert job["status"] in ("PENDING", "QUEUING")
        self.jobs[job["job_id"]] = Seen(account, [job["status"]], files)

    @precondition(lambda self: self.jobs)
    @rule(pick=picks, key=keys)
    def get(self, pick: int, key: str) -> None:
        job_id, seen = self.job(pick)
        answer = get_job(self.session, job_id, key=key)
        if seen.is_deleted or ACCOUNTS[key] != seen.account:
            assert answer.status_code == 404
        else:
            self.note(job_id, answer.get_json()["output"])

    @rule(key=keys)
    def list_(self, key: str) -> None:
        listed = jobs(self.session, "page_size=100", key=key)
        found = [job["job_id"] for job in listed["jobs"]]
        assert found == list(reversed(self.own(ACCOUNTS[key]))), "a job was lost, or is another account's"
        assert listed["total"] == len(found)
        for job in listed["jobs"]:
            self.note(job["job_id"], job)
        assert sum(job["status"] in ("RUNNING", "CANCELING") for job in listed["jobs"]) <= 1

    @precondition(lambda self: self.jobs)
    @rule(pick=picks, key=keys)
    def cancel(self, pick: int, key: str) -> None:
        job_id, seen = self.job(pick)
        answer = cancel_job(self.session, job_id, key=key)
        if seen.is_deleted or ACCOUNTS[key] != seen.account:
            assert answer.status_code == 404
        elif answer.status_code == 200:
            assert not seen.is_stopped
            assert seen.statuses[-1] not in ENDS
            seen.is_stopped = True
        else:
            assert seen.is_stopped or self.shown(job_id)["status"] in ENDS

    @precondition(lambda self: self.jobs)
    @rule(pick=picks, key=keys)
    def delete(self, pick: int, key: str) -> None:
        job_id, seen = self.job(pick)
        answer = delete_job(self.session, job_id, key=key)
        if seen.is_deleted or ACCOUNTS[key] != seen.account:
            assert answer.status_code == 404
            return
        assert answer.status_code == 200 or self.shown(job_id)["status"] in ENDS
        if answer.status_code == 200:
            assert self.vendor.settings.behaviour or seen.statuses[-1] not in ENDS
            seen.is_deleted = True

    @precondition(lambda self: self.jobs)
    @rule(pick=picks, key=keys)
    def use_likeness(self, pick: int, key: str) -> None:
        job_id, seen = self.job(pick)
        answer = self.session.submit(portrait(likeness(job_id)), key=key)
        if answer.status_code == 429:
            return
        is_there = not seen.is_deleted and ACCOUNTS[key] == seen.account
        is_good = is_there and self.shown(job_id)["status"] == "SUCCEEDED"
        assert (answer.status_code == 200) == is_good, answer.headers.get("x-mock-reason")
        if not is_good:
            assert rule_of(answer) == "resource.known"

    @precondition(lambda self: self.jobs)
    @rule(pick=picks)
    def release(self, pick: int) -> None:
        job_id, seen = self.job(pick)
        answer = self.session.admin("POST", f"tasks/{job_id}/release")
        assert answer.status_code in ((404,) if seen.is_deleted else (200, 400))

    @rule(by_ms=st.sampled_from([1, 500, 999, 1_000, 1_000, CANCELING_MS, 5_000]))
    def wait(self, by_ms: int) -> None:
        self.vendor.later(by_ms)

    @rule(by_ms=st.sampled_from([60_000, HOUR, 24 * HOUR]))
    def wait_long(self, by_ms: int) -> None:
        self.vendor.later(by_ms)

    @precondition(lambda self: self.goes_back)
    @rule()
    def go_back(self) -> None:
        self.vendor.clock.reset()
        assert self.now_ms == START_MS

    @invariant()
    def no_two_jobs_of_an_account_run(self) -> None:
        if not hasattr(self, "session"):
            return
        kept = list(self.world().jobs())
        for account in ACCOUNTS.values():
            own = [job for owner, job in kept if owner == account]
            assert sum(job.status == "RUNNING" for job in own) <= 1
            if self.goes_back:
                continue
            spans = sorted(
                (job.scheduled_ms, self.now_ms if job.ended_ms is None else job.ended_ms)
                for job in own
                if job.scheduled_ms is not None
            )
            assert all(end <= start for (_, end), (start, _) in pairwise(spans)), "two ran at once"

    def world(self) -> Any:
        return self.vendor.app.extensions["facechain-simulator"].worlds.open(self.session.session)

    def shown(self, job_id: str) -> dict[str, Any]:
        """The job as the admin API shows it, which counts as no look at it."""
        shown: dict[str, Any] = self.session.admin("GET", f"tasks/{job_id}").get_json()
        return shown

    def teardown(self) -> None:
        """In the end every job has ended, and those that succeeded are good for portraits."""
        if not hasattr(self, "session"):
            return
        for job_id in self.jobs:
            self.session.admin("POST", f"tasks/{job_id}/release")
        self.vendor.clock.advance("90d")  # past every moment that the clock has seen, if it went back
        for account in dict.fromkeys(ACCOUNTS.values()):
            key = self.key_of(account)
            for job_id, seen in self.own(account).items():
                for _ in range(8):
                    self.vendor.later(HOUR)
                    self.note(job_id, get_job(self.session, job_id, key=key).get_json()["output"])
                assert seen.statuses[-1] in ENDS
                is_good = self.session.submit(portrait(likeness(job_id)), key=key).status_code == 200
                assert is_good == (seen.statuses[-1] == "SUCCEEDED")
        self.no_two_jobs_of_an_account_run()


class TrainersOfAClockThatGoesBack(Trainers):
    goes_back = True


@pytest.mark.parametrize("choice", ["live", "any"])
@pytest.mark.parametrize("trainers", [Trainers, TrainersOfAClockThatGoesBack])
def test_no_order_of_events_breaks_a_promise(trainers: type[Trainers], choice: str) -> None:
    behaviour = {} if choice == "live" else {"finetune-delete": choice}
    trainers.vendor = Vendor(api_key=ACCOUNTS, behaviour=behaviour)
    run_state_machine_as_test(
        trainers,
        settings=settings(
            max_examples=40,
            stateful_step_count=30,
            derandomize=True,
            deadline=None,
            database=None,
            phases=[Phase.generate],  # to shrink a failure takes minutes; it is short enough as it is
            suppress_health_check=list(HealthCheck),
        ),
    )
