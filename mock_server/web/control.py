"""The admin API under ``/__admin``: what a test may do to the vendor, and nothing that the vendor has."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable
from dataclasses import asdict, fields
from itertools import chain
from typing import Any, NoReturn

from flask import Blueprint, Response, current_app, g, jsonify, make_response, request
from werkzeug.exceptions import HTTPException

from contracts import catalogue
from mock_server.core import lifecycle
from mock_server.core.faults import fault_from_json, fault_to_json
from mock_server.core.findings import findings
from mock_server.core.gateway import SESSION_HEADER, session_of
from mock_server.core.journal import entry_to_json, without_secrets
from mock_server.core.ledger import ledger_to_json
from mock_server.core.model import Account, Job, Task, VendorError
from mock_server.core.pictures import Picture, picture_from_json, picture_to_json
from mock_server.core.plans import plan_from_json, plan_to_json
from mock_server.core.ports import World, clear_tasks, settle_world
from mock_server.core.scenarios import asked_from_json, asked_to_json
from mock_server.core.tasks import vendor_time
from mock_server.version import installed_version
from mock_server.web.guard import guard, refusal, shortened
from mock_server.web.wire import plain_request, simulator

PREFIX = "/__admin"
MOST_URL = 4_096

control = Blueprint("control", __name__, url_prefix=PREFIX)


control.before_request(guard)


@control.errorhandler(HTTPException)
def _explain(error: HTTPException) -> Response:
    if error.response is not None:
        return make_response(error.response)
    return make_response(jsonify({"error": error.description}), error.code or 500)


@control.errorhandler(ValueError)
@control.errorhandler(VendorError)
def _bad_request(error: Exception) -> Response:
    text = f"{error.place} {error.problem}" if isinstance(error, VendorError) else str(error)
    return make_response(jsonify({"error": shortened(text)}), 400)


def _content(*known: str) -> dict[str, Any]:
    """The JSON object in the body, with no field but those ``known``, if any; an empty body counts as an empty one."""
    if not g.body:
        return {}
    try:
        content = json.loads(g.body)
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise ValueError("the body is not a JSON object")
    for name in content if known else ():
        if name not in known:
            raise ValueError(f"the body has an unknown field {name!r}; {catalogue.hint(name, known)}")
    return content


def _world() -> World:
    return simulator().worlds.open(session_of(plain_request()))


@control.get("/health")
def health() -> dict[str, Any]:
    return {"status": "ok"}


@control.get("/version")
def version() -> dict[str, Any]:
    return {"name": "facechain-mock", "version": installed_version(), "api": "v1"}


@control.post("/reset")
def reset() -> dict[str, Any]:
    """Forget everything of the session, and put the clock back when the request names no session."""
    session = session_of(plain_request())
    simulator().worlds.clear(session)
    if not session:
        simulator().clock.reset()
    return {"reset": "everything of this session"}


@control.post("/reset/tasks")
def reset_tasks() -> dict[str, Any]:
    clear_tasks(_world())
    return {"reset": "tasks"}


@control.post("/reset/journal")
def reset_journal() -> dict[str, Any]:
    _world().journal.clear()
    return {"reset": "journal"}


@control.post("/reset/faults")
def reset_faults() -> dict[str, Any]:
    """Forget the faults added by hand and all counts; those of the profile stay."""
    _world().faults.clear()
    return {"reset": "faults"}


@control.get("/clock")
def show_clock() -> dict[str, Any]:
    clock = simulator().clock
    now_ms = clock.now_ms()
    return {"now_ms": now_ms, "vendor_time": vendor_time(now_ms), "frozen": clock.frozen, "factor": clock.factor}


@control.put("/clock")
def move_clock() -> dict[str, Any]:
    """``{"action": "freeze|resume|advance|scale|reset", "by": "24h", "factor": 10}``."""
    content = _content()
    clock = simulator().clock
    moves: dict[str, Callable[[], None]] = {
        "freeze": clock.freeze,
        "resume": clock.resume,
        "reset": clock.reset,
        "advance": lambda: clock.advance(content.get("by", "")),
        "scale": lambda: clock.scale(content.get("factor", 0)),
    }
    action = content.get("action")
    if not isinstance(action, str) or action not in moves:
        raise ValueError(f"action is {action!r}; it is one of {', '.join(moves)}")
    moves[action]()
    return show_clock()


@control.get("/tasks")
def list_tasks() -> dict[str, Any]:
    world = _world()
    numbers = _numbers_by_task(world)
    return {"tasks": [_shown(account, task, numbers[task.id]) for account, task in world.tasks()]}


def _numbers_by_task(world: World) -> dict[str | None, list[int]]:
    """The numbers of each task's requests."""
    numbers: dict[str | None, list[int]] = defaultdict(list)
    for entry in world.journal.entries():
        numbers[entry.trace.task_id].append(entry.trace.number)
    return numbers


@control.get("/jobs")
def list_jobs() -> dict[str, Any]:
    """The trainings; ``tasks/{id}`` and what lies below it take their ids too."""
    world = _world()
    numbers = _numbers_by_task(world)
    return {"jobs": [_shown(account, job, numbers[job.id]) for account, job in world.jobs()]}


@control.get("/assets")
def list_assets() -> dict[str, Any]:
    return {"assets": [{"url": url, **picture_to_json(picture)} for url, picture in _world().assets().items()]}


@control.post("/assets")
def declare_asset() -> tuple[dict[str, Any], int]:
    """What is to be seen at a URL: ``{"url": "https://cdn.example/me.jpg", "width": 200, "faces": 2}``."""
    content = _content("url", *(each.name for each in fields(Picture)))
    url = content.pop("url", None)
    if not isinstance(url, str) or "://" not in url or len(url) > MOST_URL:
        raise ValueError(f"url is {url!r}; it is the URL that a submission will name")
    picture = picture_from_json(content)
    _world().declare(url, picture)
    return {"url": url, **picture_to_json(picture)}, 201


@control.delete("/assets")
def clear_assets() -> dict[str, Any]:
    _world().clear_assets()
    return list_assets()


@control.get("/resources")
def list_resources() -> dict[str, Any]:
    return {"resources": _world().resources()}


@control.post("/resources")
def add_resource() -> tuple[dict[str, Any], int]:
    """A likeness that needs no training: ``{"resource_id": "my-likeness"}``."""
    resource_id = _content("resource_id").get("resource_id")
    if not isinstance(resource_id, str) or not 0 < len(resource_id) <= MOST_URL:
        raise ValueError(f"resource_id is {resource_id!r}; it is the id that a submission will name")
    _world().add_resource(resource_id)
    return {"resource_id": resource_id}, 201


@control.delete("/resources")
def clear_resources() -> dict[str, Any]:
    _world().clear_resources()
    return list_resources()


@control.get("/tasks/<task_id>")
def show_task(task_id: str) -> dict[str, Any]:
    account, task = _find(task_id)
    return _shown(account, task, [entry.trace.number for entry in _world().journal.find({"task_id": task.id})])


@control.put("/tasks/<task_id>")
def replan_task(task_id: str) -> dict[str, Any]:
    """``{"plan": {...}}``: another plan for a task that has not ended."""
    given = _content().get("plan")
    account, task = _find(task_id)
    plan = plan_from_json(given, simulator().terms.plans[task.model])
    _while_live(account, task, lambda: lifecycle.replan(task, plan, simulator().clock.now_ms()))
    return show_task(task_id)


@control.post("/tasks/<task_id>/release")
def release_task(task_id: str) -> dict[str, Any]:
    """Let a task that its plan holds go on."""
    account, task = _find(task_id)
    now_ms = simulator().clock.now_ms()
    _while_live(account, task, lambda: lifecycle.release(task, now_ms))
    return show_task(task_id)


@control.get("/plans")
def list_plans() -> dict[str, Any]:
    return {"plans": [asked_to_json(asked) for asked in _world().queued_plans()]}


@control.post("/plans")
def queue_plan() -> tuple[dict[str, Any], int]:
    """A plan, or ``{"scenario": name}``, for the next task that is submitted; they queue up."""
    asked = asked_from_json(_content(), simulator().terms.plans)
    _world().queue_plan(asked)
    return list_plans(), 201


@control.delete("/plans")
def clear_plans() -> dict[str, Any]:
    _world().clear_plans()
    return list_plans()


@control.get("/faults")
def list_faults() -> dict[str, Any]:
    return {"faults": _world().faults.shown()}


@control.post("/faults")
def add_fault() -> tuple[dict[str, Any], int]:
    """A failure to put in: ``{"stage": "poll", "kind": "status", "error": "rate_quota", "times": 2}``."""
    fault = fault_from_json(_content())
    return fault_to_json(_world().faults.add(fault, simulator().clock.now_ms())), 201


@control.delete("/faults/<fault_id>")
def remove_fault(fault_id: str) -> dict[str, Any]:
    try:
        _world().faults.remove(fault_id)
    except KeyError:
        raise refusal(404, f"this session has no fault {fault_id!r}") from None
    return list_faults()


@control.get("/scenario")
def show_scenario() -> dict[str, Any]:
    return {"scenario": _world().scenario}


@control.put("/scenario")
def choose_scenario() -> dict[str, Any]:
    """``{"scenario": "poll-429"}`` for every task of the session from now on; null for none."""
    content = _content("scenario")
    if "scenario" not in content:
        raise ValueError("scenario is missing; it is the name of one, or null")
    name = content["scenario"]
    _world().scenario = None if name is None else catalogue.scenario(str(name)).name
    return show_scenario()


@control.get("/requests")
def list_requests() -> dict[str, Any]:
    """The requests kept, the oldest first; any of their fields in the query narrows the list."""
    criteria = {name: value for name, value in request.args.items() if name != SESSION_HEADER}
    return {"requests": [entry_to_json(entry) for entry in _world().journal.find(criteria)]}


@control.get("/requests/<int:number>")
def show_request(number: int) -> dict[str, Any]:
    for entry in _world().journal.entries():
        if entry.trace.number == number:
            return entry_to_json(entry)
    raise refusal(404, f"the journal has no request {number}; it keeps the latest")


@control.post("/requests/count")
def count_requests() -> dict[str, Any]:
    """How many requests match ``{"operation": "query_task", "status": 429}``."""
    return {"count": sum(1 for _ in _world().journal.find(_content()))}


@control.get("/ledger")
def show_ledger() -> dict[str, Any]:
    world = _world()
    settle_world(world, simulator().clock.now_ms())
    return ledger_to_json(world.ledger.lines())


@control.get("/findings")
def list_findings() -> dict[str, Any]:
    """What the clients did that the contract advises against, the gravest first."""
    world = _world()
    settle_world(world, simulator().clock.now_ms())
    found = findings(world.journal.entries(), world.ledger.lines())
    return {"findings": [asdict(finding) for finding in found]}


@control.get("/scenarios")
def list_scenarios() -> dict[str, Any]:
    return {"scenarios": [_row(scenario) for scenario in catalogue.scenarios().values()]}


@control.get("/errors")
def list_errors() -> dict[str, Any]:
    return {"errors": [asdict(row) for row in catalogue.errors().values()]}


@control.get("/rules")
def list_rules() -> dict[str, Any]:
    return {"rules": [asdict(rule) for rule in catalogue.rules().values()]}


@control.get("/behaviours")
def list_behaviours() -> dict[str, Any]:
    """Every open point of the vendor's pages, its choices, and the one that is on."""
    chosen = simulator().terms.behaviours
    return {
        "behaviours": [
            {
                "id": each.id,
                "question": each.question,
                "chosen": chosen[each.id],
                "options": {choice: option.sentence for choice, option in each.options.items()},
                "evidence": each.evidence,
                "source": each.source,
            }
            for each in catalogue.behaviours().values()
        ]
    }


@control.get("/openapi.json")
def openapi() -> dict[str, Any]:
    """The vendor's contract as this server keeps it."""
    return catalogue.openapi(simulator().terms.behaviours)


@control.get("/admin.openapi.json")
def admin_openapi() -> dict[str, Any]:
    """The contract of this admin API."""
    return catalogue.admin_openapi()


def _row(scenario: catalogue.Scenario) -> dict[str, Any]:
    row = {
        "name": scenario.name,
        "does": scenario.does,
        "for": scenario.story,
        "plan": scenario.plan,
        "training": scenario.training,
        "pictures": scenario.pictures,
        "quota": scenario.quota,
        "faults": [dict(fault) for fault in scenario.faults],
        "refuse": scenario.refuse,
        "evidence": scenario.evidence,
        "source": scenario.source,
    }
    return {name: value for name, value in row.items() if value not in (None, [])}


@control.route("/<path:unknown>", methods=["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def no_such_route(unknown: str) -> NoReturn:
    rules = (rule for rule in current_app.url_map.iter_rules() if rule.endpoint != request.endpoint)
    known = sorted({str(rule).removeprefix(f"{PREFIX}/") for rule in rules if str(rule).startswith(PREFIX)})
    nearest = catalogue.nearest(unknown, known)
    hint = f"; nearest is {nearest}" if nearest else ""
    raise refusal(404, f"the admin API has no {request.method} {unknown}{hint}", known=known)


def _find(task_id: str) -> tuple[str, Task]:
    """A portrait task or a training, with the name of its account."""
    for account, task in chain(_world().tasks(), _world().jobs()):
        if task.id == task_id:
            return account, task
    raise refusal(404, f"this session has no task {task_id!r}")


def _while_live(account: str, task: Task, step: Callable[[], None]) -> None:
    now_ms = simulator().clock.now_ms()

    def change(owner: Account) -> None:
        lifecycle.settle_one(owner.lane(task), task, now_ms)
        if task.ended_ms is not None:
            raise ValueError(f"task {task.id} has ended: it is {task.status}")
        step()

    _world().change(account, change)


def _shown(account: str, task: Task, requests: list[int]) -> dict[str, Any]:
    """A task with its timeline, settled to now, and the numbers of its requests."""
    now_ms = simulator().clock.now_ms()
    _world().change(account, lambda owner: lifecycle.settle_one(owner.lane(task), task, now_ms))
    moments = {"submitted": task.submitted_ms, "scheduled": task.scheduled_ms, "ended": task.ended_ms}
    if isinstance(task, Job):
        own: dict[str, Any] = {
            "training_file_ids": [without_secrets(name) for name in task.files],
            "finetuned_output": task.output,
        }
    else:
        own = {"style": task.style, "n": task.n, "delivered": task.delivered}
    return {
        "task_id": task.id,
        "model": task.model,
        "account": account,
        "status": task.status,
        **own,
        "polls": task.polls,
        "scenarios": list(task.scenarios),
        "plan": plan_to_json(task.plan),
        "timeline": [
            {"event": name, "at_ms": at, "vendor_time": vendor_time(at)}
            for name, at in moments.items()
            if at is not None
        ],
        "requests": requests,
    }
