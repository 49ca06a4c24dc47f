"""Querying, listing and cancelling over HTTP, as the vendor's own clients do it."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from werkzeug.test import TestResponse

from contracts import catalogue
from tests.conftest import GOOD, HELD, HELD_PENDING, IMMEDIATE, PRESET, START_MS, TASKS, Vendor

TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}")


def test_each_state_has_the_fields_that_exist_by_then(vendor: Vendor) -> None:
    task = vendor.submitted(plan={"pending_ms": 26, "running_ms": 27_900})
    submitted = {"task_id": task, "submit_time": "2026-01-15 10:30:00.000"}
    none_yet = {"task_metrics": {"TOTAL": 2, "SUCCEEDED": 0, "FAILED": 0}}
    assert vendor.output(task) == {**submitted, "task_status": "PENDING", **none_yet}
    vendor.later(26)
    scheduled = {**submitted, "scheduled_time": "2026-01-15 10:30:00.026"}
    assert vendor.output(task) == {**scheduled, "task_status": "RUNNING", **none_yet}
    vendor.later(27_900)
    answer = vendor.query(task).get_json()
    results = answer["output"].pop("results")
    assert answer["output"] == {
        **scheduled,
        "task_status": "SUCCEEDED",
        "end_time": "2026-01-15 10:30:27.926",
        "task_metrics": {"TOTAL": 2, "SUCCEEDED": 2, "FAILED": 0},
    }
    assert [list(result) for result in results] == [["url"], ["url"]]
    assert answer["usage"] == {"image_count": 2}


def test_a_failed_task_says_why_and_costs_nothing(vendor: Vendor) -> None:
    task = vendor.submitted(plan={**IMMEDIATE, "outcome": {"error": "image_resolution"}})
    answer = vendor.query(task).get_json()
    moment = "2026-01-15 10:30:00.000"
    assert answer["output"] == {
        "task_id": task,
        "task_status": "FAILED",
        "submit_time": moment,
        "scheduled_time": moment,
        "end_time": moment,
        "code": "InvalidImageResolution",
        "message": "The input image resolution is too large or small",
    }
    assert answer["usage"] == {"image_count": 0}


def test_a_task_may_fail_without_details(vendor: Vendor) -> None:
    output = vendor.output(vendor.submitted(plan={**IMMEDIATE, "outcome": {"status": "FAILED"}}))
    assert output["task_status"] == "FAILED"
    assert not output.keys() & {"code", "message"}


def test_a_picture_that_failed_has_a_code_in_place_of_its_link(vendor: Vendor) -> None:
    images = ["ok", {"error": "output_inspection"}, "ok", {"error": "algo_error"}]
    body = {**PRESET, "parameters": {**PRESET["parameters"], "n": 4}}
    answer = vendor.query(vendor.submitted(body, plan={**IMMEDIATE, "outcome": {"images": images}})).get_json()
    results = answer["output"]["results"]
    assert [sorted(result) for result in results] == [["url"], ["code", "message"], ["url"], ["code", "message"]]
    assert results[1] == {
        "code": "DataInspectionFailed",
        "message": "Output data may contain inappropriate content.",
    }
    assert [link.partition("?")[0][-6:] for link in (results[0]["url"], results[2]["url"])] == ["/1.jpg", "/3.jpg"]
    assert answer["output"]["task_metrics"] == {"TOTAL": 4, "SUCCEEDED": 2, "FAILED": 2}
    assert answer["usage"] == {"image_count": 2}


def test_a_cancelled_task_has_an_end_and_no_schedule(vendor: Vendor) -> None:
    task = vendor.submitted(plan=HELD_PENDING)
    vendor.later(1_500)
    assert vendor.cancel(task).get_json().keys() == {"request_id"}
    output = vendor.output(task)
    assert output["task_status"] == "CANCELED"
    assert (output["submit_time"], output["end_time"]) == ("2026-01-15 10:30:00.000", "2026-01-15 10:30:01.500")
    assert not output.keys() & {"scheduled_time", "results", "code", "message"}


PLANS: dict[str, dict[str, Any]] = {
    "PENDING": HELD_PENDING,
    "RUNNING": HELD,
    "SUCCEEDED": IMMEDIATE,
    "FAILED": {**IMMEDIATE, "outcome": {"error": "algo_error"}},
}


@pytest.mark.parametrize("status", PLANS)
def test_no_answer_holds_a_null_and_every_time_has_three_digits(vendor: Vendor, status: str) -> None:
    vendor.later(120)
    answer = vendor.query(vendor.submitted(plan=PLANS[status]))
    assert answer.get_json()["output"]["task_status"] == status
    assert "null" not in answer.text
    assert "null" not in vendor.list().text
    times = {name: text for name, text in answer.get_json()["output"].items() if name.endswith("_time")}
    assert times
    assert all(TIME.fullmatch(text) for text in times.values())


@pytest.mark.parametrize("task_id", ["1111", "0b9c6f0e-4a35-4b6e-9d3b-5d1f3c2a7e84", "人", "a b", "%", "'\"<x>"])
def test_an_id_nobody_knows_is_answered_with_200_unknown_and_echoed(vendor: Vendor, task_id: str) -> None:
    assert vendor.output(task_id) == {"task_id": task_id, "task_status": "UNKNOWN"}


def test_a_task_of_another_account_is_unknown(vendor: Vendor) -> None:
    task = vendor.submitted(key="sk-one")
    assert vendor.output(task, key="sk-two") == {"task_id": task, "task_status": "UNKNOWN"}
    assert vendor.cancel(task, key="sk-two").status_code == 400
    assert vendor.list(key="sk-two").get_json()["total"] == 0


@pytest.mark.parametrize(
    "ending", ["", "/", "?", "?a=1", "/?model=facechain-generation&style=f_idcard_male&n=4", "?task_id=2222"]
)
def test_a_poll_may_have_a_slash_and_query_arguments(vendor: Vendor, ending: str) -> None:
    task = vendor.submitted()
    assert vendor.status(f"{task}{ending}") == "PENDING"


@pytest.mark.parametrize("value", ["enable", "disable", "", "nonsense", None])
def test_the_async_header_means_nothing_on_a_poll(vendor: Vendor, value: str | None) -> None:
    task = vendor.submitted()
    assert vendor.status(task, headers={"X-DashScope-Async": value}) == "PENDING"


def test_a_poll_may_carry_a_body(vendor: Vendor) -> None:
    task = vendor.submitted()
    assert vendor.status(task, data=b"\xff{", content_type="application/json") == "PENDING"


@pytest.mark.parametrize("ending", ["/cancel", "/cancel/", "/cancel?a=1"])
@pytest.mark.parametrize("body", [b"", b"{}", b"\xff junk", b"x" * 2_000_000])
def test_a_cancel_may_have_a_slash_and_any_body(vendor: Vendor, ending: str, body: bytes) -> None:
    task = vendor.submitted()
    answer = vendor.vendor_call("POST", f"{TASKS}/{task}{ending}", data=body)
    assert answer.status_code == 200
    assert vendor.status(task) == "CANCELED"


@pytest.mark.parametrize("status", ["RUNNING", "SUCCEEDED", "FAILED"])
def test_only_a_pending_task_can_be_cancelled(vendor: Vendor, status: str) -> None:
    task = vendor.submitted(plan=PLANS[status])
    answer = vendor.cancel(task)
    row = catalogue.errors()["task_not_cancellable"]
    assert (answer.status_code, answer.get_json()["code"]) == (400, "UnsupportedOperation")
    assert answer.get_json()["message"] == row.message
    assert f"the task is {status}" in answer.headers["x-mock-reason"]
    assert vendor.status(task) == status


def test_a_task_is_cancelled_once(vendor: Vendor) -> None:
    task = vendor.submitted()
    assert [vendor.cancel(task).status_code for _ in range(2)] == [200, 400]


def test_a_task_nobody_knows_cannot_be_cancelled(vendor: Vendor) -> None:
    answer = vendor.cancel("1111")
    assert answer.status_code == 400
    assert "this account has no such task" in answer.headers["x-mock-reason"]


def test_query_list_and_cancel_share_twenty_calls_a_second(vendor: Vendor) -> None:
    task = vendor.submitted()
    calls: list[Callable[[], TestResponse]] = [
        lambda: vendor.query(task),
        lambda: vendor.list("page_no=0"),
        lambda: vendor.cancel("1111"),
    ]
    before = [calls[number % 3]().status_code for number in range(20)]
    assert set(before) == {200, 400}
    for call in calls:
        refused = call()
        assert (refused.status_code, refused.get_json()["code"]) == (429, "Throttling.RateQuota")
        assert refused.headers["x-mock-reason"].startswith("rate.task-calls: 20 queries, lists and cancels")
    assert vendor.submit().status_code == 200
    assert vendor.query(task, key="sk-other").status_code == 200
    vendor.later(999)
    assert vendor.query(task).status_code == 429
    vendor.later(1)
    assert vendor.query(task).status_code == 200


def test_keys_of_one_account_share_the_task_calls() -> None:
    vendor = Vendor(api_key={"sk-one": "acme", "sk-two": "acme"})
    for key in ("sk-one", "sk-two") * 10:
        assert vendor.query("1111", key=key).status_code == 200
    assert vendor.query("1111", key="sk-two").status_code == 429


def test_a_poll_that_is_refused_does_not_count_for_the_plan(vendor: Vendor) -> None:
    task = vendor.submitted(plan={"progression": "polls", "pending": 0, "running": 1})
    for _ in range(20):
        vendor.query("1111")
    assert vendor.query(task).status_code == 429
    vendor.later(1_000)
    assert vendor.status(task) == "RUNNING"


def test_without_limits_one_may_poll_as_often_as_one_likes(unlimited: Vendor) -> None:
    task = unlimited.submitted()
    assert {unlimited.query(task).status_code for _ in range(50)} == {200}


# -- the list ---------------------------------------------------------------------------------------------------------


def test_a_list_is_flat_and_its_times_are_numbers(vendor: Vendor) -> None:
    answer = vendor.submit(plan={"pending_ms": 20, "running_ms": 100}).get_json()
    task = answer["output"]["task_id"]
    vendor.later(120)
    listed = vendor.list().get_json()
    (row,) = listed.pop("data")
    request_id = listed.pop("request_id")
    assert listed == {"total": 1, "total_page": 1, "page_no": 1, "page_size": 10}
    assert request_id != answer["request_id"]
    accounts = {row.pop(name) for name in ("caller_parent_id", "caller_uid")}
    assert len(accounts) == 1
    assert re.fullmatch(r"\d{6}", row.pop("api_key_id"))
    assert row == {
        "gmt_create": START_MS,
        "start_time": START_MS + 20,
        "end_time": START_MS + 120,
        "model_name": "facechain-generation",
        "region": "cn-beijing",
        "request_id": answer["request_id"],
        "status": "SUCCEEDED",
        "task_id": task,
        "user_api_unique_key": "apikey:v1:aigc:album:gen_potrait:facechain-generation",
    }


@pytest.mark.parametrize("path", [TASKS, f"{TASKS}/", f"{TASKS}?", f"{TASKS}/?page_no=1&unknown=x"])
def test_a_list_may_have_a_slash_and_unknown_arguments(vendor: Vendor, path: str) -> None:
    vendor.submitted()
    assert vendor.vendor_call("GET", path).get_json()["total"] == 1


def test_the_newest_task_comes_first_and_pages_are_cut_to_size(unlimited: Vendor) -> None:
    tasks = []
    for _ in range(25):
        tasks.append(unlimited.submitted())
        unlimited.later(1)
    pages = [unlimited.list(f"page_no={number}&page_size=10").get_json() for number in (1, 2, 3, 4)]
    assert [row["task_id"] for page in pages for row in page["data"]] == tasks[::-1]
    assert [len(page["data"]) for page in pages] == [10, 10, 5, 0]
    assert {(page["total"], page["total_page"]) for page in pages} == {(25, 3)}
    assert len(unlimited.list().get_json()["data"]) == 10


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("status=RUNNING", [1]),
        ("status=PENDING", [2]),
        ("status=CANCELED", []),
        ("model_name=facechain-generation", [2, 1, 0]),
        ("model_name=wanx-v1", []),
        ("region=cn-beijing", [2, 1, 0]),
        ("region=us-east-1", []),
        ("api_key_id=1", []),
        ("status=SUCCEEDED&status=FAILED", [0]),
        ("end_time=20260115103000", [0]),
        ("start_time=20260115103001", [2, 1]),
        ("start_time=20260115103001&end_time=20260115103001", [1]),
        ("start_time=20260114103002", [2, 1, 0]),
        ("start_time=20260114103002&end_time=20260115103002", [2, 1, 0]),
        ("start_time=20260115103003", []),
        ("start_time=20260115103000&page_size=1&page_no=2", [1]),
    ],
)
def test_filters_choose_what_is_listed(unlimited: Vendor, query: str, found: list[int]) -> None:
    tasks = [unlimited.submitted(plan={**IMMEDIATE, "outcome": {"error": "algo_error"}})]
    for plan in (HELD, HELD_PENDING):
        unlimited.later(1_000)
        tasks.append(unlimited.submitted(plan=plan))
    assert [tasks.index(row["task_id"]) for row in unlimited.list(query).get_json()["data"]] == found


def test_a_list_can_be_filtered_by_the_key_that_submitted() -> None:
    vendor = Vendor(api_key={"sk-one": "acme", "sk-two": "acme"})
    task = vendor.submitted(key="sk-one")
    vendor.submitted(key="sk-two")
    ids = {row["task_id"]: row["api_key_id"] for row in vendor.list(key="sk-one").get_json()["data"]}
    listed = vendor.list(f"api_key_id={ids[task]}", key="sk-two").get_json()["data"]
    assert [row["task_id"] for row in listed] == [task]


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("page_no=0", 'query page_no: is "0"; it is a whole number from 1'),
        ("page_no=-1", 'query page_no: is "-1"'),
        ("page_no=", None),
        ("page_no=1.0", 'query page_no: is "1.0"'),
        ("page_no=%EF%BC%91", 'query page_no: is "\\uff11"'),
        ("page_no=99999999999999999999", "query page_no"),
        ("page_size=0", 'query page_size: is "0"; it is a whole number from 1 to 100'),
        ("page_size=101", 'query page_size: is "101"'),
        ("page_size=ten", 'query page_size: is "ten"'),
        ("status=DONE", 'query status: is "DONE"; it is one of PENDING, RUNNING'),
        ("start_time=2026-01-15", 'query start_time: is "2026-01-15"; it is a moment in UTC+8 as YYYYMMDDhhmmss'),
        ("end_time=20260230000000", 'query end_time: is "20260230000000"'),
        ("end_time=00000000000000", "query end_time"),
        (
            "start_time=20260114103000&end_time=20260115103001",
            "query start_time: must lie before end_time, by 24 hours at most",
        ),
        ("start_time=20260115103001&end_time=20260115103000", "must lie before end_time"),
    ],
)
def test_a_malformed_filter_is_refused(vendor: Vendor, query: str, text: str | None) -> None:
    answer = vendor.list(query)
    if text is None:
        assert answer.status_code == 200
        return
    assert answer.status_code == 400
    assert answer.get_json()["message"] == catalogue.errors()["parameters_invalid"].message
    assert f"list.filters at {text}" in answer.headers["x-mock-reason"] or text in answer.headers["x-mock-reason"]


def test_a_list_shows_what_was_submitted_in_the_last_24_hours_and_is_not_forgotten(vendor: Vendor) -> None:
    hour = 3_600_000
    vendor.submitted(plan={"pending_ms": 0, "running_ms": 2 * hour})
    vendor.later(24 * hour)
    assert vendor.list().get_json()["total"] == 1
    vendor.later(1)
    assert vendor.list().get_json()["total"] == 0
    listed = vendor.list("start_time=20260115000000").get_json()
    assert [row["status"] for row in listed["data"]] == ["SUCCEEDED"]
    vendor.later(2 * hour)
    assert vendor.list("start_time=20260115000000").get_json()["total"] == 0


# -- paths and methods ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"])
@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/services/aigc/album/gen_potrait",
        "/api/v1/services/aigc/album/gen_potrait/",
        "/api/v1/tasks",
        "/api/v1/tasks/",
        "/api/v1/tasks/1111",
        "/api/v1/tasks/1111/",
        "/api/v1/tasks/1111/cancel",
        "/api/v1/tasks/1111/cancel/",
    ],
)
def test_another_method_is_refused_with_400_and_nothing_is_ever_redirected(
    vendor: Vendor, method: str, path: str
) -> None:
    takes = "GET" if "gen_potrait" not in path and "cancel" not in path else "POST"
    answer = vendor.vendor_call(method, path)
    assert answer.status_code in (200, 400)
    assert "location" not in answer.headers
    if method != takes:
        assert answer.get_json()["message"] == f"Request method '{method}' is not supported."
        assert answer.headers["x-mock-reason"] == (
            f'route.method at method: is "{method}"; this path takes {takes} (documented)'
        )


@pytest.mark.parametrize(
    ("path", "nearest"),
    [
        ("/api/v1/services/aigc/album/gen_portrait", "/api/v1/services/aigc/album/gen_potrait"),
        ("/api/v1/task/1111", "/api/v1/tasks"),
        ("/api/v1/services/aigc/album", "/api/v1/services/aigc/album/gen_potrait"),
        ("/api/v1/tasks/1111/cancle", "/api/v1/tasks"),
    ],
)
def test_a_path_beside_the_routes_is_a_url_error_that_names_the_nearest(
    vendor: Vendor, path: str, nearest: str
) -> None:
    answer = vendor.vendor_call("POST", path)
    assert answer.status_code == 400
    assert answer.get_json()["message"] == "url error, please check url！"
    assert f"nearest is {nearest}" in answer.headers["x-mock-reason"]


@pytest.mark.parametrize("path", ["/", "/api", "/api/v1", "/api/v2/tasks", "/compatible-mode/v1/x", "//api/v1/tasks"])
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_outside_the_prefix_there_is_an_empty_404(vendor: Vendor, path: str, method: str) -> None:
    answer = vendor.call(method, path)
    assert (answer.status_code, answer.data) == (404, b"")
    assert {name.lower() for name, _ in answer.headers} <= {
        "vary",
        "date",
        "server",
        "content-length",
        "x-mock-reason",
    }
    assert answer.headers["x-mock-reason"].startswith("gateway.prefix at path: ")


def test_a_head_is_a_query_without_its_body(vendor: Vendor) -> None:
    answer = vendor.vendor_call("HEAD", f"{TASKS}/1111")
    assert (answer.status_code, answer.data) == (200, b"")
    assert answer.headers["content-type"] == "application/json"


def test_the_modes_show_the_style_they_were_asked_for(unlimited: Vendor) -> None:
    for body in GOOD.values():
        task = unlimited.submitted(body, headers={"X-DashScope-OssResourceResolve": "enable"})
        assert unlimited.admin("GET", f"tasks/{task}").get_json()["style"] == body["parameters"]["style"]
