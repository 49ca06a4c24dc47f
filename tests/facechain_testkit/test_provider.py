"""The Faker provider: what it calls valid is, and what it calls invalid breaks the one thing that it names."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, get_args
from urllib.parse import parse_qsl, urlsplit
from uuid import UUID

import pytest
from faker import Faker

from contracts import catalogue
from contracts.validation import RequestContract, answer_violations
from facechain_testkit.provider import (
    BAD_IMAGES,
    MODES,
    OUTCOMES,
    BadImage,
    FaceChainProvider,
    ImageKind,
    InvalidBody,
    KeyKind,
    Mode,
    breakable_rules,
)
from mock_server.core.plans import Plan, plan_from_json

CONTRACT = RequestContract()
PHOTO = catalogue.limits()["images"]["user_photo"]
CASES = [(mode, rule) for mode in MODES for rule in breakable_rules(mode)]
METHODS = [name for name in vars(FaceChainProvider) if name.startswith("facechain_")]


def seeded(seed: int = 7) -> Any:
    made = Faker()
    made.add_provider(FaceChainProvider)
    made.seed_instance(seed)
    return made


@pytest.fixture
def fake() -> Any:
    return seeded()


def declared(url: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(url).query))


def outside(url: str, kind: ImageKind) -> list[str]:
    """The limits of such a picture that the URL declares itself to be outside of."""
    is_outside: dict[str, Callable[[Any, str], bool]] = {
        "formats": lambda limit, value: value.upper() not in limit,
        "faces": lambda limit, value: int(value) != limit,
        "min": lambda limit, value: int(value) < limit,
        "max": lambda limit, value: int(value) > limit,
    }
    limits, given = catalogue.limits()["images"][kind], declared(url)
    return [
        limit
        for limit, (name, _) in BAD_IMAGES.items()
        if limit in limits and is_outside[limit.partition("_")[0]](limits[limit], given[name])
    ]


@pytest.mark.parametrize("name", METHODS)
def test_the_same_seed_gives_the_same_values(name: str) -> None:
    assert [getattr(seeded(3), name)() for _ in range(2)] == [getattr(seeded(3), name)() for _ in range(2)]
    first, other = ([getattr(fake, name)() for _ in range(5)] for fake in (seeded(3), seeded(4)))
    assert first != other


def test_the_same_seed_gives_the_same_values_in_another_process() -> None:
    script = (
        "from faker import Faker; from facechain_testkit.provider import FaceChainProvider as P;"
        "fake = Faker(); fake.add_provider(P); fake.seed_instance(3);"
        f"print([[getattr(fake, name)() for _ in range(3)] for name in {METHODS}])"
    )
    command = [sys.executable, "-c", script]
    one, other = (
        subprocess.run(command, env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, check=True).stdout
        for seed in ("1", "2")
    )
    assert one == other


@pytest.mark.parametrize("mode", [None, *MODES])
def test_a_submission_is_valid_and_uses_all_that_its_mode_leaves_open(fake: Any, mode: Mode | None) -> None:
    bodies = [fake.facechain_submit_body(mode) for _ in range(200)]
    assert [CONTRACT.violations(body) for body in bodies if not CONTRACT.is_valid(body)] == []
    assert {body["parameters"].get("n") for body in bodies} == {None, 1, 2, 3, 4}
    assert len({body["parameters"]["style"] for body in bodies}) == {None: 12, "preset": 10}.get(mode, 1)
    optional = {"size"} if mode == "preset" else {"skin_retouch"} if mode == "train_free" else set()
    assert optional <= {name for body in bodies for name in body["parameters"]}


def test_every_rule_of_the_body_can_be_broken() -> None:
    in_schema = {rule.id for rule in catalogue.rules().values() if rule.where.startswith("schemas/")}
    named = {rule for rule in catalogue.rules() if rule.startswith(("portrait.", "model."))}
    assert set(breakable_rules()) == in_schema | named | {"body.object"}


@pytest.mark.parametrize(("mode", "rule"), CASES)
def test_an_invalid_submission_breaks_the_rule_it_names_and_no_other(fake: Any, mode: Mode, rule: str) -> None:
    for _ in range(10):
        invalid: InvalidBody = fake.facechain_invalid_submit_body(rule, mode)
        found = [(violation.rule, violation.place) for violation in CONTRACT.violations(invalid.body)]
        # The schema has one assertion for both: only the server knows the models of other routes.
        assert found == [("model.known" if rule == "model.route" else rule, invalid.place)]
        assert not CONTRACT.is_valid(invalid.body)
        assert (invalid.rule, invalid.error) == (rule, catalogue.rules()[rule].error)


def test_any_rule_is_broken_when_none_is_named(fake: Any) -> None:
    assert {fake.facechain_invalid_submit_body().rule for _ in range(600)} == set(breakable_rules())


def test_the_edges_of_a_range_are_tried(fake: Any) -> None:
    numbers = [fake.facechain_invalid_submit_body("portrait.n.range").body["parameters"]["n"] for _ in range(50)]
    photos = [fake.facechain_invalid_submit_body("portrait.user-urls.count").body["input"] for _ in range(50)]
    assert {0, 5} <= set(numbers)
    assert {0, 6} <= {len(each["user_urls"]) for each in photos}


@pytest.mark.parametrize(
    ("call", "problem"),
    [
        (lambda fake: fake.facechain_submit_body("trainfree"), "mode is 'trainfree'; it is one of preset, template,"),
        (lambda fake: fake.facechain_invalid_submit_body(mode="any"), "mode is 'any'"),
        (lambda fake: fake.facechain_invalid_submit_body("portrait.n.rang"), "it is one of .*portrait.n.range"),
        (
            lambda fake: fake.facechain_invalid_submit_body("portrait.user-urls.count", "preset"),
            "rule is 'portrait.user",
        ),
        (lambda fake: fake.facechain_api_key("ak"), "kind is 'ak'; it is one of sk, sk-ws, sk-sp"),
        (lambda fake: fake.facechain_image_url("selfie"), "kind is 'selfie'"),
        (lambda fake: fake.facechain_image_url(heigth=3), "property is 'heigth'"),
        (lambda fake: fake.facechain_bad_image_url("min_face_px", "template"), "breaks is 'min_face_px'"),
        (lambda fake: fake.facechain_task_history("RUNNING"), "outcome is 'RUNNING'; it is one of SUCCEEDED"),
    ],
)
def test_what_is_not_known_is_refused_with_what_is(fake: Any, call: Callable[[Any], object], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        call(fake)


@pytest.mark.parametrize("kind", get_args(KeyKind))
def test_a_key_has_the_form_of_its_kind(fake: Any, kind: KeyKind) -> None:
    assert re.fullmatch(rf"{kind}-[0-9a-f]{{32}}", fake.facechain_api_key(kind))


def test_a_resource_id_has_one_of_the_documented_forms(fake: Any) -> None:
    form = re.compile(r"facechain-(finetune|png)-ft-(\d{12})-[0-9a-f]{4}")
    found = [form.fullmatch(fake.facechain_resource_id()) for _ in range(50)]
    assert {match[1] for match in found if match} == {"finetune", "png"}
    assert all(match and datetime.strptime(f"{match[2]}+0800", "%Y%m%d%H%M%z") for match in found)


def test_ids_look_like_the_vendors(fake: Any) -> None:
    assert UUID(fake.facechain_task_id()).version == 4
    assert str(UUID(request_id := fake.facechain_request_id())) == request_id
    assert request_id[14] == "9"


@pytest.mark.parametrize("kind", get_args(ImageKind))
def test_a_picture_declares_itself_within_its_limits(fake: Any, kind: ImageKind) -> None:
    urls = [fake.facechain_image_url(kind) for _ in range(100)]
    assert all(re.match(r"https://assets\.facechain\.test/[\w-]+\.jpg\?width=", url) for url in urls)
    assert [url for url in urls if outside(url, kind)] == []


def test_a_picture_declares_what_it_is_told_to(fake: Any) -> None:
    given = declared(fake.facechain_image_url(width=300, height=200, format="webp", faces=2))
    assert (given["width"], given["height"], given["format"], given["faces"]) == ("300", "200", "webp", "2")
    assert PHOTO["min_face_px"] <= int(given["face_px"]) <= 200


@pytest.mark.parametrize("kind", get_args(ImageKind))
@pytest.mark.parametrize("breaks", [None, *BAD_IMAGES])
def test_a_bad_picture_is_outside_the_limit_it_names_and_no_other(
    fake: Any, breaks: str | None, kind: ImageKind
) -> None:
    if breaks and breaks not in catalogue.limits()["images"][kind]:
        return
    for _ in range(20):
        bad: BadImage = fake.facechain_bad_image_url(breaks, kind)
        assert outside(bad.url, kind) == [bad.breaks]
        assert breaks in (None, bad.breaks)
        assert bad.error in catalogue.errors()


def test_every_documented_limit_of_a_picture_can_be_broken() -> None:
    limits = {limit for kind in get_args(ImageKind) for limit in catalogue.limits()["images"][kind]}
    assert limits - {"evidence", "source"} == BAD_IMAGES.keys()


def test_a_plan_can_be_read(fake: Any) -> None:
    plans = [plan_from_json(json.loads(json.dumps(fake.facechain_plan())), Plan()) for _ in range(200)]
    assert {plan.progression for plan in plans} == {"time", "polls", "immediate", "hold"}
    assert {plan.outcome.status for plan in plans} == set(OUTCOMES)


@pytest.mark.parametrize("outcome", [None, *OUTCOMES])
def test_a_history_goes_from_pending_to_its_outcome(fake: Any, outcome: str | None) -> None:
    for _ in range(20):
        history = fake.facechain_task_history(outcome)
        statuses = [answer["output"]["task_status"] for answer in history]
        order = ["PENDING", "RUNNING", "SUCCEEDED", "FAILED", "CANCELED", "UNKNOWN"]
        assert statuses == sorted(statuses, key=order.index)
        assert statuses[0] == "PENDING"
        assert statuses[-1] == outcome if outcome else statuses[-1] in OUTCOMES
        assert [problem for answer in history for problem in answer_violations("task", answer)] == []


def test_the_times_of_a_history_agree(fake: Any) -> None:
    for _ in range(50):
        outputs = [answer["output"] for answer in fake.facechain_task_history()]
        assert len({output["task_id"] for output in outputs}) == 1
        for name in ("submit_time", "scheduled_time", "end_time"):
            assert len({output[name] for output in outputs if name in output}) <= 1
        last = {name: text for output in outputs for name, text in output.items() if name.endswith("_time")}
        times = [last[name] for name in ("submit_time", "scheduled_time", "end_time") if name in last]
        assert times == sorted(times)
        assert all(re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}", text) for text in times)


def test_makers_fit_factories_that_take_a_callable(fake: Any) -> None:
    @dataclass
    class Order:
        key: str
        body: dict[str, Any]

    def order(**fields: Callable[[], Any]) -> Order:
        return Order(**{name: make() for name, make in fields.items()})

    made = order(key=fake.facechain_api_key, body=lambda: fake.facechain_submit_body(mode="preset"))
    assert made.key.startswith("sk-")
    assert CONTRACT.is_valid(made.body)


def test_a_body_is_the_callers_to_change(fake: Any) -> None:
    for _ in range(100):
        invalid = fake.facechain_invalid_submit_body("portrait.parameters.type")
        assert invalid.body["parameters"] in (None, True, 7, 2.5, "7", [])
        if invalid.body["parameters"] == []:
            invalid.body["parameters"].append("changed")


def test_the_kit_is_imported_without_the_provider() -> None:
    script = "import sys, facechain_testkit; print(*(name for name in sys.modules if name.startswith('f')))"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, text=True).stdout.split()
    assert not {"faker", "facechain_testkit.provider", "facechain_testkit.strategies"} & set(loaded)
