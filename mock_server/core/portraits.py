"""Submitting a portrait task: from a request to an accepted task, in the vendor's order of checks."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NoReturn

from contracts import catalogue, validation
from mock_server.core import lifecycle, quota
from mock_server.core.gateway import Call, shown
from mock_server.core.model import Account, Task, VendorError
from mock_server.core.plans import Outcome, Plan

MODEL = "facechain-generation"
MOST_TASKS = 1_000_000
SMALL_BODY = 4_096
_DEFERRED_MS = 100


@dataclass(frozen=True, slots=True)
class Submission:
    """What a good submission asks for. ``failing`` is the refusal that was put off until the task runs."""

    style: str
    n: int
    failing: VendorError | None = None


def submit(call: Call) -> dict[str, Any]:
    """``POST /api/v1/services/aigc/album/gen_potrait``. Raises VendorError."""
    _require_async(call)
    limits = catalogue.limits()["models"][MODEL]
    judged = _judge(call)

    def step(account: Account) -> Task | VendorError:
        if call.terms.limits:
            admitted = quota.admit(account.submissions_ms, call.now_ms, limits["submissions_per_second"])
            if admitted is None:
                return VendorError(
                    "rate_quota",
                    rule="rate.submissions",
                    problem=f"{limits['submissions_per_second']} submissions were taken within the last second; "
                    "wait a second",
                )
            account.submissions_ms = admitted
        if isinstance(judged, VendorError):
            return judged
        return _accept(call, account, judged)

    task = call.world.change(call.key.account, step)
    if isinstance(task, VendorError):
        raise task
    return {"output": {"task_status": "PENDING", "task_id": task.id}, "request_id": call.request_id}


def _require_async(call: Call) -> None:
    given = call.request.headers.get("x-dashscope-async")
    value = (given or "").strip().lower()
    if value == "enable":
        return
    place = "header X-DashScope-Async"
    if value in ("", "disable"):
        problem = "is missing" if given is None else f"is {shown(given)}"
        raise VendorError(
            "sync_not_supported", rule="async.header.required", place=place, problem=f"{problem}; send enable"
        )
    raise VendorError(
        "async_header_invalid",
        rule="async.header.value",
        place=place,
        problem=f"is {shown(given)}; send enable",
    )


def _judge(call: Call) -> Submission | VendorError:
    body = call.request.body
    choices = tuple(sorted(call.terms.behaviours.items()))
    judge = _remembered if len(body) <= SMALL_BODY else judged_body
    return judge(body, choices)


def judged_body(body: bytes, choices: tuple[tuple[str, str], ...]) -> Submission | VendorError:
    """What the bytes of a submission amount to, under the behaviours chosen."""
    try:
        return _read(body, dict(choices))
    except VendorError as error:
        return error


_remembered = lru_cache(maxsize=256)(judged_body)


def _read(body: bytes, behaviours: dict[str, str]) -> Submission:
    most = int(catalogue.limits()["body_bytes"])
    if len(body) > most:
        raise VendorError("too_large", rule="body.size", place="body", problem=f"is larger than {most} bytes")
    content = parse(body)
    if not isinstance(content, dict):
        raise VendorError(
            "illegal_input", rule="body.object", place="body", problem=f"is {shown(content)}, not an object"
        )
    _check_model(content.get("model"))
    contract = validation.RequestContract(behaviours)
    if contract.is_valid(content):
        parameters = content["parameters"]
        return Submission(parameters.get("style", ""), int(parameters.get("n", 4)))
    first, *others = contract.violations(content)
    error = VendorError(
        catalogue.rules()[first.rule].error or "request_invalid",
        rule=first.rule,
        place=first.place,
        problem=first.problem + (f"; and {len(others)} more" if others else ""),
        **first.details,
    )
    if behaviours["validation-timing"] == "deferred":
        return Submission("", 1, error)
    raise error


def parse(body: bytes) -> object:
    """The JSON in ``body``, strictly: UTF-8, no NaN, no infinity. Raises VendorError that says where it broke."""
    try:
        return json.loads(body.decode("utf-8"), parse_constant=_refuse_constant)
    except UnicodeDecodeError as error:
        problem = f"is not UTF-8 at byte {error.start}"
    except RecursionError:
        problem = "is nested too deeply"
    except json.JSONDecodeError as error:
        problem = f"is not JSON: {error.msg} at line {error.lineno} column {error.colno}"
    except ValueError as error:
        problem = f"is not JSON: {error}"
    raise VendorError("body_invalid", rule="body.json", place="body", problem=problem)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _check_model(model: object) -> None:
    if model is None or model == "":
        raise VendorError("empty_model", rule="model.missing", place="model", problem=f"is missing; it is {MODEL}")
    if model == MODEL:
        return
    if isinstance(model, str) and model in catalogue.limits()["models"]:
        raise VendorError(
            "url_error",
            rule="model.route",
            place="model",
            problem=f"is {model}, which has a route of its own",
        )
    raise VendorError("model_not_exist", rule="model.known", place="model", problem=f"is {shown(model)}; it is {MODEL}")


def _accept(call: Call, account: Account, submission: Submission) -> Task | VendorError:
    lifecycle.settle(account, call.now_ms)
    if call.terms.behaviours["second-task"] == "reject" and account.queue:
        return VendorError(
            "concurrency",
            rule="concurrency.running",
            problem=f"task {account.queue[0].id} has not ended, and second-task=reject is chosen",
        )
    if not _make_room(account, call.now_ms):
        return VendorError(
            "throttling", rule="mock.tasks", problem=f"{MOST_TASKS} tasks of this account have not ended"
        )
    task = Task(
        id=call.world.new_id(),
        key_id=call.key.id,
        request_id=call.request_id,
        style=submission.style,
        n=submission.n,
        submitted_ms=call.now_ms,
        plan=_plan(call, submission),
        queued=call.terms.limits,
    )
    account.tasks[task.id] = task
    if task.queued:
        account.queue.append(task)
    return task


def _plan(call: Call, submission: Submission) -> Plan:
    failing = submission.failing
    if failing is not None:
        details = tuple((name, str(value)) for name, value in failing.details.items())
        return Plan(running_ms=_DEFERRED_MS, outcome=Outcome("FAILED", failing.reason, details=details))
    return call.world.next_plan() or call.terms.plan


def _make_room(account: Account, now_ms: int) -> bool:
    """Drop the oldest tasks that nobody can ask for any more; False when the account is full of live ones."""
    tasks = account.tasks
    while tasks:
        oldest = next(iter(tasks.values()))
        if not oldest.queued:
            lifecycle.settle_alone(oldest, now_ms)
        if not (lifecycle.is_forgotten(oldest, now_ms) or (len(tasks) >= MOST_TASKS and oldest.ended_ms)):
            break
        del tasks[oldest.id]
    return len(tasks) < MOST_TASKS
