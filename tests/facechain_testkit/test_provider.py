"""The Faker provider: what it calls valid is, and what it calls invalid breaks the one thing that it names."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO
from typing import Any, get_args
from urllib.parse import parse_qsl, urlsplit
from uuid import UUID

import pytest
from faker import Faker
from PIL import Image

from contracts import catalogue
from contracts.validation import RequestContract, answer_violations
from facechain_testkit.provider import (
    FILE_FORMATS,
    MODES,
    OUTCOMES,
    BadImage,
    FaceChainProvider,
    ImageKind,
    InvalidBody,
    KeyKind,
    Mode,
    breakable_rules,
    ways_to_be_bad,
)
from mock_server.core import pictures
from mock_server.core.model import DETECTION_MODEL, TRAINING_MODEL
from mock_server.core.plans import Plan, plan_from_json
from mock_server.core.portraits import SAMPLE_RESOURCES

CONTRACT = RequestContract()
FAMILY = {"detection": DETECTION_MODEL, "job": TRAINING_MODEL}
"""What is submitted beside portraits: the name in the schema and in the provider, and the model."""

KINDS: tuple[ImageKind, ...] = get_args(ImageKind)
BAD = [(kind, problem) for kind in KINDS for problem in (None, *ways_to_be_bad(kind))]
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


def problems(url: str, kind: ImageKind) -> list[str]:
    """All that the mock finds wrong with the picture that a URL declares itself to be."""
    picture = pictures.declared(url)
    assert picture is not None
    return [each.id for each in pictures._problems(picture, kind, {})]


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


def labels(name: str) -> set[str]:
    """The rules that assertions in the schema of a request are labelled with."""

    def below(part: object) -> set[str]:
        inner = part.values() if isinstance(part, dict) else part if isinstance(part, list) else ()
        found = part.get("x-rule", {}) if isinstance(part, dict) else {}
        own = {found} if isinstance(found, str) else {rule for rule in found.values() if isinstance(rule, str)}
        return own.union(*map(below, inner))

    return below(catalogue.schema(f"{name}-request"))


def test_every_rule_of_the_body_can_be_broken() -> None:
    named = {rule for rule in catalogue.rules() if rule.startswith(("portrait.", "model."))}
    assert set(breakable_rules()) == labels("portrait") | named | {"body.object"}


@pytest.mark.parametrize(("mode", "rule"), CASES)
def test_an_invalid_submission_breaks_the_rule_it_names_and_no_other(fake: Any, mode: Mode, rule: str) -> None:
    for _ in range(10):
        invalid: InvalidBody = fake.facechain_invalid_submit_body(rule, mode)
        found = [(violation.rule, violation.place) for violation in CONTRACT.violations(invalid.body)]
        # The schema has one assertion for both: only the server knows the models of other routes.
        assert found == [("model.known" if rule == "model.route" else rule, invalid.place)]
        assert not CONTRACT.is_valid(invalid.body)
        assert (invalid.rule, invalid.error) == (rule, catalogue.rules()[rule].error)


@pytest.mark.parametrize("name", FAMILY)
def test_a_body_of_the_family_is_valid_and_uses_all_that_is_open(fake: Any, name: str) -> None:
    contract = RequestContract(message=f"{name}-request")
    bodies = [getattr(fake, f"facechain_{name}_body")() for _ in range(100)]
    assert [contract.violations(body) for body in bodies if not contract.is_valid(body)] == []
    assert {field for body in bodies for field in body} == set(catalogue.schema(f"{name}-request")["properties"])
    pictures_of = [body.get("training_file_ids") or body["input"]["images"] for body in bodies]
    assert {len(each) for each in pictures_of} == set(range(1, 11 if name == "job" else 6))
    assert [url for urls in pictures_of for url in urls if problems(url, "detection")] == []


@pytest.mark.parametrize("name", FAMILY)
def test_every_rule_of_the_family_can_be_broken(name: str) -> None:
    assert set(breakable_rules(model=FAMILY[name])) == labels(name) | {"model.route"}


@pytest.mark.parametrize(("name", "rule"), [(n, rule) for n in FAMILY for rule in breakable_rules(model=FAMILY[n])])
def test_an_invalid_body_of_the_family_breaks_the_rule_it_names_and_no_other(fake: Any, name: str, rule: str) -> None:
    contract = RequestContract(message=f"{name}-request")
    for _ in range(10):
        invalid: InvalidBody = getattr(fake, f"facechain_invalid_{name}_body")(rule)
        found = [(violation.rule, violation.place) for violation in contract.violations(invalid.body)]
        assert found == [("model.known" if rule == "model.route" else rule, invalid.place)]
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
        (
            lambda fake: fake.facechain_bad_image_url("angle", "template"),
            "breaks is 'angle'; it is one of format, bytes",
        ),
        (lambda fake: fake.facechain_invalid_job_body("job.files.cuont"), "it is one of .*job.files.count"),
        (lambda fake: fake.facechain_photo(faces=2), "property is 'faces'; it is one of format, width, height, bytes"),
        (lambda fake: fake.facechain_photo(format="heic"), "format is 'heic'; it is one of jpeg, png"),
        (lambda fake: fake.facechain_photo(bytes=9), r"bytes is 9; such a picture takes \d+"),
        (lambda fake: fake.facechain_task_history("RUNNING"), "outcome is 'RUNNING'; it is one of SUCCEEDED"),
    ],
)
def test_what_is_not_known_is_refused_with_what_is(fake: Any, call: Callable[[Any], object], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        call(fake)


@pytest.mark.parametrize("kind", get_args(KeyKind))
def test_a_key_has_the_form_of_its_kind(fake: Any, kind: KeyKind) -> None:
    assert re.fullmatch(rf"{kind}-[0-9a-f]{{32}}", fake.facechain_api_key(kind))


def test_a_resource_id_is_one_that_the_mock_knows(fake: Any) -> None:
    assert {fake.facechain_resource_id() for _ in range(100)} == SAMPLE_RESOURCES


def test_ids_look_like_the_vendors(fake: Any) -> None:
    assert UUID(fake.facechain_task_id()).version == 4
    assert str(UUID(request_id := fake.facechain_request_id())) == request_id
    assert request_id[14] == "9"
    assert UUID(fake.facechain_file_id()).version == 4
    job = re.fullmatch(r"ft-(\d{12})-[0-9a-f]{4}", fake.facechain_job_id())
    assert job is not None
    assert datetime.strptime(f"{job[1]}+0800", "%Y%m%d%H%M%z").year == 2026


@pytest.mark.parametrize("kind", KINDS)
def test_a_picture_declares_itself_within_its_limits(fake: Any, kind: ImageKind) -> None:
    urls = [fake.facechain_image_url(kind) for _ in range(100)]
    assert all(re.match(r"https://assets\.facechain\.test/[\w-]+\.jpg\?width=", url) for url in urls)
    assert [url for url in urls if problems(url, kind)] == []


def test_a_picture_declares_what_it_is_told_to(fake: Any) -> None:
    given = declared(fake.facechain_image_url(width=300, height=200, format="webp", faces=2))
    assert (given["width"], given["height"], given["format"], given["faces"]) == ("300", "200", "webp", "2")
    assert PHOTO["min_face_px"] <= int(given["face_px"]) <= 200


@pytest.mark.parametrize(("kind", "breaks"), BAD)
def test_a_bad_picture_has_the_problem_it_names_and_no_other(fake: Any, kind: ImageKind, breaks: str | None) -> None:
    for _ in range(20):
        bad: BadImage = fake.facechain_bad_image_url(breaks, kind)
        assert problems(bad.url, kind) == [bad.breaks]
        assert breaks in (None, bad.breaks)
        known = catalogue.picture_problems()[bad.breaks]
        assert (bad.error, bad.reason) == (known.error, known.reason)


def test_every_problem_of_a_picture_can_be_had() -> None:
    assert {problem for _, problem in BAD if problem} == catalogue.picture_problems().keys()


def test_every_documented_limit_of_a_picture_is_just_passed() -> None:
    outside = {kind: [way for ways in ways_to_be_bad(kind).values() for way in ways] for kind in KINDS}
    for kind, limits in catalogue.limits()["images"].items():
        names = {"max_bytes": "bytes", "max_angle_degrees": "angle", "min_face_px": "face_px", "formats": "format"}
        for limit in limits.keys() - {"evidence", "source"}:
            name = names.get(limit) or limit.partition("_")[2] or limit
            passed = [way[name] for way in outside[kind] if name in way]
            by = {"min": -1, "max": 1}.get(limit[:3], 0)
            assert limits[limit] + by in passed if by else passed


@pytest.mark.parametrize("format_", FILE_FORMATS)
def test_a_photo_is_a_real_file_of_its_format_and_size(fake: Any, format_: str) -> None:
    data = fake.facechain_photo(format=format_, width=300, height=260, bytes=300_000)
    with Image.open(BytesIO(data)) as opened:
        opened.load()
        assert (opened.format, opened.size) == (format_.upper(), (300, 260))
    read = pictures.read(data)
    assert (read.format, read.width, read.height, read.bytes) == (format_.upper(), 300, 260, 300_000)


def test_a_photo_is_within_the_limits_unless_it_is_told_otherwise(fake: Any) -> None:
    for format_ in ("jpeg", "png"):
        read = pictures.read(fake.facechain_photo(format=format_))
        assert pictures.problem(read, "user_photo", {}) is None
    assert {pictures.read(fake.facechain_photo()).format for _ in range(60)} == {each.upper() for each in FILE_FORMATS}


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
