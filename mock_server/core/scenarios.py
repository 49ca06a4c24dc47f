"""Which scenario and plan a submission gets: one word, many carriers, the most specific first."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from contracts import catalogue
from mock_server.core.model import MODEL, Request, VendorError
from mock_server.core.plans import Plan, plan_from_json, plan_to_json

SCENARIO_HEADER = "x-mock-scenario"
PLAN_HEADER = "x-mock-plan"
KEY_PREFIX = "sk-mock-"
RESOURCE_PREFIX = "mock-"
HOST_SUFFIX = ".facechain.test"
ASSETS_HOST = "assets"
TRAIN_FREE = "train_free_portrait_url_template"
_TYPO = 0.75
"""How alike a key's word must be to a scenario to be taken for a slip of the pen."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a carrier asks for: a plan, a scenario, or both."""

    plan: Plan | None = None
    scenario: str | None = None
    model: str = MODEL
    """Whose submissions it is for, when it waits for the next one."""


def scenario_of_key(key: str, *, is_known: bool = False) -> str | None:
    """The scenario in ``sk-mock-<scenario>``, else None.

    A word that is nearly one raises VendorError, unless the key ``is_known`` to be meant as it is.
    """
    if not key.startswith(KEY_PREFIX):
        return None
    word = key[len(KEY_PREFIX) :]
    if word in catalogue.scenarios():
        return word
    near = catalogue.nearest(word, catalogue.scenarios())
    if is_known or near is None or not _is_typo(word, near):
        return None
    raise VendorError(
        "invalid_api_key",
        rule="mock.scenario",
        place="header Authorization",
        problem=f"holds a mock's key that names no scenario; nearest is {near}",
    )


def _is_typo(word: str, near: str) -> bool:
    from difflib import SequenceMatcher

    return SequenceMatcher(None, word, near).ratio() >= _TYPO


def carried_by_headers(request: Request, default: Plan) -> Asked | None:
    """What ``X-Mock-Scenario`` and ``X-Mock-Plan`` ask for. Raises VendorError when they name nothing known."""
    name = request.headers.get(SCENARIO_HEADER)
    if name is not None:
        _known(name, "header X-Mock-Scenario")
    text = request.headers.get(PLAN_HEADER)
    if text is None:
        return None if name is None else Asked(scenario=name)
    try:
        return Asked(plan_from_json(json.loads(text), default), name)
    except (ValueError, RecursionError) as error:
        raise VendorError(
            "request_invalid", rule="mock.plan", place="header X-Mock-Plan", problem=f"is no plan: {error}"
        ) from None


def carried_by_urls(urls: Iterable[tuple[str, object]]) -> str | None:
    """The scenario that the first host of these places and URLs names. Raises VendorError when there is none such."""
    for place, url in urls:
        word = _word_of_host(url)
        if word is None:
            continue
        if catalogue.nearest(word, [ASSETS_HOST, *catalogue.scenarios()]) == ASSETS_HOST:
            text = f"is a URL of {word}{HOST_SUFFIX}; nearest is {ASSETS_HOST}{HOST_SUFFIX}"
            raise VendorError("request_invalid", rule="mock.scenario", place=place, problem=text)
        return _known(word, place)
    return None


def carried_by_resources(content: Mapping[str, Any]) -> str | None:
    """The scenario that a resource id of a good submission names. Raises VendorError when there is none such."""
    if content.get("parameters", {}).get("style") == TRAIN_FREE:
        return None
    for index, resource in enumerate(content.get("resources") or []):
        word = resource.get("resource_id", "")
        if word.startswith(RESOURCE_PREFIX):
            return _known(word[len(RESOURCE_PREFIX) :], f"resources.{index}.resource_id")
    return None


def _word_of_host(url: object) -> str | None:
    if not isinstance(url, str) or HOST_SUFFIX not in url.lower():
        return None
    try:
        host = (urlsplit(url).hostname or "").lower()
    except ValueError:
        return None
    word = host.removesuffix(HOST_SUFFIX)
    return None if word in (host, ASSETS_HOST) else word


def _known(name: str, place: str) -> str:
    try:
        return catalogue.scenario(name).name
    except ValueError as error:
        raise VendorError("request_invalid", rule="mock.scenario", place=place, problem=str(error)) from None


def plan_of(asked: Asked, usual: Plan, model: str = MODEL) -> Plan | None:
    """The plan that is asked for, in so many words or by a scenario; what it leaves open is as ``usual``."""
    if asked.plan is not None:
        return asked.plan
    if asked.scenario is None:
        return None
    scenario = catalogue.scenario(asked.scenario)
    row = scenario.plan if model == MODEL else scenario.training
    return None if row is None else plan_from_json(row, usual)


def asked_to_json(asked: Asked) -> dict[str, Any]:
    """What is asked for, as ``asked_from_json`` reads it."""
    shown = {} if asked.plan is None else plan_to_json(asked.plan)
    named = {} if asked.scenario is None else {"scenario": asked.scenario}
    meant = {} if asked.model == MODEL else {"model": asked.model}
    return {**named, **meant, **shown}


def asked_from_json(content: Mapping[str, Any], usual: Mapping[str, Plan]) -> Asked:
    """Read ``{"scenario": name}``, a plan, or both in one object; ``model`` says which submissions it is for.

    ``usual`` is how a task of each model goes. Raises ValueError.
    """
    rest = dict(content)
    name, model = rest.pop("scenario", None), rest.pop("model", MODEL)
    if name is not None:
        catalogue.scenario(str(name))
    if not isinstance(model, str) or model not in usual:
        raise ValueError(f"model is {model!r}; {catalogue.hint(model, usual)}")
    return Asked(plan_from_json(rest, usual[model]) if rest or name is None else None, name, model)
