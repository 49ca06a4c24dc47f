"""Failures put in on purpose: which strike when, and what they do to an answer."""

from __future__ import annotations

import hashlib
import math
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from contracts import catalogue
from mock_server.core.model import Reply, VendorError, Wire
from mock_server.core.plans import known_error

STAGES = ("before", "submit", "accepted", "poll", "link")
"""Before any check; in place of accepting; after accepting; on queries; on result links."""

REFUSING = ("status", "html")
ALTERING = ("missing-field", "unknown-status", "extra-fields", "backwards", "lag")
SPOILING = ("content-type", "garbage", "storage")
ENDING = ("status", "html", "reset", "empty", "hang")
"""After these there is nothing left to do for the call."""

LOSING = ("status", "html", "reset", "empty", "hang", "cut", "garbage")
"""After these the client does not learn the answer."""

ON_THE_WIRE = ("latency", "reset", "empty", "cut", "dribble", "hang")
KINDS = REFUSING + ALTERING + SPOILING + ON_THE_WIRE
DISTRIBUTIONS = ("fixed", "uniform", "log-normal")
STORAGE_RULES = ("link.expiry", "link.object", "link.signature", "link.unsigned")
ROUTES = (
    "submit_portrait",
    "query_task",
    "list_tasks",
    "cancel_task",
    "detect_faces",
    "create_job",
    "list_jobs",
    "get_job",
    "cancel_job",
    "delete_job",
    "get_job_logs",
    "stream_job",
    "upload_files",
    "list_files",
    "get_file",
    "delete_file",
    "get_upload_policy",
    "fetch_picture",
    "fetch_file",
)
MOST_FAULTS = 1_000
MOST_COUNTS = 100_000
MOST_MS = 600_000
HTML_PAGE = (
    b"<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body><h1>502 Bad Gateway</h1></body>\r\n</html>\r\n"
)


@dataclass(frozen=True)
class Fault:
    """One failure. What is None or empty does not narrow it; ``times`` None means for ever.

    ``skip`` lets so many matching calls pass first; ``after_ms`` and ``for_ms`` bound it in time from
    ``added_ms``; ``when`` asks for an answer in that task status. ``route`` is an operationId.
    """

    stage: str
    kind: str
    error: str = "internal_error"
    retry_after: int | None = None
    distribution: str = "fixed"
    ms: int = 1_000
    least_ms: int = 0
    most_ms: int = 60_000
    sigma: float = 1.0
    bytes: int = 40
    place: str = "output.task_status"
    rule: str = "link.expiry"
    when: str | None = None
    skip: int = 0
    times: int | None = None
    probability: float = 1.0
    after_ms: int = 0
    for_ms: int | None = None
    route: str | None = None
    account: str | None = None
    scenario: str | None = None
    task_id: str | None = None
    id: str = ""
    added_ms: int = 0


@dataclass(frozen=True)
class Moment:
    """Where in the course of a call a fault may strike."""

    stage: str
    now_ms: int
    route: str
    account: str = ""
    task_id: str = ""
    scenarios: tuple[str, ...] = ()
    status: str | None = None


@dataclass
class Faults:
    """The faults of one session: those added by hand, and those that its scenarios bring.

    ``seed`` decides every draw, so that one seed gives one course of events.
    """

    seed: str
    lasting: tuple[Fault, ...] = ()
    _added: dict[str, Fault] = field(default_factory=dict)
    _matched: dict[str, int] = field(default_factory=dict)
    _struck: dict[str, int] = field(default_factory=dict)
    _number: int = 0
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def __post_init__(self) -> None:
        self.clear()

    def add(self, fault: Fault, now_ms: int) -> Fault:
        """Put a fault in; gives it with its id. Raises ValueError when there are too many."""
        with self._lock:
            if len(self._added) >= MOST_FAULTS:
                raise ValueError(f"there are {MOST_FAULTS} faults already; remove some first")
            self._number += 1
            added = replace(fault, id=f"fault-{self._number}", added_ms=now_ms)
            self._added[added.id] = added
            return added

    def remove(self, fault_id: str) -> None:
        """Raises KeyError when there is none of that id."""
        with self._lock:
            del self._added[fault_id]

    def clear(self) -> None:
        """Back to the faults of the profile, nothing counted."""
        with self._lock:
            self._added.clear()
            self._matched.clear()
            self._struck.clear()
            self._number = 0
            for fault in self.lasting:
                self.add(fault, 0)

    def shown(self) -> list[dict[str, Any]]:
        """Every fault added, as JSON, with how often it matched and struck."""
        with self._lock:
            return [
                {**fault_to_json(fault), "matched": self._matched.get(name, 0), "struck": self._struck.get(name, 0)}
                for name, fault in self._added.items()
            ]

    @property
    def quiet(self) -> bool:
        """Whether none was added, by hand or by the profile."""
        return not self._added

    def strike(self, moment: Moment, kinds: tuple[str, ...]) -> list[Fault]:
        """The faults of these kinds that strike now: the scenario's first, then those added, in order."""
        if not moment.scenarios and not self._added:
            return []
        with self._lock:
            found = []
            scope = moment.task_id if moment.stage in ("poll", "link") else f"{moment.account}:{moment.route}"
            for scenario in moment.scenarios:
                for position, fault in enumerate(scenario_faults(scenario)):
                    if self._strikes(fault, f"{scenario}#{position}:{scope}", moment, kinds):
                        found.append(replace(fault, id=scenario))
            for name, fault in self._added.items():
                if self._strikes(fault, name, moment, kinds):
                    found.append(fault)
            return found

    def _strikes(self, fault: Fault, name: str, moment: Moment, kinds: tuple[str, ...]) -> bool:
        if fault.stage != moment.stage or fault.kind not in kinds or not _concerns(fault, moment):
            return False
        for counts in (self._matched, self._struck):
            if len(counts) >= MOST_COUNTS and name not in counts:
                del counts[next(counted for counted in counts if counted not in self._added)]
        matched = self._matched[name] = self._matched.get(name, 0) + 1
        struck = self._struck.get(name, 0)
        if matched <= fault.skip or (fault.times is not None and struck >= fault.times):
            return False
        if self.draw(f"{name}:{matched}") >= fault.probability:
            return False
        self._struck[name] = struck + 1
        return True

    def draw(self, name: str) -> float:
        """A number from 0 up to 1 that only the seed and ``name`` decide."""
        digest = hashlib.blake2b(f"{self.seed}:{name}".encode(), digest_size=8).digest()
        return int.from_bytes(digest, "big") / 2**64

    def wire(self, faults: list[Fault]) -> Wire | None:
        """What these faults do to the line."""
        wire = None
        for fault in faults:
            if fault.kind not in ON_THE_WIRE:
                continue
            wire = wire or Wire()
            if fault.kind == "latency":
                draw = self.draw(f"{fault.id}:latency:{self._struck.get(fault.id, 0)}")
                wire = replace(wire, delay_ms=wire.delay_ms + latency_ms(fault, draw))
            else:
                wire = replace(wire, kind=fault.kind, bytes=fault.bytes, pause_ms=min(fault.ms, MOST_MS))
        return wire


def _concerns(fault: Fault, moment: Moment) -> bool:
    since_ms = max(moment.now_ms - fault.added_ms, 0)  # the clock may have been moved back
    return (
        (fault.route is None or fault.route == moment.route)
        and (fault.account is None or fault.account == moment.account)
        and (fault.scenario is None or fault.scenario in moment.scenarios)
        and (fault.task_id is None or fault.task_id == moment.task_id)
        and (fault.when is None or fault.when == moment.status)
        and since_ms >= fault.after_ms
        and (fault.for_ms is None or since_ms < fault.after_ms + fault.for_ms)
    )


def latency_ms(fault: Fault, draw: float) -> int:
    """How long the fault holds an answer back, for a draw from 0 up to 1."""
    if fault.distribution == "uniform":
        return round(fault.least_ms + draw * (fault.most_ms - fault.least_ms))
    if fault.distribution == "log-normal":
        from statistics import NormalDist  # as slow to import as it is rarely needed

        normal = NormalDist().inv_cdf(min(max(draw, 1e-9), 1 - 1e-9))
        return min(round(fault.ms * math.exp(fault.sigma * normal)), fault.most_ms)
    return fault.ms


def refusal(fault: Fault) -> VendorError:
    """What is answered in place of the call's own answer."""
    return VendorError(
        fault.error if fault.kind == "status" else "internal_error",
        rule="fault",
        problem=f"{fault.id} put this in on purpose, at stage {fault.stage}",
        retry_after=fault.retry_after,
    )


def altered(body: dict[str, Any], faults: list[Fault]) -> dict[str, Any]:
    """A query's answer as these faults change it."""
    for fault in faults:
        if fault.kind in _ALTERATIONS:
            body = _ALTERATIONS[fault.kind](body, fault)
    return body


def spoiled(reply: Reply, faults: list[Fault]) -> Reply:
    """A reply as these faults spoil it: another content type, or bytes that are no JSON."""
    for fault in faults:
        if fault.kind == "content-type":
            reply = replace(reply, headers=_with_content_type(reply, "text/plain"))
        elif fault.kind == "garbage":
            reply = replace(reply, body=bytes(255 - byte for byte in reply.body))
        elif fault.kind == "html":
            reply = replace(reply, status=502, headers=_with_content_type(reply, "text/html"), body=HTML_PAGE)
    return reply


def _with_content_type(reply: Reply, content_type: str) -> tuple[tuple[str, str], ...]:
    return (("content-type", content_type), *(pair for pair in reply.headers if pair[0] != "content-type"))


def _output(body: dict[str, Any]) -> dict[str, Any]:
    return dict(body.get("output", {}))


def _request_id(body: dict[str, Any]) -> dict[str, Any]:
    """The id of the request, unless another fault has taken it away."""
    return {name: body[name] for name in ("request_id",) if name in body}


def _without_field(body: dict[str, Any], fault: Fault) -> dict[str, Any]:
    first, _, rest = fault.place.partition(".")
    if not rest:
        return {name: value for name, value in body.items() if name != first}
    inner = body.get(first)
    if not isinstance(inner, dict):
        return body
    return {**body, first: _without_field(inner, replace(fault, place=rest))}


def _with_unknown_status(body: dict[str, Any], _fault: Fault) -> dict[str, Any]:
    return {**body, "output": {**_output(body), "task_status": "SUSPENDED"}}


def _with_extra_fields(body: dict[str, Any], _fault: Fault) -> dict[str, Any]:
    extra = {"style_index": 0, "runtime": "11.2", "region": "cn-beijing", "error_code": 0, "error_message": "Success"}
    return {**body, "output": {**_output(body), **extra}, "trace": {"hops": [1, 2]}}


def _backwards(body: dict[str, Any], _fault: Fault) -> dict[str, Any]:
    kept = ("task_id", "submit_time", "scheduled_time")
    output = _output(body)
    total = output.get("task_metrics", {}).get("TOTAL", 1)
    metrics = {"TOTAL": total, "SUCCEEDED": 0, "FAILED": 0}
    earlier = {name: output[name] for name in kept if name in output}
    return {**_request_id(body), "output": {**earlier, "task_status": "RUNNING", "task_metrics": metrics}}


def _lagging(body: dict[str, Any], _fault: Fault) -> dict[str, Any]:
    return {
        **_request_id(body),
        "output": {"task_id": _output(body).get("task_id", ""), "task_status": "UNKNOWN"},
    }


_ALTERATIONS: dict[str, Callable[[dict[str, Any], Fault], dict[str, Any]]] = {
    "missing-field": _without_field,
    "unknown-status": _with_unknown_status,
    "extra-fields": _with_extra_fields,
    "backwards": _backwards,
    "lag": _lagging,
}


def scenario_faults(name: str) -> tuple[Fault, ...]:
    """The faults that a scenario brings."""
    found = _SCENARIO_FAULTS.get(name)
    if found is None:
        found = tuple(fault_from_json(row) for row in catalogue.scenario(name).faults)
        _SCENARIO_FAULTS[name] = found
    return found


_SCENARIO_FAULTS: dict[str, tuple[Fault, ...]] = {}


def fault_from_json(given: object) -> Fault:
    """Read a fault; raises ValueError that names the field and what it may be."""
    if not isinstance(given, Mapping):
        raise ValueError(f"fault is {given!r}; it is an object with stage and kind")
    for name in given:
        if name not in _FIELDS:
            raise ValueError(f"fault has no field {name!r}; {catalogue.hint(name, _FIELDS)}")
    for name in ("stage", "kind"):
        if given.get(name) is None:
            raise ValueError(f"fault.{name} is missing; it is one of {', '.join(_CHOICES[name])}")
    read = {name: _FIELDS[name](name, value) for name, value in given.items() if value is not None}
    fault = Fault(**read)
    if fault.kind == "storage" and fault.stage != "link":
        raise ValueError("a fault of kind storage has stage link")
    if fault.kind in ALTERING and fault.stage != "poll":
        raise ValueError(f"a fault of kind {fault.kind} has stage poll")
    if fault.least_ms > fault.most_ms:
        raise ValueError(f"fault.least_ms is {fault.least_ms}, above most_ms {fault.most_ms}")
    _require_chance(fault)
    return fault


def _require_chance(fault: Fault) -> None:
    """Raises ValueError for a fault that could never strike, so that nobody waits for it."""
    if fault.route is not None and fault.route not in _ROUTES_OF[fault.stage]:
        raise ValueError(
            f"a fault at stage {fault.stage} never meets {fault.route}, but {', '.join(_ROUTES_OF[fault.stage])}"
        )
    if fault.kind in ALTERING and fault.route == "get_job":
        raise ValueError(f"a fault of kind {fault.kind} alters what query_task answers, and nothing else")
    for name, stages in _KNOWN_AT.items():
        if getattr(fault, name) is not None and fault.stage not in stages:
            raise ValueError(f"fault.{name} is not known yet at stage {fault.stage}, but at {', '.join(stages)}")
    if fault.when is not None and fault.kind in REFUSING:
        raise ValueError(f"a fault of kind {fault.kind} comes before the task is looked at, so it has no when")


_ROUTES_OF = {
    "before": tuple(route for route in ROUTES if route not in ("fetch_picture", "fetch_file")),
    "submit": ("submit_portrait", "detect_faces", "create_job", "upload_files"),
    "accepted": ("submit_portrait", "create_job"),
    "poll": ("query_task", "get_job"),
    "link": ("fetch_picture", "fetch_file"),
}
_KNOWN_AT = {"account": STAGES[1:], "scenario": STAGES[1:], "task_id": STAGES[2:], "when": ("poll",)}


def fault_to_json(fault: Fault) -> dict[str, Any]:
    """The fault as ``fault_from_json`` reads it, with its id and without what is at its default."""
    blank = asdict(Fault(fault.stage, fault.kind))
    shown = {name: value for name, value in asdict(fault).items() if value != blank[name]}
    shown.pop("added_ms", None)
    return {"id": shown.pop("id", ""), "stage": fault.stage, "kind": fault.kind, **shown}


_CHOICES: dict[str, tuple[str, ...]] = {
    "stage": STAGES,
    "kind": KINDS,
    "distribution": DISTRIBUTIONS,
    "rule": STORAGE_RULES,
    "route": ROUTES,
}


def _choice(name: str, value: object) -> str:
    if value in _CHOICES[name]:
        return str(value)
    near = catalogue.nearest(str(value), _CHOICES[name])
    hint = f"; nearest is {near}" if near else ""
    raise ValueError(f"fault.{name} is {value!r}; it is one of {', '.join(_CHOICES[name])}{hint}")


def _count(most: int) -> Callable[[str, object], int]:
    def read(name: str, value: object) -> int:
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= most:
            return value
        raise ValueError(f"fault.{name} is {value!r}; it is a whole number from 0 to {most}")

    return read


def _number(most: float) -> Callable[[str, object], float]:
    def read(name: str, value: object) -> float:
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= most:
            return float(value)
        raise ValueError(f"fault.{name} is {value!r}; it is a number from 0 to {most:g}")

    return read


def _text(name: str, value: object) -> str:
    if isinstance(value, str) and 0 < len(value) <= 200:
        return value
    raise ValueError(f"fault.{name} is {value!r}; it is a text of 1 to 200 characters")


def _scenario(_name: str, value: object) -> str:
    return catalogue.scenario(str(value)).name


_FIELDS: dict[str, Callable[[str, Any], Any]] = {
    "stage": _choice,
    "kind": _choice,
    "error": lambda name, value: known_error(value, f"fault.{name}"),
    "retry_after": _count(86_400),
    "distribution": _choice,
    "ms": _count(MOST_MS),
    "least_ms": _count(MOST_MS),
    "most_ms": _count(MOST_MS),
    "sigma": _number(5),
    "bytes": _count(1_048_576),
    "place": _text,
    "rule": _choice,
    "when": _text,
    "skip": _count(1_000_000),
    "times": _count(1_000_000),
    "probability": _number(1),
    "after_ms": _count(31_536_000_000),
    "for_ms": _count(31_536_000_000),
    "route": _choice,
    "account": _text,
    "scenario": _scenario,
    "task_id": _text,
}
