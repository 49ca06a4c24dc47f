"""Test data for clients of FaceChain, as a Faker provider: bodies, keys, ids, pictures, task histories, plans.

What is allowed is read from the contract, under its default behaviours.

    fake = Faker()
    fake.add_provider(FaceChainProvider)
    fake.seed_instance(7)
    fake.facechain_submit_body("train_free")

With factory_boy, declare ``factory.LazyFunction(fake.facechain_submit_body)``; or say
``factory.Faker.add_provider(FaceChainProvider)`` once, and ``factory.Faker("facechain_submit_body", mode="preset")``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, fields
from functools import cache
from io import BytesIO
from itertools import pairwise
from random import Random
from typing import Any, Literal, TypeVar, get_args
from urllib.parse import urlencode

from faker.providers import BaseProvider
from jsonschema import Draft202012Validator

from contracts import catalogue
from contracts.catalogue import picture_problems
from mock_server.app import create_simulator
from mock_server.clock import VendorClock
from mock_server.core.lifecycle import retention_ms
from mock_server.core.model import DETECTION_MODEL, MODEL, TRAINING_MODEL, Request, TaskStatus
from mock_server.core.pictures import HOST, Kind, Picture
from mock_server.core.plans import PROGRESSIONS
from mock_server.core.portraits import SAMPLE_RESOURCES
from mock_server.core.submission import MESSAGES
from mock_server.core.tasks import vendor_time
from mock_server.settings import Settings

Mode = Literal["preset", "template", "train_free"]
KeyKind = Literal["sk", "sk-ws", "sk-sp"]
ImageKind = Kind
MODES: tuple[Mode, ...] = get_args(Mode)
OUTCOMES = tuple(status.value for status in TaskStatus if status not in (TaskStatus.PENDING, TaskStatus.RUNNING))
FILE_FORMATS = ("jpeg", "png", "webp", "bmp", "gif", "tiff")
"""The formats that a photo can be made in."""

_PROPERTIES = tuple(each.name for each in fields(Picture))
_OF_A_FILE = ("format", "width", "height", "bytes")
_OTHER_FORMATS = ("webp", "bmp", "gif", "heic")
_MOST_DETECTED = 5
"""So many photos one made-up detection looks at; no most is documented."""

_FAILURES = (None, "algo_error", "invalid_url", *dict.fromkeys(each.error for each in picture_problems().values()))
_MOMENTS_MS = (1_767_196_800_000, 1_790_524_800_000)  # January to September 2026, before the model's announced end
_EACH = "*"
_OF_EVERY_TYPE: tuple[Any, ...] = (None, True, 7, 2.5, "7", [], {})
_NOT_URLS = (
    "",
    "me.jpg",
    "/me.jpg",
    "file:///photos/me.jpg",
    "ftp://host/me.jpg",
    "data:image/png;base64,iVBORw0KGgo=",
)
_ASSERTIONS = {
    "required", "type", "const", "enum", "minimum", "maximum", "minLength", "minItems", "maxItems", "pattern", "not",
}  # fmt: skip
T = TypeVar("T")


@dataclass(frozen=True)
class InvalidBody:
    """A request that breaks one rule, at ``place`` as a ``Violation`` has it; ``error`` is the vendor's reason."""

    body: Any
    rule: str
    place: str
    error: str


@dataclass(frozen=True)
class BadImage:
    """A picture just outside one limit: ``breaks`` names it as ``contracts/pictures.json`` does.

    ``error`` is the reason for which a task with it fails, ``reason`` what a detection says of it.
    """

    url: str
    breaks: str
    error: str
    reason: str


@dataclass(frozen=True)
class Breach:
    """One assertion of a request's schema, to be broken at ``place``; ``*`` stands for any item of a list."""

    rule: str
    place: tuple[str, ...]
    keyword: str
    wanted: Any


class FaceChainProvider(BaseProvider):
    """Makes test data by Faker's chance. Of several choices the plainest comes first: there Hypothesis shrinks to."""

    def facechain_submit_body(self, mode: Mode | None = None) -> dict[str, Any]:
        """A valid submission, of any mode when None. What the mode leaves to the client is there or not."""
        style = self._chance.choice(_styles()[self._known("mode", mode, MODES)])
        limits = catalogue.limits()["models"][MODEL]
        parameters: dict[str, Any] = {"style": style}
        body: dict[str, Any] = {"model": MODEL, "parameters": parameters}
        if self._either():
            parameters["n"] = self._within(limits["images_per_task"])
        if style in _styles()["preset"] and self._either():
            parameters["size"] = self._chance.choice(_wanted("portrait.size.enum"))
        if style not in _styles()["train_free"]:
            lora = _wanted("portrait.resource-type.known")
            body["resources"] = [{"resource_id": self.facechain_resource_id(), "resource_type": lora}]
        if style not in _styles()["preset"]:
            body["input"] = {"template_url": self.facechain_image_url("template")}
        if style in _styles()["train_free"]:
            photos = range(self._within(limits["user_photos"]))
            body["input"]["user_urls"] = [self.facechain_image_url() for _ in photos]
            if self._either():
                parameters["skin_retouch"] = self._either()
        return body

    def facechain_invalid_submit_body(self, rule: str | None = None, mode: Mode | None = None) -> InvalidBody:
        """A submission that breaks ``rule``, or any, and no other. ValueError where ``mode`` cannot break it alone."""
        modes = MODES if mode is None else [self._known("mode", mode, MODES)]
        broken = self._known("rule", rule, breakable_rules(mode))
        ways = [(each, breach) for each in modes for breach in breaches(each) if breach.rule == broken]
        suited, breach = self._chance.choice(ways)
        return self._broken(self.facechain_submit_body(suited), breach)

    def facechain_detection_body(self) -> dict[str, Any]:
        """A valid detection of one to five photos."""
        photos = [self.facechain_image_url("detection") for _ in range(self._chance.randint(1, _MOST_DETECTED))]
        body: dict[str, Any] = {"model": DETECTION_MODEL, "input": {"images": photos}}
        return {**body, "parameters": {}} if self._either() else body

    def facechain_invalid_detection_body(self, rule: str | None = None) -> InvalidBody:
        """A detection that breaks ``rule``, or any, and no other."""
        return self._broken(self.facechain_detection_body(), self._breach(rule, DETECTION_MODEL))

    def facechain_job_body(self) -> dict[str, Any]:
        """A valid training, of photos by their URLs."""
        photos = range(self._within(catalogue.limits()["models"][TRAINING_MODEL]["training_files"]))
        body = {"model": TRAINING_MODEL, "training_file_ids": [self.facechain_image_url("detection") for _ in photos]}
        more: dict[str, Any] = {"hyper_parameters": {}, "validation_file_ids": self._chance.choice(([], None))}
        return {**body, **{name: value for name, value in more.items() if self._either()}}

    def facechain_invalid_job_body(self, rule: str | None = None) -> InvalidBody:
        """A training that breaks ``rule``, or any, and no other."""
        body, breach = self.facechain_job_body(), self._breach(rule, TRAINING_MODEL)
        if breach.place == ("validation_file_ids", _EACH):
            body["validation_file_ids"] = [self.facechain_file_id()]
        return self._broken(body, breach)

    def facechain_api_key(self, kind: KeyKind | None = "sk") -> str:
        """A key in the vendor's form: plain, of a workspace (``sk-ws``) or of a plan (``sk-sp``); None for any."""
        return f"{self._known('kind', kind, get_args(KeyKind))}-{self._chance.randint(0, 2**128 - 1):032x}"

    def facechain_resource_id(self) -> str:
        """A likeness of the vendor's samples, which every account of the mock may use without training."""
        return self._chance.choice(_likenesses())

    def facechain_image_url(self, kind: ImageKind = "user_photo", **declared: int | str) -> str:
        """A picture that declares itself within the limits of its kind; ``width=9`` and the like declare otherwise."""
        limits = catalogue.limits()["images"][self._known("kind", kind, get_args(ImageKind))]
        for name in declared:
            self._known("property", name, _PROPERTIES)
        chosen = {side: self._within(limits, f"min_{side}", f"max_{side}") for side in ("width", "height")}
        width, height = (int({**chosen, **declared}[side]) for side in chosen)
        chosen["bytes"] = self._chance.randint(min(width * height // 20, limits["max_bytes"]), limits["max_bytes"])
        chosen["format"] = self._chance.choice(limits["formats"]).lower()
        chosen["faces"] = limits.get("faces", 1)
        if "min_face_px" in limits:
            least = limits["min_face_px"]
            chosen["face_px"] = self._chance.randint(least, max(least, min(width, height)))
        if "max_angle_degrees" in limits:
            chosen["angle"] = self._chance.randint(0, limits["max_angle_degrees"])
        name = f"{kind}-{self._chance.randint(0, 0xFFFFFF):06x}.jpg"
        return f"https://{HOST}/{name}?{urlencode({**chosen, **declared})}"

    def facechain_bad_image_url(self, breaks: str | None = None, kind: ImageKind = "user_photo") -> BadImage:
        """A picture just outside the limit ``breaks``, or any one, and within all others."""
        ways = ways_to_be_bad(self._known("kind", kind, get_args(ImageKind)))
        broken = self._known("breaks", breaks, tuple(ways))
        problem = picture_problems()[broken]
        url = self.facechain_image_url(kind, **self._chance.choice(ways[broken]))
        return BadImage(url, broken, problem.error, problem.reason)

    def facechain_photo(self, **properties: int | str) -> bytes:
        """A picture file to upload, of any of ``FILE_FORMATS`` and small; ``width=4096`` and the like choose otherwise.

        A header says format, width, height and bytes. What else is to be seen, say with ``add_asset``.
        ValueError for another property, and for fewer ``bytes`` than such a picture needs.
        """
        for name in properties:
            self._known("property", name, _OF_A_FILE)
        chosen = {"width": self._chance.randint(256, 384), "height": self._chance.randint(256, 384), **properties}
        colour, skin = (tuple(self._chance.randint(0, 255) for _ in range(3)) for _ in range(2))
        format_ = self._known("format", properties.get("format"), FILE_FORMATS)
        data = _drawn(str(format_), int(chosen["width"]), int(chosen["height"]), colour, skin)
        missing = int(properties.get("bytes", len(data))) - len(data)
        if missing < 0:
            raise ValueError(f"bytes is {properties['bytes']}; such a picture takes {len(data)}")
        return data + bytes(missing)

    def facechain_job_id(self) -> str:
        """The id of a training, which no vendor knows."""
        minute = re.sub(r"\D", "", vendor_time(self._chance.randint(*_MOMENTS_MS)))[:12]
        return f"ft-{minute}-{self._chance.randint(0, 0xFFFF):04x}"

    def facechain_file_id(self) -> str:
        """The id of a file, which no vendor knows."""
        return self.facechain_task_id()

    def facechain_task_id(self) -> str:
        """A task id, which no vendor knows: a UUID, version 4."""
        text = f"{self._chance.randint(0, 2**128 - 1):032x}"
        return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-{self._chance.choice('89ab')}{text[17:20]}-{text[20:]}"

    def facechain_request_id(self) -> str:
        """A request id: like a UUID, with the vendor's 9 where the version stands."""
        text = self.facechain_task_id()
        return f"{text[:14]}9{text[15:]}"

    def facechain_plan(self) -> dict[str, Any]:
        """A plan for a task, as ``X-Mock-Plan`` and ``plan_from_json`` take it."""
        progression = self._chance.choice(PROGRESSIONS)
        most = {"time": {"pending_ms": 60_000, "running_ms": 60_000}, "polls": {"pending": 5, "running": 5}}
        lengths = {name: self._chance.randint(0, length) for name, length in most.get(progression, {}).items()}
        held = {"in": self._chance.choice(("PENDING", "RUNNING"))} if progression == "hold" else {}
        outcome = self._outcome(self._chance.choice(OUTCOMES))
        return {"progression": progression, **lengths, **held, "outcome": outcome}

    def facechain_task_history(self, outcome: str | None = None) -> list[dict[str, Any]]:
        """What a client that polls one task is answered, from PENDING to ``outcome``; the mocked vendor answers.

        CANCELED is reached from PENDING, and UNKNOWN a day after the task SUCCEEDED.
        """
        last = self._known("outcome", outcome, OUTCOMES)
        pending_ms, running_ms = self._chance.randint(1, 60_000), self._chance.randint(1, 60_000)
        planned = self._outcome("FAILED" if last == "FAILED" else "SUCCEEDED")
        plan = {"progression": "time", "pending_ms": pending_ms, "running_ms": running_ms, "outcome": planned}
        headers = {"authorization": "Bearer sk-any", "x-dashscope-async": "enable", "x-mock-plan": json.dumps(plan)}
        clock = VendorClock(self._chance.randint(*_MOMENTS_MS), frozen=True)
        vendor = create_simulator(Settings(seed=self._chance.randint(0, 999_999_999), limits="off"), clock=clock)

        def answer(operation: str, body: bytes = b"", **path: str) -> dict[str, Any]:
            request = Request("", "", headers=headers, body=body, origin="https://dashscope.aliyuncs.com")
            content: dict[str, Any] = json.loads(vendor.answer(request, operation, **path).body)
            return content

        task_id = answer("submit_portrait", json.dumps(self.facechain_submit_body()).encode())["output"]["task_id"]
        ends_ms = pending_ms if last == "CANCELED" else pending_ms + running_ms
        between_ms = sorted(self._chance.randint(0, ends_ms - 1) for _ in range(self._chance.randint(0, 6)))
        forgotten_ms = [ends_ms + retention_ms()] if last == "UNKNOWN" else []
        history = [answer("query_task", task_id=task_id)]
        for before_ms, at_ms in pairwise([0, *between_ms, ends_ms, *forgotten_ms]):
            if last == "CANCELED" and at_ms == ends_ms:
                answer("cancel_task", task_id=task_id)
            clock.advance(f"{at_ms - before_ms}ms")
            history.append(answer("query_task", task_id=task_id))
        return history

    @property
    def _chance(self) -> Random:
        random: Random = self.generator.random
        return random

    def _known(self, name: str, given: T | None, known: Sequence[T]) -> T:
        """``given``, or any when it is None. Raises ValueError that says what is known."""
        if given is None:
            return self._chance.choice(known)
        if given not in known:
            raise ValueError(f"{name} is {given!r}; it is one of {', '.join(map(str, known))}")
        return given

    def _breach(self, rule: str | None, model: str) -> Breach:
        """A way to break ``rule``, or any, in what is submitted to ``model``."""
        broken = self._known("rule", rule, breakable_rules(model=model))
        return self._chance.choice([breach for breach in breaches(model=model) if breach.rule == broken])

    def _broken(self, body: dict[str, Any], breach: Breach) -> InvalidBody:
        """The body, which is good, with one thing wrong."""
        whole: list[Any] = [body]
        parent: Any = whole
        place: list[Any] = [0]
        for step in breach.place:
            parent = parent[place[-1]]
            place.append(self._chance.randint(0, len(parent) - 1) if step == _EACH else step)
        if breach.keyword == "required":
            del parent[place[-1]]
        else:
            good = parent.get(place[-1]) if isinstance(parent, dict) else parent[place[-1]]
            parent[place[-1]] = _wrong(self._chance, breach, good)
        error = catalogue.rules()[breach.rule].error or "request_invalid"
        return InvalidBody(whole[0], breach.rule, ".".join(map(str, place[1:])), error)

    def _either(self) -> bool:
        return self._chance.choice((False, True))

    def _within(self, limits: Mapping[str, int], least: str = "minimum", most: str = "maximum") -> int:
        return self._chance.randint(limits[least], limits[most])

    def _outcome(self, status: str) -> dict[str, Any]:
        """How a task ends. One that SUCCEEDED has a first picture, so that it succeeds whatever its ``n`` is."""
        outcome: dict[str, Any] = {"status": status}
        if status == "FAILED" and (error := self._chance.choice(_FAILURES)):
            outcome["error"] = error
        if status == "SUCCEEDED" and self._either():
            more = range(self._within(catalogue.limits()["models"][MODEL]["images_per_task"]) - 1)
            outcome["images"] = ["ok", *(self._chance.choice(("ok", {"error": "output_inspection"})) for _ in more)]
        return outcome


def breakable_rules(mode: Mode | None = None, *, model: str = MODEL) -> tuple[str, ...]:
    """Every rule that a body for ``model``, of ``mode`` or of any, can break alone; for a test that tries them all."""
    modes = [each for each in MODES if mode in (None, each)] if model == MODEL else [None]
    return tuple(dict.fromkeys(breach.rule for each in modes for breach in breaches(each, model=model)))


@cache
def breaches(mode: Mode | None = None, *, model: str = MODEL) -> tuple[Breach, ...]:
    """All that a body for ``model`` can do wrong, one thing at a time, read from the schema's labelled assertions.

    A portrait's body is of ``mode``.
    """
    schema = _schema(MESSAGES[model])
    like = {} if mode is None else {"parameters": {"style": _styles()[mode][0]}}
    found = [*_asserted(schema, schema.get("$defs", {}), like, ())]
    # The schema cannot tell the model of another route from one that does not exist; the server can.
    elsewhere = [each for each in catalogue.limits()["models"] if each != model]
    found.append(Breach("model.route", ("model",), "", elsewhere))
    # A value of another type is none of the words either, so the type's own rule cannot be broken alone there.
    words = {each.place: each.rule for each in found if each.keyword in ("const", "enum")}
    return tuple(each for each in found if each.keyword != "type" or words.get(each.place, each.rule) == each.rule)


def ways_to_be_bad(kind: ImageKind) -> dict[str, list[dict[str, int | str]]]:
    """For each problem that a picture of this kind can have, the declarations that give it that problem alone."""
    limits = catalogue.limits()["images"][kind]
    outside: dict[str, list[dict[str, int | str]]] = {
        "format": [{"format": each} for each in _OTHER_FORMATS if each.upper() not in limits["formats"]],
        "bytes": [{"bytes": limits["max_bytes"] + 1}],
        "resolution": [
            {side: length}
            for side in ("width", "height")
            for length in (limits[f"min_{side}"] - 1, limits[f"max_{side}"] + 1)
        ],
        "face": [{"faces": 0}],
        "faces": [{"faces": limits.get("faces", 1) + 1}],
        "face-size": [{"face_px": limits["min_face_px"] - 1}] if "min_face_px" in limits else [],
        "angle": [{"angle": limits["max_angle_degrees"] + 1}] if "max_angle_degrees" in limits else [],
    }
    return {problem: outside[problem] for problem in picture_problems() if outside[problem]}


def _drawn(format_: str, width: int, height: int, colour: tuple[int, ...], skin: tuple[int, ...]) -> bytes:
    """A picture file: a head on a plain ground."""
    from PIL import Image, ImageDraw

    picture = Image.new("RGB", (width, height), colour)
    head = (width / 4, height / 4, width * 3 / 4, height * 3 / 4)
    ImageDraw.Draw(picture).ellipse(head, fill=skin)
    file = BytesIO()
    picture.save(file, format_)
    return file.getvalue()


def _asserted(
    part: Mapping[str, Any], definitions: Mapping[str, Any], body: object, place: tuple[str, ...]
) -> Iterator[Breach]:
    """The labelled assertions, in ``part`` and below it, that judge a request like ``body``."""
    labels = part.get("x-rule", {})
    for keyword in [each for each in part if each in _ASSERTIONS]:
        rule = labels if isinstance(labels, str) else labels.get(keyword)
        wrong = [(*place, name) for name in part[keyword]] if keyword == "required" else [place]
        yield from (Breach(rule, there, keyword, part[keyword]) for there in wrong if rule)
    below = [(each, place) for each in part.get("allOf", ())]
    if "$ref" in part:
        below.append((definitions[part["$ref"].removeprefix("#/$defs/")], place))
    if "if" in part and Draft202012Validator({**part["if"], "$defs": definitions}).is_valid(body):
        below.append((part["then"], place))
    below += [(each, (*place, name)) for name, each in part.get("properties", {}).items()]
    if "items" in part:
        below.append((part["items"], (*place, _EACH)))
    for each, there in below:
        yield from _asserted(each, definitions, body, there)


def _wrong(chance: Random, breach: Breach, good: Any) -> Any:
    """A value for the place of ``good`` that fails this assertion and no other."""
    wanted = breach.wanted
    match breach.keyword:
        case "type":
            # A model that is null is none at all, which another rule forbids.
            values = _OF_EVERY_TYPE[1:] if breach.rule == "model.known" else _OF_EVERY_TYPE
            types = [wanted] if isinstance(wanted, str) else wanted
            is_type = Draft202012Validator.TYPE_CHECKER.is_type
            return deepcopy(
                chance.choice([value for value in values if not any(is_type(value, each) for each in types)])
            )
        case "const" | "enum":
            words = [wanted] if isinstance(wanted, str) else wanted
            word = chance.choice(words)
            slips = (word[:-1], f"{word} ", word.upper(), word.replace("_", "-").replace("*", "x"))
            return chance.choice([slip for slip in slips if slip not in words])
        case "minimum":
            return wanted - chance.choice((1, chance.randint(2, 1_000)))
        case "maximum":
            return wanted + chance.choice((1, chance.randint(2, 1_000)))
        case "minLength" | "minItems":
            return good[: wanted - 1]
        case "maxItems":
            return (good * (wanted + 5))[: wanted + chance.randint(1, 5)]
        case "pattern":
            return chance.choice([text for text in _NOT_URLS if not re.search(wanted, text)])
        case "not":
            return good + chance.choice((" ", "人像", "é", "\n"))
    return chance.choice(wanted)


def _wanted(rule: str) -> Any:
    """The word, or the words, of which the schema takes no other."""
    found = (each for mode in MODES for each in breaches(mode) if each.rule == rule)
    return next(each.wanted for each in found if each.keyword in ("const", "enum"))


@cache
def _likenesses() -> Sequence[str]:
    return sorted(SAMPLE_RESOURCES, key=lambda name: (len(name), name))


@cache
def _schema(message: str) -> dict[str, Any]:
    return catalogue.schema(message)


@cache
def _styles() -> Mapping[Mode, Sequence[str]]:
    *presets, template, train_free = _schema(MESSAGES[MODEL])["$defs"]["style"]["enum"]
    return {"preset": presets, "template": [template], "train_free": [train_free]}
