"""The command ``facechain-mock`` as a user types it."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
import requests

from contracts import catalogue
from mock_server.__main__ import main
from mock_server.events import FAREWELL_S
from mock_server.settings import names
from mock_server.version import installed_version
from tests.conftest import GOOD, PRESET, SUBMIT
from tests.receiver import DEADLINE_S, receiving
from tests.uploads import photo

STOPS_WITHIN_S = 1.0
"""The aim is 0.2 s, and here it takes a hundredth; a busy machine that runs tests side by side gets some slack."""

COMMANDS = ["serve", "scenarios", "errors", "rules", "behaviours", "contracts", "version"]
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("FACECHAIN_MOCK_")}


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["version"]) == 0
    assert capsys.readouterr().out == f"facechain-mock {installed_version()}\n"


def test_every_scenario_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["scenarios"]) == 0
    lines = capsys.readouterr().out.splitlines()[1:]
    assert [line.split()[0] for line in lines] == list(catalogue.scenarios())
    for row, line in zip(catalogue.scenarios().values(), lines, strict=True):
        assert row.evidence in line
        assert row.does in line


def test_every_error_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["errors"]) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[0].split() == ["REASON", "HTTP", "CODE", "EVIDENCE", "MESSAGE"]
    assert all(row.reason in out and row.code in out and row.message in out for row in catalogue.errors().values())


def test_every_rule_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rules"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:]] == list(catalogue.rules())
    assert all(
        rule.evidence in line and line.endswith(rule.sentence)
        for rule, line in zip(catalogue.rules().values(), lines[1:], strict=True)
    )


def test_every_behaviour_is_printed_with_its_default_marked(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["behaviours"]) == 0
    out = capsys.readouterr().out
    for id_, behaviour in catalogue.behaviours().items():
        assert f"{id_}  ({behaviour.evidence})  {behaviour.question}" in out
        for choice, option in behaviour.options.items():
            mark = "*" if choice == behaviour.default else " "
            assert f"  {mark} {choice:12} {option.sentence}" in out


def test_the_contracts_are_copied(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "copy"
    assert main(["contracts", str(folder)]) == 0
    assert f"copied to {folder}" in capsys.readouterr().out
    assert main(["contracts", str(folder)]) == 2
    assert (
        f"{folder} is not empty; choose a new folder, or overwrite files there with --force" in capsys.readouterr().err
    )
    assert main(["contracts", str(folder), "--force"]) == 0
    copied = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert {"openapi.json", "errors.json", "rules.json", "behaviours.json", "limits.json"} <= copied
    assert {f"schemas/{message}.schema.json" for message in catalogue.MESSAGES} <= copied
    assert not any(name.endswith((".py", ".pyc")) or "__pycache__" in name for name in copied)


@pytest.mark.parametrize("command", [[], *([command] for command in COMMANDS)])
def test_help_is_printed(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([*command, "--help"])
    assert stopped.value.code == 0
    assert capsys.readouterr().out.startswith(" ".join(["usage: facechain-mock", *command]))


def test_the_help_of_serve_names_every_setting(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["serve", "--help"])
    out = capsys.readouterr().out
    assert [name for name in names() if f"--{name.replace('_', '-')}" not in out] == []


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ([], "COMMAND"),
        (["sevre"], "invalid choice: 'sevre'"),
        (["serve", "--port", "http"], "argument --port: invalid int value: 'http'"),
        (["serve", "--prot", "1"], "unrecognized arguments: --prot"),
        (["contracts"], "DIR"),
    ],
)
def test_a_wrong_command_is_explained(arguments: list[str], text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    assert text in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--profile", "wild"], "facechain-mock: profile is 'wild'; it is one of calm, real, hostile"),
        (["--host", "192.0.2.1"], "facechain-mock: host is 192.0.2.1, which other machines may reach"),
        (["--behaviour", "end-time=never"], "facechain-mock: unknown choice for end-time 'never'"),
        (["--unknown-images", "no"], "facechain-mock: unknown-images is 'no'; it is one of accept, refuse"),
        (["--assets", "nowhere"], "facechain-mock: 'nowhere' is not a folder"),
        (["--event-url", "127.0.0.1:9000"], "facechain-mock: event-url is '127.0.0.1:9000'; it looks like http://"),
        (
            ["--event-url", "http://hooks.test/"],
            "which lies on another machine; allow it with --allow-event-host hooks.test, or stay on 127.0.0.1",
        ),
        (
            ["--event-url", "http://hooks.test/", "--allow-event-host", "other.test"],
            "allow it with --allow-event-host hooks.test",
        ),
        (["--config", "nowhere.toml"], "facechain-mock: cannot read nowhere.toml: No such file or directory"),
    ],
)
def test_a_wrong_setting_is_told_in_one_line(
    arguments: list[str], text: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["serve", "--port", "0", *arguments]) == 2
    err = capsys.readouterr().err
    assert text in err
    assert err.count("\n") == 1


def test_a_port_that_is_taken_is_told(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = run("serve", "--port", str(taken.getsockname()[1]), folder=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("facechain-mock: ")
    assert "Address already in use" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_ready_file_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    done = run("serve", "--port", "0", "--ready-file", str(tmp_path / "no" / "ready.json"), folder=tmp_path)
    assert done.returncode == 2
    assert "No such file or directory" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_reader_that_has_seen_enough_is_no_error(tmp_path: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as closed:
        done = subprocess.run(
            [sys.executable, "-m", "mock_server", "errors"],
            stdout=closed,
            stderr=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
            env=ENVIRONMENT,
        )
    assert (done.returncode, done.stderr) == (0, "")


def run(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mock_server", *arguments],
        cwd=folder,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=60,
    )


@contextmanager
def served(folder: Path, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """A server in a process of its own, and what its ready file said."""
    path = folder / "ready.json"
    process = subprocess.Popen(
        [sys.executable, "-m", "mock_server", "serve", "--port", "0", "--ready-file", str(path), *arguments],
        cwd=folder,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        for _ in range(3_000):
            if path.exists() or process.poll() is not None:
                break
            time.sleep(0.01)
        assert process.poll() is None, process.communicate()
        yield process, json.loads(path.read_text(encoding="utf-8"))
    finally:
        process.kill()
        process.communicate()


def asked(url: str, token: str = "") -> Any:
    with urlopen(Request(url, headers={"X-Admin-Token": token})) as answer:  # noqa: S310  # our own server
        return json.load(answer)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_server_says_when_it_is_ready_answers_and_stops_at_once(tmp_path: Path, how: signal.Signals) -> None:
    with served(tmp_path, "--seed", "5", "--api-key", "sk-one=acme") as (process, ready):
        assert ready.keys() == {"base_url", "admin_url", "admin_token", "pid"}
        assert ready["pid"] == process.pid
        assert ready["base_url"].endswith("/api/v1")
        assert stat.S_IMODE((tmp_path / "ready.json").stat().st_mode) == 0o600
        assert os.listdir(tmp_path) == ["ready.json"]
        assert asked(f"{ready['admin_url']}/health") == {"status": "ok"}
        assert asked(f"{ready['admin_url']}/tasks", ready["admin_token"]) == {"tasks": []}
        host, port = ready["base_url"].removeprefix("http://").removesuffix("/api/v1").split(":")
        idle = [socket.create_connection((host, int(port))) for _ in range(3)]
        started = time.monotonic()
        process.send_signal(how)
        out, err = process.communicate(timeout=30)
        took_s = time.monotonic() - started
        for connection in idle:
            connection.close()
    assert process.returncode == 0
    assert took_s < STOPS_WITHIN_S
    assert err == ""
    assert not (tmp_path / "ready.json").exists()
    for line in (
        f"facechain-mock answers at {ready['base_url']}",
        "a key that works   sk-one",
        "profile calm, limits documented, seed 5",
        f"export DASHSCOPE_HTTP_BASE_URL={ready['base_url']}",
        "export DASHSCOPE_API_KEY=sk-one",
        f"{ready['admin_url']}  (X-Admin-Token: {ready['admin_token']})",
        "Stop it with Ctrl-C.",
    ):
        assert line in out


def test_a_second_signal_does_no_harm(tmp_path: Path) -> None:
    with served(tmp_path) as (process, _):
        for how in (signal.SIGINT, signal.SIGTERM, signal.SIGINT):
            process.send_signal(how)
        _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (0, "")


def test_settings_reach_the_server(tmp_path: Path) -> None:
    (tmp_path / "facechain-mock.toml").write_text('admin-token = "mine"\nseed = 9\n', encoding="utf-8")
    with served(tmp_path, "--speed", "1000") as (_, ready):
        assert ready["admin_token"] == "mine"
        assert asked(f"{ready['admin_url']}/clock", "mine")["factor"] == 1000.0


KEY = {"Authorization": "Bearer sk-mine"}


def sent(ready: dict[str, Any], path: str, body: object, **headers: str) -> Any:
    """What the server answers to a POST of ``body``."""
    url = ready["base_url"].removesuffix("/api/v1") + path
    answer = requests.post(url, json=body, headers={**KEY, **headers}, timeout=DEADLINE_S)
    return answer.json()


def test_the_choices_about_pictures_and_likenesses_reach_the_server(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "me.jpg").write_bytes(photo(600, 600))
    arguments = ["--resource", "mine", "--resource", "ours", "--assets", "photos", "--unknown-images", "refuse"]
    with served(tmp_path, "--limits", "off", *arguments) as (_, ready):
        for likeness, is_known in (("mine", True), ("ours", True), ("theirs", False)):
            body = {**PRESET, "resources": [{"resource_id": likeness, "resource_type": "facelora"}]}
            answer = sent(ready, SUBMIT, body, **{"X-DashScope-Async": "enable"})
            assert ("output" in answer) == is_known, answer
            assert is_known or answer["code"] == "Resource.AccessDenied"
        urls = [f"https://assets.facechain.test/{name}.jpg" for name in ("me", "you")] + ["https://a.example/me.jpg"]
        faces = {"model": "facechain-facedetect", "input": {"images": urls}}
        answer = sent(ready, "/api/v1/services/vision/facedetection/detect", faces)
        assert answer["output"]["is_face"] == [True, False, False]


def test_the_end_of_a_task_is_told_to_who_was_named(tmp_path: Path) -> None:
    with receiving() as receiver, served(tmp_path, "--event-url", receiver.url) as (process, ready):
        answer = sent(ready, SUBMIT, GOOD["preset-style"], **{"X-DashScope-Async": "enable"})
        (event,) = receiver.wait_for(1)
        data: Any = event.get_data()
        assert (data["task_id"], data["task_status"]) == (answer["output"]["task_id"], "SUCCEEDED")
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 0
    assert [line for line in err.splitlines() if "event" in line] == []


def test_a_server_stops_soon_though_nobody_answers_its_events(tmp_path: Path) -> None:
    with receiving() as receiver, served(tmp_path, "--event-url", receiver.url) as (process, ready):
        may_go = threading.Event()
        receiver.answer = lambda _handler: _wait(may_go)
        sent(ready, SUBMIT, GOOD["preset-style"], **{"X-DashScope-Async": "enable"})
        receiver.wait_for(1)
        started = time.monotonic()
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
        took_s = time.monotonic() - started
        may_go.set()
    assert process.returncode == 0
    assert took_s < STOPS_WITHIN_S + FAREWELL_S


def _wait(may_go: threading.Event) -> None:
    may_go.wait(DEADLINE_S)
