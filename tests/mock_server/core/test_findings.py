"""Findings: for each piece of advice a short story of a client that earns it, and one that comes near and does not."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

import pytest
from werkzeug.test import TestResponse

from contracts import catalogue
from mock_server.core import journal
from mock_server.core.findings import LEVELS
from mock_server.core.journal import MOST_PICTURES
from mock_server.core.model import DETECTION_MODEL, MODEL, TRAINING_MODEL
from tests.conftest import GOOD, HELD, HELD_PENDING, IMMEDIATE, PRESET, SUBMIT, TASKS, Vendor
from tests.likenesses import (
    NO_FACE,
    PHOTO,
    asset,
    cancel_job,
    delete_job,
    detect,
    get_job,
    jobs,
    likeness,
    portrait,
    train,
    training,
)
from tests.uploads import RESOLVED, fields, form_post, photo, policy, uploaded

BY_POLLS = {"progression": "polls", "pending": 1, "running": 1}
FAILING = {**IMMEDIATE, "outcome": {"error": "image_resolution"}}
N_9 = {**PRESET, "parameters": {**PRESET["parameters"], "n": 9}}
RETRIES = {"X-Mock-Scenario": "submit-429"}


class Client:
    """A client with good manners: it waits a second before each call, unless the story says otherwise."""

    def __init__(self, vendor: Vendor) -> None:
        self.vendor = vendor

    def wait(self, ms: int = 1_000) -> None:
        self.vendor.later(ms)

    def submit(self, body: object = PRESET, *, after_ms: int = 1_000, **more: Any) -> str:
        """The id of a task, or what came in place of it."""
        self.wait(after_ms)
        answer = self.vendor.submit(body, **more)
        return str(answer.get_json().get("output", {}).get("task_id", ""))

    def query(self, task: str, *, after_ms: int = 1_000, **more: Any) -> TestResponse:
        self.wait(after_ms)
        return self.vendor.query(task, **more)

    def fetch(self, task: str, *pictures: int, **more: Any) -> None:
        """Fetch the pictures of these numbers; all of them when none is named."""
        results = self.query(task).get_json()["output"]["results"]
        for number, result in enumerate(results):
            if (number in pictures or not pictures) and "url" in result:
                self.vendor.call("GET", result["url"], **more)

    def finish(self, task: str) -> None:
        """Query a task to its end, once, and fetch all its pictures."""
        for _ in range(100):
            output = self.query(task).get_json().get("output", {})
            if output.get("task_status") not in (None, "PENDING", "RUNNING"):
                break
        for result in output.get("results", ()):
            if "url" in result:
                self.vendor.call("GET", result["url"])

    def train(self, *files: object, after_ms: int = 1_000, **more: Any) -> str:
        """The id of a job, or what came in place of it."""
        self.wait(after_ms)
        answer = train(self.vendor, *files, **more)
        return str(answer.get_json().get("output", {}).get("job_id", ""))

    def look(self, job: str, *, after_ms: int = 10_000, **more: Any) -> TestResponse:
        """Ask for a job, with the pause that a training may be given."""
        self.wait(after_ms)
        return get_job(self.vendor, job, **more)

    def await_likeness(self, job: str) -> str:
        """Ask for a job to its end, once; gives the status it ended in."""
        for _ in range(100):
            output = self.look(job).get_json().get("output", {})
            if output.get("status") in ("SUCCEEDED", "FAILED", "CANCELED"):
                return str(output["status"])
        raise AssertionError(f"{job} does not end")

    def detect(self, *photos: object, after_ms: int = 1_000, **more: Any) -> None:
        self.wait(after_ms)
        detect(self.vendor, *photos, **more)

    def portray(self, photo: str, *, template: str = PHOTO, **more: Any) -> str:
        """Submit a portrait without training, of this photo."""
        body = {**GOOD["train-free"], "input": {"template_url": template, "user_urls": [PHOTO, photo]}}
        return self.submit(body, **more)

    def lose(self, **more: Any) -> None:
        """Submit, and have the line die before the answer."""
        self.wait()
        self.vendor.admin("POST", "faults", {"stage": "accepted", "kind": "reset", "times": 1})
        with pytest.raises(ConnectionResetError):
            self.vendor.submit(**more)


Story = Callable[[Client], object]
EARNED: dict[str, list[Story]] = defaultdict(list)
NEAR_MISS: dict[str, list[Story]] = defaultdict(list)


def earns(advice: str) -> Callable[[Story], Story]:
    def note(story: Story) -> Story:
        EARNED[advice].append(story)
        return story

    return note


def comes_near(advice: str) -> Callable[[Story], Story]:
    def note(story: Story) -> Story:
        NEAR_MISS[advice].append(story)
        return story

    return note


# -- key-sent-to-storage ----------------------------------------------------------------------------------------------


@earns("key-sent-to-storage")
def a_session_with_a_default_header_fetches_pictures(client: Client) -> None:
    client.fetch(client.submit(plan=IMMEDIATE), headers={"Authorization": "Bearer sk-main"})


@comes_near("key-sent-to-storage")
def pictures_are_fetched_with_other_headers(client: Client) -> None:
    client.fetch(client.submit(plan=IMMEDIATE), headers={"X-DashScope-Async": "enable", "User-Agent": "me"})


# -- submitted-twice --------------------------------------------------------------------------------------------------


@earns("submitted-twice")
def a_lost_answer_is_answered_by_submitting_again(client: Client) -> None:
    client.lose()
    client.finish(client.submit(after_ms=0))


@earns("submitted-twice")
def patience_ends_and_the_same_is_submitted_again(client: Client) -> None:
    first = client.submit(plan=HELD_PENDING)
    client.submit()
    client.query(first)


@comes_near("submitted-twice")
def a_lost_answer_is_answered_by_listing(client: Client) -> None:
    client.lose()
    (task,) = client.vendor.vendor_call("GET", TASKS).get_json()["data"]
    client.finish(task["task_id"])


@comes_near("submitted-twice")
def the_same_again_once_the_first_has_failed(client: Client) -> None:
    client.finish(client.submit(plan=FAILING))
    client.finish(client.submit())


@comes_near("submitted-twice")
def the_second_one_is_cancelled(client: Client) -> None:
    first = client.submit(plan=BY_POLLS)
    second = client.submit()
    client.vendor.vendor_call("POST", f"{TASKS}/{second}/cancel")
    client.finish(first)


@comes_near("submitted-twice")
def a_refused_submission_is_sent_again(client: Client) -> None:
    for _ in range(2):
        assert client.submit(headers=RETRIES) == ""
    client.finish(client.submit(headers=RETRIES))


# -- breaks-contract --------------------------------------------------------------------------------------------------


@earns("breaks-contract")
def too_many_pictures_are_asked_for(client: Client) -> None:
    client.submit(N_9)


@earns("breaks-contract")
def bearer_is_missing(client: Client) -> None:
    client.submit(headers={"Authorization": "Token sk-main"})


@earns("breaks-contract")
def there_is_no_key(client: Client) -> None:
    client.submit(headers={"Authorization": None})


@earns("breaks-contract")
def the_path_is_spelled_as_the_word_is(client: Client) -> None:
    client.submit(path=SUBMIT.replace("potrait", "portrait"))


@earns("breaks-contract")
def the_async_header_is_missing(client: Client) -> None:
    client.submit(headers={"X-DashScope-Async": None})


@earns("breaks-contract")
def the_body_is_a_form(client: Client) -> None:
    client.submit(data="model=facechain-generation")


@earns("breaks-contract")
def another_model_is_named(client: Client) -> None:
    client.submit({**PRESET, "model": "facechain"})


@earns("breaks-contract")
def a_list_of_a_thousand_is_asked_for(client: Client) -> None:
    client.vendor.vendor_call("GET", f"{TASKS}?page_size=1000")


@comes_near("breaks-contract")
def an_account_in_arrears_is_no_breach(client: Client) -> None:
    client.submit(key="sk-mock-arrears")


@comes_near("breaks-contract")
def a_fault_put_in_on_purpose_is_no_breach(client: Client) -> None:
    client.vendor.admin("POST", "faults", {"stage": "before", "kind": "status", "error": "url_error", "times": 1})
    client.submit()


@comes_near("breaks-contract")
def a_key_that_a_scenario_refuses_is_no_breach(client: Client) -> None:
    client.submit(key="sk-mock-invalid-key")


@comes_near("breaks-contract")
def a_third_submission_within_a_second_may_be_tried_again(client: Client) -> None:
    tasks = [client.submit({**PRESET, "note": number}, after_ms=0) for number in range(3)]
    assert tasks[2] == ""
    for task in tasks[:2]:
        client.finish(task)


@comes_near("breaks-contract")
def a_cancellation_comes_too_late(client: Client) -> None:
    task = client.submit(plan=IMMEDIATE)
    client.vendor.vendor_call("POST", f"{TASKS}/{task}/cancel")
    client.finish(task)


# -- link-expired -----------------------------------------------------------------------------------------------------


@earns("link-expired")
def links_are_kept_in_place_of_pictures(client: Client) -> None:
    task = client.submit(plan=IMMEDIATE)
    url = client.query(task).get_json()["output"]["results"][0]["url"]
    client.vendor.clock.advance("24h")
    client.vendor.call("GET", url)


@comes_near("link-expired")
def pictures_are_fetched_in_the_last_second(client: Client) -> None:
    task = client.submit(plan=IMMEDIATE)
    results = client.query(task).get_json()["output"]["results"]
    client.vendor.clock.advance("23h59m58s")
    for result in results:
        assert client.vendor.call("GET", result["url"]).status_code == 200


@comes_near("link-expired")
def a_scenario_lets_links_expire_early(client: Client) -> None:
    client.finish(client.submit(headers={"X-Mock-Scenario": "expired-links"}))


# -- failure-unseen, task-abandoned -----------------------------------------------------------------------------------


@earns("failure-unseen")
def nobody_asks_for_a_task_that_failed(client: Client) -> None:
    client.submit(plan=FAILING)


@earns("failure-unseen")
def the_client_leaves_before_a_task_fails(client: Client) -> None:
    task = client.submit(plan={"running_ms": 5_000, "outcome": {"error": "algo_error"}})
    client.query(task)
    client.wait(5_000)


@comes_near("failure-unseen")
def a_failure_is_seen(client: Client) -> None:
    client.finish(client.submit(plan=FAILING))


@comes_near("failure-unseen")
def a_failure_is_seen_after_an_internal_error(client: Client) -> None:
    client.finish(client.submit(plan={**FAILING, "scenario": "poll-500"}))


@earns("task-abandoned")
def nobody_asks_for_a_task_that_succeeded(client: Client) -> None:
    client.submit(plan=IMMEDIATE)


@earns("task-abandoned")
def the_client_gives_up_on_a_running_task(client: Client) -> None:
    client.query(client.submit(plan=BY_POLLS))


@earns("task-abandoned")
def one_429_ends_the_wait(client: Client) -> None:
    assert client.query(client.submit(headers={"X-Mock-Scenario": "poll-429"})).status_code == 429


@earns("task-abandoned")
def the_answer_with_the_end_is_lost(client: Client) -> None:
    client.vendor.admin("POST", "faults", {"stage": "poll", "kind": "reset", "times": 1})
    task = client.submit(plan=IMMEDIATE)
    with pytest.raises(ConnectionResetError):
        client.query(task)


@earns("task-abandoned")
def a_task_is_taken_for_gone_while_a_replica_lags(client: Client) -> None:
    client.query(client.submit(headers={"X-Mock-Scenario": "replica-lag"}))


@earns("task-abandoned")
def the_client_comes_back_when_the_vendor_has_forgotten(client: Client) -> None:
    task = client.submit(plan=IMMEDIATE)
    client.vendor.clock.advance("25h")
    client.query(task)


@comes_near("task-abandoned")
def a_task_that_the_client_cannot_know_of(client: Client) -> None:
    client.lose()


@comes_near("task-abandoned")
def a_task_that_the_client_cancelled(client: Client) -> None:
    task = client.submit(plan=HELD_PENDING)
    client.vendor.vendor_call("POST", f"{TASKS}/{task}/cancel")


@comes_near("task-abandoned")
def a_task_that_ends_as_unknown_is_asked_for_once(client: Client) -> None:
    client.query(client.submit(headers={"X-Mock-Scenario": "unknown"}))


@comes_near("task-abandoned")
def a_task_that_ends_in_a_status_nobody_has_seen(client: Client) -> None:
    client.finish(client.submit(headers={"X-Mock-Scenario": "unknown-status"}))


# -- pictures-unfetched -----------------------------------------------------------------------------------------------


@earns("pictures-unfetched")
def only_the_first_picture_is_fetched(client: Client) -> None:
    client.fetch(client.submit(plan=IMMEDIATE), 0)


@earns("pictures-unfetched")
def no_picture_is_fetched(client: Client) -> None:
    client.query(client.submit(plan=IMMEDIATE))


@comes_near("pictures-unfetched")
def a_picture_that_was_not_made_cannot_be_fetched(client: Client) -> None:
    plan = {**IMMEDIATE, "outcome": {"images": [{"error": "output_inspection"}, "ok"]}}
    client.finish(client.submit(plan=plan))


@comes_near("pictures-unfetched")
def pictures_that_are_gone_were_asked_for(client: Client) -> None:
    client.finish(client.submit(headers={"X-Mock-Scenario": "links-404"}))


# -- polled-too-fast, polled-after-end --------------------------------------------------------------------------------


@earns("polled-too-fast")
def a_query_comes_999_ms_after_the_last(client: Client) -> None:
    task = client.submit(plan=BY_POLLS)
    client.query(task)
    client.query(task, after_ms=999)
    client.finish(task)


@earns("polled-too-fast")
def a_loop_without_a_pause(client: Client) -> None:
    task = client.submit(plan=BY_POLLS)
    for _ in range(5):
        client.query(task, after_ms=0)


@comes_near("polled-too-fast")
def a_query_a_second_and_no_slower(client: Client) -> None:
    task = client.submit(plan={"progression": "polls", "pending": 10, "running": 10})
    for _ in range(20):
        client.query(task, after_ms=1_000)
    client.finish(task)


@comes_near("polled-too-fast")
def two_tasks_in_turn(client: Client) -> None:
    tasks = [client.submit(GOOD[name], plan=IMMEDIATE, after_ms=500) for name in ("preset-style", "train-free")]
    for _ in range(2):
        for task in tasks:
            client.query(task, after_ms=500)


@comes_near("polled-too-fast")
def very_slow_polling_is_nobodys_business(client: Client) -> None:
    task = client.submit(plan={"running_ms": 7_200_000})
    for _ in range(2):
        client.query(task, after_ms=3_600_000)
    client.finish(task)


@earns("polled-after-end")
def a_task_is_queried_again_after_it_succeeded(client: Client) -> None:
    task = client.submit(plan=IMMEDIATE)
    client.finish(task)
    client.query(task)


@earns("polled-after-end")
def an_id_that_nobody_knows_is_polled_for_ever(client: Client) -> None:
    for _ in range(5):
        client.query("no-such-task", after_ms=10_000)


@earns("polled-after-end")
def a_task_that_ended_as_unknown_is_polled_on(client: Client) -> None:
    task = client.submit(headers={"X-Mock-Scenario": "unknown"})
    for _ in range(5):
        client.query(task, after_ms=10_000)


@earns("polled-after-end")
def a_failed_task_is_polled_to_the_last_attempt(client: Client) -> None:
    task = client.submit(plan=FAILING)
    for _ in range(3):
        client.query(task)


@comes_near("polled-after-end")
def the_answer_with_the_end_was_lost_and_is_asked_for_again(client: Client) -> None:
    client.vendor.admin("POST", "faults", {"stage": "poll", "kind": "cut", "when": "SUCCEEDED", "times": 1})
    task = client.submit(plan=IMMEDIATE)
    with pytest.raises(ConnectionAbortedError):
        assert client.query(task).data
    client.finish(task)


@comes_near("polled-after-end")
def a_replica_that_lags_is_asked_again(client: Client) -> None:
    task = client.submit(headers={"X-Mock-Scenario": "replica-lag"})
    for _ in range(2):
        client.query(task)
    client.finish(task)


@comes_near("polled-after-end")
def an_unknown_task_is_given_half_a_minute(client: Client) -> None:
    """A client cannot tell a replica that lags from a task that is not there."""
    for after_ms in (0, 10_000, 10_000, 9_999):
        client.query("no-such-task", after_ms=after_ms)


@comes_near("polled-after-end")
def a_status_nobody_has_seen_may_not_be_the_last_word(client: Client) -> None:
    task = client.submit(plan={**IMMEDIATE, "outcome": {"status": "SUSPENDED"}})
    for _ in range(3):
        client.query(task)


@comes_near("polled-after-end")
def one_look_at_an_id_that_nobody_knows(client: Client) -> None:
    client.query("no-such-task")


# -- no-back-off, retried-in-vain -------------------------------------------------------------------------------------


@earns("no-back-off")
def a_throttled_submission_is_repeated_at_once(client: Client) -> None:
    for _ in range(3):
        client.submit(headers=RETRIES, after_ms=10)


@earns("no-back-off")
def an_unavailable_query_is_repeated_after_999_ms(client: Client) -> None:
    task = client.submit(headers={"X-Mock-Scenario": "poll-503"})
    client.query(task)
    client.query(task, after_ms=999)


@comes_near("no-back-off")
def a_throttled_submission_is_repeated_after_a_second(client: Client) -> None:
    for _ in range(3):
        client.submit(headers=RETRIES, after_ms=1_000)


@comes_near("no-back-off")
def another_task_is_queried_after_a_429(client: Client) -> None:
    one = client.submit(plan=HELD_PENDING, headers={"X-Mock-Scenario": "poll-429"})
    other = client.submit(GOOD["train-free"], headers={"X-Mock-Scenario": "poll-429"})
    client.query(one)
    client.query(other, after_ms=10)


@comes_near("no-back-off")
def another_portrait_is_submitted_after_a_429(client: Client) -> None:
    client.submit(headers=RETRIES)
    client.submit(GOOD["train-free"], headers=RETRIES, after_ms=10)


@comes_near("no-back-off")
def an_internal_error_says_nothing_about_the_rate(client: Client) -> None:
    task = client.submit(headers={"X-Mock-Scenario": "poll-500"})
    client.query(task)
    client.query(task, after_ms=999)


@earns("retried-in-vain")
def a_refused_body_is_sent_again_unchanged(client: Client) -> None:
    for _ in range(2):
        client.submit(N_9)


@earns("retried-in-vain")
def an_account_in_arrears_tries_and_tries(client: Client) -> None:
    for _ in range(3):
        client.submit(key="sk-mock-arrears")


@earns("retried-in-vain")
def a_quota_that_only_a_person_can_change(client: Client) -> None:
    for _ in range(2):
        client.submit(headers={"X-Mock-Scenario": "free-tier-used"})


@comes_near("retried-in-vain")
def a_refused_body_is_mended(client: Client) -> None:
    client.submit(N_9)
    client.finish(client.submit())


@comes_near("retried-in-vain")
def another_wrong_body_is_another_mistake(client: Client) -> None:
    client.submit(N_9)
    client.submit({**N_9, "parameters": {"style": "cubist"}})


@comes_near("retried-in-vain")
def a_throttled_submission_may_be_repeated(client: Client) -> None:
    for _ in range(3):
        client.submit(headers=RETRIES)


@comes_near("retried-in-vain")
def the_refusal_passes_meanwhile(client: Client) -> None:
    client.vendor.admin("POST", "plans", {"scenario": "not-approved"})
    client.submit()
    client.finish(client.submit())


# -- field-at-wrong-level, field-ignored ------------------------------------------------------------------------------


@earns("field-at-wrong-level")
def the_size_stands_at_the_top(client: Client) -> None:
    client.submit({**PRESET, "size": "768*1024"})


@earns("field-at-wrong-level")
def the_likeness_stands_in_the_input(client: Client) -> None:
    client.submit({**PRESET, "input": {"resources": PRESET["resources"]}})


@earns("field-at-wrong-level")
def the_template_stands_in_the_parameters(client: Client) -> None:
    template = GOOD["template-with-lora"]
    client.submit({**template, "input": {}, "parameters": {**template["parameters"], **template["input"]}})


@comes_near("field-at-wrong-level")
def every_field_stands_where_it_belongs(client: Client) -> None:
    for name in ("preset-style", "template-with-lora", "train-free"):
        client.finish(client.submit(GOOD[name]))


@earns("field-ignored")
def a_seed_is_sent(client: Client) -> None:
    client.submit({**PRESET, "parameters": {**PRESET["parameters"], "seed": 7}})


@earns("field-ignored")
def a_likeness_is_sent_in_train_free_mode(client: Client) -> None:
    client.submit(GOOD["train-free-with-resources-ignored"])


@earns("field-ignored")
def a_size_is_sent_with_a_template(client: Client) -> None:
    client.submit(GOOD["template-with-lora-and-another-size"])


@earns("field-ignored")
def a_field_is_sent_beside_something_like_a_key(client: Client) -> None:
    likeness = {"resource_id": "sk-0123456789abcdef0123456789abcdef", "resource_type": "facelora"}
    client.submit({**PRESET, "resources": [likeness], "prompt": "at the sea"})


@comes_near("field-ignored")
def every_field_is_read(client: Client) -> None:
    client.finish(client.submit(GOOD["template-with-lora-and-skin-retouch"]))
    client.finish(client.submit(PRESET))


# -- photo-refused-before ---------------------------------------------------------------------------------------------


@earns("photo-refused-before")
def a_portrait_is_ordered_of_a_photo_that_detection_refused(client: Client) -> None:
    client.detect(PHOTO, NO_FACE)
    client.finish(client.portray(NO_FACE))


@earns("photo-refused-before")
def a_likeness_is_trained_on_a_photo_that_detection_refused(client: Client) -> None:
    client.detect(NO_FACE)
    client.await_likeness(client.train(PHOTO, NO_FACE))


@earns("photo-refused-before")
def the_template_is_the_photo_that_detection_refused(client: Client) -> None:
    client.detect(NO_FACE)
    client.finish(client.portray(PHOTO, template=NO_FACE))


@earns("photo-refused-before")
def a_photo_is_too_small_for_detection_and_ordered_all_the_same(client: Client) -> None:
    client.detect(asset(width=100))
    client.finish(client.portray(asset(width=100)))


@earns("photo-refused-before")
def the_last_photo_of_a_long_list_was_refused(client: Client) -> None:
    client.detect(*[f"{PHOTO}?{number}" for number in range(500)], NO_FACE)
    client.finish(client.portray(NO_FACE))


def faceless(number: int) -> list[str]:
    return [asset(faces=0, bytes=each + 1) for each in range(number)]


@earns("photo-refused-before")
def so_many_photos_were_refused_as_are_remembered(client: Client) -> None:
    client.detect(*faceless(MOST_PICTURES))
    client.finish(client.portray(faceless(MOST_PICTURES)[-1]))


@comes_near("photo-refused-before")
def one_more_was_refused_than_is_remembered(client: Client) -> None:
    client.detect(*faceless(MOST_PICTURES + 1))
    client.finish(client.portray(faceless(MOST_PICTURES + 1)[-1]))


@earns("photo-refused-before")
def a_temporary_upload_was_refused_and_ordered(client: Client) -> None:
    link = uploaded(client.vendor, photo(100, 100), model=DETECTION_MODEL)
    client.detect(link, headers=RESOLVED)
    client.finish(client.portray(link, headers=RESOLVED))


@comes_near("photo-refused-before")
def a_photo_that_was_never_looked_at_is_ordered(client: Client) -> None:
    client.finish(client.portray(NO_FACE))


@comes_near("photo-refused-before")
def another_photo_is_ordered(client: Client) -> None:
    client.detect(NO_FACE, asset(faces=1))
    client.finish(client.portray(asset(faces=1)))


@comes_near("photo-refused-before")
def the_photo_was_mended_and_passed_the_second_time(client: Client) -> None:
    client.vendor.admin("POST", "assets", {"url": PHOTO, "faces": 0})
    client.detect(PHOTO)
    client.vendor.admin("DELETE", "assets")
    client.detect(PHOTO)
    client.finish(client.portray(PHOTO))


@comes_near("photo-refused-before")
def another_account_was_refused_the_photo(client: Client) -> None:
    client.detect(NO_FACE, key="sk-other")
    client.finish(client.portray(NO_FACE))


@comes_near("photo-refused-before")
def the_answer_of_detection_was_lost(client: Client) -> None:
    client.vendor.admin("POST", "faults", {"stage": "submit", "kind": "reset", "times": 1, "route": "detect_faces"})
    with pytest.raises(ConnectionResetError):
        client.detect(NO_FACE)
    client.finish(client.portray(NO_FACE))


@comes_near("photo-refused-before")
def the_photo_is_ordered_before_it_is_looked_at(client: Client) -> None:
    client.finish(client.portray(NO_FACE))
    client.detect(NO_FACE)


@comes_near("photo-refused-before")
def the_order_was_refused_for_something_else(client: Client) -> None:
    client.detect(NO_FACE)
    client.portray(NO_FACE, key="sk-mock-arrears")
    client.portray(NO_FACE, headers={"X-Mock-Scenario": "submit-429"})


@comes_near("photo-refused-before")
def a_refused_photo_is_sent_in_a_mode_that_looks_at_none(client: Client) -> None:
    client.detect(NO_FACE)
    client.finish(client.submit({**PRESET, "input": {"template_url": NO_FACE}}))


@comes_near("photo-refused-before")
def the_whole_detection_was_refused(client: Client) -> None:
    client.detect(NO_FACE, asset(smiles=1))
    client.finish(client.portray(NO_FACE))


# -- job-polled-too-fast ----------------------------------------------------------------------------------------------


@earns("job-polled-too-fast")
def a_job_is_asked_for_4_999_ms_after_the_last_time(client: Client) -> None:
    job = client.train(plan=HELD)
    client.look(job)
    client.look(job, after_ms=4_999)


@earns("job-polled-too-fast")
def a_job_is_asked_for_as_often_as_a_task(client: Client) -> None:
    job = client.train(plan=BY_POLLS)
    for _ in range(3):
        client.look(job, after_ms=1_000)


@comes_near("job-polled-too-fast")
def a_job_is_asked_for_every_five_seconds(client: Client) -> None:
    job = client.train(plan={"progression": "polls", "pending": 5, "running": 5})
    for _ in range(11):
        client.look(job, after_ms=5_000)


@comes_near("job-polled-too-fast")
def two_jobs_are_asked_for_in_turn(client: Client) -> None:
    both = [client.train(f"{PHOTO}?{number}", plan=HELD) for number in range(2)]
    for _ in range(3):
        for job in both:
            client.look(job, after_ms=2_500)


@comes_near("job-polled-too-fast")
def a_job_is_listed_cancelled_and_asked_for_in_one_go(client: Client) -> None:
    job = client.train(plan=HELD_PENDING)
    jobs(client.vendor)
    cancel_job(client.vendor, job)
    client.look(job, after_ms=0)


@comes_near("job-polled-too-fast")
def a_throttled_look_at_a_job_is_repeated_after_a_second(client: Client) -> None:
    job = client.train(headers={"X-Mock-Scenario": "poll-429"})
    client.look(job)
    client.look(job, after_ms=1_000)
    client.look(job, after_ms=1_000)


@comes_near("job-polled-too-fast")
def a_task_is_queried_every_second(client: Client) -> None:
    task = client.submit(plan=BY_POLLS)
    for _ in range(3):
        client.query(task)
    client.fetch(task)


# -- trainings that are left, asked for in vain, or paid twice --------------------------------------------------------


@earns("failure-unseen")
def nobody_asks_for_a_training_that_failed(client: Client) -> None:
    client.train(plan=FAILING)


@earns("failure-unseen")
def the_client_leaves_before_a_training_fails(client: Client) -> None:
    client.look(client.train(NO_FACE, plan={"progression": "time", "pending_ms": 0, "running_ms": 60_000}))
    client.wait(60_000)


@comes_near("failure-unseen")
def the_failure_of_a_training_is_seen(client: Client) -> None:
    assert client.await_likeness(client.train(plan=FAILING)) == "FAILED"


@earns("task-abandoned")
def nobody_asks_for_a_training_that_succeeded(client: Client) -> None:
    client.train(plan=IMMEDIATE)


@earns("task-abandoned")
def the_client_gives_up_on_a_training(client: Client) -> None:
    client.look(client.train(plan=BY_POLLS))


@earns("task-abandoned")
def one_429_ends_the_wait_for_a_training(client: Client) -> None:
    assert client.look(client.train(headers={"X-Mock-Scenario": "poll-429"})).status_code == 429


@comes_near("task-abandoned")
def a_training_is_seen_to_its_end(client: Client) -> None:
    client.await_likeness(client.train())


@comes_near("task-abandoned")
def the_end_of_a_training_is_seen_in_the_list(client: Client) -> None:
    client.train(plan=IMMEDIATE)
    assert jobs(client.vendor)["jobs"][0]["status"] == "SUCCEEDED"


@comes_near("failure-unseen")
def the_failure_of_a_training_is_seen_in_the_list(client: Client) -> None:
    client.train(plan=FAILING)
    assert jobs(client.vendor)["jobs"][0]["status"] == "FAILED"


@earns("task-abandoned")
def a_training_is_listed_before_its_end_and_not_after(client: Client) -> None:
    client.train()
    jobs(client.vendor)
    client.wait(60_000)


@earns("task-abandoned")
def the_end_of_a_training_stands_on_a_page_that_nobody_asks_for(client: Client) -> None:
    client.train(plan=IMMEDIATE)
    jobs(client.vendor, "page_no=2")


@earns("task-abandoned")
def the_end_of_a_training_is_seen_by_another_account(client: Client) -> None:
    client.train(plan=IMMEDIATE)
    jobs(client.vendor, key="sk-other")


@comes_near("task-abandoned")
def a_training_that_the_client_cancelled(client: Client) -> None:
    cancel_job(client.vendor, client.train(plan=HELD_PENDING))


@comes_near("task-abandoned")
def a_training_that_the_client_stopped_while_it_ran(client: Client) -> None:
    cancel_job(client.vendor, client.train(plan=HELD))
    client.wait()


@comes_near("task-abandoned")
def a_training_that_the_client_deleted(client: Client) -> None:
    delete_job(client.vendor, client.train(plan=HELD))


@comes_near("task-abandoned")
def a_training_that_never_ends_and_was_looked_at(client: Client) -> None:
    client.look(client.train(headers={"X-Mock-Scenario": "never-trained"}))


@comes_near("task-abandoned")
def a_training_that_the_client_cannot_know_of(client: Client) -> None:
    with pytest.raises(ConnectionResetError):
        client.train(headers={"X-Mock-Scenario": "lost-submit"})


@comes_near("pictures-unfetched")
def a_training_has_no_pictures(client: Client) -> None:
    client.await_likeness(client.train())


@earns("polled-after-end")
def a_training_is_asked_for_again_after_it_succeeded(client: Client) -> None:
    job = client.train()
    client.await_likeness(job)
    client.look(job)


@earns("polled-after-end")
def a_training_is_asked_for_again_after_it_was_canceled(client: Client) -> None:
    job = client.train(plan=HELD_PENDING)
    cancel_job(client.vendor, job)
    for _ in range(2):
        client.look(job)


@comes_near("polled-after-end")
def a_training_that_queues_and_is_canceling_has_not_ended(client: Client) -> None:
    first, second = (client.train(f"{PHOTO}?{number}", plan=HELD) for number in range(2))
    for _ in range(2):
        client.look(second)
    cancel_job(client.vendor, first)
    client.look(first, after_ms=0)
    client.look(first)


@earns("submitted-twice")
def a_lost_training_is_created_again(client: Client) -> None:
    lost = {"X-Mock-Scenario": "lost-submit"}
    with pytest.raises(ConnectionResetError):
        client.train(headers=lost)
    client.train(headers=lost)


@comes_near("submitted-twice")
def a_lost_training_is_found_in_the_list(client: Client) -> None:
    with pytest.raises(ConnectionResetError):
        client.train(headers={"X-Mock-Scenario": "lost-submit"})
    (job,) = jobs(client.vendor)["jobs"]
    client.await_likeness(job["job_id"])


@comes_near("submitted-twice")
def a_training_and_a_portrait_are_two_things(client: Client) -> None:
    client.train(plan=HELD)
    client.train(f"{PHOTO}?2", plan=HELD)
    client.submit()


@comes_near("submitted-twice")
def a_training_that_was_deleted_is_created_again(client: Client) -> None:
    delete_job(client.vendor, client.train(plan=HELD))
    client.train(plan=HELD)


@earns("breaks-contract")
def a_training_without_files(client: Client) -> None:
    client.train(body=training())


@earns("breaks-contract")
def a_training_with_another_routes_model(client: Client) -> None:
    client.train(body={**training(PHOTO), "model": MODEL})


@earns("breaks-contract")
def a_detection_without_photos(client: Client) -> None:
    client.detect(7)


@earns("breaks-contract")
def a_detection_that_is_to_be_answered_later(client: Client) -> None:
    client.detect(headers={"X-DashScope-Async": "enable"})


@comes_near("breaks-contract")
def detection_and_training_as_they_should_be(client: Client) -> None:
    client.detect(PHOTO, NO_FACE)
    client.await_likeness(client.train(NO_FACE))


@comes_near("breaks-contract")
def a_likeness_is_used_before_it_is_trained(client: Client) -> None:
    """The account's state is no shape of the request; a fine-tune job that fails is no breach either."""
    client.submit(portrait(likeness(client.train(plan=HELD))))


@earns("no-back-off")
def a_throttled_training_is_created_again_at_once(client: Client) -> None:
    for _ in range(2):
        client.train(headers=RETRIES, after_ms=10)


@comes_near("no-back-off")
def another_likeness_is_trained_after_a_429(client: Client) -> None:
    client.train(headers=RETRIES)
    client.train(f"{PHOTO}?2", headers=RETRIES, after_ms=10)


@comes_near("no-back-off")
def another_photo_is_looked_at_after_a_429(client: Client) -> None:
    client.detect(PHOTO, headers=RETRIES)
    client.detect(f"{PHOTO}?2", headers=RETRIES, after_ms=10)


@earns("retried-in-vain")
def a_training_beyond_the_quota_is_tried_again(client: Client) -> None:
    for number in range(20):
        client.train(f"{PHOTO}?{number}", plan=IMMEDIATE)
    for _ in range(2):
        client.train()


@earns("retried-in-vain")
def a_likeness_that_is_not_there_is_asked_for_again(client: Client) -> None:
    for _ in range(2):
        client.submit(portrait("nobody"))


@comes_near("retried-in-vain")
def another_wrong_photo_is_another_mistake(client: Client) -> None:
    client.detect("me.jpg")
    client.detect("you.jpg")


@comes_near("retried-in-vain")
def a_training_that_was_throttled_may_be_tried_again(client: Client) -> None:
    for _ in range(3):
        client.train(headers=RETRIES)


# -- upload-policy-stale ----------------------------------------------------------------------------------------------


def upload(client: Client, age_ms: int, given: dict[str, Any] | None = None, name: str = "me.jpg") -> TestResponse:
    """An upload by a policy of this age."""
    given = given or policy(client.vendor)
    client.wait(age_ms)
    return form_post(client.vendor, given, fields(given, name), photo())


@earns("upload-policy-stale")
def an_upload_comes_when_its_policy_ends(client: Client) -> None:
    assert upload(client, 300_000).status_code == 403


@earns("upload-policy-stale")
def one_policy_is_kept_for_all_uploads(client: Client) -> None:
    given = policy(client.vendor)
    for number in range(3):
        upload(client, 200_000, given, f"{number}.jpg")


@comes_near("upload-policy-stale")
def an_upload_comes_in_the_last_millisecond(client: Client) -> None:
    assert upload(client, 299_999).status_code == 200


@comes_near("upload-policy-stale")
def a_new_policy_is_asked_for_each_time(client: Client) -> None:
    for _ in range(3):
        client.wait(200_000)
        assert upload(client, 0).status_code == 200


@comes_near("upload-policy-stale")
def a_policy_grows_old_and_nobody_uses_it(client: Client) -> None:
    policy(client.vendor)
    client.wait(3_600_000)


# -- oss-link-unresolved ----------------------------------------------------------------------------------------------


@earns("oss-link-unresolved")
def a_portrait_names_an_upload_without_the_header(client: Client) -> None:
    client.portray(uploaded(client.vendor))


@earns("oss-link-unresolved")
def a_training_names_an_upload_with_the_header_switched_off(client: Client) -> None:
    link = uploaded(client.vendor, model=TRAINING_MODEL)
    client.train(link, headers={"X-DashScope-OssResourceResolve": "disable"})


@earns("oss-link-unresolved")
def a_detection_names_an_upload_without_the_header(client: Client) -> None:
    client.detect(uploaded(client.vendor, model=DETECTION_MODEL))


@comes_near("oss-link-unresolved")
def every_call_names_its_uploads_with_the_header(client: Client) -> None:
    for model in (MODEL, TRAINING_MODEL, DETECTION_MODEL):
        link = uploaded(client.vendor, model=model)
        if model == MODEL:
            client.finish(client.portray(link, headers=RESOLVED))
        elif model == TRAINING_MODEL:
            client.await_likeness(client.train(link, headers=RESOLVED))
        else:
            client.detect(link, headers=RESOLVED)


@comes_near("oss-link-unresolved")
def an_upload_that_is_not_there_is_named_with_the_header(client: Client) -> None:
    client.finish(client.portray("oss://dashscope-instant/nobody/me.jpg", headers=RESOLVED))


@comes_near("oss-link-unresolved")
def no_call_names_an_upload(client: Client) -> None:
    uploaded(client.vendor)
    client.finish(client.portray(PHOTO))


@comes_near("oss-link-unresolved")
def a_mode_that_looks_at_no_picture_needs_no_header(client: Client) -> None:
    client.finish(client.submit({**PRESET, "input": {"template_url": "oss://somewhere/me.jpg"}}))


# -- the table --------------------------------------------------------------------------------------------------------


def told(vendor: Vendor) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = vendor.admin("GET", "findings").get_json()["findings"]
    return found


def test_every_advice_has_a_story_that_earns_it_and_one_that_comes_near() -> None:
    assert set(EARNED) == set(NEAR_MISS) == set(catalogue.advice())


@pytest.mark.breaks_contract
@pytest.mark.parametrize(
    ("advice", "story"),
    [pytest.param(advice, story, id=f"{advice}: {story.__name__}") for advice in EARNED for story in EARNED[advice]],
)
def test_a_story_earns_its_advice(vendor: Vendor, advice: str, story: Story) -> None:
    story(Client(vendor))
    row = catalogue.advice()[advice]
    hits = [finding for finding in told(vendor) if finding["id"] == advice]
    assert hits
    kept = {request["n"] for request in vendor.admin("GET", "requests").get_json()["requests"]}
    for hit in hits:
        assert (hit["level"], hit["advice"]) == (row.level, row.advice)
        assert hit["evidence"] in ("documented", "observed", "assumed")
        assert hit["what"]
        assert hit["requests"]
        assert set(hit["requests"]) <= kept


@pytest.mark.breaks_contract
@pytest.mark.parametrize(
    ("advice", "story"),
    [
        pytest.param(advice, story, id=f"{advice}: {story.__name__}")
        for advice in NEAR_MISS
        for story in NEAR_MISS[advice]
    ],
)
def test_a_near_miss_does_not(vendor: Vendor, advice: str, story: Story) -> None:
    story(Client(vendor))
    assert [finding for finding in told(vendor) if finding["id"] == advice] == []


# -- a good client ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["preset-style", "template-with-lora", "train-free"])
def test_a_good_client_earns_nothing(vendor: Vendor, mode: str) -> None:
    client = Client(vendor)
    client.finish(client.submit(GOOD[mode], headers={"X-Mock-Scenario": "happy"}))
    assert told(vendor) == []


@pytest.mark.breaks_contract
@pytest.mark.parametrize("name", catalogue.scenarios())
def test_a_client_with_good_manners_earns_nothing_in_any_scenario(vendor: Vendor, name: str) -> None:
    """It waits, backs off, lists after a lost answer, tries again what may be tried again, and knows when to stop."""
    client, headers = Client(vendor), {"X-Mock-Scenario": name}
    client.vendor.clock.freeze()
    for _ in range(3):
        client.wait(2_000)
        try:
            answer = vendor.submit(headers=headers)
        except ConnectionError:
            client.wait()
            task = vendor.vendor_call("GET", TASKS).get_json()["data"][0]["task_id"]
            break
        if answer.status_code not in (429, 503):
            task = answer.get_json().get("output", {}).get("task_id", "")
            break
    if task and name == "never-ends":
        vendor.admin("POST", f"tasks/{task}/release")
    lagging = 3
    while task:
        client.wait(2_000)
        try:
            answer = vendor.query(task)
            output = answer.get_json()["output"] if answer.data and answer.status_code == 200 else {}
        except ConnectionError:
            continue
        lagging -= output.get("task_status") == "UNKNOWN" and name == "replica-lag"
        if output.get("task_status") == "UNKNOWN" and lagging > 0 and name == "replica-lag":
            continue
        if output.get("task_status", "RUNNING") not in ("PENDING", "RUNNING"):
            for result in output.get("results", ()):
                if "url" in result:
                    vendor.call("GET", result["url"])
            break
    assert told(vendor) == []


# -- how they are told ------------------------------------------------------------------------------------------------


def test_the_gravest_come_first(vendor: Vendor) -> None:
    client = Client(vendor)
    client.submit({**PRESET, "prompt": "at the sea"}, plan=FAILING)
    client.submit(N_9)
    task = client.submit(GOOD["train-free"])
    client.query(task)
    client.query(task, after_ms=10)
    levels = [LEVELS.index(finding["level"]) for finding in told(vendor)]
    assert levels == sorted(levels)
    assert set(levels) == {0, 1, 2}


def test_a_breach_names_its_rule_and_the_rules_evidence(vendor: Vendor) -> None:
    client = Client(vendor)
    client.submit(N_9)
    client.submit({**N_9, "resources": [{"resource_id": "another", "resource_type": "facelora"}]})
    (finding,) = told(vendor)
    rule = catalogue.rules()["portrait.n.range"]
    assert (finding["rule"], finding["evidence"], finding["requests"]) == (rule.id, rule.evidence, [1, 2])
    assert finding["what"].startswith("portrait.n.range at parameters.n: 9 ")


def test_the_pause_that_is_named_is_the_shortest_that_was_too_short(vendor: Vendor) -> None:
    client = Client(vendor)
    task = client.submit(headers={"X-Mock-Scenario": "poll-429"}, plan=HELD_PENDING)
    for after_ms in (1_000, 5, 5, 700, 300):
        client.query(task, after_ms=after_ms)
    (finding,) = [finding for finding in told(vendor) if finding["id"] == "polled-too-fast"]
    assert finding["what"] == f"task {task} was queried again after 300 ms"
    assert finding["requests"] == [5, 6]


def test_a_pause_is_counted_on_the_vendors_clock_whatever_a_machine_does(vendor: Vendor) -> None:
    """A clock that was moved on between two queries makes them late, which nobody minds."""
    client = Client(vendor)
    task = client.submit(plan=BY_POLLS)
    client.query(task, after_ms=0)
    vendor.clock.advance("1h")
    client.query(task, after_ms=0)
    assert [finding["id"] for finding in told(vendor)] == ["task-abandoned"]


def test_a_cleared_journal_is_held_against_nobody(vendor: Vendor) -> None:
    client = Client(vendor)
    task = client.submit(plan=FAILING)
    client.submit(N_9)
    vendor.admin("POST", "reset/journal")
    assert told(vendor) == []
    client.query(task)
    assert told(vendor) == []


def test_requests_that_fell_out_of_a_full_journal_are_held_against_nobody(
    vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "MOST_ENTRIES", 3)
    client = Client(vendor)
    client.finish(client.submit(plan=IMMEDIATE))
    for _ in range(3):
        vendor.vendor_call("GET", TASKS)
    assert told(vendor) == []


def test_each_session_answers_for_itself(vendor: Vendor) -> None:
    one, other = vendor.of_session("one"), vendor.of_session("other")
    one.submit(N_9)
    assert [finding["id"] for finding in told(one)] == ["breaks-contract"]
    assert told(other) == told(vendor) == []


def test_a_task_in_two_accounts_hands_is_judged_by_what_each_saw(vendor: Vendor) -> None:
    """Another account sees UNKNOWN, which is no end of the task."""
    client = Client(vendor)
    task = client.submit(plan=BY_POLLS)
    client.query(task, key="sk-another")
    assert [finding["id"] for finding in told(vendor)] == ["task-abandoned"]


@pytest.mark.parametrize(("age_ms", "found"), [(299_999, []), (300_000, ["upload-policy-stale"])])
def test_a_policy_that_still_works_is_stale_all_the_same(age_ms: int, found: list[str]) -> None:
    vendor = Vendor(behaviour={"policy-life": "observed"})
    assert upload(Client(vendor), age_ms).status_code == 200
    assert [finding["id"] for finding in told(vendor)] == found


def test_an_upload_whose_policy_was_made_up_tells_no_age(vendor: Vendor) -> None:
    given = {**policy(vendor), "signature": "made up"}
    assert upload(Client(vendor), 3_600_000, given).status_code == 403
    assert "upload-policy-stale" not in [finding["id"] for finding in told(vendor)]


def test_a_finding_about_a_photo_names_both_requests(vendor: Vendor) -> None:
    client = Client(vendor)
    client.detect(NO_FACE, asset(faces=2), PHOTO)
    client.finish(client.portray(NO_FACE, template=asset(faces=2)))
    (finding,) = [finding for finding in told(vendor) if finding["id"] == "photo-refused-before"]
    assert (finding["requests"], finding["what"]) == ([1, 2], "2 of its photos had been refused by detection")


def test_a_client_that_looks_trains_and_waits_earns_nothing(vendor: Vendor) -> None:
    client = Client(vendor)
    link = uploaded(vendor, model=TRAINING_MODEL)
    client.detect(PHOTO)
    job = client.train(PHOTO, link, headers=RESOLVED)
    assert client.await_likeness(job) == "SUCCEEDED"
    client.finish(client.submit(portrait(likeness(job))))
    assert told(vendor) == []


@pytest.mark.breaks_contract
@pytest.mark.parametrize("name", catalogue.scenarios())
def test_a_trainer_with_good_manners_earns_nothing_in_any_scenario(vendor: Vendor, name: str) -> None:
    """It backs off, lists after a lost answer, tries again what may be tried again, and knows when to stop."""
    client, headers, job = Client(vendor), {"X-Mock-Scenario": name}, ""
    vendor.clock.freeze()
    for _ in range(3):
        client.wait(2_000)
        try:
            answer = train(vendor, headers=headers)
        except ConnectionError:
            client.wait()
            job = jobs(vendor)["jobs"][0]["job_id"]
            break
        if answer.status_code not in (429, 503):
            job = answer.get_json().get("output", {}).get("job_id", "")
            break
    if job and name == "never-trained":
        vendor.admin("POST", f"tasks/{job}/release")
    status = "PENDING" if job else "none"
    while status in ("PENDING", "RUNNING"):
        try:
            answer = client.look(job)
            whole = bool(answer.data)
        except ConnectionError:
            continue
        if whole and answer.status_code == 200:
            status = answer.get_json()["output"]["status"]
    assert told(vendor) == []
