"""Test data for clients of FaceChain, as a Faker provider: bodies, keys, ids, picture URLs, task histories, plans.

Each maker is a plain function of a ``Chance`` first; the provider hands in Faker's own, so that Faker's seed decides.
What is allowed is read from the contract, under its default behaviours.

    from faker import Faker
    from facechain_testkit.provider import FaceChainProvider

    fake = Faker()
    fake.add_provider(FaceChainProvider)
    fake.seed_instance(7)
    fake.facechain_submit_body("train_free")

With factory_boy, ``factory.LazyFunction(fake.facechain_submit_body)``, or ``factory.Faker.add_provider(FaceChainProvider)``
once and ``factory.Faker("facechain_submit_body", mode="preset")`` where a value is wanted.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any, Literal, Protocol, TypeVar, get_args
from urllib.parse import urlencode

from faker.providers import BaseProvider
from jsonschema import Draft202012Validator

from contracts import catalogue
from mock_server.app import create_simulator
from mock_server.clock import VendorClock
from mock_server.core.lifecycle import retention_ms
from mock_server.core.model import Request, TaskStatus
from mock_server.core.plans import PROGRESSIONS
from mock_server.core.portraits import MODEL
from mock_server.core.scenarios import ASSETS_HOST, HOST_SUFFIX
from mock_server.core.tasks import vendor_time
from mock_server.settings import Settings

Mode = Literal["preset", "template", "train_free"]
KeyKind = Literal["sk", "sk-ws", "sk-sp"]
ImageKind = Literal["user_photo", "template", "detection"]
MODES: tuple[Mode, ...] = get_args(Mode)
OUTCOMES = tuple(status.value for status in TaskStatus if status not in (TaskStatus.PENDING, TaskStatus.RUNNING))
PROPERTIES = ("width", "height", "bytes", "format", "faces", "face_px", "angle")
"""What a picture's URL may declare."""

BAD_IMAGES = {
    "min_width": ("width", "image_resolution"),
    "max_width": ("width", "image_resolution"),
    "min_height": ("height", "image_resolution"),
    "max_height": ("height", "image_resolution"),
    "max_bytes": ("bytes", "image_size"),
    "formats": ("format", "image_format"),
    "faces": ("faces", "request_invalid"),
    "min_face_px": ("face_px", "no_human_face"),
    "max_angle_degrees": ("angle", "no_human_face"),
}
"""For each limit of a picture, the property that breaks it and the reason. No page says which; we chose the nearest."""

_YEAR_BEGINS_MS = 1_767_196_800_000  # 2026 in UTC+8
_DAYS_MS = 270 * 24 * 3_600_000  # within the months before the model was announced to go offline
_EACH = "*"
_NOT_URLS = (
    "",
    "me.jpg",
    "/uploads/me.jpg",
    "file:///home/me.jpg",
    "ftp://host/me.jpg",
    "data:image/png;base64,iVBORw0KGgo=",
)
_OF_EVERY_TYPE: tuple[Any, ...] = (None, True, 7, 2.5, "7", [], {})
_ASSERTIONS = ("type", "const", "enum", "minimum", "maximum", "minLength", "minItems", "maxItems", "pattern", "not")
T = TypeVar("T")


class Chance(Protocol):
    """What chooses: a ``random.Random``, or Hypothesis. The first choice and the least number are the plainest."""

    def choice(self, seq: Sequence[T], /) -> T: ...

    def randint(self, a: int, b: int, /) -> int: ...


@dataclass(frozen=True)
class InvalidBody:
    """A submission that breaks one rule: ``rule`` and ``place`` as a ``Violation`` has them, ``error`` as a reason."""

    body: Any
    rule: str
    place: str
    error: str


@dataclass(frozen=True)
class BadImage:
    """A picture just outside one of its limits, ``breaks``, which ``limits.json`` names; ``error`` is a reason."""

    url: str
    breaks: str
    error: str


@dataclass(frozen=True)
class Breach:
    """One assertion of the request's schema, to be broken at ``place``; ``*`` stands for any item of a list."""

    rule: str
    place: tuple[str, ...]
    keyword: str
    wanted: Any


def submit_body(chance: Chance, mode: Mode | None = None) -> dict[str, Any]:
    """A valid submission. What the mode leaves to the client is there or not."""
    mode = _one_of(chance, "mode", mode, MODES)
    limits = catalogue.limits()["models"][MODEL]
    allowed = {breach.rule: breach.wanted for breach in breaches(mode) if breach.keyword in ("const", "enum")}
    parameters: dict[str, Any] = {"style": chance.choice(_styles()[mode])}
    body: dict[str, Any] = {"model": MODEL, "parameters": parameters}
    if "portrait.size.enum" in allowed and _either(chance):
        parameters["size"] = chance.choice(allowed["portrait.size.enum"])
    if _either(chance):
        parameters["n"] = _within(chance, limits["images_per_task"])
    if mode == "preset" or mode == "template":
        body["resources"] = [
            {"resource_id": resource_id(chance), "resource_type": allowed["portrait.resource-type.known"]}
            for _ in range(chance.randint(1, 2))
        ]
    if mode == "template" or mode == "train_free":
        body["input"] = {"template_url": image_url(chance, "template")}
        if _either(chance):
            parameters["skin_retouch"] = _either(chance)
    if mode == "train_free":
        body["input"]["user_urls"] = [image_url(chance) for _ in range(_within(chance, limits["user_photos"]))]
    return body


def invalid_submit_body(chance: Chance, rule: str | None = None, mode: Mode | None = None) -> InvalidBody:
    """A submission that breaks ``rule`` and no other. Raises ValueError for a rule that the mode cannot break."""
    rule = _one_of(chance, "rule", rule, breakable_rules(mode))
    mode = mode or chance.choice([each for each in MODES if rule in breakable_rules(each)])
    breach = chance.choice([each for each in breaches(mode) if each.rule == rule])
    whole: list[Any] = [submit_body(chance, mode)]
    parent: Any = whole
    place: list[Any] = [0]
    for step in breach.place:
        parent = parent[place[-1]]
        place.append(chance.randint(0, len(parent) - 1) if step == _EACH else step)
    if breach.keyword == "required":
        del parent[place[-1]]
    else:
        good = parent.get(place[-1]) if isinstance(parent, dict) else parent[place[-1]]
        parent[place[-1]] = _wrong(chance, breach, good)
    return InvalidBody(
        whole[0], rule, ".".join(map(str, place[1:])), catalogue.rules()[rule].error or "request_invalid"
    )


def breakable_rules(mode: Mode | None = None) -> tuple[str, ...]:
    """Every rule that a body of ``mode`` can break alone, or of any mode; for tests that try them all."""
    return tuple(dict.fromkeys(breach.rule for each in MODES if mode in (None, each) for breach in breaches(each)))


@cache
def breaches(mode: Mode) -> tuple[Breach, ...]:
    """All that a submission of ``mode`` can do wrong by itself, read from the schema's labelled assertions."""
    found = [*_asserted(_schema(), {"parameters": {"style": _styles()[mode][0]}}, ())]
    # The schema cannot tell the model of another route from one that does not exist; the server can.
    others = [model for model in catalogue.limits()["models"] if model != MODEL]
    found.append(Breach("model.route", ("model",), "one of", others))
    # A value of another type is none of the words either, so there no rule of the type can be broken alone.
    words = {each.place: each.rule for each in found if each.keyword in ("const", "enum")}
    return tuple(each for each in found if each.keyword != "type" or words.get(each.place, each.rule) == each.rule)


def api_key(chance: Chance, kind: KeyKind = "sk") -> str:
    """A key in the vendor's form: ``sk-``, newer ``sk-ws-`` of a workspace, or ``sk-sp-`` of a plan. It opens nothing."""
    return f"{_one_of(chance, 'kind', kind, get_args(KeyKind))}-{_bits(chance):032x}"


def resource_id(chance: Chance) -> str:
    """The ``finetuned_output`` of a finished training job, in its newer or its older form."""
    minute = re.sub(r"\D", "", vendor_time(_moment_ms(chance)))[:12]
    prefix = chance.choice(("facechain-finetune", "facechain-png"))
    return f"{prefix}-ft-{minute}-{chance.randint(0, 0xFFFF):04x}"


def image_url(chance: Chance, kind: ImageKind = "user_photo", **declared: int | str) -> str:
    """A picture that declares what it is, within the limits of its kind; ``declared`` goes over what is chosen.

    Raises ValueError for a property that is none of ``PROPERTIES``.
    """
    limits = catalogue.limits()["images"][_one_of(chance, "kind", kind, get_args(ImageKind))]
    for name in declared:
        _one_of(chance, "property", name, PROPERTIES)
    width, height = (
        int(declared.get(side, chance.randint(limits[f"min_{side}"], limits[f"max_{side}"])))
        for side in ("width", "height")
    )
    properties: dict[str, int | str] = {"width": width, "height": height}
    properties["bytes"] = chance.randint(min(width * height // 20, limits["max_bytes"]), limits["max_bytes"])
    properties["format"] = chance.choice(limits["formats"]).lower()
    if "faces" in limits:
        properties["faces"] = limits["faces"]
    if "min_face_px" in limits:
        properties["face_px"] = chance.randint(limits["min_face_px"], max(limits["min_face_px"], min(width, height)))
    if "max_angle_degrees" in limits:
        properties["angle"] = chance.randint(0, limits["max_angle_degrees"])
    name = f"{kind}-{chance.randint(0, 0xFFFFFF):06x}.jpg"
    return f"https://{ASSETS_HOST}{HOST_SUFFIX}/{name}?{urlencode(properties | declared)}"


def bad_image_url(chance: Chance, breaks: str | None = None, kind: ImageKind = "user_photo") -> BadImage:
    """A picture just outside the limit ``breaks`` and within all others."""
    limits = catalogue.limits()["images"][_one_of(chance, "kind", kind, get_args(ImageKind))]
    breaks = _one_of(chance, "breaks", breaks, [limit for limit in BAD_IMAGES if limit in limits])
    name, error = BAD_IMAGES[breaks]
    limit = limits[breaks]
    value: int | str
    if breaks == "formats":
        value = chance.choice([each for each in ("webp", "bmp", "gif", "heic") if each.upper() not in limit])
    elif breaks == "faces":
        value = chance.choice((limit + 1, limit - 1))
        error = error if value else "no_human_face"
    else:
        value = limit - 1 if breaks.startswith("min_") else limit + 1
    return BadImage(image_url(chance, kind, **{name: value}), breaks, error)


def task_id(chance: Chance) -> str:
    """A task id: a random UUID, version 4."""
    text = f"{_bits(chance):032x}"
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-{chance.choice('89ab')}{text[17:20]}-{text[20:]}"


def request_id(chance: Chance) -> str:
    """A request id: it looks like a UUID, with the vendor's 9 where the version stands."""
    text = task_id(chance)
    return f"{text[:14]}9{text[15:]}"


def plan(chance: Chance) -> dict[str, Any]:
    """A plan for a task, as JSON."""
    progression = chance.choice(PROGRESSIONS)
    plan: dict[str, Any] = {"progression": progression}
    if progression == "time":
        plan |= {"pending_ms": chance.randint(0, 60_000), "running_ms": chance.randint(0, 60_000)}
    elif progression == "polls":
        plan |= {"pending": chance.randint(0, 5), "running": chance.randint(0, 5)}
    elif progression == "hold":
        plan["in"] = chance.choice(("PENDING", "RUNNING"))
    return {**plan, "outcome": _outcome(chance, chance.choice(OUTCOMES))}


def task_history(chance: Chance, outcome: str | None = None) -> list[dict[str, Any]]:
    """What a client that polls one task is answered, from PENDING to ``outcome``; the mocked vendor answers.

    CANCELED is reached from PENDING, and UNKNOWN a day after the task SUCCEEDED.
    """
    outcome = _one_of(chance, "outcome", outcome, OUTCOMES)
    pending_ms, running_ms = chance.randint(1, 60_000), chance.randint(1, 60_000)
    planned = _outcome(chance, "FAILED" if outcome == "FAILED" else "SUCCEEDED")
    plan = {"progression": "time", "pending_ms": pending_ms, "running_ms": running_ms, "outcome": planned}
    headers = {"authorization": "Bearer sk-any", "x-dashscope-async": "enable", "x-mock-plan": json.dumps(plan)}
    clock = VendorClock(_moment_ms(chance), frozen=True)
    settings = Settings(seed=chance.randint(0, 999_999_999), limits="off")
    vendor = create_simulator(settings, clock=clock)

    def answer(operation: str, body: bytes = b"", **path: str) -> dict[str, Any]:
        request = Request("POST", "", headers=headers, body=body, origin="https://dashscope.aliyuncs.com")
        answer: dict[str, Any] = json.loads(vendor.answer(request, operation, **path).body)
        return answer

    task = answer("submit_portrait", json.dumps(submit_body(chance)).encode())["output"]["task_id"]
    last_ms = pending_ms if outcome == "CANCELED" else pending_ms + running_ms
    moments = [0, *sorted(chance.randint(0, last_ms - 1) for _ in range(chance.randint(0, 6))), last_ms]
    history = []
    for before_ms, at_ms in pairwise([0, *moments]):
        if at_ms == pending_ms and outcome == "CANCELED":
            answer("cancel_task", task_id=task)
        clock.advance(f"{at_ms - before_ms}ms")
        history.append(answer("query_task", task_id=task))
    if outcome == "UNKNOWN":
        clock.advance(f"{retention_ms()}ms")
        history.append(answer("query_task", task_id=task))
    return history


class FaceChainProvider(BaseProvider):
    """The makers of this module as Faker methods; the same seed gives the same values."""

    def facechain_submit_body(self, mode: Mode | None = None) -> dict[str, Any]:
        """A valid submission, of any mode when None."""
        return submit_body(self._chance, mode)

    def facechain_invalid_submit_body(self, rule: str | None = None, mode: Mode | None = None) -> InvalidBody:
        """A submission that breaks ``rule``, or any one rule, and no other; see ``breakable_rules``."""
        return invalid_submit_body(self._chance, rule, mode)

    def facechain_api_key(self, kind: KeyKind = "sk") -> str:
        """A key that the mocked vendor takes and the real one does not."""
        return api_key(self._chance, kind)

    def facechain_resource_id(self) -> str:
        """The name of a trained likeness."""
        return resource_id(self._chance)

    def facechain_image_url(self, kind: ImageKind = "user_photo", **declared: int | str) -> str:
        """A picture within the documented limits; ``width=300`` and the like declare what it is."""
        return image_url(self._chance, kind, **declared)

    def facechain_bad_image_url(self, breaks: str | None = None, kind: ImageKind = "user_photo") -> BadImage:
        """A picture just outside one documented limit, such as ``max_bytes``."""
        return bad_image_url(self._chance, breaks, kind)

    def facechain_task_id(self) -> str:
        """A task id, which no vendor knows."""
        return task_id(self._chance)

    def facechain_request_id(self) -> str:
        """A request id."""
        return request_id(self._chance)

    def facechain_task_history(self, outcome: str | None = None) -> list[dict[str, Any]]:
        """The answers to the queries of one task over time, the last one in the status ``outcome``."""
        return task_history(self._chance, outcome)

    def facechain_plan(self) -> dict[str, Any]:
        """A plan, as ``X-Mock-Plan`` and ``plan_from_json`` take it."""
        return plan(self._chance)

    @property
    def _chance(self) -> Chance:
        return self.generator.random


@cache
def _schema() -> dict[str, Any]:
    return catalogue.schema("portrait-request")


@cache
def _styles() -> Mapping[Mode, Sequence[str]]:
    *presets, template, train_free = _schema()["$defs"]["style"]["enum"]
    return {"preset": presets, "template": [template], "train_free": [train_free]}


def _asserted(part: Mapping[str, Any], skeleton: object, place: tuple[str, ...]) -> Iterator[Breach]:
    """The labelled assertions of ``part`` and below it that judge a submission like ``skeleton``."""
    labels = part.get("x-rule", {})
    for keyword, wanted in part.items():
        rule = labels if isinstance(labels, str) else labels.get(keyword)
        if rule is not None and keyword == "required":
            yield from (Breach(rule, (*place, name), keyword, wanted) for name in wanted)
        elif rule is not None and keyword in _ASSERTIONS:
            yield Breach(rule, place, keyword, wanted)
    below = [*part.get("allOf", ())]
    if "$ref" in part:
        below.append(_schema()["$defs"][part["$ref"].removeprefix("#/$defs/")])
    if "if" in part and Draft202012Validator({**part["if"], "$defs": _schema()["$defs"]}).is_valid(skeleton):
        below.append(part["then"])
    for each in below:
        yield from _asserted(each, skeleton, place)
    for name, each in part.get("properties", {}).items():
        yield from _asserted(each, skeleton, (*place, name))
    if "items" in part:
        yield from _asserted(part["items"], skeleton, (*place, _EACH))


def _wrong(chance: Chance, breach: Breach, good: Any) -> Any:
    """A value that fails the assertion in place of ``good``, and no other assertion."""
    wanted = breach.wanted
    match breach.keyword:
        case "type":
            is_type = Draft202012Validator.TYPE_CHECKER.is_type
            # No model at all is what null amounts to, and that is another rule's.
            others = _OF_EVERY_TYPE[1:] if breach.rule == "model.known" else _OF_EVERY_TYPE
            return deepcopy(chance.choice([value for value in others if not is_type(value, wanted)]))
        case "const" | "enum":
            words = [wanted] if isinstance(wanted, str) else wanted
            word = chance.choice(words)
            slips = (word[:-1], f"{word} ", word.upper(), word.replace("_", "-").replace("*", "x"))
            return chance.choice([slip for slip in slips if slip not in words])
        case "minimum":
            return wanted - chance.randint(1, 1_000)
        case "maximum":
            return wanted + chance.randint(1, 1_000)
        case "minLength" | "minItems":
            return good[: wanted - 1]
        case "maxItems":
            return (good * (wanted + 5))[: wanted + chance.randint(1, 5)]
        case "pattern":
            return chance.choice(_NOT_URLS)
        case "not":
            return good + chance.choice((" ", "人像", "é", "\n"))
        case _:
            return chance.choice(wanted)


def _outcome(chance: Chance, status: str) -> dict[str, Any]:
    """How a task ends. One that SUCCEEDED has a first picture, so that it succeeds whatever its ``n`` is."""
    outcome: dict[str, Any] = {"status": status}
    if status == "FAILED" and (error := chance.choice((None, *_failures()))):
        outcome["error"] = error
    if status == "SUCCEEDED" and _either(chance):
        more = chance.randint(0, catalogue.limits()["models"][MODEL]["images_per_task"]["maximum"] - 1)
        outcome["images"] = ["ok", *(chance.choice(("ok", {"error": "output_inspection"})) for _ in range(more))]
    return outcome


@cache
def _failures() -> tuple[str, ...]:
    """Why a task fails, as the scenarios tell it, or because of its pictures."""
    plans = [row.plan or {} for row in catalogue.scenarios().values()]
    told = [plan.get("outcome", {}).get("error") for plan in plans]
    return tuple(dict.fromkeys([*filter(None, told), *(error for _, error in BAD_IMAGES.values())]))


def _one_of(chance: Chance, name: str, given: T | None, known: Sequence[T]) -> T:
    """``given``, or any when it is None. Raises ValueError that says what is known."""
    if given is None:
        return chance.choice(known)
    if given not in known:
        raise ValueError(f"{name} is {given!r}; it is one of {', '.join(map(str, known))}")
    return given


def _within(chance: Chance, limits: Mapping[str, int]) -> int:
    return chance.randint(limits["minimum"], limits["maximum"])


def _either(chance: Chance) -> bool:
    return chance.choice((False, True))


def _bits(chance: Chance) -> int:
    return chance.randint(0, 2**128 - 1)


def _moment_ms(chance: Chance) -> int:
    return _YEAR_BEGINS_MS + chance.randint(0, _DAYS_MS)
