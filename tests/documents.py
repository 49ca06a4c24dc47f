"""Reads the pages of the documentation, for the tests that run what they show."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "tests" / "examples"
BETWEEN = "-- the next block --"
PATIENCE_S = 90
_FOR_OUR_TOOLS = re.compile(r"\A(?:# (?:mypy|ruff): .*\n)+")
"""The first lines of an example, which users write without types; no page shows them."""


@dataclass(frozen=True)
class Block:
    """A fenced block of code: its language, its text, the line where it begins, and the heading above it."""

    language: str
    text: str
    line: int
    heading: str


def page(name: str) -> str:
    """The text of a page, by its path below the project."""
    return (ROOT / name).read_text(encoding="utf-8")


def blocks(text: str, *languages: str) -> list[Block]:
    """The blocks of a page, or those in ``languages``, in order."""
    return [block for block in _blocks(text) if not languages or block.language in languages]


def _blocks(text: str) -> Iterator[Block]:
    heading = ""
    fence: tuple[int, str] | None = None
    inside: list[str] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if line.startswith("```"):
            if fence is None:
                fence, inside = (number, line[3:].strip()), []
            else:
                yield Block(fence[1], "".join(inside), fence[0], heading)
                fence = None
        elif fence is not None:
            inside.append(line + "\n")
        elif line.startswith("#"):
            heading = line.lstrip("# ")


def tables(text: str) -> list[list[list[str]]]:
    """The tables of a page, as rows of cells; the first row is the head."""
    found: list[list[list[str]]] = []
    before = ""
    for line in text.splitlines():
        if line.startswith("|"):
            if not before.startswith("|"):
                found.append([])
            found[-1].append([cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))])
        before = line
    return [[rows[0], *rows[2:]] for rows in found]


def table(text: str, *head: str) -> list[list[str]]:
    """The rows of the one table whose head begins so."""
    (found,) = [rows[1:] for rows in tables(text) if tuple(rows[0][: len(head)]) == head]
    return found


def code(cell: str) -> list[str]:
    """What stands in backticks in a cell."""
    return re.findall(r"`([^`]+)`", cell)


def examples() -> dict[str, str]:
    """The files under ``tests/examples`` as a page shows them, by name."""
    files = {path.name: path.read_text(encoding="utf-8") for path in sorted(EXAMPLES.glob("*.py"))}
    return {name: _FOR_OUR_TOOLS.sub("", text) for name, text in files.items()}


def commands(block: Block) -> list[list[str]]:
    """The commands of a ``console`` block, without comments."""
    lines = [re.sub(r"\s+#\s.*", "", line) for line in block.text.splitlines()]
    assert all(line.startswith("$ ") for line in lines), f"line {block.line}: every line begins with a prompt"
    return [line[2:].split() for line in lines]


def program(name: str) -> str:
    """Where a program of the machine is; fails, and names the package, when it is not installed."""
    found = shutil.which(name)
    if found is None:
        pytest.fail(f"{name} is not installed, and the page's lines need it: install the package '{name}'")
    return found


def user_environment(home: Path, **more: str) -> dict[str, str]:
    """What a user's shell has after ``pip install``: our commands on the path, and nothing that others set."""
    (home / ".curlrc").write_text("max-time = 20\n", encoding="utf-8")
    return {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "CURL_HOME": str(home),
        "HOME": str(home),
        "no_proxy": "*",
        **more,
    }


def run_shell(lines: Iterable[str], folder: Path, *, before: str = "", **environment: str) -> list[str]:
    """What each piece of ``lines`` printed when one shell ran them all in order. Fails when a command fails."""
    program("curl")
    script = before + f"\necho '{BETWEEN}'\n".join(lines)
    done = run([program("bash"), "-eu", "-c", script], folder, **environment)
    assert done.returncode == 0, f"{done.stdout[-2_000:]}\n{done.stderr}"
    return done.stdout.split(f"{BETWEEN}\n")


def run(command: Sequence[str], folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command as a user does, in ``folder``."""
    return subprocess.run(
        command,
        cwd=folder,
        env=user_environment(folder, **environment),
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=PATIENCE_S,
        check=False,
    )
