"""The guide to testing is true: what it shows runs, what it lists is all there is, what it promises comes."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path
from pkgutil import resolve_name
from types import SimpleNamespace
from typing import Any, cast
from xml.etree import ElementTree

import aiohttp
import httpx
import pytest
import requests

from facechain_testkit import Facechain, mock_facechain, plugin
from facechain_testkit.doors import API_HOST
from facechain_testkit.kit import START, VENDOR_URL
from mock_server.core.faults import KINDS, ON_THE_WIRE, STAGES
from tests.conftest import PRESET
from tests.documents import blocks, code, commands, examples, page, run, run_shell, table
from tests.mock_server.test_admin_docs import differences

GUIDE = page("docs/testing.md")
SHELL = blocks(GUIDE, "bash")
SHOWN = {"bash", "json", "text", "python", "console"}
PAGES = ("README.md", "docs/testing.md")
SETTINGS = "[pytest]\nasyncio_mode = auto\nasyncio_default_fixture_loop_scope = function\nfilterwarnings = error\n"
WRONG = "wrong_client.py"


def is_of_pytest(text: str) -> bool:
    """Whether an example is a file of tests."""
    return re.search(r"^\s*(async )?def test_", text, re.MULTILINE) is not None


def write_tests(folder: Path, names: list[str]) -> None:
    """Put examples where pytest finds them, with the ``conftest.py`` of the page."""
    shown = examples()
    (folder / "pytest.ini").write_text(SETTINGS, encoding="utf-8")
    (folder / "conftest.py").write_text(shown["conftest.py"], encoding="utf-8")
    for name in names:
        (folder / f"test_{name}").write_text(shown[name], encoding="utf-8")


# -- python -----------------------------------------------------------------------------------------------------------


GOOD_TESTS = [name for name, text in examples().items() if is_of_pytest(text) and name != WRONG]
SCRIPTS = [
    name for name, text in examples().items() if not is_of_pytest(text) and name not in ("conftest.py", "sdk.py")
]


def test_every_python_block_is_an_example_and_every_example_is_on_a_page() -> None:
    shown = [block.text for name in PAGES for block in blocks(page(name), "python")]
    assert sorted(shown) == sorted(examples().values())


def test_every_example_passes_under_the_command_of_the_page(tmp_path: Path) -> None:
    write_tests(tmp_path, GOOD_TESTS)
    (command,) = (command for block in blocks(GUIDE, "console") for command in commands(block))
    done = run([*command, "--junit-xml", "junit.xml", "-p", "no:cacheprovider"], tmp_path)
    assert done.returncode == 0, done.stdout[-6_000:] + done.stderr
    cases = ElementTree.parse(tmp_path / "junit.xml").iter("testcase")  # noqa: S314 - our own run wrote it
    assert {case.attrib["classname"].split(".")[0] for case in cases} == {f"test_{name[:-3]}" for name in GOOD_TESTS}
    written = {path.name for path in (tmp_path / "reports").iterdir()}
    assert written == {"findings.json", "junit.xml", "report.html"}
    assert all(f"`{name}`" in GUIDE for name in written)
    assert json.loads((tmp_path / "reports" / "findings.json").read_text("utf-8"))["seed"] == 7


@pytest.mark.parametrize("call", [code(row[0])[0] for row in table(GUIDE, "plan", "the task")])
def test_a_plan_of_the_table_can_be_made(call: str) -> None:
    with mock_facechain() as facechain:
        exec(f"facechain.{call}", {"facechain": facechain})  # noqa: S102 - it stands on our own page
        assert _submitted(facechain)


def test_the_wrong_client_is_told_what_the_page_shows(tmp_path: Path) -> None:
    write_tests(tmp_path, [WRONG])
    shown = _without_numbers(_answer_below("test_a_portrait"))
    done = run(["pytest", "-p", "no:cacheprovider"], tmp_path)
    assert done.returncode == 1
    printed = _without_numbers(done.stdout)
    start = printed.index(shown[0])
    assert printed[start : start + len(shown)] == shown


def test_the_wrong_client_dies_of_a_failed_task_as_the_page_says(tmp_path: Path) -> None:
    write_tests(tmp_path, [WRONG])
    with (tmp_path / "conftest.py").open("a", encoding="utf-8") as conftest:
        conftest.write("@pytest.fixture(scope='session')\ndef facechain_settings():\n")
        conftest.write("    return {'scenario': 'failed-algo'}\n")
    done = run(["pytest", "-p", "no:cacheprovider"], tmp_path)
    assert "`failed-algo`" in GUIDE
    assert re.search(r"429 rate\.task-calls\n.*KeyError: 'output'", done.stdout, re.DOTALL), done.stdout


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_runs(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(examples()[name], encoding="utf-8")
    done = run([sys.executable, "-W", "error", name], tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    if name == "traffic.py":
        assert done.stdout == _answer_below("validate_request")


def _answer_below(word: str) -> str:
    """The ``text`` block that follows the ``python`` block with this word."""
    order = blocks(GUIDE, "python", "text")
    pairs = pairwise(order)
    (shown,) = (below.text for above, below in pairs if word in above.text and below.language == "text")
    return shown


def _without_numbers(text: str) -> list[str]:
    plain = re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "<id>", text)
    return [re.sub(r"\d+", "0", line).rstrip() for line in plain.splitlines()]


# -- shell ------------------------------------------------------------------------------------------------------------


def test_every_block_is_of_a_kind_that_is_run() -> None:
    order = blocks(GUIDE)
    assert {block.language for block in order} <= SHOWN
    above = [order[i - 1].language for i, block in enumerate(order) if block.language == "json"]
    assert set(above) == {"bash"}


def test_the_story_of_another_language_goes_as_the_page_shows(tmp_path: Path) -> None:
    stop_the_server = "trap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n"
    printed = run_shell([block.text for block in SHELL], tmp_path, before=stop_the_server)
    order = blocks(GUIDE, "bash", "json")
    shown = {order[i - 1]: json.loads(block.text) for i, block in enumerate(order) if block.language == "json"}
    for block, text in zip(SHELL, printed, strict=True):
        assert block in shown or text == "", f"line {block.line} prints what the page does not show"
        if block in shown:
            assert differences(shown[block], json.loads(text)) == [], block.text


# -- what there is ----------------------------------------------------------------------------------------------------


def test_the_table_of_the_marker_has_every_argument_with_its_default() -> None:
    shown = {code(row[0])[0]: code(row[1])[0].replace('"', "'") for row in table(GUIDE, "marker", "default")}
    assert shown == {name: repr(default) for name, default in plugin.ARGUMENTS.items()}


def test_the_table_of_the_fixtures_has_every_one_with_its_scope(pytestconfig: pytest.Config, tmp_path: Path) -> None:
    shown = {code(row[0])[0]: row[1] for row in table(GUIDE, "fixture", "scope")}
    listed = run(["pytest", "--fixtures", "-p", "no:cacheprovider", "-q"], tmp_path).stdout
    found = re.findall(r"^(facechain\w*)(?: \[(\w+) scope\])? -- ", listed, re.MULTILINE)
    assert shown == {name: scope or "function" for name, scope in found}


def test_the_table_of_the_options_has_every_one() -> None:
    added: list[str] = []
    group = SimpleNamespace(addoption=lambda name, **_more: added.append(name))
    plugin.pytest_addoption(cast(pytest.Parser, SimpleNamespace(getgroup=lambda *_words: group)))
    assert {code(row[0])[0].split()[0] for row in table(GUIDE, "option")} == set(added)


def test_the_tables_of_the_faults_have_every_stage_and_kind() -> None:
    assert tuple(code(row[0])[0] for row in table(GUIDE, "stage")) == STAGES
    kinds = {code(row[0])[0] for row in table(GUIDE, "kind", "what comes")}
    assert kinds == set(KINDS) - set(ON_THE_WIRE)
    assert {code(row[0])[0] for row in table(GUIDE, "kind", "requests")} == set(ON_THE_WIRE)


def test_a_fault_of_the_page_strikes_at_the_stages_that_it_names() -> None:
    with mock_facechain() as facechain:
        for cell, says in (row[:2] for row in table(GUIDE, "kind", "what comes")):
            named = re.match(r"at stage `(\w+)`", says)
            for stage in STAGES:
                refused = named is not None and stage != named[1]
                with pytest.raises(ValueError, match="has stage") if refused else mock_facechain():
                    facechain.faults.add(stage, code(cell)[0])


def test_the_clock_starts_where_the_page_says() -> None:
    assert f"The clock starts at {START[:-3]} in UTC+8" in GUIDE


@pytest.mark.parametrize("name", ["README.md", "README.zh-CN.md", "docs/testing.md"])
def test_no_page_names_what_the_kit_does_not_have(name: str) -> None:
    words = set(re.findall(r"facechain\.(\w+)(?=[\s(`\[,.=])", page(name))) - {"test", "toml"}
    with mock_facechain() as facechain:
        assert {word for word in words if not hasattr(facechain, word)} == set()


# -- trouble on the line ----------------------------------------------------------------------------------------------


PATIENT_S, HASTY_S = 10.0, 0.3
TROUBLE: dict[str, tuple[str, dict[str, int], float]] = {
    "`reset`": ("reset", {}, PATIENT_S),
    "`empty`": ("empty", {}, PATIENT_S),
    "`cut` after `bytes`": ("cut", {"bytes": 40}, PATIENT_S),
    "`hang`": ("hang", {}, HASTY_S),
    "`latency` of `ms`, past the timeout": ("latency", {"ms": 2_000}, HASTY_S),
    "`latency` of `ms`, within it": ("latency", {"ms": 50}, PATIENT_S),
    "`dribble` with pauses of `ms`, past the timeout": ("dribble", {"ms": 2_000}, HASTY_S),
    "`dribble` with pauses of `ms`, within it": ("dribble", {"ms": 10}, PATIENT_S),
}
"""What each line of the table stands for: a kind, its fields, and the seconds that the client has for an answer."""


def by_requests(url: str, headers: Mapping[str, str], patience_s: float) -> bytes:
    return requests.get(url, headers=dict(headers), timeout=patience_s).content


def by_httpx(url: str, headers: Mapping[str, str], patience_s: float) -> bytes:
    return httpx.get(url, headers=headers, timeout=patience_s).content


def by_async_httpx(url: str, headers: Mapping[str, str], patience_s: float) -> bytes:
    async def fetched() -> bytes:
        async with httpx.AsyncClient(timeout=patience_s) as client:
            return (await client.get(url, headers=headers)).content

    return asyncio.run(fetched())


def by_aiohttp(url: str, headers: Mapping[str, str], patience_s: float) -> bytes:
    async def fetched() -> bytes:
        timeout = aiohttp.ClientTimeout(total=patience_s)
        async with aiohttp.ClientSession(timeout=timeout) as session, session.get(url, headers=headers) as answer:
            return await answer.read()

    return asyncio.run(fetched())


LIBRARIES: list[tuple[str, Callable[..., bytes]]] = [
    ("requests", by_requests),
    ("httpx", by_httpx),
    ("httpx", by_async_httpx),
    ("aiohttp", by_aiohttp),
]


def test_the_table_of_trouble_has_the_lines_that_are_tried() -> None:
    assert [row[0] for row in table(GUIDE, "kind", "requests")] == list(TROUBLE)


@pytest.mark.parametrize("door", ["in process", "on the port"])
@pytest.mark.parametrize(("library", "fetch"), LIBRARIES, ids=lambda value: getattr(value, "__name__", ""))
@pytest.mark.parametrize("line", TROUBLE)
def test_trouble_is_raised_as_the_page_says(line: str, library: str, fetch: Callable[..., bytes], door: str) -> None:
    (cells,) = (row for row in table(GUIDE, "kind", "requests") if row[0] == line)
    promised = cells[1 + ["requests", "httpx", "aiohttp"].index(library)]
    kind, fields, patience_s = TROUBLE[line]
    with mock_facechain() as facechain:
        base_url = facechain.base_url if door == "on the port" else VENDOR_URL
        url, headers = f"{base_url}/tasks/{_submitted(facechain)}", {"Authorization": f"Bearer {facechain.api_key}"}
        facechain.faults.add("poll", kind, **fields)
        assert _came(fetch, url, headers, patience_s) is (None if promised == "the answer" else _named(promised))


def _submitted(facechain: Facechain) -> str:
    headers = {"Authorization": f"Bearer {facechain.api_key}", "X-DashScope-Async": "enable"}
    url = f"https://{API_HOST}/api/v1/services/aigc/album/gen_potrait"
    answer = requests.post(url, json=PRESET, headers=headers, timeout=10)
    return str(answer.json()["output"]["task_id"])


def _came(fetch: Callable[..., bytes], *arguments: Any) -> type[BaseException] | None:
    """The exception that a call ends in, None when a whole answer comes."""
    try:
        json.loads(fetch(*arguments))
    except (requests.RequestException, httpx.HTTPError, aiohttp.ClientError, asyncio.TimeoutError) as error:
        return type(error)
    return None


def _named(cell: str) -> object:
    module, _, name = code(cell)[0].rpartition(".")
    return resolve_name(f"{module}:{name}")
