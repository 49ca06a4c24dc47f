"""Submitting a portrait task: from a request to an accepted task, in the vendor's order of checks."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, NoReturn

from contracts import catalogue, validation
from mock_server.core import lifecycle, quota
from mock_server.core.faults import ENDING, KINDS, LOSING, refusal
from mock_server.core.gateway import Call, shown
from mock_server.core.model import MODEL, Account, Task, VendorError
from mock_server.core.plans import Outcome, Plan
from mock_server.core.scenarios import Asked, carried_by_body, carried_by_headers, plan_of

MOST_TASKS = 1_000_000
SMALL_BODY = 4_096
MOST_DEPTH = 600
_DEFERRED_MS = 100


ACCOUNT_RULES = {
    "invalid_api_key": "auth.key.invalid",
    "access_denied": "account.approved",
    "unpurchased": "account.purchased",
    "arrearage": "account.standing",
    "free_tier_exhausted": "account.free-tier",
    "endpoint_access_denied": "account.endpoint",
}
"""The rule behind each reason for which a scenario refuses an account."""


@dataclass(frozen=True, slots=True)
class Submission:
    """What a submission asks for. ``refused`` is why it is wrong, which may come at once or with the task."""

    style: str = ""
    n: int = 1
    intent: str = ""
    """A digest of the body: two submissions with one intent ask for the same pictures."""
    scenario: str | None = None
    """The scenario that a URL's host or a resource id names."""
    refused: VendorError | None = None


def submit(call: Call) -> dict[str, Any]:
    """``POST /api/v1/services/aigc/album/gen_potrait``. Raises VendorError."""
    _require_async(call)
    submission = _judge(call)
    call.trace.intent = submission.intent

    def step(account: Account) -> Task | VendorError:
        try:
            _count(call, account)
            return _accept(call, account, submission)
        except VendorError as error:
            return error

    task = call.world.change(call.key.account, step)
    if isinstance(task, VendorError):
        raise task
    call.trace.task_id = task.id
    struck = call.strike("accepted", KINDS)
    answered = not any(fault.kind in LOSING for fault in struck)
    call.world.ledger.enter(call.trace.number, call.key.account, submission.intent, task, answered=answered)
    for fault in struck:
        if fault.kind in ENDING:
            raise refusal(fault)
    return {"output": {"task_status": "PENDING", "task_id": task.id}, "request_id": call.request_id}


def _count(call: Call, account: Account) -> None:
    limit = catalogue.limits()["models"][MODEL]["submissions_per_second"]
    if not call.terms.limits:
        return
    admitted = quota.admit(account.submissions_ms, call.now_ms, limit)
    if admitted is None:
        problem = f"{limit} submissions were taken within the last second; wait a second"
        raise VendorError("rate_quota", rule="rate.submissions", problem=problem)
    account.submissions_ms = admitted


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


def _judge(call: Call) -> Submission:
    body = call.request.body
    judge = _remembered if len(body) <= SMALL_BODY else judged_body
    return judge(body, call.terms.choices)


def judged_body(body: bytes, choices: tuple[tuple[str, str], ...]) -> Submission:
    """What the bytes of a submission amount to, under the behaviours chosen."""
    try:
        return _read(body, choices)
    except VendorError as error:
        return Submission(intent=_digest(body), refused=error.again())


_remembered = lru_cache(maxsize=256)(judged_body)


def _read(body: bytes, choices: tuple[tuple[str, str], ...]) -> Submission:
    most = int(catalogue.limits()["body_bytes"])
    if len(body) > most:
        raise VendorError("too_large", rule="body.size", place="body", problem=f"is larger than {most} bytes")
    content = parse(body)
    if not isinstance(content, dict):
        raise VendorError(
            "illegal_input", rule="body.object", place="body", problem=f"is {shown(content)}, not an object"
        )
    _check_model(content.get("model"))
    contract = _contract(choices)
    if not contract.is_valid(content):
        refused = _worst(contract.violations(content))
        if ("validation-timing", "deferred") not in choices:
            raise refused
        return Submission(intent=_digest(body), refused=refused)
    parameters = content["parameters"]
    return Submission(
        style=parameters.get("style", ""),
        n=int(parameters.get("n", 4)),
        intent=_digest(_sorted(content).encode()),
        scenario=carried_by_body(content),
    )


@cache
def _contract(choices: tuple[tuple[str, str], ...]) -> validation.RequestContract:
    return validation.RequestContract(dict(choices))


def _worst(violations: list[validation.Violation]) -> VendorError:
    first, *others = violations
    return VendorError(
        catalogue.rules()[first.rule].error or "request_invalid",
        rule=first.rule,
        place=first.place,
        problem=first.problem + (f"; and {len(others)} more" if others else ""),
        **first.details,
    )


def _digest(text: bytes) -> str:
    return hashlib.blake2b(text, digest_size=8).hexdigest()


def parse(body: bytes) -> object:
    """The JSON in ``body``, strictly: UTF-8, no NaN, no infinity. Raises VendorError that says where it broke."""
    try:
        text = body.decode("utf-8")
        if text.startswith("\ufeff"):
            raise ValueError("Unexpected UTF-8 BOM")
        content = _decode(text)
        if text.count("[") + text.count("{") > MOST_DEPTH and _depth(content) > MOST_DEPTH:
            raise RecursionError
        return content
    except UnicodeDecodeError as error:
        problem = f"is not UTF-8 at byte {error.start}"
    except RecursionError:
        problem = "is nested too deeply"
    except json.JSONDecodeError as error:
        problem = f"is not JSON: {error.msg} at line {error.lineno} column {error.colno}"
    except ValueError as error:
        problem = f"is not JSON: {error}"
    raise VendorError("body_invalid", rule="body.json", place="body", problem=problem)


def _depth(content: object) -> int:
    """How many arrays and objects lie within one another."""
    deepest, below = 0, [content]
    while below:
        inner = [value for value in below if isinstance(value, list | dict)]
        below = [item for value in inner for item in (value.values() if isinstance(value, dict) else value)]
        deepest += bool(inner)
    return deepest


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


_decode = json.JSONDecoder(parse_constant=_refuse_constant).decode
_sorted = json.JSONEncoder(sort_keys=True).encode


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


def _accept(call: Call, account: Account, submission: Submission) -> Task:
    is_deferred = call.terms.behaviours["validation-timing"] == "deferred" and submission.refused is not None
    if submission.refused is not None and not (is_deferred and submission.refused.rule.startswith("portrait.")):
        raise submission.refused.again()
    asked, is_queued = _ask(call, submission)
    scenarios = tuple(name for name in (call.key.scenario, asked.scenario if asked else None) if name)
    call.trace.scenarios = scenarios
    _require_good_standing(call.key.scenario)
    if asked is not None and is_queued and _refusal_of(asked.scenario) is not None:
        call.world.take_plan()  # it is used up by the refusal that it asked for
    _require_good_standing(asked.scenario if asked else None)
    call.strike_down("submit", KINDS)
    _require_slot(call, account)
    if is_queued:
        call.world.take_plan()
    task = Task(
        id=call.world.new_id(),
        key_id=call.key.id,
        request_id=call.request_id,
        style=submission.style,
        n=submission.n,
        submitted_ms=call.now_ms,
        plan=_failing(submission.refused) or _plan(call, asked),
        scenarios=scenarios,
        queued=call.terms.limits,
    )
    account.tasks[task.id] = task
    if task.queued:
        account.queue.append(task)
    return task


def _ask(call: Call, submission: Submission) -> tuple[Asked | None, bool]:
    """What the most specific carrier asks for, and whether that was the queue."""
    by_headers = carried_by_headers(call.request, call.terms.plan)
    if by_headers is not None:
        return by_headers, False
    if submission.scenario is not None:
        return Asked(scenario=submission.scenario), False
    queued = call.world.first_plan()
    if queued is not None:
        return queued, True
    session = call.world.scenario
    return (None if session is None else Asked(scenario=session)), False


def _refusal_of(scenario: str | None) -> str | None:
    return None if scenario is None else catalogue.scenario(scenario).refuse


def _require_good_standing(scenario: str | None) -> None:
    reason = _refusal_of(scenario)
    if reason is not None:
        raise VendorError(reason, rule=ACCOUNT_RULES[reason], problem=f"scenario {scenario} says so")


def _require_slot(call: Call, account: Account) -> None:
    lifecycle.settle(account, call.now_ms)
    if call.terms.behaviours["second-task"] == "reject" and account.queue:
        problem = f"task {account.queue[0].id} has not ended, and second-task=reject is chosen"
        raise VendorError("concurrency", rule="concurrency.running", problem=problem)
    if not _make_room(account, call.now_ms):
        problem = f"{MOST_TASKS} tasks of this account have not ended"
        raise VendorError("throttling", rule="mock.tasks", problem=problem)


def _plan(call: Call, asked: Asked | None) -> Plan:
    """The plan that is asked for; when nothing is, the one of the key's scenario; else the usual one."""
    usual = call.terms.plan
    return plan_of(asked or Asked(scenario=call.key.scenario), usual) or usual


def _failing(refused: VendorError | None) -> Plan | None:
    """The plan of a task that was accepted though its submission is wrong."""
    if refused is None:
        return None
    details = tuple((name, str(value)) for name, value in refused.details.items())
    return Plan(running_ms=_DEFERRED_MS, outcome=Outcome("FAILED", refused.reason, details=details))


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
