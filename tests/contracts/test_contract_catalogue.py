"""The Python face of the contract: light, read-only where it is shared, and helpful when misspelt."""

import subprocess
import sys
from importlib.resources import files

import pytest

from contracts import catalogue


def test_importing_it_loads_no_validator() -> None:
    code = "import sys, contracts.catalogue, contracts.validation; print('jsonschema' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "False"


def test_errors_rules_and_behaviours_cannot_be_changed() -> None:
    for table in (catalogue.errors(), catalogue.rules(), catalogue.behaviours(), catalogue.picture_problems()):
        with pytest.raises(TypeError):
            table["new"] = None  # type: ignore[index]


def test_a_schema_is_the_callers_own() -> None:
    catalogue.schema("task")["title"] = "changed"
    assert catalogue.schema("task")["title"] == "Task"


@pytest.mark.parametrize("reads", [catalogue.schema, catalogue.examples])
def test_a_misspelt_message_is_answered_with_the_nearest(reads: object) -> None:
    with pytest.raises(ValueError, match="unknown message 'tasks'; nearest is 'task'"):
        reads("tasks")  # type: ignore[operator]


def test_the_nearest_word_is_found_or_nothing() -> None:
    assert catalogue.nearest("f_buisness_male", ["f_idcard_male", "f_business_male"]) == "f_business_male"
    assert catalogue.nearest("zzz", ["f_idcard_male"]) is None


def test_texts_of_the_vendor_are_exact() -> None:
    rows = catalogue.errors()
    assert rows["url_error"].message == "url error, please check url！"
    assert rows["n_out_of_range"].message.format(maximum=4) == "Range of n should be [1, 4]"
    assert rows["field_required"].message.format(field="input.template_url") == "Field required: input.template_url"
    assert rows["arrearage"].status == 400
    assert rows["resource_access_denied"].status == 403
    assert rows["files_too_many"].message.format(used=7, most=8) == "Out of number, <7> of <8> files has been uploaded."
    assert rows["purpose_invalid"].param == "purpose"


def test_the_messages_are_the_schemas_and_the_requests_come_first() -> None:
    folder = files("contracts").joinpath("schemas")
    assert sorted(catalogue.MESSAGES) == sorted(file.name.removesuffix(".schema.json") for file in folder.iterdir())
    assert catalogue.MESSAGES[:3] == catalogue.REQUESTS
    assert len(set(catalogue.MESSAGES)) == len(catalogue.MESSAGES) == 18


def test_only_a_wrong_purpose_is_answered_in_the_shape_of_its_own() -> None:
    assert [reason for reason, row in catalogue.errors().items() if row.param is not None] == ["purpose_invalid"]


def test_a_file_is_looked_at_before_what_it_shows() -> None:
    order = ["format", "bytes", "resolution", "face", "faces", "face-size", "angle"]
    assert list(catalogue.picture_problems()) == order


@pytest.mark.parametrize("problem", catalogue.picture_problems().values(), ids=lambda problem: problem.id)
def test_what_is_wrong_with_a_picture_has_a_rule_and_an_error(problem: catalogue.PictureProblem) -> None:
    assert catalogue.rules()[f"picture.{problem.id}"].error == problem.error
    assert catalogue.errors()[problem.error].status == 400
    assert problem.source.startswith("inferred: ") == (problem.evidence == "assumed")
    assert problem.reason.isascii()
    assert problem.reason


def test_one_reason_of_a_detection_is_published_and_the_others_are_ours() -> None:
    documented = [problem.reason for problem in catalogue.picture_problems().values() if problem.evidence != "assumed"]
    assert documented == ["no face detected"]


def test_a_scenario_may_be_about_a_training_the_pictures_or_the_storage() -> None:
    assert catalogue.scenario("no-face").pictures == {"faces": 0}
    assert catalogue.scenario("slow-training").training == {"progression": "time", "running_ms": 600_000}
    assert catalogue.scenario("small-storage").quota == {"files": 10, "bytes": 1024}
    assert catalogue.scenario("happy").training is None


def test_a_scenario_promises_something_and_says_how_well_it_is_known() -> None:
    for name, row in catalogue.scenarios().items():
        assert row.does.endswith("."), name
        assert row.story.endswith("."), name
        assert row.source, name
        assert row.evidence in {"documented", "observed", "assumed"}, name
        does = (row.plan, row.training, row.pictures, row.quota, row.refuse, row.faults or None)
        assert name == "happy" or [part for part in does if part is not None], name


def test_a_training_takes_longer_than_a_portrait_in_every_profile() -> None:
    for profile in catalogue.profiles().values():
        assert profile.training["progression"] == "time"
        assert profile.training["running_ms"] > profile.plan["running_ms"]


def test_advice_comes_the_gravest_first() -> None:
    levels = [row.level for row in catalogue.advice().values()]
    assert levels == sorted(levels, key=["must", "should", "may"].index)
