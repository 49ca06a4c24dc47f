"""The files resource: what is kept of a form, what is refused inside a 200 and what by it, lists, links, deletion."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import pytest

from contracts import catalogue
from mock_server.core.files import MOST_DESCRIPTION, MOST_NAME
from mock_server.forms import MOST_HEAD, MOST_PARTS
from mock_server.stores import memory
from tests.conftest import PRESET, Vendor
from tests.uploads import BOUNDARY, FILES, FORM, file_id, form, part, photo, send_files, send_form

DAY_MS = 24 * 3_600_000
MOST_BYTES = int(catalogue.limits()["upload_body_bytes"])
MOST_FILES = int(catalogue.limits()["files"]["files"])
SMALL = {"X-Mock-Scenario": "small-storage"}


def data(answer: Any) -> Any:
    assert answer.status_code == 200, answer.text
    return answer.get_json()["data"]


def shown(vendor: Vendor, id_: str, **more: Any) -> Any:
    """What is told of one file."""
    return data(vendor.vendor_call("GET", f"{FILES}/{id_}", **more))


# -- uploading --------------------------------------------------------------------------------------------------------


def test_a_file_is_kept_and_told_of_with_all_that_the_vendor_tells(vendor: Vendor) -> None:
    content = photo()
    id_ = file_id(vendor, content)
    told = shown(vendor, id_)
    url = told.pop("url")
    user, key = told.pop("user_id"), told.pop("api_key_id")
    assert told == {
        "id": 1_000_002,
        "name": "0.jpg",
        "description": "",
        "size": len(content),
        "md5": base64.b64encode(hashlib.md5(content, usedforsecurity=False).digest()).decode(),
        "region": "cn-beijing",
        "file_id": id_,
        "gmt_create": "2026-01-15 10:30:00",
    }
    assert url.startswith("http://localhost/dashscope-file-mgr/api-fs/")
    assert user.isdigit()
    assert key.isdigit()


def test_the_md5_is_the_one_that_everybody_else_computes(vendor: Vendor) -> None:
    assert shown(vendor, file_id(vendor, b""))["md5"] == "1B2M2Y8AsgTpgAmY7PhCfg=="
    assert shown(vendor, file_id(vendor, b"abc"))["md5"] == "kAFQmDzST7DWlj99KOF/cg=="


def test_several_files_are_kept_each_by_itself_in_their_order(vendor: Vendor) -> None:
    told = data(send_files(vendor, b"one", b"two", b"three"))
    assert told["failed_uploads"] == []
    assert [file["name"] for file in told["uploaded_files"]] == ["0.jpg", "1.jpg", "2.jpg"]
    files = [shown(vendor, file["file_id"]) for file in told["uploaded_files"]]
    assert [(file["size"], file["id"]) for file in files] == [(3, 1_000_002), (3, 1_000_003), (5, 1_000_004)]
    assert len({file["file_id"] for file in files}) == 3


def test_the_same_file_may_be_kept_twice(vendor: Vendor) -> None:
    assert file_id(vendor) != file_id(vendor)


def test_descriptions_belong_to_the_files_in_their_order(vendor: Vendor) -> None:
    parts = [("descriptions", None, text.encode()) for text in ("first", "第二")]
    files = [("files", f"{n}.jpg", b"x") for n in range(3)]
    kept = data(send_form(vendor, form([*files, *parts])))["uploaded_files"]
    assert [shown(vendor, file["file_id"])["description"] for file in kept] == ["first", "第二", ""]


def test_a_description_is_cut_where_it_would_fill_the_memory(vendor: Vendor) -> None:
    parts = [("files", "a.jpg", b"x"), ("descriptions", None, b"d" * 1_000_000)]
    (kept,) = data(send_form(vendor, form(parts)))["uploaded_files"]
    assert shown(vendor, kept["file_id"])["description"] == "d" * MOST_DESCRIPTION


@pytest.mark.parametrize("purpose", ["fine-tune", "file-extract", "batch"])
def test_a_purpose_that_the_vendor_knows_is_kept(vendor: Vendor, purpose: str) -> None:
    parts = [("purpose", None, purpose.encode()), ("files", "a.jpg", b"x")]
    (kept,) = data(send_form(vendor, form(parts)))["uploaded_files"]
    assert shown(vendor, kept["file_id"])["purpose"] == purpose


@pytest.mark.parametrize("purpose", ["", "assistants", "Fine-Tune", "fine-tune ", "\r\nX-Evil: 1", "é", "x" * 100_000])
def test_another_purpose_is_refused_in_the_shape_of_another_api(vendor: Vendor, purpose: str) -> None:
    answer = send_form(vendor, form([("files", "a.jpg", b"x"), ("purpose", None, purpose.encode())]))
    assert answer.status_code == 400
    assert answer.get_json() == {
        "error": {
            "message": "'purpose' must be 'file-extract'",
            "type": "invalid_request_error",
            "param": "purpose",
            "code": None,
        }
    }
    assert answer.headers["X-Mock-Reason"].startswith("files.purpose at form purpose: is ")
    assert len(answer.headers["X-Mock-Reason"]) < 300
    assert data(vendor.vendor_call("GET", FILES))["total"] == 0


@pytest.mark.parametrize(
    ("filename", "name"),
    [
        ("人像.jpg", "人像.jpg"),
        ('a"b".jpg', 'a"b".jpg'),
        ("it's.jpg", "it's.jpg"),
        ("a b;c=d.jpg", "a b;c=d.jpg"),
        ("a%2Fb?c#d&e.jpg", "a%2Fb?c#d&e.jpg"),
        ("photos/me.jpg", "me.jpg"),
        ("photos\\me.jpg", "me.jpg"),
        ("/etc/passwd", "passwd"),
        ("../../me.jpg", "me.jpg"),
        ("..", "file"),
        (".", "file"),
        ("a/..", "file"),
        ("photos/", "file"),
        (" ", " "),
        ("😀" * 300, "😀" * MOST_NAME),
    ],
)
def test_a_file_keeps_its_name_without_folders_and_its_link_works(vendor: Vendor, filename: str, name: str) -> None:
    (kept,) = data(send_form(vendor, form([("files", filename, b"me")])))["uploaded_files"]
    assert kept["name"] == name
    told = shown(vendor, kept["file_id"])
    assert told["name"] == name
    assert told["url"].isascii()
    answer = vendor.fetch(told["url"])
    assert (answer.status_code, answer.data) == (200, b"me")


def test_a_name_may_be_written_as_browsers_and_requests_do(vendor: Vendor) -> None:
    star = part("form-data; name=\"files\"; filename*=utf-8''%E4%BA%BA%E5%83%8F.jpg", b"x")
    bare = part("form-data; name=files; filename=me.jpg", b"x")
    upper = part('FORM-DATA; NAME="files"; FILENAME="me2.jpg"', b"x")
    kept = data(send_form(vendor, star + bare + upper + f"--{BOUNDARY}--".encode()))["uploaded_files"]
    assert [file["name"] for file in kept] == ["人像.jpg", "me.jpg", "me2.jpg"]


@pytest.mark.parametrize("content_type", [f'multipart/form-data; boundary="{BOUNDARY}"', FORM.replace("m", "M", 1)])
def test_a_content_type_may_be_written_otherwise(vendor: Vendor, content_type: str) -> None:
    assert data(send_form(vendor, form([("files", "a", b"x")]), content_type=content_type))["failed_uploads"] == []


@pytest.mark.parametrize("content", [b"", b"\r\n", b"--", b"\r\n--", f"x--{BOUNDARY}".encode(), bytes(range(256)) * 9])
def test_any_content_is_kept_byte_by_byte(vendor: Vendor, content: bytes) -> None:
    told = shown(vendor, file_id(vendor, content))
    assert told["size"] == len(content)
    assert vendor.fetch(told["url"]).data == content


# -- what is no form of files -----------------------------------------------------------------------------------------

A_FILE = part('form-data; name="files"; filename="a.jpg"', b"x")
END = f"--{BOUNDARY}--\r\n".encode()


@pytest.mark.parametrize(
    ("body", "content_type", "problem"),
    [
        pytest.param(b"{}", "application/json", "Content-Type is 'application/json'", id="JSON"),
        pytest.param(b"\r\n", FORM, "does not stand in the body", id="nothing"),
        pytest.param(b"files=a", "application/x-www-form-urlencoded", "Content-Type is", id="another form"),
        pytest.param(A_FILE + END, "", "Content-Type is ''", id="no type"),
        pytest.param(A_FILE + END, "multipart/form-data", "with a boundary", id="no boundary"),
        pytest.param(A_FILE + END, "multipart/form-data; boundary=", "with a boundary", id="empty boundary"),
        pytest.param(A_FILE + END, "multipart/mixed; boundary=" + BOUNDARY, "Content-Type is", id="another multipart"),
        pytest.param(A_FILE + END, "multipart/form-data; boundary=other", "does not stand in", id="wrong boundary"),
        pytest.param(A_FILE + END, "multipart/form-data; boundary=ü", "", id="boundary of another alphabet"),
        pytest.param(A_FILE + END, FORM.replace("=", "=" + "x" * 5_000), "", id="long boundary"),
        pytest.param(END, FORM, "has no file", id="no part"),
        pytest.param(A_FILE, FORM, "it breaks off", id="no end"),
        pytest.param(A_FILE[:-8], FORM, "it breaks off", id="broken off"),
        pytest.param(A_FILE[:40] + b"\r\n" + END, FORM, "does not begin with headers", id="broken off in a head"),
        pytest.param((A_FILE + END).replace(b"\r\n", b"\n"), FORM, "", id="bare line feeds"),
        pytest.param(part("form-data", b"x") + END, FORM, "has no name", id="no name"),
        pytest.param(part('form-data; filename="a"', b"x") + END, FORM, "has no name", id="only a filename"),
        pytest.param(A_FILE.replace(b"Disposition", b"Type") + END, FORM, "has no name", id="no disposition"),
        pytest.param(part('form-data; name="files"', b"x") + END, FORM, "has no file", id="a field"),
        pytest.param(part('form-data; name="file"; filename="a"', b"x") + END, FORM, "has no file", id="one letter"),
        pytest.param(
            part(f'form-data; name="files"; filename="{"a" * MOST_HEAD}"', b"x") + END, FORM, "4096", id="long head"
        ),
        pytest.param(A_FILE.replace(b"form-data", b"\xff\xfe") + END, FORM, None, id="bytes of no text"),
    ],
)
def test_what_is_no_form_with_files_is_refused(
    vendor: Vendor, body: bytes, content_type: str, problem: str | None
) -> None:
    answer = send_form(vendor, body, content_type=content_type)
    if problem is None:
        assert answer.status_code == 200
        return
    assert answer.status_code == 400
    assert answer.get_json()["code"] == "InvalidParameter"
    assert answer.headers["X-Mock-Reason"].startswith("files.form at ")
    assert problem in answer.headers["X-Mock-Reason"]
    assert data(vendor.vendor_call("GET", FILES))["total"] == 0


def test_a_form_of_a_thousand_parts_is_read_and_one_more_is_not(vendor: Vendor) -> None:
    parts = [("files", "a.jpg", b"x")] + [("descriptions", None, b"d")] * (MOST_PARTS - 1)
    assert len(data(send_form(vendor, form(parts)))["uploaded_files"]) == 1
    answer = send_form(vendor, form([*parts, ("descriptions", None, b"d")]))
    assert answer.status_code == 400
    assert "it has more than 1000 parts" in answer.headers["X-Mock-Reason"]


def test_a_body_of_16_mebibytes_is_read_and_one_byte_more_is_not(vendor: Vendor) -> None:
    room = MOST_BYTES - len(form([("files", "a.jpg", b"")]))
    assert data(send_form(vendor, form([("files", "a.jpg", b"x" * room)])))["failed_uploads"] == []
    answer = send_form(vendor, form([("files", "a.jpg", b"x" * (room + 1))]))
    assert answer.status_code == 400
    assert answer.get_json()["code"] == "BadRequest.TooLarge"
    assert answer.headers["X-Mock-Reason"].startswith(f"upload.size at body: is larger than {MOST_BYTES} bytes")
    assert data(vendor.vendor_call("GET", FILES))["total"] == 1


def test_a_form_lifts_the_limit_of_no_other_route(vendor: Vendor) -> None:
    body = form([("files", "a.jpg", b"x" * 2_000_000)])
    answer = vendor.submit(data=body, content_type=FORM)
    assert answer.status_code == 400
    assert answer.headers["X-Mock-Reason"].startswith("body.size at body: is larger than 1048576 bytes")


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_a_wrong_method_is_refused_as_the_vendor_does(vendor: Vendor, method: str) -> None:
    answer = vendor.vendor_call(method, FILES)
    assert answer.status_code == 400
    assert answer.get_json()["message"] == f"Request method '{method}' is not supported."


def test_a_file_needs_a_key(vendor: Vendor) -> None:
    assert send_files(vendor, b"x", headers={"Authorization": None}).status_code == 401
    for path in (FILES, f"{FILES}/{file_id(vendor)}"):
        assert vendor.call("GET", path).status_code == 401


# -- failures inside a 200 --------------------------------------------------------------------------------------------


def test_after_a_hundred_files_one_more_fails_inside_the_200(vendor: Vendor) -> None:
    told = data(send_files(vendor, *[b"x"] * (MOST_FILES + 1)))
    assert len(told["uploaded_files"]) == MOST_FILES
    too_many = {"code": "BadRequest.TooMany", "message": "Out of number, <100> of <100> files has been uploaded."}
    assert told["failed_uploads"] == [{"name": "100.jpg", **too_many}]
    assert data(send_files(vendor, b"x"))["failed_uploads"] == [{"name": "0.jpg", **too_many}]
    assert data(send_files(vendor, b"x", key="sk-other"))["failed_uploads"] == []
    vendor.vendor_call("DELETE", f"{FILES}/{told['uploaded_files'][0]['file_id']}")
    assert data(send_files(vendor, b"x"))["failed_uploads"] == []
    (entry,) = vendor.admin("GET", "requests?rule=files.number").get_json()["requests"][:1]
    assert entry["explanation"] == "files.number at form files: 100 files are kept already; delete some"


@pytest.mark.parametrize(
    ("carrier", "session"),
    [({"headers": SMALL}, None), ({"key": "sk-mock-small-storage"}, None), ({}, "small-storage")],
)
def test_a_small_storage_keeps_ten_files(vendor: Vendor, carrier: dict[str, Any], session: str | None) -> None:
    vendor.admin("PUT", "scenario", {"scenario": session})
    told = data(send_files(vendor, *[b"x"] * 11, **carrier))
    assert len(told["uploaded_files"]) == 10
    (failed,) = told["failed_uploads"]
    assert failed["message"] == "Out of number, <10> of <10> files has been uploaded."


@pytest.mark.parametrize(
    ("sizes", "failed"),
    [
        ([1_024], []),
        ([1_025], [(0, 0)]),
        ([1_023, 1], []),
        ([1_023, 2], [(1, 1_023)]),
        ([1_024, 0], []),
        ([1_024, 1], [(1, 1_024)]),
        ([600, 600, 424], [(1, 600)]),
        ([2_000, 1_024, 1], [(0, 0), (2, 1_024)]),
    ],
)
def test_a_small_storage_keeps_1024_bytes(vendor: Vendor, sizes: list[int], failed: list[tuple[int, int]]) -> None:
    told = data(send_files(vendor, *(b"x" * size for size in sizes), headers=SMALL))
    assert told["failed_uploads"] == [
        {
            "name": f"{index}.jpg",
            "code": "BadRequest.TooLarge",
            "message": f"Out of space, <{used}> B of <1024> B storage space has been used.",
        }
        for index, used in failed
    ]
    assert len(told["uploaded_files"]) == len(sizes) - len(failed)


def test_a_scenario_that_nobody_knows_is_refused_and_not_an_accident(vendor: Vendor) -> None:
    answer = send_files(vendor, b"x", headers={"X-Mock-Scenario": "small-storag"})
    assert answer.status_code == 400
    assert "mock.scenario at header X-Mock-Scenario" in answer.headers["X-Mock-Reason"]
    assert "small-storage" in answer.headers["X-Mock-Reason"]


def test_a_fault_strikes_an_upload(vendor: Vendor) -> None:
    vendor.admin("POST", "faults", {"stage": "submit", "kind": "status", "error": "rate_quota", "times": 1})
    assert send_files(vendor, b"x").status_code == 429
    assert data(send_files(vendor, b"x"))["failed_uploads"] == []


# -- lists ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "page_no", "page_size", "names"),
    [
        ("", 1, 10, [11, 10, 9, 8, 7, 6, 5, 4, 3, 2]),
        ("?page_no=2", 2, 10, [1, 0]),
        ("?page_no=3", 3, 10, []),
        ("?page_size=5", 1, 5, [11, 10, 9, 8, 7]),
        ("?page_no=3&page_size=5", 3, 5, [1, 0]),
        ("?page_size=100", 1, 100, [11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0]),
        ("?page_no=1000000&page_size=100", 1_000_000, 100, []),
    ],
)
def test_files_are_listed_by_pages_the_newest_first(
    vendor: Vendor, query: str, page_no: int, page_size: int, names: list[int]
) -> None:
    send_files(vendor, *[b"x"] * 12)
    told = data(vendor.vendor_call("GET", FILES + query))
    assert [file["name"] for file in told.pop("files")] == [f"{name}.jpg" for name in names]
    assert told == {"total": 12, "page_no": page_no, "page_size": page_size}


@pytest.mark.parametrize(
    "query",
    ["page_no=0", "page_no=-1", "page_no=x", "page_no=1000001", "page_size=0", "page_size=101", "page_size=1.5"],
)
def test_a_page_that_there_cannot_be_is_refused(vendor: Vendor, query: str) -> None:
    answer = vendor.vendor_call("GET", f"{FILES}?{query}")
    assert answer.status_code == 400
    assert answer.headers["X-Mock-Reason"].startswith(f"list.filters at query {query.partition('=')[0]}: ")


def test_an_account_without_files_has_an_empty_list(vendor: Vendor) -> None:
    assert data(vendor.vendor_call("GET", FILES)) == {"total": 0, "files": [], "page_size": 10, "page_no": 1}


def test_a_list_tells_of_a_file_what_a_look_at_it_does(vendor: Vendor) -> None:
    id_ = file_id(vendor)
    (listed,) = data(vendor.vendor_call("GET", FILES))["files"]
    assert listed == shown(vendor, id_)


# -- whose files ------------------------------------------------------------------------------------------------------


def test_another_account_has_no_such_file_and_may_not_delete_it(vendor: Vendor) -> None:
    id_ = file_id(vendor)
    for method in ("GET", "DELETE"):
        answer = vendor.vendor_call(method, f"{FILES}/{id_}", key="sk-other")
        assert answer.status_code == 400
        assert (answer.get_json()["code"], answer.get_json()["message"]) == ("InvalidParameter", "File not found.")
        assert answer.headers["X-Mock-Reason"].startswith("files.known at path file_id: this account has no such file")
        assert id_ not in answer.headers["X-Mock-Reason"]
    assert data(vendor.vendor_call("GET", FILES, key="sk-other"))["total"] == 0
    assert shown(vendor, id_)["file_id"] == id_


def test_another_key_of_the_same_account_sees_the_file() -> None:
    vendor = Vendor(api_key={"sk-a": "acme", "sk-b": "acme"})
    id_ = file_id(vendor, key="sk-a")
    assert shown(vendor, id_, key="sk-b")["file_id"] == id_


def test_another_session_has_no_such_file(vendor: Vendor) -> None:
    id_ = file_id(vendor.of_session("one"))
    assert vendor.of_session("one").vendor_call("GET", f"{FILES}/{id_}").status_code == 200
    assert vendor.of_session("two").vendor_call("GET", f"{FILES}/{id_}").status_code == 400


def test_a_slip_of_the_pen_is_told_with_the_id_that_is_nearest(vendor: Vendor) -> None:
    id_ = file_id(vendor)
    answer = vendor.vendor_call("GET", f"{FILES}/{id_[:-1]}")
    assert answer.status_code == 400
    assert id_ in answer.headers["X-Mock-Reason"]


def test_a_file_that_was_deleted_is_gone(vendor: Vendor) -> None:
    id_ = file_id(vendor)
    url = shown(vendor, id_)["url"]
    answer = vendor.vendor_call("DELETE", f"{FILES}/{id_}")
    assert answer.status_code == 200
    assert answer.get_json().keys() == {"request_id"}
    assert vendor.vendor_call("GET", f"{FILES}/{id_}").status_code == 400
    assert vendor.vendor_call("DELETE", f"{FILES}/{id_}").status_code == 400
    assert data(vendor.vendor_call("GET", FILES))["total"] == 0
    assert vendor.fetch(url).status_code == 404


# -- links ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("wait_ms", "status"), [(0, 200), (DAY_MS - 1, 200), (DAY_MS, 403), (10 * DAY_MS, 403)])
def test_a_link_to_a_file_works_for_24_hours_from_the_call_that_gave_it(
    vendor: Vendor, wait_ms: int, status: int
) -> None:
    id_ = file_id(vendor, b"me")
    vendor.later(5 * DAY_MS)
    url = shown(vendor, id_)["url"]
    vendor.later(wait_ms)
    answer = vendor.fetch(url)
    assert answer.status_code == status
    assert answer.headers["content-type"] == ("application/octet-stream" if status == 200 else "application/xml")
    assert ("<Message>Request has expired.</Message>" in answer.text) == (status == 403)
    assert vendor.fetch(shown(vendor, id_)["url"]).data == b"me", "a new one works again"


def test_a_link_to_a_file_is_signed_and_carries_a_token_as_the_vendors_does(vendor: Vendor) -> None:
    url = shown(vendor, file_id(vendor))["url"]
    names = [pair.partition("=")[0] for pair in url.partition("?")[2].split("&")]
    assert names == ["Expires", "OSSAccessKeyId", "Signature", "security-token"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Expires=1", "Expires=2"),
        ("Signature=", "Signature=A"),
        ("0.jpg", "1.jpg"),
        ("api-fs/", "api-fs/x"),
        ("-4", "-5"),
    ],
)
def test_a_link_to_a_file_that_was_changed_is_refused(vendor: Vendor, old: str, new: str) -> None:
    url = shown(vendor, file_id(vendor))["url"]
    assert old in url
    answer = vendor.fetch(url.replace(old, new))
    assert answer.status_code == 403
    assert "<Code>SignatureDoesNotMatch</Code>" in answer.text
    assert "<HostId>dashscope-file-mgr.oss-cn-beijing.aliyuncs.com</HostId>" in answer.text


def test_a_link_to_a_file_without_its_signature_is_refused(vendor: Vendor) -> None:
    answer = vendor.fetch(shown(vendor, file_id(vendor))["url"].partition("?")[0])
    assert answer.status_code == 403
    assert "<Code>AccessDenied</Code>" in answer.text


def test_a_link_to_a_file_of_a_session_carries_it(vendor: Vendor) -> None:
    one = vendor.of_session("one")
    assert vendor.fetch(shown(one, file_id(one, b"mine"))["url"]).data == b"mine"


def test_a_head_asks_for_a_file_without_it(vendor: Vendor) -> None:
    answer = vendor.fetch(shown(vendor, file_id(vendor, b"12345"))["url"], method="HEAD")
    assert (answer.status_code, answer.data, answer.headers["content-length"]) == (200, b"", "5")


def test_contents_beyond_the_bound_make_room_and_their_links_say_so(
    vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "MOST_CONTENT_BYTES", 16)
    monkeypatch.setattr(memory, "EACH_CONTENT_BYTES", 0)
    first, second = file_id(vendor, b"12345678"), file_id(vendor, b"abcdefgh")
    urls = [shown(vendor, id_)["url"] for id_ in (first, second)]
    assert [vendor.fetch(url).status_code for url in urls] == [200, 200]
    third = file_id(vendor, b"x", key="sk-other")
    answer = vendor.fetch(urls[0])
    assert answer.status_code == 404
    assert "<Code>NoSuchKey</Code>" in answer.text
    assert answer.headers["X-Mock-Reason"].startswith("link.object: ")
    assert "its content had to make room for later ones" in answer.headers["X-Mock-Reason"]
    assert shown(vendor, first)["size"] == 8, "what is known of it stays"
    assert vendor.fetch(urls[1]).data == b"abcdefgh"
    assert vendor.fetch(shown(vendor, third, key="sk-other")["url"]).data == b"x"


def test_a_reset_frees_the_room(vendor: Vendor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "MOST_CONTENT_BYTES", 16)
    monkeypatch.setattr(memory, "EACH_CONTENT_BYTES", 0)
    other = vendor.of_session("other")
    kept = shown(other, file_id(other, b"12345678"))["url"]
    file_id(vendor, b"12345678")
    vendor.admin("POST", "reset")
    file_id(vendor, b"12345678")
    assert vendor.fetch(kept).status_code == 200


# -- what is written down ---------------------------------------------------------------------------------------------


def test_of_a_form_the_journal_keeps_no_more_than_its_size(vendor: Vendor) -> None:
    body = form([("files", "me.jpg", b"a secret face")])
    send_form(vendor, body)
    (entry,) = vendor.admin("GET", "requests").get_json()["requests"]
    assert (entry["operation"], entry["body_bytes"]) == ("upload_files", len(body))
    assert "body" not in entry
    assert "secret" not in str(entry)


def test_a_portrait_needs_no_file_and_a_file_no_portrait(vendor: Vendor) -> None:
    file_id(vendor)
    assert vendor.submit(PRESET).status_code == 200
    vendor.admin("POST", "reset/tasks")
    assert data(vendor.vendor_call("GET", FILES))["total"] == 1
