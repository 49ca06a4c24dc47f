"""Which carrier wins: header over URL host over resource id over queued plan over session, and the key on top."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import pytest

from tests.conftest import IMMEDIATE, TASKS, Vendor

TEMPLATE = "portrait_url_template"
TRAIN_FREE = "train_free_portrait_url_template"
PLAIN_HOST = "https://pictures.example/a.jpg"
KEY_OF_ITS_OWN = "sk-main"


@dataclass
class Submission:
    """One submission and all that it carries."""

    key: str = KEY_OF_ITS_OWN
    style: str = TEMPLATE
    template_url: str = PLAIN_HOST
    photo_url: str = PLAIN_HOST
    resource_id: str = "women_model"
    headers: dict[str, str] = field(default_factory=dict)
    queued: list[str] = field(default_factory=list)
    session: str | None = None

    def body(self) -> dict[str, Any]:
        pictures: dict[str, Any] = {"template_url": self.template_url}
        if self.style == TRAIN_FREE:
            pictures["user_urls"] = [self.photo_url]
        return {
            "model": "facechain-generation",
            "parameters": {"style": self.style, "n": 1},
            "input": pictures,
            "resources": [{"resource_id": self.resource_id, "resource_type": "facelora"}],
        }

    def __call__(self, vendor: Vendor) -> str:
        """Submit; gives the code of the refusal, else how the task ended: its status or the code of its failure."""
        for name in self.queued:
            assert vendor.admin("POST", "plans", {"scenario": name}).status_code == 201
        vendor.admin("PUT", "scenario", {"scenario": self.session})
        answer = vendor.submit(self.body(), key=self.key, headers=self.headers)
        content = answer.get_json()
        if answer.status_code != 200:
            return str(content["code"])
        vendor.later(1_000)
        looked = vendor.query(content["output"]["task_id"], key=self.key).get_json()
        output = looked.get("output", looked)
        return str(output.get("code") or output["task_status"])


def header(submission: Submission, name: str) -> None:
    submission.headers["X-Mock-Scenario"] = name


def template_host(submission: Submission, name: str) -> None:
    submission.template_url = f"https://{name}.facechain.test/a.jpg"


def resource_id(submission: Submission, name: str) -> None:
    submission.resource_id = f"mock-{name}"


def queued_plan(submission: Submission, name: str) -> None:
    submission.queued.append(name)


def session(submission: Submission, name: str) -> None:
    submission.session = name


def key(submission: Submission, name: str) -> None:
    submission.key = f"sk-mock-{name}"


Carrier = Callable[[Submission, str], None]
OF_THE_TASK: tuple[Carrier, ...] = (header, template_host, resource_id, queued_plan, session)
"""The most specific first."""

ASKED = {
    "failed-url": "InvalidURL",
    "arrears": "Arrearage",
    "poll-500": "InternalError",
    "submit-503": "ModelUnavailable",
    "happy": "SUCCEEDED",
}
"""Scenarios of every sort (a plan, a refusal, a fault on queries, a fault on submissions, none of them), and what is
met first under each."""

every_pair = pytest.mark.parametrize(
    ("winner", "loser"), list(combinations(OF_THE_TASK, 2)), ids=lambda carrier: str(carrier.__name__)
)
every_carrier_of_the_task = pytest.mark.parametrize("carrier", OF_THE_TASK, ids=lambda carrier: str(carrier.__name__))


@pytest.mark.parametrize("second", ASKED)
@pytest.mark.parametrize("first", ASKED)
@every_pair
def test_of_two_carriers_the_more_specific_one_decides_alone(
    vendor: Vendor, winner: Carrier, loser: Carrier, first: str, second: str
) -> None:
    submission = Submission()
    winner(submission, first)
    loser(submission, second)
    assert submission(vendor) == ASKED[first]


def test_all_five_at_once_are_asked_in_their_order(vendor: Vendor) -> None:
    names = ("failed-url", "failed-algo", "failed-resolution", "canceled", "unknown-status")
    ends = ("InvalidURL", "InternalError.Algo", "InvalidImageResolution", "CANCELED")
    for most_specific, end in enumerate(ends):
        submission = Submission()
        for carrier, name in list(zip(OF_THE_TASK, names, strict=True))[most_specific:]:
            carrier(submission, name)
        assert submission(vendor) == end
        vendor.admin("DELETE", "plans")


# -- the key ----------------------------------------------------------------------------------------------------------


@every_carrier_of_the_task
def test_the_plan_of_a_key_counts_when_nothing_else_is_asked_and_not_otherwise(
    vendor: Vendor, carrier: Carrier
) -> None:
    submission = Submission()
    key(submission, "failed-url")
    assert submission(vendor) == "InvalidURL"
    carrier(submission, "failed-algo")
    assert submission(vendor) == "InternalError.Algo"
    carrier(submission, "happy")
    assert Submission(**{**vars(submission), "queued": submission.queued[-1:]})(vendor) == "SUCCEEDED"


@every_carrier_of_the_task
def test_the_plan_of_a_key_is_no_match_for_a_scenario_without_a_plan(vendor: Vendor, carrier: Carrier) -> None:
    submission = Submission()
    key(submission, "failed-url")
    carrier(submission, "extra-fields")
    assert submission(vendor) == "SUCCEEDED"


@pytest.mark.parametrize(("by_key", "by_task"), [("arrears", "not-approved"), ("not-approved", "arrears")])
@every_carrier_of_the_task
def test_a_key_refuses_before_the_task_does(vendor: Vendor, carrier: Carrier, by_key: str, by_task: str) -> None:
    submission = Submission()
    key(submission, by_key)
    carrier(submission, by_task)
    assert submission(vendor) == {"arrears": "Arrearage", "not-approved": "AccessDenied"}[by_key]


@pytest.mark.parametrize(("by_key", "by_task"), [("arrears", "happy"), ("happy", "arrears")])
@every_carrier_of_the_task
def test_refusals_of_key_and_task_both_hold(vendor: Vendor, carrier: Carrier, by_key: str, by_task: str) -> None:
    submission = Submission()
    key(submission, by_key)
    carrier(submission, by_task)
    assert submission(vendor) == "Arrearage"


@every_carrier_of_the_task
def test_faults_of_key_and_task_both_strike(vendor: Vendor, carrier: Carrier) -> None:
    submission = Submission()
    key(submission, "poll-429")
    carrier(submission, "poll-500")
    vendor.admin("PUT", "scenario", {"scenario": submission.session})
    for name in submission.queued:
        vendor.admin("POST", "plans", {"scenario": name})
    task = vendor.submitted(submission.body(), key=submission.key, headers=submission.headers)
    # In each of the first two queries the fault of the key comes first and leaves nothing for the other one to do.
    codes = [vendor.query(task, key=submission.key).get_json().get("code") for _ in range(4)]
    assert codes == ["Throttling.RateQuota", "Throttling.RateQuota", None, None]
    shown = vendor.admin("GET", "requests?operation=query_task").get_json()["requests"]
    assert [request.get("faults", []) for request in shown] == [["poll-429", "poll-500"]] * 2 + [[], []]


def test_a_fault_of_the_key_and_the_plan_of_the_header_go_together(vendor: Vendor) -> None:
    submission = Submission()
    key(submission, "submit-429")
    header(submission, "failed-url")
    met = []
    for _ in range(3):
        met.append(submission(vendor))
        vendor.later(1_000)
    assert met == ["Throttling.RateQuota", "Throttling.RateQuota", "InvalidURL"]


def test_the_key_of_a_query_counts_for_nothing_but_its_account(vendor: Vendor) -> None:
    """The scenarios of a task are those it was submitted under."""
    vendor.later(1_000)
    task = vendor.submitted(Submission().body(), key="sk-mock-poll-429", headers={"X-Mock-Scenario": "happy"})
    assert vendor.query(task, key="sk-mock-poll-500").get_json()["output"]["task_status"] == "UNKNOWN"
    assert vendor.query(task, key="sk-mock-poll-429").status_code == 429


# -- plans in a header ------------------------------------------------------------------------------------------------


@every_carrier_of_the_task
def test_a_plan_in_a_header_beats_every_plan(vendor: Vendor, carrier: Carrier) -> None:
    submission = Submission(headers={"X-Mock-Plan": json.dumps({**IMMEDIATE, "outcome": {"error": "no_human_face"}})})
    carrier(submission, "failed-url")
    assert submission(vendor) == "InvalidImage.NoHumanFace"


def test_a_plan_and_a_scenario_in_headers_go_together(vendor: Vendor) -> None:
    plan = json.dumps({**IMMEDIATE, "outcome": {"error": "no_human_face"}})
    submission = Submission(headers={"X-Mock-Plan": plan, "X-Mock-Scenario": "poll-500"})
    task = vendor.submitted(submission.body(), headers=submission.headers)
    assert [vendor.query(task).status_code for _ in range(3)] == [500, 500, 200]
    assert vendor.output(task)["code"] == "InvalidImage.NoHumanFace"


def test_a_plan_in_a_header_shuts_out_the_scenarios_that_are_less_specific(vendor: Vendor) -> None:
    submission = Submission(headers={"X-Mock-Plan": json.dumps(IMMEDIATE)}, session="arrears")
    resource_id(submission, "not-approved")
    template_host(submission, "poll-500")
    assert submission(vendor) == "SUCCEEDED"


def test_a_queued_plan_and_scenario_go_together(vendor: Vendor) -> None:
    queued = {"scenario": "poll-500", **IMMEDIATE, "outcome": {"error": "no_human_face"}}
    assert vendor.admin("POST", "plans", queued).status_code == 201
    task = vendor.submitted(Submission().body())
    assert [vendor.query(task).status_code for _ in range(3)] == [500, 500, 200]
    assert vendor.output(task)["code"] == "InvalidImage.NoHumanFace"


# -- the header of a query --------------------------------------------------------------------------------------------


@every_carrier_of_the_task
def test_a_scenario_on_a_query_stands_in_for_the_tasks_own_for_that_query(vendor: Vendor, carrier: Carrier) -> None:
    submission = Submission()
    carrier(submission, "poll-500")
    vendor.admin("PUT", "scenario", {"scenario": submission.session})
    for name in submission.queued:
        vendor.admin("POST", "plans", {"scenario": name})
    task = vendor.submitted(submission.body(), headers=submission.headers)
    assert vendor.query(task, headers={"X-Mock-Scenario": "poll-429"}).status_code == 429
    assert vendor.query(task, headers={"X-Mock-Scenario": "happy"}).status_code == 200
    assert [vendor.query(task).status_code for _ in range(3)] == [500, 500, 200]


def test_a_scenario_on_a_query_changes_no_plan(vendor: Vendor) -> None:
    task = vendor.submitted(Submission().body())
    vendor.later(1_000)
    assert vendor.output(task, headers={"X-Mock-Scenario": "failed-algo"})["task_status"] == "SUCCEEDED"


def test_a_scenario_on_a_query_works_for_ids_nobody_knows(vendor: Vendor) -> None:
    statuses = [vendor.query("x", headers={"X-Mock-Scenario": "poll-503"}).status_code for _ in range(3)]
    assert statuses == [503, 503, 200]


# -- the body ---------------------------------------------------------------------------------------------------------


def test_the_template_is_looked_at_before_the_photos(vendor: Vendor) -> None:
    submission = Submission(style=TRAIN_FREE, photo_url="https://failed-algo.facechain.test/a.jpg")
    assert submission(vendor) == "InternalError.Algo"
    template_host(submission, "failed-url")
    assert submission(vendor) == "InvalidURL"


def test_the_host_of_assets_names_no_scenario_and_lets_others_speak(vendor: Vendor) -> None:
    submission = Submission(template_url="https://assets.facechain.test/a.jpg")
    resource_id(submission, "failed-url")
    assert submission(vendor) == "InvalidURL"


def test_a_resource_id_counts_for_nothing_in_train_free_mode(vendor: Vendor) -> None:
    submission = Submission(style=TRAIN_FREE, session="failed-url")
    resource_id(submission, "failed-algo")
    assert submission(vendor) == "InvalidURL"
    resource_id(submission, "no-such-scenario")
    assert submission(vendor) == "InvalidURL"


def test_of_two_resources_the_first_that_names_a_scenario_counts(vendor: Vendor) -> None:
    body = Submission().body()
    body["resources"] = [
        {"resource_id": name, "resource_type": "facelora"} for name in ("women_model", "mock-failed-url")
    ]
    task = vendor.submitted(body)
    vendor.later(1_000)
    assert vendor.output(task)["code"] == "InvalidURL"


def test_the_host_of_a_refused_body_is_not_asked(vendor: Vendor) -> None:
    """What is wrong with a body comes before the account, as at the vendor."""
    body = Submission(template_url="https://arrears.facechain.test/a.jpg").body()
    body["parameters"]["n"] = 9
    answer = vendor.submit(body)
    assert answer.get_json()["code"] == "InvalidParameter"


# -- the queue --------------------------------------------------------------------------------------------------------


def queued(vendor: Vendor) -> list[str]:
    return [plan["scenario"] for plan in vendor.admin("GET", "plans").get_json()["plans"]]


def test_plans_are_taken_in_order_one_for_each_task(vendor: Vendor) -> None:
    submission = Submission(queued=["failed-url", "happy", "failed-algo"])
    assert submission(vendor) == "InvalidURL"
    submission.queued.clear()
    assert [submission(vendor) for _ in range(3)] == ["SUCCEEDED", "InternalError.Algo", "SUCCEEDED"]


@pytest.mark.parametrize("carrier", [header, template_host, resource_id], ids=lambda carrier: str(carrier.__name__))
def test_a_plan_that_was_outranked_stays_in_the_queue(vendor: Vendor, carrier: Carrier) -> None:
    submission = Submission(queued=["failed-url"])
    carrier(submission, "failed-algo")
    assert submission(vendor) == "InternalError.Algo"
    assert queued(vendor) == ["failed-url"]


def test_a_refusal_of_something_else_leaves_the_queue_alone(vendor: Vendor) -> None:
    submission = Submission(queued=["failed-url"])
    bad = submission.body()
    bad["parameters"]["n"] = 9
    vendor.admin("POST", "plans", {"scenario": "failed-url"})
    assert vendor.submit(bad).status_code == 400
    assert vendor.submit(submission.body(), key="not-a-key").status_code == 401
    assert vendor.submit(submission.body(), headers={"X-DashScope-Async": None}).status_code == 403
    vendor.admin("POST", "faults", {"stage": "submit", "kind": "status", "times": 1})
    assert vendor.submit(submission.body()).status_code == 500
    assert queued(vendor) == ["failed-url"]


@pytest.mark.parametrize("by_key", ["arrears", "submit-429"])
def test_a_refusal_by_the_keys_scenario_leaves_the_queue_alone(vendor: Vendor, by_key: str) -> None:
    vendor.admin("POST", "plans", {"scenario": "failed-url"})
    assert vendor.submit(Submission().body(), key=f"sk-mock-{by_key}").status_code in (400, 429)
    assert queued(vendor) == ["failed-url"]


def test_a_refusal_that_a_plan_asked_for_uses_it_up(vendor: Vendor) -> None:
    submission = Submission(queued=["arrears", "happy"])
    assert submission(vendor) == "Arrearage"
    assert queued(vendor) == ["happy"]


def test_a_throttling_that_a_plan_asked_for_lasts_until_its_count_is_up(vendor: Vendor) -> None:
    submission = Submission(queued=["submit-429", "failed-url"])
    met = []
    for _ in range(4):
        met.append(submission(vendor))
        submission.queued.clear()
        vendor.later(1_000)
    assert met == ["Throttling.RateQuota"] * 2 + ["SUCCEEDED", "InvalidURL"]


# -- the session ------------------------------------------------------------------------------------------------------


def test_a_session_decides_for_itself_alone(vendor: Vendor) -> None:
    one, other = vendor.of_session("one"), vendor.of_session("other")
    assert Submission(session="failed-url")(one) == "InvalidURL"
    assert Submission()(other) == "SUCCEEDED"
    assert one.admin("GET", "scenario").get_json() == {"scenario": "failed-url"}
    assert vendor.admin("GET", "scenario").get_json() == {"scenario": None}


def test_the_scenario_of_a_session_may_be_taken_back(vendor: Vendor) -> None:
    assert Submission(session="arrears")(vendor) == "Arrearage"
    assert Submission(session=None)(vendor) == "SUCCEEDED"


def test_a_task_keeps_the_scenario_it_was_submitted_under(vendor: Vendor) -> None:
    vendor.admin("PUT", "scenario", {"scenario": "poll-500"})
    task = vendor.submitted(Submission().body())
    vendor.admin("PUT", "scenario", {"scenario": None})
    assert [vendor.query(task).status_code for _ in range(3)] == [500, 500, 200]


def test_a_list_meets_no_scenario_but_an_invalid_key(vendor: Vendor) -> None:
    vendor.admin("PUT", "scenario", {"scenario": "poll-500"})
    assert vendor.vendor_call("GET", TASKS).status_code == 200
    vendor.admin("PUT", "scenario", {"scenario": "invalid-key"})
    assert vendor.vendor_call("GET", TASKS).status_code == 401
