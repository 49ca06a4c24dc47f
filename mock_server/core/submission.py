"""What submissions of every kind pass: body, model, fields, the account's standing, and what they ask to happen."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, lru_cache
from typing import Any, NoReturn

from contracts import catalogue, validation
from mock_server.core import lifecycle
from mock_server.core.faults import ENDING, KINDS, LOSING, refusal
from mock_server.core.gateway import Call, shown
from mock_server.core.model import DETECTION_MODEL, MODEL, TRAINING_MODEL, Lane, Task, VendorError
from mock_server.core.scenarios import Asked, carried_by_headers, carried_by_resources, carried_by_urls

MOST_TASKS = 1_000_000
SMALL_BODY = 4_096
MOST_DEPTH = 600

ACCOUNT_RULES = {
    "invalid_api_key": "auth.key.invalid",
    "access_denied": "account.approved",
    "unpurchased": "account.purchased",
    "arrearage": "account.standing",
    "free_tier_exhausted": "account.free-tier",
    "endpoint_access_denied": "account.endpoint",
}
"""The rule behind each reason for which a scenario refuses an account."""

MESSAGES = {MODEL: "portrait-request", DETECTION_MODEL: "detection-request", TRAINING_MODEL: "job-request"}
"""The schema of what is submitted to each model."""


@dataclass(frozen=True, slots=True)
class Submission:
    """What a submission asks for. ``refused`` is why it is wrong, which may come at once or with the task."""

    content: Mapping[str, Any] = field(default_factory=dict)
    """The body, once it keeps every rule; not to be changed, since it is remembered."""
    intent: str = ""
    """A digest of the body: two submissions with one intent ask for the same."""
    scenario: str | None = None
    """The scenario that a URL's host or a resource id names."""
    refused: VendorError | None = None


def judged(call: Call, model: str) -> Submission:
    """What the call submits to ``model``."""
    body = call.request.body
    judge = _remembered if len(body) <= SMALL_BODY else judged_body
    return judge(model, body, call.terms.choices)


def judged_body(model: str, body: bytes, choices: tuple[tuple[str, str], ...]) -> Submission:
    """What the bytes of a submission amount to, under the behaviours chosen."""
    try:
        return _read(model, body, choices)
    except VendorError as error:
        return Submission(intent=_digest(body), refused=error.again())


_remembered = lru_cache(maxsize=256)(judged_body)


def _read(model: str, body: bytes, choices: tuple[tuple[str, str], ...]) -> Submission:
    most = int(catalogue.limits()["body_bytes"])
    if len(body) > most:
        raise VendorError("too_large", rule="body.size", place="body", problem=f"is larger than {most} bytes")
    content = parse(body)
    if not isinstance(content, dict):
        raise VendorError(
            "illegal_input", rule="body.object", place="body", problem=f"is {shown(content)}, not an object"
        )
    _check_model(content.get("model"), model)
    contract = _contract(model, choices)
    if not contract.is_valid(content):
        refused = _worst(contract.violations(content))
        if ("validation-timing", "deferred") not in choices:
            raise refused
        return Submission(intent=_digest(body), refused=refused)
    return Submission(content, _digest(_sorted(content).encode()), _carried(content))


def _carried(content: Mapping[str, Any]) -> str | None:
    """The scenario that a good submission names by a URL's host or a resource id, the host first."""
    return carried_by_urls(_urls(content)) or carried_by_resources(content)


def _urls(content: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    """Every place where a URL may stand, with what stands there."""
    given = content.get("input")
    pictures = given if isinstance(given, dict) else {}
    yield "input.template_url", pictures.get("template_url")
    lists = {f"input.{name}": pictures.get(name) for name in ("user_urls", "images")}
    for place, urls in {**lists, "training_file_ids": content.get("training_file_ids")}.items():
        for index, url in enumerate(urls if isinstance(urls, list) else []):
            yield f"{place}.{index}", url


@cache
def _contract(model: str, choices: tuple[tuple[str, str], ...]) -> validation.RequestContract:
    return validation.RequestContract(dict(choices), message=MESSAGES[model])


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


def _check_model(given: object, model: str) -> None:
    if given is None or given == "":
        raise VendorError("empty_model", rule="model.missing", place="model", problem=f"is missing; it is {model}")
    if given == model:
        return
    if isinstance(given, str) and given in MESSAGES:
        raise VendorError(
            "url_error",
            rule="model.route",
            place="model",
            problem=f"is {given}, which has a route of its own; this one is of {model}",
        )
    raise VendorError("model_not_exist", rule="model.known", place="model", problem=f"is {shown(given)}; it is {model}")


def require_good_standing(call: Call, submission: Submission, model: str) -> tuple[Asked | None, bool]:
    """What the most specific carrier asks for, and whether that was the queue of plans.

    Raises VendorError when a scenario of the key, or the one that is asked for, refuses the account.
    """
    asked, is_queued = _ask(call, submission, model)
    call.trace.scenarios = tuple(name for name in (call.key.scenario, asked.scenario if asked else None) if name)
    _refuse_account(call.key.scenario)
    if asked is not None:
        if is_queued and _refusal_of(asked.scenario) is not None:
            call.world.take_plan(model)  # it is used up by the refusal that it asked for
        _refuse_account(asked.scenario)
    return asked, is_queued


def _ask(call: Call, submission: Submission, model: str) -> tuple[Asked | None, bool]:
    by_headers = carried_by_headers(call.request, call.terms.plan if model == MODEL else call.terms.training)
    if by_headers is not None:
        return by_headers, False
    if submission.scenario is not None:
        return Asked(scenario=submission.scenario), False
    queued = call.world.first_plan(model)
    if queued is not None:
        return queued, True
    session = call.world.scenario
    return (None if session is None else Asked(scenario=session)), False


def _refusal_of(scenario: str | None) -> str | None:
    return None if scenario is None else catalogue.scenario(scenario).refuse


def _refuse_account(scenario: str | None) -> None:
    reason = _refusal_of(scenario)
    if reason is not None:
        raise VendorError(reason, rule=ACCOUNT_RULES[reason], problem=f"scenario {scenario} says so")


def enter(call: Call, submitted: Submission, task: Task) -> None:
    """Write an accepted task down. Raises VendorError when a fault has its answer lost or replaced."""
    call.trace.task_id = task.id
    struck = call.strike("accepted", KINDS)
    answered = not any(fault.kind in LOSING for fault in struck)
    call.world.ledger.enter(call.trace.number, call.key.account, submitted.intent, task, answered=answered)
    for fault in struck:
        if fault.kind in ENDING:
            raise refusal(fault)


def make_room(lane: Lane, now_ms: int) -> None:
    """Drop the oldest tasks that nobody can ask for any more. Raises VendorError when too many are alive."""
    tasks = lane.tasks
    while tasks:
        oldest = next(iter(tasks.values()))
        if not oldest.queued:
            lifecycle.settle_alone(oldest, now_ms)
        if not (lifecycle.is_forgotten(oldest, now_ms) or (len(tasks) >= MOST_TASKS and oldest.ended_ms)):
            break
        del tasks[oldest.id]
    if len(tasks) >= MOST_TASKS:
        problem = f"{MOST_TASKS} tasks of this account have not ended"
        raise VendorError("throttling", rule="mock.tasks", problem=problem)
