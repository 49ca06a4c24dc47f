"""What the plugin costs a project that has it installed and does not use it: next to nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

HEAVY = (
    "aiohttp",
    "contracts",
    "faker",
    "flask",
    "httpx",
    "hypothesis",
    "jsonschema",
    "jsonschema_rs",
    "mock_server",
    "PIL",
    "requests",
    "responses",
    "waitress",
    "werkzeug",
)
"""What nobody should pay for before a test uses the mock."""

MOST_MS = 100

SESSION = """
import json, sys, pytest
code = pytest.main(["-q", "--facechain-seed=3", *sys.argv[1:]])
print(json.dumps({"code": code, "modules": sorted(sys.modules)}))
"""
IMPORT = """
import sys, time, pytest
before, began = set(sys.modules), time.perf_counter()
import facechain_testkit.plugin
print((time.perf_counter() - began) * 1000)
"""


def last_line_of(program: str, *arguments: str, folder: Path) -> Any:
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}  # what others import is not our affair
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def imported(folder: Path, test: str) -> set[str]:
    (folder / "test_it.py").write_text(test, encoding="utf-8")
    told = last_line_of(SESSION, "-p", "facechain_testkit.plugin", folder=folder)
    assert told["code"] == 0
    return {name.partition(".")[0] for name in told["modules"]}


def test_a_run_that_never_uses_the_mock_imports_none_of_it(tmp_path: Path) -> None:
    modules = imported(tmp_path, "def test_alone(): pass\n")
    assert modules.isdisjoint(HEAVY)
    assert "facechain_testkit" in modules


def test_a_run_that_uses_the_mock_does(tmp_path: Path) -> None:
    modules = imported(tmp_path, "def test_with(facechain): assert facechain.seed == 3\n")
    assert {"contracts", "mock_server", "requests", "responses"} <= modules


def test_the_plugin_costs_little(tmp_path: Path) -> None:
    took_ms = min(float(last_line_of(IMPORT, folder=tmp_path)) for _ in range(3))
    print(f"importing the plugin took {took_ms:.1f} ms")
    assert took_ms < MOST_MS
