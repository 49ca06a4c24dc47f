"""The pytest plugin: fixtures, marker and options. Thin, and light until a fixture is used."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from facechain_testkit.kit import Facechain

MARKER = "facechain"
MARKER_HELP = (
    "facechain(scenario=None, plan=None, limits='documented', behaviours=None, clock='running', profile='calm', "
    "strict=False, strict_network=False): how the mocked vendor of this test behaves; strict fails the test on findings"
)
KIT: pytest.StashKey[Facechain] = pytest.StashKey()


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
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(_Summary(config), "facechain-summary")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A marked test has the mock also when it does not ask for the fixture."""
    for item in items:
        names = getattr(item, "fixturenames", None)
        if names is not None and item.get_closest_marker(MARKER) and "facechain" not in names:
            names.append("facechain")


@pytest.fixture(scope="session")
def facechain_settings() -> dict[str, Any]:
    """What every mocked vendor of the run is made with, as ``Facechain`` takes it; override it to choose."""
    return {}


@pytest.fixture
def facechain(request: pytest.FixtureRequest, facechain_settings: dict[str, Any]) -> Iterator[Facechain]:
    """A fresh mocked vendor, found by requests, httpx and aiohttp inside this process and at ``.base_url``."""
    from facechain_testkit.kit import Facechain

    marker = request.node.get_closest_marker(MARKER)
    chosen = {"seed": request.config.getoption("--facechain-seed"), **facechain_settings}
    chosen.update(marker.kwargs if marker else {})
    strict = chosen.pop("strict", False) or request.config.getoption("--facechain-strict")
    with Facechain(**chosen) as kit:
        request.node.stash[KIT] = kit
        yield kit
        if strict:
            kit.assert_clean()
            if marker and not len(kit.journal):
                raise AssertionError("this test is marked facechain and its client never called the vendor")


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
    from facechain_testkit.kit import Facechain

    chosen = {"seed": request.config.getoption("--facechain-seed"), **facechain_settings}
    with Facechain(**chosen).serving(*facechain_listen_address) as kit:
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
        again = f"again: pytest '{item.nodeid}' --facechain-seed {kit.seed}\n"
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
        if not self._summaries:
            return
        from facechain_testkit.report import coverage, write_reports

        folder = self._config.getoption("--facechain-report")
        if folder:
            write_reports(folder, self._summaries, seed=self._config.getoption("--facechain-seed"))
        least = self._config.getoption("--facechain-cover-min")
        if least is not None and coverage(self._summaries).percent < least and session.exitstatus == 0:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        if not self._summaries:
            return
        from facechain_testkit.report import terminal_lines

        terminalreporter.section("facechain")
        for line in terminal_lines(self._summaries, least=self._config.getoption("--facechain-cover-min")):
            terminalreporter.write_line(line)
