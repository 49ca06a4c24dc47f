"""Every reading of an open point of the vendor's pages, as a client of the server meets it."""

from collections.abc import Callable
from typing import Any

import pytest

from contracts import catalogue
from mock_server.core.model import DETECTION_MODEL
from tests.conftest import GOOD, HELD, IMMEDIATE, PRESET, Vendor
from tests.likenesses import (
    JOBS,
    NO_FACE,
    PHOTO,
    asset,
    delete_job,
    detect,
    family_call,
    job_of,
    job_status,
    likeness,
    portrait,
    train,
    trained,
)
from tests.uploads import fields, form_post, photo, policy

HELP = " For details, see: https://help.aliyun.com/zh/model-studio/error-code#"
FAILED = {**IMMEDIATE, "outcome": {"error": "algo_error"}}


def preset(**parameters: object) -> dict[str, Any]:
    kept = {name: value for name, value in PRESET["parameters"].items() if parameters.get(name, value) is not None}
    return {
        **PRESET,
        "parameters": {**kept, **{name: value for name, value in parameters.items() if value is not None}},
    }


def code_of_submission(*, n: int | None = 2, style: str | None = "f_idcard_male", **parameters: object) -> Any:
    return lambda vendor: vendor.submit(preset(n=n, style=style, **parameters)).get_json().get("message", "accepted")


def second_task(vendor: Vendor) -> tuple[int, str]:
    first = vendor.submitted(plan=HELD)
    second = vendor.submit()
    third = vendor.submit(key="sk-other")
    assert third.status_code == 200
    vendor.admin("POST", f"tasks/{first}/release")
    vendor.later(1_000)
    assert vendor.submit().status_code == 200 if second.status_code == 429 else True
    return second.status_code, second.get_json().get("code", second.get_json().get("output", {}).get("task_status"))


def wrong_field(vendor: Vendor) -> list[Any]:
    answer = vendor.submit(preset(n=9))
    if answer.status_code != 200:
        return [answer.status_code, answer.get_json()["message"]]
    task = answer.get_json()["output"]["task_id"]
    seen: list[Any] = [vendor.status(task)]
    vendor.later(100)
    return [*seen, {name: vendor.output(task)[name] for name in ("task_status", "code", "message")}]


def usage_of_a_failed_task(vendor: Vendor) -> Any:
    return vendor.query(vendor.submitted(plan=FAILED)).get_json().get("usage", "absent")


def end_time(vendor: Vendor) -> str:
    output = vendor.output(vendor.submitted(plan=IMMEDIATE))
    assert output["submit_time"] == output["scheduled_time"] == "2026-01-15 10:30:00.000"
    return str(output["end_time"])


def help_link(vendor: Vendor) -> list[str]:
    with_anchor = vendor.submit(key="none").get_json()["message"]
    without_anchor = vendor.submit({}).get_json()["message"]
    return [with_anchor, without_anchor]


def authorized_by(authorization: str) -> Callable[[Vendor], list[int]]:
    def ask(vendor: Vendor) -> list[int]:
        usual = vendor.submitted()
        headers = {"Authorization": authorization}
        answers = [vendor.submit(headers=headers), vendor.query(usual, headers=headers)]
        if answers[1].status_code == 200:
            assert answers[1].get_json()["output"]["task_status"] == "PENDING"  # the very same account
        return [answer.status_code for answer in answers]

    return ask


def flawed_photo(vendor: Vendor) -> list[Any]:
    """What a portrait and a training with a photo without a face come to: at once, and in the end."""
    body = GOOD["train-free"]
    submitted = vendor.submit({**body, "input": {**body["input"], "user_urls": [NO_FACE]}}, plan=IMMEDIATE)
    created = train(vendor, NO_FACE, plan=IMMEDIATE)
    found = [answer.get_json().get("code") for answer in (submitted, created)]
    if found == [None, None]:
        found += [vendor.output(submitted.get_json()["output"]["task_id"])["code"]]
        found += [job_of(vendor, created.get_json()["output"]["job_id"])["code"]]
    return found


def photo_of(**properties: int) -> Callable[[Vendor], str]:
    """How a portrait with a photo of these properties ends."""

    def ask(vendor: Vendor) -> str:
        body = GOOD["train-free"]
        task = vendor.submitted(
            {**body, "input": {**body["input"], "user_urls": [asset(**properties)]}}, plan=IMMEDIATE
        )
        output = vendor.output(task)
        return str(output.get("code", output["task_status"]))

    return ask


def template_of(**properties: int) -> Callable[[Vendor], str]:
    """How a portrait with a template of these properties ends."""

    def ask(vendor: Vendor) -> str:
        body = {**GOOD["template-with-lora"], "input": {"template_url": asset(**properties)}}
        output = vendor.output(vendor.submitted(body, plan=IMMEDIATE))
        return str(output.get("code", output["task_status"]))

    return ask


def large_photo_detected(vendor: Vendor) -> Any:
    answer = detect(vendor, PHOTO, asset(width=5000), NO_FACE)
    body = answer.get_json()
    return (answer.status_code, body["output"]["is_face"] if answer.status_code == 200 else body["message"])


def unknown_likeness(vendor: Vendor) -> tuple[int, Any]:
    untrained = likeness(trained(vendor, plan=HELD))
    answers = [vendor.submit(portrait(name)) for name in ("nobody", untrained)]
    ((status, code),) = {(answer.status_code, answer.get_json().get("code")) for answer in answers}
    return status, code


def three_jobs_at_once(vendor: Vendor) -> list[int]:
    return [train(vendor).status_code for _ in range(3)]


def likeness_named(vendor: Vendor) -> list[bool]:
    """Whether finetuned_output and model_name are named at creation, while it runs, once it failed or succeeded."""
    named = [train(vendor, plan=HELD).get_json()["output"]]
    named.append(job_of(vendor, named[0]["job_id"]))
    vendor.admin("POST", f"tasks/{named[0]['job_id']}/release")
    failed = trained(vendor, plan=FAILED)
    named += [job_of(vendor, job) for job in (failed, named[0]["job_id"])]
    assert vendor.submit(portrait(likeness(named[0]["job_id"]))).status_code == 200
    shown = [{"finetuned_output", "model_name"} & job.keys() for job in named]
    assert all(len(names) in (0, 2) for names in shown)
    return [bool(names) for names in shown]


def second_job(vendor: Vendor) -> list[Any]:
    first = trained(vendor, plan=HELD)
    vendor.later(1_000)
    second = train(vendor, f"{PHOTO}?2")
    assert train(vendor, key="sk-other").status_code == 200
    vendor.admin("POST", f"tasks/{first}/release")
    vendor.later(1_000)
    assert train(vendor).status_code == 200 if second.status_code == 429 else True
    body = second.get_json()
    return [second.status_code, body.get("message", body.get("output", {}).get("status"))]


def deletions(vendor: Vendor) -> list[int]:
    """What deleting a job answers that succeeded, that failed, and that runs."""
    jobs = [trained(vendor, plan=plan) for plan in (IMMEDIATE, FAILED, HELD)]
    assert [job_status(vendor, job) for job in jobs] == ["SUCCEEDED", "FAILED", "RUNNING"]
    return [delete_job(vendor, job).status_code for job in jobs]


def first_lines(vendor: Vendor) -> list[int]:
    """How many lines of four come from offset 0, 1, 2, 4 and 5, and when none is said."""
    job = trained(vendor, plan=IMMEDIATE)

    def lines(query: str) -> int:
        return len(family_call(vendor, "GET", f"{JOBS}/{job}/logs{query}").get_json()["output"]["logs"])

    return [lines(query) for query in ("?offset=0", "?offset=1", "?offset=2", "?offset=4", "?offset=5", "")]


def policy_after(seconds: int, more_ms: int = 0) -> Callable[[Vendor], tuple[int, int]]:
    """What a form post answers that comes so long after its policy, and what the policy said of its life."""

    def post(vendor: Vendor) -> tuple[int, int]:
        given = policy(vendor, DETECTION_MODEL)
        vendor.later(seconds * 1_000 + more_ms)
        answer = form_post(vendor, given, fields(given), photo())
        assert (b"Policy expired." in answer.data) == (answer.status_code == 403)
        return answer.status_code, given["expire_in_seconds"]

    return post


ALL_LINES, AFTER_ONE = [4, 3, 2, 0, 0, 4], [4, 4, 3, 1, 0, 4]
FACELESS = "InvalidImage.NoHumanFace"
RESOLUTION = "InvalidImageResolution"
THROTTLED = catalogue.errors()["training_throttled"].message
INVALID = catalogue.errors()["parameters_invalid"].message
RANGE_4, RANGE_5 = "Range of n should be [1, 4]", "Range of n should be [1, 5]"
OUT_OF_RANGE = catalogue.errors()["request_invalid"].message
NO_STYLE = catalogue.errors()["field_required"].message.format(field="parameters.style")

CASES: list[tuple[str, str, Callable[[Vendor], Any], Any]] = [
    ("second-task", "queue", second_task, (200, "PENDING")),
    ("second-task", "reject", second_task, (429, "Throttling.Concurrency")),
    ("validation-timing", "documented", wrong_field, [400, RANGE_4]),
    (
        "validation-timing",
        "deferred",
        wrong_field,
        ["RUNNING", {"task_status": "FAILED", "code": "InvalidParameter", "message": RANGE_4}],
    ),
    ("n-maximum", "4", code_of_submission(n=4), "accepted"),
    ("n-maximum", "4", code_of_submission(n=5), RANGE_4),
    ("n-maximum", "5", code_of_submission(n=5), "accepted"),
    ("n-maximum", "5", code_of_submission(n=6), RANGE_5),
    ("size-512", "accept", code_of_submission(size="512*512"), "accepted"),
    ("size-512", "refuse", code_of_submission(size="512*512"), OUT_OF_RANGE),
    ("size-512", "refuse", code_of_submission(size="768*1024"), "accepted"),
    ("style-missing", "refuse", code_of_submission(style=None), NO_STYLE),
    ("style-missing", "accept", code_of_submission(style=None), "accepted"),
    ("failed-usage", "image_count", usage_of_a_failed_task, {"image_count": 0}),
    ("failed-usage", "image_num", usage_of_a_failed_task, {"image_num": 0}),
    ("failed-usage", "absent", usage_of_a_failed_task, "absent"),
    ("end-time", "millis", end_time, "2026-01-15 10:30:00.000"),
    ("end-time", "seconds", end_time, "2026-01-15 10:30:00"),
    (
        "help-link",
        "off",
        help_link,
        ["Invalid API-key provided.", 'Required parameter "model" missing from request.'],
    ),
    (
        "help-link",
        "on",
        help_link,
        [f"Invalid API-key provided.{HELP}apikey-error", 'Required parameter "model" missing from request.'],
    ),
    ("bearer-spaces", "accept", authorized_by("Bearer  sk-main"), [200, 200]),
    ("bearer-spaces", "refuse", authorized_by("Bearer  sk-main"), [401, 401]),
    ("bearer-spaces", "refuse", authorized_by("Bearer sk-main"), [200, 200]),
    ("bearer-missing", "refuse", authorized_by("sk-main"), [401, 401]),
    ("bearer-missing", "accept", authorized_by("sk-main"), [200, 200]),
    ("picture-timing", "task", flawed_photo, [None, None, FACELESS, FACELESS]),
    ("picture-timing", "submit", flawed_photo, [FACELESS, FACELESS]),
    ("photo-bounds", "inclusive", photo_of(width=256, height=2048), "SUCCEEDED"),
    ("photo-bounds", "inclusive", photo_of(width=255, height=2048, face_px=128), RESOLUTION),
    ("photo-bounds", "inclusive", photo_of(width=256, height=2049), RESOLUTION),
    ("photo-bounds", "strict", photo_of(width=256, height=500), RESOLUTION),
    ("photo-bounds", "strict", photo_of(width=500, height=2048), RESOLUTION),
    ("photo-bounds", "strict", photo_of(width=257, height=2047, face_px=128), "SUCCEEDED"),
    ("template-turned", "no", template_of(width=1680, height=1260), "SUCCEEDED"),
    ("template-turned", "no", template_of(width=1260, height=1680), RESOLUTION),
    ("template-turned", "yes", template_of(width=1680, height=1260), "SUCCEEDED"),
    ("template-turned", "yes", template_of(width=1260, height=1680), "SUCCEEDED"),
    ("template-turned", "yes", template_of(width=1260, height=1681), RESOLUTION),
    ("template-turned", "yes", template_of(width=1261, height=1261), RESOLUTION),
    ("detection-limits", "reason", large_photo_detected, (200, [True, False, False])),
    ("detection-limits", "refuse", large_photo_detected, (400, INVALID)),
    ("resource-check", "refuse", unknown_likeness, (403, "Resource.AccessDenied")),
    ("resource-check", "accept", unknown_likeness, (200, None)),
    ("finetune-rps", "1", three_jobs_at_once, [200, 429, 429]),
    ("finetune-rps", "2", three_jobs_at_once, [200, 200, 429]),
    ("finetune-output", "creation", likeness_named, [True, True, True, True]),
    ("finetune-output", "success", likeness_named, [False, False, False, True]),
    ("second-job", "queue", second_job, [200, "QUEUING"]),
    ("second-job", "reject", second_job, [429, THROTTLED]),
    ("finetune-delete", "live", deletions, [400, 400, 200]),
    ("finetune-delete", "any", deletions, [200, 200, 200]),
    ("log-offset", "0", first_lines, ALL_LINES),
    ("log-offset", "1", first_lines, AFTER_ONE),
    ("policy-life", "stated", policy_after(299, 999), (200, 300)),
    ("policy-life", "stated", policy_after(300), (403, 300)),
    ("policy-life", "observed", policy_after(300), (200, 300)),
    ("policy-life", "observed", policy_after(1_379, 999), (200, 300)),
    ("policy-life", "observed", policy_after(1_380), (403, 300)),
]


@pytest.mark.parametrize(("behaviour", "choice", "meet", "expected"), CASES)
def test_a_client_meets_the_reading_that_was_chosen(
    behaviour: str, choice: str, meet: Callable[[Vendor], Any], expected: Any
) -> None:
    assert meet(Vendor(behaviour={behaviour: choice})) == expected


@pytest.mark.parametrize("behaviour", catalogue.behaviours())
def test_the_default_is_what_a_client_meets_when_nothing_was_chosen(behaviour: str) -> None:
    default = catalogue.behaviours()[behaviour].default
    for _, _, meet, expected in (case for case in CASES if case[:2] == (behaviour, default)):
        assert meet(Vendor()) == expected


def test_every_option_has_a_case() -> None:
    options = {(id_, choice) for id_, each in catalogue.behaviours().items() for choice in each.options}
    assert {(behaviour, choice) for behaviour, choice, _, _ in CASES} == options


def test_deferred_still_refuses_what_comes_before_the_fields() -> None:
    vendor = Vendor(behaviour={"validation-timing": "deferred"})
    for body, code in (({**PRESET, "model": "none"}, "Model not exist."), ([], "The input parameter requires")):
        answer = vendor.submit(body)
        assert answer.status_code == 400
        assert answer.get_json()["message"].startswith(code)


def test_a_deferred_refusal_fails_the_task_whatever_was_planned_for_it() -> None:
    vendor = Vendor(behaviour={"validation-timing": "deferred"})
    task = vendor.submitted(preset(n=9), plan=HELD)
    vendor.later(100)
    assert vendor.cancel(task).status_code == 400
    assert vendor.status(task) == "FAILED"


def test_a_task_of_five_pictures_gives_five_links() -> None:
    vendor = Vendor(behaviour={"n-maximum": "5"})
    links = vendor.links(vendor.submitted(preset(n=5), plan=IMMEDIATE))
    assert len(links) == 5
    assert vendor.fetch(links[4]).status_code == 200
