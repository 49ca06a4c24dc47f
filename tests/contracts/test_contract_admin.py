"""The admin API's own OpenAPI document: valid, complete, and kept by every answer, asked for or made up."""

from __future__ import annotations

import copy
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, fields
from importlib.resources import files
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate
from schemathesis import GenerationMode
from schemathesis.checks import CheckFunction
from schemathesis.specs.openapi import checks
from werkzeug.test import TestResponse

from contracts import catalogue
from mock_server.core import faults, findings, plans
from mock_server.core.faults import Fault, fault_from_json
from mock_server.core.journal import CRITERIA
from mock_server.core.model import MODEL, TRAINING_MODEL
from mock_server.core.pictures import Picture, picture_from_json
from mock_server.core.plans import Plan, plan_from_json
from mock_server.web.control import PREFIX
from mock_server.web.guard import OPEN_ENDPOINTS
from mock_server.web.wire import MOST_BODY_BYTES
from tests.conftest import HELD, IMMEDIATE, PRESET, TOKEN, Vendor

DOCUMENT = catalogue.admin_openapi()
SCHEMAS: Mapping[str, Any] = DOCUMENT["components"]["schemas"]
OPERATIONS: Mapping[str, tuple[str, str, dict[str, Any]]] = {
    operation["operationId"]: (method.upper(), path, operation)
    for path, item in DOCUMENT["paths"].items()
    for method, operation in item.items()
}
"""Method, path and the rest of each operation, by ``operationId``."""

CATCH_ALL = "control.no_such_route"
"""Stands behind all other routes and says 404; the document tells of it in its description."""


def resolved(value: dict[str, Any]) -> dict[str, Any]:
    """What a ``$ref`` leads to, or the value itself."""
    found: Any = value
    while "$ref" in found:
        steps = found["$ref"].removeprefix("#/").split("/")
        found = DOCUMENT
        for step in steps:
            found = found[step]
    assert isinstance(found, dict)
    return found


# -- the document -----------------------------------------------------------------------------------------------------


def test_it_is_valid() -> None:
    validate(DOCUMENT)


def test_it_needs_no_other_file_and_every_reference_leads_somewhere() -> None:
    text = json.dumps(DOCUMENT)
    assert text.count('"$ref"') == text.count('"$ref": "#/components/')
    for reference in set(re.findall(r'"\$ref": "([^"]+)"', text)):
        resolved({"$ref": reference})


def examples(value: Any) -> Iterator[tuple[dict[str, Any], Any]]:
    """Every example beside its schema: of a media type, or inside the schema itself."""
    if isinstance(value, list):
        for item in value:
            yield from examples(item)
    if isinstance(value, dict):
        schema = value.get("schema", value)
        if "example" in value:
            yield schema, value["example"]
        for each in value.get("examples", {}).values():
            yield schema, each["value"]
        for item in value.values():
            yield from examples(item)


def test_every_example_in_it_keeps_its_schema() -> None:
    found = list(examples(DOCUMENT))
    assert len(found) > 20
    for schema, example in found:
        assert list(Draft202012Validator({**DOCUMENT, **schema}).iter_errors(example)) == []


def test_it_names_every_route_and_method_of_the_server_and_nothing_else(vendor: Vendor) -> None:
    routes = {
        (rule.endpoint.removeprefix("control."), method, re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", str(rule)))
        for rule in vendor.app.url_map.iter_rules()
        if str(rule).startswith(PREFIX) and rule.endpoint != CATCH_ALL
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert routes == {(name, method, path) for name, (method, path, _) in OPERATIONS.items()}


def test_every_operation_but_health_and_version_needs_the_token() -> None:
    assert DOCUMENT["security"] == [{"token": []}]
    assert DOCUMENT["components"]["securitySchemes"]["token"]["name"] == "X-Admin-Token"
    opened = {f"control.{name}" for name, (_, _, operation) in OPERATIONS.items() if operation.get("security") == []}
    assert opened == OPEN_ENDPOINTS


def test_it_is_shipped_as_a_file_and_served_as_it_is(vendor: Vendor) -> None:
    assert json.loads(files("contracts").joinpath("admin.openapi.json").read_text("utf-8")) == DOCUMENT
    assert vendor.admin("GET", "admin.openapi.json").get_json() == DOCUMENT


# -- the same words and limits as in the code -------------------------------------------------------------------------

FAULT: Mapping[str, Any] = SCHEMAS["NewFault"]["properties"]
PLAN: Mapping[str, Any] = SCHEMAS["Plan"]["properties"]
PICTURE: Mapping[str, Any] = SCHEMAS["Picture"]["properties"]
FILTERS = [
    resolved(parameter) for parameter in OPERATIONS["list_requests"][2]["parameters"] if "Session" not in str(parameter)
]


@pytest.mark.parametrize(
    ("shown", "known"),
    [
        pytest.param(FAULT["stage"]["enum"], faults.STAGES, id="stages"),
        pytest.param(FAULT["kind"]["enum"], faults.KINDS, id="kinds"),
        pytest.param(FAULT["distribution"]["enum"], faults.DISTRIBUTIONS, id="distributions"),
        pytest.param(FAULT["rule"]["enum"], faults.STORAGE_RULES, id="rules of the storage"),
        pytest.param(FAULT["route"]["enum"], faults.ROUTES, id="routes"),
        pytest.param(FAULT, [f.name for f in fields(Fault) if f.name not in ("id", "added_ms")], id="a fault's fields"),
        pytest.param(PLAN["progression"]["enum"], (*plans.PROGRESSIONS, "manual"), id="progressions"),
        pytest.param(SCHEMAS["Asked"]["properties"], ["scenario", "model", *PLAN], id="a plan's fields"),
        pytest.param(SCHEMAS["Asked"]["properties"]["model"]["enum"], [MODEL, TRAINING_MODEL], id="a plan's models"),
        pytest.param(PICTURE, [f.name for f in fields(Picture)], id="a picture's properties"),
        pytest.param(SCHEMAS["NewAsset"]["properties"], ["url", *PICTURE], id="a declared picture"),
        pytest.param(SCHEMAS["Finding"]["properties"]["level"]["enum"], findings.LEVELS, id="levels"),
        pytest.param(SCHEMAS["Criteria"]["properties"], CRITERIA, id="criteria"),
        pytest.param([each["name"] for each in FILTERS], CRITERIA, id="filters"),
    ],
)
def test_it_spells_the_words_of_the_code(shown: Any, known: Any) -> None:
    assert sorted(shown) == sorted(known)


def test_it_spells_the_defaults_of_a_fault() -> None:
    shown = {name: field["default"] for name, field in FAULT.items() if "default" in field}
    bound = {f.name: f.default for f in fields(Fault) if f.default not in (MISSING, None) and f.name in FAULT}
    assert shown == bound


@pytest.mark.parametrize("name", [name for name, field in FAULT.items() if "maximum" in field])
def test_the_limits_of_a_faults_numbers_are_kept(name: str) -> None:
    def read(value: object) -> Fault:
        return fault_from_json({"stage": "before", "kind": "latency", "most_ms": 600_000, name: value})

    least, most = FAULT[name]["minimum"], FAULT[name]["maximum"]
    for value in (least, most):
        assert getattr(read(value), name) == value
    for value in (least - 1, most + 1):
        with pytest.raises(ValueError, match=rf"fault\.{name} is {value}"):
            read(value)


@pytest.mark.parametrize("name", [name for name, field in PLAN.items() if "maximum" in field])
def test_the_limits_of_a_plans_numbers_are_kept(name: str) -> None:
    def read(value: object) -> Plan:
        return plan_from_json({name: value}, Plan())

    least, most = PLAN[name]["minimum"], PLAN[name]["maximum"]
    for value in (least, most):
        read(value)
    for value in (least - 1, most + 1):
        with pytest.raises(ValueError, match=rf"plan\.{name} is {value}"):
            read(value)


@pytest.mark.parametrize("progression", PLAN["progression"]["enum"])
@pytest.mark.parametrize("name", [name for name in PLAN if name not in ("progression", "outcome")])
def test_a_plan_is_refused_where_the_document_forbids_it(progression: str, name: str) -> None:
    plan = {"progression": progression, name: "RUNNING" if name == "in" else 1}
    try:
        plan_from_json(plan, Plan())
        is_good = True
    except ValueError:
        is_good = False
    for schema in ("Plan", "Asked"):
        assert (violations_of(SCHEMAS[schema], plan) == []) is is_good


@pytest.mark.parametrize("name", [name for name, field in PICTURE.items() if "maximum" in field])
def test_the_limits_of_a_pictures_numbers_are_kept(name: str) -> None:
    least, most = PICTURE[name]["minimum"], PICTURE[name]["maximum"]
    for value in (least, most):
        assert getattr(picture_from_json({name: value}), name) == value
    for value in (least - 1, most + 1):
        with pytest.raises(ValueError, match=f"{name} is {value}"):
            picture_from_json({name: value})


@pytest.mark.parametrize("route", FAULT["route"]["enum"])
@pytest.mark.parametrize("kind", ["status", "lag"])
@pytest.mark.parametrize("stage", FAULT["stage"]["enum"])
def test_a_fault_is_refused_where_the_document_forbids_it(stage: str, kind: str, route: str) -> None:
    fault = {"stage": stage, "kind": kind, "route": route}
    try:
        fault_from_json(fault)
        is_good = True
    except ValueError:
        is_good = False
    assert (violations_of(SCHEMAS["NewFault"], fault) == []) is is_good


def test_the_limits_of_an_outcome_are_those_of_the_code() -> None:
    assert SCHEMAS["Outcome"]["properties"]["images"]["maxItems"] == plans.MOST_IMAGES


def test_the_catalogues_rows_keep_the_document() -> None:
    for row in catalogue.scenarios().values():
        for fault in row.faults:
            assert violations_of(SCHEMAS["NewFault"], dict(fault)) == []
        for plan in (row.plan, row.training):
            assert plan is None or violations_of(SCHEMAS["Plan"], dict(plan)) == []


# -- real answers -----------------------------------------------------------------------------------------------------


def closed(value: Any) -> Any:
    """The document with no room in its objects for a field that it does not name."""
    if isinstance(value, list):
        return [closed(item) for item in value]
    if not isinstance(value, dict):
        return value
    result = {key: item if key in ("if", "then") else closed(item) for key, item in value.items()}
    if isinstance(value.get("properties"), dict) and value.get("type") == "object":
        result.setdefault("additionalProperties", False)
    return result


CLOSED = closed(copy.deepcopy(DOCUMENT))


def violations_of(schema: Mapping[str, Any], body: object) -> list[str]:
    validator = Draft202012Validator({**CLOSED, **closed(schema)})
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(body)]


def assert_keeps(name: str, answer: TestResponse) -> None:
    """Status, content type and body are as the document says."""
    documented = OPERATIONS[name][2]["responses"]
    assert str(answer.status_code) in documented, answer.text
    response = resolved(documented[str(answer.status_code)])
    assert answer.content_type == "application/json"
    assert violations_of(response["content"]["application/json"]["schema"], answer.get_json()) == []


BODIES: Mapping[str, Any] = {
    "move_clock": {"action": "advance", "by": "1s"},
    "replan_task": {"plan": IMMEDIATE},
    "queue_plan": {"scenario": "partial", "progression": "polls", "pending": 1},
    "add_fault": {"stage": "poll", "kind": "status", "error": "rate_quota", "times": 2, "route": "query_task"},
    "choose_scenario": {"scenario": "poll-429"},
    "declare_asset": {"url": "https://cdn.example/family.jpg", "faces": 2, "format": "webp"},
    "add_resource": {"resource_id": "my-likeness"},
    "count_requests": {"operation": "query_task"},
}
WRONG_BODIES: Mapping[str, Any] = {
    "move_clock": {"action": "jump"},
    "replan_task": {"plan": {"progression": "fast"}},
    "queue_plan": {"scenario": "partail"},
    "add_fault": {"stage": "poll", "kind": "sudden"},
    "choose_scenario": {},
    "declare_asset": {"url": "https://cdn.example/family.jpg", "feces": 2},
    "add_resource": {"resource_id": ""},
    "count_requests": {"colour": "red"},
}


JOBS = "/api/v1/fine-tunes"
TRAINING = {"model": TRAINING_MODEL, "training_file_ids": ["https://pictures.example/a.jpg"]}


class Used:
    """A vendor whose session has something of everything: tasks, trainings, requests, faults, plans, findings."""

    def __init__(self, vendor: Vendor) -> None:
        vendor.clock.freeze()
        self.vendor = mine = vendor.of_session("a-test")
        self.held = mine.submitted(plan=HELD)
        for scenario in ("partial", "failed-algo", "unknown-status", "poll-429"):
            task = mine.submitted(plan={"scenario": scenario})
            mine.later(1_000)
            if scenario != "unknown-status":  # that answer would break the vendor's contract, as it is meant to
                mine.query(task)
        mine.submitted(PRESET)
        mine.submitted(PRESET)
        mine.submit({"model": "nothing"})
        mine.cancel("no-such-task")
        mine.list("page_no=0")
        for plan in ({"progression": "polls", "pending": 1, "outcome": {"error": "algo_error"}}, HELD, {}):
            mine.admin("POST", "plans", plan)
        self.fault = str(mine.admin("POST", "faults", BODIES["add_fault"]).get_json()["id"])
        mine.query(self.held)
        for name in ("declare_asset", "add_resource"):
            mine.admin("POST", "assets" if name == "declare_asset" else "resources", BODIES[name])
        for plan in ({"scenario": "failed-training"}, HELD):
            mine.admin("POST", "plans", {"model": TRAINING_MODEL, **plan})
            self.job = str(mine.vendor_call("POST", JOBS, json=TRAINING).get_json()["output"]["job_id"])
            mine.later(3_000)
        mine.admin("POST", "plans", {"model": TRAINING_MODEL, "scenario": "never-trained"})
        mine.vendor_call("GET", f"{JOBS}/{self.job}")
        mine.admin("PUT", "scenario", {"scenario": "partial"})

    def answer(self, name: str, *, known: bool = True, **more: Any) -> TestResponse:
        """What an operation answers, about things that are there or, without ``known``, are not."""
        method, path, _ = OPERATIONS[name]
        here = {"task_id": self.held, "fault_id": self.fault, "number": "1"}
        elsewhere = {"task_id": "no-task", "fault_id": "no-fault", "number": "999999"}
        path = path.removeprefix(f"{PREFIX}/").format(**(here if known else elsewhere))
        if "data" not in more:
            more.setdefault("json", BODIES.get(name))
        return self.vendor.admin(method, path, **more)


@pytest.fixture
def used(unlimited: Vendor) -> Used:
    """A vendor on a frozen clock with something of everything in its session."""
    return Used(unlimited)


PROVOKED: Mapping[str, Callable[[Used, str], TestResponse]] = {
    "200": lambda used, name: used.answer(name),
    "201": lambda used, name: used.answer(name),
    "400": lambda used, name: (
        used.answer(name, json=WRONG_BODIES[name])
        if name in WRONG_BODIES
        else used.answer(name, headers={"X-Mock-Session": "no session"})
    ),
    "401": lambda used, name: used.answer(name, headers={"X-Admin-Token": "a guess"}),
    "403": lambda used, name: used.answer(name, headers={"Origin": "https://evil.test"}),
    "404": lambda used, name: used.answer(name, known=False),
    "413": lambda used, name: used.answer(name, data=b" " * (MOST_BODY_BYTES + 1), content_type="application/json"),
    "415": lambda used, name: used.answer(name, data=b"{}", content_type="text/plain"),
    "421": lambda used, name: used.answer(name, headers={"Host": "evil.test"}),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_documented_answer_can_be_had_and_keeps_the_document(used: Used, name: str) -> None:
    for status in sorted(OPERATIONS[name][2]["responses"], reverse=True):
        answer = PROVOKED[status](used, name)
        assert str(answer.status_code) == status, answer.text
        assert_keeps(name, answer)


@pytest.mark.parametrize("name", [name for name, (method, _, _) in OPERATIONS.items() if method == "GET"])
def test_what_a_session_with_nothing_in_it_answers_keeps_the_document(vendor: Vendor, name: str) -> None:
    method, path, _ = OPERATIONS[name]
    path = path.removeprefix(f"{PREFIX}/").format(task_id="x", number="1")
    assert_keeps(name, vendor.admin(method, path))


def test_every_row_that_a_used_session_shows_was_judged(used: Used) -> None:
    rows = {
        name: used.vendor.admin("GET", path).get_json()[path]
        for name, path in (
            ("list_tasks", "tasks"),
            ("list_requests", "requests"),
            ("list_findings", "findings"),
            ("list_faults", "faults"),
            ("list_plans", "plans"),
            ("list_jobs", "jobs"),
            ("list_assets", "assets"),
            ("list_resources", "resources"),
        )
    }
    assert {name: len(found) >= 1 for name, found in rows.items()} == dict.fromkeys(rows, True)
    assert {"FAILED", "SUCCEEDED", "SUSPENDED", "RUNNING"} <= {task["status"] for task in rows["list_tasks"]}
    assert {"FAILED", "RUNNING"} == {job["status"] for job in rows["list_jobs"]}
    assert {"model", "scenario"} <= set().union(*rows["list_plans"])
    assert {"task_id", "scenario", "faults", "rule", "explanation", "error"} <= set().union(*rows["list_requests"])
    ledger = used.vendor.admin("GET", "ledger").get_json()
    assert ledger["duplicates"] != []
    assert {row["model"] for row in ledger["tasks"]} == {MODEL, TRAINING_MODEL}


@pytest.mark.parametrize("name", ["show_task", "replan_task", "release_task"])
def test_a_training_is_looked_at_replanned_and_released_as_a_task_is(used: Used, name: str) -> None:
    used.held = used.job
    answer = used.answer(name)
    assert_keeps(name, answer)
    assert (answer.get_json()["task_id"], answer.get_json()["model"]) == (used.job, TRAINING_MODEL)


@pytest.mark.parametrize(("method", "path"), [("GET", "nothing"), ("PUT", "plans"), ("DELETE", "tasks")])
def test_a_route_that_is_not_there_is_refused_in_the_documents_error(vendor: Vendor, method: str, path: str) -> None:
    answer = vendor.admin(method, path)
    assert answer.status_code == 404
    assert violations_of(SCHEMAS["Error"], answer.get_json()) == []


# -- made-up requests -------------------------------------------------------------------------------------------------

MADE_UP = settings(
    derandomize=True,  # the same cases in every run
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),  # how fast requests are made up says nothing about the server
)
EXAMPLES = {GenerationMode.POSITIVE: 14, GenerationMode.NEGATIVE: 4}
MAKING_UP = {"seed": 1, "generation": {"with-security-parameters": False}}
LEAST_CASES = {GenerationMode.POSITIVE: 300, GenerationMode.NEGATIVE: 80}


def with_known_names() -> dict[str, Any]:
    """The document with the catalogue's names in it, so that cases made up from it are about something."""
    document = copy.deepcopy(DOCUMENT)
    document["components"]["schemas"]["ScenarioName"]["enum"] = list(catalogue.scenarios())
    document["components"]["schemas"]["Reason"]["enum"] = list(catalogue.errors())
    return document


def has_whole_fraction(value: object) -> bool:
    """Whether a number such as 4.0 stands anywhere in a body."""
    if isinstance(value, dict):
        return any(has_whole_fraction(item) for item in value.values())
    if isinstance(value, list):
        return any(has_whole_fraction(item) for item in value)
    return isinstance(value, float) and value.is_integer()


def not_of_this_api(case: Any) -> Iterator[CheckFunction]:
    """The checks that ask for something else than this API does, each with its reason."""
    yield checks.unsupported_method  # asks for 405; here a known path by another method is 404 and the nearest route
    yield checks.allow_header_conformance  # asks for Allow beside a 405, which is never answered
    yield checks.ignored_auth  # asks twice more for each case; every operation without token is met in the table above
    name = case.operation.definition.raw["operationId"]
    body = case.body if isinstance(case.body, dict) else {}
    if name == "move_clock" and isinstance(body.get("by"), str):
        yield checks.positive_data_acceptance  # "10 years at most" of a text such as 24h cannot be said in JSON Schema
    if has_whole_fraction(body):
        yield checks.positive_data_acceptance  # 4.0 is a whole number to JSON Schema and none to this API
    if name == "add_fault" and body.get("least_ms", 0) > body.get("most_ms", 60_000):
        yield checks.positive_data_acceptance  # nor can "least_ms is not above most_ms"
    if name.startswith(("reset", "clear_")) or name in ("remove_fault", "release_task"):
        yield checks.negative_data_rejection  # nothing is read from their bodies, so none is wrong
    if name in ("move_clock", "choose_scenario", "replan_task", "add_resource"):
        yield checks.negative_data_rejection  # further members of the body are passed over
    outcome = body.get("outcome")
    if name == "queue_plan" and isinstance(outcome, dict) and str(outcome.get("status")).isupper():
        yield checks.negative_data_rejection  # any text in capitals may be a status that nobody has seen
    if name == "count_requests":
        yield checks.negative_data_rejection  # a value of any type is compared as text


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["good", "bad"])
def test_whatever_is_asked_the_answer_keeps_the_document(unlimited: Vendor, mode: GenerationMode) -> None:
    used = Used(unlimited)
    unlimited.app.config["PROPAGATE_EXCEPTIONS"] = None
    schema = schemathesis.openapi.from_dict(with_known_names(), config=schemathesis.Config.from_dict(MAKING_UP))
    schema.app = unlimited.app
    cases: Counter[str] = Counter()
    statuses: Counter[int] = Counter()
    here = {"task_id": used.held, "fault_id": used.fault, "number": 1}

    def keeps_the_document(case: Any) -> None:
        if cases.total() % 2:  # every other case is about something that is there
            case.path_parameters = {name: here[name] for name in case.path_parameters or ()}
        headers = {"X-Admin-Token": TOKEN}
        response = case.call(headers=headers)
        case.validate_response(response, excluded_checks=list(not_of_this_api(case)), headers=headers)
        cases[case.operation.definition.raw["operationId"]] += 1
        statuses[response.status_code] += 1

    try:
        for each in schema.get_all_operations():
            operation: Any = each.ok()  # type: ignore[union-attr]  # fails the test when there is none
            has_input = {"parameters", "requestBody"} & operation.definition.raw.keys()
            if mode is GenerationMode.POSITIVE or has_input:  # nothing can be wrong where nothing is given
                strategy = operation.as_strategy(generation_mode=mode)
                made_up: Any = given(strategy)
                settings(MADE_UP, max_examples=EXAMPLES[mode])(made_up(keeps_the_document))()
    finally:
        unlimited.app.config["PROPAGATE_EXCEPTIONS"] = True
    assert cases.total() >= LEAST_CASES[mode]
    assert all(status < 500 for status in statuses)
