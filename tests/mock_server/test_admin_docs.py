"""The page on the admin API is true: its lines run as they stand, and the answers look as it shows them."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from contracts import catalogue
from mock_server.app import create_app
from mock_server.clock import VendorClock
from mock_server.serving import running
from mock_server.settings import Settings
from mock_server.web.control import PREFIX
from tests.conftest import START_MS, TOKEN

PAGE = (Path(__file__).parents[2] / "docs" / "admin-api.md").read_text("utf-8")
LEFT_OUT = "…"
BETWEEN = "-- the next block --"
PATIENCE_S = 60


@dataclass(frozen=True)
class Block:
    """Lines of shell, and the answer that the page shows below them."""

    heading: str
    lines: str
    shown: Any


def blocks() -> list[Block]:
    """Every ``bash`` or ``console`` block of the page with the ``json`` block below it."""
    found: list[Block] = []
    heading, fence, text = "", "", ""
    for line in PAGE.splitlines():
        if line.startswith("```"):
            if fence in ("bash", "console"):
                found.append(Block(heading, text, None))
            elif fence == "json":
                found[-1] = Block(found[-1].heading, found[-1].lines, json.loads(text))
            fence, text = ("" if fence else line[3:].strip()), ""
        elif fence:
            text += re.sub(r"^\$ ", "", line) + "\n"
        elif line.startswith("#"):
            heading = line.lstrip("# ")
    return found


BLOCKS = blocks()


def program(name: str) -> str:
    """Where a program of the machine is; fails, and names the package, when it is not installed."""
    path = shutil.which(name)
    if path is None:
        pytest.fail(f"{name} is not installed, and the page's lines need it: install the package '{name}'")
    return path


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What each block printed, run by one shell in the order of the page against a fresh server."""
    program("curl")
    folder = tmp_path_factory.mktemp("admin-docs")
    (folder / ".curlrc").write_text("max-time = 20\n", "utf-8")
    script = f"\necho '{BETWEEN}'\n".join(block.lines for block in BLOCKS)
    app = create_app(Settings(seed=7, admin_token=TOKEN), clock=VendorClock(START_MS))
    with running(app) as server:
        done = subprocess.run(
            [program("bash"), "-eu", "-c", script],
            cwd=folder,
            env={
                "PATH": os.environ["PATH"],
                "CURL_HOME": str(folder),
                "BASE": server.url,
                "TOKEN": TOKEN,
                "no_proxy": "*",
            },
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=PATIENCE_S,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    return done.stdout.split(f"{BETWEEN}\n")


@pytest.mark.parametrize("number", range(len(BLOCKS)), ids=lambda n: f"{n}-{BLOCKS[n].heading}")
def test_the_answer_looks_as_the_page_shows_it(answers: list[str], number: int) -> None:
    block = BLOCKS[number]
    assert block.shown is not None, f"no answer is shown below:\n{block.lines}"
    answer = json.loads(answers[number])
    assert differences(block.shown, answer) == [], f"{block.lines}\nanswered {answers[number][:2_000]}"


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
    calls = re.findall(
        r"curl -s (?:-X (\w+) )?\"?\$BASE(/__admin/[^\s\"?]+)", "\n".join(block.lines for block in BLOCKS)
    )
    shown = {(method or "GET", path.replace("$TASK", "{task_id}")) for method, path in calls}
    shown = {(method, re.sub(r"/fault-1$", "/{fault_id}", path)) for method, path in shown}
    shown = {(method, re.sub(r"/1$", "/{number}", path)) for method, path in shown}
    routes = {(method.upper(), path) for path, item in catalogue.admin_openapi()["paths"].items() for method in item}
    assert shown == routes


def test_the_page_names_no_address_but_in_its_variable() -> None:
    assert re.findall(r"(?<!BASE=)http://[\w.]+:\d+", PAGE) == []
    assert all("$BASE" in block.lines for block in BLOCKS)
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
