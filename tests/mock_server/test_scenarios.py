"""Every row of ``scenarios.json`` does what it says, by whichever carrier it comes."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import TestResponse

from contracts import catalogue
from docs import generate
from mock_server.__main__ import main
from mock_server.app import create_simulator
from mock_server.core.model import DETECTION_MODEL, TRAINING_MODEL
from mock_server.settings import Settings
from mock_server.web.wire import SIMULATOR
from tests.conftest import TASKS, Vendor

LOOKS_MS = (100, 500, 1_500, 59_000, 60_500, 62_000)
"""When each task is queried, counted from its submission."""

TRAIN_FREE = "train_free_portrait_url_template"
BODY: dict[str, Any] = {
    "model": "facechain-generation",
    "parameters": {"style": "portrait_url_template", "n": 4},
    "input": {"template_url": "https://pictures.example/template.jpg"},
    "resources": [{"resource_id": "women_model", "resource_type": "facelora"}],
}
ACCEPTED = "200 PENDING"
THROTTLED = "429 Throttling.RateQuota"
UNAVAILABLE = "503 ModelUnavailable"


@dataclass(frozen=True)
class Course:
    """What a client meets: up to three submissions, six queries of the task accepted last, and its pictures.

    A query shows its task's status, with the code of a failure, and ``+`` when the answer holds fields that no schema
    names. A picture shows what its link answers, or the code that stands in place of a link.
    """

    submissions: tuple[str, ...] = (ACCEPTED,)
    queries: tuple[str, ...] = ()
    pictures: tuple[str, ...] = ()
    tasks: int = 1
    """How many tasks were accepted."""


def ending(last: str) -> tuple[str, ...]:
    """The queries of a task at the usual pace."""
    return ("PENDING", "RUNNING", *[last] * 4)


def refused(said: str) -> Course:
    return Course((said,) * 3, tasks=0)


GOOD = ("200",) * 4
HAPPY = Course((ACCEPTED,), ending("SUCCEEDED"), GOOD)


def late(said: str, times: int = 2) -> Course:
    """The happy course, with ``said`` in place of the first answers to queries."""
    return replace(HAPPY, queries=(*[said] * times, *HAPPY.queries[times:]))


COURSES: dict[str, Course] = {
    "happy": HAPPY,
    "immediate": replace(HAPPY, queries=("SUCCEEDED",) * 6),
    "slow-start": replace(HAPPY, queries=("PENDING",) * 4 + ("RUNNING", "SUCCEEDED")),
    "never-ends": Course(queries=("RUNNING",) * 6),
    "failed-algo": Course(queries=ending("FAILED InternalError.Algo")),
    "failed-resolution": Course(queries=ending("FAILED InvalidImageResolution")),
    "failed-url": Course(queries=ending("FAILED InvalidURL")),
    "failed-no-details": Course(queries=ending("FAILED")),
    "partial": replace(HAPPY, pictures=("200", "200", "DataInspectionFailed", "200")),
    "canceled": Course(queries=ending("CANCELED")),
    "unknown": Course(queries=("UNKNOWN",) * 6),
    "unknown-status": Course(queries=ending("SUSPENDED")),
    "submit-429": replace(HAPPY, submissions=(THROTTLED, THROTTLED, ACCEPTED)),
    "submit-503": replace(HAPPY, submissions=(UNAVAILABLE, UNAVAILABLE, ACCEPTED)),
    "poll-429": late(THROTTLED),
    "poll-500": late("500 InternalError"),
    "poll-503": late(UNAVAILABLE),
    "poll-html": late("502 text/html"),
    "poll-truncated": late("cut"),
    "poll-backward": replace(HAPPY, queries=("PENDING", "RUNNING", "SUCCEEDED", "RUNNING", "SUCCEEDED", "SUCCEEDED")),
    "replica-lag": late("UNKNOWN"),
    "lost-submit": replace(HAPPY, submissions=("reset", ACCEPTED), tasks=2),
    "slow-submit": replace(HAPPY, submissions=(f"{ACCEPTED} after 30 s",), queries=("SUCCEEDED",) * 6),
    "expired-links": replace(HAPPY, pictures=("403 AccessDenied",) * 4),
    "links-404": replace(HAPPY, pictures=("404 NoSuchKey",) * 4),
    "extra-fields": replace(HAPPY, queries=tuple(f"{status} +" for status in HAPPY.queries)),
    "invalid-key": refused("401 InvalidApiKey"),
    "not-approved": refused("403 AccessDenied"),
    "unpurchased": refused("403 AccessDenied.Unpurchased"),
    "arrears": refused("400 Arrearage"),
    "retired": refused("403 Endpoint.AccessDenied"),
    "free-tier-used": refused("403 AllocationQuota.FreeTierOnly"),
    "no-face": Course(queries=ending("FAILED InvalidImage.NoHumanFace")),
    "failed-training": HAPPY,
    "slow-training": HAPPY,
    "never-trained": HAPPY,
    "small-storage": HAPPY,
}
"""What each row promises of a portrait, seen from outside."""


def test_every_row_has_a_course_and_no_course_lacks_a_row() -> None:
    assert list(COURSES) == list(catalogue.scenarios())


CONCERNED = {
    "no-face": {"pictures"},
    "failed-training": {"training"},
    "slow-training": {"training"},
    "never-trained": {"training"},
    "small-storage": {"quota"},
}
"""The keys of the rows that say nothing of a portrait's course."""


@pytest.mark.parametrize("name", catalogue.scenarios())
def test_a_row_concerns_portraits_or_something_else(name: str) -> None:
    row = catalogue.scenario(name)
    assert {key for key in ("pictures", "training", "quota") if getattr(row, key) is not None} == CONCERNED.get(
        name, set()
    )
    assert name not in CONCERNED or (row.plan, row.faults, row.refuse) == (None, (), None)


# -- carriers ---------------------------------------------------------------------------------------------------------


@dataclass
class Client:
    """A client whose submissions carry a scenario; ``headers`` go with every call, ``submitting`` with submissions."""

    vendor: Vendor
    key: str = "sk-main"
    body: dict[str, Any] = field(default_factory=lambda: BODY)
    headers: dict[str, str] = field(default_factory=dict)
    submitting: dict[str, str] = field(default_factory=dict)
    waited_ms: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        """An answer that is held back moves the clock, so that nobody waits."""

        def wait_ms(ms: int) -> None:
            self.waited_ms.append(ms)
            self.vendor.later(ms)

        self.vendor.clock.wait_ms = wait_ms  # type: ignore[method-assign]

    def submit(self) -> tuple[str, str]:
        """What a submission came to, and the id of its task."""
        self.waited_ms.clear()
        said, body = answer_of(
            lambda: self.vendor.submit(self.body, key=self.key, headers={**self.headers, **self.submitting})
        )
        if said == "200":
            said = f"200 {body['output']['task_status']}"
        if self.waited_ms:
            said += f" after {sum(self.waited_ms) // 1000} s"
        return said, body.get("output", {}).get("task_id", "")

    def query(self, task_id: str) -> tuple[str, list[dict[str, Any]]]:
        """What a query came to, and the results in it."""
        said, body = answer_of(lambda: self.vendor.query(task_id, key=self.key, headers=self.headers))
        if said != "200":
            return said, []
        output = body["output"]
        parts = [output["task_status"], output.get("code", ""), "+" if "trace" in body else ""]
        return " ".join(filter(None, parts)), output.get("results", [])

    def fetch(self, result: Mapping[str, Any]) -> str:
        """What a result's link answers, or the code in its place."""
        if "url" not in result:
            return str(result["code"])
        answer = self.vendor.call("GET", result["url"])
        code = re.search("<Code>(.*)</Code>", answer.text) if answer.mimetype == "application/xml" else None
        return f"{answer.status_code} {code[1]}" if code else str(answer.status_code)

    def tasks(self) -> int:
        """How many tasks were accepted."""
        return len(self.vendor.admin("GET", "tasks").get_json()["tasks"])


def answer_of(call: Callable[[], TestResponse]) -> tuple[str, dict[str, Any]]:
    """An answer in short, and its JSON: ``200``, ``429 <code>``, ``502 <type>``, or what happened to the line."""
    try:
        answer = call()
        text = answer.text
    except ConnectionResetError:
        return "reset", {}
    except ConnectionAbortedError:
        return "cut", {}
    if answer.mimetype != "application/json":
        return f"{answer.status_code} {answer.mimetype}", {}
    body: dict[str, Any] = json.loads(text)
    return (str(answer.status_code) if answer.status_code == 200 else f"{answer.status_code} {body['code']}"), body


def by_key(vendor: Vendor, name: str) -> Client:
    return Client(vendor, key=f"sk-mock-{name}")


def by_resource_id(vendor: Vendor, name: str) -> Client:
    return Client(vendor, body={**BODY, "resources": [{"resource_id": f"mock-{name}", "resource_type": "facelora"}]})


def by_template_host(vendor: Vendor, name: str) -> Client:
    return Client(vendor, body={**BODY, "input": {"template_url": f"https://{name}.facechain.test/a.jpg"}})


def by_photo_host(vendor: Vendor, name: str) -> Client:
    photos = ["https://pictures.example/a.jpg", f"https://{name.upper()}.FaceChain.Test:443/b.jpg?x=1"]
    pictures = {"template_url": "https://pictures.example/t.jpg", "user_urls": photos}
    return Client(
        vendor,
        body={"model": BODY["model"], "parameters": {"style": TRAIN_FREE, "n": 4}, "input": pictures},
    )


def by_header(vendor: Vendor, name: str) -> Client:
    return Client(vendor, submitting={"X-Mock-Scenario": name})


def by_header_throughout(vendor: Vendor, name: str) -> Client:
    return Client(vendor, headers={"X-Mock-Scenario": name})


def by_queue(vendor: Vendor, name: str) -> Client:
    assert vendor.admin("POST", "plans", {"scenario": name}).status_code == 201
    return Client(vendor)


def by_session(vendor: Vendor, name: str) -> Client:
    assert vendor.admin("PUT", "scenario", {"scenario": name}).get_json() == {"scenario": name}
    return Client(vendor)


def by_settings(vendor: Vendor, name: str) -> Client:
    settings = replace(vendor.settings, scenario=name)
    vendor.app.extensions[SIMULATOR] = create_simulator(settings, clock=vendor.clock)
    return Client(vendor)


Carrier = Callable[[Vendor, str], Client]
CARRIERS: tuple[Carrier, ...] = (
    by_key,
    by_resource_id,
    by_template_host,
    by_photo_host,
    by_header,
    by_header_throughout,
    by_queue,
    by_session,
    by_settings,
)
AT_THE_DOOR = (by_key, by_header_throughout, by_session, by_settings)
"""These are known before the body is read, so that they can refuse every call."""

each_carrier = pytest.mark.parametrize("carrier", CARRIERS, ids=lambda carrier: str(carrier.__name__))


# -- the table --------------------------------------------------------------------------------------------------------


def course_of(client: Client, looks_ms: Sequence[int] = LOOKS_MS) -> Course:
    """What the client meets."""
    submissions, task_id = [], ""
    for _ in range(3):
        said, task_id = client.submit()
        submissions.append(said)
        if task_id:
            break
        client.vendor.later(1_000)
    queries, past_ms = [], 0
    results: list[dict[str, Any]] = []
    for at_ms in looks_ms if task_id else ():
        client.vendor.later(at_ms - past_ms)
        past_ms = at_ms
        said, results = client.query(task_id)
        queries.append(said)
    pictures = tuple(client.fetch(result) for result in results)
    return Course(tuple(submissions), tuple(queries), pictures, client.tasks())


@pytest.mark.breaks_contract
@pytest.mark.parametrize("name", catalogue.scenarios())
@each_carrier
def test_a_scenario_keeps_its_promise_by_every_carrier(vendor: Vendor, carrier: Carrier, name: str) -> None:
    promised = COURSES[name]
    if carrier is by_queue and catalogue.scenario(name).refuse is not None:
        promised = replace(
            HAPPY, submissions=(promised.submissions[0], ACCEPTED)
        )  # a refusal uses up what asked for it
    assert course_of(carrier(vendor, name)) == promised


# -- trainings --------------------------------------------------------------------------------------------------------

JOBS = "/api/v1/fine-tunes"
TRAINING: dict[str, Any] = {"model": TRAINING_MODEL, "training_file_ids": ["https://pictures.example/a.jpg"]}
TRAINING_LOOKS_MS = (100, 1_000, 2_500, 599_000, 600_300, 602_000)
TRAINED = Course(queries=("PENDING", "RUNNING", *["SUCCEEDED"] * 4))

TRAININGS: dict[str, Course] = {
    "no-face": replace(TRAINED, queries=("PENDING", "RUNNING", *["FAILED InvalidImage.NoHumanFace"] * 4)),
    "failed-training": replace(TRAINED, queries=("PENDING", "RUNNING", *["FAILED InternalError.Algo"] * 4)),
    "slow-training": replace(TRAINED, queries=("PENDING", *["RUNNING"] * 3, "SUCCEEDED", "SUCCEEDED")),
    "never-trained": replace(TRAINED, queries=("RUNNING",) * 6),
    "lost-submit": Course(("reset", "200 QUEUING"), ("QUEUING", "QUEUING", "RUNNING", *["SUCCEEDED"] * 3), tasks=2),
    "slow-submit": replace(TRAINED, submissions=(f"{ACCEPTED} after 30 s",), queries=("SUCCEEDED",) * 6),
    "submit-429": replace(TRAINED, submissions=(THROTTLED, THROTTLED, ACCEPTED)),
    "submit-503": replace(TRAINED, submissions=(UNAVAILABLE, UNAVAILABLE, ACCEPTED)),
    **{
        name: replace(TRAINED, queries=(COURSES[name].queries[0],) * 2 + ("SUCCEEDED",) * 4)
        for name in ("poll-429", "poll-500", "poll-503", "poll-html", "poll-truncated")
    },
    **{name: COURSES[name] for name, row in catalogue.scenarios().items() if row.refuse},
}
"""What a training meets, where that is not ``TRAINED``: what a row says of a portrait's course concerns no training."""


@dataclass
class Trainer(Client):
    """A client that trains a likeness."""

    body: dict[str, Any] = field(default_factory=lambda: TRAINING)

    def submit(self) -> tuple[str, str]:
        self.waited_ms.clear()
        headers = {**self.headers, **self.submitting}
        said, body = answer_of(
            lambda: self.vendor.vendor_call("POST", JOBS, json=self.body, key=self.key, headers=headers)
        )
        if said == "200":
            said = f"200 {body['output']['status']}"
        if self.waited_ms:
            said += f" after {sum(self.waited_ms) // 1000} s"
        return said, body.get("output", {}).get("job_id", "")

    def query(self, task_id: str) -> tuple[str, list[dict[str, Any]]]:
        said, body = answer_of(
            lambda: self.vendor.vendor_call("GET", f"{JOBS}/{task_id}", key=self.key, headers=self.headers)
        )
        if said != "200":
            return said, []
        return " ".join(filter(None, [body["output"]["status"], body["output"].get("code", "")])), []

    def tasks(self) -> int:
        return len(self.vendor.admin("GET", "jobs").get_json()["jobs"])


def by_training_file_host(vendor: Vendor, name: str) -> Client:
    return Trainer(vendor, body={**TRAINING, "training_file_ids": [f"https://{name}.facechain.test/a.jpg"]})


def by_queue_of_trainings(vendor: Vendor, name: str) -> Client:
    assert vendor.admin("POST", "plans", {"model": TRAINING_MODEL, "scenario": name}).status_code == 201
    return Trainer(vendor)


def of_trainings(carrier: Carrier) -> Carrier:
    """The same carrier, for a client that trains a likeness in place of ordering a portrait."""

    def carried(vendor: Vendor, name: str) -> Client:
        client = carrier(vendor, name)
        return Trainer(vendor, client.key, headers=client.headers, submitting=client.submitting)

    carried.__name__ = str(carrier.__name__)
    return carried


TRAINING_CARRIERS: tuple[Carrier, ...] = (
    *map(of_trainings, (by_key, by_header, by_header_throughout, by_session, by_settings)),
    by_training_file_host,
    by_queue_of_trainings,
)


@pytest.mark.breaks_contract
@pytest.mark.parametrize("name", catalogue.scenarios())
@pytest.mark.parametrize("carrier", TRAINING_CARRIERS, ids=lambda carrier: str(carrier.__name__))
def test_a_scenario_keeps_its_promise_to_trainings(vendor: Vendor, carrier: Carrier, name: str) -> None:
    promised = TRAININGS.get(name, TRAINED)
    if carrier is by_queue_of_trainings and catalogue.scenario(name).refuse is not None:
        promised = replace(TRAINED, submissions=(promised.submissions[0], ACCEPTED))
    assert course_of(carrier(vendor, name), TRAINING_LOOKS_MS) == promised


@pytest.mark.parametrize("name", ["never-trained", "failed-training", "no-face"])
def test_what_is_queued_for_trainings_passes_portraits_by(vendor: Vendor, name: str) -> None:
    trainer = by_queue_of_trainings(vendor, name)
    assert course_of(Client(vendor)) == HAPPY
    assert vendor.admin("GET", "plans").get_json() == {"plans": [{"scenario": name, "model": TRAINING_MODEL}]}
    assert course_of(trainer, TRAINING_LOOKS_MS) == TRAININGS[name]
    assert vendor.admin("GET", "plans").get_json() == {"plans": []}


def test_a_training_that_never_ends_does_so_when_it_is_released(vendor: Vendor) -> None:
    client = Trainer(vendor, submitting={"X-Mock-Scenario": "never-trained"})
    _, job = client.submit()
    vendor.clock.advance("48h")
    assert client.query(job)[0] == "RUNNING"
    assert vendor.admin("POST", f"tasks/{job}/release").status_code == 200
    assert client.query(job)[0] == "SUCCEEDED"


def test_a_likeness_whose_training_failed_is_refused_when_a_portrait_asks_for_it(vendor: Vendor) -> None:
    _, job = Trainer(vendor, submitting={"X-Mock-Scenario": "failed-training"}).submit()
    vendor.later(3_000)
    likeness = {"resource_id": f"{TRAINING_MODEL}-{job}", "resource_type": "facelora"}
    answer = vendor.submit({**BODY, "resources": [likeness]})
    assert (answer.status_code, answer.get_json()["code"]) == (403, "Resource.AccessDenied")
    assert "is not trained: its job is FAILED" in answer.headers["X-Mock-Reason"]


# -- pictures and files -----------------------------------------------------------------------------------------------

DETECT = "/api/v1/services/vision/facedetection/detect"


def by_detected_host(vendor: Vendor, name: str) -> Client:
    urls = ["https://pictures.example/a.jpg", f"https://{name}.facechain.test/b.jpg"]
    return Client(vendor, body={"model": DETECTION_MODEL, "input": {"images": urls}})


@pytest.mark.parametrize("name", ["no-face", "happy", "failed-algo", "failed-training"])
@pytest.mark.parametrize(
    "carrier",
    [by_key, by_detected_host, by_header, by_header_throughout, by_session, by_settings],
    ids=lambda carrier: str(carrier.__name__),
)
def test_detection_finds_a_face_unless_the_scenario_has_none(vendor: Vendor, carrier: Carrier, name: str) -> None:
    client = carrier(vendor, name)
    body = client.body if carrier is by_detected_host else by_detected_host(vendor, "happy").body
    if carrier in (by_session, by_settings):  # a picture's host would go before these
        body = {**body, "input": {"images": ["https://pictures.example/a.jpg"] * 2}}
    headers = {"X-DashScope-Async": None, **client.headers, **client.submitting}
    answer = vendor.vendor_call("POST", DETECT, json=body, key=client.key, headers=headers)
    is_face = name != "no-face"
    assert answer.get_json()["output"] == {
        "is_face": [is_face, is_face],
        "failed_reason": ["" if is_face else "no face detected"] * 2,
    }


def upload(client: Client, *sizes: int) -> tuple[int, list[str]]:
    """How many files of these sizes were kept, and the codes of those that were not."""
    files = [(io.BytesIO(b"x" * size), f"{number}.jpg") for number, size in enumerate(sizes)]
    headers = {**client.headers, **client.submitting}
    answer = client.vendor.vendor_call(
        "POST", "/api/v1/files", key=client.key, headers=headers, data={"files": files, "purpose": "fine-tune"}
    )
    assert answer.status_code == 200, answer.text
    content = answer.get_json()["data"]
    return len(content["uploaded_files"]), [each["code"] for each in content["failed_uploads"]]


@pytest.mark.parametrize("name", ["small-storage", "happy"])
@pytest.mark.parametrize(
    "carrier",
    [by_key, by_header, by_header_throughout, by_session, by_settings],
    ids=lambda carrier: str(carrier.__name__),
)
def test_a_small_storage_keeps_what_fits_and_names_the_rest_inside_a_200(
    vendor: Vendor, carrier: Carrier, name: str
) -> None:
    client = carrier(vendor, name)
    first, second = upload(client, 1_000, 25, 15), upload(client, *[1] * 9)
    if name == "small-storage":
        assert (first, second) == ((2, ["BadRequest.TooLarge"]), (8, ["BadRequest.TooMany"]))
    else:
        assert (first, second) == ((3, []), (9, []))


# -- what a row says in particular ------------------------------------------------------------------------------------


@each_carrier
def test_an_invalid_key_is_refused_on_every_call_where_the_carrier_is_known(vendor: Vendor, carrier: Carrier) -> None:
    client = carrier(vendor, "invalid-key")
    calls = [("GET", f"{TASKS}/x"), ("GET", TASKS), ("POST", f"{TASKS}/x/cancel"), ("GET", "/api/v1/nothing")]
    statuses = [vendor.vendor_call(*call, key=client.key, headers=client.headers).status_code for call in calls]
    assert statuses == ([401] * 4 if carrier in AT_THE_DOOR else [200, 200, 400, 400])


def test_a_task_that_never_ends_does_so_when_it_is_released(vendor: Vendor) -> None:
    task = vendor.submitted(BODY, headers={"X-Mock-Scenario": "never-ends"})
    vendor.clock.advance("48h")
    assert vendor.status(task) == "RUNNING"
    assert vendor.admin("POST", f"tasks/{task}/release").status_code == 200
    assert vendor.status(task) == "SUCCEEDED"


def test_a_lost_submission_is_counted_and_priced(vendor: Vendor) -> None:
    with pytest.raises(ConnectionResetError):
        vendor.submit(BODY, headers={"X-Mock-Scenario": "lost-submit"})
    vendor.later(1_000)
    (task,) = vendor.vendor_call("GET", TASKS).get_json()["data"]
    assert task["status"] == "SUCCEEDED"
    ledger = vendor.admin("GET", "ledger").get_json()
    assert (ledger["total"], ledger["tasks"][0]["answered"]) == (0.72, False)


def test_expired_links_say_so_as_the_storage_does(vendor: Vendor) -> None:
    task = vendor.submitted(BODY, headers={"X-Mock-Scenario": "expired-links"})
    vendor.later(1_000)
    answer = vendor.call("GET", vendor.output(task)["results"][0]["url"])
    assert answer.headers["x-oss-ec"] == "0002-00000069"
    assert "Request has expired." in answer.text


def test_a_failure_without_details_names_neither_code_nor_message(vendor: Vendor) -> None:
    task = vendor.submitted(BODY, headers={"X-Mock-Scenario": "failed-no-details"})
    vendor.later(1_000)
    assert not vendor.output(task).keys() & {"code", "message"}


# -- names that do not exist ------------------------------------------------------------------------------------------


@each_carrier
def test_a_name_that_does_not_exist_is_refused_and_the_nearest_one_named(vendor: Vendor, carrier: Carrier) -> None:
    if carrier is by_settings:
        with pytest.raises(ValueError, match="unknown scenario 'failed-resolutoin'; nearest is 'failed-resolution'"):
            Settings(scenario="failed-resolutoin")
        return
    if carrier in (by_queue, by_session):
        method, path = ("POST", "plans") if carrier is by_queue else ("PUT", "scenario")
        answer = vendor.admin(method, path, {"scenario": "failed-resolutoin"})
        assert (answer.status_code, answer.get_json()) == (
            400,
            {"error": "unknown scenario 'failed-resolutoin'; nearest is 'failed-resolution'"},
        )
        return
    client = carrier(vendor, "failed-resolutoin")
    answer = vendor.submit(client.body, key=client.key, headers={**client.headers, **client.submitting})
    assert answer.status_code == (401 if carrier is by_key else 400)
    reason = answer.headers["X-Mock-Reason"]
    assert reason.startswith("mock.scenario at ")
    assert "failed-resolution" in reason.partition("nearest is ")[2]


def test_a_name_like_none_of_them_is_answered_with_the_whole_list(vendor: Vendor) -> None:
    answer = vendor.submit(BODY, headers={"X-Mock-Scenario": "zzz"})
    assert answer.status_code == 400
    assert all(name in answer.headers["X-Mock-Reason"] for name in catalogue.scenarios())


def test_a_key_whose_word_is_like_no_scenario_is_a_plain_key(vendor: Vendor) -> None:
    assert vendor.submit(BODY, key="sk-mock-my-own-test").status_code == 200
    assert vendor.submit(BODY, key="sk-mock").status_code == 200


@pytest.mark.parametrize("name", ["", " ", "HAPPY", "happy ", "happy,poll-429"])
def test_a_name_is_taken_word_for_word(vendor: Vendor, name: str) -> None:
    assert vendor.submit(BODY, headers={"X-Mock-Scenario": name}).status_code == 400


def test_the_header_of_a_query_is_checked_too(vendor: Vendor) -> None:
    answer = vendor.query("x", headers={"X-Mock-Scenario": "pol-429"})
    assert answer.status_code == 400
    assert answer.headers["X-Mock-Reason"].startswith(
        "mock.scenario at header X-Mock-Scenario: unknown scenario 'pol-429'; nearest is 'poll-429'"
    )


def test_a_host_that_only_looks_like_ours_is_anybodys(vendor: Vendor) -> None:
    for host in ("facechain.test", "assets.facechain.test", "notfacechain.test", "failed-url.facechain.test.example"):
        body = {**BODY, "input": {"template_url": f"https://{host}/a.jpg"}}
        task = vendor.submitted(body)
        vendor.later(1_000)
        assert vendor.status(task) == "SUCCEEDED", host


# -- the command ------------------------------------------------------------------------------------------------------


def test_the_command_prints_every_row(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["scenarios"]) == 0
    printed = [re.split(r"\s{2,}", line) for line in capsys.readouterr().out.splitlines()]
    rows = [[row.name, row.evidence, row.does, row.story] for row in catalogue.scenarios().values()]
    assert printed == [["SCENARIO", "EVIDENCE", "WHAT HAPPENS", "FOR"], *rows]


def test_the_server_refuses_to_start_with_a_scenario_that_does_not_exist(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--port", "0", "--scenario", "pol-429"]) == 2
    assert "unknown scenario 'pol-429'; nearest is 'poll-429'" in capsys.readouterr().err


def test_the_admin_api_shows_every_row(vendor: Vendor) -> None:
    rows = vendor.admin("GET", "scenarios").get_json()["scenarios"]
    assert [row["name"] for row in rows] == list(catalogue.scenarios())
    assert all(row["does"] and row["for"] and row["evidence"] and row["source"] for row in rows)


# -- the documentation ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", generate.pages(), ids=lambda path: str(path.relative_to(generate.ROOT)))
def test_a_page_shows_the_tables_as_they_are(path: Path) -> None:
    assert path.read_text(encoding="utf-8") == generate.pages()[path], "run python docs/generate.py"


def test_the_page_names_every_carrier_that_is_tried() -> None:
    page = generate.scenarios_page()
    for words in ("sk-mock-poll-429", "mock-poll-429", "https://poll-429.facechain.test/", "X-Mock-Scenario: poll-429"):
        assert words in page
    assert len(generate.CARRIERS) == len(CARRIERS) - 2, "the host and the header are tried in two places"
