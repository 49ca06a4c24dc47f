"""Rules, errors and limits agree with the schemas and with each other."""

import re
import string
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

import mock_server
from contracts.catalogue import REQUESTS, Rule, errors, limits, rules, schema

EVIDENCE = {"documented", "observed", "assumed"}
ASSERTIONS = {
    "const", "enum", "maxItems", "maximum", "minItems", "minLength", "minimum", "not", "pattern", "required",
    "type",
}  # fmt: skip
CONDITIONS = {"asks_for_preset", "asks_for_template_with_lora", "asks_for_train_free", "preset_style"}
NO_FAULT_OF_THE_CLIENT = {"fault", "mock.failure"}
"""What X-Mock-Reason names instead of a rule when the client broke none."""

IN_SCHEMA = [rule for rule in rules().values() if rule.where.startswith("schemas/")]


def labelled(value: Any) -> Iterator[tuple[dict[str, Any], str, str | None]]:
    """Each assertion of a request's schema that refuses a body: its subschema, keyword and rule id."""
    if isinstance(value, dict):
        labels = value.get("x-rule", {})
        for keyword in sorted(ASSERTIONS & value.keys()):
            yield value, keyword, labels if isinstance(labels, str) else labels.get(keyword)
        for key, item in value.items():
            if key == "properties":
                yield from (found for part in item.values() for found in labelled(part))
            elif key == "$defs":
                yield from (found for name, part in item.items() if name not in CONDITIONS for found in labelled(part))
            elif key in {"allOf", "then", "items"}:
                yield from labelled(item)
    elif isinstance(value, list):
        yield from (found for item in value for found in labelled(item))


@pytest.mark.parametrize(
    ("subschema", "keyword", "rule"), [pytest.param(*found) for name in REQUESTS for found in labelled(schema(name))]
)
def test_an_assertion_has_a_known_rule(subschema: dict[str, Any], keyword: str, rule: str | None) -> None:
    assert rule in rules(), f"{keyword} of {subschema}"


@pytest.mark.parametrize("rule", IN_SCHEMA, ids=lambda rule: rule.id)
def test_a_rule_stands_in_the_schema_where_it_says(rule: Rule) -> None:
    file, _, pointer = rule.where.partition("#/")
    part: Any = schema(file.removeprefix("schemas/").removesuffix(".schema.json"))
    for key in pointer.split("/"):
        part = part[int(key) if isinstance(part, list) else key]
    labels = part["x-rule"]
    assert rule.id == labels or rule.id in labels.values()


@pytest.mark.parametrize("rule", rules().values(), ids=lambda rule: rule.id)
def test_a_rule_says_where_it_stands_and_how_well_it_is_known(rule: Rule) -> None:
    assert rule.where.startswith(("schemas/", "mock_server."))
    assert rule.evidence in EVIDENCE
    assert rule.source.startswith("inferred: ") == (rule.evidence == "assumed")
    assert rule.error is None or rule.error in errors()


def test_a_rule_outside_the_schema_names_a_module_that_exists() -> None:
    modules = {rule.where for rule in rules().values()} - {rule.where for rule in IN_SCHEMA}
    assert [module for module in modules if find_spec(module) is None] == []


def test_every_rule_that_the_server_names_is_known() -> None:
    sources = Path(mock_server.__file__).parent.rglob("*.py")
    named = {rule for source in sources for rule in re.findall(r'rule="([^"]+)"', source.read_text("utf-8"))}
    assert sorted(named - rules().keys() - NO_FAULT_OF_THE_CLIENT) == []


def test_the_rules_of_the_gateway_come_before_those_of_the_body_and_these_before_the_account() -> None:
    order = list(rules())
    milestones = [
        "gateway.prefix", "auth.key.missing", "workspace.known", "route.known", "async.header.required",
        "async.header.unsupported", "rate.submissions", "rate.detections", "rate.jobs", "rate.policies", "body.json",
        "model.missing", "portrait.parameters.required", "detection.input.required", "detection.images.required",
        "job.files.required", "job.file.ascii", "files.form", "files.purpose", "account.approved",
        "resource.known", "job.file.known", "oss.resolve-header", "picture.download", "picture.format", "job.running",
        "job.quota", "files.number", "files.space",
    ]  # fmt: skip
    assert milestones == sorted(milestones, key=order.index)


def test_what_every_submission_passes_says_nothing_of_portraits_alone() -> None:
    shared = [rule for id_, rule in rules().items() if id_.startswith(("body.", "model.", "account."))]
    assert [rule.id for rule in shared if "portrait" in rule.sentence] == []


@pytest.mark.parametrize("reason", errors())
def test_an_error_is_complete_and_its_message_can_be_filled(reason: str) -> None:
    row = errors()[reason]
    assert row.status is None or row.status in range(400, 600)
    assert row.code
    assert row.when.endswith(".")
    assert row.evidence in EVIDENCE
    assert row.source
    names = {name for _, name, _, _ in string.Formatter().parse(row.message) if name}
    assert names <= {"field", "maximum", "method", "name", "url", "detail", "used", "most"}
    row.message.format(**dict.fromkeys(names, "x"))


def test_only_throttling_and_the_vendors_own_faults_are_worth_a_retry() -> None:
    retried = {row.status for row in errors().values() if row.retry}
    assert retried == {429, 500, 503}
    in_vain = {"not_purchased", "prepaid_overdue", "postpaid_overdue", "free_allocation_quota", "training_quota"}
    assert {reason for reason, row in errors().items() if row.status == 429 and not row.retry} == in_vain


def test_no_two_reasons_share_status_code_and_message() -> None:
    texts = [(row.status, row.code, row.message) for row in errors().values()]
    assert len(texts) == len(set(texts))


def test_the_limits_of_a_portrait_task_are_those_of_the_schema() -> None:
    model = limits()["models"]["facechain-generation"]
    request = schema("portrait-request")
    n = request["properties"]["parameters"]["properties"]["n"]
    photos = request["$defs"]["has_user_photos"]["properties"]["input"]["properties"]["user_urls"]
    assert {key: n[key] for key in ("minimum", "maximum", "default")} == model["images_per_task"]
    assert {"minimum": photos["minItems"], "maximum": photos["maxItems"]} == model["user_photos"]


def test_the_limits_of_a_training_are_those_of_the_schema() -> None:
    training_files = schema("job-request")["properties"]["training_file_ids"]
    model = limits()["models"]["facechain-finetune"]
    assert {"minimum": training_files["minItems"], "maximum": training_files["maxItems"]} == model["training_files"]
    assert f"Only {model['jobs_per_user']} fine-tune job" in errors()["training_quota"].message


def test_an_upload_may_be_larger_than_a_body() -> None:
    assert limits()["body_bytes"] < limits()["upload_body_bytes"] <= limits()["files"]["bytes"]


def test_every_limit_is_labelled() -> None:
    groups = [*limits()["models"].values(), *limits()["images"].values(), *limits()["known"].values()]
    assert all(group["evidence"] in EVIDENCE and group["source"] for group in groups)
    assert limits().keys() - {"models", "images", "known"} == limits()["known"].keys()


def test_the_styles_are_the_presets_and_the_two_template_modes() -> None:
    parts = schema("portrait-request")["$defs"]
    modes = ["portrait_url_template", "train_free_portrait_url_template"]
    assert parts["style"]["enum"] == parts["preset_style"]["enum"] + modes
