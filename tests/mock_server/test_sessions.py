"""One server for many tests: sessions see nothing of each other, share the clock, and are reset one by one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from mock_server.clock import VendorClock
from tests.conftest import GOOD, HELD, IMMEDIATE, PRESET, START_MS, Vendor

NAMED = "a-named.Session_1"
MINUTE_MS = 60_000
THROTTLED = {"stage": "poll", "kind": "status", "error": "rate_quota"}


@pytest.fixture(params=["", NAMED], ids=["without a name", "with a name"])
def session(request: pytest.FixtureRequest, vendor: Vendor) -> Vendor:
    """A session that has nothing in it, on a vendor with documented limits."""
    return vendor.of_session(request.param)


def left(session: Vendor) -> dict[str, Any]:
    """Everything that a session shows of what happened in it, and how full its rate window is."""
    found = {
        name: session.admin("GET", name).get_json()[name]
        for name in ("tasks", "plans", "faults", "requests", "findings")
    }
    found["scenario"] = session.admin("GET", "scenario").get_json()["scenario"]
    found["ledger"] = session.admin("GET", "ledger").get_json()["tasks"]
    found["window"] = session.submit({"model": "nothing"}).status_code == 429
    return found


def named(found: Mapping[str, Any]) -> set[str]:
    """The names of what is there."""
    return {name for name, value in found.items() if value}


EVERYTHING = {"tasks", "plans", "faults", "requests", "findings", "scenario", "ledger", "window"}


def leave_something_of_everything(session: Vendor) -> str:
    """Fills the session; gives the id of its first task, which runs. The rate window is full for this moment."""
    task = session.submitted(plan=HELD)
    session.submitted()
    assert session.submit().status_code == 429
    session.admin("POST", "plans", IMMEDIATE)
    session.admin("POST", "faults", THROTTLED)
    session.admin("PUT", "scenario", {"scenario": "partial"})
    return task


# -- apart ------------------------------------------------------------------------------------------------------------


def test_what_is_left_tells_a_full_session_from_an_empty_one(session: Vendor) -> None:
    assert named(left(session)) == set()
    session.admin("POST", "reset")
    leave_something_of_everything(session)
    assert named(left(session)) == EVERYTHING


@pytest.mark.parametrize(("one", "other"), [("", "a"), ("a", ""), ("a", "b"), ("a", "A"), ("a", "a.")])
def test_a_session_sees_nothing_of_another(vendor: Vendor, one: str, other: str) -> None:
    leave_something_of_everything(vendor.of_session(one))
    assert named(left(vendor.of_session(other))) == set()


def test_a_task_is_unknown_in_another_session_with_the_same_key(vendor: Vendor) -> None:
    one, other = vendor.of_session("one"), vendor.of_session("other")
    task = one.submitted(plan=HELD)
    assert other.status(task) == "UNKNOWN"
    assert other.cancel(task).status_code == 400
    assert other.list().get_json()["total"] == 0
    for method, path in (("GET", ""), ("PUT", ""), ("POST", "/release")):
        assert other.admin(method, f"tasks/{task}{path}", {"plan": IMMEDIATE}).status_code == 404
    assert one.status(task) == "RUNNING"


def test_each_session_runs_a_task_of_the_same_account_at_once(vendor: Vendor) -> None:
    sessions = [vendor.of_session(name) for name in ("", "one", "other")]
    tasks = [each.submitted(plan=HELD) for each in sessions]
    assert [each.status(task) for each, task in zip(sessions, tasks, strict=True)] == ["RUNNING"] * 3
    assert len(set(tasks)) == 3


def test_each_session_has_a_rate_window_of_its_own(vendor: Vendor) -> None:
    for name in ("", "one", "other"):
        session = vendor.of_session(name)
        assert [session.submit().status_code for _ in range(3)] == [200, 200, 429]


def test_a_plan_serves_the_session_that_it_was_queued_for(vendor: Vendor) -> None:
    one, other = vendor.of_session("one"), vendor.of_session("other")
    one.admin("POST", "plans", {"progression": "immediate", "outcome": {"error": "algo_error"}})
    assert other.status(other.submitted(plan=IMMEDIATE)) == "SUCCEEDED"
    assert one.status(one.submitted()) == "FAILED"


def test_a_fault_strikes_in_the_session_that_it_was_put_in_for(vendor: Vendor) -> None:
    one, other = vendor.of_session("one"), vendor.of_session("other")
    one.admin("POST", "faults", {**THROTTLED, "times": 1})
    assert other.query("x").status_code == 200
    assert [one.query("x").status_code for _ in range(2)] == [429, 200]
    assert other.admin("DELETE", "faults/fault-1").status_code == 404


def test_a_scenario_holds_in_the_session_that_it_was_chosen_for(vendor: Vendor) -> None:
    one, other = vendor.of_session("one"), vendor.of_session("other")
    one.admin("PUT", "scenario", {"scenario": "arrears"})
    assert one.submit().get_json()["code"] == "Arrearage"
    assert other.submit().status_code == 200


def test_requests_are_numbered_kept_and_counted_by_session(vendor: Vendor) -> None:
    one, other = vendor.of_session("one"), vendor.of_session("other")
    for session, calls in ((one, 2), (other, 3)):
        for _ in range(calls):
            session.query("x")
    for session, calls in ((one, 2), (other, 3)):
        requests = session.admin("GET", "requests").get_json()["requests"]
        assert [entry["n"] for entry in requests] == list(range(1, calls + 1))
        assert {entry["session"] for entry in requests} == {session.session}
        assert session.admin("POST", "requests/count", {"operation": "query_task"}).get_json() == {"count": calls}
    assert one.admin("GET", "requests/3").status_code == 404


def test_the_same_submission_in_two_sessions_is_no_duplicate(vendor: Vendor) -> None:
    for name in ("one", "other"):
        session = vendor.of_session(name)
        session.submitted(PRESET, plan=HELD)
        assert session.admin("GET", "ledger").get_json()["submissions"] == 1
        assert session.admin("GET", "ledger").get_json()["duplicates"] == []


def test_a_finding_belongs_to_the_session_that_earned_it(vendor: Vendor) -> None:
    one, other = vendor.of_session("one"), vendor.of_session("other")
    one.submit({"model": "nothing"})
    assert [found["rule"] for found in one.admin("GET", "findings").get_json()["findings"]] == ["model.known"]
    assert other.admin("GET", "findings").get_json() == {"findings": []}


def test_sessions_of_one_name_and_seed_give_the_same_ids_and_others_do_not(vendor: Vendor) -> None:
    first = vendor.of_session("one").submitted()
    assert vendor.of_session("other").submitted() != first
    assert vendor.renewed().of_session("one").submitted() == first


# -- the clock, which is shared ---------------------------------------------------------------------------------------


def test_all_sessions_share_the_clock(vendor: Vendor) -> None:
    one, other = vendor.of_session("one"), vendor.of_session("other")
    task = other.submitted()
    moved = one.admin("PUT", "clock", {"action": "advance", "by": "10s"}).get_json()
    for session in (one, other, vendor):
        assert session.admin("GET", "clock").get_json() == moved
    assert other.status(task) == "SUCCEEDED"


@pytest.mark.parametrize("move", [{"action": "freeze"}, {"action": "scale", "factor": 5}], ids=["freeze", "scale"])
def test_a_reset_puts_the_clock_back_only_when_it_names_no_session(vendor: Vendor, move: dict[str, Any]) -> None:
    vendor.later(MINUTE_MS)
    moved = vendor.admin("PUT", "clock", move).get_json()
    vendor.of_session("one").admin("POST", "reset")
    assert vendor.admin("GET", "clock").get_json() == moved
    vendor.admin("POST", "reset")
    clock = vendor.admin("GET", "clock").get_json()
    assert (clock["now_ms"], clock["frozen"], clock["factor"]) == (START_MS, False, 1.0)


def test_a_reset_by_a_query_that_names_a_session_leaves_the_clock_too(vendor: Vendor) -> None:
    leave_something_of_everything(vendor.of_session("one"))
    vendor.later(MINUTE_MS)
    vendor.admin("POST", "reset?x-mock-session=one")
    assert named(left(vendor.of_session("one"))) == set()
    assert vendor.clock.now_ms() == START_MS + MINUTE_MS


def test_an_empty_name_is_the_session_without_a_name(vendor: Vendor) -> None:
    task = vendor.submitted(plan=HELD)
    assert vendor.status(task, headers={"X-Mock-Session": ""}) == "RUNNING"
    vendor.later(MINUTE_MS)
    vendor.admin("POST", "reset", headers={"X-Mock-Session": ""})
    assert vendor.clock.now_ms() == START_MS


# -- links ------------------------------------------------------------------------------------------------------------


def test_links_lead_into_their_session_without_a_header(vendor: Vendor) -> None:
    session = vendor.of_session(NAMED)
    links = session.links(session.submitted(plan=IMMEDIATE))
    assert len(links) == PRESET["parameters"]["n"]
    for link in links:
        assert link.endswith(f"&x-mock-session={NAMED}")
        assert vendor.fetch(link).status_code == 200
        assert vendor.fetch(link.partition("&x-mock-session")[0]).status_code == 404
    downloads = [
        entry["session"] for entry in session.admin("GET", "requests?operation=fetch_picture").get_json()["requests"]
    ]
    assert downloads == [NAMED] * len(links)


def test_links_without_a_session_name_none(vendor: Vendor) -> None:
    for link in vendor.links(vendor.submitted(plan=IMMEDIATE)):
        assert "session" not in link
        assert vendor.fetch(link).status_code == 200


def test_a_link_of_a_session_that_was_reset_leads_nowhere(vendor: Vendor) -> None:
    session = vendor.of_session("one")
    (link, _) = session.links(session.submitted(plan=IMMEDIATE))
    vendor.of_session("other").admin("POST", "reset")
    assert vendor.fetch(link).status_code == 200
    session.admin("POST", "reset")
    assert vendor.fetch(link).status_code == 404


# -- resets -----------------------------------------------------------------------------------------------------------

Reset = Callable[[Vendor], object]

RESETS: Mapping[str, tuple[Reset, set[str]]] = {
    "nothing": (lambda _session: None, EVERYTHING),
    "reset": (lambda session: session.admin("POST", "reset"), set()),
    "reset/tasks": (lambda session: session.admin("POST", "reset/tasks"), EVERYTHING - {"tasks"}),
    "reset/journal": (lambda session: session.admin("POST", "reset/journal"), EVERYTHING - {"requests", "findings"}),
    "reset/faults": (lambda session: session.admin("POST", "reset/faults"), EVERYTHING - {"faults"}),
    "plans": (lambda session: session.admin("DELETE", "plans"), EVERYTHING - {"plans"}),
    "fault": (lambda session: session.admin("DELETE", "faults/fault-1"), EVERYTHING - {"faults"}),
    "scenario": (lambda session: session.admin("PUT", "scenario", {"scenario": None}), EVERYTHING - {"scenario"}),
    "clock": (lambda session: session.admin("PUT", "clock", {"action": "reset"}), EVERYTHING),
}
"""What clears, and the names of what it leaves. Findings are about requests that are kept."""


@pytest.mark.parametrize("name", RESETS)
def test_a_reset_clears_what_its_name_says_and_nothing_else(session: Vendor, name: str) -> None:
    clear, expected = RESETS[name]
    leave_something_of_everything(session)
    clear(session)
    assert named(left(session)) == expected


@pytest.mark.parametrize("name", RESETS)
def test_a_reset_leaves_what_it_leaves_as_it_was(session: Vendor, name: str) -> None:
    clear, expected = RESETS[name]
    leave_something_of_everything(session)
    before = left(session)
    clear(session)
    after = left(session)
    for kept in expected - {"requests", "findings", "window", "tasks"}:  # `left` itself asked, which is a request more
        assert after[kept] == before[kept]
    if "tasks" in expected:
        assert [task["task_id"] for task in after["tasks"]] == [task["task_id"] for task in before["tasks"]]
    if "requests" in expected:
        assert after["requests"][: len(before["requests"])] == before["requests"]


@pytest.mark.parametrize("name", [name for name in RESETS if name != "clock"])
@pytest.mark.parametrize(("one", "other"), [("one", ""), ("", "one"), ("one", "other")])
def test_a_reset_of_one_session_leaves_another_whole(vendor: Vendor, name: str, one: str, other: str) -> None:
    for each in (one, other):
        leave_something_of_everything(vendor.of_session(each))
    RESETS[name][0](vendor.of_session(one))
    assert named(left(vendor.of_session(other))) == EVERYTHING


def test_resetting_the_tasks_forgets_them_for_clients_and_frees_the_slot(session: Vendor) -> None:
    task = leave_something_of_everything(session)
    session.admin("POST", "reset/faults")
    session.admin("POST", "reset/tasks")
    assert session.status(task) == "UNKNOWN"
    session.later(1_000)
    session.admin("DELETE", "plans")
    assert session.status(session.submitted(GOOD["train-free"], plan=IMMEDIATE)) == "SUCCEEDED"


def test_resetting_the_journal_goes_on_counting(session: Vendor) -> None:
    session.query("x")
    session.admin("POST", "reset/journal")
    assert session.admin("GET", "requests").get_json() == {"requests": []}
    session.query("x")
    assert [entry["n"] for entry in session.admin("GET", "requests").get_json()["requests"]] == [2]


def test_resetting_the_faults_starts_their_counts_anew(session: Vendor) -> None:
    once = {**THROTTLED, "times": 1}
    for _ in range(2):
        assert session.admin("POST", "faults", once).get_json()["id"] == "fault-1"
        assert [session.query("x").status_code for _ in range(2)] == [429, 200]
        session.admin("POST", "reset/faults")


def test_the_faults_of_a_profile_stay_and_start_anew() -> None:
    session = Vendor(profile="hostile", limits="off").of_session("one")
    own = session.admin("GET", "faults").get_json()["faults"]
    assert own != []
    session.admin("POST", "faults", THROTTLED)
    session.admin("POST", "reset/faults")
    assert session.admin("GET", "faults").get_json()["faults"] == own
    session.admin("DELETE", f"faults/{own[0]['id']}")
    session.admin("POST", "reset")
    assert session.admin("GET", "faults").get_json()["faults"] == own


def test_a_full_reset_goes_back_to_the_servers_own_scenario() -> None:
    session = Vendor(scenario="partial").of_session("one")
    session.admin("PUT", "scenario", {"scenario": None})
    session.admin("POST", "reset")
    assert session.admin("GET", "scenario").get_json() == {"scenario": "partial"}


def test_after_a_reset_a_session_goes_as_the_first_time(session: Vendor) -> None:
    seen = []
    for _ in range(2):
        task = session.submitted(plan={"progression": "polls", "pending": 1})
        seen.append((task, [session.status(task) for _ in range(3)]))
        session.admin("POST", "reset")
    assert seen[0] == seen[1]


def test_a_call_that_is_under_way_during_a_reset_leaves_nothing_behind(
    vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = vendor.of_session("one")
    answered = VendorClock.now_ms
    resets: list[None] = []

    def reset_meanwhile(clock: VendorClock) -> int:
        if not resets:
            resets.append(None)
            now_ms = answered(clock)
            session.query("inside")
            session.admin("POST", "reset")
            return now_ms
        return answered(clock)

    monkeypatch.setattr(VendorClock, "now_ms", reset_meanwhile)
    assert session.query("outside").status_code == 200
    assert resets == [None]
    assert [entry["n"] for entry in session.admin("GET", "requests").get_json()["requests"]] in ([], [1])
