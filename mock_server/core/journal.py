"""What clients asked and what they were told: the latest requests, without secrets, bounded in size."""

from __future__ import annotations

import re
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from mock_server.core.model import Reply, Request

MOST_ENTRIES = 10_000
MOST_BYTES = 16 * 1_048_576
MOST_BODY_BYTES = 2_048
MOST_TEXT = 1_000
MOST_PICTURES = 100
FORMS = frozenset({"upload_files", "upload_object"})
"""These take forms, and what comes to them in another shape may hold secrets all the same."""

KEPT_HEADERS = (
    "accept",
    "content-length",
    "content-type",
    "host",
    "user-agent",
    "x-dashscope-async",
    "x-dashscope-ossresourceresolve",
    "x-dashscope-workspace",
    "x-mock-plan",
    "x-mock-scenario",
    "x-mock-session",
)
"""Only these are kept. Of ``Authorization`` just its scheme and a digest of the key stay."""

_SECRET = re.compile(
    r"(?<![A-Za-z0-9])(?:sk|st)(?:[-_]|%2[Dd])[A-Za-z0-9][A-Za-z0-9._-]{4,}|(?:sk|st)-[A-Za-z0-9._-]{16,}"
    r"|LTAI[A-Za-z0-9]{8,}"
    r"|((?i:key|keyid|token|secret|signature|password|policy)[\"']?\s{0,2}[=:]\s{0,2}[\"']?)[^&\s\"',}]+"
)
"""What looks like a key of the vendor's, and what stands under a name that says it is secret."""

_MARKS = (
    "sk-",
    "st-",
    "sk_",
    "st_",
    "sk%2",
    "st%2",
    "ltai",
    "key",
    "token",
    "secret",
    "signature",
    "password",
    "policy",
)
"""Without one of these there is nothing in a text to blot out, which is quicker to see."""

_LEAST_KEY = 8
"""A shorter word in ``Authorization`` is not looked for elsewhere in the request: it would be found by accident."""


@dataclass(slots=True)
class Trace:
    """What became known of a request while it was answered."""

    number: int
    epoch: int
    at_ms: int
    session: str = ""
    operation: str | None = None
    account: str | None = None
    key_id: str | None = None
    task_id: str | None = None
    scenarios: tuple[str, ...] = ()
    rule: str | None = None
    place: str = ""
    problem: str = ""
    error: str | None = None
    intent: str | None = None
    shown_status: str | None = None
    shown_ended: tuple[str, ...] = ()
    """The trainings that a list showed to have ended; it says of each all that a query would."""
    picture: int | None = None
    pictures: tuple[str, ...] = ()
    """Digests of the pictures that a submission showed, the first ``MOST_PICTURES`` of them."""
    refused: tuple[str, ...] = ()
    """Those in which detection found no face that can be used."""
    policy_age_ms: int | None = None
    """How old the policy was that an upload came with."""
    faults: list[str] = field(default_factory=list)

    def explain(self, rule: str, place: str, problem: str) -> None:
        """Note what was wrong, where, and how."""
        self.rule, self.place, self.problem = rule, place, problem


@dataclass(frozen=True, slots=True)
class Entry:
    """One request and its answer, as the journal keeps them."""

    trace: Trace
    method: str
    path: str
    query: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    body_bytes: int
    status: int
    done_ms: int
    wire: str
    size: int
    """Roughly how many bytes the entry takes."""


class Journal:
    """The latest requests of one session, ``MOST_ENTRIES`` and ``MOST_BYTES`` at most. Safe to clear at any time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: deque[Entry] = deque()
        self._bytes = 0
        self._number = 0
        self._epoch = 0

    def begin(self, at_ms: int, session: str) -> Trace:
        """A trace with the next number, to be filled while the request is answered."""
        with self._lock:
            self._number += 1
            return Trace(self._number, self._epoch, at_ms, session)

    def end(self, trace: Trace, request: Request, reply: Reply, done_ms: int) -> Entry:
        """Keep the request, unless it began before the journal was cleared; gives it as it is kept."""
        entry = _entry(trace, request, reply, done_ms)
        with self._lock:
            if trace.epoch != self._epoch:
                return entry
            self._entries.append(entry)
            self._bytes += entry.size
            while len(self._entries) > MOST_ENTRIES or self._bytes > MOST_BYTES:
                self._bytes -= self._entries.popleft().size
        return entry

    @property
    def begun(self) -> int:
        """How many requests ever came, those that are forgotten too."""
        return self._number

    def clear(self) -> None:
        """Forget every request. Numbers go on, so that none names two requests."""
        with self._lock:
            self._entries.clear()
            self._bytes = 0
            self._epoch += 1

    def entries(self) -> list[Entry]:
        """The requests kept, in the order they came in."""
        with self._lock:
            found = list(self._entries)
        return sorted(found, key=lambda entry: entry.trace.number)

    def find(self, criteria: Mapping[str, Any]) -> Iterator[Entry]:
        """The requests that match every one of ``criteria``. Raises ValueError for one nobody knows."""
        for name in criteria:
            if name not in CRITERIA:
                raise ValueError(f"requests have no {name!r} to look for; they have {', '.join(CRITERIA)}")
        for entry in self.entries():
            shown = entry_to_json(entry)
            if all(str(shown.get(name)) == str(value) for name, value in criteria.items()):
                yield entry


CRITERIA = ("method", "path", "operation", "status", "account", "task_id", "scenario", "rule", "error", "wire")


def is_form(request: Request) -> bool:
    """Whether the body is a form with files in it."""
    return request.headers.get("content-type", "").lower().startswith("multipart/")


def without_secrets(text: str) -> str:
    """``text`` with everything that looks like a key or a signature blotted out."""
    lower = text.lower()
    for mark in _MARKS:
        if mark in lower:
            return _SECRET.sub(lambda match: (match[1] or "") + "[redacted]", text)
    return text


def entry_to_json(entry: Entry) -> dict[str, Any]:
    """The request as the admin API shows it."""
    trace = entry.trace
    shown: dict[str, Any] = {
        "n": trace.number,
        "at_ms": trace.at_ms,
        "took_ms": entry.done_ms - trace.at_ms,
        "method": entry.method,
        "path": entry.path,
        "query": entry.query,
        "headers": dict(entry.headers),
        "body": entry.body.decode("utf-8", "replace"),
        "body_bytes": entry.body_bytes,
        "status": entry.status,
        "operation": trace.operation,
        "session": trace.session,
        "account": trace.account,
        "task_id": trace.task_id,
        "task_status": trace.shown_status,
        "scenario": "+".join(trace.scenarios),
        "faults": trace.faults,
        "wire": entry.wire or None,
        "error": trace.error,
        "rule": trace.rule,
    }
    if trace.rule is not None:
        shown["explanation"] = f"{trace.rule}{f' at {trace.place}' if trace.place else ''}: {trace.problem}"
    return {name: value for name, value in shown.items() if value not in (None, [], "")}


def _authorization(given: str, key_id: str | None) -> str:
    """The scheme, and the number of the key when it is one that was let in."""
    scheme, _, rest = given.strip().partition(" ")
    shown = f"<key {key_id}>" if key_id else "<key>"
    return f"Bearer {shown}" if rest and scheme.lower() == "bearer" else shown


@lru_cache(maxsize=256)
def _kept_headers(
    authorization: str, key_id: str | None, values: tuple[str | None, ...]
) -> tuple[tuple[tuple[str, str], ...], int]:
    """The headers to keep, without secrets, and their size; remembered, as a client sends the same ones each time."""
    named = zip(KEPT_HEADERS, values, strict=True)
    kept = [
        (name, _redacted(value[: 2 * MOST_TEXT], authorization)[:MOST_TEXT])
        for name, value in named
        if value is not None
    ]
    if authorization:
        kept.append(("authorization", _authorization(authorization, key_id)))
    return tuple(kept), sum(len(value) for _, value in kept)


@lru_cache(maxsize=1024)
def _redacted(text: str, authorization: str) -> str:
    """``text`` without secrets, those among them that the request itself was authorized by; polls repeat their path."""
    for word in authorization.split():
        if len(word) >= _LEAST_KEY:
            text = text.replace(word, "[redacted]")
    return without_secrets(text)


def _entry(trace: Trace, request: Request, reply: Reply, done_ms: int) -> Entry:
    authorization = request.headers.get("authorization", "")

    def kept(text: str, most: int = MOST_TEXT) -> str:
        return _redacted(text[: 2 * most], authorization)[:most]

    if trace.problem:
        trace.place, trace.problem = kept(trace.place), kept(trace.problem)
    if trace.session:
        trace.session = kept(trace.session)
    if trace.task_id:
        trace.task_id = kept(trace.task_id)
    path, query = kept(request.path), kept(request.query) if request.query else ""
    headers, header_bytes = _kept_headers(authorization, trace.key_id, tuple(map(request.headers.get, KEPT_HEADERS)))
    body = b""
    if request.body and not (
        is_form(request) or trace.operation in FORMS
    ):  # of a form just the size: it holds files, and the keys to upload them
        text = request.body[: 2 * MOST_BODY_BYTES].decode("utf-8", "replace")
        body = kept(text, MOST_BODY_BYTES).encode()
    return Entry(
        trace=trace,
        method=request.method[:20],
        path=path,
        query=query,
        headers=headers,
        body=body,
        body_bytes=len(request.body),
        status=reply.status,
        done_ms=done_ms,
        wire=reply.wire.kind or "latency" if reply.wire else "",
        size=600
        + len(path)
        + len(query)
        + len(body)
        + header_bytes
        + len(trace.problem)
        + 75 * (len(trace.pictures) + len(trace.refused) + len(trace.shown_ended)),
    )
