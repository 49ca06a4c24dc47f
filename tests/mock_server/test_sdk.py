"""The vendor's own SDK, unmodified, against the server on a port: what it sends, and what its users get to see.

Where the SDK waits, its clock is ours: a sleep moves the server's time and takes none. Only the command line runs in a
process of its own and in real time, with plans that leave it nothing to wait for. Tests named "observed" hold a habit
of the SDK that a user should know of.
"""

from __future__ import annotations

import base64
import gc
import hashlib
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dashscope
import pytest
import requests
from dashscope.client import base_api
from dashscope.client.base_api import BaseApi, BaseAsyncAioApi, BaseAsyncApi
from dashscope.common.error import InvalidTask, UploadFileException
from dashscope.finetune import finetunes
from dashscope.utils.oss_utils import OssUtils, check_and_upload_local
from dashscope.v2 import errors
from dashscope.v2.resources import _jobs, fine_tunes
from dashscope.v2.resources._jobs import AsyncJobs, Job, Jobs
from dashscope.v2.transport import http as v2_http
from dashscope.version import __version__
from flask import Flask
from PIL import Image

from contracts import catalogue
from mock_server.app import create_app
from mock_server.clock import VendorClock
from mock_server.serving import running
from mock_server.settings import Settings

Files: Any = dashscope.Files
FineTunes: Any = dashscope.FineTunes
"""The types that the SDK ships for these two leave out half of what they have."""

SUBMIT = "/api/v1/services/aigc/album/gen_potrait"
KEY = "sk-sdk-user"
TOKEN = "a-token-of-the-sdk-tests"
START_MS = 1_768_444_200_000
"""15 January 2026, 10:30:00.000 in UTC+8."""

PORTRAIT: dict[str, Any] = {
    "model": "facechain-generation",
    "input": {},
    "resources": [{"resource_id": "women_model", "resource_type": "facelora"}],
}
ROUTE = {"task_group": "aigc", "task": "album", "function": "gen_potrait"}
CALL: dict[str, Any] = {**PORTRAIT, **ROUTE, "style": "f_business_female", "n": 2}
"""A call of the 1.x classes: parameters are keyword arguments."""
JOB: dict[str, Any] = {**PORTRAIT, "parameters": {"style": "f_business_female", "n": 2}}
"""The same for the jobs of the 2.x client."""

HELD = {"progression": "hold", "in": "RUNNING"}
AT_ONCE = {"progression": "immediate"}
BY_POLLS = {"progression": "polls", "pending": 1, "running": 2}
WAITING = {"progression": "hold", "in": "PENDING"}
FAILING = {"progression": "immediate", "outcome": {"error": "image_resolution"}}
PARTIAL = {"progression": "immediate", "outcome": {"images": ["ok", {"error": "output_inspection"}]}}


@dataclass(frozen=True)
class Heard:
    """One request as the server got it."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Site:
    """A running server, what it has heard, and how long the SDK believes to have slept."""

    app: Flask
    clock: VendorClock
    url: str = ""
    heard: list[Heard] = field(default_factory=list)
    slept_s: list[float] = field(default_factory=list)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        body = environ["wsgi.input"].read()
        headers = {name[5:].replace("_", "-").lower(): text for name, text in environ.items() if name[:5] == "HTTP_"}
        headers["content-type"] = environ.get("CONTENT_TYPE", "")
        self.heard.append(
            Heard(environ["REQUEST_METHOD"], environ["PATH_INFO"], environ["QUERY_STRING"], headers, body)
        )
        return self.app({**environ, "wsgi.input": io.BytesIO(body)}, start_response)

    def plan_next(self, *plans: dict[str, Any]) -> None:
        """How the next tasks go."""
        for plan in plans:
            headers = {"X-Admin-Token": TOKEN}
            assert self.app.test_client().post("/__admin/plans", json=plan, headers=headers).status_code == 201

    def sleep(self, seconds: float) -> None:
        self.slept_s.append(seconds)
        self.clock.advance(seconds)

    async def asleep(self, seconds: float) -> None:
        self.sleep(seconds)

    def now_s(self) -> float:
        return self.clock.now_ms() / 1000

    def lines(self) -> list[str]:
        """What was heard under the vendor's prefix, a line a request."""
        calls = (each for each in self.heard if each.path.startswith("/api/"))
        return [f"{each.method} {each.path}" + ("?" + each.query if each.query else "") for each in calls]


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Site]:
    """A fresh server that the SDK is pointed at; its clock moves when the SDK sleeps, and not otherwise."""
    clock = VendorClock(START_MS, monotonic=lambda: 0.0)
    site = Site(create_app(Settings(seed=3, admin_token=TOKEN), clock=clock), clock)
    watch = SimpleNamespace(sleep=site.sleep, time=site.now_s, monotonic=site.now_s)
    for module in (base_api, finetunes, fine_tunes, _jobs, v2_http):
        monkeypatch.setattr(module, "time", watch)
        if hasattr(module, "asyncio"):
            monkeypatch.setattr(module, "asyncio", SimpleNamespace(sleep=site.asleep))
    for name in [name for name in os.environ if name.startswith("DASHSCOPE_") or name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("DASHSCOPE_CONFIG", str(tmp_path / "no-such-file.toml"))
    monkeypatch.setattr(dashscope, "api_key", KEY)
    with running(site) as server:
        site.url = server.url
        monkeypatch.setattr(dashscope, "base_http_api_url", f"{server.url}/api/v1")
        yield site
        dashscope.close_shared_sync_session()


@pytest.fixture
async def aio_site(site: Site) -> AsyncIterator[Site]:
    """The same for asyncio; the session that the SDK keeps for each loop is closed with it."""
    yield site
    close: Any = dashscope.close_shared_aio_session
    await close()
    gc.collect()  # the SDK closes a session once more when it is collected, which needs the loop


@pytest.fixture
def client(site: Site) -> Iterator[dashscope.Client]:
    """A 2.x client, pointed at the server."""
    with dashscope.Client(api_key=KEY, base_url=f"{site.url}/api/v1") as client:
        yield client


@pytest.fixture
def jobs(client: dashscope.Client) -> Jobs:
    """The 2.x jobs of the portrait route, by the class behind ``client.images.jobs``."""
    return Jobs(client, "aigc/album/gen_potrait")


def downloaded(url: str) -> Image.Image:
    """The picture behind a result link, fetched without a key."""
    answer = requests.get(url, timeout=10)
    assert answer.status_code == 200
    image = Image.open(io.BytesIO(answer.content))
    image.load()
    return image


def vendor_moment(text: str | None) -> datetime:
    """Read a time as a typed client does; three digits of a second and nothing else."""
    assert text is not None
    assert len(text) == len("2026-01-15 10:30:00.000")
    return datetime.strptime(text, "%Y-%m-%d %H:%M:%S.%f")  # noqa: DTZ007 - the vendor names no zone


# -- 1.x, synchronous -------------------------------------------------------------------------------------------------


def test_a_call_submits_waits_and_brings_pictures(site: Site) -> None:
    site.plan_next(BY_POLLS)
    answer = BaseAsyncApi.call(**CALL)
    assert (answer.status_code, answer.output["task_status"], answer.usage) == (200, "SUCCEEDED", {"image_count": 2})
    assert answer.output["task_metrics"] == {"TOTAL": 2, "SUCCEEDED": 2, "FAILED": 0}
    assert [downloaded(result["url"]).size for result in answer.output["results"]] == [(768, 1024)] * 2
    assert site.slept_s == [1, 1, 2]  # it doubles its pause after every third query, up to 5 s


def test_what_a_call_sends(site: Site) -> None:
    site.plan_next(AT_ONCE)
    task_id = BaseAsyncApi.call(**CALL).output["task_id"]
    assert site.lines() == [f"POST {SUBMIT}", f"GET /api/v1/tasks/{task_id}"]
    submit, query = site.heard
    assert json.loads(submit.body) == JOB
    assert submit.headers["x-dashscope-async"] == "enable"
    assert submit.headers["content-type"] == "application/json; charset=utf-8"
    assert query.body == b""
    for each in site.heard:
        assert each.headers["authorization"] == f"Bearer {KEY}"
        assert each.headers["accept"] == "application/json; charset=utf-8"
        assert each.headers["x-dashscope-sdk-client"].startswith(f"python-sdk/{__version__}/")


def test_a_failed_task_brings_code_and_message(site: Site) -> None:
    site.plan_next(FAILING)
    answer = BaseAsyncApi.call(**CALL)
    row = catalogue.errors()["image_resolution"]
    assert (answer.status_code, answer.output["task_status"]) == (200, "FAILED")
    assert (answer.output["code"], answer.output["message"]) == (row.code, row.message)
    assert not answer.code  # the call itself went well


def test_a_picture_that_failed_is_an_entry_without_link(site: Site) -> None:
    site.plan_next(PARTIAL)
    answer = BaseAsyncApi.call(**CALL)
    good, bad = answer.output["results"]
    assert downloaded(good["url"]).size == (768, 1024)
    assert bad == {"code": "DataInspectionFailed", "message": catalogue.errors()["output_inspection"].message}
    assert answer.usage == {"image_count": 1}


def test_image_synthesis_types_the_same_answer(site: Site) -> None:
    site.plan_next(PARTIAL)
    answer = dashscope.ImageSynthesis.wait(BaseAsyncApi.async_call(**CALL).output["task_id"])
    assert (answer.output.task_status, answer.usage.image_count) == ("SUCCEEDED", 1)
    assert [bool(result.url) for result in answer.output.results] == [True, False]
    assert answer.output.results[1].code == "DataInspectionFailed"


def test_times_read_as_the_vendor_writes_them_and_one_that_has_not_come_is_absent(site: Site) -> None:
    site.plan_next({"progression": "time", "pending_ms": 250, "running_ms": 1_500})
    task = BaseAsyncApi.async_call(**CALL)
    assert set(BaseAsyncApi.fetch(task).output) == {"task_id", "task_status", "submit_time", "task_metrics"}
    output = BaseAsyncApi.wait(task).output
    submitted, scheduled, ended = (vendor_moment(output[f"{each}_time"]) for each in ("submit", "scheduled", "end"))
    assert submitted == datetime(2026, 1, 15, 10, 30)  # noqa: DTZ001 - the vendor names no zone
    assert (scheduled - submitted, ended - scheduled) == (timedelta(seconds=0.25), timedelta(seconds=1.5))


@pytest.mark.parametrize(
    ("wrong", "status", "code", "message"),
    [
        ({"api_key": "not-a-key"}, 401, "InvalidApiKey", "Invalid API-key provided."),
        ({"n": 9}, 400, "InvalidParameter", "Range of n should be [1, 4]"),
        ({"style": "cubist"}, 400, "InvalidParameter", "The style is invalid."),
        ({"model": "facechain-generator"}, 400, "InvalidParameter", "Model not exist."),
        ({"function": "gen_portrait"}, 400, "InvalidParameter", "url error, please check url！"),
    ],
)
def test_a_refusal_is_an_answer_with_status_code_and_message(
    site: Site, wrong: dict[str, Any], status: int, code: str, message: str
) -> None:
    answer = BaseAsyncApi.async_call(**{**CALL, **wrong})
    assert (answer.status_code, answer.code, answer.message) == (status, code, message)
    assert answer.output is None
    assert answer.request_id == answer.headers["X-Request-Id"]
    assert answer.headers["X-Mock-Reason"]
    with pytest.raises(InvalidTask, match=code):
        BaseAsyncApi.wait(answer)


def test_the_third_submission_within_a_second_is_refused_and_not_tried_again(site: Site) -> None:
    answers = [BaseAsyncApi.async_call(**CALL) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[2].code == "Throttling.RateQuota"
    assert len(site.heard) == 3
    site.clock.advance(1)
    assert BaseAsyncApi.async_call(**CALL).status_code == 200


def test_observed_a_429_ends_the_wait_of_1_x_although_the_task_goes_on(site: Site) -> None:
    task = BaseAsyncApi.async_call(**CALL)
    for _ in range(20):
        assert BaseAsyncApi.fetch(task).status_code == 200
    assert BaseAsyncApi.wait(task).status_code == 429
    assert site.slept_s == []
    site.clock.advance(1)
    assert BaseAsyncApi.wait(task).output["task_status"] == "SUCCEEDED"


def test_a_pending_task_is_cancelled_and_an_ended_one_is_not(site: Site) -> None:
    site.plan_next(WAITING)
    task = BaseAsyncApi.async_call(**CALL)
    assert BaseAsyncApi.cancel(task).status_code == 200
    assert BaseAsyncApi.wait(task).output["task_status"] == "CANCELED"
    again = BaseAsyncApi.cancel(task)
    assert (again.status_code, again.code) == (400, "UnsupportedOperation")
    assert site.lines()[1] == f"POST /api/v1/tasks/{task.output['task_id']}/cancel"


def test_the_wait_for_a_task_that_nobody_knows_ends_at_once(site: Site) -> None:
    answer = BaseAsyncApi.wait("no-such-task")
    assert (answer.status_code, answer.output) == (200, {"task_id": "no-such-task", "task_status": "UNKNOWN"})


def test_a_wait_may_be_given_up(site: Site) -> None:
    site.plan_next(WAITING)
    answer = BaseAsyncApi.call(**CALL, wait_timeout=10)
    assert (answer.status_code, answer.code) == (408, "WaitTaskTimeout")
    assert sum(site.slept_s) >= 10


def submitted(site: Site, *plans: dict[str, Any]) -> list[str]:
    """The ids of tasks that go as planned, a minute apart."""
    site.plan_next(*plans)
    ids = []
    for _ in plans:
        ids.append(BaseAsyncApi.async_call(**CALL).output["task_id"])
        site.clock.advance("1m")
    return ids


FILTERS: list[tuple[dict[str, Any], list[int]]] = [
    ({}, [3, 2, 1, 0]),
    ({"status": "SUCCEEDED"}, [2, 0]),
    ({"status": "FAILED"}, [1]),
    ({"status": "PENDING"}, [3]),
    ({"page_size": 3}, [3, 2, 1]),
    ({"page_size": 3, "page_no": 2}, [0]),
    ({"model_name": "facechain-generation", "region": "cn-beijing"}, [3, 2, 1, 0]),
    ({"model_name": "another"}, []),
    ({"start_time": "20260115103100", "end_time": "20260115103230"}, [2, 1]),
]


@pytest.mark.parametrize(("filters", "expected"), FILTERS)
def test_a_list_is_filtered_and_newest_first(site: Site, filters: dict[str, Any], expected: list[int]) -> None:
    ids = submitted(site, AT_ONCE, FAILING, AT_ONCE, WAITING)
    answer = BaseAsyncApi.list(**filters)
    assert answer.status_code == 200
    assert [row["task_id"] for row in answer.output["data"]] == [ids[number] for number in expected]
    assert answer.output["page_size"] == filters.get("page_size", 10)
    assert answer.request_id


def test_the_key_may_come_with_each_call_and_tasks_are_the_accounts_own(site: Site) -> None:
    site.plan_next(WAITING)
    task = BaseAsyncApi.async_call(**CALL, api_key="sk-somebody-else")
    assert BaseAsyncApi.fetch(task).output["task_status"] == "UNKNOWN"
    assert BaseAsyncApi.fetch(task, api_key="sk-somebody-else").output["task_status"] == "PENDING"
    assert BaseAsyncApi.list().output["total"] == 0


# -- 1.x, asyncio -----------------------------------------------------------------------------------------------------


async def test_an_asyncio_call_submits_waits_and_brings_pictures(aio_site: Site) -> None:
    aio_site.plan_next(BY_POLLS)
    answer = await BaseAsyncAioApi.call(**CALL)
    assert (answer.status_code, answer.output["task_status"]) == (200, "SUCCEEDED")
    assert downloaded(answer.output["results"][0]["url"]).size == (768, 1024)
    assert aio_site.slept_s == [1, 1, 2]


async def test_observed_asyncio_polls_with_a_slash_and_repeats_the_parameters(aio_site: Site) -> None:
    aio_site.plan_next(AT_ONCE)
    task_id = (await BaseAsyncAioApi.call(**CALL)).output["task_id"]
    await BaseAsyncAioApi.fetch(task_id)
    assert aio_site.lines() == [
        f"POST {SUBMIT}",
        f"GET /api/v1/tasks/{task_id}/?style=f_business_female&n=2",
        f"GET /api/v1/tasks/{task_id}/",
    ]
    assert json.loads(aio_site.heard[0].body) == JOB


async def test_observed_asyncio_cancels_with_a_slash_and_a_body_that_means_nothing(aio_site: Site) -> None:
    aio_site.plan_next(WAITING)
    task = await BaseAsyncAioApi.async_call(**CALL)
    assert (await BaseAsyncAioApi.cancel(task)).status_code == 200
    cancel = aio_site.heard[-1]
    assert cancel.path == f"/api/v1/tasks/{task.output['task_id']}/cancel/"
    assert json.loads(cancel.body) == {"model": "", "parameters": {}, "input": ""}
    assert (await BaseAsyncAioApi.wait(task)).output["task_status"] == "CANCELED"
    again = await BaseAsyncAioApi.cancel(task)
    assert (again.status_code, again.code) == (400, "UnsupportedOperation")


async def test_asyncio_shows_failures_and_refusals(aio_site: Site) -> None:
    aio_site.plan_next(FAILING)
    answer = await BaseAsyncAioApi.call(**CALL)
    assert (answer.output["task_status"], answer.output["code"]) == ("FAILED", "InvalidImageResolution")
    wrong_key = await BaseAsyncAioApi.async_call(**CALL, api_key="not-a-key")
    assert (wrong_key.status_code, wrong_key.code) == (401, "InvalidApiKey")
    aio_site.clock.advance(1)
    answers = [await BaseAsyncAioApi.async_call(**{**CALL, "n": n}) for n in (9, 1, 1)]
    assert [(answer.status_code, answer.code) for answer in answers] == [
        (400, "InvalidParameter"),
        (200, ""),
        (429, "Throttling.RateQuota"),
    ]


@pytest.mark.parametrize(("filters", "expected"), FILTERS[:6])
async def test_an_asyncio_list_is_the_same(aio_site: Site, filters: dict[str, Any], expected: list[int]) -> None:
    ids = submitted(aio_site, AT_ONCE, FAILING, AT_ONCE, WAITING)
    answer = await BaseAsyncAioApi.list(**filters)
    assert [row["task_id"] for row in answer.output["data"]] == [ids[number] for number in expected]
    refused = await BaseAsyncAioApi.list(api_key="not-a-key")
    assert (refused.status_code, refused.code) == (401, "InvalidApiKey")


# -- 2.x --------------------------------------------------------------------------------------------------------------


def test_a_job_is_created_waited_for_and_brings_pictures(site: Site, jobs: Jobs) -> None:
    site.plan_next(BY_POLLS)
    job = jobs.wait(jobs.create(**JOB))
    assert job.succeeded
    assert job.usage is not None
    assert job.usage.model_dump()["image_count"] == 2
    assert [downloaded(url).size for url in job.image_urls] == [(768, 1024)] * 2
    assert site.slept_s == [1, 2, 4, 8]
    assert site.lines() == [f"POST {SUBMIT}"] + [f"GET /api/v1/tasks/{job.task_id}"] * 4
    assert json.loads(site.heard[0].body) == JOB


def test_the_times_of_a_job_are_named_and_in_order(site: Site, jobs: Jobs) -> None:
    job = jobs.create(**JOB)
    assert (job.submitted_at, job.scheduled_at, job.finished_at) == (None, None, None)
    pending = jobs.fetch(job.task_id)
    assert (bool(pending.submitted_at), pending.scheduled_at, pending.finished_at) == (True, None, None)
    done = jobs.wait(job)
    assert vendor_moment(done.submitted_at) < vendor_moment(done.scheduled_at) < vendor_moment(done.finished_at)


def test_a_failed_job_is_an_exception_with_code_and_message(site: Site, jobs: Jobs) -> None:
    site.plan_next(FAILING)
    with pytest.raises(errors.DashScopeError, match="The input image resolution is too large or small") as caught:
        jobs.wait(jobs.create(**JOB))
    assert (caught.value.code, caught.value.status_code) == ("InvalidImageResolution", 200)
    assert caught.value.request_id


@pytest.mark.parametrize(
    ("attempt", "kind", "status", "code"),
    [
        (lambda jobs: jobs.create(**JOB, api_key="not-a-key"), errors.AuthenticationError, 401, "InvalidApiKey"),
        (lambda jobs: jobs.fetch("x", api_key="not-a-key"), errors.AuthenticationError, 401, "InvalidApiKey"),
        (lambda jobs: jobs.create(**{**JOB, "parameters": {}}), errors.BadRequestError, 400, "InvalidParameter"),
        (lambda jobs: jobs.create(**{**JOB, "model": ""}), errors.BadRequestError, 400, "BadRequest.EmptyModel"),
        (lambda jobs: jobs.cancel("no-such-task"), errors.BadRequestError, 400, "UnsupportedOperation"),
        (lambda jobs: jobs.list(page_size=101), errors.BadRequestError, 400, "InvalidParameter"),
    ],
)
def test_a_refusal_is_an_exception_of_the_clients(
    jobs: Jobs, attempt: Callable[[Jobs], object], kind: type[errors.DashScopeError], status: int, code: str
) -> None:
    with pytest.raises(kind) as caught:
        attempt(jobs)
    error = caught.value
    assert (error.status_code, error.code) == (status, code)
    assert error.request_id == error.headers["x-request-id"]
    assert error.headers["x-mock-reason"]


def test_a_client_that_does_not_raise_gets_the_refusal_as_a_job(site: Site, client: dashscope.Client) -> None:
    with client.with_options(raise_on_error=False) as quiet:
        job = Jobs(quiet, "aigc/album/gen_potrait").create(**{**JOB, "model": ""})
    assert (job.is_error, job.code) == (True, "BadRequest.EmptyModel")


def test_a_throttled_job_is_tried_again_after_a_pause(site: Site, jobs: Jobs) -> None:
    assert [jobs.create(**JOB).status for _ in range(3)] == ["PENDING"] * 3
    assert len(site.heard) == 5  # the third one three times
    assert [round(pause_s) for pause_s in site.slept_s] == [1, 1]


def test_a_client_without_retries_shows_the_429(site: Site, client: dashscope.Client) -> None:
    with client.with_options(max_retries=0) as impatient:
        jobs = Jobs(impatient, "aigc/album/gen_potrait")
        jobs.create(**JOB)
        jobs.create(**JOB)
        with pytest.raises(errors.RateLimitError) as caught:
            jobs.create(**JOB)
    assert (caught.value.status_code, caught.value.code) == (429, "Throttling.RateQuota")


def test_a_pending_job_is_cancelled_and_waiting_for_it_says_so(site: Site, jobs: Jobs) -> None:
    site.plan_next(WAITING)
    job = jobs.create(**JOB)
    assert not jobs.cancel(job.task_id).is_error
    with pytest.raises(errors.DashScopeError, match="was canceled"):
        jobs.wait(job)


def test_the_images_of_the_client_know_any_task(site: Site, client: dashscope.Client, jobs: Jobs) -> None:
    site.plan_next(AT_ONCE)
    task_id = jobs.create(**JOB).task_id
    assert client.images.jobs.wait(task_id).succeeded
    assert client.images.jobs.fetch("no-such-task").status == "UNKNOWN"


def test_observed_the_list_of_2_x_counts_the_tasks_and_shows_none(site: Site, jobs: Jobs) -> None:
    submitted(site, AT_ONCE, FAILING)
    page = jobs.list(status="FAILED", page_size=5)
    assert (page.total, page.page_no, page.page_size) == (1, 1, 5)
    assert site.lines()[-1] == "GET /api/v1/tasks?page_no=1&page_size=5&status=FAILED"
    assert page.tasks == []  # SDK 2.0.2 reads "tasks", and the vendor documents "data"


def test_observed_the_cancel_of_2_x_brings_a_job_without_id_and_status(site: Site, jobs: Jobs) -> None:
    site.plan_next(WAITING)
    cancelled = jobs.cancel(jobs.create(**JOB).task_id)
    assert (cancelled.task_id, cancelled.status, bool(cancelled.request_id)) == ("", "", True)


def test_observed_the_images_of_the_client_have_no_way_to_the_portrait_route(
    site: Site, client: dashscope.Client
) -> None:
    with pytest.raises(errors.BadRequestError, match="url error"):
        client.images.jobs.create(model="facechain-generation", prompt="a portrait")
    assert site.lines() == ["POST /api/v1/services/aigc/text2image/image-synthesis"]


@pytest.mark.parametrize("variable", ["DASHSCOPE_BASE_URL", "DASHSCOPE_HTTP_BASE_URL"])
def test_the_environment_alone_points_the_client_here(
    site: Site, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, f"{site.url}/api/v1")
    monkeypatch.setenv("DASHSCOPE_API_KEY", KEY)
    with dashscope.Client() as client:
        assert client.images.jobs.fetch("x").status == "UNKNOWN"
    assert site.heard[0].headers["authorization"] == f"Bearer {KEY}"


async def test_the_asyncio_client_goes_the_same_way(site: Site) -> None:
    site.plan_next(BY_POLLS, FAILING, WAITING)
    async with dashscope.AsyncClient(api_key=KEY, base_url=f"{site.url}/api/v1") as client:
        jobs = AsyncJobs(client, "aigc/album/gen_potrait")
        done: Job = await jobs.wait(await jobs.create(**JOB))
        with pytest.raises(errors.DashScopeError, match="resolution"):
            await jobs.wait(await jobs.create(**JOB))
        waiting = await jobs.create(**JOB)
        await jobs.cancel(waiting.task_id)
        with pytest.raises(errors.BadRequestError):
            await jobs.cancel(waiting.task_id)
        assert (await jobs.list(status="CANCELED")).total == 1
    assert [downloaded(url).size for url in done.image_urls] == [(768, 1024)] * 2
    assert site.slept_s == [1, 2, 4, 8, 1]  # it pauses before the first query too


# -- files ------------------------------------------------------------------------------------------------------------

RESOLVE = {"X-DashScope-OssResourceResolve": "enable"}
NO_TEXT = "inference"
"""As a purpose, this keeps the SDK from reading a photo as JSON lines; it is not sent."""


@pytest.fixture
def photo(tmp_path: Path) -> str:
    """A local photo."""
    path = tmp_path / "me.jpg"
    Image.new("RGB", (800, 1_000), "#8899aa").save(path)
    return str(path)


def uploaded(photo: str, **more: Any) -> str:
    """The id of a file that was kept."""
    answer = Files.upload(photo, purpose=NO_TEXT, **more)
    (file,) = answer.output["uploaded_files"]
    return str(file["file_id"])


def test_a_file_is_uploaded_listed_looked_at_and_deleted(site: Site, photo: str) -> None:
    content = Path(photo).read_bytes()
    answer = Files.upload(photo, purpose=NO_TEXT, description="from the front")
    assert (answer.status_code, answer.output["failed_uploads"]) == (200, [])
    (kept,) = answer.output["uploaded_files"]
    assert kept["name"] == "me.jpg"
    (listed,) = Files.list().output["files"]
    expected = {"file_id": kept["file_id"], "name": "me.jpg", "description": "from the front", "size": len(content)}
    assert {name: listed[name] for name in expected} == expected
    assert listed["md5"] == base64.b64encode(hashlib.md5(content, usedforsecurity=False).digest()).decode()
    found = Files.get(kept["file_id"]).output
    assert requests.get(found["url"], timeout=10).content == content
    assert Files.delete(kept["file_id"]).status_code == 200
    assert Files.list().output["total"] == 0
    gone = catalogue.errors()[str(catalogue.rules()["files.known"].error)]
    for ask in (Files.get, Files.delete):
        refused = ask(kept["file_id"])
        assert (refused.status_code, refused.code, refused.message) == (gone.status, gone.code, gone.message)


def test_the_second_page_of_files_holds_the_older_ones(site: Site, photo: str) -> None:
    ids = [uploaded(photo) for _ in range(3)]
    listed = Files.list(page=2, page_size=2).output
    assert ([file["file_id"] for file in listed["files"]], listed["total"]) == (ids[:1], 3)


def test_the_files_of_2_x_are_the_same(site: Site, client: dashscope.Client, photo: str) -> None:
    kept = client.files.upload(file_path=photo, purpose=NO_TEXT, description="from the front")
    assert (kept.name, kept.is_error) == ("me.jpg", False)
    page, file_id = client.files.list(), str(kept.file_id)
    assert (page.total_count, [file.file_id for file in page.files]) == (1, [file_id])
    assert client.files.get(file_id).size == len(Path(photo).read_bytes())
    assert client.files.delete(file_id).deleted
    with pytest.raises(errors.NotFoundError):
        client.files.get(file_id)


def test_observed_a_photo_is_taken_for_json_lines_unless_its_purpose_is_another(
    site: Site, client: dashscope.Client, photo: str
) -> None:
    for upload in (Files.upload, client.files.upload):
        with pytest.raises(UnicodeDecodeError):
            upload(file_path=photo)
    assert site.heard == []


def test_observed_the_purpose_is_not_sent(site: Site, client: dashscope.Client, photo: str) -> None:
    uploaded(photo)
    client.files.upload(file_path=photo, purpose=NO_TEXT)
    assert [b"purpose" in each.body for each in site.heard] == [False, False]


def test_observed_a_file_that_was_not_kept_is_an_answer_that_went_well(site: Site, photo: str) -> None:
    key = "sk-mock-small-storage"
    answer = Files.upload(photo, purpose=NO_TEXT, api_key=key)
    assert (answer.status_code, answer.code, answer.output["uploaded_files"]) == (200, None, [])
    (failed,) = answer.output["failed_uploads"]
    assert (failed["name"], failed["code"]) == ("me.jpg", "BadRequest.TooLarge")
    with dashscope.Client(api_key=key, base_url=f"{site.url}/api/v1") as client:
        file = client.files.upload(file_path=photo, purpose=NO_TEXT)
    assert (file.file_id, file.is_error) == (None, False)


# -- temporary uploads ------------------------------------------------------------------------------------------------

DETECTION, TRAINING = "facechain-facedetect", "facechain-finetune"


def test_a_local_photo_becomes_an_oss_link_by_a_policy_and_a_form_post(site: Site, photo: str) -> None:
    link, certificate = OssUtils.upload(model=DETECTION, file_path=photo, api_key=KEY)
    assert link == f"oss://{certificate['upload_dir']}/me.jpg"
    ask, post = site.heard
    assert (ask.path, ask.query) == ("/api/v1/uploads", f"action=getPolicy&model={DETECTION}")
    assert f"{site.url}{post.path}" == certificate["upload_host"]
    assert "authorization" not in post.headers


@pytest.mark.parametrize("form", ["{}", "file://{}"])
def test_what_is_local_is_uploaded_and_what_is_not_stays_as_it_is(site: Site, photo: str, form: str) -> None:
    link, certificate = check_and_upload_local(DETECTION, form.format(photo), KEY)[1:]
    assert link.startswith("oss://")
    again = check_and_upload_local(DETECTION, link, KEY, certificate)
    assert again == (True, link, certificate)
    assert check_and_upload_local(DETECTION, "https://cdn.example/me.jpg", KEY)[:2] == (
        False,
        "https://cdn.example/me.jpg",
    )
    assert len(site.heard) == 2


def test_observed_one_certificate_takes_each_name_once(site: Site, photo: str) -> None:
    _, certificate = OssUtils.upload(model=DETECTION, file_path=photo, api_key=KEY)
    with pytest.raises(UploadFileException, match="FileAlreadyExists"):
        OssUtils.upload(model=DETECTION, file_path=photo, upload_certificate=certificate)
    other = Path(photo).with_name("you.jpg")
    other.write_bytes(Path(photo).read_bytes())
    link, _ = OssUtils.upload(model=DETECTION, file_path=str(other), upload_certificate=certificate)
    assert link.endswith("/you.jpg")


def test_a_certificate_expires(site: Site, photo: str) -> None:
    certificate: Any = OssUtils.get_upload_certificate(model=DETECTION, api_key=KEY).output
    site.clock.advance(certificate["expire_in_seconds"])
    with pytest.raises(UploadFileException, match="Policy expired"):
        OssUtils.upload(model=DETECTION, file_path=photo, upload_certificate=certificate)


@pytest.mark.parametrize(
    ("wrong", "code"),
    [({"model": "facechain-facedetct"}, "InvalidParameter"), ({"api_key": "not-a-key"}, "InvalidApiKey")],
)
def test_an_upload_that_gets_no_certificate_says_why(site: Site, photo: str, wrong: dict[str, Any], code: str) -> None:
    asked: dict[str, Any] = {"model": DETECTION, "file_path": photo, "api_key": KEY, **wrong}
    with pytest.raises(UploadFileException, match=f"code: {code}"):
        OssUtils.upload(**asked)


def detected(*urls: str, **more: Any) -> Any:
    """The answer of a detection, by the class of 1.x for any synchronous route."""
    route = {"task_group": "vision", "task": "facedetection", "function": "detect"}
    return BaseApi.call(model=DETECTION, input={"images": list(urls)}, **route, **more)


def test_a_detection_says_of_each_photo_whether_it_will_do(site: Site, photo: str) -> None:
    link, _ = OssUtils.upload(model=DETECTION, file_path=photo, api_key=KEY)
    crowd = "https://assets.facechain.test/crowd.jpg?faces=9"
    answer = detected(link, crowd, headers=RESOLVE)
    assert answer.output == {"is_face": [True, False], "failed_reason": ["", "more than one face detected"]}


def test_observed_the_header_that_resolves_an_oss_link_is_the_callers_to_send(site: Site, photo: str) -> None:
    link, _ = OssUtils.upload(model=DETECTION, file_path=photo, api_key=KEY)
    answer = detected(link)
    assert (answer.status_code, answer.code) == (400, "InvalidParameter.DataInspection")
    assert "oss.resolve-header" in answer.headers["X-Mock-Reason"]


# -- trainings --------------------------------------------------------------------------------------------------------


def trained(site: Site, *plans: dict[str, Any]) -> list[str]:
    """The ids of trainings that go as planned, a second apart."""
    ids = []
    for plan in plans:
        site.plan_next({"model": TRAINING, **plan})
        ids.append(FineTunes.call(TRAINING, "https://pictures.example/me.jpg").output.job_id)
        site.clock.advance(1)
    return ids


def test_a_training_is_created_and_waited_for(site: Site, photo: str) -> None:
    file_id = uploaded(photo)
    created = FineTunes.call(model=TRAINING, training_file_ids=[file_id])
    assert (created.status_code, created.output.status) == (200, "PENDING")
    assert json.loads(site.heard[-1].body) == {
        "model": TRAINING,
        "training_file_ids": [file_id],
        "validation_file_ids": None,
        "hyper_parameters": {},
    }
    done = FineTunes.wait(created.output.job_id)
    assert (done.output.status, done.output.usage) == ("SUCCEEDED", 1)
    assert done.output.finetuned_output == f"{TRAINING}-{created.output.job_id}"
    assert site.slept_s == [30]


def test_trainings_are_listed_newest_first_and_looked_at(site: Site) -> None:
    ids = trained(site, AT_ONCE, FAILING, HELD)
    listed = FineTunes.list(page_size=2).output
    assert ([job.job_id for job in listed.jobs], listed.total) == ([ids[2], ids[1]], 3)
    assert [FineTunes.get(job_id).output.status for job_id in ids] == ["SUCCEEDED", "FAILED", "RUNNING"]
    failed = FineTunes.get(ids[1])
    assert (failed.status_code, failed.output.code) == (200, "InvalidImageResolution")


def test_a_training_is_cancelled_while_it_runs_and_one_that_waits_is_deleted(site: Site) -> None:
    running, waiting = trained(site, HELD, HELD)
    assert FineTunes.get(waiting).output.status == "QUEUING"
    assert FineTunes.delete(waiting).output.status == "success"
    assert FineTunes.cancel(running).output.status == "success"
    assert FineTunes.get(running).output.status == "CANCELING"
    assert FineTunes.wait(running).output.status == "CANCELED"


def test_a_refusal_of_a_training_is_an_answer_with_code_and_message(site: Site) -> None:
    (ended,) = trained(site, AT_ONCE)
    refusals = {
        "not_found": FineTunes.get("ft-202601151030-0000"),
        "job_not_deletable": FineTunes.delete(ended),
        "operation_unsupported": FineTunes.cancel(ended),
        "training_files_missing": FineTunes.call(TRAINING, []),
    }
    for reason, answer in refusals.items():
        row = catalogue.errors()[reason]
        assert (answer.status_code, answer.code, answer.message) == (row.status, row.code, row.message)


def test_observed_the_logs_of_1_x_begin_with_the_second_line(site: Site) -> None:
    (job_id,) = trained(site, FAILING)
    whole = FineTunes.logs(job_id, offset=0)
    usual = FineTunes.logs(job_id)
    assert job_id in whole.output["logs"][0]
    assert "FAILED" in whole.output["logs"][-1]
    assert usual.output["logs"] == whole.output["logs"][1:]


def test_the_stream_brings_the_log_so_far(site: Site) -> None:
    (job_id,) = trained(site, HELD)
    events = [json.loads(event.output) for event in FineTunes.stream_events(job_id)]
    logs = FineTunes.logs(job_id, offset=0)
    assert [event["output"]["message"] for event in events] == logs.output["logs"]
    (refused,) = FineTunes.stream_events("ft-202601151030-0000")
    assert (refused.status_code, refused.code) == (404, "NotFound")


def test_the_trainings_of_2_x_are_the_same(site: Site, client: dashscope.Client) -> None:
    jobs: Any = client.fine_tunes
    created = jobs.create(model=TRAINING, training_file_ids="https://pictures.example/me.jpg")
    done = jobs.wait(created)
    assert (done.succeeded, done.finetuned_model) == (True, f"{TRAINING}-{created.job_id}")
    page = jobs.list(page_size=5)
    assert (page.total_count, [job.status for job in page.jobs]) == (1, ["SUCCEEDED"])
    assert f"training of {done.finetuned_model} begins" in jobs.logs(done.job_id).content
    assert len(list(jobs.stream_events(done.job_id))) == len(jobs.logs(done.job_id, offset=0).content.splitlines())
    with pytest.raises(errors.BadRequestError, match="can not be deleted"):
        jobs.delete(done.job_id)
    (held,) = trained(site, HELD)
    assert jobs.cancel(held).status == "success"
    with pytest.raises(errors.DashScopeError, match="was canceled"):
        jobs.wait(held)
    with pytest.raises(errors.NotFoundError):
        jobs.get("ft-202601151030-0000")


async def test_the_asyncio_trainings_of_2_x_are_the_same(site: Site) -> None:
    async with dashscope.AsyncClient(api_key=KEY, base_url=f"{site.url}/api/v1") as client:
        jobs: Any = client.fine_tunes
        done = await jobs.wait(await jobs.create(model=TRAINING, training_file_ids="https://pictures.example/me.jpg"))
        assert done.succeeded
        events = [event async for event in jobs.stream_events(done.job_id)]
        assert len(events) == len((await jobs.logs(done.job_id, offset=0)).content.splitlines())
        (failed,) = trained(site, FAILING)
        with pytest.raises(errors.DashScopeError, match="The input image resolution is too large or small"):
            await jobs.wait(failed)


# -- the whole way ----------------------------------------------------------------------------------------------------


def test_from_a_local_photo_to_a_picture(site: Site, photo: str) -> None:
    shown, _ = OssUtils.upload(model=DETECTION, file_path=photo, api_key=KEY)
    assert detected(shown, headers=RESOLVE).output["is_face"] == [True]
    learnt, _ = OssUtils.upload(model=TRAINING, file_path=photo, api_key=KEY)
    created = FineTunes.call(TRAINING, [learnt, uploaded(photo)], headers=RESOLVE)
    likeness = created.output.finetuned_output
    portrait = {**CALL, "n": 1, "resources": [{"resource_id": likeness, "resource_type": "facelora"}]}
    too_soon = BaseAsyncApi.async_call(**portrait)
    assert (too_soon.status_code, too_soon.code) == (403, "Resource.AccessDenied")
    assert FineTunes.wait(created.output.job_id).output.status == "SUCCEEDED"
    answer = BaseAsyncApi.call(**portrait)
    assert [downloaded(result["url"]).size for result in answer.output["results"]] == [(768, 1024)]


def test_an_oss_link_is_good_for_the_model_that_it_was_uploaded_for(site: Site, photo: str) -> None:
    link, _ = OssUtils.upload(model=DETECTION, file_path=photo, api_key=KEY)
    created = FineTunes.call(TRAINING, link, headers=RESOLVE)
    done = FineTunes.wait(created.output.job_id)
    assert (done.output.status, done.output.code) == ("FAILED", "InvalidParameter.DataInspection")


# -- the command line -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Command:
    """``dashscope`` and a group of its commands, pointed at the server."""

    environment: dict[str, str]
    group: str = "image-synthesis"

    def __call__(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "dashscope.cli", self.group, *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=60,
        )


@pytest.fixture
def command(site: Site, tmp_path: Path) -> Command:
    chosen = {
        "DASHSCOPE_API_KEY": KEY,
        "DASHSCOPE_HTTP_BASE_URL": f"{site.url}/api/v1",
        "DASHSCOPE_CONFIG": str(tmp_path / "no-such-file.toml"),
        "HOME": str(tmp_path),
        "COLUMNS": "1000",
    }
    return Command({**os.environ, **chosen})


def test_the_command_waits_for_a_task_and_prints_its_pictures(site: Site, command: Command) -> None:
    (task_id,) = submitted(site, {"progression": "polls", "pending": 1, "running": 0})
    done = command("wait", task_id)
    assert done.returncode == 0, done.stderr
    output = json.loads(done.stdout)
    assert (output["task_id"], output["task_status"]) == (task_id, "SUCCEEDED")
    assert downloaded(output["results"][0]["url"]).size == (768, 1024)
    assert site.lines()[1:] == [f"GET /api/v1/tasks/{task_id}"] * 2
    assert site.heard[1].headers["x-dashscope-sdk-client"].startswith("python-cli/")


def test_the_command_says_why_a_task_failed(site: Site, command: Command) -> None:
    (task_id,) = submitted(site, FAILING)
    done = command("fetch", task_id)
    assert done.returncode == 3
    assert "code: InvalidImageResolution, message: The input image resolution is too large or small" in done.stderr


def test_the_command_cancels_what_is_pending(site: Site, command: Command) -> None:
    (task_id,) = submitted(site, WAITING)
    first, second = command("cancel", task_id), command("cancel", task_id)
    assert (first.returncode, second.returncode) == (0, 3)
    assert f"Cancel image synthesis task: {task_id} success" in first.stdout
    assert "status_code: 400, code: UnsupportedOperation" in second.stderr


def test_the_command_lists_with_filters(site: Site, command: Command) -> None:
    ids = submitted(site, AT_ONCE, FAILING, AT_ONCE)
    done = command("list", "--status", "SUCCEEDED", "--size", "1", "--page", "2")
    assert done.returncode == 0, done.stderr
    listed = json.loads(done.stdout)
    assert (listed["total"], [row["task_id"] for row in listed["data"]]) == (2, [ids[0]])


def test_the_command_tells_a_wrong_key_by_its_exit_status(site: Site, command: Command) -> None:
    done = Command({**command.environment, "DASHSCOPE_API_KEY": "not-a-key"})("fetch", "x")
    assert done.returncode == 2
    assert "status_code: 401, code: InvalidApiKey, message: Invalid API-key provided." in done.stderr


def said(done: subprocess.CompletedProcess[str]) -> str:
    """What a command printed that went well."""
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_command_uploads_a_file_lists_it_and_deletes_it(site: Site, command: Command, photo: str) -> None:
    files = replace(command, group="files")
    kept = said(files("upload", "-f", photo, "-p", NO_TEXT, "-d", "from the front"))
    (file_id,) = re.findall(r"Upload success, file id: (\S+)", kept)
    listed = json.loads(said(files("list")))
    assert [(file["file_id"], file["description"]) for file in listed["files"]] == [(file_id, "from the front")]
    assert json.loads(said(files("get", file_id)))["name"] == "me.jpg"
    assert "Delete success" in said(files("delete", file_id))
    assert files("get", file_id).returncode == 3


def test_observed_the_command_cannot_upload_a_photo_unless_told_another_purpose(
    site: Site, command: Command, photo: str
) -> None:
    done = replace(command, group="files")("upload", "-f", photo)
    assert done.returncode == 1
    assert "Upload file failed: 'utf-8' codec can't decode" in done.stderr
    assert site.heard == []


def test_the_command_turns_a_photo_into_an_oss_link(site: Site, command: Command, photo: str) -> None:
    link = said(replace(command, group="oss")("upload", "-f", photo, "-m", DETECTION)).splitlines()[-1]
    assert detected(link, headers=RESOLVE).output["is_face"] == [True]


def test_the_command_trains_a_likeness_and_tells_its_name(site: Site, command: Command) -> None:
    jobs = replace(command, group="fine-tunes")
    site.plan_next({"model": TRAINING, **AT_ONCE})
    created = said(jobs("create", "-m", TRAINING, "-t", "https://pictures.example/me.jpg"))
    (job_id,) = re.findall(r"Create fine-tune job success, job_id: (\S+)", created)
    assert f"Fine-tune task success, fine-tuned model: {TRAINING}-{job_id}" in created
    assert f"fine-tuned model: {TRAINING}-{job_id}" in said(jobs("get", job_id))
    assert f"job: {job_id}, status: SUCCEEDED, base model: {TRAINING}" in said(jobs("list"))
    refused = jobs("delete", job_id)
    assert (refused.returncode, "UnsupportedOperation" in refused.stderr) == (3, True)


def test_the_command_cancels_a_training_that_runs(site: Site, command: Command) -> None:
    jobs = replace(command, group="fine-tunes")
    (job_id,) = trained(site, HELD)
    assert f"Cancel fine-tune job: {job_id} success!" in said(jobs("cancel", job_id))
    assert "The fine-tune task is: CANCELING" in said(jobs("get", job_id))


def test_the_command_says_why_a_training_failed(site: Site, command: Command) -> None:
    (job_id,) = trained(site, FAILING)
    done = replace(command, group="fine-tunes")("get", job_id)
    assert done.returncode == 3
    assert "code: InvalidImageResolution, message: The input image resolution is too large or small" in done.stderr


def test_observed_the_command_leaves_a_training_that_runs_and_shows_no_log(site: Site, command: Command) -> None:
    jobs = replace(command, group="fine-tunes")
    site.plan_next({"model": TRAINING, **HELD})
    created = jobs("create", "-m", TRAINING, "-t", "https://pictures.example/me.jpg")
    assert "Fine-tuning is RUNNING, start get output stream." in said(created)
    (job_id,) = re.findall(r"Create fine-tune job success, job_id: (\S+)", created.stdout)
    for done in (created, jobs("stream", job_id)):
        assert done.returncode == 0
        assert f"Error: Invalid response for job {job_id}" in done.stderr  # 2.0.2 looks for a dict, and has an object
    assert not any(line.endswith(("/stream", "/logs")) for line in site.lines())


def test_observed_the_command_always_lists_the_first_page_of_trainings(site: Site, command: Command) -> None:
    ids = trained(site, AT_ONCE, AT_ONCE)
    listed = said(replace(command, group="fine-tunes")("list", "--page", "2", "--size", "1"))
    assert ids[1] in listed
    assert site.lines()[-1] == "GET /api/v1/fine-tunes?page_no=1&page_size=1"
