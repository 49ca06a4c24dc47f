"""The plugin as its users meet it: installed, found by its entry point, in runs of its own."""

from __future__ import annotations

import json
import os
import re
from importlib import import_module
from pathlib import Path
from xml.etree import ElementTree

import pytest

pytest_plugins = ["pytester"]

for each in ("doors.aiohttp", "doors.httpx", "doors.requests", "kit", "report"):
    import_module(f"facechain_testkit.{each}")  # what the runs inside import is there before, and stays when they end

CLIENT = """
import asyncio, os, sys, unittest
import aiohttp, httpx, pytest, requests
from facechain_testkit import Facechain, mock_facechain

BASE = "https://dashscope.aliyuncs.com/api/v1"
HEADERS = {"Authorization": "Bearer sk-test", "X-DashScope-Async": "enable"}
BODY = {
    "model": "facechain-generation",
    "parameters": {"style": "f_business_female", "n": 1},
    "resources": [{"resource_id": "women_model", "resource_type": "facelora"}],
}

def submit(**headers):
    answer = requests.post(f"{BASE}/services/aigc/album/gen_potrait", json=BODY, headers={**HEADERS, **headers})
    return answer.json().get("output", {}).get("task_id") or answer.json()["code"]

def query(task_id="none", base=BASE):
    return requests.get(f"{base}/tasks/{task_id}", headers=HEADERS).json()["output"]

def finish(facechain, task_id):
    while True:
        facechain.clock.advance("2s")
        output = query(task_id)
        if output["task_status"] == "SUCCEEDED":
            return [requests.get(each["url"]).content for each in output["results"]]
        if output["task_status"] == "FAILED":
            return output
"""


WITHOUT = ("-p", "no:schemathesis", "-p", "no:hypothesispytest", "-p", "no:cacheprovider")
"""Other plugins that take longer to import than these runs last."""


@pytest.fixture(autouse=True)
def _no_options_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """The runs inside are the user's, with the options of a user: none."""
    for name in ("PYTEST_ADDOPTS", "PYTEST_XDIST_WORKER", "PYTEST_XDIST_WORKER_COUNT"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def project(pytester: pytest.Pytester) -> pytest.Pytester:
    """A project with a client."""
    pytester.makeini("[pytest]\nasyncio_mode = auto\nasyncio_default_fixture_loop_scope = function\n")
    pytester.makepyfile(client=CLIENT)
    return pytester


def run(project: pytest.Pytester, test: str, *options: str, apart: bool = False) -> pytest.RunResult:
    """Run ``test``, which starts with what the client has; ``apart`` in a process of its own, which takes longer."""
    project.makepyfile(test_it=f"from client import *\n\n{test}")
    run_pytest = project.runpytest_subprocess if apart else project.runpytest_inprocess
    return run_pytest("-p", "no:randomly", *WITHOUT, *options)


# -- fixtures ---------------------------------------------------------------------------------------------------------


def test_a_test_has_a_fresh_mock_without_any_setting(project: pytest.Pytester) -> None:
    result = run(
        project,
        """
        seen = []

        def test_one(facechain):
            pictures = finish(facechain, submit())
            assert pictures[0].startswith(b"\\xff\\xd8\\xff")
            facechain.assert_clean()
            seen.append(facechain)

        def test_other(facechain):
            assert (len(facechain.journal), facechain.tasks) == (0, [])
            assert facechain is not seen[0]
        """.replace("\n        ", "\n"),
        apart=True,
    )
    result.assert_outcomes(passed=2)
    result.stdout.no_fnmatch_line("*Warning*")


def test_the_fixture_works_in_this_very_process_too(project: pytest.Pytester) -> None:
    project.makepyfile(test_it="def test_it(facechain): assert facechain.base_url\n")
    names = ("DASHSCOPE_API_KEY", "DASHSCOPE_HTTP_BASE_URL")
    before = [os.environ.get(name) for name in names]
    project.inline_run("-p", "no:randomly").assertoutcome(passed=1)
    assert [os.environ.get(name) for name in names] == before


def test_a_marked_test_need_not_name_the_fixture_and_has_it_first(project: pytest.Pytester) -> None:
    result = run(
        project,
        """
@pytest.fixture(scope="session")
def base():
    return os.environ.get("DASHSCOPE_API_KEY")

@pytest.fixture
def key():
    return os.environ["DASHSCOPE_API_KEY"]

@pytest.mark.facechain
def test_it(base, key):
    assert (base, key) == (None, "sk-mock")
    assert query()["task_status"] == "UNKNOWN"

@pytest.mark.facechain(scenario="arrears")
class TestAll:
    def test_one(self):
        assert submit() == "Arrearage"

    @pytest.mark.facechain(clock="frozen")
    def test_closer_markers_add_to_it(self, facechain):
        assert facechain.clock.frozen
        assert submit() == "Arrearage"

    @pytest.mark.facechain(scenario="unpurchased")
    def test_closer_markers_win(self):
        assert submit() == "AccessDenied.Unpurchased"

class TestOld(unittest.TestCase):
    @pytest.mark.facechain(scenario="arrears")
    def test_one(self):
        assert submit() == "Arrearage"
""",
    )
    result.assert_outcomes(passed=5)


def test_the_marker_takes_all_that_the_kit_takes(project: pytest.Pytester) -> None:
    result = run(
        project,
        """
@pytest.mark.facechain(
    plan={"progression": "immediate"}, limits="off", behaviours={"end-time": "seconds"},
    clock="2026-10-09 23:59:59", profile="calm", seed=9, strict_network=True,
)
def test_it(facechain):
    for _ in range(9):
        output = query(submit())
    assert output["submit_time"].startswith("2026-10-")
    assert "." not in output["end_time"]
    assert facechain.seed == 9
    with pytest.raises(requests.ConnectionError, match="strict_network"):
        requests.get("http://192.0.2.1")

@pytest.mark.facechain(profile="hostile", seed=None)
def test_hostile(facechain):
    assert list(facechain.faults)
    assert facechain.seed == 5
""",
        "--facechain-seed=5",
    )
    result.assert_outcomes(passed=2)


@pytest.mark.parametrize(
    ("marker", "told"),
    [
        ("scenarios='arrears'", "usage: the marker facechain has no argument 'scenarios'; nearest is 'scenario'*"),
        ("'arrears'", "usage: the marker facechain takes its arguments by name, not 'arrears'*"),
        ("scenario='arears'", "usage: facechain cannot be made so: *arrears*"),
        (
            "unknown_image='refuse'",
            "usage: the marker facechain has no argument 'unknown_image'; nearest is 'unknown_im*",
        ),
        ("unknown_images='drop'", "usage: facechain cannot be made so: *accept, refuse*"),
        ("assets='no/such/folder'", "usage: facechain cannot be made so: 'no/such/folder' is not a folder"),
        ("training={'progress': 1}", "usage: facechain cannot be made so: *nearest is 'progression'*"),
        ("event_url='https://example.com'", "usage: facechain cannot be made so: *"),
        ("clock='stopped'", "usage: facechain cannot be made so: clock is 'stopped'; it is running, frozen*"),
    ],
)
def test_a_mistake_in_the_marker_is_told_in_a_line(project: pytest.Pytester, marker: str, told: str) -> None:
    result = run(project, f"@pytest.mark.facechain({marker})\ndef test_it(): pass\ndef test_other(): pass\n")
    result.assert_outcomes(errors=1, passed=1)
    result.stdout.fnmatch_lines([told])
    result.stdout.no_fnmatch_line("*plugin.py*")


def test_the_marker_says_how_trainings_go_and_what_photos_there_are(project: pytest.Pytester) -> None:
    folder = project.mkdir("photos")
    (folder / "me.jpg").write_bytes(b"no photo")
    result = run(
        project,
        """
API = "https://dashscope.aliyuncs.com/api/v1"

def post(facechain, path, body):
    headers = {"Authorization": f"Bearer {facechain.api_key}"}
    return requests.post(f"{API}/{path}", json=body, headers=headers).json()["output"]

@pytest.mark.facechain(training={"outcome": {"status": "FAILED"}}, clock="frozen")
def test_training(facechain):
    post(facechain, "fine-tunes", {"model": "facechain-finetune", "training_file_ids": ["https://x.test/me.jpg"]})
    assert facechain.jobs[0].plan.outcome.status == "FAILED"

@pytest.mark.facechain(assets="photos", unknown_images="refuse", event_url="http://127.0.0.1:9/")
def test_photos(facechain):
    urls = ["https://assets.facechain.test/me.jpg", "https://x.test/me.jpg", facechain.add_asset("you.jpg", faces=2)]
    body = {"model": "facechain-facedetect", "input": {"images": urls}}
    told = post(facechain, "services/vision/facedetection/detect", body)
    assert told["is_face"] == [False, False, False]
    assert told["failed_reason"][0] == "image format not supported"
""",
    )
    result.assert_outcomes(passed=2)


def test_the_marker_is_registered_and_explained(project: pytest.Pytester) -> None:
    result = run(project, "@pytest.mark.facechain\ndef test_it(): pass\n", "--strict-markers")
    result.assert_outcomes(passed=1)
    project.runpytest_inprocess(*WITHOUT, "--markers").stdout.fnmatch_lines(
        ["@pytest.mark.facechain(scenario=None, plan=None*"]
    )
    project.runpytest_inprocess(*WITHOUT, "--fixtures", "-v").stdout.fnmatch_lines(
        ["facechain -- *", "*fresh mocked vendor*"]
    )
    project.runpytest_inprocess(*WITHOUT, "--help").stdout.fnmatch_lines(
        ["mocked DashScope FaceChain:", "*--facechain-seed*"]
    )


def test_settings_and_address_can_be_overridden(project: pytest.Pytester) -> None:
    project.makeconftest(
        """
import pytest

@pytest.fixture(scope="session")
def facechain_settings():
    return {"limits": "off", "scenario": "failed-algo", "strict": False}

@pytest.fixture(scope="session")
def facechain_listen_address():
    return ("localhost", 0)
"""
    )
    result = run(
        project,
        """
def test_settings(facechain):
    facechain.clock.advance("1h")
    assert finish(facechain, submit())["code"] == "InternalError.Algo"

@pytest.mark.facechain(scenario="arrears")
def test_the_marker_wins(facechain):
    assert submit() == "Arrearage"

def test_address(facechain_server):
    assert facechain_server.base_url.startswith("http://localhost:")
""",
    )
    result.assert_outcomes(passed=3)


def test_the_server_lives_through_the_run(project: pytest.Pytester) -> None:
    result = run(
        project,
        """
urls = set()

@pytest.mark.parametrize("number", [1, 2, 3])
def test_it(facechain_server, number):
    urls.add(facechain_server.base_url)
    assert query(base=facechain_server.base_url)["task_status"] == "UNKNOWN"
    assert (len(urls), len(facechain_server.journal)) == (1, number)
    assert "DASHSCOPE_API_KEY" not in os.environ

def test_a_reset_keeps_tests_apart(facechain_server):
    facechain_server.reset()
    assert len(facechain_server.journal) == 0

def test_beside_a_mock_of_the_tests_own(facechain_server, facechain):
    query()
    query(base=facechain_server.base_url)
    assert (len(facechain_server.journal), len(facechain.journal)) == (1, 1)
""",
    )
    result.assert_outcomes(passed=5)


def test_environment_and_sdk_are_pointed_here_and_put_back(project: pytest.Pytester) -> None:
    result = run(
        project,
        """
os.environ["DASHSCOPE_HTTP_BASE_URL"] = "https://example.org/api/v1"

def test_imported_inside(facechain):
    import dashscope
    assert dashscope.base_http_api_url == BASE
    assert dashscope.api_key == os.environ["DASHSCOPE_API_KEY"] == facechain.api_key

def test_put_back():
    dashscope = sys.modules["dashscope"]
    assert dashscope.base_http_api_url == os.environ["DASHSCOPE_HTTP_BASE_URL"] == "https://example.org/api/v1"
    assert dashscope.api_key is None
    assert "DASHSCOPE_API_KEY" not in os.environ
    dashscope.api_key = "sk-of-the-user"

def test_imported_before(facechain):
    dashscope = sys.modules["dashscope"]
    assert (dashscope.base_http_api_url, dashscope.api_key) == (BASE, facechain.api_key)
    url = facechain.base_url
    assert dashscope.base_http_api_url == os.environ["DASHSCOPE_HTTP_BASE_URL"] == url

def test_put_back_again():
    dashscope = sys.modules["dashscope"]
    assert (dashscope.base_http_api_url, dashscope.api_key) == ("https://example.org/api/v1", "sk-of-the-user")
""",
        "-W",
        "ignore",
        apart=True,
    )
    result.assert_outcomes(passed=4)


# -- what a run tells -------------------------------------------------------------------------------------------------

FAILING = """
def test_it(facechain):
    task_id = submit()
    query(task_id)
    query(task_id)
    assert query(task_id)["task_status"] == "RUNNING"
"""


def test_a_failing_test_tells_its_story(project: pytest.Pytester) -> None:
    result = run(project, FAILING, "--facechain-seed=7", "--tb=line")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "*- facechain -*",
            "1 task, 4 requests, 0.18 CNY, seed 7",
            "  task * f_business_female x1  submitted 09:00:0*, running +*, SUCCEEDED +*",
            "  #1 09:00:0* POST /api/v1/services/aigc/album/gen_potrait 200*",
            "  #2 09:00:0* GET /api/v1/tasks/* 200 RUNNING",
            "  #3 09:00:0* GET /api/v1/tasks/* 200 SUCCEEDED",
            "  #4 09:00:0* GET /api/v1/tasks/* 200 SUCCEEDED",
            "  should pictures-unfetched (#1, #3)*",
            "         Fetch every results*",
            "again: pytest test_it.py::test_it --facechain-seed 7",
        ]
    )


def test_the_way_to_run_it_again_is_for_a_shell(project: pytest.Pytester) -> None:
    result = run(
        project, "@pytest.mark.parametrize('x', [\"it's\"])\ndef test_it(facechain, x): assert False\n", "--tb=line"
    )
    result.stdout.fnmatch_lines(["again: pytest 'test_it.py::test_it[[]it'\"'\"'s]' --facechain-seed 0"])


def test_a_passing_test_tells_nothing_but_the_price(project: pytest.Pytester) -> None:
    result = run(project, "def test_it(facechain):\n    finish(facechain, submit())\n", "-rA")
    result.assert_outcomes(passed=1)
    result.stdout.no_fnmatch_line("*#1*")
    result.stdout.fnmatch_lines(["*= facechain =*", "1 test with the mock, 1 task, *", "would have cost 0.18 CNY*"])


def test_a_run_without_the_mock_is_told_nothing(project: pytest.Pytester) -> None:
    result = run(project, "def test_it(): pass\n")
    result.assert_outcomes(passed=1)
    result.stdout.no_fnmatch_line("*= facechain =*")


def test_reports_are_written_on_request(project: pytest.Pytester) -> None:
    result = run(project, FAILING + "\ndef test_alone(): pass\n", "--facechain-report", "out/facechain", apart=True)
    result.assert_outcomes(failed=1, passed=1)
    folder = project.path / "out" / "facechain"
    assert {path.name for path in folder.iterdir()} == {"findings.json", "junit.xml", "report.html"}
    found = json.loads((folder / "findings.json").read_text(encoding="utf-8"))
    assert [test["test"] for test in found["tests"]] == ["test_it.py::test_it"]
    suite = ElementTree.parse(folder / "junit.xml").getroot()  # noqa: S314 - our own
    assert (suite.get("tests"), suite.get("failures")) == ("1", "1")
    assert "test_it" in (folder / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(("least", "code"), [("1", 0), ("99", 1)])
def test_a_run_that_shows_too_little_fails(project: pytest.Pytester, least: str, code: int) -> None:
    result = run(
        project, "def test_it(facechain):\n    finish(facechain, submit())\n", f"--facechain-cover-min={least}"
    )
    result.assert_outcomes(passed=1)
    assert result.ret == code
    asks = "FAILED: * of the behaviour, and --facechain-cover-min asks for 99 %"
    if code:
        result.stdout.fnmatch_lines([asks])
    else:
        result.stdout.no_fnmatch_line(asks)


def test_a_run_that_shows_nothing_fails_too(project: pytest.Pytester) -> None:
    result = run(project, "def test_it(): pass\n", "--facechain-cover-min=10")
    result.stdout.fnmatch_lines(["FAILED: 0 % of the behaviour, and --facechain-cover-min asks for 10 %"])
    assert result.ret == 1


# -- strictness is a choice -------------------------------------------------------------------------------------------

CARELESS = """
@pytest.mark.facechain({arguments})
def test_it(facechain):
    submit()
"""


def test_a_finding_fails_no_test_unless_it_is_strict(project: pytest.Pytester) -> None:
    result = run(project, CARELESS.format(arguments=""))
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["  should task-abandoned: *"])


@pytest.mark.parametrize(("arguments", "options"), [("strict=True", ()), ("", ("--facechain-strict",))])
def test_a_finding_fails_a_strict_test_with_advice(
    project: pytest.Pytester, arguments: str, options: tuple[str, ...]
) -> None:
    result = run(project, CARELESS.format(arguments=arguments), *options)
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["the client was advised against:", "  should task-abandoned*"])
    result.stdout.fnmatch_lines(["*- facechain -*", "again: pytest test_it.py::test_it --facechain-seed 0"])
    result.stdout.no_fnmatch_line("*kit.py*")


def test_a_strict_test_that_failed_fails_once(project: pytest.Pytester) -> None:
    result = run(project, CARELESS.format(arguments="strict=True") + "    assert False\n")
    result.assert_outcomes(failed=1)


def test_a_marked_test_that_never_calls_is_named(project: pytest.Pytester) -> None:
    test = "@pytest.mark.facechain\ndef test_idle(): pass\ndef test_unmarked(facechain): pass\n"
    result = run(project, test)
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["marked facechain, and its client never called the mock: test_it.py::test_idle"])
    result.stdout.no_fnmatch_line("*never called the mock: *test_unmarked*")
    strict = run(project, test, "--facechain-strict")
    strict.assert_outcomes(passed=2, errors=1)
    strict.stdout.fnmatch_lines(["*marked facechain and its client never called the vendor"])


# -- beside other plugins ---------------------------------------------------------------------------------------------

MANY = """
@pytest.mark.parametrize("number", range(8))
def test_it(facechain, number):
    assert len(facechain.journal) == 0
    finish(facechain, submit())
    facechain.base_url
    assert len(facechain.tasks) == 1

@pytest.mark.facechain
def test_idle(): pass
"""


@pytest.mark.parametrize("options", [("-n", "2"), ("-p", "randomly", "-p", "xdist", "-n", "2"), ("-p", "randomly")])
def test_many_processes_and_any_order_make_one_report(project: pytest.Pytester, options: tuple[str, ...]) -> None:
    project.makepyfile(test_it=f"from client import *\n\n{MANY}")
    result = project.runpytest_subprocess(*WITHOUT, *options, "--facechain-report=out", "--facechain-seed=4")
    result.assert_outcomes(passed=9)
    result.stdout.fnmatch_lines(
        [
            "9 tests with the mock, 8 tasks, *",
            "would have cost 1.44 CNY*",
            "*never called the mock: test_it.py::test_idle",
        ]
    )
    found = json.loads((project.path / "out" / "findings.json").read_text(encoding="utf-8"))
    assert (found["seed"], {test["seed"] for test in found["tests"]}) == (4, {4})


def test_a_failure_in_another_process_tells_its_story_too(project: pytest.Pytester) -> None:
    result = run(project, FAILING, "-n", "2", "--facechain-seed=7")
    result.stdout.fnmatch_lines(["*- facechain -*", "1 task, 4 requests, 0.18 CNY, seed 7", "again: *"])


ASYNC = """
async def flow():
    async with aiohttp.ClientSession(headers=HEADERS) as session:
        async with session.post(f"{BASE}/services/aigc/album/gen_potrait", json=BODY) as answer:
            task_id = (await answer.json())["output"]["task_id"]
    async with httpx.AsyncClient(headers=HEADERS) as client:
        answers = await asyncio.gather(*(client.get(f"{BASE}/tasks/{task_id}") for _ in range(3)))
    return [answer.json()["output"]["task_status"] for answer in answers]

EXPECTED = ["RUNNING", "SUCCEEDED", "SUCCEEDED"]
"""


def test_async_tests_have_it_under_pytest_asyncio(project: pytest.Pytester) -> None:
    result = run(
        project,
        ASYNC
        + """
async def test_fixture(facechain):
    assert await flow() == EXPECTED
    assert len(facechain.journal) == 4

@pytest.mark.facechain
async def test_marker():
    assert await flow() == EXPECTED

@mock_facechain()
async def test_decorator(facechain):
    assert await flow() == EXPECTED
    assert len(facechain.journal) == 4
""",
        apart=True,
    )
    result.assert_outcomes(passed=3)


def test_async_tests_have_it_under_anyio(project: pytest.Pytester) -> None:
    result = run(
        project,
        ASYNC
        + """
pytestmark = pytest.mark.anyio

@pytest.fixture
def anyio_backend():
    return "asyncio"

async def test_fixture(facechain):
    assert await flow() == EXPECTED
    assert len(facechain.journal) == 4

@pytest.mark.facechain
async def test_marker():
    assert await flow() == EXPECTED
""",
        "-p",
        "no:asyncio",
        "-o",
        "addopts=",
        "-W",
        "ignore::pytest.PytestConfigWarning",
        apart=True,
    )
    result.assert_outcomes(passed=2)


def test_the_decorator_works_on_a_unittest_class(project: pytest.Pytester) -> None:
    result = run(
        project,
        """
@mock_facechain(scenario="arrears")
class TestOld(unittest.TestCase):
    def test_one(self):
        self.assertEqual(submit(), "Arrearage")

    def test_two(self, facechain):
        self.assertEqual(len(facechain.journal), 0)

    def helper(self):
        raise NotImplementedError

@mock_facechain()
def test_with_parameters(tmp_path, facechain):
    assert tmp_path.is_dir()
    assert query()["task_status"] == "UNKNOWN"
""",
    )
    result.assert_outcomes(passed=3)


def test_a_user_of_responses_is_not_disturbed(project: pytest.Pytester) -> None:
    result = run(
        project,
        """
import responses

@responses.activate
def test_it(facechain):
    responses.get("https://example.org/", body="theirs")
    assert requests.get("https://example.org/").text == "theirs"
    assert query()["task_status"] == "UNKNOWN"
    assert len(responses.calls) == 1
""",
    )
    result.assert_outcomes(passed=1)


def test_the_plugin_can_be_switched_off(project: pytest.Pytester) -> None:
    result = run(project, "def test_it(facechain): pass\n", "-p", "no:facechain")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*fixture 'facechain' not found"])


def test_the_entry_point_leads_to_the_plugin() -> None:
    text = (Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8")
    assert re.search(r'entry-points\.pytest11\]\nfacechain = "facechain_testkit\.plugin"', text)
