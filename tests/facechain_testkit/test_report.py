"""The report of a run: summaries of tests, behaviour coverage, lines for the terminal, and three files."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping
from contextlib import suppress
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import requests
from execnet.gateway_base import dumps, loads

from contracts import catalogue
from facechain_testkit.client import FaceChainError, PortraitClient
from facechain_testkit.coverage import KINDS_OF_ITEM, PARTS, Item, shown_by, universe
from facechain_testkit.kit import API_KEY, VENDOR_URL, Facechain
from facechain_testkit.report import coverage, summary_of, terminal_lines, totals, write_reports
from facechain_testkit.report_page import duration, page
from mock_server.core.model import TaskStatus

GOOD = catalogue.examples("portrait-request")["good"]["preset-style"]
HEADERS = {"Authorization": f"Bearer {API_KEY}", "X-DashScope-Async": "enable"}
PHOTO = "https://assets.facechain.test/me.jpg"
SLOW = {"progression": "time", "pending_ms": 200, "running_ms": 60_000}
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
BROWSER_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND",  # the browser's own calls home do not leave this machine either
)


# -- clients ----------------------------------------------------------------------------------------------------------


def submit(n: int = 4, key: str = API_KEY) -> str | None:
    """The id of the new task, or None when there is no answer or no task in it."""
    body = {**GOOD, "parameters": {**GOOD["parameters"], "n": n}}
    headers = {**HEADERS, "Authorization": f"Bearer {key}"}
    url = f"{VENDOR_URL}/services/aigc/album/gen_potrait"
    with suppress(requests.RequestException):
        answer = requests.post(url, json=body, headers=headers, timeout=60).json()
        return str(answer["output"]["task_id"]) if "output" in answer else None
    return None


def query(task_id: str | None) -> dict[str, Any]:
    """What the answer has under ``output``; empty when there is no such thing."""
    with suppress(requests.RequestException):
        answer = requests.get(f"{VENDOR_URL}/tasks/{task_id}", headers=HEADERS, timeout=60).json()
        return dict(answer.get("output", {}))
    return {}


def fetch(output: Mapping[str, Any]) -> None:
    for result in output.get("results", ()):
        if "url" in result:
            with suppress(requests.RequestException):
                requests.get(result["url"], timeout=60)


def live_through(kit: Facechain) -> None:
    """Submit until a task is accepted, query it on and on, and fetch whatever there is."""
    task_id: str | None = None
    output: dict[str, Any] = {}
    for _ in range(3):
        task_id = task_id or submit()
        kit.clock.advance("2s")
    for _ in range(5):
        output = query(task_id) or output
        kit.clock.advance("2s")
    fetch(output)


def pay_twice(kit: Facechain) -> None:
    """The same portrait again while the first task runs, and no look at either."""
    submit()
    kit.clock.advance("1s")
    submit()


def ask_wrongly(kit: Facechain) -> None:
    submit(n=9)


def nothing(kit: Facechain) -> None:
    """A client that forgets to call."""


def summary(client: Callable[[Facechain], object], name: str = "tests/test_a.py::test_b", **chosen: Any) -> Any:
    """The summary of a test in which ``client`` met a mocked vendor."""
    with Facechain(clock="frozen", **chosen) as kit:
        client(kit)
        return summary_of(name, kit, is_marked=True)


def a_run() -> list[dict[str, Any]]:
    """A run with a bit of everything."""
    return [
        summary(live_through, "tests/test_a.py::test_happy"),
        summary(pay_twice, "tests/test_a.py::TestMoney::test_spends[twice]", plan=SLOW),
        summary(ask_wrongly, "tests/test_b.py::test_nine"),
        summary(live_through, "tests/test_b.py::test_lost", scenario="lost-submit"),
        summary(live_through, "tests/test_b.py::test_throttled", scenario="poll-429"),
        summary(_a_day_later, "tests/test_b.py::test_old"),
        summary(nothing, "tests/test_b.py::test_idle"),
    ]


# -- behaviour coverage -----------------------------------------------------------------------------------------------


def _too_many_submissions(kit: Facechain) -> None:
    for _ in range(3):
        submit()


def _too_many_queries(kit: Facechain) -> None:
    for _ in range(21):
        query("any")


def _two_tasks(kit: Facechain) -> None:
    query(submit() and submit(n=1))


def _a_day_later(kit: Facechain) -> None:
    task_id = submit()
    query(task_id)
    query(task_id)
    kit.clock.advance("24h")
    query(task_id)


def _three_hours_later(kit: Facechain) -> None:
    kit.plan_next(progression="time", running_ms=24 * 3_600_000)
    task_id = submit()
    kit.clock.advance("3h")
    query(task_id)


def client_of(kit: Facechain) -> PortraitClient:
    """The reference client, which waits by the vendor's clock."""
    return PortraitClient(api_key=API_KEY, sleep=kit.clock.advance, now=lambda: kit.clock.now_ms() / 1000)


def train(kit: Facechain) -> None:
    """One training, seen to its end."""
    with suppress(FaceChainError):
        client_of(kit).train([PHOTO])


def detect(kit: Facechain) -> None:
    """One good photo, and one without a face."""
    client_of(kit).detect([PHOTO, f"{PHOTO}?faces=0"])


def keep_files(kit: Facechain) -> None:
    """One file, larger than a kilobyte."""
    files = {"files": ("me.jpg", bytes(2_000))}
    requests.post(f"{VENDOR_URL}/files", files=files, headers={"Authorization": f"Bearer {API_KEY}"}, timeout=9)


def upload(kit: Facechain) -> None:
    client_of(kit).upload(b"a photo")


def _too_many_detections(kit: Facechain) -> None:
    for _ in range(6):
        with suppress(FaceChainError):
            client_of(kit).detect([PHOTO])


def _two_trainings(kit: Facechain) -> str:
    client = client_of(kit)
    client.submit_training([PHOTO])
    kit.clock.advance(1)
    return client.submit_training([f"{PHOTO}?faces=1"])


def _train_twice_at_once(kit: Facechain) -> None:
    client = client_of(kit)
    client.submit_training([PHOTO])
    client.submit_training([f"{PHOTO}?faces=1"])


def _too_many_policies(kit: Facechain) -> None:
    for _ in range(101):
        _policy()


def _policy() -> dict[str, Any]:
    asked = {"action": "getPolicy", "model": "facechain-generation"}
    headers = {"Authorization": f"Bearer {API_KEY}"}
    answer = requests.get(f"{VENDOR_URL}/uploads", params=asked, headers=headers, timeout=9)
    return dict(answer.json().get("data", {}))


def _late_upload(kit: Facechain) -> None:
    policy = _policy()
    kit.clock.advance("5m")
    form = {name: policy[of] for name, of in {"OSSAccessKeyId": "oss_access_key_id", "Signature": "signature"}.items()}
    form["policy"] = policy["policy"]
    requests.post(policy["upload_host"], data=form, files={"file": b"a photo"}, timeout=9)


def _look(job_id: str) -> str:
    headers = {"Authorization": f"Bearer {API_KEY}"}
    answer = requests.get(f"{VENDOR_URL}/fine-tunes/{job_id}", headers=headers, timeout=9).json()
    return str(answer.get("output", answer).get("status"))


def _cancelled(kit: Facechain, wait_s: int) -> None:
    kit.plan_next_job(progression="time", running_ms=60_000)
    job_id = client_of(kit).submit_training([PHOTO])
    headers = {"Authorization": f"Bearer {API_KEY}"}
    _look(job_id)
    assert requests.post(f"{VENDOR_URL}/fine-tunes/{job_id}/cancel", headers=headers, timeout=9).status_code == 200
    kit.clock.advance(wait_s)
    _look(job_id)


CLIENTS = {
    "portraits": live_through,
    "trainings": train,
    "detections": detect,
    "files": keep_files,
    "uploads": upload,
}
"""A client of each part of the vendor."""

BY_HAND: dict[str, Callable[[Facechain], object]] = {
    "limits.rate.submissions": _too_many_submissions,
    "limits.rate.task-calls": _too_many_queries,
    "limits.concurrency.running": _two_tasks,
    "lifetimes.task.retention": _a_day_later,
    "lifetimes.task.timeout": _three_hours_later,
    "limits.rate.detections": _too_many_detections,
    "limits.rate.jobs": _train_twice_at_once,
    "limits.rate.policies": _too_many_policies,
    "trainings.QUEUING": lambda kit: _look(_two_trainings(kit)),
    "trainings.CANCELING": lambda kit: _cancelled(kit, 0),
    "trainings.CANCELED": lambda kit: _cancelled(kit, 1),
    "trainings.SUCCEEDED": train,
    "errors.404-final": lambda _kit: _look("ft-202601010000-0000"),
    "photos.policy": _late_upload,
}
"""How to show what neither a scenario nor a fault shows, as the item's own words tell it."""


@pytest.mark.breaks_contract
@pytest.mark.parametrize("item", universe(), ids=lambda item: item.id)
def test_every_behaviour_is_shown_in_the_way_it_names(item: Item) -> None:
    scenario = item.how.removeprefix("scenario ") if item.how.startswith("scenario ") else None
    with Facechain(clock="frozen", scenario=scenario) as kit:
        if item.id in BY_HAND:
            BY_HAND[item.id](kit)
        else:
            if scenario is None:
                eval(item.how, {"facechain": kit})  # noqa: S307 - the line that the report tells people to write
            CLIENTS[item.part](kit)
        assert item.id in summary_of("a test", kit, is_marked=False)["shown"][item.kind]


def test_the_behaviours_are_those_of_the_contract() -> None:
    ids = [item.id for item in universe()]
    assert len(ids) == len(set(ids))
    assert {f"states.{status.value}" for status in TaskStatus} <= set(ids)
    assert {f"limits.{id_}" for id_ in catalogue.rules() if id_.startswith("rate.")} <= set(ids)
    assert {item.kind for item in universe()} == set(KINDS_OF_ITEM)
    assert {"errors.400-account", "errors.429-retry", "errors.429-final", "errors.502-html"} <= set(ids)


@pytest.mark.breaks_contract
@pytest.mark.parametrize("name", [name for name, row in catalogue.scenarios().items() if row.plan or row.faults])
def test_every_scenario_shows_something_else_than_the_happy_way(name: str) -> None:
    assert coverage([summary(live_through, scenario=name)]).shown != coverage([summary(live_through)]).shown


def test_an_answer_that_did_not_arrive_shows_only_the_failure_of_the_line() -> None:
    """RUNNING was in the first answer, which broke off; the second one broke off too."""
    shown = summary(live_through, scenario="poll-truncated")["shown"]
    assert shown["states"] == ["states.SUCCEEDED"]
    assert shown["line"] == ["line.poll-cut"]


def test_an_answer_that_cannot_be_read_shows_no_status() -> None:
    with Facechain() as kit:
        query(submit())
        world = kit._world
    entry = world.journal.entries()[-1]
    entry.trace.faults = ["fault-1"]
    readable, garbled = (
        shown_by([entry], world.ledger.lines(), {"fault-1": {"kind": kind}}) for kind in ("extra-fields", "garbage")
    )
    assert readable["states"] == ["states.RUNNING"]
    assert garbled["states"] == []


def test_a_refusal_that_was_lost_on_the_way_is_not_shown() -> None:
    assert summary(live_through, scenario="lost-submit")["shown"]["errors"] == []


def test_a_pending_task_that_waits_for_nobody_does_not_show_the_queue() -> None:
    shown = summary(lambda _: query(submit()), scenario="slow-start")["shown"]
    assert shown["states"] == ["states.PENDING"]
    assert shown["limits"] == []


def test_coverage_grows_with_what_the_tests_show() -> None:
    happy, failed = summary(live_through), summary(live_through, scenario="failed-algo")
    one, two, both = coverage([happy]), coverage([failed]), coverage([happy, failed])
    assert 0 < one.percent < both.percent < 100
    assert set(both.shown) == set(one.shown) | set(two.shown)
    of_portraits = [item for item in universe() if item.part == "portraits"]
    assert both.total == len(of_portraits) == len(both.shown) + sum(len(items) for items in both.missing.values())


def test_what_nobody_has_shown_is_missing_by_kind() -> None:
    nothing_shown = coverage([{**summary(nothing), "parts": list(CLIENTS)}])
    assert nothing_shown.percent == 0
    assert list(nothing_shown.missing) == list(KINDS_OF_ITEM)


@pytest.mark.parametrize("part", [part for part in CLIENTS if part != "portraits"])
def test_a_part_of_the_vendor_is_missed_by_those_who_use_it(part: str) -> None:
    items = {item for item in universe() if item.part == part}
    told = summary(CLIENTS[part])
    assert told["parts"] == [part]
    cover = coverage([told])
    assert items
    assert items <= {*cover.shown, *(item for missing in cover.missing.values() for item in missing)}
    without = coverage([summary(live_through)])
    assert not items & {item for missing in without.missing.values() for item in missing}


def test_every_part_has_behaviour_and_a_client() -> None:
    assert {item.part for item in universe()} == {"portraits", *PARTS.values()} == set(CLIENTS)
    of_portraits = {"submit_portrait", "query_task", "list_tasks", "cancel_task"}
    assert {row["operationId"] for row in operations()} == {*PARTS, *of_portraits}
    assert {item.part for item in universe() if item.id.startswith("errors.404")} == {"trainings"}


def operations() -> list[dict[str, Any]]:
    return [row for methods in catalogue.openapi()["paths"].values() for row in methods.values()]


def test_all_scenarios_and_their_hints_together_reach_everything() -> None:
    shown = {kind: [item.id for item in universe() if item.kind == kind] for kind in KINDS_OF_ITEM}
    whole = coverage([{"shown": shown}])
    assert (whole.percent, whole.missing) == (100, {})


# -- summaries --------------------------------------------------------------------------------------------------------


def test_a_summary_tells_of_tasks_requests_findings_and_money() -> None:
    told = summary(pay_twice, plan=SLOW)
    first, second = told["tasks"]
    assert (first["style"], first["n"], first["status"], first["request"]) == (
        GOOD["parameters"]["style"],
        4,
        "RUNNING",
        1,
    )
    assert second["repeats"] == first["id"]
    assert second["submitted_ms"] - first["submitted_ms"] == 1_000
    assert [request["number"] for request in told["requests"]] == [1, 2]
    assert told["requests"][0]["operation"] == "submit_portrait"
    assert told["findings"][0]["id"] == "submitted-twice"
    assert (told["ledger"]["expected"], told["ledger"]["spent_twice"], told["ledger"]["duplicates"]) == (1.44, 0.72, 1)
    assert told["counts"]["findings"]["must"] == 1
    assert not told["never_called"]


def test_a_task_that_the_vendor_forgot_is_told_of_all_the_same() -> None:
    told = summary(_a_day_later)
    assert [task["status"] for task in told["tasks"]] == ["SUCCEEDED"]
    assert told["requests"][-1]["shown"] == "UNKNOWN"


def test_a_request_tells_why_it_was_refused() -> None:
    refused = summary(ask_wrongly)["requests"][0]
    assert (refused["status"], refused["rule"]) == (400, "portrait.n.range")
    assert "9 is above 4" in refused["explanation"]


@pytest.mark.parametrize("is_marked", [True, False])
def test_only_a_marked_test_is_blamed_for_not_calling(is_marked: bool) -> None:
    with Facechain() as kit:
        assert summary_of("a test", kit, is_marked=is_marked)["never_called"] is is_marked


def test_a_summary_travels_between_processes() -> None:
    for told in a_run():
        assert loads(dumps(told)) == told
        assert json.loads(json.dumps(told)) == told


def test_a_summary_holds_the_latest_requests_and_counts_them_all() -> None:
    def ask_on(kit: Facechain) -> None:
        for _ in range(520):
            kit.clock.advance("1s")
            query("any")

    told = summary(ask_on)
    assert [told["requests"][0]["number"], told["requests"][-1]["number"]] == [21, 520]
    assert told["counts"]["requests"] == 520


def test_no_key_is_in_the_reports(tmp_path: Path) -> None:
    secret = "sk-0123456789abcdefSECRET"
    write_reports(tmp_path, [summary(lambda _: submit(key=secret))], seed=0)
    assert all("SECRET" not in file.read_text() for file in tmp_path.iterdir())


# -- the terminal -----------------------------------------------------------------------------------------------------


def test_the_terminal_gets_a_short_account() -> None:
    lines = terminal_lines([summary(pay_twice, plan=SLOW), summary(nothing, "tests/test_b.py::test_idle")], least=50)
    text = "\n".join(lines)
    assert lines[0] == "2 tests with the mock, 2 tasks, 2 requests, 1 test with findings"
    assert lines[1] == "would have cost 1.44 CNY and 55.9 s live; cost nothing here"
    assert lines[2] == "of that 0.72 CNY would have been spent twice, by 1 repeated submission"
    assert lines[3].startswith("findings: 1 must")
    assert "must   submitted-twice" in lines[4]
    assert "(#1, #2)" in lines[4]
    of_portraits = [item for item in universe() if item.part == "portraits"]
    assert f"behaviour shown to the clients: 0 of {len(of_portraits)}, 0 %" in lines
    assert "show it with: scenario slow-start" in text
    assert "never called the mock: tests/test_b.py::test_idle" in text
    assert lines[-1] == "FAILED: 0 % of the behaviour, and --facechain-cover-min asks for 50 %"
    assert len(lines) < 25


def test_a_training_stands_in_the_account_with_its_price() -> None:
    lines = terminal_lines([summary(train), summary(detect), summary(upload)], least=None)
    assert lines[0] == "3 tests with the mock, 0 tasks, 1 training, 6 requests, 0 tests with findings"
    assert lines[1] == "would have cost 2.50 CNY and 5 min 1 s live; cost nothing here"


def test_a_run_of_detections_alone_has_nothing_to_pay() -> None:
    lines = terminal_lines([summary(detect)], least=None)
    assert lines[:2] == [
        "1 test with the mock, 0 tasks, 1 request, 0 tests with findings",
        "nothing was submitted, so nothing would have been paid",
    ]


def test_a_clean_run_is_told_in_few_lines() -> None:
    lines = terminal_lines([summary(nothing)], least=None)
    assert lines[1] == "nothing was submitted, so nothing would have been paid"
    assert not any(line.startswith(("findings:", "FAILED")) for line in lines)


def test_enough_coverage_is_not_remarked_on() -> None:
    told = [summary(live_through)]
    assert not any(line.startswith("FAILED") for line in terminal_lines(told, least=coverage(told).percent))


def test_the_terminal_gets_no_control_characters() -> None:
    told = summary(nothing, "test_\x1b[31mred\x07")
    assert not re.search(r"[\x00-\x1f]", "".join(terminal_lines([told], least=None)))


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (27.9, "27.9 s"), (60, "1 min"), (252, "4 min 12 s"), (3_600, "1 h"), (7_325, "2 h 2 min")],
)
def test_a_duration_reads_as_people_say_it(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def junit(folder: Path) -> ElementTree.Element:
    return ElementTree.parse(folder / "junit.xml").getroot()  # noqa: S314 - we have just written it


def page_of(told: list[dict[str, Any]]) -> str:
    return page(told, totals(told), coverage(told), seed=0)


# -- the files --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the reports of a run."""
    folder = tmp_path_factory.mktemp("facechain") / "made" / "here"
    write_reports(folder, a_run(), seed=3)
    return folder


def test_findings_json_has_a_version_and_everything(reports: Path) -> None:
    content = json.loads((reports / "findings.json").read_text(encoding="utf-8"))
    assert (content["version"], content["seed"]) == (1, 3)
    assert content["tests"] == a_run()
    assert content["totals"]["tests"] == 7
    assert content["coverage"]["missing"]["errors"][0].keys() == {"id", "kind", "label", "how", "part"}


def test_junit_has_a_case_for_each_test_and_a_failure_for_each_grave_finding(reports: Path) -> None:
    suites = junit(reports)
    suite = suites.find("testsuite")
    assert suite is not None
    cases = suite.findall("testcase")
    failed = [case for case in cases if case.find("failure") is not None]
    told = a_run()
    grave = [f for each in told for f in each["findings"] if f["level"] in ("must", "should")]
    assert suites.tag == "testsuites"
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("7", str(len(failed)), "0")
    assert len(suite.findall("testcase/failure")) == len(grave) > 0
    assert (cases[1].get("classname"), cases[1].get("name")) == ("tests.test_a.TestMoney", "test_spends[twice]")
    failure = cases[1].find("failure")
    assert failure is not None
    assert failure.get("type") == "must"
    assert "submitted-twice" in str(failure.get("message"))
    assert "adopt" in str(failure.text)
    assert suite.get("skipped") == "1"
    assert cases[-1].find("skipped") is not None


def test_the_same_run_gives_the_same_files(reports: Path, tmp_path: Path) -> None:
    write_reports(tmp_path, a_run(), seed=3)
    for file in reports.iterdir():
        assert (tmp_path / file.name).read_bytes() == file.read_bytes()


class Page(HTMLParser):
    """What stands in a page; raises when its tags do not close in order."""

    VOID = frozenset({"meta", "wbr"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def values(self, name: str) -> list[str]:
        return [value for _, attributes in self.tags if (value := attributes.get(name)) is not None]


def test_the_page_loads_nothing_and_runs_nothing(reports: Path) -> None:
    text = (reports / "report.html").read_text(encoding="utf-8")
    page = Page(text)
    policy = next(tag["content"] for name, tag in page.tags if tag.get("http-equiv") == "Content-Security-Policy")
    assert str(policy).startswith("default-src 'none'; style-src 'unsafe-inline'")
    names = {name for name, _ in page.tags}
    assert not names & {"script", "link", "img", "iframe", "object", "embed", "base", "form", "audio", "video", "image"}
    assert not page.values("src")
    assert "url(" not in text
    assert "@import" not in text
    assert not [key for _, attributes in page.tags for key in attributes if key.startswith("on")]


def test_every_link_in_the_page_leads_to_something_in_it(reports: Path) -> None:
    page = Page((reports / "report.html").read_text(encoding="utf-8"))
    ids = page.values("id")
    assert len(ids) == len(set(ids))
    links = page.values("href")
    assert links
    assert {link.removeprefix("#") for link in links} <= set(ids)
    assert all(link.startswith("#") for link in links)


def test_the_page_tells_the_story(reports: Path) -> None:
    page = Page((reports / "report.html").read_text(encoding="utf-8"))
    for words in (
        "test_spends[twice]",
        "submitted-twice",
        "paid twice",
        "connection reset",
        "Throttling.RateQuota",
        "+1.000 s",
        "scenario canceled",
        "9 is above 4",
        "never called",
    ):
        assert words in page.text, words
    assert len([name for name, _ in page.tags if name == "svg"]) == 6


def test_requests_that_went_alike_are_one_row() -> None:
    def ask_on(kit: Facechain) -> None:
        task_id = submit()
        for _ in range(9):
            kit.clock.advance("2s")
            query(task_id)

    told = [summary(ask_on, plan=SLOW)]
    text = Page(page_of(told)).text
    assert "2–10" in text
    assert "9 times" in text


def poisoned(value: Any, poison: str) -> Any:
    """``value`` with the poison at the end of every text in it, but for the words that we sort by."""
    if isinstance(value, dict):
        return {name: each if name == "level" else poisoned(each, poison) for name, each in value.items()}
    if isinstance(value, list):
        return [poisoned(each, poison) for each in value]
    return f"{value}{poison}" if isinstance(value, str) else value


@pytest.mark.parametrize(
    "poison", ["<script>alert(1)</script>", "\"'><img src=x onerror=alert(1)>", "</style></svg>&lt;"]
)
def test_nothing_that_a_test_says_becomes_markup(poison: str, tmp_path: Path) -> None:
    told = [poisoned(each, poison) for each in a_run()]
    write_reports(tmp_path, told, seed=0)
    page = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert not {name for name, _ in page.tags} & {"script", "img"}
    assert not page.values("onerror")
    assert poison in page.text
    assert poison in (junit(tmp_path).findall(".//testcase")[0].get("name") or "")


def test_characters_that_no_file_may_hold_are_left_out(tmp_path: Path) -> None:
    told = [poisoned(each, "\x00\x1b[31m\ud800\uffff") for each in a_run()]
    write_reports(tmp_path, told, seed=0)
    junit(tmp_path)
    assert not re.search("[\x00\x1b]", (tmp_path / "report.html").read_text(encoding="utf-8"))
    assert json.loads((tmp_path / "findings.json").read_text(encoding="utf-8"))["tests"] == told


def busiest() -> dict[str, Any]:
    """The largest summary that a test can leave behind: nothing in it alike, everything long."""
    told = summary(live_through, f"tests/test_{'long' * 60}.py::test[{'x' * 300}]")
    task, request = told["tasks"][0], told["requests"][1]
    paths = [f"{request['path']}/{'p' * 200}{i}" for i in range(500)]
    finding = {"id": "no-back-off", "level": "should", "rule": "x" * 90, "evidence": "documented", "advice": "a" * 200}
    return {
        **told,
        "requests": [{**request, "number": i + 1, "path": path} for i, path in enumerate(paths)],
        "tasks": [{**task, "id": f"{i:08}{task['id'][8:]}"} for i in range(200)],
        "findings": [{**finding, "requests": [*range(i, i + 40)], "what": f"{i}{'w' * 400}"} for i in range(200)],
        "counts": {
            **told["counts"],
            "requests": 9_000,
            "tasks": 900,
            "findings": {"must": 0, "should": 900, "may": 0},
        },
    }


def test_trainings_detections_and_uploads_stand_in_the_page(tmp_path: Path) -> None:
    told = [summary(client, f"test_{part}") for part, client in CLIENTS.items()]
    told.append(summary(train, "test_failed", scenario="failed-training"))
    text = page_of(told)
    assert "1 task, 2 trainings" in text
    assert "0 tasks, 1 training, 3 requests, 2.50 CNY" in text
    assert "0 tasks, 1 detection, 1 request<" in text
    assert "0 tasks, 1 upload, 2 requests<" in text
    assert "1 of 2 photos refused" in text
    assert text.count("training of 1 photo<") == 2
    assert re.search(r"training ft-\d{12}-[0-9a-f]{4} accepted", text)
    write_reports(tmp_path, told, seed=3)
    content = json.loads((tmp_path / "findings.json").read_text(encoding="utf-8"))
    (training,) = content["tests"][1]["tasks"]
    assert (training["model"], training["photos"], training["status"]) == ("facechain-finetune", 1, "SUCCEEDED")
    assert content["totals"]["trainings"] == 2


def test_the_page_stays_small() -> None:
    text = page_of([busiest()] * 2_000)
    assert len(text.encode()) < 3_000_000
    assert text.count('<details class="test"') == 500
    assert "1,500 more tests in findings.json" in text


def test_a_usual_run_of_five_hundred_tests_is_shown_whole() -> None:
    told = [{**each, "test": f"{each['test']}{i}"} for i, each in enumerate(a_run() * 72)][:500]
    text = page_of(told)
    assert len(text.encode()) < 3_000_000
    assert "more request" not in text


# -- a real browser ---------------------------------------------------------------------------------------------------


def seen_by_browser(file: Path, folder: Path) -> tuple[list[str], list[str], str]:
    """Console lines, URLs that the page asked for, and the page as the browser built it."""
    log = folder / "net.json"
    done = subprocess.run(
        [
            str(BROWSER),
            *BROWSER_FLAGS,
            f"--user-data-dir={folder / 'profile'}",
            "--enable-logging=stderr",
            f"--log-net-log={log}",
            "--dump-dom",
            file.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=100,
        check=True,
    )
    console = [line for line in done.stderr.splitlines() if ":CONSOLE" in line]
    started = [event.get("params", {}) for event in _events(log, "URL_REQUEST_START_JOB")]
    own = "not an origin"  # is what the browser writes when it asks for something itself
    asked = [params["url"] for params in started if params.get("initiator", own) != own]
    return console, asked, done.stdout


def _events(log: Path, kind: str) -> list[dict[str, Any]]:
    """The events of a kind in a browser's log of its network, which lacks its end when the browser left in a hurry."""
    text = log.read_text(encoding="utf-8")
    try:
        content = json.loads(text)
    except ValueError:
        content = json.loads(text.rstrip().removesuffix(",") + "]}")
    number = content["constants"]["logEventTypes"][kind]
    return [event for event in content["events"] if event["type"] == number]


needs_browser = pytest.mark.skipif(
    BROWSER is None, reason="no Chromium here; on Debian and Ubuntu: apt-get install chromium"
)


@needs_browser
def test_a_browser_shows_the_page_without_complaint_and_without_asking_for_anything(
    reports: Path, tmp_path: Path
) -> None:
    console, asked, page = seen_by_browser(reports / "report.html", tmp_path)
    assert (console, asked) == ([], [])
    assert "test_spends[twice]" in page
    assert page.count("<svg") == 6


@needs_browser
def test_a_page_that_does_ask_for_something_would_be_noticed(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text('<img src="http://outside.test/a.png"><script>console.error("a complaint")</script>')
    console, asked, _ = seen_by_browser(page, tmp_path)
    assert "a complaint" in "".join(console)
    assert asked == ["http://outside.test/a.png"]
