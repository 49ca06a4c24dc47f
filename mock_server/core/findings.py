"""What a client did that the contract advises against, read from the journal and the ledger."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from contracts import catalogue
from mock_server.core.journal import MOST_BODY_BYTES, Entry
from mock_server.core.ledger import Line
from mock_server.core.model import MODEL, TRAINING_MODEL, Task, TaskStatus
from mock_server.core.portraits import TEMPLATE
from mock_server.core.scenarios import TRAIN_FREE

FINAL = frozenset({"SUCCEEDED", "FAILED", "CANCELED", "UNKNOWN"})
LEVELS = ("must", "should", "may")
SECOND_MS = 1_000
LAG_MS = 30_000
"""So long after its first query a client may take UNKNOWN for a replica that has not heard of the task yet."""

THROTTLED = (429, 503)
LOST_ON_THE_WIRE = frozenset({"reset", "empty", "cut", "hang"})
JOB_PAUSE_MS = 5_000
"""A training takes minutes; who asks more often than this learns nothing new."""

QUERIES = frozenset({"query_task", "get_job"})
LISTS = {MODEL: "list_tasks", TRAINING_MODEL: "list_jobs"}
STORED = frozenset({"fetch_picture", "fetch_file", "upload_object"})
PLACES = {
    "style": "parameters",
    "size": "parameters",
    "n": "parameters",
    "skin_retouch": "parameters",
    "template_url": "input",
    "user_urls": "input",
    "resources": "",
    "model": "",
}
"""Where each field of a submission belongs; "" is the top."""


@dataclass(frozen=True)
class Finding:
    """One piece of advice that was earned, with the numbers of the requests that earned it."""

    id: str
    level: str
    rule: str
    evidence: str
    requests: tuple[int, ...]
    what: str
    advice: str


@dataclass(frozen=True, slots=True)
class _Hit:
    id: str
    requests: tuple[int, ...]
    what: str
    rule: str = ""


def findings(entries: Sequence[Entry], lines: Sequence[Line]) -> list[Finding]:
    """Everything that these requests and submissions earned, the gravest first.

    What the journal has forgotten is held against nobody.
    """
    kept = {entry.trace.number for entry in entries}
    lines = [line for line in lines if line.number in kept]
    found: list[Finding] = []
    for look in _LOOKS:
        found += [_finding(hit) for hit in look(entries, lines)]
    return sorted(found, key=lambda finding: (LEVELS.index(finding.level), finding.requests))


def numbers(requests: Sequence[int], most: int = 8) -> str:
    """Numbers of requests for a person to read, as ``#1, #3``."""
    named = ", ".join(f"#{number}" for number in requests[:most])
    return named + (f" and {len(requests) - most} more" if len(requests) > most else "")


def _finding(hit: _Hit) -> Finding:
    advice = catalogue.advice()[hit.id]
    rule = catalogue.rules().get(hit.rule)
    return Finding(
        hit.id,
        advice.level,
        hit.rule or hit.id,
        rule.evidence if rule else advice.evidence,
        hit.requests,
        hit.what,
        advice.advice,
    )


def _arrived(entry: Entry) -> bool:
    """Whether the client can have read the answer."""
    return entry.wire not in LOST_ON_THE_WIRE


def _polls_by_task(entries: Sequence[Entry]) -> dict[str, list[Entry]]:
    polls: dict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        if entry.trace.operation in QUERIES and entry.trace.task_id:
            polls[entry.trace.task_id].append(entry)
    return polls


def _seen(entry: Entry) -> str | None:
    """The task status that the client read in this answer."""
    return entry.trace.shown_status if _arrived(entry) and entry.status == 200 else None


def _broken_rules(entries: Sequence[Entry], _lines: Sequence[Line]) -> Iterator[_Hit]:
    broken: dict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        rule = entry.trace.rule
        if (
            entry.status != 200
            and rule is not None
            and rule.startswith(_CONTRACT)
            and not entry.trace.faults
            and not entry.trace.scenarios
        ):
            broken[rule].append(entry)
    for rule, hits in broken.items():
        first = hits[0].trace
        place = f" at {first.place}" if first.place else ""
        yield _Hit("breaks-contract", _numbers(hits), f"{rule}{place}: {first.problem}", rule)


_CONTRACT = (
    "auth.", "async.", "route.", "body.", "model.", "portrait.", "detection.", "job.f", "job.h", "job.v", "workspace.",
    "list.", "files.form", "files.purpose", "policy.action", "policy.conditions", "policy.signature", "upload.form",
)  # fmt: skip


def _repeated_submissions(_entries: Sequence[Entry], lines: Sequence[Line]) -> Iterator[_Hit]:
    numbers = {line.task.id: line.number for line in lines}
    for line in lines:
        if line.repeats is not None:
            first = numbers.get(line.repeats)
            what = f"task {line.task.id} asks for the same as task {line.repeats}, which had not ended"
            yield _Hit("submitted-twice", (first, line.number) if first else (line.number,), what)


def _keys_sent_to_storage(entries: Sequence[Entry], _lines: Sequence[Line]) -> Iterator[_Hit]:
    hits = [e for e in entries if e.trace.operation in STORED and "authorization" in dict(e.headers)]
    if hits:
        yield _Hit("key-sent-to-storage", _numbers(hits), f"{len(hits)} requests to the storage carried Authorization")


def _expired_links(entries: Sequence[Entry], _lines: Sequence[Line]) -> Iterator[_Hit]:
    for entry in entries:
        if entry.trace.rule == "link.expiry" and not entry.trace.faults:
            yield _Hit("link-expired", (entry.trace.number,), f"{entry.path} was asked for too late", "link.expiry")


def _tasks_left(entries: Sequence[Entry], lines: Sequence[Line]) -> Iterator[_Hit]:
    polls = _polls_by_task(entries)
    listed = {(entry.trace.account, entry.trace.operation) for entry in entries if _arrived(entry)}
    ended = {(entry.trace.account, job) for entry in entries if _arrived(entry) for job in entry.trace.shown_ended}
    for line in lines:
        task = line.task
        seen = [_seen(entry) for entry in polls[task.id]]
        if any(_is_final(status, task.outcome.status if task.outcome else None) for status in seen):
            continue
        if (line.account, task.id) in ended:
            continue
        was_listed = (line.account, LISTS[task.model]) in listed
        if task.status == TaskStatus.CANCELED or (not line.answered and not was_listed and not seen):
            continue
        if _never_ends(task) and any(seen):
            continue
        numbers = (line.number, *_numbers(polls[task.id])[-1:])
        if task.status == TaskStatus.FAILED:
            yield _Hit("failure-unseen", numbers, f"{_name(task)} FAILED after the last query")
        else:
            last = next((status for status in reversed(seen) if status), None)
            what = f"{_name(task)} was never seen" if last is None else f"{_name(task)} was last seen as {last}"
            yield _Hit("task-abandoned", numbers, what)


def _name(task: Task) -> str:
    return f"job {task.id}" if task.model == TRAINING_MODEL else f"task {task.id}"


def _is_final(status: str | None, planned: str | None) -> bool:
    """UNKNOWN ends a task only when that is how it ends, not when a replica lags."""
    if status is None:
        return False
    return status == planned or status in FINAL - {"UNKNOWN"}


def _never_ends(task: Task) -> bool:
    """A held task goes on until a test releases it, so a client that looked and left has kept a deadline."""
    return task.plan.progression == "hold" and task.released_ms is None


def _unfetched_pictures(entries: Sequence[Entry], lines: Sequence[Line]) -> Iterator[_Hit]:
    polls = _polls_by_task(entries)
    asked: dict[str, set[int | None]] = defaultdict(set)
    for entry in entries:
        if entry.trace.operation == "fetch_picture" and entry.trace.task_id:
            asked[entry.trace.task_id].add(entry.trace.picture)
    for line in lines:
        task = line.task
        shown = [entry for entry in polls[task.id] if _seen(entry) == TaskStatus.SUCCEEDED]
        missing = [number for number in task.good_pictures if number not in asked[task.id]]
        if shown and missing:
            pictures = ", ".join(str(number) for number in missing)
            what = f"of task {task.id} these pictures were not fetched: {pictures}"
            yield _Hit("pictures-unfetched", (line.number, shown[0].trace.number), what)


def _fast_polls(entries: Sequence[Entry], _lines: Sequence[Line]) -> Iterator[_Hit]:
    for task_id, polls in _polls_by_task(entries).items():
        is_job = polls[0].trace.operation == "get_job"
        pauses = [
            (later.trace.at_ms - earlier.trace.at_ms, later)
            for earlier, later in pairwise(polls)
            if earlier.status not in THROTTLED
        ]
        hits = [later for pause_ms, later in pauses if pause_ms < (JOB_PAUSE_MS if is_job else SECOND_MS)]
        if hits:
            least = max(min(pause_ms for pause_ms, _ in pauses), 0)
            what, id_ = ("job", "job-polled-too-fast") if is_job else ("task", "polled-too-fast")
            yield _Hit(id_, _numbers(hits), f"{what} {task_id} was queried again after {least} ms")


def _polls_after_end(entries: Sequence[Entry], _lines: Sequence[Line]) -> Iterator[_Hit]:
    for task_id, polls in _polls_by_task(entries).items():
        first_ms = polls[0].trace.at_ms
        ended = next((i for i, entry in enumerate(polls) if _shows_end(entry, first_ms)), None)
        later = [] if ended is None else polls[ended + 1 :]
        if ended is not None and later:
            what = f"task {task_id} was seen as {_seen(polls[ended])}; queries after that: {len(later)}"
            yield _Hit("polled-after-end", _numbers([polls[ended], *later]), what)


def _shows_end(entry: Entry, first_ms: int) -> bool:
    """Whether the answer tells a client to stop, when its first query was at ``first_ms``.

    UNKNOWN does, but not within ``LAG_MS``: a client cannot tell a lagging replica from a task that is not there.
    A word that no page names tells nothing, and a late answer may have missed the client.
    """
    status = _seen(entry)
    if status == TaskStatus.UNKNOWN and (entry.trace.faults or entry.trace.at_ms - first_ms < LAG_MS):
        return False
    return status in FINAL and not entry.wire


def _refused_photos(entries: Sequence[Entry], _lines: Sequence[Line]) -> Iterator[_Hit]:
    refused: dict[tuple[str | None, str], Entry] = {}
    for entry in entries:
        trace = entry.trace
        if trace.operation == "detect_faces":
            for picture in trace.pictures:
                refused.pop((trace.account, picture), None)
            if _arrived(entry) and entry.status == 200:
                refused |= {(trace.account, picture): entry for picture in trace.refused}
            continue
        found = [refused[trace.account, picture] for picture in trace.pictures if (trace.account, picture) in refused]
        if found and entry.status == 200:
            numbers = (found[0].trace.number, trace.number)
            yield _Hit("photo-refused-before", numbers, f"{len(found)} of its photos had been refused by detection")


def _stale_policies(entries: Sequence[Entry], _lines: Sequence[Line]) -> Iterator[_Hit]:
    stated_s = int(catalogue.limits()["upload_policy"]["stated_seconds"])
    for entry in entries:
        age_ms = entry.trace.policy_age_ms
        if age_ms is not None and age_ms >= stated_s * SECOND_MS:
            what = f"an upload came with a policy that was {age_ms // SECOND_MS} s old; it says {stated_s} s"
            yield _Hit("upload-policy-stale", (entry.trace.number,), what, "policy.expiry")


def _unresolved_links(entries: Sequence[Entry], _lines: Sequence[Line]) -> Iterator[_Hit]:
    hits = [entry for entry in entries if entry.trace.rule == "oss.resolve-header" and not entry.trace.faults]
    if hits:
        what = f"{hits[0].trace.place}: {hits[0].trace.problem}"
        yield _Hit("oss-link-unresolved", _numbers(hits), what, "oss.resolve-header")


def _hasty_retries(entries: Sequence[Entry], _lines: Sequence[Line]) -> Iterator[_Hit]:
    for same in _same_calls(entries).values():
        for earlier, later in pairwise(same):
            wait_ms = later.trace.at_ms - earlier.done_ms
            if earlier.status in THROTTLED and _arrived(earlier) and _may_retry(earlier) and wait_ms < SECOND_MS:
                what = f"{later.method} {later.path} came again {max(wait_ms, 0)} ms after a {earlier.status}"
                yield _Hit("no-back-off", (earlier.trace.number, later.trace.number), what)


def _retries_in_vain(entries: Sequence[Entry], _lines: Sequence[Line]) -> Iterator[_Hit]:
    for same in _same_calls(entries).values():
        for earlier, later in pairwise(same):
            if earlier.status >= 400 and later.status == earlier.status and not _may_retry(earlier):
                code = catalogue.errors()[earlier.trace.error or "internal_error"].code
                what = f"{later.method} {later.path} was repeated after {earlier.status} {code}"
                yield _Hit("retried-in-vain", (earlier.trace.number, later.trace.number), what)


def _same_calls(entries: Sequence[Entry]) -> dict[tuple[str | None, ...], list[Entry]]:
    same: dict[tuple[str | None, ...], list[Entry]] = defaultdict(list)
    for entry in entries:
        trace = entry.trace
        if trace.operation not in STORED:
            same[(entry.method, entry.path, entry.query, trace.account, trace.key_id, trace.intent)].append(entry)
    return same


def _may_retry(entry: Entry) -> bool:
    return entry.trace.error is None or catalogue.errors()[entry.trace.error].retry


def _odd_fields(entries: Sequence[Entry], _lines: Sequence[Line]) -> Iterator[_Hit]:
    misplaced: dict[str, list[Entry]] = defaultdict(list)
    ignored: dict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        content = _content(entry)
        if content is None:
            continue
        for what in _misplaced(content):
            misplaced[what].append(entry)
        for what in _ignored(content):
            ignored[what].append(entry)
    for what, hits in misplaced.items():
        yield _Hit("field-at-wrong-level", _numbers(hits), what)
    for what, hits in ignored.items():
        yield _Hit("field-ignored", _numbers(hits), what)


def _content(entry: Entry) -> dict[str, Any] | None:
    if entry.trace.operation != "submit_portrait" or entry.body_bytes > MOST_BODY_BYTES:
        return None
    try:
        content = json.loads(entry.body)
    except (ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


def _levels(content: dict[str, Any]) -> dict[str, dict[str, Any]]:
    inner = {name: content.get(name) for name in ("parameters", "input")}
    return {"": content, **{name: value for name, value in inner.items() if isinstance(value, dict)}}


def _misplaced(content: dict[str, Any]) -> Iterator[str]:
    for level, fields in _levels(content).items():
        for name in fields:
            home = PLACES.get(name)
            if home is not None and home != level:
                yield f"{'.'.join(filter(None, (level, name)))} belongs at {'.'.join(filter(None, (home, name)))}"


def _ignored(content: dict[str, Any]) -> Iterator[str]:
    style = _levels(content).get("parameters", {}).get("style")
    if style == TRAIN_FREE and "resources" in content:
        yield "resources is ignored in train-free mode"
    if style in (TRAIN_FREE, TEMPLATE) and "size" in content["parameters"]:
        yield "parameters.size is not needed with a template"
    known = {**PLACES, "parameters": "", "input": ""}
    for level, fields in _levels(content).items():
        for name in fields:
            if name not in known:
                yield f"{'.'.join(filter(None, (level, name)))} is a field the vendor does not name"


def _numbers(entries: Sequence[Entry]) -> tuple[int, ...]:
    return tuple(entry.trace.number for entry in entries)


_LOOKS: tuple[Callable[[Sequence[Entry], Sequence[Line]], Iterator[_Hit]], ...] = (
    _keys_sent_to_storage,
    _repeated_submissions,
    _broken_rules,
    _expired_links,
    _tasks_left,
    _unfetched_pictures,
    _fast_polls,
    _polls_after_end,
    _refused_photos,
    _stale_policies,
    _unresolved_links,
    _hasty_retries,
    _retries_in_vain,
    _odd_fields,
)
