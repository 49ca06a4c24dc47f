"""A small reference client for portraits: submit, wait, download. It knows the vendor, and nothing of the mock."""

from __future__ import annotations

import json
import os
import random
import re
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import requests
from requests.structures import CaseInsensitiveDict
from urllib3.exceptions import NewConnectionError

from contracts import catalogue

BASE_URL = "https://dashscope.aliyuncs.com/api/v1"
VENDOR_ZONE = timezone(timedelta(hours=8))
MOST_ATTEMPTS = 5
"""How often a call is sent before its trouble is reported; queries go on until the deadline instead."""

MOST_LOOKS = 3
"""How often the list of tasks is read after a lost answer before the task counts as not accepted."""

CLOCK_SLACK_S = 2
"""What the vendor's ``Date`` header, in whole seconds, and the times in its list may differ by."""

LAG_S = 10
"""So long after the start of a wait UNKNOWN may come from a replica that has not heard of the task yet."""

UNFAMILIAR_S = 60
"""So long a status that no page names may last: it could be a pause or an end."""

_BROKEN_LINE = (
    requests.ConnectionError,
    requests.Timeout,
    requests.exceptions.ChunkedEncodingError,
    requests.exceptions.ContentDecodingError,
)


@dataclass(frozen=True)
class Picture:
    """One result of a task, numbered from 1: a link, or the code and message of a picture that was not made."""

    number: int
    url: str | None = None
    code: str | None = None
    message: str | None = None


@dataclass(frozen=True)
class TaskState:
    """What one query answered. ``made`` of ``total`` pictures are ready; None where the answer does not say."""

    task_id: str
    status: str
    pictures: tuple[Picture, ...] = ()
    code: str | None = None
    message: str | None = None
    made: int | None = None
    total: int | None = None


@dataclass(frozen=True)
class Portraits:
    """The pictures of a task on disk, and those that the vendor could not make."""

    task_id: str
    files: tuple[Path, ...]
    missing: tuple[Picture, ...] = ()


class FaceChainError(Exception):
    """Everything that this client raises about the vendor's answers."""


class RequestRefused(FaceChainError):
    """The vendor said no. ``code`` is None when somebody in front of the vendor said it."""

    def __init__(self, status: int, code: str | None, message: str, request_id: str | None = None) -> None:
        super().__init__(f"{status} {code or 'without a code'}: {message} (request {request_id})")
        self.status, self.code, self.message, self.request_id = status, code, message, request_id

    @property
    def is_retryable(self) -> bool:
        """Whether the same call may succeed later: as the catalogue says, else by the status."""
        rows = [row for row in catalogue.errors().values() if row.code == self.code]
        worded = [row for row in rows if self.message.startswith(row.message.partition("{")[0])]
        verdicts = {row.retry for row in worded or rows}
        return verdicts.pop() if len(verdicts) == 1 else self.status == 429 or self.status >= 500


class AnswerLost(FaceChainError):
    """No answer that makes sense: the line died, or what came is not the API's. ``was_sent`` tells of the call."""

    def __init__(self, problem: str, *, was_sent: bool = True) -> None:
        super().__init__(problem)
        self.was_sent = was_sent


class SubmissionLost(AnswerLost):
    """A submission may have been accepted, as one of ``candidates`` perhaps. Sending it again may cost twice."""

    def __init__(self, problem: str, candidates: tuple[str, ...] = ()) -> None:
        super().__init__(problem)
        self.candidates = candidates


class TaskError(FaceChainError):
    """Something about one task, whose id is kept."""

    def __init__(self, task_id: str, problem: str) -> None:
        super().__init__(f"task {task_id} {problem}")
        self.task_id = task_id


class PortraitFailed(TaskError):
    """The task FAILED; it costs nothing. The vendor may leave out code and message."""

    def __init__(self, code: str | None, message: str | None, task_id: str) -> None:
        super().__init__(task_id, f"failed: {code or 'no code'}: {message or 'no message'}")
        self.code, self.message = code, message


class TaskCanceled(TaskError):
    """The task was cancelled, by this client or by somebody else."""


class TaskUnknown(TaskError):
    """The vendor has no record of the task: a wrong id, another account's, or ended more than 24 hours ago."""


class ResultsMissing(TaskError):
    """The task SUCCEEDED, and the answer lists no results."""


class DeadlinePassed(TaskError):
    """The task goes on, and so may you: wait for it again, or cancel it while it is PENDING."""

    def __init__(self, task_id: str, status: str | None) -> None:
        super().__init__(task_id, f"was last seen as {status or 'nothing readable'}")
        self.status = status


class StatusUnfamiliar(DeadlinePassed):
    """The task has been in a status that no page names for a minute."""


class DownloadFailed(TaskError):
    """A picture could not be had. ``saved`` are those that could, ``errors`` all that went wrong, this one first."""

    def __init__(self, task_id: str, number: int, problem: str) -> None:
        super().__init__(task_id, f"picture {number}: {problem}")
        self.number = number
        self.saved: tuple[Path, ...] = ()
        self.errors: tuple[DownloadFailed, ...] = (self,)


class LinkExpired(DownloadFailed):
    """The link is older than 24 hours; the picture is gone for good."""


class PictureGone(DownloadFailed):
    """The storage has no such picture."""


class NotAPicture(DownloadFailed):
    """What the link gave is neither JPEG nor PNG."""


class PortraitClient:
    """Talks to the vendor, or to whatever answers at ``base_url``, which ends in ``/api/v1``.

    The key comes from ``DASHSCOPE_API_KEY`` when none is given; ValueError when there is none at all.
    ``sleep``, ``now`` (seconds) and ``random`` (0 up to 1) can be replaced in tests. A ``session`` of yours
    must not repeat a POST by itself.
    """

    def __init__(
        self,
        base_url: str = BASE_URL,
        api_key: str | None = None,
        *,
        session: requests.Session | None = None,
        timeout_s: float = 10.0,
        sleep: Callable[[float], None] = time.sleep,
        now: Callable[[], float] = time.monotonic,
        random: Callable[[], float] = random.random,
    ) -> None:
        self._key = (api_key or os.environ.get("DASHSCOPE_API_KEY", "")).strip()
        if not self._key:
            raise ValueError("there is no API key: give api_key, or set DASHSCOPE_API_KEY")
        self._base_url = base_url.rstrip("/")
        self._session = session or requests.Session()
        self._timeout_s, self._sleep, self._now, self._random = timeout_s, sleep, now, random
        self._known: deque[str] = deque(maxlen=1_000)
        self._last_query = ("", 0.0)

    def make_portraits(
        self,
        body: Mapping[str, Any],
        folder: str | Path,
        *,
        deadline_s: float = 600.0,
        on_progress: Callable[[TaskState], None] | None = None,
    ) -> Portraits:
        """Submit ``body``, wait for the task and store its pictures in ``folder``. Raises FaceChainError."""
        state = self.wait(self.submit(body), deadline_s=deadline_s, on_progress=on_progress)
        files = self.download(state, folder)
        missing = tuple(picture for picture in state.pictures if picture.url is None)
        return Portraits(state.task_id, tuple(files), missing)

    def submit(self, body: Mapping[str, Any]) -> str:
        """Submit a portrait and give its task id, which is worth keeping: the task is paid for.

        After an answer that was lost the account's tasks are listed and the new one is adopted; only when there
        is none is the submission sent again, once. Raises RequestRefused, AnswerLost or SubmissionLost.
        """
        data = json.dumps(dict(body), allow_nan=False)
        headers = {"Content-Type": "application/json", "X-DashScope-Async": "enable"}
        if '"oss://' in data:
            headers["X-DashScope-OssResourceResolve"] = "enable"
        since: float | None = None
        losses = 0
        for attempt, pause in enumerate(self._pauses(), start=1):
            started = self._now()
            try:
                content, _ = self._call("POST", "/services/aigc/album/gen_potrait", data=data, headers=headers)
                return self._remember(_text_at(content, "output", "task_id"))
            except RequestRefused as error:
                if not error.is_retryable or attempt == MOST_ATTEMPTS:
                    raise
                is_proof = error.status == 429
            except AnswerLost as error:
                losses += error.was_sent
                is_proof = not error.was_sent
                if is_proof and attempt == MOST_ATTEMPTS:
                    raise
            if not is_proof:
                since = started if since is None else since
                found = self._look_for_lost(body.get("model"), since)
                if found is not None:
                    return self._remember(found)
            if losses > 1 or attempt == MOST_ATTEMPTS:
                raise SubmissionLost("the submission got no answer, and the list of tasks does not show it")
            self._sleep(pause)
        raise AssertionError("the pauses have no end")

    def wait(
        self,
        task_id: str,
        *,
        deadline_s: float = 600.0,
        on_progress: Callable[[TaskState], None] | None = None,
    ) -> TaskState:
        """Query until the task has SUCCEEDED; every readable answer goes to ``on_progress``.

        Raises PortraitFailed, TaskCanceled, TaskUnknown or ResultsMissing when it ended otherwise, DeadlinePassed
        or StatusUnfamiliar when it has not ended, and RequestRefused when a query is refused for good.
        """
        started = self._now()
        state: TaskState | None = None
        unfamiliar_since: float | None = None
        for pause in self._pauses():
            trouble: FaceChainError | None = None
            try:
                state = self._query(task_id)
            except (RequestRefused, AnswerLost) as error:
                if isinstance(error, RequestRefused) and not error.is_retryable:
                    raise
                trouble = error
            else:
                if on_progress is not None:
                    on_progress(state)
                waited_s = self._now() - started
                if _has_succeeded(state, may_lag=waited_s < LAG_S):
                    return state
                is_familiar = state.status in ("PENDING", "RUNNING", "UNKNOWN")
                unfamiliar_since = None if is_familiar else unfamiliar_since or self._now()
                ...
            left_s = started + deadline_s - self._now()
            if left_s < 1:
                raise DeadlinePassed(task_id, state.status if state else None) from trouble
            self._sleep(min(pause, left_s))
        raise AssertionError("the pauses have no end")
