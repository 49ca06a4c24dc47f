"""The fast validator and the one that explains give the same verdict on every body."""

import json
import time
from contextlib import suppress
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.catalogue import REQUESTS, behaviours, examples, rules, schema
from contracts.validation import RequestContract, answer_violations

GOOD = {message: list(examples(message)["good"].values()) for message in REQUESTS}
A_PORTRAIT = GOOD["portrait-request"][0]
CHOICES = st.fixed_dictionaries(
    {},
    optional={
        id_: st.sampled_from(sorted(behaviour.options))
        for id_, behaviour in behaviours().items()
        if any(option.patch for option in behaviour.options.values())
    },
)
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=20)
    | st.sampled_from([0, 1, 4, 5, 4.0, 2**64, -0.0, "", "768*1024", "512*512", "facelora", "http://a\n", "oss://é"])
    | st.sampled_from(schema("portrait-request")["$defs"]["style"]["enum"])
)  # fmt: skip
JSON_VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)
SHAPES = schema("portrait-request")["$defs"]
URLS = st.from_regex(r"\A(https?|oss)://[!-~]{1,30}\Z")
ANYTHING_MORE = st.dictionaries(st.text(min_size=1, max_size=5).map("x-{}".format), JSON_VALUES, max_size=2)
RESOURCES = st.lists(
    st.fixed_dictionaries({"resource_id": st.text(min_size=1, max_size=9), "resource_type": st.just("facelora")}),
    min_size=1,
    max_size=3,
)


def bodies(styles: Any, size: Any, **fields: Any) -> Any:
    """Sound bodies of one mode: the fields it needs, the optional ones, and some that nobody knows."""
    optional = {"n": st.integers(1, 4), "skin_retouch": st.booleans(), "size": size}
    parameters = st.fixed_dictionaries({"style": styles}, optional=optional)
    return with_more({"model": st.just("facechain-generation"), "parameters": parameters, **fields}, {})


def with_more(needed: dict[str, Any], optional: dict[str, Any]) -> Any:
    """Objects with the fields that are needed, some of the optional ones, and some that nobody knows."""
    known = st.fixed_dictionaries(needed, optional=optional)
    return st.builds(lambda body, more: {**body, **more}, known, ANYTHING_MORE)


PRESET_BODIES = bodies(
    st.sampled_from(SHAPES["preset_style"]["enum"]),
    st.sampled_from(["768*1024", "512*512"]),
    resources=RESOURCES,
    input=ANYTHING_MORE,
)
TEMPLATE_BODIES = bodies(
    st.just("portrait_url_template"),
    st.text(),
    resources=RESOURCES,
    input=st.fixed_dictionaries({"template_url": URLS}),
)
TRAIN_FREE_BODIES = bodies(
    st.just("train_free_portrait_url_template"),
    st.text(),
    resources=JSON_VALUES,
    input=st.fixed_dictionaries({"template_url": URLS, "user_urls": st.lists(URLS, min_size=1, max_size=5)}),
)
DETECTION_BODIES = with_more(
    {
        "model": st.just("facechain-facedetect"),
        "input": st.fixed_dictionaries({"images": st.lists(URLS, min_size=1, max_size=20)}),
    },
    {"parameters": JSON_VALUES},
)
JOB_BODIES = with_more(
    {
        "model": st.just("facechain-finetune"),
        "training_file_ids": st.lists(URLS | st.uuids().map(str), min_size=1, max_size=10),
    },
    {
        "validation_file_ids": st.none() | st.lists(st.text(max_size=9), max_size=3),
        "hyper_parameters": ANYTHING_MORE,
    },
)
SOUND = {
    "portrait-request": PRESET_BODIES | TEMPLATE_BODIES | TRAIN_FREE_BODIES,
    "detection-request": DETECTION_BODIES,
    "job-request": JOB_BODIES,
}
PLACES: dict[str, list[tuple[str | int, ...]]] = {
    "portrait-request": [
        ("model",), ("parameters",), ("parameters", "style"), ("parameters", "size"), ("parameters", "n"),
        ("parameters", "skin_retouch"), ("resources",), ("resources", 0), ("resources", 0, "resource_id"),
        ("resources", 0, "resource_type"), ("input",), ("input", "template_url"), ("input", "user_urls"),
        ("input", "user_urls", 0),
    ],
    "detection-request": [("model",), ("parameters",), ("input",), ("input", "images"), ("input", "images", 0)],
    "job-request": [
        ("model",), ("training_file_ids",), ("training_file_ids", 0), ("validation_file_ids",),
        ("validation_file_ids", 0), ("hyper_parameters",),
    ],
}  # fmt: skip


def mutated(body: Any, changes: list[tuple[tuple[str | int, ...], Any]]) -> Any:
    """``body`` with each place set, or removed where the value is ``...``; other places stay."""
    body = deepcopy(body)
    for place, value in changes:
        with suppress(LookupError, TypeError):
            change(body, place, value)
    return body


def change(body: Any, place: tuple[str | int, ...], value: Any) -> None:
    *parents, last = place
    for key in parents:
        body = body[key]
    if value is ...:
        del body[last]
    else:
        body[last] = value


@st.composite
def changed(draw: st.DrawFn) -> tuple[str, Any]:
    """A request's name, and a good body of it with some places spoiled."""
    message = draw(st.sampled_from(REQUESTS))
    changes = st.lists(st.tuples(st.sampled_from(PLACES[message]), st.just(...) | JSON_VALUES), min_size=1, max_size=4)
    return message, mutated(draw(st.sampled_from(GOOD[message])), draw(changes))


def assert_same_verdict(message: str, body: Any, choices: dict[str, str]) -> None:
    contract = RequestContract(choices, message=message)
    assert contract.is_valid(body) == (contract.violations(body) == [])


@pytest.mark.parametrize("verdict", ["good", "bad"])
@pytest.mark.parametrize("message", REQUESTS)
def test_both_agree_on_every_example(message: str, verdict: str) -> None:
    for example in examples(message)[verdict].values():
        assert_same_verdict(message, example["body"] if verdict == "bad" else example, {})


@settings(max_examples=300, deadline=None)
@given(sound=st.sampled_from(REQUESTS).flatmap(lambda message: st.tuples(st.just(message), SOUND[message])))
def test_both_accept_every_sound_body(sound: tuple[str, Any]) -> None:
    message, body = sound
    assert RequestContract(message=message).is_valid(body)
    assert RequestContract(message=message).violations(body) == []


@settings(max_examples=800, deadline=None)
@given(request_and_body=changed(), choices=CHOICES)
def test_both_agree_on_changed_bodies(request_and_body: tuple[str, Any], choices: dict[str, str]) -> None:
    assert_same_verdict(*request_and_body, choices)


@settings(max_examples=300, deadline=None)
@given(message=st.sampled_from(REQUESTS), body=JSON_VALUES, choices=CHOICES)
def test_both_agree_on_any_json(message: str, body: Any, choices: dict[str, str]) -> None:
    assert_same_verdict(message, body, choices)


@settings(max_examples=300, deadline=None)
@given(request_and_body=changed())
def test_a_problem_is_short_ascii_and_in_order(request_and_body: tuple[str, Any]) -> None:
    message, body = request_and_body
    violations = RequestContract(message=message).violations(body)
    order = list(rules())
    assert [v.rule for v in violations] == sorted((v.rule for v in violations), key=order.index)
    for violation in violations:
        assert violation.problem.isascii()
        assert len(violation.problem) <= 160
        assert "\n" not in violation.problem
        assert violation.evidence == rules()[violation.rule].evidence


def nested(depth: int) -> Any:
    value: Any = 0
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    "oddity",
    [
        pytest.param(nested(10_000), id="deep"),
        pytest.param("\ud800", id="lone surrogate"),
        pytest.param(float("nan"), id="NaN"),
        pytest.param(10**400, id="huge integer"),
        pytest.param("x" * 1_000_000, id="long text"),
        pytest.param(list(range(200_000)), id="long array"),
    ],
)
@pytest.mark.parametrize(
    ("message", "place"),
    [
        pytest.param(message, place, id=f"{message} {'.'.join(map(str, place))}")
        for message in REQUESTS
        for place in [("junk",), *PLACES[message]]
    ],
)
def test_an_odd_value_anywhere_is_judged_quickly(message: str, place: tuple[str | int, ...], oddity: Any) -> None:
    started = time.process_time()
    for body in GOOD[message][:3]:
        assert_same_verdict(message, mutated(body, [(place, oddity)]), {})
    assert time.process_time() - started < 5


@pytest.mark.parametrize(
    ("parameters", "problem"),
    [
        (
            {"style": "f_buisness_male"},
            "'f_buisness_male' is not one of the 12 styles; nearest is 'f_business_male'",
        ),
        ({"style": 7}, "7 is not a string"),
        ({"style": "x" * 10_000}, "'" + "x" * 57 + "...' is not one of the 12 styles"),
        ({"style": "f_idcard_male", "n": 9}, "9 is above 4"),
        ({"style": "f_idcard_male", "n": 0}, "0 is below 1"),
        ({"style": "f_idcard_male", "n": {}}, "an object is not an integer"),
        ({"style": "f_idcard_male", "size": "1*1"}, "'1*1' is not '768*1024' or '512*512'"),
        ({}, "is missing"),
    ],
)
def test_a_problem_says_what_came_and_what_was_wanted(parameters: dict[str, Any], problem: str) -> None:
    body = {**A_PORTRAIT, "parameters": parameters}
    assert RequestContract().violations(body)[0].problem == problem


@pytest.mark.parametrize(
    ("message", "place", "value", "problem"),
    [
        ("detection-request", ("input", "images", 0), "me.jpg", "'me.jpg' is not an http, https or oss URL"),
        (
            "detection-request",
            ("input", "images", 0),
            "http://\u6211",
            "'http://\\u6211' holds a character outside printable ASCII",
        ),
        ("detection-request", ("input", "images"), [], "has 0 items, needs at least 1"),
        ("job-request", ("training_file_ids",), ["me"] * 11, "has 11 items, takes at most 10"),
        ("job-request", ("training_file_ids", 0), "", "is empty"),
        ("job-request", ("training_file_ids",), ..., "is missing"),
        ("job-request", ("validation_file_ids",), 7, "7 is not an array or null"),
        ("job-request", ("hyper_parameters",), [], "an array is not an object"),
        ("job-request", ("model",), "facechain", "'facechain' is not 'facechain-finetune'"),
    ],
)
def test_a_problem_of_the_other_requests_says_so_too(
    message: str, place: tuple[str | int, ...], value: object, problem: str
) -> None:
    body = mutated(GOOD[message][0], [(place, value)])
    assert RequestContract(message=message).violations(body)[0].problem == problem


def test_a_violation_reads_as_one_line() -> None:
    body = mutated(A_PORTRAIT, [(("parameters", "n"), 9)])
    assert [str(v) for v in RequestContract().violations(body)] == [
        "portrait.n.range at parameters.n: 9 is above 4 (documented)"
    ]


def test_the_reference_serves_where_the_fast_one_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("contracts.validation._fast_validator", lambda *_: None)
    for message in REQUESTS:
        assert RequestContract(message=message).is_valid(GOOD[message][0])
        assert not RequestContract(message=message).is_valid({})


def test_a_request_that_does_not_exist_is_refused_with_the_nearest_that_does() -> None:
    with pytest.raises(ValueError, match="unknown request 'job-requests'; nearest is 'job-request'"):
        RequestContract(message="job-requests")
    with pytest.raises(ValueError, match="unknown request 'task'; known are portrait-request, detection-request"):
        RequestContract(message="task")


def test_an_answer_that_is_no_object_is_wrong_and_named() -> None:
    assert answer_violations("error", json.loads("[]")) == ["body: [] is not of type 'object'"]
