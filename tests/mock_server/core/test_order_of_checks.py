"""A request that breaks two checks is answered by the earlier one, in the vendor's order."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any
from uuid import uuid4

import pytest

from contracts import catalogue
from tests.conftest import PRESET, SUBMIT, TASKS, Vendor

Break = Callable[["Call"], None]


@dataclass
class Call:
    """A good call, for a check to spoil."""

    method: str
    path: str
    headers: dict[str, str] = field(default_factory=dict)
    body: dict[str, Any] = field(default_factory=lambda: json.loads(json.dumps(PRESET)))
    data: bytes | None = None
    before: int = 0
    """So many calls were made just before."""

    def header(self, name: str, value: str) -> None:
        self.headers[name] = value

    def change(self, part: str, **values: object) -> None:
        self.body[part] = {**self.body[part], **values}


SUBMISSION: list[tuple[str, Break]] = [
    ("gateway.prefix", lambda call: setattr(call, "path", call.path.replace("/api/v1", "/api/v9"))),
    ("auth.key.missing", lambda call: call.header("Authorization", "")),
    ("auth.key.invalid", lambda call: call.header("Authorization", "Bearer secret")),
    ("workspace.known", lambda call: call.header("X-DashScope-WorkSpace", "another")),
    ("route.known", lambda call: setattr(call, "path", call.path + "s")),
    ("route.method", lambda call: setattr(call, "method", "PUT")),
    ("async.header.required", lambda call: call.header("X-DashScope-Async", "disable")),
    ("async.header.value", lambda call: call.header("X-DashScope-Async", "yes")),
    ("rate.submissions", lambda call: setattr(call, "before", 2)),
    ("body.size", lambda call: setattr(call, "data", b"x" * 1_048_577)),
    ("body.json", lambda call: setattr(call, "data", b"{")),
    ("body.object", lambda call: setattr(call, "data", b"[]")),
    ("model.missing", lambda call: call.body.pop("model", None)),
    ("model.known", lambda call: call.body.update(model="facechain-generations")),
    ("model.route", lambda call: call.body.update(model="facechain-facedetect")),
    ("portrait.parameters.required", lambda call: call.body.pop("parameters", None)),
    ("portrait.style.enum", lambda call: call.change("parameters", style="none")),
    ("portrait.size.enum", lambda call: call.change("parameters", size="1*1")),
    ("portrait.n.range", lambda call: call.change("parameters", n=99)),
    ("portrait.resources.empty", lambda call: call.body.update(resources=[])),
    ("concurrency.running", lambda call: setattr(call, "before", call.before or 1)),
]
"""The checks of a submission in the vendor's order, and how to break each."""

TASK_CALL: list[tuple[str, Break]] = [
    *SUBMISSION[:4],
    ("rate.task-calls", lambda call: setattr(call, "before", 20)),
    ("list.filters", lambda call: setattr(call, "path", call.path + "?page_no=0")),
]

ALTERNATIVES = [
    {"auth.key.missing", "auth.key.invalid"},
    {"route.known", "route.method"},
    {"async.header.required", "async.header.value"},
    {"body.size", "body.json", "body.object"},
    {"model.missing", "model.known", "model.route"},
    {"portrait.parameters.required", "portrait.style.enum"},
    {"portrait.parameters.required", "portrait.size.enum"},
    {"portrait.parameters.required", "portrait.n.range"},
]
"""Checks that one request cannot break together."""


def pairs(checks: list[tuple[str, Break]]) -> list[Any]:
    return [
        pytest.param(earlier, later, id=f"{earlier[0]} before {later[0]}")
        for earlier, later in combinations(checks, 2)
        if not any({earlier[0], later[0]} <= group for group in ALTERNATIVES)
    ]


def answered_by(vendor: Vendor, call: Call) -> str:
    """The rule that refused the call."""
    for _ in range(call.before):
        earlier = vendor.submit() if call.path.startswith(SUBMIT) else vendor.list()
        assert earlier.status_code in (200, 429)
    data = json.dumps(call.body).encode() if call.data is None else call.data
    answer = vendor.vendor_call(call.method, call.path, headers=call.headers, data=data)
    if answer.status_code == 404:
        assert answer.data == b""
        return "gateway.prefix"
    reason: str = answer.headers["x-mock-reason"]
    rule = reason.partition(":")[0].partition(" at ")[0]
    row = catalogue.errors()[catalogue.rules()[rule].error or "concurrency"]
    assert (answer.status_code, answer.get_json()["code"]) == (row.status, row.code)
    return rule


@pytest.fixture(scope="module")
def shared() -> Vendor:
    """One vendor for all, because each test has a session of its own."""
    return Vendor(workspace=("ws",), behaviour={"second-task": "reject"})


@pytest.fixture
def strict(shared: Vendor) -> Vendor:
    """A vendor that knows one workspace and refuses a second task."""
    return shared.of_session(uuid4().hex)


@pytest.mark.parametrize(("name", "spoil"), SUBMISSION, ids=[name for name, _ in SUBMISSION])
def test_a_submission_that_breaks_one_check_is_answered_by_it(strict: Vendor, name: str, spoil: Break) -> None:
    call = Call("POST", SUBMIT)
    spoil(call)
    assert answered_by(strict, call) == name


@pytest.mark.parametrize(("earlier", "later"), pairs(SUBMISSION))
def test_the_earlier_check_answers_a_submission(
    strict: Vendor, earlier: tuple[str, Break], later: tuple[str, Break]
) -> None:
    call = Call("POST", SUBMIT)
    later[1](call)
    earlier[1](call)
    assert answered_by(strict, call) == earlier[0]


@pytest.mark.parametrize(("earlier", "later"), pairs(TASK_CALL))
def test_the_earlier_check_answers_a_task_call(
    strict: Vendor, earlier: tuple[str, Break], later: tuple[str, Break]
) -> None:
    call = Call("GET", TASKS)
    later[1](call)
    earlier[1](call)
    assert answered_by(strict, call) == earlier[0]


def test_the_checks_stand_in_the_order_of_the_rules() -> None:
    order = list(catalogue.rules())
    for checks in (SUBMISSION, TASK_CALL):
        names = [name for name, _ in checks]
        assert names == sorted(names, key=order.index)


def test_every_error_of_the_gateway_and_the_submission_is_provoked_here() -> None:
    provoked = {name for name, _ in SUBMISSION + TASK_CALL}
    at_the_gate = {
        rule.id
        for rule in catalogue.rules().values()
        if rule.where in ("mock_server.core.gateway", "mock_server.core.portraits")
        and not rule.id.startswith(("account.", "mock."))  # a scenario's doing, and bounds of our own
    }
    assert at_the_gate <= provoked
