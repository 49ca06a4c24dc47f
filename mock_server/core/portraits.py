"""Submitting a portrait task: from a request to an accepted task, in the vendor's order of checks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from contracts import catalogue
from mock_server.core import gallery, lifecycle, submission
from mock_server.core.faults import KINDS
from mock_server.core.gallery import Shown
from mock_server.core.gateway import Call, count, shown
from mock_server.core.model import MODEL, TRAINING_MODEL, Account, Job, Task, TaskStatus, VendorError
from mock_server.core.plans import Outcome, Plan
from mock_server.core.scenarios import RESOURCE_PREFIX, TRAIN_FREE, Asked, plan_of
from mock_server.core.submission import Submission

TEMPLATE = "portrait_url_template"
SAMPLE_RESOURCES = frozenset(
    {
        "realistic_v1_12345",
        "women_model",
        "facechain-png-ft-202308291948-edc2",
        "facechain-finetune-ft-202509020951-f8bf",
        "facechain-finetune-ft-202601150930-7c1e",
    }
)
"""The likenesses of the vendor's own samples, and of the contract's, which work here without training."""

MOST_UNANNOUNCED = 10_000
_DEFERRED_MS = 100


def submit(call: Call) -> dict[str, Any]:
    """``POST /api/v1/services/aigc/album/gen_potrait``. Raises VendorError."""
    _require_async(call)
    submitted = submission.judged(call, MODEL)
    call.trace.intent = submitted.intent

    def step(account: Account) -> Task:
        limit = catalogue.limits()["models"][MODEL]["submissions_per_second"]
        count(call, account, "submissions", rule="rate.submissions", limit=limit, what="submissions")
        return _accept(call, account, submitted)

    task = call.change(step)
    submission.enter(call, submitted, task)
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


def _accept(call: Call, account: Account, submitted: Submission) -> Task:
    is_deferred = call.terms.behaviours["validation-timing"] == "deferred" and submitted.refused is not None
    if submitted.refused is not None and not (is_deferred and submitted.refused.rule.startswith("portrait.")):
        raise submitted.refused.again()
    asked, is_queued = submission.require_good_standing(call, submitted, MODEL)
    _require_resources(call, account, submitted.content)
    flaw = gallery.first_flaw(call, account, list(pictures_of(submitted.content)), MODEL)
    if flaw is not None and call.terms.behaviours["picture-timing"] == "submit":
        raise flaw
    if flaw is not None:
        call.trace.explain(flaw.rule, flaw.place, flaw.problem)
    call.strike_down("submit", KINDS)
    _require_slot(call, account)
    if is_queued:
        call.world.take_plan(MODEL)
    parameters = submitted.content.get("parameters", {})
    task = Task(
        id=call.world.new_id(),
        key_id=call.key.id,
        request_id=call.request_id,
        style=parameters.get("style", ""),
        n=int(parameters.get("n", 4)) if submitted.refused is None else 1,
        submitted_ms=call.now_ms,
        plan=_failing_at_once(submitted.refused) or spoiled_plan(_plan(call, asked), flaw),
        scenarios=call.trace.scenarios,
        queued=call.terms.limits,
    )
    account.portraits.add(task)
    if call.terms.announces:
        account.unannounced[task.id] = task
        while len(account.unannounced) > MOST_UNANNOUNCED:  # nobody listens
            del account.unannounced[next(iter(account.unannounced))]
    return task


def pictures_of(content: Mapping[str, Any]) -> Iterator[Shown]:
    """The pictures that a good submission shows, in the modes that look at them."""
    style = content.get("parameters", {}).get("style")
    if style in (TEMPLATE, TRAIN_FREE):
        yield Shown("input.template_url", content["input"]["template_url"], "template")
    if style == TRAIN_FREE:
        for index, url in enumerate(content["input"]["user_urls"]):
            yield Shown(f"input.user_urls.{index}", url, "user_photo")


def _require_resources(call: Call, account: Account, content: Mapping[str, Any]) -> None:
    """Raises VendorError unless every likeness is one that the account may use, rule ``resource.known``."""
    if content.get("parameters", {}).get("style") == TRAIN_FREE or call.terms.behaviours["resource-check"] == "accept":
        return
    for index, resource in enumerate(content.get("resources", ())):
        likeness = resource["resource_id"]
        problem = _refused_likeness(call, account, likeness)
        if problem is not None:
            raise VendorError(
                "resource_access_denied",
                rule="resource.known",
                place=f"resources.{index}.resource_id",
                problem=f"{shown(likeness)} {problem}",
            )


def _refused_likeness(call: Call, account: Account, likeness: str) -> str | None:
    """Why the account may not use the likeness; None when it may."""
    if likeness in SAMPLE_RESOURCES or likeness in call.terms.resources or likeness.startswith(RESOURCE_PREFIX):
        return None
    if call.world.has_resource(likeness):
        return None
    job = account.trainings.tasks.get(likeness.removeprefix(f"{TRAINING_MODEL}-"))
    if not isinstance(job, Job) or job.output != likeness:
        trained = [job.output for job in account.trainings.tasks.values() if isinstance(job, Job)]
        near = catalogue.nearest(likeness, [*SAMPLE_RESOURCES, *call.terms.resources, *trained])
        hint = f"nearest is {near!r}" if near else "train one, name it with --resource, or use a sample's, women_model"
        return f"is no likeness of this account; {hint}"
    lifecycle.settle_one(account.trainings, job, call.now_ms)
    return None if job.status == TaskStatus.SUCCEEDED else f"is not trained: its job is {job.status}"


def _require_slot(call: Call, account: Account) -> None:
    lane = account.portraits
    lifecycle.settle(lane, call.now_ms)
    if call.terms.behaviours["second-task"] == "reject" and lane.queue:
        problem = f"task {lane.queue[0].id} has not ended, and second-task=reject is chosen"
        raise VendorError("concurrency", rule="concurrency.running", problem=problem)
    submission.make_room(lane, call.now_ms)


def _plan(call: Call, asked: Asked | None) -> Plan:
    """The plan that is asked for; when nothing is, the one of the key's scenario; else the usual one."""
    usual = call.terms.plan
    return plan_of(asked or Asked(scenario=call.key.scenario), usual) or usual


def _failing_at_once(refused: VendorError | None) -> Plan | None:
    """The plan of a task that was accepted though its submission is wrong."""
    return None if refused is None else Plan(running_ms=_DEFERRED_MS, outcome=failure(refused))


def spoiled_plan(plan: Plan, flaw: VendorError | None) -> Plan:
    """The plan, which comes to nothing when a picture will not do. One that fails anyway stays as it is."""
    if flaw is None or plan.outcome.status != TaskStatus.SUCCEEDED:
        return plan
    return replace(plan, outcome=failure(flaw))


def failure(refused: VendorError) -> Outcome:
    """How a task ends for this reason."""
    details = tuple((name, str(value)) for name, value in refused.details.items())
    return Outcome("FAILED", refused.reason, details=details, why=(refused.rule, refused.place, refused.problem))
