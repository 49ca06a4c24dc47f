"""The page on the admin API is true: its lines run as they stand, and the answers look as it shows them."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

import pytest

from contracts import catalogue
from mock_server.app import create_app
from mock_server.clock import VendorClock
from mock_server.serving import running
from mock_server.settings import Settings
from mock_server.web.control import PREFIX
from tests import documents
from tests.conftest import START_MS, TOKEN

PAGE = documents.page("docs/admin-api.md")
LEFT_OUT = "…"


@dataclass(frozen=True)
class Call:
    """Lines of shell, and the answer that the page shows below them."""

    heading: str
    lines: str
    shown: Any = None


def calls() -> list[Call]:
    """Every ``bash`` or ``console`` block of the page with the ``json`` block below it."""
    found: list[Call] = []
    for block in documents.blocks(PAGE, "bash", "console", "json"):
        if block.language == "json":
            found[-1] = Call(found[-1].heading, found[-1].lines, json.loads(block.text))
        else:
            found.append(Call(block.heading, re.sub(r"(?m)^\$ ", "", block.text)))
    return found


CALLS = calls()


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What each block printed, run by one shell in the order of the page against a fresh server."""
    folder = tmp_path_factory.mktemp("admin-docs")
    app = create_app(Settings(seed=7, admin_token=TOKEN), clock=VendorClock(START_MS))
    with running(app) as server:
        return documents.run_shell([call.lines for call in CALLS], folder, BASE=server.url, TOKEN=TOKEN)


@pytest.mark.parametrize("number", range(len(CALLS)), ids=lambda n: f"{n}-{CALLS[n].heading}")
def test_the_answer_looks_as_the_page_shows_it(answers: list[str], number: int) -> None:
    call = CALLS[number]
    assert call.shown is not None, f"no answer is shown below:\n{call.lines}"
    answer = json.loads(answers[number])
    assert differences(call.shown, answer) == [], f"{call.lines}\nanswered {answers[number][:2_000]}"


def differences(shown: Any, answer: Any, place: str = "$") -> list[str]:
    """How an answer differs in shape from what is shown, which may leave out fields, rows and words.

    A text with a digit in it may be an id or a time, so only one without has to be the same.
    """
    if isinstance(shown, dict) and isinstance(answer, dict):
        missing = [f"{place}.{name} is shown and is not there" for name in shown.keys() - answer.keys()]
        kept = shown.keys() & answer.keys()
        return missing + [found for name in kept for found in differences(shown[name], answer[name], f"{place}.{name}")]
    if isinstance(shown, list) and isinstance(answer, list):
        if not shown and answer:
            return [f"{place} is shown as empty and has {len(answer)}"]
        return [
            f"{place}[{i}] is like none of those that are there"
            for i, item in enumerate(shown)
            if all(differences(item, other) for other in answer)
        ]
    if type(shown) is not type(answer):
        return [f"{place} is shown as {shown!r} and is {answer!r}"]
    if isinstance(shown, str) and LEFT_OUT not in shown and not re.search(r"\d", shown) and shown != answer:
        return [f"{place} is shown as {shown!r} and is {answer!r}"]
    return [f"{place} is shown as {shown} and is {answer}"] if isinstance(shown, bool) and shown != answer else []


def test_the_page_shows_every_route_of_the_admin_api() -> None:
    asked = re.findall(r"curl -s (?:-X (\w+) )?\"?\$BASE(/__admin/[^\s\"?]+)", "\n".join(call.lines for call in CALLS))
    shown = {(method or "GET", path.replace("$TASK", "{task_id}")) for method, path in asked}
    shown = {(method, re.sub(r"/fault-1$", "/{fault_id}", path)) for method, path in shown}
    shown = {(method, re.sub(r"/1$", "/{number}", path)) for method, path in shown}
    routes = {(method.upper(), path) for path, item in catalogue.admin_openapi()["paths"].items() for method in item}
    assert shown == routes


def test_the_page_names_no_address_but_in_its_variable() -> None:
    assert re.findall(r"(?<!BASE=)http://[\w.]+:\d+", PAGE) == []
    assert all("$BASE" in call.lines for call in CALLS)
    assert f"BASE=http://127.0.0.1:{Settings().port}\n" in PAGE
    assert PREFIX in PAGE


@pytest.mark.parametrize(
    ("shown", "answer", "same"),
    [
        ({"a": 1}, {"a": 2, "b": 3}, True),
        ({"a": 1}, {"b": 3}, False),
        ({"a": "PENDING"}, {"a": "RUNNING"}, False),
        ({"a": "task-1"}, {"a": "task-2"}, True),
        ({"a": "…"}, {"a": "anything"}, True),
        ({"a": True}, {"a": False}, False),
        ({"a": 1}, {"a": "1"}, False),
        ({"a": [{"b": "x"}]}, {"a": [{"b": "y"}, {"b": "x"}]}, True),
        ({"a": [{"b": "x"}]}, {"a": [{"b": "y"}]}, False),
        ({"a": []}, {"a": [1]}, False),
        ({"a": None}, {"a": "x"}, False),
    ],
)
def test_shapes_are_told_apart(shown: Any, answer: Any, same: bool) -> None:
    assert (differences(shown, answer) == []) is same
