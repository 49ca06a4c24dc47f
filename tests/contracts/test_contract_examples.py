"""Every example of every message is judged as its place in the folder says."""

from typing import Any

import pytest
from jsonschema import Draft202012Validator

from contracts.catalogue import MESSAGES, examples, schema
from contracts.validation import RequestContract, answer_violations

ANSWERS = [message for message in MESSAGES if message != "portrait-request"]


def cases(messages: list[str], verdict: str) -> list[Any]:
    return [
        pytest.param(message, example, id=f"{message}/{verdict}/{name}")
        for message in messages
        for name, example in examples(message)[verdict].items()
    ]


@pytest.mark.parametrize(("message", "body"), cases(["portrait-request"], "good"))
def test_a_good_request_breaks_no_rule(message: str, body: object) -> None:
    assert RequestContract().violations(body) == []
    assert RequestContract().is_valid(body)


@pytest.mark.parametrize(("message", "example"), cases(["portrait-request"], "bad"))
def test_a_bad_request_breaks_the_named_rule_first(message: str, example: dict[str, Any]) -> None:
    first = RequestContract().violations(example["body"])[0]
    assert (first.rule, first.place) == (example["rule"], example["place"])
    assert not RequestContract().is_valid(example["body"])


def test_one_mistake_is_reported_once_and_draws_no_others() -> None:
    bad = examples("portrait-request")["bad"]
    found = {name: len(RequestContract().violations(example["body"])) for name, example in bad.items()}
    assert {name: count for name, count in found.items() if count > 1} == {"everything-wrong": 5}


@pytest.mark.parametrize(("message", "body"), cases(ANSWERS, "good"))
def test_a_good_answer_keeps_its_schema(message: str, body: object) -> None:
    assert answer_violations(message, body) == []


@pytest.mark.parametrize(("message", "example"), cases(ANSWERS, "bad"))
def test_a_bad_answer_is_wrong_at_the_named_place(message: str, example: dict[str, Any]) -> None:
    problems = answer_violations(message, example["body"])
    assert [problem for problem in problems if problem.startswith(f"{example['place']}: ")], problems


@pytest.mark.parametrize("message", MESSAGES)
def test_a_schema_is_sound_named_and_keeps_its_own_examples(message: str) -> None:
    document = schema(message)
    Draft202012Validator.check_schema(document)
    assert document["$id"] == f"https://facechain-testkit.example/contracts/{message}.schema.json"
    assert document["title"]
    assert "Source: " in document["description"]
    for example in document["examples"]:
        Draft202012Validator(document).validate(example)


@pytest.mark.parametrize("message", MESSAGES)
def test_a_schema_needs_no_other_file(message: str) -> None:
    assert all(ref.startswith("#/$defs/") for ref in references(schema(message)))


def references(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
        return own + [ref for item in value.values() for ref in references(item)]
    return [ref for item in value for ref in references(item)] if isinstance(value, list) else []


def test_every_rule_of_the_request_has_a_bad_example() -> None:
    shown = {example["rule"] for example in examples("portrait-request")["bad"].values()}
    assert shown == rule_ids(schema("portrait-request"))


def rule_ids(value: Any) -> set[str]:
    if isinstance(value, list):
        return {rule for item in value for rule in rule_ids(item)}
    if not isinstance(value, dict):
        return set()
    labels = value.get("x-rule", {})
    own = {labels} if isinstance(labels, str) else set(labels.values())
    return own | {rule for key, item in value.items() if key != "x-rule" for rule in rule_ids(item)}
