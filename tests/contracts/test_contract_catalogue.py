"""The Python face of the contract: light, read-only where it is shared, and helpful when misspelt."""

import subprocess
import sys

import pytest

from contracts import catalogue


def test_importing_it_loads_no_validator() -> None:
    code = "import sys, contracts.catalogue, contracts.validation; print('jsonschema' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "False"


def test_errors_rules_and_behaviours_cannot_be_changed() -> None:
    for table in (catalogue.errors(), catalogue.rules(), catalogue.behaviours()):
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
    assert rows["resource_access_denied"].status is None
