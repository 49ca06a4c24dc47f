"""Training a likeness: create a job, look at it, list, cancel and delete jobs, read their logs."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any

from contracts import catalogue
from mock_server.core import gallery, lifecycle, submission
from mock_server.core.faults import KINDS, ON_THE_WIRE, REFUSING, SPOILING
from mock_server.core.gallery import Shown
from mock_server.core.gateway import Call, count, last_values, shown, worded
from mock_server.core.model import TRAINING_MODEL, Account, Job, Lane, Reply, TaskStatus, VendorError
from mock_server.core.pictures import FINE
from mock_server.core.portraits import spoiled_plan
from mock_server.core.scenarios import Asked, plan_of
from mock_server.core.submission import Submission
from mock_server.core.tasks import page_asked, scenarios_met, vendor_time, whole

_ODD = 40_503
"""Numbers times an odd one, cut to four hex digits, come round only after all 65,536."""

_ATTEMPTS = 32
"""So many ids of a minute are tried before those of the next one."""

MOST_JOB_BYTES = 65_536
"""A training is kept for ever, with all that was said of it."""

_LIVE = frozenset({"PENDING", "QUEUING", "RUNNING", "CANCELING"})


def create(call: Call) -> dict[str, Any]:
    """``POST /api/v1/fine-tunes``. Raises VendorError."""
    submitted = submission.judged(call, TRAINING_MODEL)
    call.trace.intent = submitted.intent

    def step(account: Account) -> tuple[Job, dict[str, Any]]:
        limit = int(call.terms.behaviours["finetune-rps"])
        count(call, account, "jobs", rule="rate.jobs", limit=limit, what="trainings")
        job = _accept(call, account, submitted)
        return job, _shown(call, job)

    job, output = call.change(step)
    submission.enter(call, submitted, job)
    return {"request_id": call.request_id, "output": output}


def _accept(call: Call, account: Account, submitted: Submission) -> Job:
    if submitted.refused is not None:
        raise submitted.refused.again()
    if len(json.dumps(submitted.content)) > MOST_JOB_BYTES:
        problem = f"is larger than {MOST_JOB_BYTES} bytes, which is all that the mock keeps of a training"
        raise VendorError("too_large", rule="mock.job-size", place="body", problem=problem)
    asked, is_queued = submission.require_good_standing(call, submitted, TRAINING_MODEL)
    files = tuple(submitted.content["training_file_ids"])
    flaw = _first_flaw(call, account, files)
    if flaw is not None and call.terms.behaviours["picture-timing"] == "submit":
        raise flaw
    if flaw is not None:
        call.trace.explain(flaw.rule, flaw.place, flaw.problem)
    call.strike_down("submit", KINDS)
    _require_slot(call, account.trainings)
    if is_queued:
        call.world.take_plan(TRAINING_MODEL)
    usual = call.terms.training
    plan = plan_of(asked or Asked(scenario=call.key.scenario), usual, TRAINING_MODEL) or usual
    job = Job(
        id=_new_id(call, account.trainings),
        key_id=call.key.id,
        request_id=call.request_id,
        style="",
        n=0,
        submitted_ms=call.now_ms,
        plan=spoiled_plan(plan, flaw),
        scenarios=call.trace.scenarios,
        queued=call.terms.limits,
        files=files,
        validation_files=tuple(submitted.content.get("validation_file_ids") or ()),
        hyper_parameters=submitted.content.get("hyper_parameters") or {},
        waits=bool(account.trainings.queue),
    )
    account.trainings.add(job)
    return job


def _first_flaw(call: Call, account: Account, files: tuple[str, ...]) -> VendorError | None:
    """Why a picture among the files will not do. Raises VendorError when a file is none of the account's."""
    given = [Shown(f"training_file_ids.{index}", name, "detection") for index, name in enumerate(files)]
    for each in given:
        if not _is_url(each.url) and each.url not in account.files:
            near = catalogue.nearest(each.url, account.files)
            hint = f"nearest is {near!r}" if near else "upload it with POST /api/v1/files, or give a URL"
            raise VendorError(
                "resource_not_exist",
                rule="job.file.known",
                place=each.place,
                problem=f"{shown(each.url)} is no file of this account; {hint}",
            )
    gallery.require_resolving(call, given)
    flaws = [_flaw(call, account, each) for each in given]
    return next((flaw for flaw in flaws if flaw is not None), None)


def _is_url(name: str) -> bool:
    return "://" in name


def _flaw(call: Call, account: Account, given: Shown) -> VendorError | None:
    """Why this file will not do. What is in a zip nobody looks at: its pictures count as fine ones."""
    if _is_url(given.url):
        return gallery.flaw(call, account, given, TRAINING_MODEL)
    picture = account.files[given.url].picture
    return gallery.flaw_of(call, FINE if picture.format == "ZIP" else picture, given)


def _require_slot(call: Call, lane: Lane) -> None:
    lifecycle.settle(lane, call.now_ms)
    if call.terms.behaviours["second-job"] == "reject" and lane.queue:
        problem = f"job {lane.queue[0].id} has not ended, and second-job=reject is chosen"
        raise VendorError("training_throttled", rule="job.running", problem=problem)
    if call.terms.limits:
        _require_quota(lane)
    submission.make_room(lane, call.now_ms)


def _require_quota(lane: Lane) -> None:
    most = int(catalogue.limits()["models"][TRAINING_MODEL]["jobs_per_user"])
    counted = sum(job.outcome is None or job.status == TaskStatus.SUCCEEDED for job in lane.tasks.values())
    if counted >= most:
        problem = f"{counted} jobs are running or have succeeded; {most} are allowed"
        raise VendorError("training_quota", rule="job.quota", problem=problem)


def _new_id(call: Call, lane: Lane) -> str:
    """``ft-yyyyMMddHHmm-xxxx``, in the vendor's zone; a minute that is crowded lends from the next.

    65,536 trainings in a row, of whatever accounts, have four different digits each.
    """

    def tried() -> Iterator[str]:
        for attempt in itertools.count():
            minute = vendor_time(call.now_ms + attempt // _ATTEMPTS * 60_000, millis=False)[:16]
            digits = "".join(digit for digit in minute if digit.isdigit())
            yield f"ft-{digits}-{call.world.new_number() * _ODD % 65_536:04x}"

    return next(job_id for job_id in tried() if job_id not in lane.tasks)


def get(call: Call, job_id: str) -> dict[str, Any]:
    """``GET /api/v1/fine-tunes/{job_id}``. Raises VendorError (404) when the account has no such job."""
    call.trace.task_id = job_id

    def step(account: Account) -> dict[str, Any]:
        job = _known(call, account, job_id)
        call.strike_down("poll", REFUSING)
        lifecycle.look(account.trainings, job, call.now_ms)
        _explain(call, job)
        return _shown(call, job)

    output = call.change(step)
    call.strike("poll", SPOILING + ON_THE_WIRE, status=output["status"])
    call.trace.shown_status = output["status"]
    return {"request_id": call.request_id, "output": output}


def _known(call: Call, account: Account, job_id: str) -> Job:
    job = account.trainings.tasks.get(job_id)
    call.trace.scenarios = scenarios_met(call, job)
    if not isinstance(job, Job):
        near = catalogue.nearest(job_id, account.trainings.tasks)
        hint = f"; nearest is {near}" if near else ""
        raise VendorError(
            "not_found", rule="job.known", place="path job_id", problem=f"this account has no such job{hint}"
        )
    return job


def list_jobs(call: Call) -> dict[str, Any]:
    """``GET /api/v1/fine-tunes``: a page of the account's jobs, the newest first. Raises VendorError."""
    given = last_values(call.request.query)
    page_no, page_size = page_asked(given)
    model = given.get("model", TRAINING_MODEL)

    def step(account: Account) -> dict[str, Any]:
        lane = account.trainings
        lifecycle.settle_all(lane, call.now_ms)
        jobs = [job for job in reversed(lane.tasks.values()) if isinstance(job, Job) and model == TRAINING_MODEL]
        first = (page_no - 1) * page_size
        page = jobs[first : first + page_size]
        call.trace.shown_ended = tuple(job.id for job in page if job.ended_ms is not None)
        return {
            "page_no": page_no,
            "page_size": page_size,
            "total": len(jobs),
            "jobs": [_shown(call, job) for job in page],
        }

    return {"request_id": call.request_id, "output": call.change(step)}


def cancel(call: Call, job_id: str) -> dict[str, Any]:
    """``POST /api/v1/fine-tunes/{job_id}/cancel``. Raises VendorError when the job has ended."""
    call.trace.task_id = job_id

    def step(account: Account) -> None:
        job = _known(call, account, job_id)
        lifecycle.settle_one(account.trainings, job, call.now_ms)
        if lifecycle.cancel(job, call.now_ms):
            return
        if job.scheduled_ms is None or job.ended_ms is not None or job.canceled_ms is not None:
            problem = f"the job is {_status(job)}; only one that has not ended can be cancelled"
            raise VendorError("operation_unsupported", rule="job.cancel", place="path job_id", problem=problem)
        job.canceled_ms = call.now_ms

    call.change(step)
    return {"request_id": call.request_id, "output": {"status": "success"}}


def delete(call: Call, job_id: str) -> dict[str, Any]:
    """``DELETE /api/v1/fine-tunes/{job_id}``. Raises VendorError when the job has ended, unless that is allowed."""
    call.trace.task_id = job_id

    def step(account: Account) -> None:
        lane = account.trainings
        job = _known(call, account, job_id)
        lifecycle.settle_one(lane, job, call.now_ms)
        status = _status(job)
        if call.terms.behaviours["finetune-delete"] == "live" and status not in _LIVE:
            problem = f"the job is {status}; choose --behaviour finetune-delete=any to delete it all the same"
            raise VendorError("job_not_deletable", rule="job.delete", place="path job_id", problem=problem)
        if job.ended_ms is None:
            job.ended_ms, job.outcome = call.now_ms, lifecycle.CANCELED
        del lane.tasks[job_id]

    call.change(step)
    return {"request_id": call.request_id, "output": {"status": "success"}}


def logs(call: Call, job_id: str) -> dict[str, Any]:
    """``GET /api/v1/fine-tunes/{job_id}/logs``: what the job did, line by line. Raises VendorError."""
    given = last_values(call.request.query)
    lines = _read_log(call, job_id)
    base = int(call.terms.behaviours["log-offset"])
    most = int(catalogue.limits()["log_lines"])
    offset = whole(given, "offset", base, 1_000_000, least=0) - base
    line = whole(given, "line", most, most)
    output = {"total": len(lines), "logs": lines[max(offset, 0) : max(offset, 0) + line]}
    return {"request_id": call.request_id, "output": output}


def stream(call: Call, job_id: str) -> Reply:
    """``GET /api/v1/fine-tunes/{job_id}/stream``: the log so far as server-sent events. Raises VendorError."""
    events = [{"request_id": call.request_id, "output": {"message": line}} for line in _read_log(call, job_id)]
    text = "".join(f"id:{n}\nevent:result\ndata:{json.dumps(event)}\n\n" for n, event in enumerate(events, start=1))
    return Reply(200, (("content-type", "text/event-stream;charset=UTF-8"),), text.encode())


def _read_log(call: Call, job_id: str) -> list[str]:
    call.trace.task_id = job_id

    def step(account: Account) -> list[str]:
        job = _known(call, account, job_id)
        lifecycle.settle_one(account.trainings, job, call.now_ms)
        return [f"{vendor_time(at_ms)} - {text}" for at_ms, text in _events(job)]

    return call.change(step)


def _events(job: Job) -> Iterator[tuple[int, str]]:
    yield job.submitted_ms, f"INFO - job {job.id} was created"
    if job.scheduled_ms is not None:
        yield job.scheduled_ms, f"INFO - training of {job.output} begins"
        for number, _ in enumerate(job.files, start=1):
            yield job.scheduled_ms, f"INFO - photo {number} of {len(job.files)} was read"
    if job.canceled_ms is not None:
        yield job.canceled_ms, "INFO - the job was told to stop"
    if job.ended_ms is not None:
        failure = _failure(job)
        level = "ERROR" if failure else "INFO"
        why = f" {job.outcome.why[1]} {job.outcome.why[2]}" if job.outcome is not None and job.outcome.why else ""
        yield job.ended_ms, f"{level} - {job.status}" + (f": {failure['message']}{why}" if failure else "")


def _status(job: Job) -> str:
    if job.outcome is None and job.canceled_ms is not None:
        return "CANCELING"
    return "QUEUING" if job.waits and job.status == TaskStatus.PENDING else job.status


def _failure(job: Job) -> dict[str, str]:
    if job.outcome is None or job.outcome.error is None:
        return {}
    return worded(job.outcome.error, dict(job.outcome.details))


def _shown(call: Call, job: Job) -> dict[str, Any]:
    """The job under ``output``, as the vendor shows it."""
    status = _status(job)
    likeness = {"finetuned_output": job.output, "model_name": job.output}
    is_named = call.terms.behaviours["finetune-output"] == "creation" or status == TaskStatus.SUCCEEDED
    number = call.key.account_number
    output: dict[str, Any] = {
        "job_id": job.id,
        "job_name": job.id,
        "status": status,
        **(likeness if is_named else {}),
        "model": TRAINING_MODEL,
        "base_model": TRAINING_MODEL,
        "training_file_ids": list(job.files),
        "validation_file_ids": list(job.validation_files),
        "hyper_parameters": dict(job.hyper_parameters),
        "training_type": "sft",
        "create_time": vendor_time(job.submitted_ms, millis=False),
        "workspace_id": call.request.headers.get("x-dashscope-workspace") or f"llm-{number}",
        "user_identity": number,
        "modifier": number,
        "creator": number,
        "group": "facechain",
        "max_output_cnt": 1,
    }
    if job.ended_ms is not None:
        output["end_time"] = vendor_time(job.ended_ms, millis=False)
        output["usage"] = int(status == TaskStatus.SUCCEEDED)
    if status == TaskStatus.CANCELED:
        output["code"] = "1"
    return {**output, **_failure(job)} if status == TaskStatus.FAILED else output


def _explain(call: Call, job: Job) -> None:
    """Say why a job has failed, when that is for what was submitted."""
    if job.ended_ms is not None and job.outcome is not None and job.outcome.why is not None:
        call.trace.explain(*job.outcome.why)
