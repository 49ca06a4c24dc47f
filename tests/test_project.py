"""The project's own promises: what is installed, what is shipped, and what its pages say of it."""

import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("contracts", "mock_server", "facechain_testkit")


def project() -> dict[str, Any]:
    """The ``[project]`` table of pyproject.toml."""
    table: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    return table


def pins() -> list[Requirement]:
    """The lines of requirements-dev.txt that name a package."""
    lines = (ROOT / "requirements-dev.txt").read_text("utf-8").splitlines()
    return [Requirement(line) for line in lines if line.strip() and not line.startswith("#")]


def files_below(folder: Path) -> Iterator[Path]:
    """What we wrote: no environments, no caches, nothing that a build left behind."""
    for path in folder.iterdir():
        if path.is_dir():
            made_by_tools = path.name.startswith(".") or path.name.endswith(".egg-info")
            if path.name == ".ci" or not (made_by_tools or path.name in {"__pycache__", "build", "dist"}):
                yield from files_below(path)
        elif path.suffix not in {".pyc", ".pyo"}:
            yield path


def code_blocks(page: str) -> list[list[str]]:
    """The fenced code blocks of a Markdown page, line by line, without comments: those are translated."""
    blocks: list[list[str]] = []
    fence = ""
    for line in page.splitlines():
        marks = re.match(r"\s*(`{3,})", line)
        if not fence and marks:
            fence = marks[1]
            blocks.append([line.strip()])
        elif fence and line.strip() == fence:
            fence = ""
        elif fence and not re.match(r"\s*(#|//)", line):
            blocks[-1].append(re.sub(r"\s+#\s.*", "", line).rstrip())
    return blocks


def test_the_installed_version_is_the_one_in_pyproject() -> None:
    assert version("facechain-testkit") == project()["version"]


def test_every_dependency_has_a_pin() -> None:
    lists = [project()["dependencies"], *project()["optional-dependencies"].values()]
    wanted = {canonicalize_name(Requirement(line).name) for lines in lists for line in lines}
    assert wanted <= {canonicalize_name(pin.name) for pin in pins()}


@pytest.mark.parametrize("python", ["3.10", "3.11", "3.12", "3.13"])
def test_a_package_is_pinned_to_one_exact_version_on_each_python(python: str) -> None:
    here = [pin for pin in pins() if pin.marker is None or pin.marker.evaluate({"python_version": python})]
    names = [canonicalize_name(pin.name) for pin in here]
    assert sorted(set(names)) == sorted(names)
    assert [str(pin) for pin in here if not re.fullmatch(r"==[^*,]+", str(pin.specifier))] == []


@pytest.mark.parametrize(
    ("what", "pattern"),
    [
        ("a path on somebody's own machine", r"(?<![\w.~-])/(?:home|root|Users|work|workspace)/\w"),
        ("a package registry's host", r"\b(?:(?:pypi|pythonhosted|npmjs)\.(?:org|com)|mirrors?\.\w+\.\w+)\b"),
    ],
)
def test_no_file_names(what: str, pattern: str) -> None:
    found = []
    for path in files_below(ROOT):
        try:
            text = path.read_text("utf-8")
        except UnicodeDecodeError:
            continue
        found += [f"{path.relative_to(ROOT)}: {hit[0]}" for hit in re.finditer(pattern, text)]
    assert found == [], what


def test_the_wheel_holds_the_three_packages_whole_and_nothing_else(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    shipped = {name for name in names if ".dist-info/" not in name}
    metadata = {name.split(".dist-info/")[1] for name in names if ".dist-info/" in name}
    ours = [path for package in PACKAGES for path in files_below(ROOT / package)]
    written = {path.relative_to(ROOT).as_posix() for path in ours}
    assert shipped == written
    assert {f"{package}/py.typed" for package in PACKAGES} <= shipped
    assert any(re.fullmatch(r"contracts/schemas/[\w-]+\.schema\.json", name) for name in shipped)
    assert {"entry_points.txt", "licenses/LICENSE"} <= metadata


def test_both_readmes_show_the_same_code() -> None:
    english = code_blocks((ROOT / "README.md").read_text("utf-8"))
    chinese = code_blocks((ROOT / "README.zh-CN.md").read_text("utf-8"))
    assert english
    assert chinese == english
