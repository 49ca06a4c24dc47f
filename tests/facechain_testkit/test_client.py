"""The reference client: clean in every scenario, and what it does with answers that no scenario gives."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import requests
from faker import Generator
from requests.adapters import BaseAdapter
from urllib3.exceptions import MaxRetryError, NewConnectionError

from contracts import catalogue
from facechain_testkit import client as subject
from facechain_testkit.client import (
    DETECTIONS,
    TRAININGS,
    AnswerLost,
    DeadlinePassed,
    DownloadFailed,
    Face,
    FaceChainError,
    LinkExpired,
    NotAPicture,
    Picture,
    PictureGone,
    PortraitClient,
    PortraitFailed,
    Portraits,
    RequestRefused,
    ResultsMissing,
    StatusUnfamiliar,
    SubmissionLost,
    TaskCanceled,
    TaskState,
    TaskUnknown,
    TrainingFailed,
    UploadFailed,
)
from facechain_testkit.kit import Facechain, mock_facechain
from facechain_testkit.provider import FaceChainProvider
from mock_server.app import create_app
from mock_server.clock import VendorClock
from mock_server.core.findings import findings
from mock_server.serving import running
from mock_server.settings import Settings
from mock_server.web.wire import SIMULATOR

START_MS = 1_768_444_200_000
"""15 January 2026, 10:30:00.000 in UTC+8."""

PHOTOS = [f"https://assets.facechain.test/{number}.jpg" for number in (1, 2, 3)]
BODY = catalogue.examples("portrait-request")["good"]["preset-style-least"]
ONE_PICTURE = {**BODY, "parameters": {**BODY["parameters"], "n": 1}}
KEY = "sk-of-the-tests"
DATE = "Thu, 15 Jan 2026 02:30:00 GMT"
URL = "https://results.facechain.test/a/1.jpg?Expires=1768530628&Signature=c2ln"
JPEG = b"\xff\xd8\xff\xe0 a picture"
PNG = b"\x89PNG\r\n\x1a\n a picture"
XML = b'<?xml version="1.0"?><Error><Code>AccessDenied</Code><Message>Request has expired.</Message></Error>'

ENDINGS: dict[str, type[FaceChainError] | int] = {
    "happy": 4,
    "immediate": 4,
    "slow-start": 4,
    "never-ends": DeadlinePassed,
    "failed-algo": PortraitFailed,
    "failed-resolution": PortraitFailed,
    "failed-url": PortraitFailed,
    "failed-no-details": PortraitFailed,
    "partial": 3,
    "canceled": TaskCanceled,
    "unknown": TaskUnknown,
    "unknown-status": StatusUnfamiliar,
    "submit-429": 4,
    "submit-503": 4,
    "poll-429": 4,
    "poll-500": 4,
    "poll-503": 4,
    "poll-html": 4,
    "poll-truncated": 4,
    "poll-backward": 4,
    "replica-lag": 4,
    "lost-submit": 4,
    "slow-submit": 4,
    "expired-links": LinkExpired,
    "links-404": PictureGone,
    "extra-fields": 4,
    "invalid-key": RequestRefused,
    "not-approved": RequestRefused,
    "unpurchased": RequestRefused,
    "arrears": RequestRefused,
    "retired": RequestRefused,
    "free-tier-used": RequestRefused,
    "no-face": 4,
    "failed-training": 4,
    "slow-training": 4,
    "never-trained": 4,
    "small-storage": 4,
}
"""What the client makes of each scenario: so many pictures, or an error."""

REFUSED = {name for name, row in catalogue.scenarios().items() if row.refuse}
TRAINED: dict[str, type[FaceChainError] | None] = {
    **dict.fromkeys(catalogue.scenarios(), None),
    **dict.fromkeys(REFUSED, RequestRefused),
    "no-face": TrainingFailed,
    "failed-training": TrainingFailed,
    "never-trained": DeadlinePassed,
}
"""What becomes of a training in each scenario: a likeness (None), or an error."""


def ending_of(client: PortraitClient, folder: Path, body: Mapping[str, Any] = BODY) -> type[FaceChainError] | int:
    """How a whole run ends: with so many pictures on disk, or with an error."""
    try:
        portraits = client.make_portraits(body, folder)
    except FaceChainError as error:
        return type(error)
    assert all(path.read_bytes().startswith(b"\xff\xd8\xff") for path in portraits.files)
    return len(portraits.files)


def training_of(client: PortraitClient) -> type[FaceChainError] | None:
    """How a training ends: with an error, or with a likeness (None)."""
    try:
        assert client.train(PHOTOS, deadline_s=900).startswith("facechain-finetune-ft-")
    except FaceChainError as error:
        return type(error)
    return None


def in_vendor_time(clock: VendorClock, **more: Any) -> PortraitClient:
    """A client that waits by moving the vendor's clock, and never longer than it must."""
    return PortraitClient(
        api_key=KEY, sleep=clock.advance, now=lambda: clock.now_ms() / 1000, random=lambda: 0.0, **more
    )


def test_every_scenario_has_an_ending_in_the_table() -> None:
    assert set(ENDINGS) == set(catalogue.scenarios())


@pytest.mark.breaks_contract
@pytest.mark.parametrize("scenario", ENDINGS)
def test_the_client_earns_no_finding_in_process(scenario: str, tmp_path: Path) -> None:
    with mock_facechain(scenario=scenario, clock="frozen", profile="calm") as facechain:
        ending = ending_of(in_vendor_time(facechain.clock), tmp_path)
        facechain.clock.advance("7d")
        assert facechain.findings() == []
        facechain.assert_no_duplicate_spend()
    assert ending == ENDINGS[scenario]


@pytest.mark.breaks_contract
@pytest.mark.parametrize("scenario", ENDINGS)
def test_the_client_earns_no_finding_on_the_wire(scenario: str, tmp_path: Path) -> None:
    clock = VendorClock(START_MS, monotonic=lambda: 0.0)
    app = create_app(Settings(seed=7, scenario=scenario), clock=clock)
    with running(app) as server, requests.Session() as session:
        patience_s = 1 if scenario == "slow-submit" else 10
        client = in_vendor_time(clock, base_url=f"{server.url}/api/v1", session=session, timeout_s=patience_s)
        ending = ending_of(client, tmp_path)
    clock.advance("7d")
    world = app.extensions[SIMULATOR].worlds.open("")
    assert findings(world.journal.entries(), world.ledger.lines()) == []
    assert ending == ENDINGS[scenario]


@pytest.mark.breaks_contract
@pytest.mark.parametrize("scenario", TRAINED)
def test_a_training_earns_no_finding_in_process(scenario: str) -> None:
    with mock_facechain(scenario=scenario, clock="frozen") as facechain:
        ending = training_of(in_vendor_time(facechain.clock))
        facechain.clock.advance("7d")
        assert facechain.findings() == []
        facechain.assert_no_duplicate_spend()
    assert ending == TRAINED[scenario]


@pytest.mark.breaks_contract
@pytest.mark.parametrize("scenario", TRAINED)
def test_a_training_earns_no_finding_on_the_wire(scenario: str) -> None:
    clock = VendorClock(START_MS, monotonic=lambda: 0.0)
    app = create_app(Settings(seed=7, scenario=scenario), clock=clock)
    with running(app) as server, requests.Session() as session:
        patience_s = 1 if scenario == "slow-submit" else 10
        client = in_vendor_time(clock, base_url=f"{server.url}/api/v1", session=session, timeout_s=patience_s)
        ending = training_of(client)
    clock.advance("7d")
    world = app.extensions[SIMULATOR].worlds.open("")
    assert findings(world.journal.entries(), world.ledger.lines()) == []
    assert ending == TRAINED[scenario]


@pytest.mark.breaks_contract
@pytest.mark.parametrize("scenario", catalogue.scenarios())
def test_uploads_and_detections_earn_no_finding(scenario: str) -> None:
    with mock_facechain(scenario=scenario, clock="frozen") as facechain:
        client = in_vendor_time(facechain.clock)
        if scenario in REFUSED:
            with pytest.raises(RequestRefused):
                client.detect([client.upload(JPEG)])
        else:
            photos = [client.upload(JPEG, DETECTIONS) for _ in range(2)]
            bad = [Face(photo, False, "image format not supported") for photo in photos]
            assert client.detect(photos) == bad
        assert facechain.findings() == []


@pytest.mark.breaks_contract
@pytest.mark.parametrize("seed", range(8))
def test_a_hostile_vendor_brings_out_no_finding_with_the_whole_family(seed: int, tmp_path: Path) -> None:
    plan = {"progression": "time", "running_ms": 90_000}
    with mock_facechain(profile="hostile", clock="frozen", seed=seed, training=plan) as facechain:
        client = in_vendor_time(facechain.clock)
        photo = FaceChainProvider(Generator()).facechain_photo(format="jpeg")
        links = {model: client.upload(photo, model) for model in (DETECTIONS, TRAININGS)}
        assert [face.is_face for face in client.detect([links[DETECTIONS]])] == [True]
        likeness = client.train([links[TRAININGS]])
        body = {**ONE_PICTURE, "resources": [{"resource_id": likeness, "resource_type": "facelora"}]}
        assert ending_of(client, tmp_path, body) == 1
        assert facechain.findings() == []
        assert facechain.ledger["submissions"] == 2


@pytest.mark.breaks_contract
@pytest.mark.parametrize("seed", range(15))
def test_a_hostile_vendor_brings_out_no_finding_and_no_second_payment(seed: int, tmp_path: Path) -> None:
    plan = {"progression": "time", "running_ms": 5_000}
    with mock_facechain(profile="hostile", clock="frozen", seed=seed, plan=plan) as facechain:
        client = in_vendor_time(facechain.clock)
        assert [ending_of(client, tmp_path, ONE_PICTURE) for _ in range(5)] == [1] * 5
        assert facechain.findings() == []
        assert facechain.ledger["submissions"] == 5


def test_the_parts_of_a_partial_success_are_kept(tmp_path: Path) -> None:
    with mock_facechain(scenario="partial", clock="frozen") as facechain:
        portraits = in_vendor_time(facechain.clock).make_portraits(BODY, tmp_path)
    (missing,) = portraits.missing
    assert (missing.number, missing.url, missing.code) == (3, None, "DataInspectionFailed")
    assert [path.name for path in portraits.files] == [f"{portraits.task_id}-{number}.jpg" for number in (1, 2, 4)]


def test_a_deadline_leaves_the_task_to_the_caller_who_may_wait_on(tmp_path: Path) -> None:
    with mock_facechain(plan={"progression": "hold", "in": "RUNNING"}, clock="frozen") as facechain:
        client = in_vendor_time(facechain.clock)
        with pytest.raises(DeadlinePassed) as passed:
            client.make_portraits(BODY, tmp_path, deadline_s=10)
        facechain.release(passed.value.task_id)
        assert client.wait(passed.value.task_id).status == "SUCCEEDED"
        assert [finding.id for finding in facechain.findings()] == ["pictures-unfetched"]


def test_a_task_that_is_pending_can_be_cancelled() -> None:
    with mock_facechain(plan={"progression": "hold", "in": "PENDING"}, clock="frozen") as facechain:
        client = in_vendor_time(facechain.clock)
        task_id = client.submit(BODY)
        client.cancel(task_id)
        with pytest.raises(TaskCanceled):
            client.wait(task_id)


def test_a_task_that_runs_cannot_be_cancelled() -> None:
    with mock_facechain(plan={"progression": "hold", "in": "RUNNING"}, clock="frozen") as facechain:
        client = in_vendor_time(facechain.clock)
        with pytest.raises(RequestRefused) as refused:
            client.cancel(client.submit(BODY))
    assert refused.value.code == "UnsupportedOperation"


def two_at_once(facechain: Facechain) -> tuple[str, str]:
    facechain.faults.add("accepted", "reset", times=1)
    first, second = (in_vendor_time(facechain.clock) for _ in range(2))
    return first.submit(BODY), second.submit(ONE_PICTURE)


def test_a_lost_task_is_found_although_others_follow() -> None:
    with mock_facechain(clock="frozen") as facechain:
        adopted, other = two_at_once(facechain)
        assert [adopted, other] == [task.id for task in facechain.tasks]


# -- answers that no scenario gives -----------------------------------------------------------------------------------

Answer = tuple[int, object] | tuple[int, object, Mapping[str, str]] | Exception


class Script(BaseAdapter):
    """Answers each request with the next line of a script, and keeps what was asked and how long it was waited for."""

    def __init__(self, *answers: Answer) -> None:
        super().__init__()
        self.answers = list(answers)
        self.asked: list[requests.PreparedRequest] = []
        self.waits: list[float] = []
        self.time_s = 1_000.0

    def send(self, request: requests.PreparedRequest, *_args: object, **_more: object) -> requests.Response:
        self.asked.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        response = requests.Response()
        response.status_code, content = answer[0], answer[1]
        response.raw = BytesIO(content if isinstance(content, bytes) else json.dumps(content).encode())
        response.headers.update({"Date": DATE, **(answer[2] if len(answer) > 2 else {})})
        response.request, response.url = request, request.url or ""
        return response

    def close(self) -> None:
        """There is nothing to close."""

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.time_s += seconds

    @property
    def calls(self) -> list[str]:
        return [f"{each.method} {(each.url or '').partition('/api/v1')[2].partition('?')[0]}" for each in self.asked]

    def client(self, random: Callable[[], float] = lambda: 0.0) -> PortraitClient:
        session = requests.Session()
        session.mount("https://", self)
        return PortraitClient(api_key=KEY, session=session, sleep=self.sleep, now=lambda: self.time_s, random=random)


def accepted(task_id: str = "t-1") -> Answer:
    return 200, {"output": {"task_id": task_id, "task_status": "PENDING"}, "request_id": "r"}


def listed(*task_ids: str) -> Answer:
    return 200, {"data": [{"task_id": task_id} for task_id in task_ids], "total": len(task_ids), "request_id": "r"}


def stands(status: str, **output: Any) -> Answer:
    return 200, {"output": {"task_id": "t-1", "task_status": status, **output}, "request_id": "r"}


def refused(status: int, code: str, message: str = "") -> Answer:
    return status, {"code": code, "message": message, "request_id": "r-9"}


DIED = requests.ConnectionError("Connection aborted.")
LATE = requests.ReadTimeout("Read timed out.")
NO_CONNECTION = requests.ConnectionError(
    MaxRetryError(None, "/", NewConnectionError(None, "refused"))  # type: ignore[arg-type]  # as requests builds it
)
SUBMIT = "POST /services/aigc/album/gen_potrait"
LIST = "GET /tasks"
QUERY = "GET /tasks/t-1"


@pytest.mark.parametrize(
    "answer",
    [
        DIED,
        LATE,
        requests.exceptions.ChunkedEncodingError("cut"),
        (502, b"<html>Bad Gateway</html>"),
        (504, b""),
        (200, b'{"output": {"task_'),
        (200, b"\xff\xfe\x00garbage"),
        (200, [1, 2]),
        (200, {"request_id": "r"}),
        (200, {"output": {"task_status": "PENDING"}, "request_id": "r"}),
        refused(500, "InternalError.Timeout", "An internal timeout error has occured"),
        refused(503, "ModelUnavailable", "Model is unavailable, please try again later."),
    ],
    ids=str,
)
def test_after_an_answer_that_proves_nothing_the_new_task_is_adopted(answer: Answer) -> None:
    script = Script(answer, listed(), listed("t-7"))
    assert script.client().submit(BODY) == "t-7"
    assert script.calls == [SUBMIT, LIST, LIST]


def test_tasks_are_listed_since_just_before_the_submission_by_the_vendors_clock_in_utc_plus_8() -> None:
    script = Script(LATE, listed(), listed("t-7"))
    assert script.client().submit(BODY) == "t-7"
    assert script.asked[2].url == (
        "https://dashscope.aliyuncs.com/api/v1/tasks"
        "?start_time=20260115102958&page_size=100&model_name=facechain-generation"
    )


def test_a_task_that_the_client_knows_is_not_adopted() -> None:
    script = Script(accepted("t-1"), DIED, listed(), listed("t-1", "t-2"))
    client = script.client()
    assert [client.submit(BODY), client.submit(BODY)] == ["t-1", "t-2"]


def test_when_no_task_is_listed_the_submission_is_sent_once_more() -> None:
    script = Script(DIED, *[listed()] * 4, accepted())
    assert script.client().submit(BODY) == "t-1"
    assert script.calls == [SUBMIT, *[LIST] * 4, SUBMIT]
    assert script.asked[0].body == script.asked[-1].body
    assert sum(script.waits) >= 3


def test_a_submission_is_not_sent_a_third_time_after_two_lost_answers() -> None:
    script = Script(DIED, *[listed()] * 4, LATE, listed())
    with pytest.raises(SubmissionLost) as lost:
        script.client().submit(BODY)
    assert script.calls.count(SUBMIT) == 2
    assert lost.value.candidates == ()


def test_of_several_new_tasks_none_is_guessed_at() -> None:
    script = Script(DIED, listed(), listed("t-7", "t-8"))
    with pytest.raises(SubmissionLost, match="t-7, t-8") as lost:
        script.client().submit(BODY)
    assert lost.value.candidates == ("t-7", "t-8")


@pytest.mark.parametrize("answer", [refused(403, "Workspace.AccessDenied"), DIED, (200, {"total": 0})], ids=str)
def test_a_submission_is_not_repeated_when_the_tasks_cannot_be_listed(answer: Answer) -> None:
    script = Script(DIED, answer)
    with pytest.raises(SubmissionLost, match="cannot be listed"):
        script.client().submit(BODY)
    assert script.calls.count(SUBMIT) == 1


@pytest.mark.parametrize(
    "answer",
    [
        refused(429, "Throttling.RateQuota", "Requests rate limit exceeded, please try again later."),
        refused(429, "Throttling.Brandnew", "Never seen before."),
        (429, b"<html>Too Many Requests</html>"),
        NO_CONNECTION,
        requests.ConnectTimeout("timed out"),
    ],
    ids=str,
)
def test_what_proves_that_nothing_was_accepted_is_waited_out_without_a_look(answer: Answer) -> None:
    script = Script(answer, answer, accepted())
    assert script.client().submit(BODY) == "t-1"
    assert script.calls == [SUBMIT] * 3
    assert script.waits == pytest.approx([1.0, 1.2])


def test_a_vendor_that_throttles_for_ever_is_left_in_the_end() -> None:
    script = Script(refused(429, "Throttling", "Requests throttling triggered."))
    with pytest.raises(RequestRefused, match="Throttling"):
        script.client().submit(BODY)
    assert script.calls == [SUBMIT] * subject.MOST_ATTEMPTS


@pytest.mark.parametrize(
    ("answer", "is_retryable"),
    [
        (refused(400, "InvalidParameter", "The style is invalid."), False),
        (refused(400, "Arrearage", "Access denied, please make sure your account is in good standing."), False),
        (refused(401, "InvalidApiKey", "Invalid API-key provided. For details, see: https://help.aliyun.com/"), False),
        (refused(403, "AccessDenied.Brandnew", "No."), False),
        (refused(429, "CommodityNotPurchased", "Commodity has not purchased yet."), False),
        (refused(429, "PrepaidBillOverdue", "In words nobody has seen."), False),
        (refused(429, "Throttling.AllocationQuota", "Free allocated quota exceeded. For details, see: #x"), False),
        (refused(404, "", ""), False),
        ((404, b""), False),
        ((302, b"", {"Location": "https://elsewhere.test/"}), False),
    ],
    ids=str,
)
def test_a_refusal_that_no_retry_can_help_is_raised_at_once(answer: Answer, is_retryable: bool) -> None:
    script = Script(answer)
    with pytest.raises(RequestRefused) as error:
        script.client().submit(BODY)
    assert error.value.is_retryable is is_retryable
    assert script.calls == [SUBMIT]


@pytest.mark.parametrize(
    ("status", "code", "message", "expected"),
    [
        *((row.status or 400, row.code, row.message, row.retry) for row in catalogue.errors().values()),
        (429, "Throttling.AllocationQuota", "Allocated quota exceeded, please increase your quota limit. See #x", True),
        (500, "InternalError.Brandnew", "", True),
        (429, "Brandnew", "", True),
        (418, "Brandnew", "", False),
    ],
)
def test_the_catalogue_says_whether_a_retry_helps(status: int, code: str, message: str, expected: bool) -> None:
    assert RequestRefused(status, code, message).is_retryable is expected


def test_a_refusal_keeps_what_the_vendor_said() -> None:
    with pytest.raises(RequestRefused) as error:
        Script(refused(400, "InvalidParameter", "The style is invalid.")).client().submit(BODY)
    found = error.value
    assert (found.status, found.code, found.message) == (400, "InvalidParameter", "The style is invalid.")
    assert found.request_id == "r-9"


@pytest.mark.parametrize(("url", "expected"), [("oss://bucket/a.jpg", "enable"), ("https://a.test/a.jpg", None)])
def test_a_temporary_file_is_announced_in_a_header(url: str, expected: str | None) -> None:
    script = Script(accepted())
    script.client().submit({**BODY, "input": {"template_url": url}})
    assert script.asked[0].headers.get("X-DashScope-OssResourceResolve") == expected


def test_a_body_that_is_no_json_is_not_sent() -> None:
    script = Script(accepted())
    with pytest.raises(ValueError, match="not JSON compliant"):
        script.client().submit({"parameters": {"n": float("nan")}})
    assert script.calls == []


@pytest.mark.parametrize(
    "trouble",
    [
        DIED,
        LATE,
        NO_CONNECTION,
        (502, b"<html>Bad Gateway</html>"),
        (200, b'{"output": {"task'),
        (200, {"request_id": "r"}),
        (200, {"output": {"task_id": "t-1"}, "request_id": "r"}),
        (200, {"output": {"task_id": "t-1", "task_status": 7}, "request_id": "r"}),
        refused(429, "Throttling", "Requests throttling triggered."),
        refused(500, "InternalError", "Internal server error!"),
    ],
    ids=str,
)
def test_a_query_in_trouble_is_waited_out(trouble: Answer) -> None:
    script = Script(trouble, trouble, stands("SUCCEEDED", results=[{"url": URL}]))
    assert script.client().wait("t-1").pictures == (Picture(1, URL),)
    assert script.calls == [QUERY] * 3


def test_pauses_between_queries_grow_from_one_second_to_five() -> None:
    least, most = (Script(stands("RUNNING")) for _ in range(2))
    for script, draw in ((least, 0.0), (most, 0.999_999)):
        with pytest.raises(DeadlinePassed):
            script.client(lambda draw=draw: draw).wait("t-1", deadline_s=60)  # type: ignore[misc]
    assert least.waits[:7] == pytest.approx([1.0, 1.2, 1.8, 2.7, 4.0, 4.0, 4.0])
    assert most.waits[:7] == pytest.approx([1.2, 1.8, 2.7, 4.05, 5.0, 5.0, 5.0], abs=1e-4)


@pytest.mark.parametrize("deadline_s", [0, 0.5, 1, 1.5, 10, 61.3])
def test_a_wait_lasts_no_longer_than_its_deadline_and_nearly_as_long(deadline_s: float) -> None:
    script = Script(stands("RUNNING"))
    with pytest.raises(DeadlinePassed) as passed:
        script.client().wait("t-1", deadline_s=deadline_s)
    assert deadline_s - 1 < sum(script.waits) <= deadline_s or deadline_s < 1
    assert all(wait_s >= 1 for wait_s in script.waits)
    assert (passed.value.task_id, passed.value.status) == ("t-1", "RUNNING")


def test_a_deadline_tells_what_was_in_the_way() -> None:
    with pytest.raises(DeadlinePassed, match="nothing readable") as passed:
        Script(DIED).client().wait("t-1", deadline_s=5)
    assert isinstance(passed.value.__cause__, AnswerLost)


def test_a_second_wait_keeps_its_distance_from_the_first() -> None:
    script = Script(stands("RUNNING"), stands("SUCCEEDED", results=[{"url": URL}]))
    client = script.client()
    with pytest.raises(DeadlinePassed):
        client.wait("t-1", deadline_s=0)
    client.wait("t-1")
    assert script.waits == [1]


def test_progress_is_told_of_every_readable_answer() -> None:
    seen: list[TaskState] = []
    metrics = {"TOTAL": 4, "SUCCEEDED": 1, "FAILED": 0}
    Script(
        stands("PENDING"), DIED, stands("RUNNING", task_metrics=metrics), stands("SUCCEEDED", results=[{"url": URL}])
    ).client().wait("t-1", on_progress=seen.append)
    assert [(state.status, state.made, state.total) for state in seen] == [
        ("PENDING", None, None),
        ("RUNNING", 1, 4),
        ("SUCCEEDED", None, None),
    ]


@pytest.mark.parametrize(
    ("answer", "expected", "text"),
    [
        (stands("FAILED", code="InvalidURL", message="Bad."), PortraitFailed, "InvalidURL: Bad."),
        (stands("FAILED"), PortraitFailed, "no code: no message"),
        (stands("CANCELED"), TaskCanceled, "cancelled"),
        (stands("SUCCEEDED"), ResultsMissing, "no results"),
        (stands("SUCCEEDED", results=None), ResultsMissing, "no results"),
    ],
)
def test_an_end_without_pictures_is_an_error_of_its_own(
    answer: Answer, expected: type[FaceChainError], text: str
) -> None:
    script = Script(answer)
    with pytest.raises(expected, match=f"t-1.*{text}"):
        script.client().wait("t-1")
    assert script.calls == [QUERY]


def test_unknown_is_forgiven_for_some_seconds_only() -> None:
    script = Script(stands("UNKNOWN"))
    with pytest.raises(TaskUnknown):
        script.client().wait("t-1")
    assert subject.LAG_S <= sum(script.waits) < subject.LAG_S + 5


def test_an_unfamiliar_status_is_waited_out_for_a_minute() -> None:
    script = Script(stands("RUNNING"), stands("SUSPENDED"))
    with pytest.raises(StatusUnfamiliar) as error:
        script.client().wait("t-1")
    assert error.value.status == "SUSPENDED"
    assert subject.UNFAMILIAR_S <= sum(script.waits) < subject.UNFAMILIAR_S + 10


def test_an_unfamiliar_status_may_pass() -> None:
    script = Script(*[stands("SUSPENDED")] * 9, stands("SUCCEEDED", results=[{"url": URL}]))
    assert script.client().wait("t-1").status == "SUCCEEDED"


def test_a_query_that_is_refused_for_good_tells_which_task_goes_on() -> None:
    with pytest.raises(RequestRefused) as error:
        Script(refused(401, "InvalidApiKey", "Invalid API-key provided.")).client().wait("t-1")
    assert error.value.task_id == "t-1"


@pytest.mark.parametrize(("given", "asked"), [("a b/../c?d", "/tasks/a%20b%2F..%2Fc%3Fd"), ("t-1", "/tasks/t-1")])
def test_a_task_id_stays_inside_its_part_of_the_path(given: str, asked: str) -> None:
    script = Script(stands("SUCCEEDED", results=[{"url": URL}]))
    script.client().wait(given)
    assert script.calls == [f"GET {asked}"]


@pytest.mark.parametrize("given", ["", ".", ".."])
def test_what_cannot_be_a_task_id_is_not_asked_for(given: str) -> None:
    with pytest.raises(ValueError, match="is not a task id"):
        Script(stands("RUNNING")).client().wait(given)


def succeeded(*urls: str, task_id: str = "t-1") -> TaskState:
    return TaskState(task_id, "SUCCEEDED", tuple(Picture(number, url) for number, url in enumerate(urls, start=1)))


@pytest.mark.parametrize(("content", "name"), [(JPEG, "t-1-1.jpg"), (PNG, "t-1-1.png")])
def test_a_picture_is_stored_under_a_name_of_its_kind(content: bytes, name: str, tmp_path: Path) -> None:
    folder = tmp_path / "new" / "folder"
    (path,) = Script((200, content)).client().download(succeeded(URL), folder)
    assert path == folder / name
    assert path.read_bytes() == content
    assert list(folder.iterdir()) == [path]


@contextmanager
def netrc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    file = tmp_path / "netrc"
    file.write_text("default login somebody password secret\n")
    file.chmod(0o600)
    monkeypatch.setenv("NETRC", str(file))
    yield


def test_the_key_goes_to_the_vendor_and_nothing_goes_to_the_storage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = Script(stands("SUCCEEDED", results=[{"url": URL}]), (200, JPEG))
    session = requests.Session()
    session.headers["Authorization"] = "Bearer sk-of-the-session"
    session.auth = ("somebody", "secret")
    session.mount("https://", script)
    client = PortraitClient(api_key=KEY, session=session)
    with netrc(tmp_path, monkeypatch):
        client.download(client.wait("t-1"), tmp_path)
    assert [each.headers.get("Authorization") for each in script.asked] == [f"Bearer {KEY}", None]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ((403, XML), LinkExpired),
        ((403, XML.replace(b"Request has expired.", b"You have no right.")), DownloadFailed),
        ((404, b"<Error><Code>NoSuchKey</Code></Error>"), PictureGone),
        ((200, XML), NotAPicture),
        ((200, b""), NotAPicture),
        ((200, b"GIF89a"), NotAPicture),
    ],
    ids=str,
)
def test_what_is_no_picture_is_asked_for_once_and_not_stored(
    answer: Answer, expected: type[DownloadFailed], tmp_path: Path
) -> None:
    script = Script(answer, (200, JPEG))
    with pytest.raises(DownloadFailed) as error:
        script.client().download(succeeded(URL, URL), tmp_path)
    assert type(error.value) is expected
    assert (error.value.number, error.value.task_id) == (1, "t-1")
    assert error.value.saved == (tmp_path / "t-1-2.jpg",)
    assert len(script.asked) == 2
    assert list(tmp_path.iterdir()) == [tmp_path / "t-1-2.jpg"]


def test_every_failed_picture_is_told_of(tmp_path: Path) -> None:
    script = Script((404, b""), (403, XML), (200, JPEG))
    with pytest.raises(PictureGone) as error:
        script.client().download(succeeded(URL, URL, URL), tmp_path)
    assert [(type(each), each.number) for each in error.value.errors] == [(PictureGone, 1), (LinkExpired, 2)]


@pytest.mark.parametrize(
    "trouble",
    [DIED, LATE, (503, XML), (200, JPEG[:5], {"Content-Length": str(len(JPEG))})],
    ids=str,
)
def test_a_download_is_repeated_when_the_line_dies(trouble: Answer, tmp_path: Path) -> None:
    script = Script(trouble, trouble, (200, JPEG, {"Content-Length": str(len(JPEG))}))
    (path,) = script.client().download(succeeded(URL), tmp_path)
    assert path.read_bytes() == JPEG
    assert all(wait_s >= 1 for wait_s in script.waits)


@pytest.mark.parametrize("trouble", [DIED, (503, XML), requests.exceptions.TooManyRedirects("30")], ids=str)
def test_a_download_that_cannot_be_had_is_given_up(trouble: Answer, tmp_path: Path) -> None:
    script = Script(trouble)
    with pytest.raises(DownloadFailed) as error:
        script.client().download(succeeded(URL), tmp_path)
    assert len(script.asked) <= subject.MOST_ATTEMPTS
    assert "Signature" not in str(error.value)


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://a.test/a.jpg", "no link", "https://"])
def test_only_web_links_are_followed(url: str, tmp_path: Path) -> None:
    with pytest.raises(DownloadFailed):
        Script((200, JPEG)).client().download(succeeded(url), tmp_path)


@pytest.mark.parametrize("task_id", ["../../etc/cron", "/etc/passwd", "a\0b", "C:\\x", "..", "t" * 500, "任务"])
def test_a_file_name_stays_in_its_folder_whatever_the_id(task_id: str, tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    (path,) = Script((200, JPEG)).client().download(succeeded(URL, task_id=task_id), folder)
    assert path.resolve().parent == folder.resolve()
    assert list(tmp_path.iterdir()) == [folder]


def test_a_file_that_cannot_be_written_whole_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_self: Path, _target: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="no space left"):
        Script((200, JPEG)).client().download(succeeded(URL), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_pictures_that_were_not_made_are_not_asked_for(tmp_path: Path) -> None:
    results = [{"url": URL}, {"code": "DataInspectionFailed", "message": "No."}, {"note": "neither"}, 7]
    script = Script(accepted(), stands("SUCCEEDED", results=results), (200, JPEG))
    portraits = script.client().make_portraits(BODY, tmp_path)
    missing = (Picture(2, None, "DataInspectionFailed", "No."), Picture(3), Picture(4))
    assert portraits == Portraits("t-1", (tmp_path / "t-1-1.jpg",), missing)


def test_the_key_comes_from_the_environment_when_none_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DASHSCOPE_API_KEY", " sk-of-the-environment\n")
    script = Script(accepted())
    session = requests.Session()
    session.mount("https://", script)
    PortraitClient(session=session).submit(BODY)
    assert script.asked[0].headers["Authorization"] == "Bearer sk-of-the-environment"


def test_a_client_without_a_key_is_not_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DASHSCOPE_API_KEY", raising=False)
    with pytest.raises(ValueError, match="DASHSCOPE_API_KEY"):
        PortraitClient()


@pytest.mark.parametrize("base_url", ["no-scheme", "ftp://a.test/api/v1"])
def test_a_base_url_that_cannot_be_used_is_told_as_it_is(base_url: str) -> None:
    with pytest.raises(ValueError, match=base_url):
        PortraitClient(base_url, KEY).submit(BODY)


def test_every_error_has_one_root() -> None:
    found = [each for each in vars(subject).values() if isinstance(each, type) and issubclass(each, Exception)]
    ours = [each for each in found if each.__module__ == subject.__name__]
    assert len(ours) > 10
    assert [each for each in ours if not issubclass(each, FaceChainError)] == []


# -- uploads, detections, trainings -----------------------------------------------------------------------------------

POLICY = {
    "policy": "cG9saWN5",
    "signature": "c2ln",
    "upload_dir": "dashscope-instant/a/2026-01-15/b",
    "upload_host": "https://storage.facechain.test",
    "oss_access_key_id": "mock",
    "x_oss_object_acl": "private",
    "x_oss_forbid_overwrite": "true",
}
STORED: Answer = (200, b"")
LINK = "oss://dashscope-instant/a/2026-01-15/b/photo"


def policy(**more: str | None) -> Answer:
    return 200, {"data": {**POLICY, **more}, "request_id": "r"}


def trains(status: str, **output: Any) -> Answer:
    return 200, {"output": {"job_id": "ft-1", "status": status, **output}, "request_id": "r"}


def trainings(*jobs: Mapping[str, Any]) -> Answer:
    return 200, {"output": {"jobs": list(jobs), "total": len(jobs)}, "request_id": "r"}


def training(job_id: str, photos: object = PHOTOS, create_time: str = "2026-01-15 10:30:00") -> dict[str, Any]:
    return {"job_id": job_id, "training_file_ids": photos, "create_time": create_time}


def test_an_upload_is_a_form_whose_last_part_is_the_file(tmp_path: Path) -> None:
    script = Script(policy(), STORED)
    file = tmp_path / "me & you.jpg"
    file.write_bytes(JPEG)
    assert script.client().upload(file) == f"oss://{POLICY['upload_dir']}/me_you.jpg"
    asked, posted = script.asked
    assert (asked.url or "").endswith("/api/v1/uploads?action=getPolicy&model=facechain-generation")
    assert posted.url == "https://storage.facechain.test/"
    assert "Authorization" not in posted.headers
    body = posted.body
    assert isinstance(body, bytes)
    names = [part.split(b'"')[1].decode() for part in body.split(b"Content-Disposition: form-data; name=")[1:]]
    assert names[-1] == "file"
    assert {"OSSAccessKeyId", "Signature", "policy", "key", "success_action_status"} < set(names)
    assert JPEG in body


@pytest.mark.parametrize("trouble", [(503, XML), requests.ConnectionError("gone"), requests.ReadTimeout("late")])
def test_every_try_of_an_upload_has_a_policy_of_its_own(trouble: Answer) -> None:
    script = Script(policy(upload_dir="old"), trouble, policy(), STORED)
    assert script.client().upload(JPEG) == LINK
    assert script.calls == ["GET /uploads", "POST ", "GET /uploads", "POST "]


def test_an_upload_that_the_storage_refuses_is_not_repeated() -> None:
    script = Script(policy(), (403, XML))
    with pytest.raises(UploadFailed, match=r"status 403: .*AccessDenied"):
        script.client().upload(JPEG)
    assert script.calls == ["GET /uploads", "POST "]


def test_an_upload_goes_to_the_web_only() -> None:
    with pytest.raises(UploadFailed, match="InvalidSchema"):
        Script(policy(upload_host="ftp://a.test")).client().upload(JPEG)


def test_half_a_policy_is_no_policy() -> None:
    with pytest.raises(AnswerLost, match="not whole"):
        Script(policy(signature=None)).client().upload(JPEG)


def test_links_of_uploads_are_resolved_in_every_call() -> None:
    script = Script((200, {"output": {"is_face": [True], "task_id": "t-1"}, "request_id": "r"}))
    client = script.client()
    client.detect([LINK])
    client.submit_training([LINK])
    client.submit({**BODY, "input": {"template_url": LINK}})
    client.submit(BODY)
    assert [each.headers.get("X-DashScope-OssResourceResolve") for each in script.asked] == [*["enable"] * 3, None]
    assert [each.headers.get("X-DashScope-Async") for each in script.asked] == [None, None, "enable", "enable"]


@pytest.mark.parametrize(
    ("output", "reasons"),
    [
        ({"is_face": [True, False], "failed_reason": ["", "no face detected"]}, [None, "no face detected"]),
        ({"is_face": [True, False]}, [None, None]),
        ({"is_face": [True, False], "failed_reason": ["no face detected"]}, [None, None]),
    ],
)
def test_a_detection_tells_of_each_photo(output: Mapping[str, Any], reasons: list[str | None]) -> None:
    found = Script((200, {"output": output, "request_id": "r"})).client().detect(PHOTOS[:2])
    assert found == [Face(PHOTOS[0], True, reasons[0]), Face(PHOTOS[1], False, reasons[1])]


def test_a_detection_that_leaves_out_a_photo_is_no_answer() -> None:
    with pytest.raises(AnswerLost, match="photo by photo"):
        Script((200, {"output": {"is_face": [True]}, "request_id": "r"})).client().detect(PHOTOS)


def test_a_training_is_looked_at_every_ten_seconds() -> None:
    script = Script(trains("PENDING"), trains("QUEUING"), trains("RUNNING"), trains("SUCCEEDED", finetuned_output="l"))
    assert script.client().train(PHOTOS) == "l"
    assert script.waits == [10, 10]


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (trains("FAILED"), TrainingFailed),
        (trains("CANCELED", code="1"), TaskCanceled),
        (trains("SUCCEEDED"), ResultsMissing),
        (refused(404, "NotFound"), RequestRefused),
    ],
)
def test_a_training_without_likeness_is_an_error_of_its_own(answer: Answer, error: type[FaceChainError]) -> None:
    script = Script(answer)
    with pytest.raises(error):
        script.client().wait_for_likeness("ft-1")
    assert len(script.asked) == 1


@pytest.mark.parametrize("trouble", [(502, b"<html>"), refused(429, "Throttling"), trains(""), trains("SUSPENDED")])
def test_a_look_at_a_training_that_goes_wrong_is_waited_out(trouble: Answer) -> None:
    script = Script(trouble, trains("SUCCEEDED", finetuned_output="l"))
    assert script.client().wait_for_likeness("ft-1") == "l"


def test_a_training_that_takes_too_long_can_be_waited_for_again() -> None:
    script = Script(trains("RUNNING"))
    client = script.client()
    with pytest.raises(DeadlinePassed, match="last seen as RUNNING"):
        client.wait_for_likeness("ft-1")
    assert (sum(script.waits), len(script.asked)) == (600, 61)
    script.answers = [trains("SUCCEEDED", finetuned_output="l")]
    assert client.wait_for_likeness("ft-1") == "l"
    assert sum(script.waits) == 610


def test_a_lost_training_is_known_by_its_photos_and_its_time() -> None:
    others = training("ft-9", PHOTOS[:1]), training("ft-8", create_time="2026-01-15 10:29:50"), {"job_id": "ft-7"}
    script = Script(requests.ReadTimeout("late"), trainings(), trainings(*others, training("ft-1")))
    assert script.client().submit_training(PHOTOS) == "ft-1"
    assert script.calls == ["POST /fine-tunes", "GET /fine-tunes", "GET /fine-tunes"]


def test_a_lost_training_that_may_be_either_of_two_is_not_guessed() -> None:
    script = Script(requests.ReadTimeout("late"), trainings(), trainings(training("ft-1"), training("ft-2")))
    with pytest.raises(SubmissionLost) as lost:
        script.client().submit_training(PHOTOS)
    assert lost.value.candidates == ("ft-1", "ft-2")


def test_a_list_of_trainings_that_is_none_is_asked_for_again() -> None:
    script = Script(requests.ReadTimeout("late"), trainings(), (200, {"output": {}}), trainings(training("ft-1")))
    assert script.client().submit_training(PHOTOS) == "ft-1"
