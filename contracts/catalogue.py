"""The contract's JSON files as Python values, read on first use; nothing here judges a message."""

import difflib
import json
from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import islice
from types import MappingProxyType
from typing import Any

MOST_NAMED = 40
MOST_COMPARED = 1_000
REQUESTS = ("portrait-request", "detection-request", "job-request")
"""The messages that a client sends as JSON."""

MESSAGES = (
    *REQUESTS,
    "submit-answer",
    "task",
    "task-list",
    "cancel-answer",
    "detection",
    "job",
    "job-list",
    "job-changed",
    "job-logs",
    "file-upload",
    "file",
    "file-list",
    "upload-policy",
    "error",
    "purpose-error",
)


@dataclass(frozen=True)
class ErrorRow:
    """One refusal of the vendor's, under a reason of our own.

    ``message`` may hold placeholders for ``str.format``; ``status`` is None where none is published;
    ``anchor`` is the part of the vendor's error page that newer messages link to, where it was seen.
    A row with ``param``, the name of a wrong field, is answered in the shape of ``purpose-error``.
    """

    reason: str
    status: int | None
    code: str
    message: str
    retry: bool
    evidence: str
    source: str
    when: str
    anchor: str | None = None
    param: str | None = None


@dataclass(frozen=True)
class PictureProblem:
    """A limit that a picture can break: ``error`` is why its task fails, ``reason`` what a detection says of it.

    ``evidence`` and ``source`` are those of ``reason``.
    """

    id: str
    error: str
    reason: str
    evidence: str
    source: str


@dataclass(frozen=True)
class Rule:
    """One thing that is enforced; ``error`` is a reason, or None where nothing is refused."""

    id: str
    sentence: str
    where: str
    error: str | None
    evidence: str
    source: str


@dataclass(frozen=True)
class BehaviourOption:
    """One reading of an open point; ``patch`` changes the portrait-request schema accordingly."""

    sentence: str
    patch: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True)
class Behaviour:
    """A point where the vendor's pages disagree or are silent, and its readings."""

    id: str
    question: str
    default: str
    options: Mapping[str, BehaviourOption]
    evidence: str
    source: str


@dataclass(frozen=True)
class Scenario:
    """A named course of events. Whatever may be None and ``faults`` are as ``scenarios.json`` writes them.

    ``plan`` is how a portrait task goes, ``training`` how a fine-tune job does; ``pictures`` holds properties that
    every picture is taken to have, ``quota`` the files and bytes that an account may keep. ``refuse`` is the reason
    for which the account is refused; ``story`` says what the scenario is for.
    """

    name: str
    does: str
    story: str
    evidence: str
    source: str
    plan: Mapping[str, Any] | None = None
    faults: tuple[Mapping[str, Any], ...] = ()
    refuse: str | None = None
    training: Mapping[str, Any] | None = None
    pictures: Mapping[str, Any] | None = None
    quota: Mapping[str, int] | None = None


@dataclass(frozen=True)
class Profile:
    """How a whole server behaves when nobody asks for anything special."""

    name: str
    does: str
    plan: Mapping[str, Any]
    training: Mapping[str, Any]
    faults: tuple[Mapping[str, Any], ...]
    evidence: str
    source: str


@dataclass(frozen=True)
class Advice:
    """A thing that a client had better not do; ``level`` is must, should or may."""

    id: str
    level: str
    sentence: str
    advice: str
    evidence: str
    source: str


@cache
def errors() -> Mapping[str, ErrorRow]:
    """Every error, by reason."""
    return MappingProxyType({reason: ErrorRow(reason, **row) for reason, row in _read("errors.json").items()})


@cache
def picture_problems() -> Mapping[str, PictureProblem]:
    """What can be wrong with a picture, by id, in the order in which it is looked for."""
    return MappingProxyType({id_: PictureProblem(id_, **row) for id_, row in _read("pictures.json").items()})


@cache
def rules() -> Mapping[str, Rule]:
    """Every rule, by id, in order of precedence."""
    return MappingProxyType({id_: Rule(id_, **row) for id_, row in _read("rules.json").items()})


@cache
def behaviours() -> Mapping[str, Behaviour]:
    """Every behaviour, by id."""
    rows: dict[str, dict[str, Any]] = _read("behaviours.json")
    return MappingProxyType(
        {
            id_: Behaviour(id_, **{**row, "options": MappingProxyType(_options(row["options"]))})
            for id_, row in rows.items()
        }
    )


@cache
def scenarios() -> Mapping[str, Scenario]:
    """Every scenario, by name."""
    rows: dict[str, dict[str, Any]] = _read("scenarios.json")["scenarios"]
    return MappingProxyType(
        {
            name: Scenario(
                name,
                story=row["for"],
                faults=tuple(row.get("faults", ())),
                **{key: value for key, value in row.items() if key not in ("for", "faults")},
            )
            for name, row in rows.items()
        }
    )


def scenario(name: str) -> Scenario:
    """One scenario. Raises ``ValueError`` that names the nearest one when there is none of that name."""
    if name not in scenarios():
        raise ValueError(_unknown("scenario", name, scenarios()))
    return scenarios()[name]


@cache
def profiles() -> Mapping[str, Profile]:
    """Every profile, by name."""
    rows: dict[str, dict[str, Any]] = _read("scenarios.json")["profiles"]
    return MappingProxyType(
        {name: Profile(name, **{**row, "faults": tuple(row["faults"])}) for name, row in rows.items()}
    )


@cache
def advice() -> Mapping[str, Advice]:
    """Everything a client may be advised, by id, the gravest first."""
    return MappingProxyType({id_: Advice(id_, **row) for id_, row in _read("advice.json").items()})


@cache
def limits() -> dict[str, Any]:
    """Rates, counts, sizes and prices; shared, so copy before changing."""
    limits: dict[str, Any] = _read("limits.json")
    return limits


def schema(name: str, behaviours: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The JSON Schema of one of ``MESSAGES``, as the chosen behaviours read it; the caller's to change."""
    if name not in MESSAGES:
        raise ValueError(_unknown("message", name, MESSAGES))
    document: dict[str, Any] = _read(f"schemas/{name}.schema.json")
    return _amended(document, chosen(behaviours or {})) if name == "portrait-request" else document


def openapi(behaviours: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The OpenAPI document with every schema inside it, so that it can be served from one URL."""
    document: dict[str, Any] = _read("openapi.json")
    names = {f"schemas/{message}.schema.json": _component(message) for message in MESSAGES}
    document = _with_refs(document, {file: f"#/components/schemas/{name}" for file, name in names.items()})
    inlined = document.setdefault("components", {}).setdefault("schemas", {})
    for message in MESSAGES:
        name = _component(message)
        body = schema(message, behaviours)
        del body["$id"], body["$schema"]
        inlined[name] = _with_refs(body, {"#": f"#/components/schemas/{name}"})
    return document


def admin_openapi() -> dict[str, Any]:
    """The OpenAPI document of the mock's own admin API; it needs no other file."""
    document: dict[str, Any] = _read("admin.openapi.json")
    return document


def examples(message: str) -> dict[str, dict[str, Any]]:
    """``{"good": {name: body}, "bad": {name: {"body", "place", ...}}}`` for one of ``MESSAGES``."""
    if message not in MESSAGES:
        raise ValueError(_unknown("message", message, MESSAGES))
    folder = files("contracts").joinpath("examples", message)
    return {
        verdict: {
            file.name.removesuffix(".json"): json.loads(file.read_text(encoding="utf-8"))
            for file in sorted(folder.joinpath(verdict).iterdir(), key=lambda file: file.name)
        }
        for verdict in ("good", "bad")
    }


def chosen(choices: Mapping[str, str]) -> dict[str, str]:
    """A choice for every behaviour: ``choices`` over the defaults.

    Raises ``ValueError`` for an id or a choice that does not exist, and names the nearest one that does.
    """
    known = behaviours()
    for id_, choice in choices.items():
        if id_ not in known:
            raise ValueError(_unknown("behaviour", id_, known))
        if choice not in known[id_].options:
            raise ValueError(_unknown(f"choice for {id_}", choice, known[id_].options))
    return {id_: choices.get(id_, behaviour.default) for id_, behaviour in known.items()}


def nearest(word: str, words: Iterable[str]) -> str | None:
    """The one of ``words`` that ``word`` was probably meant to be."""
    return next(iter(difflib.get_close_matches(word[:80], islice(words, MOST_COMPARED), n=1)), None)


def hint(word: object, words: Iterable[str]) -> str:
    """What to say about a word nobody knows: the nearest known one, else all of them, else how many there are."""
    known = list(words)
    near = nearest(str(word), known)
    if near is not None:
        return f"nearest is {near!r}"
    return (
        "known are " + ", ".join(known) if len(known) <= MOST_NAMED else f"none of the {len(known)} known ones is near"
    )


def _unknown(kind: str, word: str, words: Iterable[str]) -> str:
    return f"unknown {kind} {word!r}; {hint(word, words)}"


def _read(name: str) -> Any:
    return json.loads(files("contracts").joinpath(*name.split("/")).read_text(encoding="utf-8"))


def _options(rows: Mapping[str, Mapping[str, Any]]) -> dict[str, BehaviourOption]:
    return {choice: BehaviourOption(row["sentence"], tuple(row.get("patch", ()))) for choice, row in rows.items()}


def _amended(document: dict[str, Any], choices: Mapping[str, str]) -> dict[str, Any]:
    for id_, choice in choices.items():
        for step in behaviours()[id_].options[choice].patch:
            *parents, last = step["path"].removeprefix("/").split("/")
            target: Any = document
            for key in parents:
                target = target[int(key) if isinstance(target, list) else key]
            if step["op"] != "add" and last not in target:
                raise ValueError(f"{id_}={choice}: nothing to {step['op']} at {step['path']}")
            if step["op"] == "remove":
                del target[last]
            else:
                target[last] = deepcopy(step["value"])
    return document


def _component(message: str) -> str:
    return message.title().replace("-", "")


def _with_refs(value: Any, renamed: Mapping[str, str]) -> Any:
    """``value`` with the part of each ``$ref`` before ``/$defs`` replaced as ``renamed`` says."""
    if isinstance(value, list):
        return [_with_refs(item, renamed) for item in value]
    if not isinstance(value, dict):
        return value
    result = {key: _with_refs(item, renamed) for key, item in value.items()}
    if isinstance(ref := value.get("$ref"), str):
        document, defs, rest = ref.partition("/$defs/")
        result["$ref"] = renamed.get(document, document) + defs + rest
    return result
