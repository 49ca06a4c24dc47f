"""Every reading of an open point of the vendor's pages, as a client of the server meets it."""

from collections.abc import Callable
from typing import Any

import pytest

from contracts import catalogue
from tests.conftest import HELD, IMMEDIATE, PRESET, Vendor

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
