"""The README is true: its lines run as they stand, its examples run, and the answers look as it shows them."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image

from contracts import catalogue
from docs import generate
from mock_server.app import create_app, create_simulator
from mock_server.clock import VendorClock
from mock_server.core.media import Portrait, render_portrait
from mock_server.core.plans import Plan
from mock_server.serving import running
from mock_server.settings import Settings, names
from mock_server.stores.memory import MOST_CONTENT_BYTES
from tests.conftest import START_MS, TOKEN, Vendor
from tests.documents import (
    PATIENCE_S,
    Block,
    blocks,
    commands,
    examples,
    page,
    run,
    run_shell,
    tables,
    user_environment,
)
from tests.mock_server.test_admin_docs import differences

README = page("README.md")
ADDRESS = f"127.0.0.1:{Settings().port}"
STORY = [block for block in blocks(README, "bash") if not block.text.startswith("make ")]
DETECT = "/api/v1/services/vision/facedetection/detect"
SHOWN = {"bash", "json", "text", "python", "console"}
MOVE_THE_CLOCK = """
sleep() {
    curl -sf -X PUT "$ADMIN/clock" -H "X-Admin-Token: $TOKEN" -H "Content-Type: application/json" \\
        -d "{\\"action\\": \\"advance\\", \\"by\\": $1}" > /dev/null
}
"""
"""Time stands still while the story is told, and its pauses move it: so it goes the same on any machine."""


@dataclass(frozen=True)
class Told:
    """What the blocks of the story printed, by the line where each begins, and where their files are."""

    printed: dict[int, str]
    folder: Path


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    """The story, from a submission to a picture of one's own likeness, run by one shell in the order of the page."""
    folder = tmp_path_factory.mktemp("readme")
    app = create_app(Settings(seed=7, admin_token=TOKEN), clock=VendorClock(START_MS, frozen=True))
    with running(app) as server:
        lines = [block.text.replace(f"http://{ADDRESS}", server.url) for block in STORY]
        printed = run_shell(lines, folder, before=MOVE_THE_CLOCK, ADMIN=f"{server.url}/__admin", TOKEN=TOKEN)
    answers = [text.replace(server.url, f"http://{ADDRESS}") for text in printed]
    return Told({block.line: text for block, text in zip(STORY, answers, strict=True)}, folder)


def answers_shown() -> list[tuple[Block, Block]]:
    """Every ``json`` and ``text`` block of the page, with the block above it that prints it."""
    order = blocks(README)
    return [(order[i - 1], block) for i, block in enumerate(order) if block.language in ("json", "text")]


# -- the story --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("asked", "shown"), answers_shown(), ids=lambda block: f"line-{block.line}")
def test_an_answer_looks_as_the_page_shows_it(told: Told, asked: Block, shown: Block) -> None:
    printed = told.printed[asked.line]
    if shown.language == "text":
        assert _without_ids(printed) == _without_ids(shown.text)
    else:
        page_says, came = json.loads(shown.text), json.loads(printed)
        assert differences(page_says, came) == []
        assert differences(came, page_says) == [], "the page leaves something out"


def _without_ids(text: str) -> list[str]:
    return [re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "<id>", line.strip()) for line in text.splitlines()]


def test_the_picture_of_the_story_is_one_and_says_that_it_is_a_mock(told: Told) -> None:
    with Image.open(told.folder / "portrait.jpg") as picture:
        assert f"{picture.width}×{picture.height}" in README
        assert json.loads(picture.info["comment"])["mock"] is True


def test_a_task_takes_as_long_as_the_page_says() -> None:
    plan = catalogue.profiles()[Settings().profile].plan
    waits_s, runs_s = plan["pending_ms"] / 1000, plan["running_ms"] / 1000
    assert f"waits {waits_s} seconds here and runs {runs_s}" in README
    assert waits_s < 0.5 < waits_s + runs_s, "half a second after the submission it runs"


def test_a_training_takes_as_long_as_the_page_says() -> None:
    takes_s = {}
    for name, profile in catalogue.profiles().items():
        takes_s[name] = (profile.training["pending_ms"] + profile.training["running_ms"]) / 1000
    assert f"A training takes {takes_s[Settings().profile]} seconds here, and five minutes" in README
    assert (takes_s[Settings().profile] < 3, takes_s["real"] // 60) == (True, 5)


def test_the_picture_of_one_s_own_likeness_is_one(told: Told) -> None:
    with Image.open(told.folder / "likeness.jpg") as picture:
        assert picture.size == (768, 1024)
        assert json.loads(picture.info["comment"])["style"] == "m_springflower_female"


def test_the_page_states_the_limits_of_the_mock_as_they_are() -> None:
    limits = catalogue.limits()
    assert f"A request that uploads is {limits['upload_body_bytes'] // 1_048_576} MiB at most" in README
    assert f"What files hold is kept up to {MOST_CONTENT_BYTES // 1_048_576} MiB in all" in README
    assert f"{limits['upload_hours']} hours" in README


def test_the_vendor_s_sdk_works_with_the_two_variables(tmp_path: Path) -> None:
    (variables,) = (block.text for block in STORY if "DASHSCOPE_" in block.text)
    (example,) = (block.text for block in blocks(README, "python") if "dashscope" in block.text)
    (tmp_path / "portrait.py").write_text(example, encoding="utf-8")
    (tmp_path / "portrait.jpg").write_bytes(render_portrait(Portrait("a-task", 1, "f_idcard_male", 7, "jpeg")))
    at_once = Plan("immediate")
    simulator = create_simulator(Settings(seed=7), plan=at_once, training=at_once)
    with running(create_app(simulator=simulator)) as server:
        lines = [variables.replace(f"http://{ADDRESS}", server.url), "python portrait.py"]
        is_face, likeness, pictures = run_shell(lines, tmp_path)[1].splitlines()
    assert is_face == "[True]"
    assert re.fullmatch(r"SUCCEEDED facechain-finetune-ft-\d{12}-[0-9a-f]{4}", likeness)
    assert re.fullmatch(rf"SUCCEEDED \['{server.url}/\S+/1\.jpg\?\S+', '{server.url}/\S+/2\.jpg\?\S+'\]", pictures)


@pytest.mark.parametrize(("given", "reason"), [("faces=2", "more than one face detected"), ("width=300", "")])
def test_a_url_of_the_page_declares_a_picture(vendor: Vendor, given: str, reason: str) -> None:
    (shown,) = re.findall(r"https://assets\.facechain\.test/\S+\?\S+(?=`)", README)
    assert given in shown
    url = f"{shown.partition('?')[0]}?{given}"
    body = {"model": "facechain-facedetect", "input": {"images": [url]}}
    answer = vendor.vendor_call("POST", DETECT, json=body, headers={"X-DashScope-Async": None})
    assert answer.get_json()["output"]["failed_reason"] == [reason]
    whole = {"model": "facechain-facedetect", "input": {"images": [shown]}}
    answer = vendor.vendor_call("POST", DETECT, json=whole, headers={"X-DashScope-Async": None})
    assert answer.get_json()["output"]["is_face"] == [False]


def test_a_folder_of_the_page_declares_pictures(tmp_path: Path) -> None:
    name, sidecar, said = re.findall(r"`DIR/(\S+?)` is `\S+`, and `DIR/(\S+)` may say `(.+?)`", README)[0]
    (tmp_path / name).write_bytes(render_portrait(Portrait("a-task", 1, "f_idcard_male", 7, "jpeg")))
    folder = Vendor(assets=str(tmp_path))
    body = {"model": "facechain-facedetect", "input": {"images": [f"https://assets.facechain.test/{name}"]}}
    for is_face in (True, False):
        answer = folder.vendor_call("POST", DETECT, json=body, headers={"X-DashScope-Async": None})
        assert answer.get_json()["output"]["is_face"] == [is_face]
        (tmp_path / sidecar).write_text(said, encoding="utf-8")


def test_a_picture_of_the_page_is_declared_by_the_admin_api(vendor: Vendor) -> None:
    (declared,) = re.findall(r"`POST /__admin/assets` `(.+?)`", README)
    assert vendor.admin("POST", "assets", json.loads(declared)).status_code == 201
    body = {"model": "facechain-facedetect", "input": {"images": [json.loads(declared)["url"]]}}
    answer = vendor.vendor_call("POST", DETECT, json=body, headers={"X-DashScope-Async": None})
    assert answer.get_json()["output"]["failed_reason"] == ["no face detected"]


def test_every_name_of_the_page_exists() -> None:
    (section,) = re.findall(r"## Photos, trainings, events\n(.*?)\n## ", README, re.DOTALL)
    assert {"second-job", "finetune-output", "resource-check"} <= set(catalogue.behaviours())
    for name in ("failed-training", "slow-training", "never-trained"):
        assert name in catalogue.scenarios()
        assert f"`{name}`" in section
    flags = re.findall(r"--[a-z][\w-]+", section)
    assert {flag[2:].replace("-", "_") for flag in flags} <= set(names())


# -- the commands -----------------------------------------------------------------------------------------------------


CONSOLE = [command for block in blocks(README, "console") for command in commands(block)]


@pytest.mark.parametrize("command", [each for each in CONSOLE if each[1] != "serve"], ids=" ".join)
def test_a_command_runs(command: list[str], tmp_path: Path) -> None:
    done = run(command, tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout


@pytest.mark.parametrize("command", [each for each in CONSOLE if each[1] == "serve"], ids=" ".join)
def test_a_command_serves(command: list[str], tmp_path: Path) -> None:
    greeting = _greeting(command, tmp_path)
    (variables,) = (block.text for block in STORY if "DASHSCOPE_" in block.text)
    said = re.sub(r"127\.0\.0\.1:\d+", ADDRESS, greeting)
    assert all(f"{line}\n" in said.replace("    ", "") for line in variables.splitlines())
    options = command[2:]
    for name in ("profile", "limits"):
        if f"--{name}" in options:
            assert f"{name} {options[options.index(f'--{name}') + 1]}" in greeting


def _greeting(command: list[str], folder: Path) -> str:
    """What a server prints when it starts, which is then stopped. It gets a free port."""
    ready = folder / "ready.json"
    more = ["--port", "0", "--ready-file", str(ready)]
    server = subprocess.Popen(
        [*command, *more], cwd=folder, env=user_environment(folder), stdout=subprocess.PIPE, text=True
    )
    try:
        until = time.monotonic() + PATIENCE_S
        while not ready.exists() and server.poll() is None and time.monotonic() < until:
            time.sleep(0.02)
        assert json.loads(ready.read_text("utf-8"))["pid"]
    finally:
        server.send_signal(signal.SIGTERM)
        greeting, _ = server.communicate(timeout=PATIENCE_S)
    assert server.returncode == 0
    return greeting


def test_every_option_is_listed_and_is_a_variable_and_a_key(tmp_path: Path) -> None:
    help_text = run([sys.executable, "-m", "mock_server", "serve", "--help"], tmp_path).stdout
    assert {f"--{name.replace('_', '-')}" for name in names()} <= set(re.findall(r"--[\w-]+", help_text))
    for words in ("FACECHAIN_MOCK_ADMIN_TOKEN", "`admin-token`", "facechain-mock.toml", "[tool.facechain-mock]"):
        assert words in README


def test_a_flag_wins_over_a_variable_and_a_variable_over_the_file(tmp_path: Path) -> None:
    (tmp_path / "facechain-mock.toml").write_text("profile = 'real'\nlimits = 'off'\nseed = 5\n", encoding="utf-8")
    code = (
        "from mock_server.settings import read_settings\n"
        "chosen = read_settings({'profile': 'hostile'})\n"
        "print(chosen.profile, chosen.limits, chosen.seed)\n"
    )
    variables = {"FACECHAIN_MOCK_PROFILE": "calm", "FACECHAIN_MOCK_LIMITS": "documented"}
    assert run([sys.executable, "-c", code], tmp_path, **variables).stdout == "hostile documented 5\n"


# -- the page as a whole ----------------------------------------------------------------------------------------------


def test_every_block_is_of_a_kind_that_is_run() -> None:
    assert {block.language for block in blocks(README)} <= SHOWN
    assert all(asked.language == "bash" for asked, _ in answers_shown())


@pytest.mark.parametrize("block", blocks(README, "python"), ids=lambda block: f"line-{block.line}")
def test_a_python_block_is_a_file_among_the_examples(block: Block) -> None:
    assert block.text in examples().values(), "tests/examples has no such file; those of pytest are run from there"


@pytest.mark.parametrize("name", ["README.md", "README.zh-CN.md", "docs/testing.md"])
def test_every_link_leads_somewhere(name: str) -> None:
    here = generate.ROOT / name
    for target, anchor in re.findall(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)", page(name)):
        there = (here.parent / target) if target else here
        assert there.is_file(), target
        headings = [re.sub(r"[^\w -]", "", line.lstrip("# ").lower()) for line in _headings(there)]
        assert not anchor or anchor in [heading.replace(" ", "-") for heading in headings], f"{target}#{anchor}"


def _headings(path: Path) -> list[str]:
    return [line for line in path.read_text("utf-8").splitlines() if line.startswith("#")]


# -- in Chinese -------------------------------------------------------------------------------------------------------


def test_the_chinese_table_has_exactly_the_scenarios() -> None:
    assert list(generate.in_chinese()) == list(catalogue.scenarios())
    assert all(set(words) == {"does", "for"} and all(words.values()) for words in generate.in_chinese().values())


def test_both_readmes_have_the_same_headings_tables_and_links() -> None:
    def shape(text: str) -> tuple[list[str], list[tuple[int, int]], list[str]]:
        heads = [line.split()[0] for line in text.splitlines() if line.startswith("#")]
        sizes = [(len(rows), len(rows[0])) for rows in tables(text)]
        links = re.findall(r"\]\(([^)]+)\)", text)
        return heads, sizes, sorted(link for link in links if not link.startswith("README"))

    assert shape(page("README.zh-CN.md")) == shape(README)


@pytest.mark.parametrize("path", generate.parts(), ids=lambda path: path.name)
def test_a_page_holds_the_tables_as_they_are(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert generate.with_tables(text, generate.parts()[path]) == text, "run python docs/generate.py"


def test_a_page_without_a_place_for_its_table_is_an_error() -> None:
    with pytest.raises(ValueError, match="no place for a table: <!-- findings"):
        generate.with_tables("nothing here", {"findings": "a table"})
