"""The admin API: what it does to the vendor, who may use it, and what it leaves alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from werkzeug.test import EnvironBuilder, TestResponse, run_wsgi_app

from contracts import catalogue
from mock_server.version import installed_version
from mock_server.web.control import PREFIX
from mock_server.web.guard import OPEN_ENDPOINTS
from tests.conftest import HELD, HELD_PENDING, IMMEDIATE, PRESET, START_MS, TOKEN, Vendor


def admin_routes() -> list[tuple[str, str]]:
    """Every method and path of the admin API, but the two that anybody may ask."""
    rules = Vendor().app.url_map.iter_rules()
    return sorted(
        (method, str(rule).removeprefix(f"{PREFIX}/").replace("<path:", "<"))
        for rule in rules
        if str(rule).startswith(PREFIX) and rule.endpoint not in OPEN_ENDPOINTS
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    )


ROUTES = admin_routes()


def error(answer: TestResponse) -> str:
    body = answer.get_json()
    assert isinstance(body["error"], str)
    return str(body["error"])


# -- who may ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_a_route_refuses_those_without_the_token(vendor: Vendor, method: str, path: str) -> None:
    for token in ("", "wrong", TOKEN[:-1], TOKEN.upper(), "é"):
        answer = vendor.admin(method, path, headers={"X-Admin-Token": token})
        assert answer.status_code == 401
        assert "X-Admin-Token" in error(answer)
        assert TOKEN not in answer.text


@pytest.mark.parametrize(("method", "path"), [*ROUTES, ("GET", "health"), ("GET", "version")])
@pytest.mark.parametrize("host", ["evil.test", "evil.test:8790", "localhost.evil.test", "[", "", "localhost@evil.test"])
def test_a_route_refuses_a_foreign_host(vendor: Vendor, method: str, path: str, host: str) -> None:
    environ = EnvironBuilder(path=f"{PREFIX}/x", headers=[("X-Admin-Token", TOKEN)]).get_environ()
    environ |= {"REQUEST_METHOD": method, "PATH_INFO": f"{PREFIX}/{path}", "HTTP_HOST": host}
    _, status, _ = run_wsgi_app(vendor.app.wsgi_app, environ)
    assert status.startswith("421 ")


@pytest.mark.parametrize(("method", "path"), [*ROUTES, ("GET", "health"), ("GET", "version")])
@pytest.mark.parametrize("origin", ["http://evil.test", "https://localhost.evil.test", "null", "file://", "http://["])
def test_a_route_refuses_a_page_of_another_origin(vendor: Vendor, method: str, path: str, origin: str) -> None:
    answer = vendor.admin(method, path, headers={"Origin": origin})
    assert answer.status_code == 403
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(("method", "path"), [route for route in ROUTES if route[0] != "GET"])
@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", None]
)
def test_a_change_must_be_json(vendor: Vendor, method: str, path: str, content_type: str | None) -> None:
    answer = vendor.admin(method, path, data=b"{}", content_type=content_type)
    assert answer.status_code == 415
    assert "send application/json" in error(answer)


def test_the_walk_met_every_resource() -> None:
    resources = {path.partition("/")[0] for _, path in ROUTES}
    assert resources >= {"reset", "clock", "tasks", "plans", "openapi.json", "<unknown>"}


@pytest.mark.parametrize("origin", ["http://localhost", "http://127.0.0.1:8790", "http://[::1]:3000"])
def test_a_page_of_this_machine_may_ask(vendor: Vendor, origin: str) -> None:
    assert vendor.admin("GET", "clock", headers={"Origin": origin}).status_code == 200


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1:8790", "[::1]:8790"])
def test_this_machine_may_ask_by_its_names(vendor: Vendor, host: str) -> None:
    assert vendor.admin("GET", "clock", headers={"Host": host}).status_code == 200


def test_a_host_can_be_allowed() -> None:
    vendor = Vendor(allow_host=("mock.internal",))
    assert vendor.admin("GET", "clock", headers={"Host": "mock.internal:8790"}).status_code == 200
    assert vendor.admin("GET", "clock", headers={"Host": "other.internal"}).status_code == 421


@pytest.mark.parametrize("content_type", ["application/json", "application/json; charset=utf-8"])
def test_a_change_may_name_its_charset(vendor: Vendor, content_type: str) -> None:
    assert vendor.admin("POST", "plans", data=b"{}", content_type=content_type).status_code == 201


def test_the_vendors_own_paths_answer_whatever_the_host_and_need_no_token(vendor: Vendor) -> None:
    assert vendor.submit(headers={"Host": "dashscope.example", "Origin": "http://evil.test"}).status_code == 200


# -- what it does -----------------------------------------------------------------------------------------------------


def test_health_and_version_need_no_token(vendor: Vendor) -> None:
    assert vendor.call("GET", f"{PREFIX}/health").get_json() == {"status": "ok"}
    about = vendor.call("GET", f"{PREFIX}/version").get_json()
    assert about == {"name": "facechain-mock", "version": installed_version(), "api": "v1"}


def test_the_openapi_document_is_the_contracts(vendor: Vendor) -> None:
    assert vendor.admin("GET", "openapi.json").get_json() == catalogue.openapi()


@pytest.mark.parametrize(
    ("method", "path", "nearest"),
    [("GET", "clocks", "clock"), ("POST", "clock", "clock"), ("DELETE", "task", "tasks"), ("PUT", "plan", "plans")],
)
def test_a_misspelt_route_is_answered_with_the_nearest(vendor: Vendor, method: str, path: str, nearest: str) -> None:
    answer = vendor.admin(method, path)
    assert answer.status_code == 404
    assert f"the admin API has no {method} {path}; nearest is {nearest}" in error(answer)
    assert nearest in answer.get_json()["known"]


def test_the_clock_is_shown(vendor: Vendor) -> None:
    assert vendor.admin("GET", "clock").get_json() == {
        "now_ms": START_MS,
        "vendor_time": "2026-01-15 10:30:00.000",
        "frozen": False,
        "factor": 1.0,
    }


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ({"action": "freeze"}, {"frozen": True}),
        ({"action": "resume"}, {"frozen": False}),
        ({"action": "advance", "by": "24h"}, {"now_ms": START_MS + 86_400_000}),
        ({"action": "advance", "by": "1m30s"}, {"now_ms": START_MS + 90_000, "vendor_time": "2026-01-15 10:31:30.000"}),
        ({"action": "advance", "by": 2.5}, {"now_ms": START_MS + 2_500}),
        ({"action": "advance", "by": 0}, {"now_ms": START_MS}),
        ({"action": "scale", "factor": 10}, {"factor": 10.0}),
        ({"action": "scale", "factor": 0.5}, {"factor": 0.5}),
        ({"action": "reset"}, {"now_ms": START_MS, "factor": 1.0, "frozen": False}),
    ],
    ids=str,
)
def test_the_clock_can_be_moved(vendor: Vendor, given: dict[str, Any], shown: dict[str, Any]) -> None:
    moved = vendor.admin("PUT", "clock", given)
    assert moved.status_code == 200
    assert shown.items() <= moved.get_json().items()
    assert vendor.admin("GET", "clock").get_json() == moved.get_json()


def test_a_reset_of_the_clock_puts_it_back_to_how_it_started(vendor: Vendor) -> None:
    before = vendor.admin("GET", "clock").get_json()
    for given in ({"action": "advance", "by": "1h"}, {"action": "scale", "factor": 9}, {"action": "freeze"}):
        vendor.admin("PUT", "clock", given)
    assert vendor.admin("PUT", "clock", {"action": "reset"}).get_json() == before


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({}, "action is None; it is one of freeze, resume, reset, advance, scale"),
        ({"action": "stop"}, "action is 'stop'; it is one of"),
        ({"action": ["freeze"]}, "action is ['freeze']; it is one of"),
        ({"action": "advance"}, "'' is not a duration from 0 to 10 years, such as \"24h\""),
        ({"action": "advance", "by": "1 day"}, "'1 day' is not a duration"),
        ({"action": "advance", "by": "-1h"}, "'-1h' is not a duration"),
        ({"action": "advance", "by": -1}, "-1 is not a duration"),
        ({"action": "advance", "by": "99999d"}, "'99999d' is not a duration"),
        ({"action": "advance", "by": True}, "True is not a duration"),
        ({"action": "advance", "by": None}, "None is not a duration"),
        ({"action": "advance", "by": ["1h"]}, "['1h'] is not a duration"),
        ({"action": "scale"}, "0 is not a factor from 0.001 to 1000000; use freeze to stop time"),
        ({"action": "scale", "factor": -1}, "-1 is not a factor"),
        ({"action": "scale", "factor": "2"}, "'2' is not a factor"),
        ({"action": "scale", "factor": 1e9}, "1000000000.0 is not a factor"),
        ({"action": "scale", "factor": float("nan")}, "nan is not a factor"),
        ([], "the body is not a JSON object"),
    ],
    ids=str,
)
def test_a_bad_move_of_the_clock_is_explained_and_moves_nothing(vendor: Vendor, given: object, text: str) -> None:
    before = vendor.admin("GET", "clock").get_json()
    answer = vendor.admin("PUT", "clock", given)
    assert answer.status_code == 400
    assert text in error(answer)
    assert vendor.admin("GET", "clock").get_json() == before


@pytest.mark.parametrize(
    "data", [b"{", b"[]", b"1", b"\xff", b"[" * 100_000], ids=["cut", "list", "number", "latin", "deep"]
)
@pytest.mark.parametrize(("method", "path"), [("PUT", "clock"), ("POST", "plans")])
def test_a_change_that_is_no_json_object_is_explained(vendor: Vendor, method: str, path: str, data: bytes) -> None:
    answer = vendor.admin(method, path, data=data, content_type="application/json")
    assert (answer.status_code, error(answer)) == (400, "the body is not a JSON object")


def test_a_task_is_shown_with_its_timeline(vendor: Vendor) -> None:
    task = vendor.submitted(plan={"pending_ms": 20, "running_ms": 100})
    shown = vendor.admin("GET", f"tasks/{task}").get_json()
    assert len(shown.pop("account")) == 12
    assert shown.pop("requests") == [1]
    assert shown == {
        "task_id": task,
        "model": PRESET["model"],
        "status": "PENDING",
        "style": PRESET["parameters"]["style"],
        "n": PRESET["parameters"]["n"],
        "delivered": 0,
        "polls": 0,
        "scenarios": [],
        "plan": {"progression": "time", "pending_ms": 20, "running_ms": 100, "outcome": {"status": "SUCCEEDED"}},
        "timeline": [{"event": "submitted", "at_ms": START_MS, "vendor_time": "2026-01-15 10:30:00.000"}],
    }
    vendor.later(120)
    shown = vendor.admin("GET", f"tasks/{task}").get_json()
    assert (shown["status"], shown["delivered"]) == ("SUCCEEDED", 2)
    assert vendor.timeline(task) == {"submitted": 0, "scheduled": 20, "ended": 120}
    assert vendor.admin("GET", "tasks").get_json() == {"tasks": [shown]}


def test_looking_at_a_task_counts_as_no_poll_and_takes_nothing_of_the_rate(vendor: Vendor) -> None:
    task = vendor.submitted(plan={"progression": "polls", "running": 1})
    for _ in range(30):
        assert vendor.admin("GET", f"tasks/{task}").get_json()["polls"] == 0
    assert vendor.status(task) == "RUNNING"
    assert vendor.admin("GET", f"tasks/{task}").get_json()["polls"] == 1


def test_a_held_task_is_released(vendor: Vendor) -> None:
    task = vendor.submitted(plan=HELD)
    vendor.later(5_000)
    assert vendor.status(task) == "RUNNING"
    assert vendor.admin("POST", f"tasks/{task}/release").get_json()["status"] == "SUCCEEDED"
    assert vendor.status(task) == "SUCCEEDED"


def test_a_task_gets_another_plan(vendor: Vendor) -> None:
    task = vendor.submitted(plan=HELD)
    plan = {"progression": "time", "pending_ms": 0, "running_ms": 1_000, "outcome": {"error": "algo_error"}}
    changed = vendor.admin("PUT", f"tasks/{task}", {"plan": plan}).get_json()
    assert changed["plan"] == {**plan, "outcome": {"status": "FAILED", "error": "algo_error"}}
    vendor.later(999)
    assert vendor.status(task) == "RUNNING"
    vendor.later(1)
    assert vendor.output(task)["code"] == "InternalError.Algo"


@pytest.mark.parametrize(
    ("method", "path", "content", "status", "text"),
    [
        ("GET", "tasks/1111", None, 404, "this session has no task '1111'"),
        ("PUT", "tasks/1111", {"plan": {}}, 404, "this session has no task '1111'"),
        ("POST", "tasks/1111/release", {}, 404, "this session has no task '1111'"),
        ("PUT", "tasks/{ended}", {"plan": {}}, 400, "has ended: it is SUCCEEDED"),
        ("PUT", "tasks/{ended}", {}, 400, "plan is None; it is an object"),
        ("PUT", "tasks/{ended}", {"plan": {"progresion": 1}}, 400, "nearest is 'progression'"),
        ("POST", "tasks/{ended}/release", {}, 400, "has ended: it is SUCCEEDED"),
        ("POST", "tasks/{released}/release", {}, 400, "has ended: it is SUCCEEDED"),
    ],
)
def test_a_change_of_a_task_that_cannot_be_is_explained(
    vendor: Vendor, method: str, path: str, content: object, status: int, text: str
) -> None:
    ended, released = vendor.submitted(plan=IMMEDIATE), vendor.submitted(plan=HELD)
    vendor.admin("POST", f"tasks/{released}/release")
    answer = vendor.admin(method, path.format(ended=ended, released=released), content)
    assert answer.status_code == status
    assert text in error(answer)


def test_queued_plans_serve_the_next_submissions_in_turn(vendor: Vendor) -> None:
    for plan in (IMMEDIATE, HELD):
        vendor.admin("POST", "plans", plan)
    queued = vendor.admin("GET", "plans").get_json()["plans"]
    assert [plan["progression"] for plan in queued] == ["immediate", "hold"]
    tasks = [vendor.submitted(key=f"sk-{number}") for number in range(3)]
    vendor.later(1_000)
    statuses = [vendor.status(task, key=f"sk-{number}") for number, task in enumerate(tasks)]
    assert statuses == ["SUCCEEDED", "RUNNING", "SUCCEEDED"]
    assert vendor.admin("GET", "plans").get_json() == {"plans": []}


def test_a_refused_submission_takes_no_plan(vendor: Vendor) -> None:
    vendor.admin("POST", "plans", IMMEDIATE)
    vendor.submit({})
    vendor.submit(key="none")
    assert len(vendor.admin("GET", "plans").get_json()["plans"]) == 1


def test_queued_plans_can_be_taken_back(vendor: Vendor) -> None:
    vendor.admin("POST", "plans", HELD)
    assert vendor.admin("DELETE", "plans").get_json() == {"plans": []}
    task = vendor.submitted()
    vendor.later(1_000)
    assert vendor.status(task) == "SUCCEEDED"


def test_an_empty_plan_is_the_profiles(vendor: Vendor) -> None:
    vendor.admin("POST", "plans", {})
    (plan,) = vendor.admin("GET", "plans").get_json()["plans"]
    assert plan == {"progression": "time", "pending_ms": 200, "running_ms": 800, "outcome": {"status": "SUCCEEDED"}}


# -- reset ------------------------------------------------------------------------------------------------------------


def traces(vendor: Vendor) -> dict[str, bool]:
    """What a session still shows of ``leave_traces``."""
    return {
        "tasks": vendor.admin("GET", "tasks").get_json()["tasks"] != [],
        "plans": vendor.admin("GET", "plans").get_json()["plans"] != [],
        "clock": vendor.admin("GET", "clock").get_json()["now_ms"] != START_MS,
        "window": vendor.submit().status_code == 429,
    }


def leave_traces(vendor: Vendor) -> None:
    vendor.admin("PUT", "clock", {"action": "advance", "by": "1h"})
    vendor.submitted()
    vendor.submitted()
    for _ in range(3):
        vendor.admin("POST", "plans", HELD)


@pytest.mark.parametrize(
    ("clear", "left"),
    [
        (lambda _: None, {"tasks", "plans", "window", "clock"}),
        (lambda vendor: vendor.admin("POST", "reset"), set()),
        (lambda vendor: vendor.admin("POST", "reset/tasks"), {"plans", "window", "clock"}),
        (lambda vendor: vendor.admin("DELETE", "plans"), {"tasks", "window", "clock"}),
    ],
    ids=["nothing", "reset", "reset/tasks", "plans"],
)
def test_a_reset_clears_what_its_name_says(vendor: Vendor, clear: Callable[[Vendor], object], left: set[str]) -> None:
    leave_traces(vendor)
    clear(vendor)
    assert {name for name, found in traces(vendor).items() if found} == left


def test_a_reset_of_the_clock_clears_nothing_else(vendor: Vendor) -> None:
    leave_traces(vendor)
    vendor.admin("PUT", "clock", {"action": "reset"})
    found = traces(vendor)
    assert (found["tasks"], found["plans"], found["clock"]) == (True, True, False)


def test_a_reset_frees_the_running_slot(vendor: Vendor) -> None:
    vendor.submitted(plan=HELD)
    vendor.admin("POST", "reset/tasks")
    task = vendor.submitted(plan=IMMEDIATE)
    assert vendor.status(task) == "SUCCEEDED"


def test_after_a_reset_the_ids_are_those_of_a_new_server(vendor: Vendor) -> None:
    first = vendor.submit().data
    vendor.admin("POST", "reset")
    assert vendor.submit().data == first


# -- sessions ---------------------------------------------------------------------------------------------------------


def test_sessions_keep_tasks_plans_and_windows_apart(vendor: Vendor) -> None:
    one, two = vendor.of_session("one"), vendor.of_session("two")
    task = one.submitted(plan=HELD_PENDING)
    one.submitted()
    one.admin("POST", "plans", HELD)
    assert one.submit().status_code == 429
    for other in (two, vendor):
        assert other.submit().status_code == 200
        assert other.status(task) == "UNKNOWN"
        assert other.admin("GET", f"tasks/{task}").status_code == 404
        assert other.admin("GET", "plans").get_json() == {"plans": []}
        assert other.list().get_json()["total"] == 1
    two.admin("POST", "reset")
    assert one.status(task) == "PENDING"
    assert len(one.admin("GET", "plans").get_json()["plans"]) == 1
    assert two.list().get_json()["total"] == 0


def test_a_reset_of_a_session_leaves_the_clock_that_all_share(vendor: Vendor) -> None:
    vendor.later(1_000)
    vendor.of_session("one").admin("POST", "reset")
    assert vendor.clock.now_ms() == START_MS + 1_000


def test_links_carry_their_session_so_that_any_client_can_fetch_them(vendor: Vendor) -> None:
    session = vendor.of_session("run-1.a_B")
    (link, _) = session.links(session.submitted(plan=IMMEDIATE))
    assert link.endswith("&x-mock-session=run-1.a_B")
    assert vendor.fetch(link).status_code == 200
    assert vendor.fetch(link.replace("run-1.a_B", "other")).status_code == 404
    assert vendor.fetch(link.partition("&x-mock-session")[0]).status_code == 404


@pytest.mark.parametrize("session", ["a b", "x" * 65, "a/b", "é", "%00", '"'])
def test_a_malformed_session_is_refused(vendor: Vendor, session: str) -> None:
    other = vendor.of_session(session)
    answer = other.query("1111")
    assert (answer.status_code, answer.get_json()["code"]) == (400, "InvalidParameter")
    assert answer.headers["x-mock-reason"].startswith("mock.session at header X-Mock-Session: is not 1 to 64 letters")
    assert other.admin("GET", "tasks").status_code == 400
