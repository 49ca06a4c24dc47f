"""The values that the core passes around: requests and replies, accounts and their tasks."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from typing import ClassVar

from mock_server.core.pictures import Assets, Picture
from mock_server.core.plans import Outcome, Plan

MODEL = "facechain-generation"
"""The vendor's portrait model, the only one of the submission route."""

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
"""What this machine calls itself."""

DETECTION_MODEL = "facechain-facedetect"
TRAINING_MODEL = "facechain-finetune"


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
    """Scheme and host the client used, which links follow."""
    is_inside: bool = False
    """Whether it never left the client's process, so that the vendor's own hosts lead here as well."""


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


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a form: a field, or a file when it has a ``filename``."""

    name: str
    filename: str | None
    data: bytes

    @property
    def text(self) -> str:
        return self.data.decode("utf-8", "replace")


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


def no_forms(content_type: str, _body: bytes) -> list[Part]:
    """Stands in where nobody reads forms."""
    raise ValueError(f"{content_type or 'a body without Content-Type'} is not read here")


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
    training: Plan = field(default_factory=Plan)
    """How a training goes when nobody says otherwise; ``plan`` is that of a portrait."""
    resources: frozenset[str] = frozenset()
    """Likenesses that need no training, beside the vendor's samples."""
    assets: Assets | None = None
    """The pictures of ``assets.facechain.test``; None when no folder of pictures was given."""
    accepts_unknown_images: bool = True
    read_form: Callable[[str, bytes], list[Part]] = no_forms
    """Reads a form from its content type and its bytes. Raises ValueError when it is none."""
    announces: bool = False
    """Whether the end of each task is told to somebody."""

    @property
    def plans(self) -> Mapping[str, Plan]:
        """How a task of each model goes when nobody says otherwise."""
        return {MODEL: self.plan, TRAINING_MODEL: self.training}

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

    model: ClassVar[str] = MODEL
    expires: ClassVar[bool] = True
    """Whether the vendor gives it up after three hours, and forgets it a day after its end."""

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
    replanned_ms: int = 0
    canceled_ms: int | None = None
    """When a training that was running was told to stop; it is CANCELING until it has."""
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
class Job(Task):
    """The facts of one training: a task that makes no picture but a likeness, which portraits may use."""

    model: ClassVar[str] = TRAINING_MODEL
    expires: ClassVar[bool] = False

    files: tuple[str, ...] = ()
    """What it learns from: URLs and file ids."""
    hyper_parameters: Mapping[str, object] = field(default_factory=dict)
    validation_files: tuple[str, ...] = ()
    waits: bool = False
    """Whether another job held the slot when it was created: it is QUEUING until it runs."""

    @property
    def output(self) -> str:
        """The ``resource_id`` of the likeness, which is good once the job has SUCCEEDED."""
        return f"{TRAINING_MODEL}-{self.id}"


@dataclass(frozen=True, slots=True)
class File:
    """One file of the account's, as ``/api/v1/files`` keeps it; the world keeps its content while there is room."""

    id: str
    number: int
    name: str
    description: str
    purpose: str | None
    md5: str
    key_id: str
    created_ms: int
    picture: Picture


@dataclass(frozen=True, slots=True)
class Upload:
    """One temporary upload, which an ``oss://`` link leads to: for one model, for 48 hours."""

    model: str
    made_ms: int
    picture: Picture


@dataclass(slots=True)
class Lane:
    """Tasks of one kind, of which an account runs one at a time."""

    tasks: dict[str, Task] = field(default_factory=dict)
    queue: deque[Task] = field(default_factory=deque)
    """Tasks that have not ended, in order of submission; the first one holds the running slot."""
    slot_free_ms: int = 0

    def add(self, task: Task) -> None:
        """Take the task in, at the end of the queue unless it needs no slot."""
        self.tasks[task.id] = task
        if task.queued:
            self.queue.append(task)


@dataclass(slots=True)
class Account:
    """All that must change together for one account: its windows, its tasks, its trainings, its files."""

    portraits: Lane = field(default_factory=Lane)
    trainings: Lane = field(default_factory=Lane)
    admitted_ms: dict[str, tuple[int, ...]] = field(default_factory=dict)
    """For each kind of call that is limited, when it was admitted of late."""
    files: dict[str, File] = field(default_factory=dict)
    files_made: int = 0
    uploads: dict[str, Upload] = field(default_factory=dict)
    unannounced: dict[str, Task] = field(default_factory=dict)
    """Tasks whose end somebody is to be told of."""

    @property
    def has_something(self) -> bool:
        """Whether there is anything to lose: a task, a training, a file or an upload."""
        return bool(self.portraits.tasks or self.trainings.tasks or self.files or self.uploads)

    def lane(self, task: Task) -> Lane:
        """Where a task of this kind is kept."""
        return self.trainings if isinstance(task, Job) else self.portraits
