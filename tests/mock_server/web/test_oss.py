"""Result links: their shape, what they lead to, and how they stop working."""

import re
from io import BytesIO
from urllib.parse import parse_qs, urlsplit
from xml.etree import ElementTree

import pytest
from PIL import Image
from werkzeug.test import EnvironBuilder, TestResponse, run_wsgi_app

from mock_server.core.media import read_properties
from tests.conftest import IMMEDIATE, PRESET, START_MS, TASKS, Vendor

DAY_MS = 24 * 3_600_000
REFUSED = ["Code", "Message", "RequestId", "HostId", "EC", "RecommendDoc"]
EXPIRED = ["Code", "Message", "RequestId", "HostId", "Expires", "ServerTime", "EC", "RecommendDoc"]


@pytest.fixture
def link(vendor: Vendor) -> str:
    """A link to the first picture of a task that ended at the start."""
    return vendor.links(vendor.submitted(plan=IMMEDIATE))[0]


def refusal(answer: TestResponse) -> dict[str, str]:
    """The fields of the storage's refusal, in their order."""
    assert answer.headers["content-type"] == "application/xml"
    root = ElementTree.fromstring(answer.data)  # noqa: S314  # our own server's answer
    assert root.tag == "Error"
    fields = {child.tag: child.text or "" for child in root}
    assert re.fullmatch(r"[0-9A-F]{24}", fields["RequestId"])
    assert fields["RequestId"] == answer.headers["x-oss-request-id"]
    assert fields["EC"] == answer.headers["x-oss-ec"]
    assert fields["HostId"] == "dashscope-result-bj.oss-cn-beijing.aliyuncs.com"
    assert fields["RecommendDoc"] == f"https://api.aliyun.com/troubleshoot?q={fields['EC']}"
    return fields


def test_a_link_has_the_storages_shape_and_ends_a_day_after_the_task(vendor: Vendor) -> None:
    vendor.later(1)
    task = vendor.submitted(plan=IMMEDIATE)
    links = vendor.links(task)
    for number, url in enumerate(links, start=1):
        parts = urlsplit(url)
        assert (parts.scheme, parts.netloc) == ("http", "localhost")
        assert re.fullmatch(rf"/dashscope-result-bj/[0-9a-f]{{12}}/20260115/{task}/{number}\.jpg", parts.path)
        query = parse_qs(parts.query, strict_parsing=True)
        assert list(query) == ["Expires", "OSSAccessKeyId", "Signature"]
        assert query["Expires"] == [str((START_MS + DAY_MS) // 1000 + 1)]  # never before the 24 hours are over
    assert len(set(links)) == PRESET["parameters"]["n"]
    vendor.later(60_000)
    assert vendor.links(task) == links, "the same each time it is asked for"


def test_a_link_leads_to_a_picture_without_a_key(vendor: Vendor, link: str) -> None:
    answer = vendor.fetch(link)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "image/jpeg"
    assert answer.headers["server"] == "facechain-mock"
    image = Image.open(BytesIO(answer.data))
    image.load()
    assert (image.format, image.size) == ("JPEG", (768, 1024))
    task = vendor.list().get_json()["data"][0]["task_id"]
    assert read_properties(answer.data) == {
        "task_id": task,
        "index": 1,
        "style": PRESET["parameters"]["style"],
        "seed": 7,
        "mock": True,
    }


def test_a_head_gives_the_headers_without_the_picture(vendor: Vendor, link: str) -> None:
    whole, head = vendor.fetch(link), vendor.fetch(link, method="HEAD")
    assert (head.status_code, head.data) == (200, b"")
    assert head.headers["content-length"] == str(len(whole.data))
    assert head.headers["etag"] == whole.headers["etag"]


def test_the_pictures_of_a_task_differ_and_each_is_the_same_every_time(vendor: Vendor) -> None:
    links = vendor.links(vendor.submitted(plan=IMMEDIATE))
    pictures = [vendor.fetch(url).data for url in links]
    assert len(set(pictures)) == len(links)
    assert [vendor.fetch(url).data for url in links] == pictures


def test_two_servers_with_one_seed_give_the_same_links_and_bytes() -> None:
    one, same, other = Vendor(seed=3), Vendor(seed=3), Vendor(seed=4)
    links = [vendor.links(vendor.submitted(plan=IMMEDIATE))[0] for vendor in (one, same, other)]
    assert links[0] == links[1] != links[2]
    assert one.fetch(links[0]).data == same.fetch(links[1]).data != other.fetch(links[2]).data


def test_a_picture_that_failed_has_no_link_and_cannot_be_fetched(vendor: Vendor) -> None:
    outcome = {"images": [{"error": "output_inspection"}, "ok"]}
    (link,) = vendor.links(vendor.submitted(plan={**IMMEDIATE, "outcome": outcome}))
    assert urlsplit(link).path.endswith("/2.jpg")
    assert vendor.fetch(link).status_code == 200


# -- links that do not work -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("wait_ms", "status"), [(DAY_MS - 1_000, 200), (DAY_MS - 1, 200), (DAY_MS, 403)])
def test_a_link_works_for_24_hours(vendor: Vendor, link: str, wait_ms: int, status: int) -> None:
    vendor.later(wait_ms)
    assert vendor.fetch(link).status_code == status


def test_an_expired_link_is_refused_as_the_storage_does(vendor: Vendor, link: str) -> None:
    vendor.later(DAY_MS + 1_000)
    answer = vendor.fetch(link)
    fields = refusal(answer)
    assert answer.status_code == 403
    assert list(fields) == EXPIRED
    assert (fields["Code"], fields["Message"]) == ("AccessDenied", "Request has expired.")
    assert (fields["Expires"], fields["ServerTime"]) == ("2026-01-16T02:30:00.000Z", "2026-01-16T02:30:01.000Z")
    assert fields["EC"] == "0002-00000069"
    assert answer.headers["x-mock-reason"].startswith("link.expiry: ")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Signature=", "Signature=A"),
        ("Expires=1", "Expires=2"),
        ("/1.jpg", "/2.jpg"),
        ("/1.jpg", "/1.png"),
        ("/20260115/", "/20260116/"),
    ],
)
def test_a_link_that_was_changed_is_refused(vendor: Vendor, link: str, old: str, new: str) -> None:
    answer = vendor.fetch(link.replace(old, new))
    fields = refusal(answer)
    assert answer.status_code == 403
    assert list(fields) == REFUSED
    assert fields["Code"] == "SignatureDoesNotMatch"
    assert answer.headers["x-mock-reason"].startswith("link.signature: ")


@pytest.mark.parametrize(
    "query",
    [
        "",
        "Expires=1768530600",
        "Signature=abc",
        "Expires=&Signature=abc",
        "Expires=tomorrow&Signature=abc",
        "Expires=9999999999999&Signature=abc",
        "expires=1768530600&signature=abc",
    ],
)
def test_a_link_without_its_query_is_refused(vendor: Vendor, link: str, query: str) -> None:
    answer = vendor.fetch(f"{link.partition('?')[0]}?{query}")
    fields = refusal(answer)
    assert (answer.status_code, fields["EC"]) == (403, "0003-00000001")
    assert fields["Message"] == "You have no right to access this object because of bucket acl."


@pytest.mark.parametrize("path", ["x", "a/20260115/b/1.jpg", "../../etc/passwd", "%00", "a" * 5_000])
def test_an_object_that_is_none_of_ours_is_refused(vendor: Vendor, path: str) -> None:
    answer = vendor.fetch(f"/dashscope-result-bj/{path}?Expires=1768530600&OSSAccessKeyId=a&Signature=b")
    assert answer.status_code == 403
    assert refusal(answer)["Code"] == "SignatureDoesNotMatch"


def test_a_picture_that_is_gone_is_not_found(vendor: Vendor, link: str) -> None:
    vendor.admin("POST", "reset/tasks")
    answer = vendor.fetch(link)
    fields = refusal(answer)
    assert (answer.status_code, fields["Code"]) == (404, "NoSuchKey")
    assert fields["Message"] == "The specified key does not exist."
    assert list(fields) == REFUSED
    assert answer.headers["x-mock-reason"].startswith("link.object: ")


def test_a_link_is_refused_in_xml_even_when_its_session_is_malformed(vendor: Vendor, link: str) -> None:
    for answer in (vendor.fetch(link, headers={"X-Mock-Session": "a b"}), vendor.fetch(f"{link}&x-mock-session=%00")):
        assert answer.status_code == 404
        assert refusal(answer)["Code"] == "NoSuchKey"
        assert "X-Mock-Session" in answer.headers["x-mock-reason"]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_a_link_can_only_be_read(vendor: Vendor, link: str, method: str) -> None:
    answer = vendor.fetch(link, method=method)
    assert (answer.status_code, answer.data) == (404, b"")


# -- where links point ------------------------------------------------------------------------------------------------


def origin_for(vendor: Vendor, host: str | None, scheme: str = "http") -> str:
    """Scheme and host of a link, as a client gets it who asked by this Host header."""
    task = vendor.submitted(plan=IMMEDIATE)
    headers = [("Authorization", "Bearer sk-main")]
    environ = EnvironBuilder(path=f"{TASKS}/{task}", headers=headers).get_environ()
    environ["wsgi.url_scheme"] = scheme
    if host is None:
        del environ["HTTP_HOST"]
    else:
        environ["HTTP_HOST"] = host
    body, status, _ = run_wsgi_app(vendor.app.wsgi_app, environ)
    text = b"".join(body).decode()
    assert status == "200 OK", text
    found = re.search(r'"url":"([^"]*?)/[^"/]*/[^"/]*/[^"/]*/1\.jpg', text)
    assert found is not None
    return found[1].removesuffix("/dashscope-result-bj")


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("127.0.0.1:8790", "http://127.0.0.1:8790"),
        ("localhost", "http://localhost"),
        ("mock.internal:80", "http://mock.internal:80"),
        ("my_mock", "http://my_mock"),
        ("[::1]:8790", "http://[::1]:8790"),
        ("dashscope.aliyuncs.com", "http://dashscope.aliyuncs.com"),
        ("dashscope.aliyuncs.com:443", "http://dashscope.aliyuncs.com:443"),
        ("aliyuncs.com.evil.test", "http://aliyuncs.com.evil.test"),
    ],
)
def test_a_link_follows_the_host_that_the_client_asked_by(vendor: Vendor, host: str, origin: str) -> None:
    assert origin_for(vendor, host) == origin


def test_a_link_follows_the_scheme_too(vendor: Vendor) -> None:
    assert origin_for(vendor, "mock.internal", scheme="https") == "https://mock.internal"


@pytest.mark.parametrize(
    "host",
    [
        None,
        "",
        ":80",
        "evil.test/path",
        "evil.test?x=",
        "evil.test#",
        "user@evil.test",
        'evil"><script>',
        "a b",
        "evil.test, localhost",
        "x:99999",
        "x:0",
        "[::::]",
        "[1.2.3.4]",
        "[::1",
        "é",
        "x\\y",
    ],
)
def test_a_malformed_host_gets_into_no_link(vendor: Vendor, host: str | None) -> None:
    assert origin_for(vendor, host) == "http://localhost:80"


def test_a_public_base_url_wins_over_the_host() -> None:
    vendor = Vendor(public_base_url="https://mock.example:8443")
    assert origin_for(vendor, "127.0.0.1:8790") == "https://mock.example:8443"
