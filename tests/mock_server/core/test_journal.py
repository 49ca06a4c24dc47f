"""The request journal: what it keeps, how much of it, and how one task's requests are told as one story."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from mock_server.core import journal
from mock_server.core.journal import KEPT_HEADERS, MOST_BODY_BYTES, Journal, entry_to_json, without_secrets
from mock_server.core.model import Reply, Request, Wire
from tests.conftest import GOOD, IMMEDIATE, START_MS, SUBMIT, TASKS, Vendor

KEY = "sk-0123456789abcdef0123456789abcdef"
DONE = Reply(200)


def kept(log: Journal, request: Request, reply: Reply = DONE, **known: Any) -> None:
    """Let a request pass through the journal."""
    trace = log.begin(START_MS, "")
    for name, value in known.items():
        setattr(trace, name, value)
    log.end(trace, request, reply, START_MS)


def numbers(log: Journal) -> list[int]:
    return [entry.trace.number for entry in log.entries()]


# -- bounds -----------------------------------------------------------------------------------------------------------


def test_the_oldest_requests_go_when_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "MOST_ENTRIES", 10)
    log = Journal()
    for _ in range(25):
        kept(log, Request("GET", "/api/v1/tasks/x"))
    assert numbers(log) == list(range(16, 26))


def test_the_oldest_requests_go_when_they_take_too_many_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "MOST_BYTES", 50_000)
    log = Journal()
    for size in (10, 100_000) * 20:
        kept(log, Request("POST", SUBMIT, body=b"x" * size))
    sizes = [entry.size for entry in log.entries()]
    assert sum(sizes) <= 50_000 < sum(sizes) + max(sizes)
    assert numbers(log)[-1] == 40
    for _ in range(100):
        kept(log, Request("GET", "/api/v1/tasks/x"))
    assert len(numbers(log)) > len(sizes), "the bytes of those that went are free again"


@pytest.mark.parametrize("size", [1, 1_000, 100_000])
def test_no_request_takes_more_than_a_few_kilobytes(size: int) -> None:
    long = "x" * size
    log = Journal()
    headers = dict.fromkeys((*KEPT_HEADERS, "authorization", "x-other"), long)
    kept(log, Request(long, f"/{long}", long, headers, long.encode()), task_id=long, problem=long, place=long)
    (entry,) = log.entries()
    shown = sum(len(str(value)) for value in entry_to_json(entry).values())
    assert shown <= 25_000
    assert entry.size >= shown / 2, "what an entry takes is counted"
    assert entry.body_bytes == size


def test_a_body_is_cut_in_the_journal_and_never_on_its_way(vendor: Vendor) -> None:
    body = GOOD["preset-style"]
    padded = {**body, "note": "x" * (3 * MOST_BODY_BYTES)}
    assert vendor.submit(padded).status_code == 200
    (request,) = vendor.admin("GET", "requests").get_json()["requests"]
    assert len(request["body"]) == MOST_BODY_BYTES
    assert request["body_bytes"] > 3 * MOST_BODY_BYTES


# -- secrets ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        KEY,
        f"Bearer {KEY}",
        f'{{"resource_id": "{KEY}"}}',
        f"key={KEY}&x=1",
        f"a%20{KEY}",
        "st-0123456789abcdef",
        "sk-mock-happy",
        "LTAI5tQ0123456789abc",
        "Expires=1&OSSAccessKeyId=STS.abcdefgh&Signature=a%2Fb%3D",
        "x-oss-signature=0123456789abcdef",
    ],
)
def test_what_looks_like_a_secret_is_blotted_out(text: str) -> None:
    clean = without_secrets(text)
    assert "[redacted]" in clean
    for secret in (KEY, "0123456789abcdef", "happy", "5tQ", "STS.", "a%2Fb"):
        assert secret not in clean


@pytest.mark.parametrize(
    "text",
    [
        "start_time=20260115000000&status=SUCCEEDED&page_no=1",
        "pytest-httpx/1.0 my-test-client task_status request_id",
        '{"parameters": {"style": "f_business_female", "size": "768*1024"}}',
        "facechain-finetune-ft-202601150930-7c1e",
        "a risk-free disk-based desk",
        TASKS + "/0b2f7d5c-9d0a-4c43-9b8b-7a3c3c1d2e4f",
    ],
)
def test_plain_words_are_left_alone(text: str) -> None:
    assert without_secrets(text) == text


def test_no_key_is_kept_wherever_it_came(vendor: Vendor) -> None:
    body = {**GOOD["preset-style"], "api_key": KEY}
    body["resources"] = [{"resource_id": KEY, "resource_type": "facelora"}]
    calls: list[tuple[str, str, dict[str, Any]]] = [
        ("GET", f"{TASKS}/{KEY}", {}),
        ("GET", f"{TASKS}?api_key_id={KEY}&token={KEY}", {}),
        ("GET", f"{TASKS}?page_size={KEY}", {}),
        ("GET", f"/api/v1/{KEY}", {}),
        ("POST", SUBMIT, {"json": body}),
        ("POST", SUBMIT, {"data": f"{{{KEY}"}),
        ("POST", SUBMIT, {"json": body, "headers": {"X-DashScope-Async": KEY}}),
        ("POST", SUBMIT, {"json": body, "headers": {"X-Mock-Plan": KEY}}),
        ("POST", SUBMIT, {"json": body, "headers": {"X-Mock-Scenario": KEY}}),
        ("POST", SUBMIT, {"json": {**body, "model": KEY}}),
        ("POST", SUBMIT, {"json": body, "headers": {name: KEY for name in KEPT_HEADERS if name[:2] != "x-"}}),
        ("POST", SUBMIT, {"json": body, "headers": {"Cookie": KEY, "X-Api-Key": KEY, "Proxy-Authorization": KEY}}),
        ("POST", SUBMIT, {"json": body, "headers": {"Authorization": f"Basic {KEY}"}}),
        ("POST", SUBMIT, {"json": body, "headers": {"Authorization": KEY}}),
        ("POST", SUBMIT, {"data": b"x" * (MOST_BODY_BYTES - 20) + KEY.encode()}),
    ]
    for key in (KEY, "sk-another"):
        for method, path, more in calls:
            vendor.vendor_call(method, path, key=key, **more)
    told = vendor.admin("GET", "requests").text + vendor.admin("GET", "findings").text
    assert len(vendor.admin("GET", "requests").get_json()["requests"]) == 2 * len(calls)
    assert KEY not in told
    assert KEY[3:23] not in told


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (f"Bearer {KEY}", "Bearer <key {}>"),
        (f"bearer {KEY}", "Bearer <key {}>"),
        (KEY, "<key {}>"),
        ("Bearer not-a-key", "Bearer <key {}>"),
        ("Basic dTpw", "<key {}>"),
    ],
)
def test_of_a_key_its_scheme_and_number_stay(vendor: Vendor, given: str, shown: str) -> None:
    vendor.vendor_call("GET", TASKS, headers={"Authorization": given})
    (request,) = vendor.admin("GET", "requests").get_json()["requests"]
    number = "".join(filter(str.isdigit, request["headers"]["authorization"]))
    assert request["headers"]["authorization"] == shown.format(number)
    assert bool(number) == ("{}" in shown)


def test_only_listed_headers_stay(vendor: Vendor) -> None:
    vendor.vendor_call("GET", TASKS, headers={"Cookie": "a=b", "X-Forwarded-For": "10.0.0.1", "User-Agent": "me/1"})
    (request,) = vendor.admin("GET", "requests").get_json()["requests"]
    assert request["headers"].keys() <= {*KEPT_HEADERS, "authorization"}
    assert request["headers"]["user-agent"] == "me/1"


# -- clearing ---------------------------------------------------------------------------------------------------------


def test_a_request_that_was_on_its_way_while_the_journal_was_cleared_is_not_kept() -> None:
    log = Journal()
    early = log.begin(START_MS, "")
    log.clear()
    late = log.begin(START_MS, "")
    for trace in (late, early):
        log.end(trace, Request("GET", "/"), DONE, START_MS)
    assert numbers(log) == [2]


def test_numbers_go_on_after_clearing() -> None:
    log = Journal()
    kept(log, Request("GET", "/"))
    log.clear()
    kept(log, Request("GET", "/"))
    assert numbers(log) == [2]


def test_clearing_gives_the_bytes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "MOST_BYTES", 10_000)
    log = Journal()
    for _ in range(2):
        for _ in range(10):
            kept(log, Request("GET", "/"))
        assert len(numbers(log)) == 10
        log.clear()


def test_many_threads_may_write_read_and_clear_at_once() -> None:
    log = Journal()
    failures: list[Exception] = []

    def work(step: int) -> None:
        try:
            for turn in range(300):
                kept(log, Request("GET", f"/{step}"))
                if turn % 50 == step:
                    log.clear()
                found = numbers(log)
                assert found == sorted(found)
                list(log.find({"path": f"/{step}"}))
        except Exception as error:  # noqa: BLE001 - whatever a thread meets is the finding
            failures.append(error)

    threads = [threading.Thread(target=work, args=(step,)) for step in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    log.clear()
    kept(log, Request("GET", "/"))
    assert numbers(log) == [4 * 300 + 1]


def test_requests_are_told_in_the_order_they_came_in() -> None:
    log = Journal()
    first, second = log.begin(START_MS, ""), log.begin(START_MS, "")
    for trace in (second, first):
        log.end(trace, Request("GET", "/"), DONE, START_MS)
    assert numbers(log) == [1, 2]


# -- what an entry tells ----------------------------------------------------------------------------------------------


def test_the_requests_of_a_task_are_one_story(vendor: Vendor) -> None:
    task = vendor.submitted(plan={"progression": "polls", "pending": 0, "running": 1})
    other = vendor.submitted()
    vendor.query(other)
    vendor.query(task)
    output = vendor.output(task)
    vendor.call("GET", output["results"][0]["url"])
    story = vendor.admin("GET", f"requests?task_id={task}").get_json()["requests"]
    assert [(each["operation"], each["status"], each.get("task_status")) for each in story] == [
        ("submit_portrait", 200, None),
        ("query_task", 200, "RUNNING"),
        ("query_task", 200, "SUCCEEDED"),
        ("fetch_picture", 200, None),
    ]
    shown = vendor.admin("GET", f"tasks/{task}").get_json()
    assert shown["requests"] == [each["n"] for each in story] == [1, 4, 5, 6]
    assert [event["event"] for event in shown["timeline"]] == ["submitted", "scheduled", "ended"]
    everything = vendor.admin("GET", "tasks").get_json()["tasks"]
    assert {each["task_id"]: each["requests"] for each in everything} == {task: [1, 4, 5, 6], other: [2, 3]}


def test_an_entry_tells_rule_error_scenario_fault_and_times(vendor: Vendor) -> None:
    vendor.later(500)
    bad = {**GOOD["preset-style"], "parameters": {"style": "f_idcard_male", "n": 9}}
    vendor.submit(bad)
    task = vendor.submitted(headers={"X-Mock-Scenario": "poll-429"})
    vendor.query(task)
    refused, _, throttled = vendor.admin("GET", "requests").get_json()["requests"]
    assert (refused["rule"], refused["error"], refused["status"]) == ("portrait.n.range", "n_out_of_range", 400)
    assert refused["explanation"].startswith("portrait.n.range at parameters.n: 9 ")
    assert refused["at_ms"] == START_MS + 500
    assert (throttled["scenario"], throttled["faults"], throttled["rule"]) == ("poll-429", ["poll-429"], "fault")
    assert (throttled["error"], throttled["task_id"]) == ("rate_quota", task)


@pytest.mark.parametrize(
    ("wire", "shown"),
    [(None, None), (Wire(delay_ms=5), "latency"), (Wire(kind="cut"), "cut"), (Wire(5, "reset"), "reset")],
)
def test_what_happened_on_the_line_is_told(wire: Wire | None, shown: str | None) -> None:
    log = Journal()
    kept(log, Request("GET", "/"), Reply(200, wire=wire))
    assert entry_to_json(log.entries()[0]).get("wire") == shown


@pytest.mark.parametrize(
    ("criteria", "count"),
    [
        ({}, 4),
        ({"operation": "query_task"}, 2),
        ({"status": 401}, 1),
        ({"status": "200", "method": "GET"}, 2),
        ({"path": SUBMIT}, 1),
        ({"error": "invalid_api_key"}, 1),
        ({"rule": "auth.key.invalid"}, 1),
        ({"scenario": "poll-429"}, 0),
        ({"wire": "reset"}, 0),
    ],
)
def test_requests_are_found_and_counted_by_what_they_were(vendor: Vendor, criteria: dict[str, Any], count: int) -> None:
    task = vendor.submitted(plan=IMMEDIATE)
    vendor.query(task)
    vendor.vendor_call("GET", TASKS)
    vendor.query(task, key="not-a-key")
    assert vendor.admin("POST", "requests/count", criteria).get_json() == {"count": count}


def test_what_requests_do_not_have_cannot_be_looked_for(vendor: Vendor) -> None:
    answer = vendor.admin("POST", "requests/count", {"colour": "red"})
    assert answer.status_code == 400
    assert "'colour'" in answer.get_json()["error"]
    assert "operation" in answer.get_json()["error"]


def test_one_request_may_be_asked_for_by_number(vendor: Vendor) -> None:
    vendor.query("x")
    assert vendor.admin("GET", "requests/1").get_json()["path"] == f"{TASKS}/x"
    assert vendor.admin("GET", "requests/2").status_code == 404


def test_each_session_has_a_journal_of_its_own(vendor: Vendor) -> None:
    one, other = vendor.of_session("one"), vendor.of_session("other")
    one.query("x")
    other.query("y")
    other.admin("POST", "reset/journal")
    assert [each["path"] for each in one.admin("GET", "requests").get_json()["requests"]] == [f"{TASKS}/x"]
    assert other.admin("GET", "requests").get_json() == vendor.admin("GET", "requests").get_json() == {"requests": []}


def test_the_admin_api_leaves_no_trace(vendor: Vendor) -> None:
    vendor.admin("GET", "tasks")
    vendor.admin("PUT", "scenario", {"scenario": "happy"})
    assert vendor.admin("GET", "requests").get_json() == {"requests": []}
