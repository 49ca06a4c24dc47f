"""Training a likeness over HTTP: creating jobs, how they go, what may be done to them, and what they are good for."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import quote

import pytest
from werkzeug.test import TestResponse

from contracts import catalogue
from mock_server.core.finetunes import MOST_JOB_BYTES
from mock_server.core.lifecycle import CANCELING_MS
from mock_server.core.model import DETECTION_MODEL, MODEL, TRAINING_MODEL
from mock_server.core.portraits import SAMPLE_RESOURCES
from mock_server.stores.memory import MemoryWorld
from tests.conftest import GOOD, HELD, HELD_PENDING, IMMEDIATE, TASKS, Vendor
from tests.likenesses import (
    JOBS,
    NO_FACE,
    PHOTO,
    SLOW,
    TRAINING,
    asset,
    cancel_job,
    delete_job,
    family_call,
    get_job,
    job_of,
    job_status,
    jobs,
    likeness,
    portrait,
    rule_of,
    train,
    trained,
    training,
)
from tests.uploads import RESOLVED, file_id, photo, uploaded

EXAMPLES = catalogue.examples("job-request")
FAILING = {**IMMEDIATE, "outcome": {"error": "algo_error"}}
MINUTE_MS = 60_000
PENDING_MS, RUNNING_MS = 200, 2_000
"""The usual pace of the calm profile."""


def refused(answer: TestResponse, reason: str, rule: str) -> None:
    row = catalogue.errors()[reason]
    assert (answer.status_code, answer.get_json()["code"]) == (row.status, row.code)
    assert answer.get_json()["message"] == row.message
    assert rule_of(answer) == rule


# -- creating ---------------------------------------------------------------------------------------------------------


def test_a_job_is_created_with_exactly_these_fields(vendor: Vendor) -> None:
    answer = train(vendor, PHOTO, asset(faces=1))
    body = answer.get_json()
    job_id, number = body["output"]["job_id"], body["output"]["user_identity"]
    assert re.fullmatch(r"\d{6}", number)
    assert (answer.status_code, body) == (
        200,
        {
            "request_id": answer.headers["x-request-id"],
            "output": {
                "job_id": job_id,
                "job_name": job_id,
                "status": "PENDING",
                "finetuned_output": f"facechain-finetune-{job_id}",
                "model": "facechain-finetune",
                "base_model": "facechain-finetune",
                "training_file_ids": [PHOTO, asset(faces=1)],
                "validation_file_ids": [],
                "hyper_parameters": {},
                "training_type": "sft",
                "create_time": "2026-01-15 10:30:00",
                "workspace_id": f"llm-{number}",
                "user_identity": number,
                "modifier": number,
                "creator": number,
                "group": "facechain",
                "model_name": f"facechain-finetune-{job_id}",
                "max_output_cnt": 1,
            },
        },
    )


def test_what_else_was_sent_is_shown_again(vendor: Vendor) -> None:
    more = {"validation_file_ids": ["a-file"], "hyper_parameters": {"n_epochs": 3}}
    answer = train(vendor, body={**TRAINING, **more}, headers={"X-DashScope-WorkSpace": "ws-1"})
    output = answer.get_json()["output"]
    assert {name: output[name] for name in (*more, "workspace_id")} == {**more, "workspace_id": "ws-1"}
    assert job_of(vendor, output["job_id"])["hyper_parameters"] == {"n_epochs": 3}


def test_what_the_vendors_sdk_sends_is_taken(vendor: Vendor) -> None:
    body = {**TRAINING, "validation_file_ids": None, "hyper_parameters": {}, "training_type": None, "job_name": None}
    answer = train(vendor, body=body)
    assert answer.status_code == 200
    assert answer.get_json()["output"]["validation_file_ids"] == []


@pytest.mark.parametrize("value", [None, "enable", "disable", "whatever"])
def test_trainings_know_nothing_of_the_asynchronous_header(vendor: Vendor, value: str | None) -> None:
    assert train(vendor, headers={"X-DashScope-Async": value}).status_code == 200


@pytest.mark.parametrize("name", EXAMPLES["good"])
def test_a_good_body_is_taken(vendor: Vendor, name: str) -> None:
    body = dict(EXAMPLES["good"][name])
    body["training_file_ids"] = [
        uploaded(vendor, photo(), model=TRAINING_MODEL)
        if each.startswith("oss://")
        else each
        if "://" in each
        else file_id(vendor, photo())
        for each in body["training_file_ids"]
    ]
    job = trained(vendor, body=body, headers=RESOLVED)
    vendor.later(PENDING_MS + RUNNING_MS)
    assert job_status(vendor, job) == "SUCCEEDED"


@pytest.mark.parametrize("name", EXAMPLES["bad"])
def test_a_bad_body_is_refused_by_its_rule_and_makes_no_job(vendor: Vendor, name: str) -> None:
    body, rule, place = (EXAMPLES["bad"][name][part] for part in ("body", "rule", "place"))
    answer = train(vendor, body=body)
    if isinstance(body, dict) and body.get("model") in (MODEL, DETECTION_MODEL):
        rule = "model.route"  # the server knows more than the schema
    if isinstance(body, dict) and not body.get("model"):
        rule, place = "model.missing", "model"  # null and "" are as good as nothing
    row = catalogue.errors()[catalogue.rules()[rule].error or ""]
    assert (answer.status_code, answer.get_json()["code"]) == (row.status, row.code)
    assert answer.headers["x-mock-reason"].startswith(f"{rule} at {place or 'body'}: ")
    assert jobs(vendor)["total"] == 0


@pytest.mark.parametrize(("number", "status"), [(1, 200), (10, 200), (11, 400)])
def test_a_job_takes_one_to_ten_files(vendor: Vendor, number: int, status: int) -> None:
    assert train(vendor, *[f"{PHOTO}?{index}" for index in range(number)]).status_code == status


@pytest.mark.parametrize("body", [{"model": TRAINING_MODEL}, training()], ids=["none", "empty"])
def test_missing_files_have_an_error_of_their_own(vendor: Vendor, body: dict[str, Any]) -> None:
    answer = train(vendor, body={**body, "training_file_ids": []} if "training_file_ids" in body else body)
    assert (answer.status_code, answer.get_json()["code"]) == (400, "InvalidParameter")
    assert answer.get_json()["message"].startswith("Missing training files")


# -- ids and times ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("advance", "minute", "time"),
    [
        ("0s", "202601151030", "2026-01-15 10:30:00"),
        ("59s999ms", "202601151030", "2026-01-15 10:30:59"),
        ("60s", "202601151031", "2026-01-15 10:31:00"),
        ("13h29m59s", "202601152359", "2026-01-15 23:59:59"),
        ("13h30m", "202601160000", "2026-01-16 00:00:00"),
        ("397d", "202702161030", "2027-02-16 10:30:00"),
    ],
)
def test_an_id_tells_the_minute_of_its_creation_in_utc_plus_8(
    vendor: Vendor, advance: str, minute: str, time: str
) -> None:
    vendor.clock.advance(advance)
    output = train(vendor).get_json()["output"]
    assert re.fullmatch(rf"ft-{minute}-[0-9a-f]{{4}}", output["job_id"])
    assert output["create_time"] == time


def test_ids_are_unique_and_a_crowded_minute_lends_from_the_next(
    unlimited: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MemoryWorld, "new_number", lambda _: 1)
    ids = [trained(unlimited) for _ in range(3)]
    assert ids == ["ft-202601151030-9e37", "ft-202601151031-9e37", "ft-202601151032-9e37"]


def test_no_two_accounts_have_a_job_of_the_same_id(unlimited: Vendor) -> None:
    ids = [trained(unlimited, key=f"sk-{number}") for number in range(1_500)]
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize(("extra", "status"), [(0, 200), (1, 400)])
def test_what_is_said_of_a_training_is_bounded(vendor: Vendor, extra: int, status: int) -> None:
    body: dict[str, Any] = {**training(PHOTO), "hyper_parameters": {"x": ""}}
    body["hyper_parameters"]["x"] = "y" * (MOST_JOB_BYTES - len(json.dumps(body)) + extra)
    answer = vendor.vendor_call("POST", JOBS, headers={"X-DashScope-Async": None}, json=body)
    assert answer.status_code == status
    assert answer.headers.get("X-Mock-Reason", "").startswith("mock.job-size at body: " if extra else "")


def test_two_hundred_jobs_of_a_minute_have_two_hundred_ids(unlimited: Vendor) -> None:
    ids = {trained(unlimited) for _ in range(200)}
    assert len(ids) == 200
    assert {each[:16] for each in ids} == {"ft-202601151030-"}


def test_the_same_seed_gives_the_same_ids() -> None:
    first, second, other = Vendor(seed=3), Vendor(seed=3), Vendor(seed=4)
    assert train(first).data == train(second).data
    assert train(other).data != train(first).data


# -- how a job goes ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("age_ms", "expected"),
    [
        (0, "PENDING"),
        (PENDING_MS - 1, "PENDING"),
        (PENDING_MS, "RUNNING"),
        (PENDING_MS + RUNNING_MS - 1, "RUNNING"),
        (PENDING_MS + RUNNING_MS, "SUCCEEDED"),
        (30 * 24 * 3_600_000, "SUCCEEDED"),
    ],
)
@pytest.mark.parametrize("limits", ["documented", "off"])
def test_a_job_passes_from_pending_to_succeeded(limits: str, age_ms: int, expected: str) -> None:
    vendor = Vendor(limits=limits)
    job = trained(vendor)
    vendor.later(age_ms)
    assert job_status(vendor, job) == expected


def test_in_the_real_profile_a_training_takes_five_minutes() -> None:
    vendor = Vendor(profile="real")
    job = trained(vendor)
    seen = [job_status(vendor, job)]
    for wait_ms in (1_000, 299_999, 1):
        vendor.later(wait_ms)
        seen.append(job_status(vendor, job))
    assert seen == ["PENDING", "RUNNING", "RUNNING", "SUCCEEDED"]


def test_a_job_that_succeeded_tells_its_end_and_its_usage(vendor: Vendor) -> None:
    job = trained(vendor)
    created = job_of(vendor, job)
    vendor.later(PENDING_MS + RUNNING_MS)
    assert job_of(vendor, job) == {
        **created,
        "status": "SUCCEEDED",
        "end_time": "2026-01-15 10:30:03",
        "usage": 1,
    }


@pytest.mark.parametrize("reason", ["algo_error", "no_human_face", "internal_error", "image_resolution"])
def test_a_job_that_failed_says_why_and_is_charged_for_nothing(vendor: Vendor, reason: str) -> None:
    job = trained(vendor, plan={**IMMEDIATE, "outcome": {"error": reason}})
    output = job_of(vendor, job)
    row = catalogue.errors()[reason]
    assert (output["status"], output["code"], output["message"], output["usage"]) == (
        "FAILED",
        row.code,
        row.message,
        0,
    )
    assert output["end_time"] == "2026-01-15 10:30:01"


def test_a_job_may_fail_without_details(vendor: Vendor) -> None:
    output = job_of(vendor, trained(vendor, plan={**IMMEDIATE, "outcome": {"status": "FAILED"}}))
    assert output["status"] == "FAILED"
    assert not {"code", "message"} & output.keys()


def test_a_job_that_was_cancelled_has_the_code_of_the_vendors_sample(vendor: Vendor) -> None:
    job = trained(vendor)
    assert cancel_job(vendor, job).status_code == 200
    output = job_of(vendor, job)
    assert (output["status"], output["code"], output["usage"]) == ("CANCELED", "1", 0)
    assert "message" not in output


def test_a_job_by_polls_goes_on_when_it_is_asked_for(vendor: Vendor) -> None:
    job = trained(vendor, plan={"progression": "polls", "pending": 2, "running": 3})
    vendor.clock.advance("10d")
    assert [job_status(vendor, job) for _ in range(7)] == ["PENDING"] * 2 + ["RUNNING"] * 3 + ["SUCCEEDED"] * 2


@pytest.mark.parametrize(("plan", "state"), [(HELD, "RUNNING"), (HELD_PENDING, "PENDING")])
def test_a_held_job_waits_for_its_release_however_long(vendor: Vendor, plan: dict[str, Any], state: str) -> None:
    job = trained(vendor, plan=plan)
    vendor.clock.advance("30d")  # a portrait would have been given up after three hours
    assert job_status(vendor, job) == state
    assert vendor.admin("POST", f"tasks/{job}/release").status_code == 200
    assert job_status(vendor, job) == "SUCCEEDED"


def test_an_immediate_job_is_pending_when_it_is_created_and_done_when_it_is_asked_for(vendor: Vendor) -> None:
    answer = train(vendor, plan=IMMEDIATE)
    assert answer.get_json()["output"]["status"] == "PENDING"
    assert job_status(vendor, answer.get_json()["output"]["job_id"]) == "SUCCEEDED"


def test_a_job_is_given_another_plan_which_leaves_open_what_trainings_usually_do(vendor: Vendor) -> None:
    job = trained(vendor, plan=HELD)
    assert vendor.admin("PUT", f"tasks/{job}", {"plan": {}}).status_code == 200
    plan = vendor.admin("GET", f"tasks/{job}").get_json()["plan"]
    assert (plan["pending_ms"], plan["running_ms"]) == (PENDING_MS, RUNNING_MS)


def test_jobs_are_kept_for_ever(vendor: Vendor) -> None:
    job = trained(vendor, plan=IMMEDIATE)
    vendor.clock.advance("365d")
    assert job_status(vendor, job) == "SUCCEEDED"
    assert jobs(vendor)["total"] == 1


# -- one at a time ----------------------------------------------------------------------------------------------------


def test_one_job_runs_and_the_next_ones_queue_in_order(vendor: Vendor) -> None:
    three = [trained(vendor, plan={"progression": "time", "pending_ms": 0, "running_ms": 10_000}) for _ in range(3)]
    assert train(vendor).status_code == 429

    def statuses() -> list[str]:
        return [job_status(vendor, job) for job in three]

    assert statuses() == ["RUNNING", "QUEUING", "QUEUING"]
    vendor.later(7_999)
    assert statuses() == ["RUNNING", "QUEUING", "QUEUING"]
    vendor.later(1)
    assert statuses() == ["SUCCEEDED", "RUNNING", "QUEUING"]
    vendor.later(10_000)
    assert statuses() == ["SUCCEEDED", "SUCCEEDED", "RUNNING"]
    vendor.later(10_000)
    assert statuses() == ["SUCCEEDED"] * 3


def test_the_answer_to_a_second_creation_says_that_it_queues(vendor: Vendor) -> None:
    trained(vendor, plan=HELD)
    vendor.later(1_000)
    assert train(vendor).get_json()["output"]["status"] == "QUEUING"


@pytest.mark.parametrize("way", ["ends", "is cancelled", "is deleted"])
def test_a_job_that_queued_never_looks_pending_again(vendor: Vendor, way: str) -> None:
    first = trained(vendor, plan=HELD_PENDING if way == "is cancelled" else HELD)
    second = trained(vendor, plan=SLOW)
    seen = [job_status(vendor, second)]
    if way == "ends":
        vendor.admin("POST", f"tasks/{first}/release")
    else:
        assert (cancel_job if way == "is cancelled" else delete_job)(vendor, first).status_code == 200
    for wait_ms in (0, 999, 1, 59_999, 1):
        vendor.later(wait_ms)
        seen.append(job_status(vendor, second))
    assert seen == ["QUEUING"] * 3 + ["RUNNING"] * 2 + ["SUCCEEDED"]


def test_trainings_and_portraits_do_not_wait_for_each_other(vendor: Vendor) -> None:
    job = trained(vendor, plan=HELD)
    task = vendor.submitted(plan=HELD)
    assert (job_status(vendor, job), vendor.status(task)) == ("RUNNING", "RUNNING")


def test_accounts_and_sessions_do_not_wait_for_each_other(vendor: Vendor) -> None:
    trained(vendor, plan=HELD)
    other, apart = trained(vendor, plan=HELD, key="sk-other"), trained(vendor.of_session("apart"), plan=HELD)
    assert job_status(vendor, other, key="sk-other") == job_status(vendor.of_session("apart"), apart) == "RUNNING"


def test_without_limits_all_run_side_by_side(unlimited: Vendor) -> None:
    many = [trained(unlimited) for _ in range(30)]
    unlimited.later(PENDING_MS)
    assert {job_status(unlimited, job) for job in many} == {"RUNNING"}
    unlimited.later(RUNNING_MS)
    assert {job_status(unlimited, job) for job in many} == {"SUCCEEDED"}


def test_a_job_by_polls_that_nobody_asks_for_does_not_hold_up_the_rest(vendor: Vendor) -> None:
    trained(vendor, plan={"progression": "polls", "running": 1})
    second = trained(vendor, plan=IMMEDIATE)
    seen = [job_status(vendor, second) for _ in range(8)]
    assert seen == sorted(seen, key=["QUEUING", "SUCCEEDED"].index)
    assert seen[-1] == "SUCCEEDED"


# -- rate and quota ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("after_ms", "statuses"), [((0, 0), [200, 429]), ((0, 999), [200, 429]), ((0, 1_000), [200, 200])]
)
def test_an_account_creates_one_job_a_second(vendor: Vendor, after_ms: tuple[int, ...], statuses: list[int]) -> None:
    met = []
    for wait_ms in after_ms:
        vendor.later(wait_ms)
        answer = train(vendor)
        met.append(answer.status_code)
    assert met == statuses
    if met[-1] == 429:
        refused(answer, "rate_quota", "rate.jobs")
        assert "1 trainings were taken within the last second" in answer.headers["x-mock-reason"]


def test_a_wrong_body_counts_against_the_rate_and_a_throttled_call_does_not(vendor: Vendor) -> None:
    assert [train(vendor, body={}).status_code for _ in range(3)] == [400, 429, 429]
    vendor.later(1_000)
    assert train(vendor).status_code == 200


def test_asking_listing_and_cancelling_have_no_rate_of_their_own(vendor: Vendor) -> None:
    job = trained(vendor)
    assert {get_job(vendor, job).status_code for _ in range(50)} == {200}
    assert {vendor.list().status_code for _ in range(20)} == {200}
    assert train(vendor).status_code == 429


def fill(vendor: Vendor, number: int, **plan: Any) -> list[str]:
    return [trained(vendor, plan={**IMMEDIATE, **plan}) for _ in range(number)]


def test_twenty_jobs_that_run_or_succeeded_are_allowed(vendor: Vendor) -> None:
    fill(vendor, 20)
    vendor.later(1_000)
    answer = train(vendor)
    refused(answer, "training_quota", "job.quota")
    assert answer.status_code == 429
    assert not catalogue.errors()["training_quota"].retry
    vendor.clock.advance("30d")
    refused(train(vendor), "training_quota", "job.quota")


def test_jobs_that_wait_or_run_count_like_those_that_succeeded(vendor: Vendor) -> None:
    fill(vendor, 18)
    for _ in range(2):
        trained(vendor, plan=HELD)
    vendor.later(1_000)
    refused(train(vendor), "training_quota", "job.quota")


def test_jobs_that_came_to_nothing_do_not_count(vendor: Vendor) -> None:
    fill(vendor, 19)
    fill(vendor, 5, outcome={"error": "algo_error"})
    gone = trained(vendor)
    cancel_job(vendor, gone)
    deleted = trained(vendor, plan=HELD)
    assert delete_job(vendor, deleted).status_code == 200
    trained(vendor, plan=IMMEDIATE)
    vendor.later(1_000)
    assert train(vendor).status_code == 429


def test_a_job_that_was_deleted_makes_room() -> None:
    vendor = Vendor(behaviour={"finetune-delete": "any"})
    first, *_ = fill(vendor, 20)
    assert delete_job(vendor, first).status_code == 200
    vendor.later(1_000)
    assert [train(vendor).status_code, train(vendor).status_code] == [200, 429]


def test_the_quota_is_each_accounts_own_and_no_limit_without_limits(vendor: Vendor, unlimited: Vendor) -> None:
    fill(vendor, 20)
    assert train(vendor, key="sk-other").status_code == 200
    fill(unlimited, 25)


# -- asking and listing -----------------------------------------------------------------------------------------------


CALLS: Mapping[str, Callable[[Vendor, str], TestResponse]] = {
    "get": get_job,
    "cancel": cancel_job,
    "delete": delete_job,
    "logs": lambda vendor, job: family_call(vendor, "GET", f"{JOBS}/{job}/logs"),
    "stream": lambda vendor, job: family_call(vendor, "GET", f"{JOBS}/{job}/stream"),
}


@pytest.mark.parametrize("call", CALLS)
def test_a_job_that_nobody_knows_is_not_found(vendor: Vendor, call: str) -> None:
    job = trained(vendor)
    for unknown in ("ft-202601151030-zzzz", "x", likeness(job), "ft-" + "0" * 200, quote("\u6211\r\nX-Evil: 1")):
        answer = CALLS[call](vendor, unknown)
        refused(answer, "not_found", "job.known")
        assert answer.status_code == 404
        assert "X-Evil" not in answer.headers
    near = job[:-1] + ("0" if job[-1] != "0" else "1")
    assert f"nearest is {job}" in CALLS[call](vendor, near).headers["x-mock-reason"]


@pytest.mark.parametrize("call", CALLS)
def test_a_job_of_another_account_or_session_is_not_found(vendor: Vendor, call: str) -> None:
    job = trained(vendor, key="sk-other")
    apart = trained(vendor.of_session("apart"))
    for unknown in (job, apart):
        refused(CALLS[call](vendor, unknown), "not_found", "job.known")


def test_keys_of_one_account_share_its_jobs() -> None:
    vendor = Vendor(api_key={"sk-main": "acme", "sk-ram": "acme", "sk-other": "globex"})
    job = trained(vendor)
    assert job_status(vendor, job, key="sk-ram") == "PENDING"
    assert get_job(vendor, job, key="sk-other").status_code == 404
    vendor.later(500)
    assert train(vendor, key="sk-ram").status_code == 429


def test_an_empty_list(vendor: Vendor) -> None:
    assert jobs(vendor) == {"page_no": 1, "page_size": 10, "total": 0, "jobs": []}


def test_a_list_shows_what_asking_shows_the_newest_first(vendor: Vendor) -> None:
    three = [trained(vendor, plan=plan) for plan in (IMMEDIATE, FAILING, HELD)]
    listed = jobs(vendor)
    assert listed["jobs"] == [job_of(vendor, job) for job in reversed(three)]
    assert [job["status"] for job in listed["jobs"]] == ["RUNNING", "FAILED", "SUCCEEDED"]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", list(range(24, 14, -1))),
        ("page_no=1&page_size=100", list(range(24, -1, -1))),
        ("page_no=2", list(range(14, 4, -1))),
        ("page_no=3", [4, 3, 2, 1, 0]),
        ("page_no=4", []),
        ("page_no=1000000&page_size=100", []),
        ("page_size=1&page_no=25", [0]),
        ("page_size=7&page_no=2", list(range(17, 10, -1))),
        ("page_size=5&page_size=2", [24, 23]),
    ],
)
def test_a_list_comes_in_pages(unlimited: Vendor, query: str, found: list[int]) -> None:
    ids = [trained(unlimited) for _ in range(25)]
    listed = jobs(unlimited, query)
    assert [job["job_id"] for job in listed["jobs"]] == [ids[index] for index in found]
    assert listed["total"] == 25


@pytest.mark.parametrize(
    "query", ["page_no=0", "page_no=-1", "page_no=x", "page_no=1.0", "page_size=0", "page_size=101", "page_size=%31%00"]
)
def test_a_page_that_is_none_is_refused(vendor: Vendor, query: str) -> None:
    answer = family_call(vendor, "GET", f"{JOBS}?{query}")
    refused(answer, "parameters_invalid", "list.filters")
    assert f" at query {query.partition('=')[0]}: " in answer.headers["x-mock-reason"]


@pytest.mark.parametrize(
    ("model", "total"), [("facechain-finetune", 1), ("", 1), ("facechain-generation", 0), ("qwen-turbo", 0)]
)
def test_a_list_may_be_narrowed_to_a_model(vendor: Vendor, model: str, total: int) -> None:
    trained(vendor)
    listed = jobs(vendor, f"model={model}")
    assert (listed["total"], len(listed["jobs"])) == (total, total)


def test_jobs_are_no_tasks_and_tasks_are_no_jobs(vendor: Vendor) -> None:
    job, task = trained(vendor), vendor.submitted()
    assert vendor.status(job) == "UNKNOWN"
    assert [row["task_id"] for row in vendor.list().get_json()["data"]] == [task]
    assert vendor.cancel(job).status_code == 400
    assert get_job(vendor, task).status_code == 404
    assert [each["job_id"] for each in jobs(vendor)["jobs"]] == [job]
    assert [each["task_id"] for each in vendor.admin("GET", "jobs").get_json()["jobs"]] == [job]
    assert [each["task_id"] for each in vendor.admin("GET", "tasks").get_json()["tasks"]] == [task]


def test_a_slash_at_the_end_changes_nothing(vendor: Vendor) -> None:
    job = family_call(vendor, "POST", f"{JOBS}/", json=TRAINING).get_json()["output"]["job_id"]
    assert family_call(vendor, "GET", f"{JOBS}/").get_json()["output"]["total"] == 1
    assert family_call(vendor, "GET", f"{JOBS}/{job}/").status_code == 200
    assert family_call(vendor, "POST", f"{JOBS}/{job}/cancel/").status_code == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [("PUT", JOBS), ("DELETE", JOBS), ("POST", f"{JOBS}/x"), ("GET", f"{JOBS}/x/cancel"), ("POST", f"{JOBS}/x/logs")],
)
def test_each_path_takes_its_methods(vendor: Vendor, method: str, path: str) -> None:
    answer = family_call(vendor, method, path)
    assert (answer.status_code, answer.get_json()["message"]) == (400, f"Request method '{method}' is not supported.")


# -- cancelling and deleting ------------------------------------------------------------------------------------------


def pending(vendor: Vendor) -> str:
    return trained(vendor, plan=HELD_PENDING)


def queuing(vendor: Vendor) -> str:
    trained(vendor, plan=HELD)
    return trained(vendor, plan=IMMEDIATE)


def running(vendor: Vendor) -> str:
    return trained(vendor, plan=HELD)


def canceling(vendor: Vendor) -> str:
    job = running(vendor)
    assert cancel_job(vendor, job).status_code == 200
    return job


def succeeded(vendor: Vendor) -> str:
    return trained(vendor, plan=IMMEDIATE)


def failed(vendor: Vendor) -> str:
    return trained(vendor, plan=FAILING)


def canceled(vendor: Vendor) -> str:
    job = canceling(vendor)
    vendor.later(CANCELING_MS)
    return job


STATES: Mapping[str, Callable[[Vendor], str]] = {
    each.__name__.upper(): each for each in (pending, queuing, running, canceling, succeeded, failed, canceled)
}


def test_every_status_of_the_contract_can_be_had(vendor: Vendor) -> None:
    words = catalogue.schema("job")["$defs"]["job"]["properties"]["status"]["enum"]
    assert set(STATES) == set(words)
    for number, (status, reach) in enumerate(STATES.items()):
        apart = vendor.of_session(f"{number}")
        assert job_status(apart, reach(apart)) == status


@pytest.mark.parametrize(
    ("state", "after"),
    [("PENDING", "CANCELED"), ("QUEUING", "CANCELED"), ("RUNNING", "CANCELING")]
    + [(state, None) for state in ("CANCELING", "SUCCEEDED", "FAILED", "CANCELED")],
)
def test_what_has_not_ended_can_be_cancelled(vendor: Vendor, state: str, after: str | None) -> None:
    job = STATES[state](vendor)
    answer = cancel_job(vendor, job)
    if after is not None:
        assert (answer.status_code, answer.get_json()) == (
            200,
            {"request_id": answer.headers["x-request-id"], "output": {"status": "success"}},
        )
        assert job_status(vendor, job) == after
        vendor.later(CANCELING_MS)
        assert job_status(vendor, job) == "CANCELED"
    else:
        refused(answer, "operation_unsupported", "job.cancel")
        assert f"the job is {state}; " in answer.headers["x-mock-reason"]
        assert job_status(vendor, job) == state


def test_a_job_that_was_running_is_canceling_for_a_second(vendor: Vendor) -> None:
    job = running(vendor)
    vendor.later(5_000)
    cancel_job(vendor, job)
    seen = []
    for wait_ms in (0, CANCELING_MS - 1, 1):
        vendor.later(wait_ms)
        seen.append(job_status(vendor, job))
    assert seen == ["CANCELING", "CANCELING", "CANCELED"]
    assert job_of(vendor, job)["end_time"] == "2026-01-15 10:30:07"


def test_a_job_that_is_canceling_still_holds_the_slot(vendor: Vendor) -> None:
    first, second = running(vendor), trained(vendor, plan=HELD)
    cancel_job(vendor, first)
    assert job_status(vendor, second) == "QUEUING"
    vendor.later(CANCELING_MS)
    assert job_status(vendor, second) == "RUNNING"


def test_a_job_that_would_have_ended_meanwhile_is_cancelled_all_the_same(vendor: Vendor) -> None:
    job = trained(vendor, plan={"progression": "time", "pending_ms": 0, "running_ms": 100})
    vendor.later(50)
    cancel_job(vendor, job)
    vendor.later(100)
    assert job_status(vendor, job) == "CANCELING"
    vendor.later(CANCELING_MS)
    assert job_status(vendor, job) == "CANCELED"


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("choice", ["live", "any"])
def test_what_can_be_deleted_is_gone_and_what_cannot_stays(choice: str, state: str) -> None:
    vendor = Vendor(behaviour={"finetune-delete": choice})
    job = STATES[state](vendor)
    answer = delete_job(vendor, job)
    if choice == "any" or state in ("PENDING", "QUEUING", "RUNNING", "CANCELING"):
        assert (answer.status_code, answer.get_json()) == (
            200,
            {"request_id": answer.headers["x-request-id"], "output": {"status": "success"}},
        )
        refused(get_job(vendor, job), "not_found", "job.known")
        assert job not in [each["job_id"] for each in jobs(vendor)["jobs"]]
        refused(delete_job(vendor, job), "not_found", "job.known")
    else:
        refused(answer, "job_not_deletable", "job.delete")
        assert answer.status_code == 400
        assert f"the job is {state}; " in answer.headers["x-mock-reason"]
        assert job_status(vendor, job) == state


@pytest.mark.parametrize("state", ["PENDING", "RUNNING", "CANCELING"])
def test_a_job_that_was_deleted_gives_the_slot_to_the_next(vendor: Vendor, state: str) -> None:
    first, second = (pending if state == "PENDING" else running)(vendor), trained(vendor, plan=HELD)
    if state == "CANCELING":
        cancel_job(vendor, first)
    assert job_status(vendor, first) == state
    assert delete_job(vendor, first).status_code == 200
    assert job_status(vendor, second) == "RUNNING"


def test_a_deleted_job_in_the_middle_of_the_queue_is_passed_over(vendor: Vendor) -> None:
    first, second, third = running(vendor), trained(vendor, plan=HELD), trained(vendor, plan=HELD)
    assert delete_job(vendor, second).status_code == 200
    vendor.admin("POST", f"tasks/{first}/release")
    assert [job_status(vendor, job) for job in (first, third)] == ["SUCCEEDED", "RUNNING"]


# -- what a likeness is good for --------------------------------------------------------------------------------------


def denied(answer: TestResponse, problem: str, index: int = 0) -> None:
    assert (answer.status_code, answer.get_json()["code"]) == (403, "Resource.AccessDenied")
    assert rule_of(answer) == "resource.known"
    assert f" at resources.{index}.resource_id: " in answer.headers["x-mock-reason"]
    assert problem in answer.headers["x-mock-reason"]


@pytest.mark.parametrize("mode", ["preset-style", "template-with-lora"])
@pytest.mark.parametrize("state", STATES)
def test_a_likeness_can_be_used_once_its_job_succeeded(vendor: Vendor, state: str, mode: str) -> None:
    job = STATES[state](vendor)
    answer = vendor.submit({**GOOD[mode], "resources": portrait(likeness(job))["resources"]})
    if state == "SUCCEEDED":
        assert answer.status_code == 200
    else:
        word = {"QUEUING": "PENDING", "CANCELING": "RUNNING"}.get(state, state)
        denied(answer, f"is not trained: its job is {word}")
        assert vendor.admin("GET", "tasks").get_json()["tasks"] == []


def test_nobody_needs_to_look_at_the_job_first(vendor: Vendor) -> None:
    job = trained(vendor)
    vendor.later(PENDING_MS + RUNNING_MS - 1)
    denied(vendor.submit(portrait(likeness(job))), "its job is RUNNING")
    vendor.later(1)
    assert vendor.submit(portrait(likeness(job))).status_code == 200


def test_a_likeness_is_its_accounts_own(vendor: Vendor) -> None:
    job = succeeded(vendor)
    denied(vendor.submit(portrait(likeness(job)), key="sk-other"), "is no likeness of this account")
    denied(vendor.of_session("apart").submit(portrait(likeness(job))), "is no likeness of this account")
    assert vendor.submit(portrait(likeness(job))).status_code == 200


def test_a_deleted_likeness_is_one_no_more() -> None:
    vendor = Vendor(behaviour={"finetune-delete": "any"})
    job = succeeded(vendor)
    assert vendor.submit(portrait(likeness(job))).status_code == 200
    delete_job(vendor, job)
    denied(vendor.submit(portrait(likeness(job))), "is no likeness of this account")


def test_a_reset_of_the_tasks_forgets_likenesses_too(vendor: Vendor) -> None:
    job = succeeded(vendor)
    vendor.admin("POST", "reset/tasks")
    denied(vendor.submit(portrait(likeness(job))), "is no likeness of this account")


@pytest.mark.parametrize(
    "spell",
    [
        "{job}",
        "FACECHAIN-FINETUNE-{job}",
        "facechain-png-{job}",
        "facechain-finetune-facechain-finetune-{job}",
        " facechain-finetune-{job}",
        "facechain-finetune-",
        "a-likeness",
        "women_models",
    ],
)
def test_a_likeness_is_named_letter_by_letter(vendor: Vendor, spell: str) -> None:
    answer = vendor.submit(portrait(spell.format(job=succeeded(vendor))))
    denied(answer, "is no likeness of this account")


def test_the_nearest_likeness_is_named(vendor: Vendor) -> None:
    job = succeeded(vendor)
    denied(vendor.submit(portrait(likeness(job)[:-1])), f"nearest is '{likeness(job)}'")
    denied(vendor.submit(portrait("woman_model")), "nearest is 'women_model'")


def test_each_of_several_likenesses_is_looked_at(vendor: Vendor) -> None:
    good, bad = succeeded(vendor), failed(vendor)
    denied(vendor.submit(portrait("women_model", likeness(good), likeness(bad))), "its job is FAILED", index=2)


@pytest.mark.parametrize("name", sorted(SAMPLE_RESOURCES))
def test_the_likenesses_of_the_vendors_samples_need_no_training(vendor: Vendor, name: str) -> None:
    assert vendor.submit(portrait(name)).status_code == 200


def test_likenesses_may_be_configured_or_added() -> None:
    vendor = Vendor(resource=("mine", "yours"), limits="off")
    assert vendor.submit(portrait("mine", "yours")).status_code == 200
    denied(vendor.submit(portrait("theirs")), "is no likeness of this account")
    assert vendor.admin("POST", "resources", {"resource_id": "theirs"}).status_code == 201
    assert vendor.submit(portrait("theirs"), key="sk-other").status_code == 200
    denied(vendor.of_session("apart").submit(portrait("theirs")), "is no likeness of this account")
    vendor.admin("DELETE", "resources")
    denied(vendor.submit(portrait("theirs")), "is no likeness of this account")
    assert vendor.submit(portrait("mine")).status_code == 200


def test_a_likeness_that_names_a_scenario_is_one_of_the_mocks_own(vendor: Vendor) -> None:
    assert vendor.submit(portrait("mock-happy")).status_code == 200


def test_in_train_free_mode_no_likeness_is_looked_at(vendor: Vendor) -> None:
    body = {**GOOD["train-free"], "resources": portrait("nobody")["resources"]}
    assert vendor.submit(body).status_code == 200


def test_a_likeness_with_a_line_break_does_not_become_a_header(vendor: Vendor) -> None:
    answer = vendor.submit(portrait("x\r\nX-Evil: 1\u6211" + "x" * 5_000))
    denied(answer, "is no likeness of this account")
    assert "X-Evil" not in answer.headers
    assert re.fullmatch(r"[ -~]{1,1000}", answer.headers["x-mock-reason"])


def test_a_portrait_outlives_its_likeness() -> None:
    vendor = Vendor(behaviour={"finetune-delete": "any"})
    job = succeeded(vendor)
    task = vendor.submitted(portrait(likeness(job)))
    delete_job(vendor, job)
    vendor.later(5_000)
    assert vendor.status(task) == "SUCCEEDED"


# -- photos -----------------------------------------------------------------------------------------------------------


FLAWED: Mapping[str, dict[str, Any]] = {
    "format": {"format": "gif"},
    "bytes": {"bytes": 6_000_000},
    "resolution": {"width": 255, "face_px": 200},
    "face": {"faces": 0},
    "faces": {"faces": 2},
    "face-size": {"face_px": 127},
}


@pytest.mark.parametrize("flaw", FLAWED)
def test_a_photo_that_will_not_do_fails_the_job_when_it_would_have_ended(vendor: Vendor, flaw: str) -> None:
    job = trained(vendor, PHOTO, asset(**FLAWED[flaw]))
    vendor.later(PENDING_MS + RUNNING_MS - 1)
    assert job_status(vendor, job) == "RUNNING"
    vendor.later(1)
    output = job_of(vendor, job)
    row = catalogue.errors()[catalogue.picture_problems()[flaw].error]
    assert (output["status"], output["code"], output["message"]) == ("FAILED", row.code, row.message)
    denied(vendor.submit(portrait(likeness(job))), "its job is FAILED")


@pytest.mark.parametrize("flaw", FLAWED)
def test_or_is_refused_at_once(flaw: str) -> None:
    vendor = Vendor(behaviour={"picture-timing": "submit"})
    answer = train(vendor, PHOTO, asset(**FLAWED[flaw]), NO_FACE)
    row = catalogue.errors()[catalogue.picture_problems()[flaw].error]
    assert (answer.status_code, answer.get_json()["code"]) == (row.status, row.code)
    assert answer.headers["x-mock-reason"].startswith(f"picture.{flaw} at training_file_ids.1: ")
    assert jobs(vendor)["total"] == vendor.admin("GET", "ledger").get_json()["submissions"] == 0


def test_of_several_flaws_that_of_the_first_photo_counts(vendor: Vendor) -> None:
    job = trained(vendor, PHOTO, asset(faces=2), NO_FACE, plan=IMMEDIATE)
    assert job_of(vendor, job)["code"] == catalogue.errors()["request_invalid"].code


def test_a_job_that_was_to_fail_fails_for_its_own_reason(vendor: Vendor) -> None:
    assert job_of(vendor, trained(vendor, NO_FACE, plan=FAILING))["code"] == "InternalError.Algo"


def test_photos_are_judged_by_the_limits_of_detection(vendor: Vendor) -> None:
    job = trained(vendor, asset(width=4096, height=4096, angle=15), asset("me.webp", faces=1), plan=IMMEDIATE)
    assert job_status(vendor, job) == "SUCCEEDED"


def test_a_photo_may_be_given_twice(vendor: Vendor) -> None:
    job = trained(vendor, PHOTO, PHOTO, plan=IMMEDIATE)
    output = job_of(vendor, job)
    assert (output["status"], output["training_file_ids"]) == ("SUCCEEDED", [PHOTO, PHOTO])


def test_without_faces_every_kind_of_file_fails_the_job(vendor: Vendor) -> None:
    zipped = file_id(vendor, b"PK\3\4" + b"x" * 100)
    for file in (PHOTO, asset(faces=1), file_id(vendor, photo()), zipped):
        job = trained(vendor, file, headers={"X-Mock-Scenario": "no-face"})
        vendor.later(PENDING_MS + RUNNING_MS)
        assert job_of(vendor, job)["code"] == "InvalidImage.NoHumanFace"


# -- files and temporary uploads --------------------------------------------------------------------------------------


def test_files_are_named_by_their_ids(vendor: Vendor) -> None:
    files = [file_id(vendor, photo(side, side)) for side in (300, 600)]
    job = trained(vendor, *files, PHOTO, plan=IMMEDIATE)
    assert (job_status(vendor, job), job_of(vendor, job)["training_file_ids"]) == ("SUCCEEDED", [*files, PHOTO])


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (photo(255, 300), "InvalidImageResolution"),
        (photo(format_="BMP"), "InvalidImageFormat"),
        (b"no picture", "InvalidImageFormat"),
        (photo(size=5 * 1_048_576 + 1), "InvalidImage.ImageSize"),
    ],
    ids=["small", "bmp", "text", "large"],
)
def test_a_file_is_looked_at(vendor: Vendor, content: bytes, code: str) -> None:
    file = file_id(vendor, content)
    job = trained(vendor, PHOTO, file, plan=IMMEDIATE)
    assert (job_of(vendor, job)["status"], job_of(vendor, job)["code"]) == ("FAILED", code)


def test_what_is_in_a_zip_is_taken_for_good_photos(vendor: Vendor) -> None:
    job = trained(vendor, file_id(vendor, b"PK\3\4" + b"x" * 100), plan=IMMEDIATE)
    assert job_status(vendor, job) == "SUCCEEDED"


def test_a_file_must_be_one_of_the_accounts(vendor: Vendor) -> None:
    mine, other, gone = (file_id(vendor, key=key) for key in ("sk-main", "sk-other", "sk-main"))
    assert family_call(vendor, "DELETE", f"/api/v1/files/{gone}").status_code == 200
    for unknown in (other, gone, "x", "me.jpg", mine.upper()):
        vendor.later(1_000)
        answer = train(vendor, PHOTO, unknown)
        refused(answer, "resource_not_exist", "job.file.known")
        assert " at training_file_ids.1: " in answer.headers["x-mock-reason"]
    vendor.later(1_000)
    assert f"nearest is '{mine}'" in train(vendor, mine[:-1]).headers["x-mock-reason"]
    assert jobs(vendor)["total"] == 0


def test_a_file_may_be_deleted_once_the_job_has_it(vendor: Vendor) -> None:
    file = file_id(vendor, photo())
    job = trained(vendor, file)
    assert family_call(vendor, "DELETE", f"/api/v1/files/{file}").status_code == 200
    vendor.later(PENDING_MS + RUNNING_MS)
    assert job_status(vendor, job) == "SUCCEEDED"


def test_temporary_uploads_are_of_the_model_that_is_trained(vendor: Vendor) -> None:
    good, other = (uploaded(vendor, photo(), model=model) for model in (TRAINING_MODEL, DETECTION_MODEL))
    seen = [
        job_of(vendor, trained(vendor, link, headers=RESOLVED, plan=IMMEDIATE)).get("code") for link in (good, other)
    ]
    assert seen == [None, catalogue.errors()["media_unreachable"].code]


def test_an_oss_link_needs_its_header(vendor: Vendor) -> None:
    link = uploaded(vendor, photo(), model=TRAINING_MODEL)
    answer = train(vendor, PHOTO, link)
    refused(answer, "media_format", "oss.resolve-header")
    assert jobs(vendor)["total"] == 0


# -- logs -------------------------------------------------------------------------------------------------------------


def log(vendor: Vendor, job: str, query: str = "") -> dict[str, Any]:
    answer = family_call(vendor, "GET", f"{JOBS}/{job}/logs" + (f"?{query}" if query else ""))
    assert answer.status_code == 200, answer.text
    assert answer.get_json()["request_id"] == answer.headers["x-request-id"]
    output: dict[str, Any] = answer.get_json()["output"]
    return output


def test_a_log_tells_what_happened_when(vendor: Vendor) -> None:
    job = trained(vendor, PHOTO, f"{PHOTO}?2")
    created = f"2026-01-15 10:30:01.000 - INFO - job {job} was created"
    assert log(vendor, job) == {"total": 1, "logs": [created]}
    vendor.later(PENDING_MS)
    begun = [
        created,
        f"2026-01-15 10:30:01.200 - INFO - training of facechain-finetune-{job} begins",
        "2026-01-15 10:30:01.200 - INFO - photo 1 of 2 was read",
        "2026-01-15 10:30:01.200 - INFO - photo 2 of 2 was read",
    ]
    assert log(vendor, job) == {"total": 4, "logs": begun}
    vendor.later(RUNNING_MS)
    assert log(vendor, job) == {"total": 5, "logs": [*begun, "2026-01-15 10:30:03.200 - INFO - SUCCEEDED"]}


def test_a_log_tells_why_a_job_failed_or_stopped(vendor: Vendor) -> None:
    message = catalogue.errors()["algo_error"].message
    assert log(vendor, failed(vendor))["logs"][-1] == f"2026-01-15 10:30:01.000 - ERROR - FAILED: {message}"
    assert log(vendor, canceled(vendor))["logs"][-2:] == [
        "2026-01-15 10:30:02.000 - INFO - the job was told to stop",
        "2026-01-15 10:30:03.000 - INFO - CANCELED",
    ]
    assert log(vendor, queuing(vendor))["total"] == 1


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("", [0, 1, 2, 3, 4]),
        ("offset=0&line=1000", [0, 1, 2, 3, 4]),
        ("offset=1", [1, 2, 3, 4]),
        ("offset=4", [4]),
        ("offset=5", []),
        ("offset=1000000", []),
        ("line=1", [0]),
        ("line=2", [0, 1]),
        ("offset=3&line=1", [3]),
        ("offset=3&line=100", [3, 4]),
    ],
)
def test_a_log_is_read_in_pieces(vendor: Vendor, query: str, shown: list[int]) -> None:
    job = trained(vendor, PHOTO, f"{PHOTO}?2", plan=IMMEDIATE)
    whole = log(vendor, job)["logs"]
    assert log(vendor, job, query) == {"total": 5, "logs": [whole[index] for index in shown]}


@pytest.mark.parametrize("query", ["offset=-1", "offset=x", "offset=1000001", "line=0", "line=1001", "line=x", "line="])
def test_a_piece_that_is_none_is_refused(vendor: Vendor, query: str) -> None:
    job = trained(vendor)
    answer = family_call(vendor, "GET", f"{JOBS}/{job}/logs?{query}")
    if query == "line=":
        assert answer.status_code == 200  # as good as left out
        return
    refused(answer, "parameters_invalid", "list.filters")
    assert f" at query {query.partition('=')[0]}: " in answer.headers["x-mock-reason"]


def test_a_log_may_be_read_as_a_stream_of_events(vendor: Vendor) -> None:
    job = trained(vendor, plan=IMMEDIATE)
    answer = family_call(vendor, "GET", f"{JOBS}/{job}/stream")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/event-stream;charset=UTF-8")
    lines = log(vendor, job)["logs"]
    events = answer.text.split("\n\n")
    assert events.pop() == ""
    assert len(events) == len(lines) == 4
    for number, (event, line) in enumerate(zip(events, lines, strict=True), start=1):
        identity, kind, data = event.split("\n")
        assert (identity, kind) == (f"id:{number}", "event:result")
        assert json.loads(data.removeprefix("data:")) == {
            "request_id": answer.headers["x-request-id"],
            "output": {"message": line},
        }


# -- scenarios and plans ----------------------------------------------------------------------------------------------

Carrier = Callable[[Vendor, dict[str, Any], str], None]


def by_header(vendor: Vendor, more: dict[str, Any], name: str) -> None:
    more["headers"] = {"X-Mock-Scenario": name}


def by_host(vendor: Vendor, more: dict[str, Any], name: str) -> None:
    more["files"] = [PHOTO, f"https://{name}.facechain.test/me.jpg"]


def by_queue(vendor: Vendor, more: dict[str, Any], name: str) -> None:
    vendor.admin("POST", "plans", {"model": TRAINING_MODEL, "scenario": name})


def by_session(vendor: Vendor, more: dict[str, Any], name: str) -> None:
    vendor.admin("PUT", "scenario", {"scenario": name})


def by_key(vendor: Vendor, more: dict[str, Any], name: str) -> None:
    more["key"] = f"sk-mock-{name}"


CARRIERS: tuple[Carrier, ...] = (by_header, by_host, by_queue, by_session)
"""The most specific first; the key is asked for its plan when none of them says anything."""

ENDS = {"failed-training": "FAILED", "slow-training": "RUNNING", "never-trained": "RUNNING", "happy": "SUCCEEDED"}


def end_of(vendor: Vendor, more: dict[str, Any]) -> str:
    """How a job under these carriers goes: its status after a while, or the code of its refusal."""
    files = more.pop("files", [PHOTO])
    vendor.later(1_000)
    answer = train(vendor, *files, **more)
    if answer.status_code != 200:
        return str(answer.get_json()["code"])
    key = {"key": more["key"]} if "key" in more else {}
    vendor.later(PENDING_MS + RUNNING_MS)
    return job_status(vendor, answer.get_json()["output"]["job_id"], **key)


@pytest.mark.parametrize("name", ENDS)
@pytest.mark.parametrize("carrier", [*CARRIERS, by_key], ids=lambda carrier: str(carrier.__name__))
def test_a_scenario_comes_by_any_carrier(vendor: Vendor, carrier: Carrier, name: str) -> None:
    more: dict[str, Any] = {}
    carrier(vendor, more, name)
    assert end_of(vendor, more) == ENDS[name]


@pytest.mark.parametrize("loser", CARRIERS, ids=lambda carrier: str(carrier.__name__))
@pytest.mark.parametrize("winner", CARRIERS, ids=lambda carrier: str(carrier.__name__))
def test_the_more_specific_carrier_decides_alone(vendor: Vendor, winner: Carrier, loser: Carrier) -> None:
    if CARRIERS.index(winner) >= CARRIERS.index(loser):
        return
    more: dict[str, Any] = {}
    winner(vendor, more, "failed-training")
    loser(vendor, more, "arrears")
    assert end_of(vendor, more) == "FAILED"


@pytest.mark.parametrize("carrier", CARRIERS, ids=lambda carrier: str(carrier.__name__))
def test_the_plan_of_a_key_counts_when_nothing_else_is_asked(vendor: Vendor, carrier: Carrier) -> None:
    more: dict[str, Any] = {}
    by_key(vendor, more, "failed-training")
    carrier(vendor, more, "happy")
    assert end_of(vendor, more) == "SUCCEEDED"


@pytest.mark.parametrize("carrier", [*CARRIERS, by_key], ids=lambda carrier: str(carrier.__name__))
def test_a_scenario_refuses_the_account(vendor: Vendor, carrier: Carrier) -> None:
    more: dict[str, Any] = {}
    carrier(vendor, more, "arrears")
    assert end_of(vendor, more) == "Arrearage"
    assert vendor.admin("GET", "plans").get_json()["plans"] == []


def test_of_two_hosts_the_first_that_names_a_scenario_counts(vendor: Vendor) -> None:
    hosts = [PHOTO, *(f"https://{name}.facechain.test/" for name in ("assets", "failed-training", "arrears"))]
    assert end_of(vendor, {"files": hosts}) == "FAILED"


def test_a_scenario_that_says_nothing_of_trainings_leaves_them_alone(vendor: Vendor) -> None:
    for name in ("never-ends", "failed-algo", "immediate", "partial"):
        assert end_of(vendor, {"headers": {"X-Mock-Scenario": name}}) == "SUCCEEDED"


def test_a_scenario_of_trainings_leaves_portraits_alone(vendor: Vendor) -> None:
    vendor.admin("PUT", "scenario", {"scenario": "failed-training"})
    task = vendor.submitted()
    vendor.later(1_000)
    assert vendor.status(task) == "SUCCEEDED"


@pytest.mark.parametrize("name", ["fialed-training", "", "x"])
@pytest.mark.parametrize("carrier", [by_header, by_host], ids=lambda carrier: str(carrier.__name__))
def test_a_scenario_that_does_not_exist_is_refused(vendor: Vendor, carrier: Carrier, name: str) -> None:
    more: dict[str, Any] = {}
    carrier(vendor, more, name)
    if carrier is by_host and not name:
        return
    files = more.pop("files", [PHOTO])
    answer = train(vendor, *files, **more)
    assert (answer.status_code, rule_of(answer)) == (400, "mock.scenario")


def test_a_plan_in_a_header_beats_every_plan(vendor: Vendor) -> None:
    more: dict[str, Any] = {}
    by_queue(vendor, more, "arrears")
    by_session(vendor, more, "never-trained")
    by_host(vendor, more, "slow-training")
    more["headers"] = {"X-Mock-Plan": json.dumps(FAILING)}
    assert end_of(vendor, more) == "FAILED"
    assert len(vendor.admin("GET", "plans").get_json()["plans"]) == 1


def test_what_a_plan_leaves_open_is_as_trainings_usually_are(vendor: Vendor) -> None:
    for plan in ({"outcome": {"error": "algo_error"}}, {"running_ms": 100}):
        job = trained(vendor, headers={"X-Mock-Plan": json.dumps(plan)})
        shown = vendor.admin("GET", f"tasks/{job}").get_json()["plan"]
        assert shown["pending_ms"] == PENDING_MS
        assert shown["running_ms"] == plan.get("running_ms", RUNNING_MS)


def test_each_models_plans_are_taken_in_order(vendor: Vendor) -> None:
    for model, plan in ((TRAINING_MODEL, FAILING), (MODEL, HELD), (TRAINING_MODEL, HELD), (MODEL, FAILING)):
        assert vendor.admin("POST", "plans", {"model": model, **plan}).status_code == 201
    queued = vendor.admin("GET", "plans").get_json()["plans"]
    assert [plan.get("model", MODEL) for plan in queued] == [TRAINING_MODEL, MODEL, TRAINING_MODEL, MODEL]
    task, job = vendor.submitted(), trained(vendor)
    assert (vendor.status(task), job_status(vendor, job)) == ("RUNNING", "FAILED")
    assert job_status(vendor, trained(vendor)) == "RUNNING"
    vendor.admin("POST", f"tasks/{task}/release")
    assert vendor.status(vendor.submitted()) == "FAILED"
    assert vendor.admin("GET", "plans").get_json()["plans"] == []


@pytest.mark.parametrize("model", [DETECTION_MODEL, "facechain", None, 1])
def test_a_plan_is_for_a_model_that_makes_tasks(vendor: Vendor, model: object) -> None:
    answer = vendor.admin("POST", "plans", {"model": model, **HELD})
    assert answer.status_code == 400
    assert "model is " in answer.get_json()["error"]


@pytest.mark.parametrize(
    "spoil",
    [
        {"body": {}},
        {"files": ["no-such-file"]},
        {"key": "not-a-key"},
        {"headers": {"X-Mock-Scenario": "submit-429"}},
        {"key": "sk-mock-arrears"},
    ],
    ids=["body", "file", "key", "scenario", "account"],
)
def test_a_refusal_of_something_else_leaves_the_queue_alone(vendor: Vendor, spoil: dict[str, Any]) -> None:
    by_queue(vendor, {}, "failed-training")
    files = spoil.get("files", [PHOTO])
    answer = train(vendor, *files, **{name: value for name, value in spoil.items() if name != "files"})
    assert answer.status_code >= 400
    assert len(vendor.admin("GET", "plans").get_json()["plans"]) == 1


# -- money ------------------------------------------------------------------------------------------------------------


def ledger(vendor: Vendor) -> dict[str, Any]:
    told: dict[str, Any] = vendor.admin("GET", "ledger").get_json()
    return told


@pytest.mark.parametrize("state", STATES)
def test_a_training_costs_its_price_unless_it_comes_to_nothing(vendor: Vendor, state: str) -> None:
    job = STATES[state](vendor)
    told = ledger(vendor)
    row = next(row for row in told["tasks"] if row["task_id"] == job)
    settled = state in ("SUCCEEDED", "FAILED", "CANCELED")
    assert (row["model"], row["pictures"], row["settled"]) == (TRAINING_MODEL, 0, settled)
    assert row["price"] == (0 if state in ("FAILED", "CANCELED") else 2.5)
    assert told["total"] == (2.5 if state == "SUCCEEDED" else 0)
    assert told["pictures"] == 0


def test_a_training_that_was_deleted_while_it_ran_costs_nothing(vendor: Vendor) -> None:
    delete_job(vendor, running(vendor))
    (row,) = ledger(vendor)["tasks"]
    assert (row["status"], row["price"], row["settled"]) == ("CANCELED", 0, True)


def test_a_likeness_that_was_deleted_stays_paid_for() -> None:
    vendor = Vendor(behaviour={"finetune-delete": "any"})
    delete_job(vendor, succeeded(vendor))
    assert ledger(vendor)["total"] == 2.5


def test_portraits_and_trainings_are_added_up(vendor: Vendor) -> None:
    succeeded(vendor)
    vendor.submitted({**GOOD["preset-style"], "parameters": {"style": "f_idcard_male", "n": 4}}, plan=IMMEDIATE)
    told = ledger(vendor)
    assert (told["submissions"], told["pictures"], told["total"]) == (2, 4, 3.22)


def test_the_same_training_while_the_first_is_alive_is_paid_twice(vendor: Vendor) -> None:
    first, second = trained(vendor, plan=SLOW), trained(vendor)
    told = ledger(vendor)
    assert [(row["task_id"], row["repeats"]) for row in told["duplicates"]] == [(second, first)]
    assert told["spent_twice"] == 2.5


def test_another_training_repeats_nothing(vendor: Vendor) -> None:
    trained(vendor, plan=SLOW)
    trained(vendor, f"{PHOTO}?2")
    trained(vendor, key="sk-other")
    succeeded(vendor.of_session("apart"))
    assert ledger(vendor)["duplicates"] == []


def test_trainings_and_portraits_take_their_time_side_by_side(vendor: Vendor) -> None:
    real = catalogue.profiles()["real"]
    for _ in range(3):
        succeeded(vendor)
    vendor.submitted()
    seconds = 3 * (real.training["pending_ms"] + real.training["running_ms"]) / 1000
    assert ledger(vendor)["live_seconds"] == seconds


@pytest.mark.breaks_contract
@pytest.mark.parametrize("kind", ["reset", "empty", "status", "html", "cut", "garbage"])
def test_a_creation_whose_answer_was_lost_is_priced_and_marked(vendor: Vendor, kind: str) -> None:
    vendor.admin("POST", "faults", {"stage": "accepted", "kind": kind, "times": 1, "route": "create_job"})
    with suppress(ConnectionError):
        train(vendor)
    vendor.later(PENDING_MS + RUNNING_MS)
    told = ledger(vendor)
    assert (told["total"], told["tasks"][0]["answered"]) == (2.5, False)
    assert jobs(vendor)["total"] == 1


# -- faults -----------------------------------------------------------------------------------------------------------


def put_in(vendor: Vendor, **fault: Any) -> None:
    answer = vendor.admin("POST", "faults", {"error": "model_unavailable", "kind": "status", "times": 1, **fault})
    assert answer.status_code == 201, answer.text


@pytest.mark.parametrize(("stage", "made"), [("before", 0), ("submit", 0), ("accepted", 1)])
def test_a_fault_strikes_a_creation_at_its_stage(vendor: Vendor, stage: str, made: int) -> None:
    put_in(vendor, stage=stage, route="create_job")
    assert vendor.submit().status_code == 200
    assert train(vendor).status_code == 503
    assert jobs(vendor)["total"] == ledger(vendor)["submissions"] - 1 == made
    vendor.later(1_000)
    assert train(vendor).status_code == 200


def test_a_fault_at_submission_comes_before_the_quota(vendor: Vendor) -> None:
    fill(vendor, 20)
    put_in(vendor, stage="submit", route="create_job")
    met = []
    for _ in range(2):
        vendor.later(1_000)
        met.append(train(vendor).status_code)
    assert met == [503, 429]


@pytest.mark.parametrize(
    ("path", "method", "operation"),
    [
        ("", "GET", "list_jobs"),
        ("/{job}", "GET", "get_job"),
        ("/{job}", "DELETE", "delete_job"),
        ("/{job}/cancel", "POST", "cancel_job"),
        ("/{job}/logs", "GET", "get_job_logs"),
        ("/{job}/stream", "GET", "stream_job"),
    ],
)
def test_a_fault_strikes_any_call_before_it_is_looked_at(
    vendor: Vendor, path: str, method: str, operation: str
) -> None:
    job = trained(vendor, plan=HELD)
    put_in(vendor, stage="before", route=operation)
    target = JOBS + path.format(job=job)
    assert [family_call(vendor, method, target).status_code for _ in range(2)] == [503, 200]


def test_a_fault_strikes_when_a_job_is_asked_for(vendor: Vendor) -> None:
    job, other = trained(vendor, plan=HELD), trained(vendor)
    put_in(vendor, stage="poll", route="get_job", task_id=job)
    assert job_status(vendor, other) == "QUEUING"
    assert [get_job(vendor, job).status_code for _ in range(2)] == [503, 200]


def test_a_query_that_was_refused_on_purpose_is_no_poll_of_the_plan(vendor: Vendor) -> None:
    job = trained(vendor, plan={"progression": "polls", "running": 1})
    put_in(vendor, stage="poll")
    assert get_job(vendor, job).status_code == 503
    assert [job_status(vendor, job) for _ in range(2)] == ["RUNNING", "SUCCEEDED"]


@pytest.mark.breaks_contract
def test_a_fault_may_wait_for_an_answer_in_some_status(vendor: Vendor) -> None:
    first, job = trained(vendor, plan=HELD), trained(vendor, plan=IMMEDIATE)
    for status in ("QUEUING", "SUCCEEDED"):
        put_in(vendor, stage="poll", kind="reset", when=status)
    with pytest.raises(ConnectionResetError):
        get_job(vendor, job)
    assert job_status(vendor, job) == "QUEUING"
    vendor.admin("POST", f"tasks/{first}/release")
    with pytest.raises(ConnectionResetError):
        get_job(vendor, job)
    assert job_status(vendor, job) == "SUCCEEDED"


@pytest.mark.breaks_contract
@pytest.mark.parametrize("kind", ["garbage", "content-type", "html"])
def test_an_answer_may_be_spoiled(vendor: Vendor, kind: str) -> None:
    job = trained(vendor)
    put_in(vendor, stage="poll", kind=kind, route="get_job")
    spoiled = get_job(vendor, job)
    assert spoiled.status_code == (502 if kind == "html" else 200)
    assert spoiled.get_json(silent=True) is None
    assert job_status(vendor, job) == "PENDING"


@pytest.mark.parametrize(
    ("stage", "route"), [("submit", "get_job"), ("accepted", "list_jobs"), ("poll", "create_job"), ("link", "get_job")]
)
def test_a_fault_that_could_never_strike_is_not_taken(vendor: Vendor, stage: str, route: str) -> None:
    answer = vendor.admin("POST", "faults", {"stage": stage, "kind": "status", "route": route})
    assert answer.status_code == 400
    assert f"never meets {route}" in answer.get_json()["error"]


@pytest.mark.parametrize("kind", ["missing-field", "unknown-status", "extra-fields", "backwards", "lag"])
def test_what_alters_the_answer_of_a_portrait_is_not_taken_for_a_training(vendor: Vendor, kind: str) -> None:
    answer = vendor.admin("POST", "faults", {"stage": "poll", "kind": kind, "route": "get_job"})
    assert answer.status_code == 400
    assert kind in answer.get_json()["error"]
    assert vendor.admin("POST", "faults", {"stage": "poll", "kind": kind}).status_code == 201
    job = trained(vendor, plan=IMMEDIATE)
    assert job_status(vendor, job) == "SUCCEEDED"


@pytest.mark.parametrize(
    ("scenario", "statuses"), [("poll-429", [429, 429, 200]), ("poll-500", [500, 500, 200]), ("happy", [200] * 3)]
)
def test_a_job_keeps_the_scenario_it_was_created_under(vendor: Vendor, scenario: str, statuses: list[int]) -> None:
    job = trained(vendor, headers={"X-Mock-Scenario": scenario})
    assert [get_job(vendor, job).status_code for _ in range(3)] == statuses


def test_a_scenario_on_a_query_stands_in_for_the_jobs_own(vendor: Vendor) -> None:
    job = trained(vendor, headers={"X-Mock-Scenario": "poll-500"})
    assert get_job(vendor, job, headers={"X-Mock-Scenario": "happy"}).status_code == 200
    assert get_job(vendor, job, headers={"X-Mock-Scenario": "poll-429"}).status_code == 429
    assert [get_job(vendor, job).status_code for _ in range(3)] == [500, 500, 200]


@pytest.mark.parametrize("scenario", ["submit-429", "submit-503"])
def test_a_throttled_creation_passes_the_third_time(vendor: Vendor, scenario: str) -> None:
    met = []
    for _ in range(3):
        vendor.later(1_000)
        met.append(train(vendor, headers={"X-Mock-Scenario": scenario}).status_code)
    assert met[:2] == [int(scenario[-3:])] * 2
    assert met[2] == 200


def test_a_lost_answer_is_found_in_the_list(vendor: Vendor) -> None:
    with pytest.raises(ConnectionResetError):
        train(vendor, headers={"X-Mock-Scenario": "lost-submit"})
    (job,) = jobs(vendor)["jobs"]
    assert job["training_file_ids"] == [PHOTO]


# -- the key ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("call", ["create", "list", *CALLS])
def test_every_call_needs_a_key(vendor: Vendor, call: str) -> None:
    method, path = {
        "create": ("POST", JOBS),
        "list": ("GET", JOBS),
        "get": ("GET", f"{JOBS}/x"),
        "cancel": ("POST", f"{JOBS}/x/cancel"),
        "delete": ("DELETE", f"{JOBS}/x"),
        "logs": ("GET", f"{JOBS}/x/logs"),
        "stream": ("GET", f"{JOBS}/x/stream"),
    }[call]
    for authorization, reason in ((None, "no_api_key"), ("Bearer secret", "invalid_api_key")):
        answer = family_call(vendor, method, path, headers={"Authorization": authorization})
        assert (answer.status_code, answer.get_json()["message"]) == (401, catalogue.errors()[reason].message)
    assert family_call(vendor, method, path, key="sk-mock-invalid-key").status_code == 401


def test_no_key_is_ever_answered(vendor: Vendor) -> None:
    job = trained(vendor, key="sk-very-secret")
    shown = [get_job(vendor, job, key="sk-very-secret").text, vendor.admin("GET", "jobs").text]
    shown += [vendor.admin("GET", "requests").text, vendor.admin("GET", "ledger").text]
    assert not any("very-secret" in text for text in shown)


def test_the_requests_of_a_job_are_one_story(vendor: Vendor) -> None:
    job = trained(vendor, plan=IMMEDIATE)
    get_job(vendor, job)
    family_call(vendor, "GET", f"{JOBS}/{job}/logs")
    vendor.vendor_call("GET", TASKS)
    cancel_job(vendor, job)
    shown = vendor.admin("GET", f"tasks/{job}").get_json()
    assert shown["requests"] == [1, 2, 3, 5]
    assert shown["training_file_ids"] == [PHOTO]
    assert (shown["model"], shown["finetuned_output"]) == (TRAINING_MODEL, likeness(job))
