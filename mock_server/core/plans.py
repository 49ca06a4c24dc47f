"""How a task goes: its progression from state to state and its outcome, as a caller may write it in JSON."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, Literal

from contracts import catalogue

Progression = Literal["time", "polls", "immediate", "hold"]
_OWN_FIELDS = {"time": ("pending_ms", "running_ms"), "polls": ("pending", "running")}
PROGRESSIONS = ("time", "polls", "immediate", "hold")
_TAKES = {
    "time": ("pending_ms", "running_ms", "seconds"),
    "polls": ("pending", "running"),
    "immediate": (),
    "hold": ("in", "pending_ms", "running_ms"),
    "manual": ("times",),
}
"""The fields that mean something to each progression. One of them alone says which progression is meant."""
LONGEST_MS = 30 * 24 * 3_600_000
MOST_POLLS = 1_000_000
MOST_IMAGES = 5
FINAL_STATUSES = ("SUCCEEDED", "FAILED", "CANCELED", "UNKNOWN")
_STATUS = re.compile(r"[A-Z][A-Z0-9_]{0,63}")


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a task ends. ``error`` is a reason in ``contracts/errors.json``; None gives FAILED without details."""

    status: str = "SUCCEEDED"
    error: str | None = None
    images: tuple[str | None, ...] = ()
    """One entry a picture: None for a good one, else the reason it failed. Empty: all good."""
    details: tuple[tuple[str, str], ...] = ()
    """Fills the blanks of the error's message."""
    why: tuple[str, str, str] | None = None
    """The rule that was broken, where, and how, when it fails for what was submitted."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How a task goes. A plan by polls counts queries of that task while it is its turn."""

    progression: Progression = "time"
    pending_ms: int = 0
    running_ms: int = 0
    pending: int = 0
    running: int = 0
    hold_in: Literal["PENDING", "RUNNING"] = "RUNNING"
    outcome: Outcome = field(default_factory=Outcome)


def plan_from_json(given: object, default: Plan) -> Plan:
    """Read a plan; what it leaves out is taken from ``default``.

    Takes the shapes of the README and, beside them, ``{"progression": "time", "seconds": 5}`` and
    ``{"progression": "manual", "times": 3}``. Raises ValueError that names the field and what it may be.
    """
    plan = _mapping(given, "plan")
    known = {
        "progression",
        "pending_ms",
        "running_ms",
        "pending",
        "running",
        "in",
        "outcome",
        "seconds",
        "times",
    }
    for name in plan:
        if name not in known:
            raise ValueError(f"plan has no field {name!r}; {catalogue.hint(name, known)}")
    progression = _progression(plan, default)
    if progression == "manual":
        plan = {**plan, "pending": 0, "running": _count(plan.get("times", 1), "times", MOST_POLLS)}
        progression = "polls"
    if "seconds" in plan:
        seconds = plan["seconds"]
        if not isinstance(seconds, int | float) or isinstance(seconds, bool) or not 0 <= seconds <= LONGEST_MS / 1000:
            raise ValueError(f"plan.seconds is {seconds!r}; it is a number from 0 to {LONGEST_MS // 1000}")
        plan = {**plan, "pending_ms": 0, "running_ms": round(seconds * 1000)}
    base = default if progression == default.progression else Plan()
    hold_in = plan.get("in", base.hold_in)
    if hold_in not in ("PENDING", "RUNNING"):
        raise ValueError(f"plan.in is {hold_in!r}; it is PENDING or RUNNING")
    return Plan(
        progression=progression,
        pending_ms=_count(plan.get("pending_ms", base.pending_ms), "pending_ms", LONGEST_MS),
        running_ms=_count(plan.get("running_ms", base.running_ms), "running_ms", LONGEST_MS),
        pending=_count(plan.get("pending", base.pending), "pending", MOST_POLLS),
        running=_count(plan.get("running", base.running), "running", MOST_POLLS),
        hold_in=hold_in,
        outcome=outcome_from_json(plan["outcome"]) if "outcome" in plan else default.outcome,
    )


def _progression(plan: Mapping[str, Any], default: Plan) -> Any:
    """The progression that is named; when none is, the one that takes the fields given, the default's if it does."""
    given = [name for name in plan if name not in ("progression", "outcome")]
    named = plan.get("progression")
    if named is None:
        usual = (default.progression, *_TAKES)
        named = next((each for each in usual if all(name in _TAKES[each] for name in given)), default.progression)
    if not isinstance(named, str) or named not in _TAKES:
        raise ValueError(f"plan.progression is {named!r}; it is one of {', '.join(_TAKES)}")
    for name in given:
        if name not in _TAKES[named]:
            takes = ", ".join(_TAKES[named]) or "no field of its own"
            raise ValueError(f"plan.{name} means nothing to the progression {named}, which takes {takes}")
    return named


def outcome_from_json(given: object) -> Outcome:
    """Read an outcome; raises ValueError that names the field and what it may be."""
    outcome = _mapping(given, "plan.outcome")
    for name in outcome:
        if name not in ("status", "error", "images"):
            raise ValueError(f"plan.outcome has no field {name!r}; it has status, error, images")
    error = outcome.get("error")
    if error is not None:
        known_error(error, "plan.outcome.error")
    status = outcome.get("status", "SUCCEEDED" if error is None else "FAILED")
    slip = _slip(status) if isinstance(status, str) else None
    if slip is not None:
        raise ValueError(f"plan.outcome.status is {status!r}; nearest is {slip!r}")
    if not isinstance(status, str) or not _STATUS.fullmatch(status) or status in ("PENDING", "RUNNING"):
        raise ValueError(f"plan.outcome.status is {status!r}; it is a final status such as SUCCEEDED or FAILED")
    images = outcome.get("images", [])
    if not isinstance(images, list) or len(images) > MOST_IMAGES:
        raise ValueError(f"plan.outcome.images is a list of at most {MOST_IMAGES} entries")
    return Outcome(status=status, error=error, images=tuple(_image(image) for image in images))


def _slip(status: str) -> str | None:
    """The known status that ``status`` misspells, None when it is one or is meant to be another."""
    near = get_close_matches(status[:80], FINAL_STATUSES, n=1, cutoff=0.8)
    return near[0] if near and near[0] != status else None


def plan_to_json(plan: Plan) -> dict[str, Any]:
    """The plan as ``plan_from_json`` reads it, whatever its default; without what does not matter."""
    blank = Plan()
    shown: dict[str, Any] = {"progression": plan.progression}
    for name in ("pending_ms", "running_ms", "pending", "running"):
        if name in _OWN_FIELDS.get(plan.progression, ()) or getattr(plan, name) != getattr(blank, name):
            shown[name] = getattr(plan, name)
    if plan.progression == "hold":
        shown["in"] = plan.hold_in
    outcome: dict[str, Any] = {"status": plan.outcome.status}
    if plan.outcome.error:
        outcome["error"] = plan.outcome.error
    if plan.outcome.images:
        outcome["images"] = ["ok" if error is None else {"error": error} for error in plan.outcome.images]
    return {**shown, "outcome": outcome}


def _image(image: object) -> str | None:
    if image == "ok":
        return None
    if isinstance(image, dict) and set(image) == {"error"}:
        return known_error(image["error"], "plan.outcome.images")
    raise ValueError(f'plan.outcome.images holds {image!r}; an entry is "ok" or {{"error": "<reason>"}}')


def known_error(reason: object, place: str) -> str:
    """A reason of the error catalogue. Raises ValueError that names the nearest one."""
    if isinstance(reason, str) and reason in catalogue.errors():
        return reason
    hint = catalogue.hint(reason, catalogue.errors())
    raise ValueError(f"{place} is {reason!r}, which is not in the error catalogue; {hint}")


def _mapping(given: object, place: str) -> Mapping[str, Any]:
    if isinstance(given, Mapping):
        return given
    raise ValueError(f"{place} is {given!r}; it is an object")


def _count(given: object, name: str, most: int) -> int:
    if isinstance(given, int) and not isinstance(given, bool) and 0 <= given <= most:
        return given
    raise ValueError(f"plan.{name} is {given!r}; it is a whole number from 0 to {most}")
