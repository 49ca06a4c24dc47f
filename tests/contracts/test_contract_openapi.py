"""The OpenAPI document is valid as a file and in one piece."""

import json
from importlib.resources import as_file, files
from typing import Any

from openapi_spec_validator import validate

from contracts.catalogue import MESSAGES, errors, examples, openapi


def test_the_file_is_valid_over_the_schema_files() -> None:
    with as_file(files("contracts")) as folder:
        path = folder / "openapi.json"
        validate(json.loads(path.read_text(encoding="utf-8")), base_uri=path.as_uri())


def test_the_bundle_is_valid_and_refers_to_nothing_outside() -> None:
    bundle = openapi()
    validate(bundle)
    text = json.dumps(bundle)
    assert text.count('"$ref"') == text.count('"$ref": "#/components/')
    assert '"$id"' not in text


def test_every_reference_of_the_bundle_leads_somewhere() -> None:
    bundle = openapi()
    for reference in references(bundle):
        target: Any = bundle
        for key in reference.removeprefix("#/").split("/"):
            target = target[key]


def references(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
        return own + [found for item in value.values() for found in references(item)]
    return [found for item in value for found in references(item)] if isinstance(value, list) else []


def test_the_bundled_schemas_judge_like_the_files() -> None:
    from jsonschema import Draft202012Validator

    bundle = openapi()
    for message in MESSAGES:
        name = message.title().replace("-", "")
        validator = Draft202012Validator({**bundle, "$ref": f"#/components/schemas/{name}"})
        for example in examples(message)["good"].values():
            assert validator.is_valid(example)
        for example in examples(message)["bad"].values():
            assert not validator.is_valid(example["body"])


def test_the_bundle_follows_the_chosen_behaviours() -> None:
    request = openapi({"n-maximum": "5"})["components"]["schemas"]["PortraitRequest"]
    assert request["properties"]["parameters"]["properties"]["n"]["maximum"] == 5


def test_the_operations_are_those_of_the_vendor() -> None:
    operations = {
        operation["operationId"]: (method, path)
        for path, methods in openapi()["paths"].items()
        for method, operation in methods.items()
    }
    assert operations == {
        "submit_portrait": ("post", "/api/v1/services/aigc/album/gen_potrait"),
        "query_task": ("get", "/api/v1/tasks/{task_id}"),
        "list_tasks": ("get", "/api/v1/tasks"),
        "cancel_task": ("post", "/api/v1/tasks/{task_id}/cancel"),
    }


def test_every_status_of_an_operation_is_one_that_the_errors_know() -> None:
    known = {str(row.status) for row in errors().values()} | {"200"}
    for methods in openapi()["paths"].values():
        for operation in methods.values():
            assert set(operation["responses"]) <= known
