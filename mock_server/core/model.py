"""The values that the core passes around: requests and replies, accounts and their tasks."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property

from mock_server.core.plans import Outcome, Plan

MODEL = "facechain-generation"
"""The vendor's portrait model, the only one of the submission route."""


class TaskStatus(str, Enum):
    """The statuses of a portrait task, in the vendor's words."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELED = "CANCELED"
    UNKNOWN = "UNKNOWN"


_PENDING, _RUNNING = TaskStatus.PENDING.value, TaskStatus.RUNNING.value


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request, free of any framework. Header names are lower case; ``path`` is decoded."""

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    origin: str = "http://localhost"
    """Scheme and host the client used, which result links follow."""


@dataclass(frozen=True, slots=True)
class Wire:
    """What happens to a reply on the line, put in on purpose.

    It waits ``delay_ms``; then ``kind`` is "" (sent whole), ``reset``, ``empty`` (closed without a byte),
    ``cut`` (closed after ``bytes`` of the body), ``dribble`` (``bytes`` at a time, ``pause_ms`` apart) or
    ``hang`` (held until the client leaves).
    """

    delay_ms: int = 0
    kind: str = ""
    bytes: int = 0
    pause_ms: int = 0


@dataclass(frozen=True, slots=True)
class Reply:
    """One HTTP reply, free of any framework."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    wire: Wire | None = None


class VendorError(Exception):
    """What the vendor refuses, named by a reason in ``contracts/errors.json``.

    ``rule``, ``place`` and ``problem`` become the explanation in ``X-Mock-Reason``;
    ``details`` fill the blanks of the vendor's message.
    """

    def __init__(self, reason: str, *, rule: str, problem: str, place: str = "", **details: object) -> None:
        super().__init__(reason)
        self.reason = reason
        self.rule = rule
        self.place = place
        self.problem = problem
        self.details = details

    def again(self) -> VendorError:
        """The same refusal without its traceback, which would keep alive all that happened around it."""
        return VendorError(self.reason, rule=self.rule, problem=self.problem, place=self.place, **self.details)


@dataclass(frozen=True)
class Terms:
    """How this vendor behaves: chosen once, when the parts are put together.

    ``behaviours`` holds a choice for each id of ``contracts/behaviours.json``; ``keys`` maps a key to its
    account, and when it is empty every ``sk-`` key is an account of its own.
    """

    behaviours: Mapping[str, str]
    seed: int
    plan: Plan
    limits: bool = True
    keys: Mapping[str, str] = field(default_factory=dict)
    workspaces: frozenset[str] = frozenset()
    public_base_url: str | None = None

    @cached_property
    def choices(self) -> tuple[tuple[str, str], ...]:
        """The behaviours as something that can be remembered by."""
        return tuple(self.behaviours.items())


@dataclass(frozen=True, slots=True)
class ApiKey:
    """Who asks: the account, and which of its keys. Neither reveals the key itself."""

    account: str
    id: str
    account_number: str
    scenario: str | None = None


@dataclass(slots=True)
class Task:
    """The facts of one portrait task: what was submitted, its plan, and the times settled since.

    Times are milliseconds since the epoch, UTC; one that has not come yet is None.
    """

    id: str
    key_id: str
    request_id: str
    style: str
    n: int
    submitted_ms: int
    plan: Plan
    scenarios: tuple[str, ...] = ()
    queued: bool = True
    """Whether it waits for the account's one running slot; without limits tasks run side by side."""
    polls: int = 0
    waited_for: int = 0
    """How many queries in a row were of tasks that wait for this one."""
    released_ms: int | None = None
    scheduled_ms: int | None = None
    ended_ms: int | None = None
    outcome: Outcome | None = None

    @property
    def status(self) -> str:
        """The status in the vendor's words. A scenario may end a task in a word nobody has seen."""
        if self.outcome is not None:
            return self.outcome.status
        return _PENDING if self.scheduled_ms is None else _RUNNING

    @property
    def pictures(self) -> tuple[str | None, ...]:
        """One entry a picture of a task that SUCCEEDED: None for a good one, else the reason it failed."""
        if self.outcome is None or self.outcome.status != TaskStatus.SUCCEEDED:
            return ()
        planned = self.outcome.images[: self.n]
        return planned + (None,) * (self.n - len(planned))

    @property
    def good_pictures(self) -> list[int]:
        """Numbers, from 1, of the pictures that were made."""
        return [number for number, error in enumerate(self.pictures, start=1) if error is None]

    @property
    def delivered(self) -> int:
        """How many good pictures the task made, which is what the vendor charges for."""
        return len(self.good_pictures)


@dataclass(slots=True)
class Account:
    """All that must change together for one account: its windows, its queue, its tasks."""

    submissions_ms: tuple[int, ...] = ()
    task_calls_ms: tuple[int, ...] = ()
    tasks: dict[str, Task] = field(default_factory=dict)
    queue: deque[Task] = field(default_factory=deque)
    """Tasks that have not ended, in order of submission; the first one holds the running slot."""
    slot_free_ms: int = 0
