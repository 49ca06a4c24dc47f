"""Schemathesis, with requests made up from the OpenAPI document, against the server on a port.

Each answer is held against the document: no 5xx, a status that is listed, the content type, the headers, the schema.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.checks import CheckFunction
from schemathesis.specs.openapi import checks

from contracts import catalogue
from mock_server.app import create_app
from mock_server.clock import VendorClock
from mock_server.serving import running
from mock_server.settings import Settings

TOKEN = "a-token-of-the-fuzz-tests"
KEY = {"Authorization": "Bearer sk-fuzz"}
LENGTHY = [
    "submit_portrait",
    "list_tasks",
    "detect_faces",
    "create_job",
    "upload_files",
    "list_jobs",
    "list_files",
    "get_job_logs",
    "get_upload_policy",
]
BRIEF = [
    "query_task",
    "cancel_task",
    "get_job",
    "cancel_job",
    "delete_job",
    "stream_job",
    "get_file",
    "delete_file",
]
LEAST_CASES = dict.fromkeys(LENGTHY, 120) | dict.fromkeys(BRIEF, 150)
"""So many are made up at least, by ``operationId``; bodies and filters take long to make up."""

PLANS: dict[str, dict[str, Any]] = {
    "PENDING": {"progression": "hold", "in": "PENDING"},
    "RUNNING": {"progression": "hold", "in": "RUNNING"},
    "SUCCEEDED": {"progression": "immediate"},
    "SUCCEEDED in part": {"progression": "immediate", "outcome": {"images": ["ok", {"error": "output_inspection"}]}},
    "FAILED": {"progression": "immediate", "outcome": {"error": "image_resolution"}},
    "FAILED without details": {"progression": "immediate", "outcome": {"status": "FAILED"}},
    "CANCELED": {"progression": "immediate", "outcome": {"status": "CANCELED"}},
}
MADE_UP = settings(
    max_examples=150,
    derandomize=True,  # the same cases in every run
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),  # how fast requests are made up says nothing about the server
)
DOCUMENT = schemathesis.openapi.from_dict(
    catalogue.openapi(),
    config=schemathesis.Config.from_dict({"seed": 1, "generation": {"with-security-parameters": False}}),
)
"""With our key on each request; what happens without one, the check "ignored_auth" tries by itself."""


@dataclass
class Fuzzed:
    """A running server and the answers it gave to made-up requests."""

    url: str
    session: requests.Session
    clock: VendorClock
    statuses: Counter[int] = field(default_factory=Counter)
    cases: Counter[str] = field(default_factory=Counter)

    def answer(self, case: Any) -> schemathesis.Response:
        """Send a case and hold the answer against the document."""
        response: schemathesis.Response = case.call(base_url=self.url, session=self.session, headers=KEY, timeout=10)
        excluded = list(_not_the_vendors(case, response))
        if self.cases.total() % 20:
            excluded.append(checks.ignored_auth)  # asks twice more for each case, so a sample has to do
        case.validate_response(response, excluded_checks=excluded, headers=KEY)
        self.statuses[response.status_code] += 1
        self.cases[case.operation.definition.raw["operationId"]] += 1
        return response

    def document(self) -> Any:
        return self.session.get(f"{self.url}/__admin/openapi.json", headers={"X-Admin-Token": TOKEN}, timeout=10).json()

    def job(self, plan: dict[str, Any]) -> dict[str, str]:
        """The path of a training that goes as planned."""
        plan = {**plan, "model": "facechain-finetune"}
        headers = {"X-Admin-Token": TOKEN}
        assert self.session.post(f"{self.url}/__admin/plans", json=plan, headers=headers, timeout=10).status_code == 201
        body = catalogue.examples("job-request")["good"]["as-the-sdk-sends-it"]
        answer = self.session.post(f"{self.url}/api/v1/fine-tunes", json=body, headers=KEY, timeout=10)
        return {"job_id": answer.json()["output"]["job_id"]}

    def file(self) -> dict[str, str]:
        """The path of a file that was uploaded just now, and is the only one."""
        url = f"{self.url}/api/v1/files"
        for old in self.session.get(url, headers=KEY, timeout=10).json()["data"]["files"]:
            self.session.delete(f"{url}/{old['file_id']}", headers=KEY, timeout=10)
        answer = self.session.post(url, files={"files": ("me.jpg", b"me")}, headers=KEY, timeout=10)
        return {"file_id": answer.json()["data"]["uploaded_files"][0]["file_id"]}

    def submitted(self, plan: dict[str, Any]) -> str:
        """The id of a task that goes as planned."""
        planned = self.session.post(
            f"{self.url}/__admin/plans", json=plan, headers={"X-Admin-Token": TOKEN}, timeout=10
        )
        assert planned.status_code == 201
        answer = self.session.post(
            f"{self.url}/api/v1/services/aigc/album/gen_potrait",
            json=catalogue.examples("portrait-request")["good"]["preset-style"],
            headers={**KEY, "X-DashScope-Async": "enable"},
            timeout=10,
        )
        return str(answer.json()["output"]["task_id"])


BEYOND_THE_SCHEMA = {
    "task.cancel.pending",  # a made-up id is no PENDING task
    "oss.resolve-header",  # one header is needed only beside certain URLs
    "job.file.known",  # a made-up id is no file
    "files.known",
    "job.cancel",  # a job may have ended
    "job.delete",
}
"""What these rules refuse cannot be told from the request alone."""


def _not_the_vendors(case: Any, response: schemathesis.Response) -> Iterator[CheckFunction]:
    """The checks that ask for something else than the vendor does; each with its reason."""
    operation = case.operation.definition.raw["operationId"]
    query = dict(parse_qsl(urlsplit(str(response.request.url)).query, keep_blank_values=True))
    yield checks.unsupported_method  # asks for 405; the vendor documents 400, which a test below holds
    yield checks.allow_header_conformance  # asks for Allow beside a 405, which the vendor never answers
    if str(response.headers.get("x-mock-reason", [""])[0]).partition(" ")[0] in BEYOND_THE_SCHEMA:
        yield checks.positive_data_acceptance
    if operation == "list_tasks" and {"start_time", "end_time"} <= query.keys():
        yield checks.positive_data_acceptance  # "at most 24 hours apart" cannot be said in JSON Schema
    if operation in ("list_tasks", "list_jobs", "list_files", "get_job_logs") and "" in query.values():
        yield checks.negative_data_rejection  # a filter left empty counts as not given
    if operation == "stream_job" and response.status_code == 200:
        yield checks.response_schema_conformance  # holds each event against what the document says of the whole text
    if operation == "upload_files":
        yield checks.negative_data_rejection  # what stands in a form is text, whatever type was wrong before
        if b'\\"' in (response.request.body or b""):
            yield checks.positive_data_acceptance  # a backslash at the end of a name: an escape to us, none to requests
    if operation == "detect_faces" and response.request.headers.get("X-DashScope-Async") == "":
        yield checks.negative_data_rejection  # and so does a header


def _serve(limits: str) -> Iterator[Fuzzed]:
    clock = VendorClock(1_768_444_200_000, monotonic=lambda: 0.0)
    app = create_app(Settings(limits=limits, seed=11, admin_token=TOKEN), clock=clock)
    with running(app) as server, requests.Session() as session:
        session.trust_env = False  # no proxy of this machine stands between
        yield Fuzzed(server.url, session, clock)


@pytest.fixture(scope="module")
def fuzzed() -> Iterator[Fuzzed]:
    """A server without limits, so that a 429 hides nothing."""
    yield from _serve("off")


@pytest.fixture(scope="module")
def limited() -> Iterator[Fuzzed]:
    """A server with the documented limits, whose clock only the test moves."""
    yield from _serve("documented")


@pytest.fixture
def _enough_cases(fuzzed: Fuzzed) -> Iterator[None]:
    before = Counter(fuzzed.cases)
    yield
    for operation, cases in (fuzzed.cases - before).items():
        assert cases >= LEAST_CASES[operation]


def test_the_document_served_is_the_catalogues(fuzzed: Fuzzed) -> None:
    assert fuzzed.document() == catalogue.openapi()


def test_two_thousand_cases_are_made_up_over_all_operations() -> None:
    operations = {each["operationId"] for path in catalogue.openapi()["paths"].values() for each in path.values()}
    assert operations == set(LEAST_CASES)
    assert sum(LEAST_CASES.values()) >= 2_000


def keeps_the_document(case: Any, fuzzed: Fuzzed) -> None:
    response = fuzzed.answer(case)
    if case.method != case.operation.method.upper():
        assert response.status_code == 400
        assert response.json()["message"] == f"Request method '{case.method}' is not supported."


@pytest.mark.usefixtures("_enough_cases")
@DOCUMENT.exclude(operation_id=LENGTHY).parametrize()
@MADE_UP
def test_every_answer_about_a_task_keeps_the_document(case: Any, fuzzed: Fuzzed) -> None:
    keeps_the_document(case, fuzzed)


@pytest.mark.usefixtures("_enough_cases")
@DOCUMENT.include(operation_id=LENGTHY).parametrize()
@settings(MADE_UP, max_examples=100)
def test_every_answer_to_bodies_and_filters_keeps_the_document(case: Any, fuzzed: Fuzzed) -> None:
    keeps_the_document(case, fuzzed)


@pytest.mark.parametrize("operation", ["query_task", "cancel_task"])
def test_every_state_of_a_task_keeps_the_document(fuzzed: Fuzzed, operation: str) -> None:
    ids = {fuzzed.submitted(plan): name.split()[0] for name, plan in PLANS.items()}
    seen: Counter[str] = Counter()

    @settings(MADE_UP, max_examples=100)
    @given(
        DOCUMENT.find_operation_by_id(operation).as_strategy(),
        st.sampled_from(sorted(ids)),
    )
    def ask(case: Any, task_id: str) -> None:
        case.path_parameters = {"task_id": task_id}
        response = fuzzed.answer(case)
        seen[response.json()["output"]["task_status"] if operation == "query_task" else str(response.status_code)] += 1

    ask()
    assert set(seen) == (set(ids.values()) if operation == "query_task" else {"200", "400"})


@pytest.mark.parametrize(
    "operation", ["get_job", "get_job_logs", "stream_job", "cancel_job", "delete_job", "get_file", "delete_file"]
)
def test_every_answer_about_a_job_or_a_file_that_there_is_keeps_the_document(fuzzed: Fuzzed, operation: str) -> None:
    seen: Counter[int] = Counter()

    @settings(MADE_UP, max_examples=25)
    @given(DOCUMENT.find_operation_by_id(operation).as_strategy(), st.sampled_from(sorted(PLANS)))
    def ask(case: Any, plan: str) -> None:
        case.path_parameters = fuzzed.job(PLANS[plan]) if operation.endswith(("job", "logs")) else fuzzed.file()
        seen[fuzzed.answer(case).status_code] += 1

    ask()
    assert seen[200]
    assert not seen[404]


def test_every_answer_within_the_limits_keeps_the_document(limited: Fuzzed) -> None:
    @settings(MADE_UP, max_examples=200)
    @given(DOCUMENT.as_strategy())
    def ask(case: Any) -> None:
        limited.clock.advance(0.02)
        limited.answer(case)

    ask()
    assert limited.statuses.total() == 200
    assert {200, 400, 429} <= set(limited.statuses)
