"""Judges messages against the schemas; the validators are loaded when first needed."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from itertools import islice
from typing import TYPE_CHECKING, Any, Protocol

from contracts.catalogue import REQUESTS, chosen, hint, nearest, rules, schema

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator, ValidationError

MOST_VIOLATIONS = 100
"""So many are explained at most, so that a huge body costs no more than a bad one."""

DEEPEST = 8
"""Deeper than any schema looks; what lies below is dropped before a body is explained."""

_ARTICLES = {"array": "an array", "integer": "an integer", "object": "an object", "null": "null"}


@dataclass(frozen=True)
class Violation:
    """One rule that a body breaks, and where.

    ``place`` is dotted, with list indexes as numbers: ``resources.0.resource_id``; "" is the body itself.
    ``details`` fills the placeholders of the rule's error message.
    """

    rule: str
    place: str
    problem: str
    evidence: str
    details: Mapping[str, object] = field(default_factory=dict, compare=False)

    def __str__(self) -> str:
        where = f" at {self.place}" if self.place else ""
        return f"{self.rule}{where}: {self.problem} ({self.evidence})"


class RequestContract:
    """One of ``catalogue.REQUESTS`` as the chosen behaviours read it; cheap to make again."""

    def __init__(self, behaviours: Mapping[str, str] | None = None, *, message: str = "portrait-request") -> None:
        """Raises ``ValueError`` for a behaviour, a choice or a message that does not exist."""
        if message not in REQUESTS:
            raise ValueError(f"unknown request {message!r}; {hint(message, REQUESTS)}")
        self._request = (message, tuple(chosen(behaviours or {}).items()))

    def is_valid(self, body: object) -> bool:
        """Whether ``body`` keeps every rule; by the fast validator where it is installed."""
        fast = _fast_validator(*self._request)
        if fast is not None:
            try:
                return fast.is_valid(body)
            except ValueError:
                pass  # it cannot take lone surrogates, NaN or deep nesting; the reference can
        return _reference_validator(*self._request).is_valid(_without_depths(body))

    def violations(self, body: object) -> list[Violation]:
        """What is wrong with ``body``, in the order the vendor would complain; by the reference validator."""
        errors = _reference_validator(*self._request).iter_errors(_without_depths(body))
        found: dict[tuple[str, tuple[str | int, ...]], Violation] = {}
        for error in islice(errors, MOST_VIOLATIONS):
            rule, place = _rule(error), _place(error)
            found.setdefault((rule, place), _violation(rule, place, error))
        return [found[key] for key in sorted(found, key=lambda key: (_precedence()[key[0]], key[1]))]


def answer_violations(schema_name: str, body: object) -> list[str]:
    """What is wrong with an answer, as ``place: problem``; empty when it keeps its schema."""
    errors = _answer_validator(schema_name).iter_errors(_without_depths(body))
    return [
        f"{'.'.join(map(str, error.absolute_path)) or 'body'}: "
        + ("must not be there" if error.validator == "not" else _short(error.message, 200))
        for error in islice(errors, MOST_VIOLATIONS)
    ]


class _FastValidator(Protocol):
    def is_valid(self, instance: Any, /) -> bool: ...


@cache
def _fast_validator(message: str, choices: tuple[tuple[str, str], ...]) -> _FastValidator | None:
    try:
        from jsonschema_rs import Draft202012Validator
    except ImportError:
        return None
    return Draft202012Validator(schema(message, dict(choices)))


@cache
def _reference_validator(message: str, choices: tuple[tuple[str, str], ...]) -> "Draft202012Validator":
    from jsonschema import Draft202012Validator

    return Draft202012Validator(schema(message, dict(choices)))


@cache
def _answer_validator(schema_name: str) -> "Draft202012Validator":
    from jsonschema import Draft202012Validator

    return Draft202012Validator(schema(schema_name))


@cache
def _precedence() -> Mapping[str, int]:
    return {rule: position for position, rule in enumerate(rules())}


def _rule(error: "ValidationError") -> str:
    assertion: Any = error.schema
    labels = assertion["x-rule"]
    return str(labels if isinstance(labels, str) else labels[error.validator])


def _place(error: "ValidationError") -> tuple[str | int, ...]:
    wanted: Any = error.validator_value
    return (*error.absolute_path, *(wanted[:1] if error.validator == "required" else ()))


def _violation(rule: str, place: tuple[str | int, ...], error: "ValidationError") -> Violation:
    dotted = ".".join(map(str, place))
    assertion: Any = error.schema
    details = {"field": dotted, "maximum": assertion.get("maximum")}
    return Violation(rule, dotted, _problem(error, place), rules()[rule].evidence, details)


def _problem(error: "ValidationError", place: tuple[str | int, ...]) -> str:
    wanted: Any = error.validator_value
    found: Any = error.instance
    match error.validator:
        case "required":
            near = nearest(str(wanted[0]), found)
            return "is missing" + (f"; nearest given is {_shown(near)}" if near else "")
        case "type":
            return f"{_shown(found)} is not {_a(wanted)}"
        case "minimum":
            return f"{_shown(found)} is below {wanted}"
        case "maximum":
            return f"{_shown(found)} is above {wanted}"
        case "minLength":
            return "is empty"
        case "minItems":
            return f"has {len(found)} items, needs at least {wanted}"
        case "maxItems":
            return f"has {len(found)} items, takes at most {wanted}"
        case "const":
            return f"{_shown(found)} is not {_shown(wanted)}"
        case "enum":
            return _not_one_of(found, wanted, str(place[-1]))
        case "pattern":
            return f"{_shown(found)} is not an http, https or oss URL"
        case "not":
            return f"{_shown(found)} holds a character outside printable ASCII"
    return _short(error.message, 200)


def _not_one_of(found: object, words: list[str], name: str) -> str:
    if len(words) <= 4:
        return f"{_shown(found)} is not {' or '.join(map(_shown, words))}"
    near = nearest(found, words) if isinstance(found, str) else None
    hint = f"; nearest is {_shown(near)}" if near else ""
    return f"{_shown(found)} is not one of the {len(words)} {name}s{hint}"


def _shown(value: object) -> str:
    """``value`` in a few ASCII characters."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "an array"
    if isinstance(value, str):
        return "'" + _short(json.dumps(value[:61])[1:-1].replace('\\"', '"'), 60) + "'"
    return _short(json.dumps(value), 60)


def _short(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 3] + "..."


def _a(wanted: str | list[str]) -> str:
    types = [wanted] if isinstance(wanted, str) else wanted
    return " or ".join(_ARTICLES.get(type_, f"a {type_}") for type_ in types)


def _without_depths(value: object, depth: int = DEEPEST) -> object:
    if isinstance(value, dict):
        return {key: _without_depths(item, depth - 1) for key, item in value.items()} if depth else {}
    if isinstance(value, list):
        return [_without_depths(item, depth - 1) for item in value] if depth else []
    return value
