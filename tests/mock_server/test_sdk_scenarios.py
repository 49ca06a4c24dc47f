"""What the vendor's own SDK, unmodified, does under each scenario: found by running it, and kept as two tables.

The first is of portraits, the second of trainings. Both are in ``sdk_observations.json``, from which a page of the
documentation is made. They tell what happens and judge nobody. A sleep of the SDK moves the vendor's clock and takes
no time.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dashscope
import pytest
import requests
from dashscope.client import base_api
from dashscope.client.base_api import BaseAsyncApi
from dashscope.common.constants import DEFAULT_REQUEST_TIMEOUT_SECONDS
from dashscope.common.error import InvalidTask
from dashscope.finetune import finetunes
from dashscope.v2._config import DEFAULT_TIMEOUT
from dashscope.v2.errors import DashScopeError
from dashscope.v2.resources import _jobs, fine_tunes
from dashscope.v2.resources._jobs import Jobs
from dashscope.v2.transport import http as v2_http
from dashscope.version import __version__
from flask import Flask

from contracts import catalogue
from docs import generate
from mock_server.app import create_app
from mock_server.clock import VendorClock
from mock_server.core.faults import HTML_PAGE
from mock_server.core.ledger import ledger_to_json
from mock_server.core.ports import settle_world
from mock_server.core.simulator import Simulator
from mock_server.serving import running
from mock_server.settings import Settings
from mock_server.web.wire import SIMULATOR

TABLE = Path(__file__).with_name("sdk_observations.json")
OBSERVED = json.loads(TABLE.read_text(encoding="utf-8"))
START_MS = 1_768_444_200_000
PATIENCE_S = {"portraits": 600, "trainings": 3_600}
PORTRAIT: dict[str, Any] = {
    "model": "facechain-generation",
    "input": {"template_url": "https://pictures.example/template.jpg"},
    "resources": [{"resource_id": "women_model", "resource_type": "facelora"}],
}
STYLE = "portrait_url_template"
CALL: dict[str, Any] = {"task_group": "aigc", "task": "album", "function": "gen_potrait", "style": STYLE}
JOB: dict[str, Any] = {**PORTRAIT, "parameters": {"style": STYLE, "n": 4}}
TRAINING: dict[str, Any] = {
    "model": "facechain-finetune",
    "training_file_ids": ["https://pictures.example/me.jpg"],
}


class OutOfPatienceError(BaseException):
    """The SDK has slept for longer than it is given, and sleeps on. Not an Exception, which some of its waits catch."""


@dataclass
class Observation:
    """How one call ended, and what it took: calls that the server heard, seconds slept, and what the vendor charges.

    ``links`` tells what the links in its answer lead to.
    """

    ends: str
    submissions: int = 0
    queries: int = 0
    slept_s: int = 0
    paid_cny: float = 0.0
    links: dict[str, int] = field(default_factory=dict)


@dataclass
class Site:
    """A running server and its clock."""

    app: Flask
    clock: VendorClock
    url: str
    slept_s: float = 0.0
    patience_s: float = 0.0

    def sleep(self, seconds: float) -> None:
        self.slept_s += seconds
        self.clock.advance(seconds)
        if self.slept_s > self.patience_s:
            raise OutOfPatienceError

    def now_s(self) -> float:
        return self.clock.now_ms() / 1000

    def observed(self, ends: str, urls: list[str]) -> Observation:
        """What is known at the end of a call."""
        simulator: Simulator = self.app.extensions[SIMULATOR]
        world = simulator.worlds.open("")
        heard = Counter(entry.trace.operation for entry in world.journal.entries())
        links = Counter(str(requests.get(url, timeout=10).status_code) for url in urls)
        self.clock.advance("2h")
        settle_world(world, self.clock.now_ms())
        return Observation(
            ends,
            heard["submit_portrait"] + heard["create_job"],
            heard["query_task"] + heard["get_job"],
            round(self.slept_s),
            float(ledger_to_json(world.ledger.lines())["total"]),
            dict(links),
        )


@pytest.fixture(scope="module")
def _served() -> Iterator[Site]:
    clock = VendorClock(START_MS, monotonic=lambda: 0.0)
    clock.wait_ms = lambda ms: clock.advance(f"{ms}ms")  # type: ignore[method-assign]
    app = create_app(Settings(seed=3), clock=clock)
    with running(app) as server:
        yield Site(app, clock, server.url)


@pytest.fixture
def site(_served: Site, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Site]:
    """A server on which nothing has happened yet and that the SDK is pointed at."""
    _served.app.extensions[SIMULATOR].worlds.clear("")
    _served.clock.reset()
    _served.slept_s, _served.patience_s = 0.0, PATIENCE_S["portraits"]
    watch = SimpleNamespace(sleep=_served.sleep, time=_served.now_s, monotonic=_served.now_s)
    for module in (base_api, finetunes, fine_tunes, _jobs, v2_http):
        monkeypatch.setattr(module, "time", watch)
    monkeypatch.setattr("dashscope.v2.transport._retry.random.uniform", lambda least, _most: least)
    for name in [name for name in os.environ if name.startswith("DASHSCOPE_") or name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("DASHSCOPE_CONFIG", str(tmp_path / "no-such-file.toml"))
    monkeypatch.setattr(dashscope, "base_http_api_url", f"{_served.url}/api/v1")
    yield _served
    dashscope.close_shared_sync_session()


def classic(site: Site, key: str) -> tuple[str, list[str]]:
    """``BaseAsyncApi.call``: submit and wait, as the classes of 1.x do."""
    answer = BaseAsyncApi.call(**PORTRAIT, **CALL, n=4, api_key=key)
    if answer.output is None:
        return f"returns {answer.status_code} {answer.code}", []
    output = answer.output
    said = " ".join(filter(None, [output["task_status"], output.get("code")]))
    return f"returns {said}", [result["url"] for result in output.get("results", []) if "url" in result]


def client(site: Site, key: str) -> tuple[str, list[str]]:
    """``jobs.create`` and ``jobs.wait`` of the 2.x client."""
    with dashscope.Client(api_key=key, base_url=f"{site.url}/api/v1") as vendor:
        jobs = jobs_of(vendor)
        job = jobs.wait(jobs.create(**JOB))
    return f"returns {job.status}", job.image_urls


def classic_training(site: Site, key: str) -> tuple[str, list[str]]:
    """``FineTunes.call``, then ``FineTunes.wait``."""
    jobs: Any = dashscope.FineTunes  # its shipped types leave out half of it
    answer = jobs.call(**TRAINING, api_key=key)
    if answer.status_code == 200:
        answer = jobs.wait(answer.output.job_id, api_key=key)
    if answer.status_code != 200:
        return f"returns {answer.status_code} {answer.code}", []
    said = [answer.output.status, getattr(answer.output, "code", None)]
    return " ".join(filter(None, ["returns", *said])), []


def client_training(site: Site, key: str) -> tuple[str, list[str]]:
    """``fine_tunes.create`` and ``fine_tunes.wait`` of the 2.x client."""
    with dashscope.Client(api_key=key, base_url=f"{site.url}/api/v1") as vendor:
        job = vendor.fine_tunes.wait(vendor.fine_tunes.create(**TRAINING))
    return f"returns {job.status}", []


Way = Callable[[Site, str], tuple[str, list[str]]]
WAYS: dict[str, dict[str, Way]] = {
    "portraits": {"classic": classic, "client": client},
    "trainings": {"classic": classic_training, "client": client_training},
}
STILL_WAITS = {"portraits": "still waits after ten minutes", "trainings": "still waits after an hour"}


def observe(site: Site, what: str, way: str, scenario: str) -> Observation:
    """Let the SDK make a portrait, or train a likeness, under a scenario."""
    urls: list[str] = []
    site.patience_s = PATIENCE_S[what]
    try:
        ends, urls = WAYS[what][way](site, f"sk-mock-{scenario}")
    except OutOfPatienceError:
        ends = STILL_WAITS[what]
    except Exception as error:  # noqa: BLE001 - which one it is, is the question
        code = getattr(error, "code", None)
        ends = f"raises {type(error).__name__}" + (f" {code}" if isinstance(code, str) else "")
    return site.observed(ends, urls)


@pytest.mark.parametrize("what", WAYS)
def test_a_table_is_of_the_sdk_that_is_installed_and_holds_every_scenario(what: str) -> None:
    assert OBSERVED["sdk"] == f"dashscope {__version__}"
    assert list(OBSERVED[what]) == list(catalogue.scenarios())


@pytest.mark.breaks_contract
@pytest.mark.parametrize("way", ["classic", "client"])
@pytest.mark.parametrize("scenario", catalogue.scenarios())
@pytest.mark.parametrize("what", WAYS)
def test_the_sdk_does_what_was_observed(site: Site, what: str, scenario: str, way: str) -> None:
    found = asdict(observe(site, what, way, scenario))
    if os.environ.get("WRITE_SDK_OBSERVATIONS"):  # for another version of the SDK, in one process and in order
        write_down(what, scenario, way, found)
    assert found == OBSERVED[what][scenario][way]


def write_down(what: str, scenario: str, way: str, found: dict[str, Any]) -> None:
    """Put what was found into the table, in place of what is there."""
    table = json.loads(TABLE.read_text(encoding="utf-8"))
    table["sdk"] = f"dashscope {__version__}"
    table[what].setdefault(scenario, {})[way] = found
    TABLE.write_text(json.dumps(table, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


# -- what the notes of the table say ----------------------------------------------------------------------------------


def jobs_of(vendor: dashscope.Client) -> Jobs:
    return Jobs(vendor, "aigc/album/gen_potrait")


@pytest.fixture
def vendor(site: Site) -> Iterator[Callable[[str], Jobs]]:
    """The 2.x jobs of an account in some scenario."""
    with ExitStack() as stack:

        def jobs(scenario: str) -> Jobs:
            opened = dashscope.Client(api_key=f"sk-mock-{scenario}", base_url=f"{site.url}/api/v1")
            return jobs_of(stack.enter_context(opened))

        yield jobs


def called(scenario: str, **more: Any) -> Any:
    """The answer of the classes of 1.x in some scenario."""
    return BaseAsyncApi.call(**PORTRAIT, **CALL, n=4, api_key=f"sk-mock-{scenario}", **more)


@pytest.mark.breaks_contract
def test_both_waits_can_be_given_a_limit(site: Site, vendor: Callable[[str], Jobs]) -> None:
    answer = called("never-ends", wait_timeout=10)
    assert (answer.status_code, answer.code) == (408, "WaitTaskTimeout")
    jobs = vendor("unknown-status")
    with pytest.raises(DashScopeError, match="timed out after 10s"):
        jobs.wait(jobs.create(**JOB), timeout=10)
    assert _jobs.DEFAULT_WAIT_TIMEOUT == 24 * 3_600


def test_a_failed_task_is_a_call_that_went_well_in_1_x(site: Site) -> None:
    assert called("failed-algo").status_code == 200


def test_an_answer_that_ends_the_wait_of_1_x_does_not_hold_the_id_of_the_task(site: Site) -> None:
    assert called("poll-429").output is None


def test_the_refusal_is_in_the_text_of_the_exception_of_1_x(site: Site) -> None:
    for scenario, code in (("submit-429", "Throttling.RateQuota"), ("invalid-key", "InvalidApiKey")):
        with pytest.raises(InvalidTask, match=code):
            called(scenario)


@pytest.mark.breaks_contract
def test_a_gateways_page_becomes_the_message_in_1_x(site: Site) -> None:
    assert called("poll-html").message == HTML_PAGE.decode()


def test_2_x_makes_up_a_message_for_a_failure_without_details(site: Site, vendor: Callable[[str], Jobs]) -> None:
    jobs = vendor("failed-no-details")
    job = jobs.create(**JOB)
    with pytest.raises(DashScopeError, match=f"task {job.task_id} failed"):
        jobs.wait(job)


def test_2_x_leaves_a_picture_without_link_out_of_its_urls(site: Site, vendor: Callable[[str], Jobs]) -> None:
    jobs = vendor("partial")
    job = jobs.wait(jobs.create(**JOB))
    assert (len(job.image_urls), len(job.results), job.succeeded) == (3, 4, True)


def test_the_patience_of_both_with_one_answer_is_300_seconds() -> None:
    assert DEFAULT_REQUEST_TIMEOUT_SECONDS == DEFAULT_TIMEOUT == 300


# -- the page ---------------------------------------------------------------------------------------------------------


def test_the_page_shows_the_table() -> None:
    page = generate.ROOT / "docs" / "sdk-observations.md"
    assert page.read_text(encoding="utf-8") == generate.observations_page(), "run python docs/generate.py"
