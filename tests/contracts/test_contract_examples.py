"""Every example of every message is judged as its place in the folder says."""

from collections.abc import Iterable
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from contracts.catalogue import MESSAGES, REQUESTS, examples, schema
from contracts.validation import RequestContract, answer_violations

ANSWERS = [message for message in MESSAGES if message not in REQUESTS]
MISTAKES_OF_EVERYTHING_WRONG = {"portrait-request": 5, "detection-request": 4, "job-request": 6}


def cases(messages: Iterable[str], verdict: str) -> list[Any]:
    return [
        pytest.param(message, example, id=f"{message}/{verdict}/{name}")
        for message in messages
        for name, example in examples(message)[verdict].items()
    ]


@pytest.mark.parametrize(("message", "body"), cases(REQUESTS, "good"))
def test_a_good_request_breaks_no_rule(message: str, body: object) -> None:
    contract = RequestContract(message=message)
    assert contract.violations(body) == []
    assert contract.is_valid(body)


@pytest.mark.parametrize(("message", "example"), cases(REQUESTS, "bad"))
def test_a_bad_request_breaks_the_named_rule_first(message: str, example: dict[str, Any]) -> None:
    contract = RequestContract(message=message)
    first = contract.violations(example["body"])[0]
    assert (first.rule, first.place) == (example["rule"], example["place"])
    assert not contract.is_valid(example["body"])


@pytest.mark.parametrize("message", REQUESTS)
def test_one_mistake_is_reported_once_and_draws_no_others(message: str) -> None:
    contract = RequestContract(message=message)
    found = {name: len(contract.violations(example["body"])) for name, example in examples(message)["bad"].items()}
    wrong = MISTAKES_OF_EVERYTHING_WRONG[message]
    assert {name: count for name, count in found.items() if count > 1} == {"everything-wrong": wrong}


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


@pytest.mark.parametrize("message", REQUESTS)
def test_every_rule_of_a_request_has_a_bad_example(message: str) -> None:
    shown = {example["rule"] for example in examples(message)["bad"].values()}
    assert shown == rule_ids(schema(message))


@pytest.mark.parametrize("message", ANSWERS)
def test_an_answer_has_no_rules(message: str) -> None:
    assert rule_ids(schema(message)) == set()


@pytest.mark.parametrize(("one", "many"), [("job", "job-list"), ("file", "file-list")])
def test_one_of_a_list_is_as_it_is_alone(one: str, many: str) -> None:
    assert schema(one)["$defs"] == schema(many)["$defs"]


@pytest.mark.parametrize("message", MESSAGES)
def test_a_message_has_examples_of_both_kinds(message: str) -> None:
    assert all(examples(message).values())


def rule_ids(value: Any) -> set[str]:
    if isinstance(value, list):
        return {rule for item in value for rule in rule_ids(item)}
    if not isinstance(value, dict):
        return set()
    labels = value.get("x-rule", {})
    own = {labels} if isinstance(labels, str) else set(labels.values())
    return own | {rule for key, item in value.items() if key != "x-rule" for rule in rule_ids(item)}
