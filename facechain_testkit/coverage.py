"""Behaviour coverage: what the vendor may show to a client, and how much of it a suite has shown to its own.

The list of behaviours is read off the contract's own data; here stand only the words for them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from contracts import catalogue
from mock_server.core.faults import KINDS, LOSING, ON_THE_WIRE, Fault, fault_from_json, scenario_faults
from mock_server.core.findings import LOST_ON_THE_WIRE
from mock_server.core.journal import Entry
from mock_server.core.ledger import Line
from mock_server.core.lifecycle import is_forgotten
from mock_server.core.model import DETECTION_MODEL, MODEL, Task, TaskStatus

KINDS_OF_ITEM = {
    "states": "states and endings of a task",
    "errors": "refusals",
    "line": "failures of the line",
    "answers": "odd answers",
    "limits": "limits",
    "lifetimes": "lifetimes",
    "trainings": "states of a training",
    "photos": "photos and files",
}
"""The kinds of behaviour, the most common first."""

PORTRAITS = "portraits"
PARTS = {
    "detect_faces": "detections",
    "create_job": "trainings",
    "list_jobs": "trainings",
    "get_job": "trainings",
    "delete_job": "trainings",
    "cancel_job": "trainings",
    "get_job_logs": "trainings",
    "stream_job": "trainings",
    "upload_files": "files",
    "list_files": "files",
    "get_file": "files",
    "delete_file": "files",
    "get_upload_policy": "uploads",
}
"""The parts of the vendor beside portraits, by their calls."""

OTHER_STATUS = "other"
"""Stands for a status that the schema does not name."""

_LATE = ("latency", "dribble", "hang")
_STAGES = {
    "before": ("any call", None),
    "accepted": ("an accepted submission", "submit_portrait"),
    "poll": ("a query", "query_task"),
    "link": ("a download", "fetch_picture"),
}
"""Where on the line a failure strikes, in words, and the operation that shows it; None for any."""

_ON_THE_LINE = {
    "latency": "the answer to {} comes late",
    "reset": "the connection is reset before the answer to {}",
    "empty": "the connection is closed without an answer to {}",
    "cut": "the answer to {} breaks off",
}
_OF_FILES = {"files.number": "photos.unkept", "files.space": "photos.unkept", "policy.expiry": "photos.policy"}
"""The behaviours of files, by the rules that show them."""

_ODD = {
    "backwards": "RUNNING again after SUCCEEDED",
    "lag": "UNKNOWN for a task that was just submitted",
    "extra-fields": "an answer with fields that no schema names",
}


@dataclass(frozen=True)
class Item:
    """One behaviour. ``how`` is a scenario, a line of code or an instruction that shows it to a client.

    ``part`` is the part of the vendor that has it; what nobody uses is missed by nobody.
    """

    id: str
    kind: str
    label: str
    how: str
    part: str = PORTRAITS


@dataclass(frozen=True)
class Coverage:
    """The behaviours that a suite has shown to its clients, and those that it never has, by kind."""

    shown: tuple[Item, ...]
    missing: Mapping[str, tuple[Item, ...]]

    @property
    def total(self) -> int:
        return len(self.shown) + sum(len(items) for items in self.missing.values())

    @property
    def percent(self) -> float:
        """How much was shown, from 0 to 100."""
        return 100 * len(self.shown) / self.total


def coverage(summaries: Iterable[Mapping[str, Any]]) -> Coverage:
    """What the tests behind these summaries have shown, all together, of the parts that they use."""
    told = list(summaries)
    seen = {id_ for summary in told for ids in summary["shown"].values() for id_ in ids}
    used = {PORTRAITS} | {part for summary in told for part in summary.get("parts", ())}
    missing: dict[str, list[Item]] = defaultdict(list)
    for item in universe():
        if item.id not in seen and item.part in used:
            missing[item.kind].append(item)
    return Coverage(
        shown=tuple(item for item in universe() if item.id in seen),
        missing={kind: tuple(items) for kind, items in missing.items()},
    )


@cache
def universe() -> tuple[Item, ...]:
    """Every behaviour that the contract knows of and the mock can show."""
    return (*_states(), *_errors(), *_lines(), *_odd_answers(), *_limits(), *_lifetimes(), *_trainings(), *_photos())


def parts_used(entries: Iterable[Entry]) -> list[str]:
    """The parts of the vendor, beside portraits, that these requests are for."""
    return sorted({PARTS[entry.trace.operation or ""] for entry in entries if entry.trace.operation in PARTS})


def shown_by(
    entries: Sequence[Entry], lines: Sequence[Line], added: Mapping[str, Mapping[str, Any]]
) -> dict[str, list[str]]:
    """Ids of the behaviours shown by these requests, sorted, by kind.

    ``added`` holds the faults put in by hand or by the profile, as JSON, by id. An answer that did not arrive
    shows nothing but the failure of the line.
    """
    tasks = {line.task.id: line.task for line in lines}
    found: set[str] = set()
    for entry in entries:
        kinds = _fault_kinds(entry, added)
        found.update(_line_failures(entry))
        if entry.wire in LOST_ON_THE_WIRE:
            continue
        if entry.trace.rule is not None:
            found.add(f"limits.{entry.trace.rule}")
            found.add(f"lifetimes.{entry.trace.rule}")
        if entry.status >= 400:
            found.add(_refusal(entry))
        elif entry.trace.operation == "query_task" and "garbage" not in kinds:
            found.update(_shown_by_query(entry, tasks.get(entry.trace.task_id or "")))
            if "extra-fields" in kinds:
                found.add("answers.extra-fields")
        elif entry.trace.operation == "get_job" and "garbage" not in kinds:
            found.add(f"trainings.{entry.trace.shown_status}")
        elif entry.trace.refused:
            found.add("photos.refused")
        if entry.trace.rule in _OF_FILES:
            found.add(_OF_FILES[entry.trace.rule])
    found.update(_going_back(entries))
    found.update(_waiting(entries, lines))
    shown: dict[str, list[str]] = {kind: [] for kind in KINDS_OF_ITEM}
    for item in sorted(universe(), key=lambda item: item.id):
        if item.id in found:
            shown[item.kind].append(item.id)
    return shown


# -- the behaviours there are -----------------------------------------------------------------------------------------


def _states() -> Iterator[Item]:
    for status in TaskStatus:
        yield Item(f"states.{status.value}", "states", f"{status.value}, answered to a query", _how_to_reach(status))
    yield Item(
        f"states.{OTHER_STATUS}",
        "states",
        "a status that nobody has seen",
        _scenario_where(lambda plan: _ending(plan).get("status", "SUCCEEDED") not in set(TaskStatus)),
    )
    yield Item(
        "states.partial",
        "states",
        "SUCCEEDED, with a picture missing",
        _scenario_where(lambda plan: any(image != "ok" for image in _ending(plan).get("images", ()))),
    )
    for name, label in (
        ("retry", "FAILED for a passing reason: a new task may go well"),
        ("final", "FAILED for good: other pictures are needed"),
        ("silent", "FAILED without code and message"),
    ):
        yield Item(f"states.failed-{name}", "states", label, _scenario_where(_fails(name)))


def _trainings() -> Iterator[Item]:
    how = {
        "PENDING": 'facechain.plan_next_job(progression="polls", pending=1)',
        "QUEUING": "create a second training while the first one runs, and look at the second",
        "CANCELING": "cancel a training that runs, and look at it at once",
        "SUCCEEDED": "look at a training until it has ended",
        "CANCELED": "cancel a training that runs, and look at it a second later",
    }
    for row in catalogue.scenarios().values():
        plan = row.training or {}
        how.setdefault(str(_ending(plan).get("status") or plan.get("in")), f"scenario {row.name}")
    for status in catalogue.schema("job")["$defs"]["job"]["properties"]["status"]["enum"]:
        yield Item(f"trainings.{status}", "trainings", f"{status}, answered about a training", how[status], "trainings")


def _photos() -> Iterator[Item]:
    faceless = next(row.name for row in catalogue.scenarios().values() if row.pictures)
    small = next(row.name for row in catalogue.scenarios().values() if row.quota)
    minutes = int(catalogue.limits()["upload_policy"]["stated_seconds"]) // 60
    yield Item("photos.refused", "photos", "detection refuses a photo", f"scenario {faceless}", "detections")
    yield Item("photos.unkept", "photos", "a file is not kept, inside a 200", f"scenario {small}", "files")
    late = f'facechain.clock.advance("{minutes}m") between the policy and the upload'
    yield Item("photos.policy", "photos", "an upload policy has expired", late, "uploads")


def _how_to_reach(status: TaskStatus) -> str:
    if status is TaskStatus.PENDING:
        return _scenario_where(lambda plan: plan.get("pending_ms", 0) > 0)
    if status is TaskStatus.RUNNING:
        return _scenario_where(lambda plan: plan.get("in") == status.value)
    if status is TaskStatus.SUCCEEDED:
        return _scenario_where(lambda plan: plan.get("progression") == "immediate" and not _ending(plan))
    return _scenario_where(lambda plan: _ending(plan).get("status") == status.value)


def _fails(name: str) -> Callable[[Mapping[str, Any]], bool]:
    def is_it(plan: Mapping[str, Any]) -> bool:
        ending = _ending(plan)
        return ending.get("status") == TaskStatus.FAILED.value and _failure(ending.get("error")) == name

    return is_it


def _failure(error: str | None) -> str:
    """What a FAILED task tells its owner to do: submit it again, change it, or guess."""
    if error is None:
        return "silent"
    return "retry" if catalogue.errors()[error].retry else "final"


def _ending(plan: Mapping[str, Any]) -> Mapping[str, Any]:
    ending: Mapping[str, Any] = plan.get("outcome", {})
    return ending


def _scenario_where(fits: Callable[[Mapping[str, Any]], bool]) -> str:
    """How to show what the first scenario with such a plan shows."""
    return next(f"scenario {row.name}" for row in catalogue.scenarios().values() if row.plan and fits(row.plan))


@dataclass(frozen=True)
class _Family:
    """Refusals that a client must treat alike. ``of_account``: a 400 that no change of the request mends."""

    status: int
    may_retry: bool
    of_account: bool

    @property
    def id(self) -> str:
        kind = "account" if self.of_account else "retry" if self.may_retry else "final"
        return f"errors.{self.status}-{kind}"


def _reasons_of_fields() -> list[str]:
    """Why a field of a submission is refused."""
    rules = catalogue.rules().items()
    return [rule.error for id_, rule in rules if rule.error is not None and id_.startswith("portrait.")]


@cache
def _statuses(*parts: str) -> set[int]:
    """The statuses that the operations of these parts may answer."""
    return {
        int(status)
        for path in catalogue.openapi()["paths"].values()
        for operation in path.values()
        if isinstance(operation, dict) and PARTS.get(operation["operationId"], PORTRAITS) in parts
        for status in operation.get("responses", ())
    }


@cache
def _families() -> dict[str, _Family]:
    """The family of every error whose status the paths of the contract may answer, by reason."""
    statuses = _statuses(PORTRAITS, "trainings")
    accounts = {row.refuse for row in catalogue.scenarios().values() if row.refuse}
    of_fields = {catalogue.errors()[reason].status for reason in _reasons_of_fields()}
    return {
        reason: _Family(row.status, row.retry, reason in accounts and row.status in of_fields)
        for reason, row in catalogue.errors().items()
        if row.status in statuses
    }


def _errors() -> Iterator[Item]:
    families: dict[_Family, list[str]] = defaultdict(list)
    for reason, family in _families().items():
        families[family].append(reason)
    for family, reasons in sorted(families.items(), key=lambda pair: (pair[0].status, not pair[0].may_retry)):
        verdict = "a repetition may help" if family.may_retry else "a repetition cannot help"
        reasons = [reason for reason in reasons if _is_telling(reason)] or reasons
        codes = list(dict.fromkeys(catalogue.errors()[reason].code for reason in reasons))
        named = ", ".join(codes[:2]) + (", …" if len(codes) > 2 else "")
        part, how = PORTRAITS, _how_to_refuse(reasons)
        if family.status not in _statuses(PORTRAITS):
            part, how = "trainings", "look at a training that there is not"
        yield Item(family.id, "errors", f"{family.status} {named}: {verdict}", how, part)
    gateway = next(row.name for row in catalogue.scenarios().values() if _has_fault(row.name, "html"))
    yield Item("errors.502-html", "errors", "502 with an HTML page, from a gateway", f"scenario {gateway}")


def _is_telling(reason: str) -> bool:
    """Whether every error with this status and code belongs to the same family."""
    row = catalogue.errors()[reason]
    same = (other for other in catalogue.errors().values() if (other.status, other.code) == (row.status, row.code))
    return len({_families()[other.reason] for other in same}) == 1


def _how_to_refuse(reasons: Sequence[str]) -> str:
    for row in catalogue.scenarios().values():
        if row.refuse in reasons or _has_fault(row.name, "status", reasons):
            return f"scenario {row.name}"
    of_fields = [reason for reason in _reasons_of_fields() if reason in reasons]
    return f'facechain.faults.add("submit", "status", error="{(of_fields or reasons)[0]}", times=1)'


def _has_fault(scenario: str, kind: str, reasons: Sequence[str] | None = None) -> bool:
    return any(
        fault.kind == kind and (reasons is None or fault.error in reasons) for fault in scenario_faults(scenario)
    )


@cache
def _known_faults() -> tuple[tuple[Fault, str], ...]:
    """Every fault of the scenarios, and of the profiles, each with how to have it once."""
    of_scenarios = [(fault, f"scenario {name}") for name in catalogue.scenarios() for fault in scenario_faults(name)]
    of_profiles = [fault_from_json(row) for profile in catalogue.profiles().values() for row in profile.faults]
    by_hand = [(fault, f'facechain.faults.add("{fault.stage}", "{fault.kind}", times=1)') for fault in of_profiles]
    return (*of_scenarios, *by_hand)


def _lines() -> Iterator[Item]:
    found: dict[tuple[str, str], str] = {}
    for fault, how in _known_faults():
        if fault.kind in ON_THE_WIRE and fault.stage in _STAGES:
            found.setdefault((fault.stage, fault.kind), how)
    for stage in _STAGES:
        for kind in KINDS:
            if (stage, kind) in found:
                what = _ON_THE_LINE.get(kind, f"{kind} on {{}}").format(_STAGES[stage][0])
                lost = ", and it is paid" if stage == "accepted" and kind in LOSING else ""
                yield Item(f"line.{stage}-{kind}", "line", what + lost, found[(stage, kind)])


def _odd_answers() -> Iterator[Item]:
    found: dict[str, str] = {}
    for fault, how in _known_faults():
        if fault.kind in _ODD:
            found.setdefault(fault.kind, how)
    for kind, how in found.items():
        yield Item(f"answers.{kind}", "answers", _ODD[kind], how)


def _limits() -> Iterator[Item]:
    limits = catalogue.limits()
    submissions = int(limits["models"][MODEL]["submissions_per_second"])
    calls = int(limits["task_calls_per_second"])
    words = {
        "rate.submissions": (
            f"more than {submissions} submissions a second are refused",
            f"submit {submissions + 1} times within a second",
        ),
        "rate.task-calls": (
            f"more than {calls} queries a second are refused",
            f"query {calls + 1} times within a second",
        ),
        "rate.detections": (
            f"more than {limits['models'][DETECTION_MODEL]['submissions_per_second']} detections a second are refused",
            f"detect {limits['models'][DETECTION_MODEL]['submissions_per_second'] + 1} times within a second",
        ),
        "rate.jobs": ("more trainings a second are refused than may be submitted", "train twice within a second"),
        "rate.policies": (
            f"more than {limits['upload_policies_per_second']} upload policies a second are refused",
            f"ask for {limits['upload_policies_per_second'] + 1} upload policies within a second",
        ),
        "concurrency.running": (
            "a second task waits as PENDING behind the first",
            "submit a second task while the first one runs, and query the second",
        ),
    }
    parts = {"rate.detections": "detections", "rate.jobs": "trainings", "rate.policies": "uploads"}
    for id_, rule in catalogue.rules().items():
        if id_.startswith(("rate.", "concurrency.")):
            label, how = words.get(id_, (rule.sentence.rstrip("."), f"break rule {id_}"))
            yield Item(f"limits.{id_}", "limits", label, how, parts.get(id_, PORTRAITS))


def _lifetimes() -> Iterator[Item]:
    limits = catalogue.limits()
    hours = {"task.retention": limits["task_retention_hours"], "task.timeout": limits["task_timeout_hours"]}
    words = {
        "task.retention": ("a task that ended a day ago is UNKNOWN", "once it has ended, "),
        "task.timeout": ("a task that takes too long has FAILED", "while it runs, "),
        "link.expiry": ("a result link has expired", ""),
        "link.object": ("a picture is gone", ""),
    }
    storage = {fault.rule: how for fault, how in _known_faults() if fault.kind == "storage"}
    for id_, rule in catalogue.rules().items():
        label, when = words.get(id_, (rule.sentence.rstrip("."), ""))
        if id_ in hours:
            how = f'{when}facechain.clock.advance("{hours[id_]}h"), and query the task'
            yield Item(f"lifetimes.{id_}", "lifetimes", label, how)
        elif id_ in storage:
            yield Item(f"lifetimes.{id_}", "lifetimes", label, storage[id_])


# -- the behaviours that were shown -----------------------------------------------------------------------------------


def _fault_kinds(entry: Entry, added: Mapping[str, Mapping[str, Any]]) -> set[str]:
    kinds = set()
    for id_ in entry.trace.faults:
        if id_ in added:
            kinds.add(str(added[id_]["kind"]))
        elif id_ in catalogue.scenarios():
            kinds.update(fault.kind for fault in scenario_faults(id_))
    return kinds


def _line_failures(entry: Entry) -> Iterator[str]:
    kind = "latency" if entry.wire in _LATE else entry.wire
    if not kind:
        return
    for stage, (_, operation) in _STAGES.items():
        if stage == "accepted" and entry.trace.task_id is None:
            continue
        if operation in (None, entry.trace.operation):
            yield f"line.{stage}-{kind}"


def _refusal(entry: Entry) -> str:
    if entry.status == 502:
        return "errors.502-html"
    family = _families().get(entry.trace.error or "")
    return family.id if family else ""


def _shown_by_query(entry: Entry, task: Task | None) -> Iterator[str]:
    status = entry.trace.shown_status
    if status is None:
        return
    yield f"states.{status if status in set(TaskStatus) else OTHER_STATUS}"
    if task is None or task.outcome is None or task.outcome.status != status:
        if status == TaskStatus.UNKNOWN.value and task is not None:
            yield "lifetimes.task.retention" if is_forgotten(task, entry.trace.at_ms) else "answers.lag"
        return
    if 0 < task.delivered < len(task.pictures):
        yield "states.partial"
    if status == TaskStatus.FAILED.value:
        yield f"states.failed-{_failure(task.outcome.error)}"
        if task.outcome.error == catalogue.rules()["task.timeout"].error:
            yield "lifetimes.task.timeout"


def _going_back(entries: Sequence[Entry]) -> Iterator[str]:
    succeeded: set[str | None] = set()
    for entry in entries:
        status = entry.trace.shown_status
        if entry.status != 200 or entry.wire in LOST_ON_THE_WIRE or status is None:
            continue
        if status == TaskStatus.SUCCEEDED.value:
            succeeded.add(entry.trace.task_id)
        elif status == TaskStatus.RUNNING.value and entry.trace.task_id in succeeded:
            yield "answers.backwards"


def _waiting(entries: Sequence[Entry], lines: Sequence[Line]) -> Iterator[str]:
    """Whether a query said PENDING of a task because one that came before it had not ended."""
    order = {line.task.id: position for position, line in enumerate(lines)}
    for entry in entries:
        position = order.get(entry.trace.task_id or "")
        if position is None or entry.wire in LOST_ON_THE_WIRE or entry.trace.shown_status != TaskStatus.PENDING.value:
            continue
        at_ms = entry.trace.at_ms
        account = lines[position].account
        if any(
            line.account == account
            and line.task.model == MODEL
            and line.task.queued
            and (line.task.ended_ms is None or line.task.ended_ms > at_ms)
            for line in lines[:position]
        ):
            yield "limits.concurrency.running"
            return
