"""A request that breaks two checks is answered by the earlier one, in the vendor's order."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any
from uuid import uuid4

import pytest
from werkzeug.test import TestResponse

from contracts import catalogue
from mock_server.core.model import DETECTION_MODEL, MODEL, TRAINING_MODEL
from tests.conftest import GOOD, HELD, IMMEDIATE, PRESET, SUBMIT, TASKS, Vendor
from tests.likenesses import DETECT, JOBS, asset, detect, detection, jobs, rule_of, train, training
from tests.uploads import uploaded

Break = Callable[["Call"], None]
Checks = list[tuple[str, Break]]
FINE = asset(faces=1)
UNKNOWN = "oss://dashscope-instant/nobody/2026-01-15/me.jpg"
RESOLVE = "X-DashScope-OssResourceResolve"


@dataclass
class Call:
    """A good call, for a check to spoil."""

    method: str
    path: str
    headers: dict[str, str | None] = field(default_factory=dict)
    body: dict[str, Any] = field(default_factory=lambda: json.loads(json.dumps(PRESET)))
    data: bytes | None = None
    model: str = MODEL
    before: int = 0
    """So many calls were made just before."""
    again: Callable[[Vendor], object] = Vendor.submit
    """Makes one of them."""
    jobs_before: int = 0
    """So many trainings were made long before."""
    is_busy: bool = False
    """Whether the last of them still runs."""
    picture: dict[str, Any] = field(default_factory=dict)
    """What is wrong with the first picture."""
    show: Callable[[Call, str], None] = lambda _call, _url: None
    """Puts the URL of the first picture in its place."""
    late: bool = False
    """Whether the first picture is an upload that is too old."""

    def header(self, name: str, value: str) -> None:
        self.headers[name] = value

    def change(self, part: str, **values: object) -> None:
        self.body[part] = {**self.body[part], **values}


# -- what every call passes, and every submission ---------------------------------------------------------------------

GATE: Checks = [
    ("gateway.prefix", lambda call: setattr(call, "path", call.path.replace("/api/v1", "/api/v9"))),
    ("auth.key.missing", lambda call: call.header("Authorization", "")),
    ("auth.key.invalid", lambda call: call.header("Authorization", "Bearer secret")),
    ("workspace.known", lambda call: call.header("X-DashScope-WorkSpace", "another")),
]
ROUTE: Checks = [
    ("route.known", lambda call: setattr(call, "path", call.path + "s")),
    ("route.method", lambda call: setattr(call, "method", "PUT")),
]


def body_of(another_model: str) -> Checks:
    return [
        ("body.size", lambda call: setattr(call, "data", b"x" * 1_048_577)),
        ("body.json", lambda call: setattr(call, "data", b"{")),
        ("body.object", lambda call: setattr(call, "data", b"[]")),
        ("model.missing", lambda call: remove(call.body, "model")),
        ("model.known", lambda call: call.body.update(model=f"{call.model}s")),
        ("model.route", lambda call: call.body.update(model=another_model)),
    ]


def remove(content: dict[str, Any], name: str) -> None:
    content.pop(name, None)


def picture_of(*properties: str) -> Checks:
    """What may be wrong with the first picture; of its properties, only those named have limits."""
    wrong: dict[str, dict[str, Any]] = {
        "format": {"format": "gif"},
        "bytes": {"bytes": 9_000_000},
        "resolution": {"width": 9_000},
        "face": {"faces": 0},
        "faces": {"faces": 2},
        "face-size": {"face_px": 5},
        "angle": {"angle": 99},
    }
    return [
        ("picture.download", show_unknown),
        ("upload.expiry", lambda call: setattr(call, "late", True)),
        ("picture.known", lambda call: call.show(call, "https://elsewhere.example/me.jpg")),
        ("picture.asset", lambda call: call.show(call, asset(smiles=1))),
        *((f"picture.{name}", draw(wrong[name])) for name in properties),
    ]


def show_unknown(call: Call) -> None:
    call.headers.setdefault(RESOLVE, "enable")
    call.show(call, UNKNOWN)


def draw(wrong: dict[str, Any]) -> Break:
    def spoil(call: Call) -> None:
        call.picture |= wrong
        call.show(call, asset(**call.picture))

    return spoil


# -- portraits --------------------------------------------------------------------------------------------------------

ASYNC: Checks = [
    ("async.header.required", lambda call: call.header("X-DashScope-Async", "disable")),
    ("async.header.value", lambda call: call.header("X-DashScope-Async", "yes")),
]
NOBODY = [{"resource_id": "nobody", "resource_type": "facelora"}]

SUBMISSION: Checks = [
    *GATE,
    *ROUTE,
    *ASYNC,
    ("rate.submissions", lambda call: setattr(call, "before", 2)),
    *body_of(DETECTION_MODEL),
    ("portrait.parameters.required", lambda call: remove(call.body, "parameters")),
    ("portrait.style.enum", lambda call: call.change("parameters", style="none")),
    ("portrait.size.enum", lambda call: call.change("parameters", size="1*1")),
    ("portrait.n.range", lambda call: call.change("parameters", n=99)),
    ("portrait.resources.empty", lambda call: call.body.update(resources=[])),
    ("resource.known", lambda call: call.body.update(resources=NOBODY)),
    ("concurrency.running", lambda call: setattr(call, "before", call.before or 1)),
]
"""The checks of a submission in the vendor's order, and how to break each."""


def show_template(call: Call, url: str) -> None:
    call.change("input", template_url=url)


def show_photo(call: Call, url: str) -> None:
    call.change("input", user_urls=[url, *call.body["input"]["user_urls"][1:]])


def template_unresolved(call: Call) -> None:
    call.header(RESOLVE, "disable")
    call.show(call, UNKNOWN)


def photo_unresolved(call: Call) -> None:
    call.header(RESOLVE, "disable")
    call.change("input", user_urls=[*call.body["input"]["user_urls"], UNKNOWN])


TEMPLATED: Checks = [
    *GATE,
    *ROUTE,
    *ASYNC,
    ("rate.submissions", lambda call: setattr(call, "before", 2)),
    *body_of(TRAINING_MODEL),
    ("portrait.n.range", lambda call: call.change("parameters", n=99)),
    ("resource.known", lambda call: call.body.update(resources=NOBODY)),
    ("oss.resolve-header", template_unresolved),
    *picture_of("format", "bytes", "resolution", "face", "faces"),
    ("concurrency.running", lambda call: setattr(call, "before", call.before or 1)),
]
TRAIN_FREE: Checks = [
    *GATE,
    *ROUTE,
    *ASYNC,
    ("rate.submissions", lambda call: setattr(call, "before", 2)),
    *body_of(TRAINING_MODEL),
    ("portrait.n.range", lambda call: call.change("parameters", n=99)),
    ("oss.resolve-header", photo_unresolved),
    *picture_of("format", "bytes", "resolution", "face", "faces", "face-size", "angle"),
    ("concurrency.running", lambda call: setattr(call, "before", call.before or 1)),
]


def templated() -> Call:
    body = json.loads(json.dumps({**GOOD["template-with-lora"], "resources": PRESET["resources"]}))
    call = Call("POST", SUBMIT, body=body, show=show_template)
    call.show(call, FINE)
    return call


def train_free() -> Call:
    body = json.loads(json.dumps(GOOD["train-free"]))
    body["input"] = {"template_url": FINE, "user_urls": [FINE]}
    return Call("POST", SUBMIT, body=body, show=show_photo)


# -- detection --------------------------------------------------------------------------------------------------------


def put(name: str, index: int, item: object) -> Break:
    """Puts an item of the body's list in its place; the first one is the picture's."""

    def spoil(call: Call) -> None:
        holder = call.body["input"] if name == "images" else call.body
        items = [*holder[name]]
        items[index] = item
        holder[name] = items

    return spoil


def images_unresolved(call: Call) -> None:
    call.header(RESOLVE, "disable")
    put("images", 1, UNKNOWN)(call)


DETECTION: Checks = [
    *GATE,
    *ROUTE,
    ("async.header.value", lambda call: call.header("X-DashScope-Async", "yes")),
    ("async.header.unsupported", lambda call: call.header("X-DashScope-Async", "enable")),
    ("rate.detections", lambda call: setattr(call, "before", 5)),
    *body_of(MODEL),
    ("detection.input.required", lambda call: remove(call.body, "input")),
    ("detection.input.type", lambda call: call.body.update(input=[])),
    ("detection.images.required", lambda call: remove(call.body["input"], "images")),
    ("detection.images.type", lambda call: call.change("input", images="x")),
    ("detection.images.empty", lambda call: call.change("input", images=[])),
    ("detection.image.type", put("images", 2, 7)),
    ("detection.image.url", put("images", 3, "me.jpg")),
    ("detection.image.ascii", put("images", 4, "https://pictures.example/a b.jpg")),
    ("oss.resolve-header", images_unresolved),
    *picture_of("format", "bytes", "resolution"),
]


def detecting() -> Call:
    return Call(
        "POST",
        DETECT,
        headers={"X-DashScope-Async": None},
        body=detection(*[FINE] * 5),
        model=DETECTION_MODEL,
        again=detect,
        show=lambda call, url: put("images", 0, url)(call),
    )


# -- training ---------------------------------------------------------------------------------------------------------


def files_unresolved(call: Call) -> None:
    call.header(RESOLVE, "disable")
    put("training_file_ids", 1, UNKNOWN)(call)


def keep_busy(call: Call) -> None:
    call.is_busy, call.jobs_before = True, call.jobs_before or 1


TRAINING: Checks = [
    *GATE,
    *ROUTE,
    ("rate.jobs", lambda call: setattr(call, "before", 1)),
    *body_of(MODEL),
    ("job.files.required", lambda call: remove(call.body, "training_file_ids")),
    ("job.files.type", lambda call: call.body.update(training_file_ids="x")),
    ("job.files.empty", lambda call: call.body.update(training_file_ids=[])),
    ("job.files.count", lambda call: call.body["training_file_ids"].extend([FINE] * 11)),
    ("job.file.type", put("training_file_ids", 2, 7)),
    ("job.file.empty", put("training_file_ids", 3, "")),
    ("job.file.url", put("training_file_ids", 6, "ftp://pictures.example/me.jpg")),
    ("job.file.ascii", put("training_file_ids", 4, "https://pictures.example/a b.jpg")),
    ("job.validation-files.type", lambda call: call.body.update(validation_file_ids=7)),
    ("job.hyper-parameters.type", lambda call: call.body.update(hyper_parameters=7)),
    ("job.file.known", put("training_file_ids", 5, "no-such-file")),
    ("oss.resolve-header", files_unresolved),
    *picture_of("format", "bytes", "resolution", "face", "faces", "face-size"),
    ("job.running", keep_busy),
    ("job.quota", lambda call: setattr(call, "jobs_before", 20)),
]


def train_(vendor: Vendor) -> TestResponse:
    return train(vendor, FINE)


def a_training() -> Call:
    return Call(
        "POST",
        JOBS,
        headers={"X-DashScope-Async": None},
        body=training(*[FINE] * 7),
        model=TRAINING_MODEL,
        again=train_,
        show=lambda call, url: put("training_file_ids", 0, url)(call),
    )


# -- calls without a body ---------------------------------------------------------------------------------------------

TASK_CALL: Checks = [
    *GATE,
    ("rate.task-calls", lambda call: setattr(call, "before", 20)),
    ("list.filters", lambda call: setattr(call, "path", call.path + "?page_no=0")),
]
LIST_OF_JOBS: Checks = [*GATE, TASK_CALL[-1]]
LOG: Checks = [
    *GATE,
    ("job.known", lambda call: setattr(call, "path", call.path.replace("{job}", "ft-202601151030-0000"))),
    ("list.filters", lambda call: setattr(call, "path", call.path + "?line=0")),
]
JOB: Checks = LOG[:-1]


def job_call(method: str, path: str) -> Callable[[], Call]:
    return lambda: Call(method, JOBS + path, jobs_before=1, is_busy=True, again=jobs)


# -- the table --------------------------------------------------------------------------------------------------------

KINDS: dict[str, tuple[Callable[[], Call], Checks]] = {
    "a submission": (lambda: Call("POST", SUBMIT), SUBMISSION),
    "a submission with a template": (templated, TEMPLATED),
    "a submission without training": (train_free, TRAIN_FREE),
    "a detection": (detecting, DETECTION),
    "a training": (a_training, TRAINING),
    "a task call": (lambda: Call("GET", TASKS, again=Vendor.list), TASK_CALL),
    "a list of jobs": (lambda: Call("GET", JOBS, again=jobs), LIST_OF_JOBS),
    "a log": (job_call("GET", "/{job}/logs"), LOG),
    "a look at a job": (job_call("GET", "/{job}"), JOB),
    "a cancellation of a job": (job_call("POST", "/{job}/cancel"), JOB),
    "a deletion of a job": (job_call("DELETE", "/{job}"), JOB),
}

_PICTURE = [name for name, _ in picture_of("format", "bytes", "resolution", "face", "faces", "face-size", "angle")]
_FILES = [name for name, _ in TRAINING if name.startswith("job.file")]
_ITEMS = {
    "job.file.type",
    "job.file.empty",
    "job.file.url",
    "job.file.ascii",
    "job.file.known",
    "oss.resolve-header",
    *_PICTURE,
}
_IMAGES = {"detection.image.type", "detection.image.url", "detection.image.ascii", "oss.resolve-header", *_PICTURE}
_SHAPES = [f"detection.{name}" for name in ("input.required", "input.type", "images.required", "images.type")]

ALTERNATIVES: list[set[str]] = [
    {"auth.key.missing", "auth.key.invalid"},
    {"route.known", "route.method"},
    {"async.header.required", "async.header.value"},
    {"async.header.value", "async.header.unsupported"},
    {"body.size", "body.json", "body.object"},
    {"model.missing", "model.known", "model.route"},
    {"portrait.parameters.required", "portrait.style.enum"},
    {"portrait.parameters.required", "portrait.size.enum"},
    {"portrait.parameters.required", "portrait.n.range"},
    {"portrait.resources.empty", "resource.known"},
    {*_PICTURE[:4]},
    {"picture.face", "picture.faces"},
    *({url, seen} for url in _PICTURE[:4] for seen in _PICTURE[4:]),
    {*_SHAPES, "detection.images.empty"},
    *({shape, item} for shape in (*_SHAPES, "detection.images.empty") for item in _IMAGES),
    {*(name for name in _FILES if name.startswith("job.files."))},
    *({f"job.files.{shape}", item} for shape in ("required", "type", "empty") for item in _ITEMS),
]
"""Checks that one request cannot break together."""

ALTERNATIVES_OF_TEMPLATES = [{"oss.resolve-header", name} for name in _PICTURE]
"""There is but one picture."""


def singles() -> list[Any]:
    return [pytest.param(kind, check, id=f"{kind}: {check[0]}") for kind in KINDS for check in KINDS[kind][1]]


def pairs() -> list[Any]:
    return [
        pytest.param(kind, earlier, later, id=f"{kind}: {earlier[0]} before {later[0]}")
        for kind, (_, checks) in KINDS.items()
        for earlier, later in combinations(checks, 2)
        if not any({earlier[0], later[0]} <= group for group in alternatives(kind))
    ]


def alternatives(kind: str) -> Iterable[set[str]]:
    return ALTERNATIVES + (ALTERNATIVES_OF_TEMPLATES if kind == "a submission with a template" else [])


def answered_by(vendor: Vendor, call: Call) -> str:
    """The rule that refused the call."""
    if call.late:
        call.headers.setdefault(RESOLVE, "enable")
        call.show(call, uploaded(vendor, model=call.model))
        vendor.clock.advance("48h")
    job = made_before(vendor, call)
    for _ in range(call.before):
        call.again(vendor)
    data = json.dumps(call.body).encode() if call.data is None else call.data
    answer = vendor.vendor_call(call.method, call.path.replace("{job}", job), headers=call.headers, data=data)
    if answer.status_code == 404 and not answer.data:
        return "gateway.prefix"
    rule = rule_of(answer)
    error = catalogue.rules()[rule].error or "concurrency"
    if call.model == DETECTION_MODEL and rule.startswith(("picture.", "upload.")) and rule != "picture.asset":
        error = "parameters_invalid"
    row = catalogue.errors()[error]
    assert (answer.status_code, answer.get_json()["code"]) == (row.status, row.code)
    return rule


def made_before(vendor: Vendor, call: Call) -> str:
    """The id of the last of the trainings that were made long before."""
    job = ""
    for number in range(call.jobs_before, 0, -1):
        plan = HELD if call.is_busy and number == 1 else IMMEDIATE
        answer = train(vendor, FINE, plan=plan)
        assert answer.status_code == 200, answer.text
        job = str(answer.get_json()["output"]["job_id"])
        vendor.later(1_000)
    return job


@pytest.fixture(scope="module")
def shared() -> Vendor:
    """One vendor for all, because each test has a session of its own."""
    chosen = {
        "second-task": "reject",
        "second-job": "reject",
        "picture-timing": "submit",
        "detection-limits": "refuse",
    }
    return Vendor(workspace=("ws",), behaviour=chosen, unknown_images="refuse")


@pytest.fixture
def strict(shared: Vendor) -> Vendor:
    """A vendor that knows one workspace, refuses a second task and a second job, and looks at pictures at once."""
    return shared.of_session(uuid4().hex)


@pytest.mark.parametrize("kind", KINDS)
def test_a_good_call_is_answered(strict: Vendor, kind: str) -> None:
    call = KINDS[kind][0]()
    path = call.path.replace("{job}", made_before(strict, call))
    answer = strict.vendor_call(call.method, path, headers=call.headers, json=call.body)
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize(("kind", "check"), singles())
def test_a_call_that_breaks_one_check_is_answered_by_it(strict: Vendor, kind: str, check: tuple[str, Break]) -> None:
    name, spoil = check
    call = KINDS[kind][0]()
    spoil(call)
    assert answered_by(strict, call) == name


@pytest.mark.parametrize(("kind", "earlier", "later"), pairs())
def test_the_earlier_check_answers(
    strict: Vendor, kind: str, earlier: tuple[str, Break], later: tuple[str, Break]
) -> None:
    call = KINDS[kind][0]()
    later[1](call)
    earlier[1](call)
    assert answered_by(strict, call) == earlier[0]


def test_the_checks_stand_in_the_order_of_the_rules() -> None:
    order = list(catalogue.rules())
    for _, checks in KINDS.values():
        names = [name for name, _ in checks]
        assert names == sorted(names, key=order.index)


def test_every_error_of_the_gateway_and_the_submissions_is_provoked_here() -> None:
    provoked = {name for _, checks in KINDS.values() for name, _ in checks}
    modules = ("gateway", "submission", "portraits", "facedetect", "finetunes", "gallery", "pictures")
    at_the_gate = {
        rule.id
        for rule in catalogue.rules().values()
        if rule.where in [f"mock_server.core.{name}" for name in modules]
        or rule.where.startswith(("schemas/detection-request", "schemas/job-request"))
    }
    not_here = {
        rule
        for rule in at_the_gate
        if rule.startswith(("account.", "mock."))  # a scenario's doing, and bounds of our own
    } | {"job.cancel", "job.delete"}  # those of a job that is known, and nothing else can be wrong with it
    assert at_the_gate - not_here <= provoked
    assert not_here.isdisjoint(provoked)
