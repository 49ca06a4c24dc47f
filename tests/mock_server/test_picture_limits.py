"""Each documented limit of a picture, one pixel, byte, face or degree on each side of it, from request to verdict."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import pytest
from werkzeug.test import TestResponse

from contracts import catalogue
from tests.conftest import GOOD, IMMEDIATE, SUBMIT, Vendor
from tests.uploads import file_id, photo, uploaded

LIMITS: Mapping[str, Mapping[str, Any]] = catalogue.limits()["images"]
HERE = "https://assets.facechain.test/me.jpg"
DETECT, TRAIN = "/api/v1/services/vision/facedetection/detect", "/api/v1/fine-tunes"
FORMATS = ["JPEG", "JPG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "HEIC", "ZIP", ""]


class Probe(NamedTuple):
    """A picture as a URL declares it, and which of ``contracts/pictures.json`` it breaks; None when it is fine."""

    query: str
    problem: str | None


def _formats(formats: list[str]) -> Iterator[Probe]:
    for name in FORMATS:
        yield Probe(f"format={name}", None if name in formats else "format")


def _most(name: str, problem: str) -> Callable[[int], Iterator[Probe]]:
    def probes(most: int) -> Iterator[Probe]:
        yield from (Probe(f"{name}={most - 1}", None), Probe(f"{name}={most}", None))
        yield Probe(f"{name}={most + 1}", problem)

    return probes


def _least(name: str, problem: str) -> Callable[[int], Iterator[Probe]]:
    def probes(least: int) -> Iterator[Probe]:
        yield from (Probe(f"{name}={least + 1}", None), Probe(f"{name}={least}", None))
        yield Probe(f"{name}={least - 1}", problem)

    return probes


PROBES: Mapping[str, Callable[[Any], Iterator[Probe]]] = {
    "formats": _formats,
    "max_bytes": _most("bytes", "bytes"),
    "min_width": _least("width", "resolution"),
    "min_height": _least("height", "resolution"),
    "max_width": _most("width", "resolution"),
    "max_height": _most("height", "resolution"),
    "faces": lambda most: iter((Probe(f"faces={most}", None), Probe(f"faces={most + 1}", "faces"))),
    "min_face_px": _least("face_px", "face-size"),
    "max_angle_degrees": _most("angle", "angle"),
}
"""How each limit of ``contracts/limits.json`` is tried."""

OF_ALL = [Probe("faces=0", "face"), Probe("faces=1", None), Probe("faces=2", "faces"), Probe("width=0", "resolution")]
KNOWN_BY_THE_WAY = {"evidence", "source"}


def _probes(kind: str) -> Iterator[Probe]:
    for name, value in LIMITS[kind].items():
        if name not in KNOWN_BY_THE_WAY:
            yield from PROBES[name](value)
    yield from OF_ALL


ALL = [pytest.param(kind, probe, id=f"{kind} {probe.query}") for kind in LIMITS for probe in _probes(kind)]


def test_every_limit_is_tried_for_every_kind_of_picture() -> None:
    assert set(LIMITS) == {"user_photo", "template", "detection"}
    assert {name for row in LIMITS.values() for name in row} == PROBES.keys() | KNOWN_BY_THE_WAY
    problems = {probe.problem for kind in LIMITS for probe in _probes(kind)}
    assert problems == {None, *catalogue.picture_problems()}


@cache
def _kept(choice: str) -> Vendor:
    name, _, chosen = choice.partition("=")
    return Vendor(behaviour={name: chosen})


def choosing(choice: str) -> Vendor:
    """A fresh vendor that behaves so."""
    return _kept(choice).renewed()


def send(vendor: Vendor, path: str, body: object, *, resolve: bool = True) -> TestResponse:
    """The answer to a submission, whose task or job ends at once."""
    if path != DETECT:
        model = {} if path == SUBMIT else {"model": "facechain-finetune"}
        assert vendor.admin("POST", "plans", {**IMMEDIATE, **model}).status_code == 201
    headers = {
        "X-DashScope-Async": "enable" if path == SUBMIT else None,
        "X-DashScope-OssResourceResolve": "enable" if resolve else None,
    }
    answer = vendor.vendor_call("POST", path, json=body, headers=headers)
    vendor.admin("DELETE", "plans")
    return answer


def portrait(*, template: str = "https://a.example/t.jpg", photos: list[str] | None = None) -> dict[str, Any]:
    photos = ["https://a.example/me.jpg"] if photos is None else photos
    return {**GOOD["train-free"], "input": {"template_url": template, "user_urls": photos}}


def with_likeness(template: str) -> dict[str, Any]:
    return {**GOOD["template-with-lora"], "input": {"template_url": template}}


def detection(*urls: str) -> dict[str, Any]:
    return {"model": "facechain-facedetect", "input": {"images": list(urls)}, "parameters": {}}


def training(*urls: str) -> dict[str, Any]:
    return {"model": "facechain-finetune", "training_file_ids": list(urls)}


WAYS: Mapping[str, tuple[str, str, Callable[[str], dict[str, Any]]]] = {
    "a photo": ("user_photo", SUBMIT, lambda url: portrait(photos=[url])),
    "the last of five photos": (
        "user_photo",
        SUBMIT,
        lambda url: portrait(photos=["https://a.example/me.jpg"] * 4 + [url]),
    ),
    "a template": ("template", SUBMIT, lambda url: portrait(template=url)),
    "a template for a likeness": ("template", SUBMIT, with_likeness),
    "a detection": ("detection", DETECT, detection),
    "a training": ("detection", TRAIN, lambda url: training("https://a.example/me.jpg", url)),
}
"""For each way to show a picture: whose limits hold, and path and body of the submission."""

EVERY_WAY = [
    pytest.param(way, probe, id=f"{way} {probe.query}") for way, (kind, _, _) in WAYS.items() for probe in _probes(kind)
]


def outcome(vendor: Vendor, path: str, answer: TestResponse) -> tuple[str, str]:
    """Status, and the code or the reason, of what was submitted."""
    assert answer.status_code == 200, answer.text
    output = answer.get_json()["output"]
    if path == DETECT:
        (is_face,), (reason,) = output["is_face"], output["failed_reason"]
        return ("SUCCEEDED" if is_face else "FAILED"), reason
    if path == TRAIN:
        told = vendor.vendor_call("GET", f"{TRAIN}/{output['job_id']}").get_json()["output"]
        return told["status"], told.get("code", "")
    told = vendor.output(output["task_id"])
    return told["task_status"], told.get("code", "")


@pytest.mark.parametrize(("way", "probe"), EVERY_WAY)
def test_a_picture_at_a_limit_is_judged_by_it(vendor: Vendor, way: str, probe: Probe) -> None:
    _, path, body = WAYS[way]
    found = outcome(vendor, path, send(vendor, path, body(f"{HERE}?{probe.query}")))
    if probe.problem is None:
        assert found == ("SUCCEEDED", "")
        return
    row = catalogue.picture_problems()[probe.problem]
    assert found == ("FAILED", row.reason if path == DETECT else catalogue.errors()[row.error].code)
    assert f"picture.{row.id}" in catalogue.rules()


@pytest.mark.parametrize("way", [way for way, (_, path, _) in WAYS.items() if path != DETECT])
@pytest.mark.parametrize(
    ("query", "rule"),
    [
        ("format=gif", "picture.format"),
        ("bytes=9000000", "picture.bytes"),
        ("width=9", "picture.resolution"),
        ("faces=0", "picture.face"),
        ("faces=2", "picture.faces"),
    ],
)
def test_at_submit_it_is_refused_in_the_same_words_where_that_is_chosen(way: str, query: str, rule: str) -> None:
    vendor = choosing("picture-timing=submit")
    _, path, body = WAYS[way]
    answer = send(vendor, path, body(f"{HERE}?{query}"))
    row = catalogue.errors()[catalogue.picture_problems()[rule.removeprefix("picture.")].error]
    assert answer.status_code == row.status == 400
    assert (answer.get_json()["code"], answer.get_json()["message"]) == (row.code, row.message)
    assert answer.headers["X-Mock-Reason"].startswith(f"{rule} at ")
    assert vendor.admin("GET", "tasks").get_json() == {"tasks": []}
    assert vendor.admin("GET", "jobs").get_json() == {"jobs": []}


@pytest.mark.parametrize(("kind", "probe"), [each for each in ALL if each.values[0] != "detection"])
def test_strict_bounds_leave_out_the_limit_itself(kind: str, probe: Probe) -> None:
    name, _, number = probe.query.partition("=")
    row = LIMITS[kind]
    bounds = {"bytes": {"max_bytes"}, "width": {"min_width", "max_width"}, "height": {"min_height", "max_height"}}
    is_bound = any(str(row[bound]) == number for bound in bounds.get(name, ()))
    vendor = choosing("photo-bounds=strict")
    body = (
        portrait(photos=[f"{HERE}?{probe.query}"]) if kind == "user_photo" else with_likeness(f"{HERE}?{probe.query}")
    )
    status, _ = outcome(vendor, SUBMIT, send(vendor, SUBMIT, body))
    assert status == ("FAILED" if is_bound or probe.problem else "SUCCEEDED")


def test_detection_refuses_the_whole_call_where_that_is_chosen() -> None:
    vendor = Vendor(behaviour={"detection-limits": "refuse"})
    for query, status in (("width=255", 400), ("format=gif", 400), ("bytes=5242881", 400), ("faces=0", 200)):
        answer = send(vendor, DETECT, detection("https://a.example/me.jpg", f"{HERE}?{query}"))
        assert answer.status_code == status
        assert status == 200 or answer.get_json()["code"] == "InvalidParameter"
        assert status == 200 or " at input.images.1: " in answer.headers["X-Mock-Reason"]


def test_the_first_flaw_of_several_pictures_is_told(vendor: Vendor) -> None:
    photos = [HERE, f"{HERE}?width=9", f"{HERE}?format=gif"]
    body = portrait(template=f"{HERE}?width=1024", photos=photos)
    assert outcome(vendor, SUBMIT, send(vendor, SUBMIT, body)) == ("FAILED", "InvalidImageResolution")


def test_a_preset_style_looks_at_no_picture(vendor: Vendor) -> None:
    body = {**GOOD["preset-style"], "input": {"template_url": f"{HERE}?width=9", "user_urls": [f"{HERE}?faces=0"]}}
    assert outcome(vendor, SUBMIT, send(vendor, SUBMIT, body)) == ("SUCCEEDED", "")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("query", ["widht=300", "width=-1", "width=300&width=301", "angle=steep", "format=%ff", "x"])
def test_a_declaration_of_nonsense_is_refused_at_once(vendor: Vendor, way: str, query: str) -> None:
    _, path, body = WAYS[way]
    answer = send(vendor, path, body(f"{HERE}?{query}"))
    assert answer.status_code == 400
    assert answer.headers["X-Mock-Reason"].startswith("picture.asset at ")


# -- other ways to say what is to be seen -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of real pictures, some of them with a note beside it, and beside the folder one that is not in it."""
    tmp_path = tmp_path_factory.mktemp("around") / "assets"
    (tmp_path / "sub").mkdir(parents=True)
    (tmp_path.parent / "secret.jpg").write_bytes(photo(600, 600))
    pictures = {
        "fine.jpg": photo(600, 600),
        "small.jpg": photo(100, 100),
        "人像.jpg": photo(100, 100),
        "a b.jpg": photo(100, 100),
        "sub/small.png": photo(100, 100, "PNG"),
        "crowd.jpg": photo(600, 600),
        "nonsense.jpg": photo(600, 600),
        "notes.jpg": b"buy milk",
    }
    for name, content in pictures.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "crowd.jpg.json").write_text('{"faces": 3}')
    (tmp_path / "nonsense.jpg.json").write_text('{"face": 3}')
    return tmp_path


@pytest.fixture(scope="module")
def _with_folder(folder: Path) -> Vendor:
    return Vendor(assets=str(folder))


@pytest.fixture
def with_folder(_with_folder: Vendor) -> Vendor:
    """A fresh vendor with the folder of pictures."""
    return _with_folder.renewed()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("fine.jpg", None),
        ("small.jpg", "resolution"),
        (quote("人像.jpg"), "resolution"),
        ("a%20b.jpg", "resolution"),
        ("sub/small.png", "resolution"),
        ("sub%2Fsmall.png", "resolution"),
        ("crowd.jpg", "faces"),
        ("notes.jpg", "format"),
        ("fine.jpg?faces=0", "face"),
        ("nowhere.jpg?width=9", "resolution"),
    ],
)
def test_a_folder_of_pictures_stands_behind_the_host(
    with_folder: Vendor, way: str, path: str, problem: str | None
) -> None:
    _, route, body = WAYS[way]
    url = f"https://assets.facechain.test/{path}"
    found = outcome(with_folder, route, send(with_folder, route, body(url)))
    row = None if problem is None else catalogue.picture_problems()[problem]
    if row is None:
        assert found == ("SUCCEEDED", "")
    else:
        assert found == ("FAILED", row.reason if route == DETECT else catalogue.errors()[row.error].code)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "path",
    ["nowhere.jpg", "", "sub", "sub/", "../secret.jpg", "%2e%2e/secret.jpg", "sub/..%2f..%2fsecret.jpg", "fine.jpg%00"],
)
def test_what_is_not_in_the_folder_cannot_be_had(with_folder: Vendor, way: str, path: str) -> None:
    _, route, body = WAYS[way]
    url = f"https://assets.facechain.test/{path}"
    status, reason = outcome(with_folder, route, send(with_folder, route, body(url)))
    row = catalogue.errors()["media_unreachable"]
    assert (status, reason) == ("FAILED", row.message if route == DETECT else row.code)


@pytest.mark.parametrize("way", WAYS)
def test_nonsense_beside_a_picture_is_told(with_folder: Vendor, folder: Path, way: str) -> None:
    _, route, body = WAYS[way]
    answer = send(with_folder, route, body("https://assets.facechain.test/nonsense.jpg"))
    assert answer.status_code == 400
    assert "nonsense.jpg.json" in answer.headers["X-Mock-Reason"]
    assert "nearest is 'faces'" in answer.headers["X-Mock-Reason"]
    assert str(folder) not in answer.headers["X-Mock-Reason"]


@pytest.mark.parametrize("way", WAYS)
def test_without_a_folder_a_picture_of_the_host_is_fine(vendor: Vendor, way: str) -> None:
    _, path, body = WAYS[way]
    assert outcome(vendor, path, send(vendor, path, body(HERE))) == ("SUCCEEDED", "")


ELSEWHERE = "https://cdn.example/me.jpg"


@pytest.mark.parametrize("way", WAYS)
def test_a_test_may_declare_any_url(vendor: Vendor, way: str) -> None:
    _, path, body = WAYS[way]
    declared = vendor.admin("POST", "assets", {"url": ELSEWHERE, "width": 200, "height": 900, "faces": 1})
    assert declared.status_code == 201
    row = catalogue.picture_problems()["resolution"]
    found = outcome(vendor, path, send(vendor, path, body(ELSEWHERE)))
    assert found == ("FAILED", row.reason if path == DETECT else catalogue.errors()[row.error].code)
    other = vendor.of_session("other")
    assert outcome(other, path, send(other, path, body(ELSEWHERE))) == ("SUCCEEDED", "")
    vendor.later(1_000)
    vendor.admin("DELETE", "assets")
    assert outcome(vendor, path, send(vendor, path, body(ELSEWHERE))) == ("SUCCEEDED", "")


def test_what_a_test_declares_wins_over_the_query_and_the_folder(with_folder: Vendor) -> None:
    vendor = with_folder
    for url in ("https://assets.facechain.test/fine.jpg", f"{HERE}?width=300", "oss://anywhere"):
        vendor.admin("POST", "assets", {"url": url, "faces": 2})
        answer = send(vendor, DETECT, detection(url))
        assert outcome(vendor, DETECT, answer) == ("FAILED", "more than one face detected")


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"url": 5},
        {"url": "me.jpg"},
        {"url": "https://a.example/" + "x" * 4_096},
        {"url": ELSEWHERE, "widht": 5},
        {"url": ELSEWHERE, "width": -1},
        {"url": ELSEWHERE, "format": 5},
        {"url": ELSEWHERE, "faces": True},
    ],
    ids=lambda given: str(given)[:40],
)
def test_a_declaration_by_a_test_is_checked(vendor: Vendor, given: dict[str, Any]) -> None:
    answer = vendor.admin("POST", "assets", given)
    assert answer.status_code == 400
    assert answer.get_json().keys() == {"error"}
    assert vendor.admin("GET", "assets").get_json() == {"assets": []}


@pytest.mark.parametrize("way", WAYS)
def test_unknown_pictures_are_refused_where_that_is_chosen(way: str) -> None:
    _, path, body = WAYS[way]
    vendor = Vendor(unknown_images="refuse", behaviour={"picture-timing": "submit"})
    for url in ("https://a.example/me.jpg", "https://facechain.test/me.jpg", ELSEWHERE):
        vendor.admin("POST", "assets", {"url": "https://a.example/t.jpg"})
        answer = send(vendor, path, body(url))
        if path == DETECT:
            row = catalogue.errors()["invalid_url"]
            assert answer.get_json()["output"] == {"is_face": [False], "failed_reason": [row.message]}
        else:
            assert (answer.status_code, answer.get_json()["code"]) == (400, "InvalidURL")
            assert answer.headers["X-Mock-Reason"].startswith("picture.known at ")
            assert "--unknown-images refuse is chosen" in answer.headers["X-Mock-Reason"]
        vendor.later(1_000)


def test_known_pictures_are_taken_where_unknown_ones_are_refused() -> None:
    vendor = Vendor(unknown_images="refuse")
    vendor.admin("POST", "assets", {"url": ELSEWHERE})
    link = uploaded(vendor, model="facechain-facedetect")
    urls = [ELSEWHERE, HERE, f"{HERE}?width=1024", "https://happy.facechain.test/me.jpg", link]
    output = send(vendor, DETECT, detection(*urls)).get_json()["output"]
    assert output["is_face"] == [True] * len(urls)


def test_a_file_of_the_account_is_known(vendor: Vendor) -> None:
    good, bad = file_id(vendor, photo(600, 600)), file_id(vendor, photo(100, 100))
    assert outcome(vendor, TRAIN, send(vendor, TRAIN, training(good))) == ("SUCCEEDED", "")
    vendor.later(1_000)
    answer = send(vendor, TRAIN, training(good, bad))
    assert outcome(vendor, TRAIN, answer) == ("FAILED", "InvalidImageResolution")
    vendor.later(1_000)
    answer = vendor.vendor_call("POST", TRAIN, json=training(good), key="sk-other")
    assert (answer.status_code, answer.get_json()["code"]) == (400, "BadRequest.ResourceNotExist")


# -- URLs that nobody could ask for -----------------------------------------------------------------------------------

UNESCAPED = [
    "https://a.example/人.jpg",
    "https://a.example/me.jpg?name=人",
    f"{HERE}?note=ü",
    "https://a.example/\u200b",
]


@pytest.mark.parametrize("url", UNESCAPED)
@pytest.mark.parametrize("way", WAYS)
def test_a_url_that_is_not_percent_encoded_is_refused(vendor: Vendor, way: str, url: str) -> None:
    _, path, body = WAYS[way]
    answer = send(vendor, path, body(url))
    status, code = (500, "InternalError.Algo") if path == DETECT else (400, "InvalidURL")
    assert (answer.status_code, answer.get_json()["code"]) == (status, code)
    assert ".ascii at " in answer.headers["X-Mock-Reason"]
    answer.headers["X-Mock-Reason"].encode("ascii")
    assert vendor.admin("GET", "tasks").get_json() == {"tasks": []}


@pytest.mark.parametrize("way", WAYS)
def test_the_same_url_percent_encoded_is_taken(vendor: Vendor, way: str) -> None:
    _, path, body = WAYS[way]
    url = quote("https://a.example/人.jpg", safe=":/")
    assert outcome(vendor, path, send(vendor, path, body(url))) == ("SUCCEEDED", "")


# -- scenarios --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", WAYS)
def test_where_no_face_is_to_be_seen_every_picture_is_one_without(vendor: Vendor, way: str) -> None:
    vendor.admin("PUT", "scenario", {"scenario": "no-face"})
    _, path, body = WAYS[way]
    row = catalogue.picture_problems()["face"]
    answer = vendor.vendor_call(
        "POST", path, json=body(HERE), headers={"X-DashScope-Async": "enable" if path == SUBMIT else None}
    )
    vendor.later(3_600_000)
    assert outcome(vendor, path, answer) == (
        "FAILED",
        row.reason if path == DETECT else catalogue.errors()[row.error].code,
    )
