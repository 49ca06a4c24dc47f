"""A small reference client: upload, detect, train, submit, wait, download. It knows the vendor, not the mock."""

from __future__ import annotations

import json
import os
import random
import re
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from email.utils import parsedate_to_datetime
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import quote

import requests
from urllib3.exceptions import NewConnectionError

from contracts import catalogue

BASE_URL = "https://dashscope.aliyuncs.com/api/v1"
VENDOR_ZONE = timezone(timedelta(hours=8))
PORTRAITS, DETECTIONS, TRAININGS = "facechain-generation", "facechain-facedetect", "facechain-finetune"
"""The models, each with a route of its own."""

MOST_ATTEMPTS = 5
"""How often a call is sent before its trouble is raised; queries go on until the deadline instead."""

MOST_LOOKS = 3
"""How often the list of tasks is read before a submission without answer counts as not accepted."""

JOB_PAUSE_S = 10.0
"""A training takes minutes, and is asked for so seldom."""

CLOCK_SLACK_S = 2
"""By so much a ``Date`` header, which has whole seconds, and the times in the list may differ."""

LAG_S = 10
"""So long after a wait has begun, UNKNOWN may come from a replica that has not heard of the task yet."""

UNFAMILIAR_S = 60
"""So long a status that no page names is waited out: it could be a pause as well as an end."""

_LINE_DIED = (
    requests.ConnectionError,
    requests.Timeout,
    requests.exceptions.ChunkedEncodingError,
    requests.exceptions.ContentDecodingError,
)
_MAGIC = {b"\xff\xd8\xff": ".jpg", b"\x89PNG\r\n\x1a\n": ".png"}


@dataclass(frozen=True)
class Picture:
    """One result of a task, numbered from 1: a link, or why this picture was not made."""

    number: int
    url: str | None = None
    code: str | None = None
    message: str | None = None


@dataclass(frozen=True)
class Face:
    """What detection says of one photo: whether it can be used, and why not where the vendor tells."""

    photo: str
    is_face: bool
    reason: str | None = None


@dataclass(frozen=True)
class TaskState:
    """What one query answered. ``made`` of ``total`` pictures are ready, None where the answer does not say."""

    task_id: str
    status: str
    pictures: tuple[Picture, ...] = ()
    code: str | None = None
    message: str | None = None
    made: int | None = None
    total: int | None = None


@dataclass(frozen=True)
class Portraits:
    """The pictures of one task: those on disk, and those that the vendor could not make."""

    task_id: str
    files: tuple[Path, ...]
    missing: tuple[Picture, ...] = ()


class FaceChainError(Exception):
    """Everything that this client raises about what the vendor did."""


class RequestRefused(FaceChainError):
    """The vendor said no; ``code`` is None when somebody in front of the vendor did.

    ``is_retryable`` is what the catalogue of errors says. ``task_id`` is the task that was waited for, if any.
    """

    task_id: str | None = None

    def __init__(self, status: int, code: str | None, message: str, request_id: str | None = None) -> None:
        super().__init__(f"{status} {code or 'without code'}: {message} (request {request_id})")
        self.status, self.code, self.message, self.request_id = status, code, message, request_id
        self.is_retryable = _retry_helps(status, code, message)
        self.was_accepted: bool | None = None if status >= 500 else False


class AnswerLost(FaceChainError):
    """The line died, or what came is no answer of this API; ``was_accepted`` is False when nothing was sent."""

    is_retryable = True

    def __init__(self, problem: str, *, was_accepted: bool | None = None) -> None:
        super().__init__(problem)
        self.was_accepted = was_accepted


class SubmissionLost(FaceChainError):
    """A task may have been accepted, as one of ``candidates`` if there are any; submitting again may cost twice."""

    def __init__(self, problem: str, candidates: tuple[str, ...] = ()) -> None:
        super().__init__(f"the submission got no answer, and {problem}")
        self.candidates = candidates


class UploadFailed(FaceChainError):
    """The storage did not take a file."""


class TaskError(FaceChainError):
    """Something about one task or training, whose id stays known."""

    def __init__(self, task_id: str, problem: str) -> None:
        super().__init__(f"task {task_id} {problem}")
        self.task_id = task_id


class TaskFailed(TaskError):
    """The task FAILED and costs nothing. The vendor may leave out ``code`` and ``message``."""

    def __init__(self, code: str | None, message: str | None, task_id: str) -> None:
        super().__init__(task_id, f"failed: {code or 'no code'}: {message or 'no message'}")
        self.code, self.message = code, message


class PortraitFailed(TaskFailed):
    """No portrait came of the task."""


class TrainingFailed(TaskFailed):
    """No likeness came of the training; with other photos it may."""


class TaskCanceled(TaskError):
    """The task was cancelled, here or elsewhere."""


class TaskUnknown(TaskError):
    """The vendor has no record of the task: wrong id, another account's, or ended over 24 hours ago."""


class ResultsMissing(TaskError):
    """The task SUCCEEDED, and its answer has no results."""


class DeadlinePassed(TaskError):
    """The task goes on. Wait for it again; or cancel it, which works while ``status`` is PENDING."""

    def __init__(self, task_id: str, status: str | None) -> None:
        super().__init__(task_id, f"has not ended; last seen as {status or 'nothing readable'}")
        self.status = status


class StatusUnfamiliar(DeadlinePassed):
    """The task has been in a status that no page names for ``UNFAMILIAR_S``."""


class DownloadFailed(TaskError):
    """A picture could not be had. ``saved`` are those that could; ``errors`` is everything that went wrong."""

    def __init__(self, task_id: str, number: int, problem: str) -> None:
        super().__init__(task_id, f"picture {number}: {problem}")
        self.number = number
        self.saved: tuple[Path, ...] = ()
        self.errors: tuple[DownloadFailed, ...] = (self,)


class LinkExpired(DownloadFailed):
    """The link is older than 24 hours, and the picture is gone for good."""


class PictureGone(DownloadFailed):
    """The storage has no such picture."""


class NotAPicture(DownloadFailed):
    """What the link gave is neither JPEG nor PNG."""


class PortraitClient:
    """Talks to the vendor, or to what stands at ``base_url``; for one thread at a time.

    The key is ``api_key``, else ``DASHSCOPE_API_KEY``; ValueError when there is none. ``sleep`` and ``now``
    (seconds) and ``random`` (0 up to 1) are for tests. A ``session`` of yours must not repeat a POST by itself.
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
        """Submit ``body``, wait, and store the pictures in ``folder``. Raises FaceChainError of any kind."""
        state = self.wait(self.submit(body), deadline_s=deadline_s, on_progress=on_progress)
        files = self.download(state, folder)
        return Portraits(state.task_id, tuple(files), tuple(each for each in state.pictures if each.url is None))

    def upload(self, photo: str | os.PathLike[str] | bytes, model: str = PORTRAITS) -> str:
        """Upload a photo, a path or its bytes, for calls of ``model``; gives a link that they take for 48 hours.

        Each try has a policy of its own, so that none is old. Raises RequestRefused, AnswerLost or UploadFailed.
        """
        content = photo if isinstance(photo, bytes) else Path(photo).read_bytes()
        name = "photo" if isinstance(photo, bytes) else re.sub(r"[^A-Za-z0-9._-]+", "_", Path(photo).name)
        for _ in self._tries(MOST_ATTEMPTS):
            policy = self._repeated("GET", "/uploads", params={"action": "getPolicy", "model": model})
            host, form = _form(policy, name)
            try:
                reply = self._session.post(
                    host,
                    data=form,
                    files={"file": (name, content)},
                    auth=_without_key,
                    headers={"Authorization": None},
                    timeout=self._timeout_s,
                    allow_redirects=False,
                )
            except _LINE_DIED as error:
                problem = type(error).__name__
                continue
            except requests.RequestException as error:
                raise UploadFailed(type(error).__name__) from error
            if reply.status_code in (200, 201, 204):
                return f"oss://{form['key']}"
            problem = f"status {reply.status_code}: {reply.content[:200].decode('ascii', 'replace')}"
            if reply.status_code < 500:
                break
        raise UploadFailed(problem)

    def detect(self, photos: Sequence[str]) -> list[Face]:
        """Which photos show a face that can be used; free of charge. Raises RequestRefused or AnswerLost."""
        body = {"model": DETECTIONS, "input": {"images": list(photos)}, "parameters": {}}
        content = self._repeated("POST", "/services/vision/facedetection/detect", **_json(body))
        return _faces(photos, content)

    def train(self, photos: Sequence[str], *, deadline_s: float = 600.0, pause_s: float = JOB_PAUSE_S) -> str:
        """Train a likeness of one person; gives its resource id. Raises FaceChainError of any kind."""
        return self.wait_for_likeness(self.submit_training(photos), deadline_s=deadline_s, pause_s=pause_s)

    def submit_training(self, photos: Sequence[str]) -> str:
        """Submit a training of photos by URL, link or file id; gives the job id. Raises as ``submit`` does."""
        body = {"model": TRAININGS, "training_file_ids": list(photos)}
        return self._entered("/fine-tunes", _json(body), lambda since: self._look_for_job(photos, since))

    def wait_for_likeness(self, job_id: str, *, deadline_s: float = 600.0, pause_s: float = JOB_PAUSE_S) -> str:
        """Look every ``pause_s`` until the training SUCCEEDED; gives the resource id of its likeness.

        Raises TrainingFailed, TaskCanceled or ResultsMissing when it ended otherwise, DeadlinePassed when it did not
        end, RequestRefused when no look can help.
        """
        asked_id, asked_at = self._last_query
        if asked_id == job_id and self._now() - asked_at < pause_s:
            self._sleep(pause_s)
        started = self._now()
        status: str | None = None
        while True:
            trouble: FaceChainError | None = None
            try:
                job = self._queried(job_id, f"/fine-tunes/{_in_path(job_id)}")
            except AnswerLost as error:
                trouble = error
            except RequestRefused as error:
                error.task_id = job_id
                if not error.is_retryable:
                    raise
                trouble = error
            else:
                status = _text(job.get("status")) or status
                if status == "SUCCEEDED":
                    return _likeness(job_id, job)
                _raise_if_untrained(job_id, status, job)
            left_s = started + deadline_s - self._now()
            if left_s < 1:
                raise DeadlinePassed(job_id, status) from trouble
            self._sleep(min(pause_s, left_s))

    def submit(self, body: Mapping[str, Any]) -> str:
        """Submit a portrait; gives the task id. Raises RequestRefused, AnswerLost or SubmissionLost.

        Throttling is waited out. After a lost answer or a 5xx the task may be there all the same: the tasks are
        listed and the new one is adopted. Only when there is none is the body sent again, after a lost answer once.
        """
        request = _json(body, {"X-DashScope-Async": "enable"})
        path = "/services/aigc/album/gen_potrait"
        return self._entered(path, request, lambda since: self._look_for_task(body.get("model"), since))

    def _entered(self, path: str, request: Mapping[str, Any], look: Callable[[float], str | None]) -> str:
        """The id of what was submitted once; ``look`` finds it when it came after a moment and the answer was lost."""
        since: float | None = None
        losses = 0
        for _ in self._tries(MOST_ATTEMPTS):
            started = self._now()
            try:
                content, _ = self._call("POST", path, **request)
                return self._remembered(_accepted(content))
            except (RequestRefused, AnswerLost) as error:
                trouble: RequestRefused | AnswerLost = error
            if not trouble.is_retryable:
                raise trouble
            if trouble.was_accepted is None:
                since = started if since is None else since
                found = look(since)
                if found is not None:
                    return self._remembered(found)
                losses += isinstance(trouble, AnswerLost)
                if losses > 1:
                    raise SubmissionLost("the list of tasks does not show it") from trouble
        raise trouble

    def wait(
        self,
        task_id: str,
        *,
        deadline_s: float = 600.0,
        on_progress: Callable[[TaskState], None] | None = None,
    ) -> TaskState:
        """Query until the task SUCCEEDED; ``on_progress`` gets every answer that could be read.

        Raises PortraitFailed, TaskCanceled, TaskUnknown or ResultsMissing when the task ended otherwise,
        DeadlinePassed or StatusUnfamiliar when it did not end, RequestRefused when no query can help.
        """
        asked_id, asked_at = self._last_query
        if asked_id == task_id and self._now() - asked_at < 1:
            self._sleep(1)
        started = familiar_at = self._now()
        status: str | None = None
        for number in count(1):
            trouble: FaceChainError | None = None
            try:
                state = self._query(task_id)
            except AnswerLost as error:
                trouble = error
            except RequestRefused as error:
                error.task_id = task_id
                if not error.is_retryable:
                    raise
                trouble = error
            else:
                status = state.status
                if on_progress is not None:
                    on_progress(state)
                if status == "SUCCEEDED" and state.pictures:
                    return state
                _raise_if_ended(state, may_lag=self._now() - started < LAG_S)
                if status in ("PENDING", "RUNNING", "UNKNOWN"):
                    familiar_at = self._now()
                elif self._now() - familiar_at >= UNFAMILIAR_S:
                    raise StatusUnfamiliar(task_id, status)
            left_s = started + deadline_s - self._now()
            if left_s < 1:
                raise DeadlinePassed(task_id, status) from trouble
            self._sleep(min(self._pause_s(number), left_s))
        raise AssertionError("count has an end")

    def cancel(self, task_id: str) -> None:
        """Cancel a task that is PENDING. Raises RequestRefused (UnsupportedOperation) when it is not, or AnswerLost."""
        self._call("POST", f"/tasks/{_in_path(task_id)}/cancel")

    def download(self, state: TaskState, folder: str | Path) -> list[Path]:
        """Store the pictures of ``state`` as ``<task>-<number>.jpg`` or ``.png``; do it soon, links live 24 hours.

        Each picture is asked for once, and again only when the line dies or the storage is busy. Raises the first
        DownloadFailed after all pictures had their turn.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        name = re.sub(r"[^A-Za-z0-9_-]+", "_", state.task_id)[:80]
        saved: list[Path] = []
        errors: list[DownloadFailed] = []
        for picture in state.pictures:
            if picture.url is None:
                continue
            try:
                content, suffix = self._fetched(state.task_id, picture.number, picture.url)
            except DownloadFailed as error:
                errors.append(error)
            else:
                saved.append(_stored(folder / f"{name}-{picture.number}{suffix}", content))
        if errors:
            errors[0].saved, errors[0].errors = tuple(saved), tuple(errors)
            raise errors[0]
        return saved

    def _query(self, task_id: str) -> TaskState:
        return _state(task_id, self._queried(task_id, f"/tasks/{_in_path(task_id)}"))

    def _queried(self, task_id: str, path: str) -> Mapping[str, Any]:
        """The ``output`` of a query, whose time is noted."""
        try:
            content, _ = self._call("GET", path)
        finally:
            self._last_query = (task_id, self._now())
        return _object(content.get("output"))

    def _look_for_task(self, model: object, since: float) -> str | None:
        """The task that this client does not know and that came after ``since``; None when there is none."""
        filters = {"start_time": self._begin("/tasks", since).strftime("%Y%m%d%H%M%S"), "page_size": "100"}
        if isinstance(model, str):
            filters["model_name"] = model
        return self._new(lambda: self._listed("/tasks", _tasks_in, **filters)[0])

    def _look_for_job(self, photos: Sequence[str], since: float) -> str | None:
        """The training of these photos that this client does not know and that came after ``since``, or None."""
        begin = f"{self._begin('/fine-tunes', since):%Y-%m-%d %H:%M:%S}"

        def ids_in(content: Mapping[str, Any]) -> list[str]:
            return _jobs_in(content, photos, begin)

        return self._new(lambda: self._listed("/fine-tunes", ids_in, page_size="100")[0])

    def _begin(self, path: str, since: float) -> datetime:
        """The moment ``since`` in the vendor's time, a little earlier, by the date of its list."""
        _, server_time = self._listed(path, lambda _: [], page_size="1")
        return (server_time - timedelta(seconds=self._now() - since + CLOCK_SLACK_S)).astimezone(VENDOR_ZONE)

    def _new(self, listed: Callable[[], list[str]]) -> str | None:
        """The one listed id that this client does not know, None when there is none."""
        for _ in self._tries(MOST_LOOKS):
            new = tuple(task_id for task_id in listed() if task_id not in self._known)
            if len(new) > 1:
                raise SubmissionLost(f"it may be any of {', '.join(new)}", new)
            if new:
                return new[0]
        return None

    def _listed(
        self, path: str, ids_in: Callable[[Mapping[str, Any]], list[str]], **filters: str
    ) -> tuple[list[str], datetime]:
        """The ids in a list, and the vendor's time. Raises SubmissionLost when the list cannot be had."""
        for _ in self._tries(MOST_ATTEMPTS):
            try:
                content, headers = self._call("GET", path, params=filters)
                return ids_in(content), _server_time(headers)
            except (RequestRefused, AnswerLost) as error:
                trouble = error
            if not trouble.is_retryable:
                break
        raise SubmissionLost("the tasks cannot be listed") from trouble

    def _repeated(self, method: str, path: str, **more: Any) -> dict[str, Any]:
        """The answer to a call that does no harm when it is sent again. Raises RequestRefused or AnswerLost."""
        for _ in self._tries(MOST_ATTEMPTS):
            try:
                return self._call(method, path, **more)[0]
            except (RequestRefused, AnswerLost) as error:
                trouble: RequestRefused | AnswerLost = error
            if not trouble.is_retryable:
                break
        raise trouble

    def _remembered(self, task_id: str) -> str:
        self._known.append(task_id)
        return task_id

    def _tries(self, most: int) -> Iterator[int]:
        """Numbers from 1 to ``most``, and a pause between them."""
        for number in range(1, most + 1):
            yield number
            if number < most:
                self._sleep(self._pause_s(number))

    def _pause_s(self, number: int) -> float:
        """From one second at first to five, with some chance in it."""
        step_s = min(1.5 ** min(number - 1, 10), 5.0)
        least_s, most_s = max(1.0, step_s * 0.8), min(5.0, step_s * 1.2)
        return least_s + self._random() * (most_s - least_s)

    def _call(self, method: str, path: str, **more: Any) -> tuple[dict[str, Any], Mapping[str, str]]:
        """The object in a 200 and its headers. Raises RequestRefused or AnswerLost."""
        url, timeout_s = self._base_url + path, self._timeout_s
        try:
            reply = self._session.request(
                method, url, auth=self._with_key, timeout=timeout_s, allow_redirects=False, **more
            )
        except _LINE_DIED as error:
            raise AnswerLost(f"{method} {path}: {type(error).__name__}", was_accepted=_was_accepted(error)) from error
        content = _json_object(reply.content)
        if reply.status_code == 200 and content is not None:
            return content, reply.headers
        code = None if content is None else _text(content.get("code"))
        if content is not None and code is not None:
            message, request_id = _text(content.get("message")) or "", _text(content.get("request_id"))
            raise RequestRefused(reply.status_code, code, message, request_id)
        if 300 <= reply.status_code < 500:
            raise RequestRefused(reply.status_code, None, reply.content[:80].decode("ascii", "replace"))
        raise AnswerLost(f"{method} {path}: {reply.status_code} with what is no answer of this API")

    def _with_key(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._key}"
        return request

    def _fetched(self, task_id: str, number: int, url: str) -> tuple[bytes, str]:
        """The picture behind a link, and the suffix for its kind. Raises DownloadFailed."""
        for _ in self._tries(MOST_ATTEMPTS):
            try:
                reply = self._session.get(
                    url, auth=_without_key, headers={"Authorization": None}, timeout=self._timeout_s
                )
                content = _whole(reply)
            except _LINE_DIED as error:
                problem = type(error).__name__
                continue
            except requests.RequestException as error:
                raise DownloadFailed(task_id, number, type(error).__name__) from error
            problem = f"status {reply.status_code}"
            if reply.status_code == 200:
                suffix = next((suffix for magic, suffix in _MAGIC.items() if content.startswith(magic)), None)
                if suffix is None:
                    raise NotAPicture(task_id, number, f"the link gave {content[:20]!r}")
                return content, suffix
            if reply.status_code == 403 and b"expired" in content:
                raise LinkExpired(task_id, number, "the link has expired")
            if reply.status_code == 404:
                raise PictureGone(task_id, number, "the storage has none of that name")
            if reply.status_code < 500:
                break
        raise DownloadFailed(task_id, number, problem)


def _retry_helps(status: int, code: str | None, message: str) -> bool:
    """What the catalogue says of the code, and of the message by its beginning; the status where it says nothing."""
    rows = [row for row in catalogue.errors().values() if row.code == code]
    worded = [row for row in rows if message.startswith(row.message.partition("{")[0])]
    verdicts = {row.retry for row in worded or rows}
    return verdicts.pop() if len(verdicts) == 1 else status == 429 or status >= 500


def _raise_if_ended(state: TaskState, *, may_lag: bool) -> None:
    match state.status:
        case "SUCCEEDED":
            raise ResultsMissing(state.task_id, "succeeded, and its answer has no results")
        case "FAILED":
            raise PortraitFailed(state.code, state.message, state.task_id)
        case "CANCELED":
            raise TaskCanceled(state.task_id, "was cancelled")
        case "UNKNOWN" if not may_lag:
            raise TaskUnknown(state.task_id, "is not known to the vendor")


def _state(task_id: str, output: Mapping[str, Any]) -> TaskState:
    status = _text(output.get("task_status"))
    if status is None:
        raise AnswerLost(f"the answer about task {task_id} has no status")
    results, metrics = output.get("results"), _object(output.get("task_metrics"))
    pictures = tuple(
        Picture(number, *(_text(_object(result).get(name)) for name in ("url", "code", "message")))
        for number, result in enumerate(results if isinstance(results, list) else [], start=1)
    )
    made, total = (value if isinstance(value, int) else None for value in map(metrics.get, ("SUCCEEDED", "TOTAL")))
    return TaskState(task_id, status, pictures, _text(output.get("code")), _text(output.get("message")), made, total)


def _raise_if_untrained(job_id: str, status: str | None, job: Mapping[str, Any]) -> None:
    if status == "FAILED":
        raise TrainingFailed(_text(job.get("code")), _text(job.get("message")), job_id)
    if status == "CANCELED":
        raise TaskCanceled(job_id, "was cancelled")


def _likeness(job_id: str, job: Mapping[str, Any]) -> str:
    likeness = _text(job.get("finetuned_output"))
    if likeness is None:
        raise ResultsMissing(job_id, "succeeded, and its answer names no likeness")
    return likeness


def _faces(photos: Sequence[str], content: Mapping[str, Any]) -> list[Face]:
    output = _object(content.get("output"))
    found, reasons = output.get("is_face"), output.get("failed_reason")
    if not isinstance(found, list) or len(found) != len(photos):
        raise AnswerLost("the detection was not answered photo by photo")
    told = reasons if isinstance(reasons, list) and len(reasons) == len(photos) else [None] * len(photos)
    return [
        Face(photo, is_face is True, _text(reason)) for photo, is_face, reason in zip(photos, found, told, strict=True)
    ]


def _json(body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> dict[str, Any]:
    """How a call sends ``body``; temporary uploads in it are to be resolved."""
    data = json.dumps(dict(body), allow_nan=False)
    resolved = {"X-DashScope-OssResourceResolve": "enable"} if '"oss://' in data else {}
    return {"data": data, "headers": {"Content-Type": "application/json", **(headers or {}), **resolved}}


def _form(content: Mapping[str, Any], name: str) -> tuple[str, dict[str, str]]:
    """Where a file of this name goes under a policy, and the fields that it needs beside it."""
    policy = _object(content.get("data"))
    wanted = {
        "OSSAccessKeyId": "oss_access_key_id",
        "Signature": "signature",
        "policy": "policy",
        "x-oss-object-acl": "x_oss_object_acl",
        "x-oss-forbid-overwrite": "x_oss_forbid_overwrite",
    }
    given = {field: _text(policy.get(of)) for field, of in wanted.items()}
    host, folder = _text(policy.get("upload_host")), _text(policy.get("upload_dir"))
    form = {field: value for field, value in given.items() if value is not None}
    if host is None or folder is None or len(form) < len(wanted):
        raise AnswerLost("the upload policy is not whole")
    return host, {**form, "key": f"{folder}/{name}", "success_action_status": "200"}


def _accepted(content: Mapping[str, Any]) -> str:
    output = _object(content.get("output"))
    task_id = _text(output.get("task_id")) or _text(output.get("job_id"))
    if task_id is None:
        raise AnswerLost("the submission was answered without a task id")
    return task_id


def _jobs_in(content: Mapping[str, Any], photos: Sequence[str], begin: str) -> list[str]:
    """The trainings of these photos that are listed and were created at ``begin`` or later."""
    rows = _object(content.get("output")).get("jobs")
    if not isinstance(rows, list):
        raise AnswerLost("the list of trainings has no jobs")
    jobs = [_object(row) for row in rows]
    same = [job for job in jobs if job.get("training_file_ids") == list(photos)]
    new = [job for job in same if (_text(job.get("create_time")) or "") >= begin]
    return [job_id for job in new if (job_id := _text(job.get("job_id"))) is not None]


def _tasks_in(content: Mapping[str, Any]) -> list[str]:
    rows = content.get("data")
    if not isinstance(rows, list):
        raise AnswerLost("the list of tasks has no data")
    return [task_id for row in rows if (task_id := _text(_object(row).get("task_id"))) is not None]


def _server_time(headers: Mapping[str, str]) -> datetime:
    """The vendor's clock, or ours where no ``Date`` can be read."""
    try:
        return parsedate_to_datetime(headers.get("Date", "")).astimezone(timezone.utc)
    except (TypeError, ValueError):
        return datetime.now(timezone.utc)


def _json_object(content: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _in_path(task_id: str) -> str:
    if not task_id.strip("."):
        raise ValueError(f"{task_id!r} is not a task id")
    return quote(task_id, safe="")


def _was_accepted(error: requests.RequestException) -> bool | None:
    """False when no connection was made; None, for nobody knows, once there was one."""
    reason = getattr(error.args[0], "reason", None) if error.args else None
    never_sent = isinstance(error, requests.ConnectTimeout) or isinstance(reason, NewConnectionError)
    return False if never_sent else None


def _without_key(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _whole(reply: requests.Response) -> bytes:
    """The body. Raises ConnectionError when it is shorter than was announced, which older urllib3 lets pass."""
    announced = reply.headers.get("Content-Length", "")
    if "Content-Encoding" not in reply.headers and announced.isdigit() and len(reply.content) < int(announced):
        raise requests.ConnectionError("the body is incomplete")
    return reply.content


def _stored(path: Path, content: bytes) -> Path:
    """Write the file whole or not at all."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        draft.write_bytes(content)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    return path
