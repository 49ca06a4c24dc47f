"""Each reading of an open point changes exactly the verdicts that its sentence says."""

from typing import Any

import pytest
from jsonschema import Draft202012Validator

from contracts.catalogue import REQUESTS, behaviours, chosen, examples, limits, schema
from contracts.validation import RequestContract

OPTIONS = [(id_, choice) for id_, behaviour in behaviours().items() for choice in behaviour.options]
LORA = [{"resource_id": "women_model", "resource_type": "facelora"}]


def preset(**parameters: object) -> dict[str, Any]:
    return {"model": "facechain-generation", "parameters": parameters, "resources": LORA}


@pytest.mark.parametrize(("id_", "choice"), OPTIONS)
def test_an_option_gives_a_sound_schema(id_: str, choice: str) -> None:
    for message in REQUESTS:
        Draft202012Validator.check_schema(schema(message, {id_: choice}))
    assert behaviours()[id_].options[choice].sentence.endswith((".", "anchor."))


@pytest.mark.parametrize("id_", behaviours())
def test_the_default_is_an_option_and_leaves_the_schema_as_it_is(id_: str) -> None:
    behaviour = behaviours()[id_]
    assert behaviour.options[behaviour.default].patch == ()
    assert behaviour.question.endswith("?")
    assert behaviour.source.startswith("inferred: ") == (behaviour.evidence == "assumed")


@pytest.mark.parametrize(
    ("id_", "choice", "body", "verdict"),
    [
        ("n-maximum", "4", preset(style="f_idcard_male", n=5), "portrait.n.range"),
        ("n-maximum", "5", preset(style="f_idcard_male", n=5), None),
        ("n-maximum", "5", preset(style="f_idcard_male", n=6), "portrait.n.range"),
        ("size-512", "accept", preset(style="f_idcard_male", size="512*512"), None),
        ("size-512", "refuse", preset(style="f_idcard_male", size="512*512"), "portrait.size.enum"),
        ("size-512", "refuse", preset(style="f_idcard_male", size="768*1024"), None),
        ("style-missing", "refuse", preset(n=1), "portrait.style.required"),
        ("style-missing", "accept", preset(n=1), None),
        ("style-missing", "accept", preset(size="1*1"), "portrait.size.enum"),
        ("style-missing", "accept", {**preset(), "resources": []}, "portrait.resources.empty"),
        ("style-missing", "accept", preset(style="none"), "portrait.style.enum"),
    ],
)
def test_an_option_changes_the_verdict(id_: str, choice: str, body: object, verdict: str | None) -> None:
    contract = RequestContract({id_: choice})
    assert [violation.rule for violation in contract.violations(body)] == ([verdict] if verdict else [])
    assert contract.is_valid(body) == (verdict is None)


@pytest.mark.parametrize(
    ("id_", "choice"), [option for option in OPTIONS if not behaviours()[option[0]].options[option[1]].patch]
)
def test_an_option_without_a_patch_changes_no_schema(id_: str, choice: str) -> None:
    assert schema("portrait-request", {id_: choice}) == schema("portrait-request")


@pytest.mark.parametrize("message", [message for message in REQUESTS if message != "portrait-request"])
@pytest.mark.parametrize(("id_", "choice"), OPTIONS)
def test_an_option_changes_no_other_request_than_a_portrait(id_: str, choice: str, message: str) -> None:
    assert schema(message, {id_: choice}) == schema(message)
    for name, example in examples(message)["bad"].items():
        assert not RequestContract({id_: choice}, message=message).is_valid(example["body"]), name


def test_the_limits_are_those_of_the_defaults() -> None:
    assert (
        int(behaviours()["finetune-rps"].default) == limits()["models"]["facechain-finetune"]["submissions_per_second"]
    )
    lives = {f"{choice}_seconds" for choice in behaviours()["policy-life"].options}
    assert lives <= limits()["upload_policy"].keys()


def test_all_patches_can_be_chosen_together() -> None:
    contract = RequestContract({"n-maximum": "5", "size-512": "refuse", "style-missing": "accept"})
    assert contract.violations(preset(n=5)) == []
    assert [violation.rule for violation in contract.violations(preset(n=6, size="512*512"))] == [
        "portrait.size.enum",
        "portrait.n.range",
    ]


def test_the_largest_n_that_is_allowed_travels_with_the_violation() -> None:
    violation = RequestContract({"n-maximum": "5"}).violations(preset(style="f_idcard_male", n=9))[0]
    assert violation.details["maximum"] == 5


def test_what_is_not_chosen_stays_at_its_default() -> None:
    assert chosen({"help-link": "on"}) == {
        **{id_: behaviour.default for id_, behaviour in behaviours().items()},
        "help-link": "on",
    }


@pytest.mark.parametrize(
    ("choices", "text"),
    [
        ({"n-maximun": "5"}, "unknown behaviour 'n-maximun'; nearest is 'n-maximum'"),
        ({"end-time": "second"}, "unknown choice for end-time 'second'; nearest is 'seconds'"),
        ({"n-maximum": "9"}, "unknown choice for n-maximum '9'; known are 4, 5"),
    ],
)
def test_a_wrong_choice_is_refused_with_the_nearest_right_one(choices: dict[str, str], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        chosen(choices)
