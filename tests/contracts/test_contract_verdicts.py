"""The fast validator and the one that explains give the same verdict on every body."""

import json
import time
from contextlib import suppress
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.catalogue import behaviours, examples, schema
from contracts.validation import RequestContract, answer_violations

GOOD = list(examples("portrait-request")["good"].values())
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
    model = st.just("facechain-generation")
    known = st.fixed_dictionaries({"model": model, "parameters": parameters, **fields})
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
PLACES = [
    ("model",), ("parameters",), ("parameters", "style"), ("parameters", "size"), ("parameters", "n"),
    ("parameters", "skin_retouch"), ("resources",), ("resources", 0), ("resources", 0, "resource_id"),
    ("resources", 0, "resource_type"), ("input",), ("input", "template_url"), ("input", "user_urls"),
    ("input", "user_urls", 0),
]  # fmt: skip


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


CHANGES = st.lists(st.tuples(st.sampled_from(PLACES), st.just(...) | JSON_VALUES), min_size=1, max_size=4)


def assert_same_verdict(body: Any, choices: dict[str, str]) -> None:
    contract = RequestContract(choices)
    assert contract.is_valid(body) == (contract.violations(body) == [])


@pytest.mark.parametrize("verdict", ["good", "bad"])
def test_both_agree_on_every_example(verdict: str) -> None:
    for example in examples("portrait-request")[verdict].values():
        assert_same_verdict(example["body"] if verdict == "bad" else example, {})


@settings(max_examples=200, deadline=None)
@given(body=PRESET_BODIES | TEMPLATE_BODIES | TRAIN_FREE_BODIES)
def test_both_accept_every_sound_body(body: Any) -> None:
    assert RequestContract().is_valid(body)
    assert RequestContract().violations(body) == []


@settings(max_examples=500, deadline=None)
@given(body=st.sampled_from(GOOD), changes=CHANGES, choices=CHOICES)
def test_both_agree_on_changed_bodies(body: Any, changes: Any, choices: dict[str, str]) -> None:
    assert_same_verdict(mutated(body, changes), choices)


@settings(max_examples=200, deadline=None)
@given(body=JSON_VALUES, choices=CHOICES)
def test_both_agree_on_any_json(body: Any, choices: dict[str, str]) -> None:
    assert_same_verdict(body, choices)


@settings(max_examples=200, deadline=None)
@given(body=st.sampled_from(GOOD), changes=CHANGES)
def test_a_problem_is_short_ascii_and_in_order(body: Any, changes: Any) -> None:
    from contracts.catalogue import rules

    violations = RequestContract().violations(mutated(body, changes))
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
@pytest.mark.parametrize("place", [("junk",), *PLACES], ids=lambda place: ".".join(map(str, place)))
def test_an_odd_value_anywhere_is_judged_quickly(place: tuple[str | int, ...], oddity: Any) -> None:
    started = time.process_time()
    for body in GOOD[:3]:
        assert_same_verdict(mutated(body, [(place, oddity)]), {})
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
    body = {**GOOD[0], "parameters": parameters}
    assert RequestContract().violations(body)[0].problem == problem


def test_a_violation_reads_as_one_line() -> None:
    body = mutated(GOOD[0], [(("parameters", "n"), 9)])
    assert [str(v) for v in RequestContract().violations(body)] == [
        "portrait.n.range at parameters.n: 9 is above 4 (documented)"
    ]


def test_the_reference_serves_where_the_fast_one_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("contracts.validation._fast_validator", lambda _: None)
    assert RequestContract().is_valid(GOOD[0])
    assert not RequestContract().is_valid({})


def test_an_answer_that_is_no_object_is_wrong_and_named() -> None:
    assert answer_violations("error", json.loads("[]")) == ["body: [] is not of type 'object'"]
