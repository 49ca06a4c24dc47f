"""The OpenAPI document is valid as a file and in one piece."""

import json
from importlib.resources import as_file, files
from typing import Any

from openapi_spec_validator import validate

from contracts.catalogue import MESSAGES, REQUESTS, errors, examples, limits, openapi, schema


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
        "detect_faces": ("post", "/api/v1/services/vision/facedetection/detect"),
        "create_job": ("post", "/api/v1/fine-tunes"),
        "list_jobs": ("get", "/api/v1/fine-tunes"),
        "get_job": ("get", "/api/v1/fine-tunes/{job_id}"),
        "delete_job": ("delete", "/api/v1/fine-tunes/{job_id}"),
        "cancel_job": ("post", "/api/v1/fine-tunes/{job_id}/cancel"),
        "get_job_logs": ("get", "/api/v1/fine-tunes/{job_id}/logs"),
        "stream_job": ("get", "/api/v1/fine-tunes/{job_id}/stream"),
        "upload_files": ("post", "/api/v1/files"),
        "list_files": ("get", "/api/v1/files"),
        "get_file": ("get", "/api/v1/files/{file_id}"),
        "delete_file": ("delete", "/api/v1/files/{file_id}"),
        "get_upload_policy": ("get", "/api/v1/uploads"),
    }


def test_an_operation_answers_with_its_message() -> None:
    answers = {operation["operationId"]: ok(operation) for operation in operations()}
    assert answers == {
        "submit_portrait": "SubmitAnswer",
        "query_task": "Task",
        "list_tasks": "TaskList",
        "cancel_task": "CancelAnswer",
        "detect_faces": "Detection",
        "create_job": "Job",
        "list_jobs": "JobList",
        "get_job": "Job",
        "delete_job": "JobChanged",
        "cancel_job": "JobChanged",
        "get_job_logs": "JobLogs",
        "stream_job": "text/event-stream",
        "upload_files": "FileUpload",
        "list_files": "FileList",
        "get_file": "File",
        "delete_file": "CancelAnswer",
        "get_upload_policy": "UploadPolicy",
    }


def operations() -> list[dict[str, Any]]:
    return [operation for methods in openapi()["paths"].values() for operation in methods.values()]


def ok(operation: dict[str, Any]) -> str:
    ((kind, content),) = operation["responses"]["200"]["content"].items()
    return str(content["schema"]["$ref"].rpartition("/")[2] if kind == "application/json" else kind)


def test_every_message_has_its_place() -> None:
    named = {reference.rpartition("/")[2] for reference in references(openapi())}
    assert {message.title().replace("-", "") for message in MESSAGES} <= named


def test_a_request_that_is_json_is_one_of_the_requests() -> None:
    bodies = [operation["requestBody"]["content"] for operation in operations() if "requestBody" in operation]
    sent = [content["application/json"]["schema"]["$ref"].rpartition("/")[2] for content in bodies[:3]]
    assert sent == [request.title().replace("-", "") for request in REQUESTS]
    assert [list(content) for content in bodies[3:]] == [["multipart/form-data"]]


def test_only_a_training_that_is_asked_for_by_id_is_answered_with_404() -> None:
    missing = {row["operationId"] for row in operations() if "404" in row["responses"]}
    by_id = {
        row["operationId"]
        for path, methods in openapi()["paths"].items()
        for row in methods.values()
        if "{job_id}" in path
    }
    assert missing == by_id


def test_the_numbers_of_a_query_are_those_of_the_limits() -> None:
    parameters = openapi()["components"]["parameters"]
    size = parameters["PageSize"]["schema"]
    assert {key: size[key] for key in ("default", "minimum", "maximum")} == limits()["page_size"]
    logs = openapi()["paths"]["/api/v1/fine-tunes/{job_id}/logs"]["get"]["parameters"]
    line = next(each["schema"] for each in logs if each.get("name") == "line")
    assert line["maximum"] == limits()["log_lines"]


def test_an_upload_policy_is_for_one_of_the_models() -> None:
    model = next(
        each["schema"]["enum"]
        for each in openapi()["paths"]["/api/v1/uploads"]["get"]["parameters"]
        if each.get("name") == "model"
    )
    assert set(model) == set(limits()["models"])
    assert set(model) == {schema(request)["properties"]["model"]["const"] for request in REQUESTS}


def test_every_status_of_an_operation_is_one_that_the_errors_know() -> None:
    known = {str(row.status) for row in errors().values()} | {"200"}
    for methods in openapi()["paths"].values():
        for operation in methods.values():
            assert set(operation["responses"]) <= known
