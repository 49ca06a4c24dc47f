"""The pytest plugin: fixtures, marker and options. Thin, and light until a fixture is used."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from facechain_testkit.kit import Facechain

MARKER = "facechain"
ARGUMENTS = {
    "scenario": None,
    "plan": None,
    "limits": "documented",
    "behaviours": None,
    "clock": "running",
    "profile": "calm",
    "seed": None,
    "strict": False,
    "strict_network": False,
    "training": None,
    "assets": None,
    "unknown_images": "accept",
    "event_url": None,
}
"""What the marker takes, with what holds when it says nothing; ``seed`` None is that of the command line."""

MARKER_HELP = (
    f"facechain({', '.join(f'{name}={value!r}' for name, value in ARGUMENTS.items())}): "
    "how the mocked vendor of this test behaves; strict fails the test on findings"
)
KIT: pytest.StashKey[Facechain] = pytest.StashKey()
FAILED: pytest.StashKey[bool] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("facechain", "mocked DashScope FaceChain")
    group.addoption("--facechain-seed", type=int, default=0, help="decides ids, pictures and faults (0)")
    group.addoption("--facechain-report", metavar="DIR", help="write findings.json, junit.xml and report.html there")
    group.addoption("--facechain-strict", action="store_true", help="a finding of level must or should fails its test")
    group.addoption(
        "--facechain-cover-min",
        type=float,
        metavar="PERCENT",
        help="fail the run when the clients were shown less of the vendor's behaviour than this",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", MARKER_HELP)
    folder = config.getoption("--facechain-report")
    if folder:
        try:
            Path(folder).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise pytest.UsageError(f"--facechain-report {folder}: {error.strerror}") from None
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(_Summary(config), "facechain-summary")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A marked test has the mock also when it does not ask for the fixture, and has it before its other fixtures."""
    for item in items:
        names = getattr(item, "fixturenames", None)
        if names is not None and item.get_closest_marker(MARKER) and "facechain" not in names:
            definitions = getattr(getattr(item, "_fixtureinfo", None), "name2fixturedefs", {})
            own = (i for i, name in enumerate(names) if name in definitions and _is_of_function(definitions[name]))
            names.insert(next(own, len(names)), "facechain")


def _is_of_function(definitions: Any) -> bool:
    return bool(definitions) and definitions[-1].scope == "function"


@pytest.fixture(scope="session")
def facechain_settings() -> dict[str, Any]:
    """What every mocked vendor of the run is made with, as ``Facechain`` takes it; override it to choose."""
    return {}


@pytest.fixture
def facechain(request: pytest.FixtureRequest, facechain_settings: dict[str, Any]) -> Iterator[Facechain]:
    """A fresh mocked vendor, found by requests, httpx and aiohttp inside this process and at ``.base_url``."""
    __tracebackhide__ = True
    is_marked = request.node.get_closest_marker(MARKER) is not None
    chosen = {**_chosen_for_run(request.config, facechain_settings), **_marked(request.node)}
    is_strict = chosen.pop("strict", False) or request.config.getoption("--facechain-strict")
    with _made(chosen) as kit:
        request.node.stash[KIT], request.node.stash[FAILED] = kit, False
        yield kit
        if is_strict and not request.node.stash.get(FAILED, False):
            _judge(kit, is_marked=is_marked)


def _judge(kit: Facechain, *, is_marked: bool) -> None:
    """Fail the test for findings, or because there was nothing to judge."""
    advice = ""
    try:
        kit.assert_clean()
    except AssertionError as error:
        advice = str(error)
    if advice:
        pytest.fail(advice, pytrace=False)
    if is_marked and not kit.was_called:
        pytest.fail("this test is marked facechain and its client never called the vendor", pytrace=False)


def _chosen_for_run(config: pytest.Config, settings: dict[str, Any]) -> dict[str, Any]:
    return {"seed": config.getoption("--facechain-seed"), **settings}


def _marked(node: pytest.Item) -> dict[str, Any]:
    """What the markers of a test say; one that is closer to it wins, argument by argument."""
    said: dict[str, Any] = {}
    for marker in node.iter_markers(MARKER):
        unknown = sorted(marker.kwargs.keys() - ARGUMENTS.keys())
        if unknown or marker.args:
            from contracts.catalogue import hint

            told = (
                f"has no argument {unknown[0]!r}; {hint(unknown[0], ARGUMENTS)}"
                if unknown
                else f"takes its arguments by name, not {marker.args[0]!r}"
            )
            pytest.fail(f"usage: the marker facechain {told}; it is {MARKER_HELP}", pytrace=False)
        said = {**marker.kwargs, **said}
    return {name: value for name, value in said.items() if name != "seed" or value is not None}


def _made(chosen: dict[str, Any]) -> Facechain:
    """The mocked vendor asked for; a choice that is none fails the test with what is wrong."""
    from facechain_testkit.kit import Facechain

    try:
        return Facechain(**chosen)
    except (TypeError, ValueError) as error:
        problem = str(error)
    return pytest.fail(f"usage: facechain cannot be made so: {problem}", pytrace=False)


@pytest.fixture(scope="session")
def facechain_listen_address() -> tuple[str, int]:
    """Host and port of ``facechain_server``; port 0 takes a free one. Override it to choose."""
    return ("127.0.0.1", 0)


@pytest.fixture(scope="session")
def facechain_server(
    request: pytest.FixtureRequest,
    facechain_settings: dict[str, Any],
    facechain_listen_address: tuple[str, int],
) -> Iterator[Facechain]:
    """A mocked vendor on a port for the whole run; send ``X-Mock-Session`` or call ``.reset()`` to keep tests apart."""
    chosen = _chosen_for_run(request.config, facechain_settings)
    chosen.pop("strict", None)
    with _made(chosen).serving(*facechain_listen_address) as kit:
        yield kit


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Tell the story of a test that failed, and hand what happened on to the end of the run."""
    outcome: Any = yield
    kit = item.stash.get(KIT, None)
    if kit is None:
        return
    report = outcome.get_result()
    if report.failed:
        item.stash[FAILED] = True
        again = f"again: pytest {shlex.quote(item.nodeid)} --facechain-seed {kit.seed}\n"
        report.sections.append(("facechain", kit.story() + again))
    if call.when == "teardown":
        from facechain_testkit.report import summary_of

        report.facechain = summary_of(item.nodeid, kit, is_marked=item.get_closest_marker(MARKER) is not None)


class _Summary:
    """Gathers what the tests left behind, also from other processes, and reports it at the end."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._summaries: list[dict[str, Any]] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        summary = getattr(report, "facechain", None)
        if summary is not None:
            self._summaries.append(summary)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        folder, least = (self._config.getoption(f"--facechain-{name}") for name in ("report", "cover-min"))
        if not folder and least is None:
            return
        from facechain_testkit.report import coverage, write_reports

        if folder:
            write_reports(folder, self._summaries, seed=self._config.getoption("--facechain-seed"))
        if least is not None and coverage(self._summaries).percent < least and session.exitstatus == 0:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        least = self._config.getoption("--facechain-cover-min")
        if not self._summaries and least is None:
            return
        from facechain_testkit.report import terminal_lines

        terminalreporter.section("facechain")
        for line in terminal_lines(self._summaries, least=least):
            terminalreporter.write_line(line)
