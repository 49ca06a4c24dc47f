"""The doors: one test body for all of them, faults as each library tells them, and nobody else disturbed."""

# ruff: noqa: S113 - what answers here is the kit, which never keeps a client waiting

from __future__ import annotations

import asyncio
import hashlib
import http.client
import io
import json
import os
import socket
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from unittest import mock

import aiohttp
import aiohttp.connector
import httpx
import pytest
import requests
import responses
import respx
from requests.adapters import BaseAdapter, HTTPAdapter
from urllib3.util import Retry

from contracts import catalogue
from facechain_testkit.doors import VendorHostRefused, is_vendor_host
from facechain_testkit.doors.requests import DoorAdapter
from facechain_testkit.kit import VENDOR_URL, Facechain, mock_facechain

SUBMIT = "/services/aigc/album/gen_potrait"
BODY = catalogue.examples("portrait-request")["good"]["preset-style"]
TRAIN_FREE = catalogue.examples("portrait-request")["good"]["train-free"]
TWO_PICTURES = {**BODY, "parameters": {**BODY["parameters"], "n": 2}}
HEADERS = {"Authorization": "Bearer sk-of-the-tests", "X-DashScope-Async": "enable"}
STORAGE = "https://dashscope-result-bj.oss-cn-beijing.aliyuncs.com"
OTHER = "https://other.facechain.test/"
PATIENCE_S = 0.2


class Answer(NamedTuple):
    """An answer as every library gives it. Names of headers are lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Form:
    """Fields, and a file that comes last."""

    fields: Mapping[str, str]
    name: str
    content: bytes
    filename: str = "me.jpg"


class Client:
    """A client of one HTTP library. ``send`` gives the answer as it is and raises what the library raises."""

    def send(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None = None, patience_s: float = 30
    ) -> Answer:
        raise NotImplementedError

    def post_form(self, url: str, headers: Mapping[str, str], form: Form) -> Answer:
        """Post a form as the library makes one."""
        raise NotImplementedError

    def post_stream(self, url: str, headers: Mapping[str, str], pieces: list[bytes]) -> Answer:
        """Post a body that is made piece by piece, by a generator."""
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError


def _answer(status: int, headers: Mapping[str, str], body: bytes) -> Answer:
    return Answer(status, {name.lower(): value for name, value in headers.items()}, body)


class Requests(Client):
    def __init__(self) -> None:
        self.session = requests.Session()

    def send(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None = None, patience_s: float = 30
    ) -> Answer:
        got = self.session.request(method, url, headers=dict(headers), data=body, timeout=patience_s)
        return _answer(got.status_code, got.headers, got.content)

    def post_form(self, url: str, headers: Mapping[str, str], form: Form) -> Answer:
        files = {form.name: (form.filename, io.BytesIO(form.content), "image/jpeg")}
        got = self.session.post(url, headers=dict(headers), data=dict(form.fields), files=files)
        return _answer(got.status_code, got.headers, got.content)

    def post_stream(self, url: str, headers: Mapping[str, str], pieces: list[bytes]) -> Answer:
        got = self.session.post(url, headers=dict(headers), data=(piece for piece in pieces))
        return _answer(got.status_code, got.headers, got.content)

    def close(self) -> None:
        self.session.close()


class Httpx(Client):
    def __init__(self) -> None:
        self.client = httpx.Client()

    def send(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None = None, patience_s: float = 30
    ) -> Answer:
        got = self.client.request(method, url, headers=dict(headers), content=body, timeout=patience_s)
        return _answer(got.status_code, got.headers, got.content)

    def post_form(self, url: str, headers: Mapping[str, str], form: Form) -> Answer:
        files = {form.name: (form.filename, io.BytesIO(form.content), "image/jpeg")}
        got = self.client.post(url, headers=dict(headers), data=dict(form.fields), files=files)
        return _answer(got.status_code, got.headers, got.content)

    def post_stream(self, url: str, headers: Mapping[str, str], pieces: list[bytes]) -> Answer:
        got = self.client.post(url, headers=dict(headers), content=(piece for piece in pieces))
        return _answer(got.status_code, got.headers, got.content)

    def close(self) -> None:
        self.client.close()


class Async(Client):
    """A client that lives in an event loop of its own."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()

    async def sent(self, method: str, url: str, headers: Any, body: Any, patience_s: float) -> Answer:
        raise NotImplementedError

    async def closed(self) -> None:
        raise NotImplementedError

    async def posted_form(self, url: str, headers: Mapping[str, str], form: Form) -> Answer:
        raise NotImplementedError

    def post_form(self, url: str, headers: Mapping[str, str], form: Form) -> Answer:
        return self.loop.run_until_complete(self.posted_form(url, headers, form))

    def post_stream(self, url: str, headers: Mapping[str, str], pieces: list[bytes]) -> Answer:
        async def arriving() -> AsyncIterator[bytes]:
            for piece in pieces:
                await asyncio.sleep(0)
                yield piece

        return self.loop.run_until_complete(self.sent("POST", url, dict(headers), arriving(), 30))

    def send(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None = None, patience_s: float = 30
    ) -> Answer:
        return self.loop.run_until_complete(self.sent(method, url, headers, body, patience_s))

    def close(self) -> None:
        self.loop.run_until_complete(self.closed())
        self.loop.close()


class HttpxAsync(Async):
    client: httpx.AsyncClient | None = None

    async def sent(self, method: str, url: str, headers: Any, body: Any, patience_s: float) -> Answer:
        self.client = self.client or httpx.AsyncClient()
        got = await self.client.request(method, url, headers=headers, content=body, timeout=patience_s)
        return _answer(got.status_code, got.headers, got.content)

    async def posted_form(self, url: str, headers: Mapping[str, str], form: Form) -> Answer:
        self.client = self.client or httpx.AsyncClient()
        files = {form.name: (form.filename, form.content, "image/jpeg")}
        got = await self.client.post(url, headers=dict(headers), data=dict(form.fields), files=files)
        return _answer(got.status_code, got.headers, got.content)

    async def closed(self) -> None:
        if self.client is not None:
            await self.client.aclose()


class Aiohttp(Async):
    """Has patience for the whole call."""

    session: aiohttp.ClientSession | None = None

    def timeout(self, patience_s: float) -> aiohttp.ClientTimeout:
        return aiohttp.ClientTimeout(total=patience_s)

    async def sent(self, method: str, url: str, headers: Any, body: Any, patience_s: float) -> Answer:
        self.session = self.session or aiohttp.ClientSession()
        timeout = self.timeout(patience_s)
        async with self.session.request(method, url, headers=headers, data=body, timeout=timeout) as got:
            return _answer(got.status, got.headers, await got.read())

    async def posted_form(self, url: str, headers: Mapping[str, str], form: Form) -> Answer:
        data = aiohttp.FormData(dict(form.fields))
        data.add_field(form.name, form.content, filename=form.filename, content_type="image/jpeg")
        return await self.sent("POST", url, dict(headers), data, 30)

    async def closed(self) -> None:
        if self.session is not None:
            await self.session.close()


class AiohttpReads(Aiohttp):
    """Has patience for each read."""

    def timeout(self, patience_s: float) -> aiohttp.ClientTimeout:
        return aiohttp.ClientTimeout(total=None, sock_read=patience_s)


@dataclass(frozen=True)
class Door:
    """A way into the kit: a library, in process or at the port."""

    name: str
    library: type[Client]
    at_port: bool = False

    def __str__(self) -> str:
        return self.name

    def base_url(self, kit: Facechain) -> str:
        return kit.base_url if self.at_port else VENDOR_URL

    @contextmanager
    def client(self) -> Iterator[Client]:
        client = self.library()
        try:
            yield client
        finally:
            client.close()


DOORS = [
    Door("requests", Requests),
    Door("httpx", Httpx),
    Door("httpx-async", HttpxAsync),
    Door("aiohttp", Aiohttp),
    Door("port-requests", Requests, at_port=True),
    Door("port-httpx", Httpx, at_port=True),
    Door("port-aiohttp", Aiohttp, at_port=True),
]
IN_PROCESS = [door for door in DOORS if not door.at_port]


# -- one body for every door ------------------------------------------------------------------------------------------


@dataclass
class Run:
    """One course of calls through a door, written down."""

    kit: Facechain
    client: Client
    base_url: str
    answers: list[Answer] = field(default_factory=list)

    def call(self, method: str, path: str, *, body: object = None, **headers: str | None) -> Answer:
        """Call the API. A header given as None is left out."""
        named = {**HEADERS, **{name.replace("_", "-"): value for name, value in headers.items()}}
        if body is not None:
            named["Content-Type"] = "application/json"
        sent = {name: value for name, value in named.items() if value is not None}
        content = None if body is None else json.dumps(body).encode()
        return self._noted(self.client.send(method, self.base_url + path, sent, content))

    def fetch(self, url: str) -> Answer:
        return self._noted(self.client.send("GET", url, {}))

    def submit(self, body: object = TWO_PICTURES) -> str:
        return str(json.loads(self.call("POST", SUBMIT, body=body).body)["output"]["task_id"])

    def output(self, task_id: str) -> dict[str, Any]:
        output: dict[str, Any] = json.loads(self.call("GET", f"/tasks/{task_id}").body)["output"]
        return output

    def _noted(self, answer: Answer) -> Answer:
        assert answer.headers["content-length"] == str(len(answer.body))
        self.answers.append(answer)
        return answer


def to_the_picture(run: Run) -> None:
    task_id = run.submit()
    run.kit.clock.advance("2s")
    assert run.output(task_id)["task_status"] == "RUNNING"
    run.kit.clock.advance("2s")
    for result in run.output(task_id)["results"]:
        assert run.fetch(result["url"]).body.startswith(b"\xff\xd8\xff")
    assert run.kit.findings() == []


def failed(run: Run) -> None:
    run.kit.plan_next(outcome="FAILED", error="image_resolution")
    task_id = run.submit()
    run.output(task_id)
    assert run.output(task_id)["code"] == "InvalidImageResolution"


def refused(run: Run) -> None:
    answer = run.call("POST", SUBMIT, body={**BODY, "parameters": {"style": "f_business_female", "n": 9}})
    assert (answer.status, answer.headers["x-mock-reason"].partition(" ")[0]) == (400, "portrait.n.range")


def without_key(run: Run) -> None:
    assert run.call("GET", "/tasks/none", Authorization=None).status == 401
    assert run.call("GET", "/tasks/none", Authorization="Bearer sk-mock-invalid-key").status == 401


def throttled(run: Run) -> None:
    for _ in range(3):
        answer = run.call("POST", SUBMIT, body=TWO_PICTURES)
    assert answer.status == 429


def unknown(run: Run) -> None:
    assert run.output("garbage ä")["task_status"] == "UNKNOWN"


def listed(run: Run) -> None:
    task_id = run.submit()
    answer = run.call("GET", "/tasks?page_size=5&status=PENDING")
    assert [row["task_id"] for row in json.loads(answer.body)["data"]] == [task_id]


def cancelled(run: Run) -> None:
    task_id = run.submit()
    assert run.call("POST", f"/tasks/{task_id}/cancel").status == 200
    assert run.call("POST", f"/tasks/{task_id}/cancel").status == 400
    assert run.output(task_id)["task_status"] == "CANCELED"


def expired(run: Run) -> None:
    run.kit.plan_next(progression="immediate")
    url = run.output(run.submit())["results"][0]["url"]
    run.kit.clock.advance("25h")
    assert run.fetch(url).status == 403


def elsewhere(run: Run) -> None:
    assert run.call("DELETE", "/tasks").status == 400
    assert run.call("GET", "/tasks/a/b/c").status == 400


STORIES = [to_the_picture, failed, refused, without_key, throttled, unknown, listed, cancelled, expired, elsewhere]


def told(story: Callable[[Run], None], door: Door) -> tuple[list[Answer], list[Any], list[Any]]:
    """Answers, findings and journal of a story, the port's origin written as the vendor's, and nothing else changed."""
    with mock_facechain(seed=11, clock="frozen") as kit, door.client() as client:
        run = Run(kit, client, door.base_url(kit))
        story(run)
        origin = f"{run.base_url.removesuffix('/api/v1')}/dashscope-result-bj" if door.at_port else STORAGE
        answers = [
            Answer(
                answer.status,
                {name: value for name, value in answer.headers.items() if name != "content-length"},
                answer.body.replace(origin.encode(), STORAGE.encode()),
            )
            for answer in run.answers
        ]
        found = [(finding.id, finding.requests) for finding in kit.findings()]
        names = ("n", "at_ms", "method", "operation", "status", "task_id", "task_status", "rule", "body", "account")
        journal = [{name: entry.get(name) for name in names} for entry in kit.journal]
    return answers, found, journal


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
@pytest.mark.parametrize("door", DOORS[1:], ids=str)
def test_every_door_tells_the_same_story_to_the_byte(door: Door, story: Callable[[Run], None]) -> None:
    answers, found, journal = told(story, door)
    expected_answers, expected_found, expected_journal = told(story, DOORS[0])
    assert [answer.body for answer in answers] == [answer.body for answer in expected_answers]
    assert [(answer.status, answer.headers) for answer in answers] == [
        (answer.status, answer.headers) for answer in expected_answers
    ]
    assert found == expected_found
    assert journal == expected_journal


@pytest.mark.parametrize("door", DOORS, ids=str)
def test_outside_the_vendors_prefix_there_is_nothing(door: Door) -> None:
    with mock_facechain() as kit, door.client() as client:
        answer = client.send("GET", door.base_url(kit).replace("/api/", "/other/"), HEADERS)
    assert (answer.status, answer.body) == (404, b"")


@pytest.mark.parametrize("door", DOORS, ids=str)
def test_a_head_tells_the_length_and_brings_no_body(door: Door) -> None:
    with mock_facechain(clock="frozen") as kit, door.client() as client:
        whole = client.send("GET", f"{door.base_url(kit)}/tasks/none", HEADERS)
        head = client.send("HEAD", f"{door.base_url(kit)}/tasks/none", HEADERS)
    assert (head.status, head.body) == (200, b"")
    assert head.headers["content-length"] == str(len(whole.body))


@pytest.mark.parametrize("door", DOORS, ids=str)
def test_all_doors_share_one_state(door: Door) -> None:
    with mock_facechain() as kit, door.client() as client:
        kit.plan_next(progression="immediate")
        task_id = requests.post(VENDOR_URL + SUBMIT, json=BODY, headers=HEADERS).json()["output"]["task_id"]
        answer = client.send("GET", f"{door.base_url(kit)}/tasks/{task_id}", HEADERS)
        assert json.loads(answer.body)["output"]["task_status"] == "SUCCEEDED"
        assert [entry["n"] for entry in kit.journal] == [1, 2]


# -- uploads ----------------------------------------------------------------------------------------------------------

KEY = {"Authorization": HEADERS["Authorization"]}
CONTENT = b"\xff\xd8\xff" + bytes(range(256)) * 3_000 + b"\r\n--\r\n\x000\r\n\r\n"
"""Every byte, the ends of parts and of chunks among them, and more than fits into one packet."""

FILES = "/files"
POLICY = "/uploads?action=getPolicy&model=facechain-generation"


def kept(client: Client, answer: Answer, base_url: str) -> bytes:
    """The content of the one file that an upload answered for, as its link gives it."""
    (uploaded,) = json.loads(answer.body)["data"]["uploaded_files"]
    shown = json.loads(client.send("GET", f"{base_url}{FILES}/{uploaded['file_id']}", KEY).body)["data"]
    assert (shown["name"], shown["size"]) == ("me.jpg", len(CONTENT))
    return client.send("GET", shown["url"], {}).body


def form_for(client: Client, base_url: str) -> tuple[str, Form]:
    """Where to post a temporary upload, and how."""
    policy = json.loads(client.send("GET", base_url + POLICY, KEY).body)["data"]
    names = {
        "OSSAccessKeyId": "oss_access_key_id",
        "Signature": "signature",
        "policy": "policy",
        "x-oss-object-acl": "x_oss_object_acl",
        "x-oss-forbid-overwrite": "x_oss_forbid_overwrite",
    }
    fields = {field: policy[name] for field, name in names.items()}
    fields |= {"key": f"{policy['upload_dir']}/me.jpg", "success_action_status": "200"}
    return policy["upload_host"], Form(fields, "file", CONTENT)


def streamed(form: Form) -> tuple[dict[str, str], list[bytes]]:
    """The form in pieces, and the header that it needs."""
    parts = [f'\r\n--abc\r\nContent-Disposition: form-data; name="{n}"\r\n\r\n{v}' for n, v in form.fields.items()]
    head = f'\r\n--abc\r\nContent-Disposition: form-data; name="{form.name}"; filename="{form.filename}"\r\n\r\n'
    pieces = [*(part.encode() for part in parts), head.encode(), form.content[:70_000], form.content[70_000:]]
    return {"Content-Type": "multipart/form-data; boundary=abc"}, [*pieces, b"\r\n--abc--\r\n"]


@pytest.mark.parametrize("way", ["form", "stream"])
@pytest.mark.parametrize("door", DOORS, ids=str)
def test_a_file_arrives_byte_by_byte_at_every_door(door: Door, way: str) -> None:
    form = Form({"descriptions": "me", "purpose": "fine-tune"}, "files", CONTENT)
    with mock_facechain() as kit, door.client() as client:
        base_url = door.base_url(kit)
        if way == "form":
            answer = client.post_form(base_url + FILES, KEY, form)
        else:
            header, pieces = streamed(form)
            answer = client.post_stream(base_url + FILES, {**KEY, **header}, pieces)
        assert answer.status == 200
        assert kept(client, answer, base_url) == CONTENT
        assert kit.findings() == []


@pytest.mark.parametrize("way", ["form", "stream"])
@pytest.mark.parametrize("door", DOORS, ids=str)
def test_a_temporary_upload_arrives_byte_by_byte_at_every_door(door: Door, way: str) -> None:
    with mock_facechain() as kit, door.client() as client:
        base_url = door.base_url(kit)
        host, form = form_for(client, base_url)
        if not door.at_port:
            assert host == "https://dashscope-file-mgr.oss-cn-beijing.aliyuncs.com"
        header, pieces = streamed(form)
        answer = client.post_form(host, {}, form) if way == "form" else client.post_stream(host, header, pieces)
        digest = hashlib.md5(CONTENT, usedforsecurity=False).hexdigest().upper()
        assert (answer.status, answer.body, answer.headers["etag"]) == (200, b"", f'"{digest}"')
        link = f"oss://{form.fields['key']}"
        order = {**TRAIN_FREE, "input": {**TRAIN_FREE["input"], "user_urls": [link]}}
        headers = {**HEADERS, "X-DashScope-OssResourceResolve": "enable", "Content-Type": "application/json"}
        assert client.send("POST", base_url + SUBMIT, headers, json.dumps(order).encode()).status == 200
        assert [finding.id for finding in kit.findings("must")] == []


class OnlyRead:
    """A body that can be read and not iterated, as makers of long forms have it."""

    def __init__(self, content: bytes) -> None:
        self.read = io.BytesIO(content).read
        self.len = len(content)


def test_a_body_that_requests_can_only_read_arrives() -> None:
    header, pieces = streamed(Form({}, "files", CONTENT))
    with mock_facechain() as kit:
        body: Any = OnlyRead(b"".join(pieces))
        got = requests.post(VENDOR_URL + FILES, data=body, headers={**KEY, **header})
        assert got.json()["data"]["failed_uploads"] == []
        assert len(kit.journal) == 1


@pytest.mark.parametrize("door", DOORS, ids=str)
def test_an_upload_without_a_file_is_refused_alike_at_every_door(door: Door) -> None:
    with mock_facechain() as kit, door.client() as client:
        answer = client.send("POST", door.base_url(kit) + FILES, KEY, b"")
        assert (answer.status, answer.headers["x-mock-reason"].partition(" ")[0]) == (400, "files.form")


# -- faults on the line -----------------------------------------------------------------------------------------------

FAULTS: dict[str, dict[str, Any]] = {
    "latency": {"kind": "latency", "ms": 60_000},
    "hang": {"kind": "hang"},
    "dribble": {"kind": "dribble", "bytes": 40, "ms": 60_000},
    "reset": {"kind": "reset"},
    "empty": {"kind": "empty"},
    "cut": {"kind": "cut", "bytes": 40},
    "cut at once": {"kind": "cut", "bytes": 0},
    "patience is enough": {"kind": "dribble", "bytes": 50, "ms": 1},
}
OUTLASTING = ("latency", "hang", "dribble")
LIBRARIES = [Requests, Httpx, HttpxAsync, Aiohttp, AiohttpReads]


def root(error: BaseException) -> BaseException:
    """The error that all others were raised for."""
    while True:
        below = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        if below is None:
            return error
        error = below


def trouble(fault: str, door: Door) -> tuple[type | None, type | None, int]:
    """What a client is told of a fault: the type of the error, that of its root; and how often it asked."""
    patience_s = PATIENCE_S if fault in OUTLASTING else 30
    with mock_facechain() as kit, door.client() as client:
        kit.faults.add("poll", **FAULTS[fault])
        try:
            client.send("GET", f"{door.base_url(kit)}/tasks/none", HEADERS, patience_s=patience_s)
        except Exception as error:  # noqa: BLE001 - which one it is, is the question
            return type(error), type(root(error)), len(kit.journal)
        return None, None, len(kit.journal)


@pytest.mark.parametrize("library", LIBRARIES, ids=lambda library: library.__name__)
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_told_as_at_the_port(fault: str, library: type[Client]) -> None:
    in_process = trouble(fault, Door("", library))
    assert in_process == trouble(fault, Door("", library, at_port=True))
    assert (in_process[0] is None) == (fault == "patience is enough")


@pytest.mark.parametrize("door", IN_PROCESS, ids=str)
def test_waiting_moves_the_clock_and_not_the_hands_of_the_user(door: Door) -> None:
    with mock_facechain(clock="frozen") as kit, door.client() as client:
        kit.faults.add("poll", kind="latency", ms=20_000, times=1)
        kit.faults.add("poll", kind="dribble", bytes=10, ms=5_000, skip=1)
        began_ms = kit.clock.now_ms()
        client.send("GET", f"{VENDOR_URL}/tasks/none", HEADERS)
        assert kit.clock.now_ms() == began_ms + 20_000
        answer = client.send("GET", f"{VENDOR_URL}/tasks/none", HEADERS)
        pauses = -(-len(answer.body) // 10) - 1
        assert kit.clock.now_ms() == began_ms + 20_000 + 5_000 * pauses


def test_a_stream_of_requests_breaks_where_the_line_was_cut() -> None:
    with mock_facechain() as kit:
        kit.faults.add("poll", kind="cut", bytes=40)
        with requests.get(f"{VENDOR_URL}/tasks/none", headers=HEADERS, stream=True) as answer:
            assert answer.status_code == 200
            arriving = answer.iter_content(40)
            assert len(next(arriving)) == 40
            with pytest.raises(requests.exceptions.ChunkedEncodingError):
                next(arriving)


def test_a_stream_of_httpx_comes_piece_by_piece() -> None:
    with mock_facechain() as kit, httpx.Client() as client:
        kit.faults.add("poll", kind="dribble", bytes=40, ms=1)
        with client.stream("GET", f"{VENDOR_URL}/tasks/none", headers=HEADERS) as answer:
            assert (answer.http_version, answer.reason_phrase) == ("HTTP/1.1", "OK")
            arrived = list(answer.iter_raw())
    assert {len(piece) for piece in arrived[:-1]} == {40}
    assert json.loads(b"".join(arrived))["output"]["task_status"] == "UNKNOWN"


async def test_a_stream_of_aiohttp_comes_in_chunks() -> None:
    with mock_facechain(scenario="immediate"):
        async with aiohttp.ClientSession(headers=HEADERS) as session:
            async with session.post(VENDOR_URL + SUBMIT, json=BODY) as answer:
                task_id = (await answer.json())["output"]["task_id"]
            async with session.get(f"{VENDOR_URL}/tasks/{task_id}") as answer:
                url = (await answer.json())["output"]["results"][0]["url"]
            async with session.get(url, skip_auto_headers=["Authorization"]) as answer:
                chunks = [chunk async for chunk in answer.content.iter_chunked(1_000)]
    assert b"".join(chunks).startswith(b"\xff\xd8\xff")
    assert len(chunks) > 1


# -- what goes up -----------------------------------------------------------------------------------------------------


def received(kit: Facechain) -> dict[str, Any]:
    (entry,) = kit.journal
    return entry


def test_every_form_of_body_arrives_whole_by_requests() -> None:
    text = json.dumps(BODY)
    whole = text.encode()
    forms: list[Any] = [whole, text, bytearray(whole), io.BytesIO(whole), (whole[i : i + 7] for i in range(0, 999, 7))]
    for form in forms:
        with mock_facechain() as kit:
            answer = requests.post(VENDOR_URL + SUBMIT, data=form, headers=HEADERS)
            assert answer.status_code == 200, answer.text
            assert received(kit)["body"] == text


def test_headers_given_as_bytes_count() -> None:
    with mock_facechain():
        headers: Any = {"Authorization": b"Bearer sk-of-the-tests"}
        assert requests.get(f"{VENDOR_URL}/tasks/none", headers=headers).status_code == 200


@pytest.mark.parametrize("at_port", [False, True], ids=["door", "port"])
async def test_chunked_and_multipart_bodies_arrive_whole(at_port: bool) -> None:
    whole = json.dumps(BODY).encode()

    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(whole), 7):
            yield whole[start : start + 7]

    picture = os.urandom(150_000)
    sizes = {}
    with mock_facechain(limits="off") as kit:
        url = (kit.base_url if at_port else VENDOR_URL) + SUBMIT
        async with aiohttp.ClientSession(headers=HEADERS) as session:
            async with session.post(url, data=chunks()) as answer:
                assert answer.status == 200, await answer.text()
            async with session.post(url, data=whole, expect100=True) as answer:
                assert answer.status == 200, await answer.text()
            form = aiohttp.FormData()
            form.add_field("file", picture, filename="me.jpg")
            async with session.post(url, data=form) as answer:
                sizes["aiohttp"] = (answer.status, (await answer.json())["code"])
        async with httpx.AsyncClient(headers=HEADERS) as client:
            assert (await client.post(url, content=chunks())).status_code == 200
            answered = await client.post(url, files={"file": ("me.jpg", picture)})
            sizes["httpx"] = (answered.status_code, answered.json()["code"])
        if not at_port:
            answered_too = requests.post(url, files={"file": ("me.jpg", picture)}, headers=HEADERS)
            sizes["requests"] = (answered_too.status_code, answered_too.json()["code"])
        bodies = [entry["body_bytes"] for entry in kit.journal]
    assert bodies[:3] == [len(whole), len(whole), bodies[2]]
    assert all(size > len(picture) for size in (bodies[2], *bodies[4:]))
    assert set(sizes.values()) == {(400, "InvalidParameter")}


# -- retries and adapters of the user's own ---------------------------------------------------------------------------


@pytest.mark.parametrize("at_port", [False, True], ids=["door", "port"])
@pytest.mark.parametrize(
    ("fault", "retries", "times", "expected"),
    [
        ({"kind": "status", "error": "rate_quota"}, Retry(3, status_forcelist=[429]), 2, (200, 3)),
        (
            {"kind": "status", "error": "rate_quota"},
            Retry(1, status_forcelist=[429]),
            5,
            (requests.exceptions.RetryError, 2),
        ),
        (
            {"kind": "status", "error": "rate_quota"},
            Retry(1, status_forcelist=[429], raise_on_status=False),
            5,
            (429, 2),
        ),
        ({"kind": "reset"}, Retry(3), 2, (200, 3)),
        ({"kind": "empty"}, Retry(1), 5, (requests.ConnectionError, 2)),
        ({"kind": "reset"}, Retry(3, read=False), 2, (requests.ConnectionError, 1)),
    ],
    ids=["status", "status too often", "status in the end", "line", "line too often", "no reading again"],
)
def test_retries_of_an_adapter_are_as_on_the_wire(
    at_port: bool, fault: dict[str, Any], retries: Retry, times: int, expected: tuple[Any, int]
) -> None:
    with mock_facechain() as kit, requests.Session() as session:
        kit.faults.add("poll", times=times, **fault)
        session.mount("http://", HTTPAdapter(max_retries=retries))
        session.mount("https://", HTTPAdapter(max_retries=retries))
        url = f"{kit.base_url if at_port else VENDOR_URL}/tasks/none"
        try:
            ended: Any = session.get(url, headers=HEADERS).status_code
        except requests.RequestException as error:
            ended = type(error)
        assert (ended, len(kit.journal)) == expected


def test_a_retry_of_a_status_waits_as_urllib3_does() -> None:
    slept: list[float] = []
    retries = Retry(3, status_forcelist=[429], backoff_factor=1)
    with mock_facechain(scenario="poll-429") as kit, requests.Session() as session:
        session.mount("https://", HTTPAdapter(max_retries=retries))
        task_id = session.post(VENDOR_URL + SUBMIT, json=BODY, headers=HEADERS).json()["output"]["task_id"]
        with mock.patch("time.sleep", slept.append):
            assert session.get(f"{VENDOR_URL}/tasks/{task_id}", headers=HEADERS).status_code == 200
        assert len(kit.journal) == 4
    assert slept == [2.0]


class _Patient(HTTPAdapter):
    """As in many a code base: a time-out for those who give none."""

    sent = 0

    def send(self, request: Any, *arguments: Any, **more: Any) -> requests.Response:
        self.sent += 1
        more["timeout"] = more.get("timeout") or PATIENCE_S
        return super().send(request, *arguments, **more)


def test_an_adapter_of_the_users_own_keeps_its_ways() -> None:
    adapter = _Patient()
    with mock_facechain() as kit, requests.Session() as session:
        session.mount("https://", adapter)
        kit.faults.add("poll", kind="hang")
        with pytest.raises(requests.ReadTimeout):
            session.get(f"{VENDOR_URL}/tasks/none", headers=HEADERS)
        assert session.adapters["https://"] is adapter
        assert adapter.sent == 1


def test_an_adapter_that_is_a_stand_in_itself_is_left_alone() -> None:
    class StandIn(BaseAdapter):
        def send(self, request: Any, *_arguments: Any, **_more: Any) -> requests.Response:
            response = requests.Response()
            response.status_code, response.url = 418, request.url
            return response

        def close(self) -> None:
            pass

    with mock_facechain() as kit, requests.Session() as session:
        session.mount(VENDOR_URL, StandIn())
        assert session.get(f"{VENDOR_URL}/tasks/none").status_code == 418
        assert len(kit.journal) == 0


# -- beside other mocks -----------------------------------------------------------------------------------------------


def asked_of_vendor(url: str = f"{VENDOR_URL}/tasks/none") -> int:
    return requests.get(url, headers=HEADERS).status_code


@responses.activate
def test_responses_goes_on_inside_and_around_a_kit() -> None:
    responses.get(OTHER, body="theirs")
    with mock_facechain() as kit:
        assert requests.get(OTHER).text == "theirs"
        assert asked_of_vendor() == 200
        assert len(kit.journal) == 1
    assert [call.request.url for call in responses.calls] == [OTHER]
    with pytest.raises(requests.ConnectionError, match="refused by Responses"):
        asked_of_vendor()


def test_responses_may_be_opened_inside_a_kit() -> None:
    with mock_facechain() as kit:
        with responses.RequestsMock() as theirs:
            theirs.get(OTHER, body="theirs")
            assert requests.get(OTHER).text == "theirs"
            assert asked_of_vendor() == 200
        with responses.RequestsMock() as theirs:
            theirs.add_passthru("http://127.0.0.1")
            assert requests.get(f"{kit.base_url}/tasks/none", headers=HEADERS).status_code == 200
        assert asked_of_vendor() == 200
        assert len(kit.journal) == 3


@pytest.mark.parametrize("kit_first", [True, False])
def test_respx_goes_on_beside_a_kit(kit_first: bool) -> None:
    contexts: list[Any] = [mock_facechain(), respx.mock(assert_all_called=False)]
    with contexts[not kit_first] as first, contexts[kit_first] as second, httpx.Client() as client:
        kit, router = (first, second) if kit_first else (second, first)
        router.get(OTHER).respond(text="theirs")
        assert client.get(OTHER).text == "theirs"
        assert client.get(f"{VENDOR_URL}/tasks/none", headers=HEADERS).status_code == 200
        assert len(kit.journal) == 1


@pytest.mark.parametrize("kit_first", [True, False])
def test_a_patched_transport_goes_on_beside_a_kit(kit_first: bool) -> None:
    @contextmanager
    def patched() -> Iterator[None]:
        send = httpx.HTTPTransport.handle_request

        def mocked(transport: httpx.HTTPTransport, request: httpx.Request) -> httpx.Response:
            if request.url.host == "other.facechain.test":
                return httpx.Response(200, text="theirs")
            return send(transport, request)

        with mock.patch.object(httpx.HTTPTransport, "handle_request", mocked):
            yield

    contexts: list[Any] = [mock_facechain(), patched()]
    with contexts[not kit_first], contexts[kit_first], httpx.Client() as client:
        assert client.get(OTHER).text == "theirs"
        assert client.get(f"{VENDOR_URL}/tasks/none", headers=HEADERS).status_code == 200


def test_a_transport_of_the_users_own_is_left_alone() -> None:
    with mock_facechain() as kit:
        transport = httpx.MockTransport(lambda _request: httpx.Response(418))
        with httpx.Client(transport=transport) as client:
            assert client.get(f"{VENDOR_URL}/tasks/none").status_code == 418
        assert len(kit.journal) == 0


@pytest.mark.parametrize("door", IN_PROCESS, ids=str)
def test_the_inner_of_two_kits_answers_and_the_outer_is_back_afterwards(door: Door) -> None:
    with door.client() as client, mock_facechain() as outer:

        def ask() -> None:
            assert client.send("GET", f"{VENDOR_URL}/tasks/none", HEADERS).status == 200

        ask()
        with mock_facechain() as inner:
            ask()
            ask()
            assert (len(inner.journal), len(outer.journal)) == (2, 1)
        ask()
        assert (len(inner.journal), len(outer.journal)) == (2, 2)


async def test_one_aiohttp_session_lives_through_many_kits() -> None:
    async with aiohttp.ClientSession(headers=HEADERS) as session:
        for number in range(1, 4):
            with mock_facechain(seed=number) as kit:
                answers = await asyncio.gather(*(session.get(f"{VENDOR_URL}/tasks/none") for _ in range(3)))
                for answer in answers:
                    async with answer:
                        assert answer.status == 200
                assert len(kit.journal) == 3


PATCHED = [
    (requests.Session, "get_adapter"),
    (HTTPAdapter, "send"),
    (DoorAdapter, "send"),
    (httpx.HTTPTransport, "handle_request"),
    (httpx.AsyncHTTPTransport, "handle_async_request"),
    (aiohttp.connector.TCPConnector, "_create_connection"),
    (socket, "getaddrinfo"),
    (socket, "gethostbyname"),
    (socket, "gethostbyname_ex"),
    (socket.socket, "connect"),
    (socket.socket, "connect_ex"),
]


def as_they_are() -> list[tuple[bool, Any]]:
    """Whether each has the attribute itself, and what it is."""
    return [(name in vars(owner), getattr(owner, name)) for owner, name in PATCHED]


@pytest.mark.parametrize("ending", [None, ValueError, KeyboardInterrupt])
def test_everything_is_put_back(ending: type[BaseException] | None) -> None:
    before, environment = as_they_are(), dict(os.environ)
    with suppress(ValueError, KeyboardInterrupt), mock_facechain(strict_network=True), mock_facechain() as kit:
        assert kit.base_url
        during = as_they_are()
        if ending is not None:
            raise ending
    after = as_they_are()
    assert all(was == now and was[1] is now[1] for was, now in zip(before, after, strict=True))
    assert [now[1] is was[1] for was, now in zip(before, during, strict=True)].count(True) == 1  # HTTPAdapter.send
    assert dict(os.environ) == environment


def test_a_door_that_cannot_be_opened_leaves_the_others_closed() -> None:
    before, environment = as_they_are(), dict(os.environ)
    with (
        mock.patch("facechain_testkit.doors.aiohttp.aiohttp_door", side_effect=LookupError),
        pytest.raises(LookupError),
    ):
        Facechain().start()
    assert as_they_are() == before
    assert dict(os.environ) == environment


# -- no way past the doors --------------------------------------------------------------------------------------------

REACHING: dict[str, Callable[[], Any]] = {
    "urllib": lambda: urllib.request.urlopen(f"{VENDOR_URL}/tasks/none"),  # noqa: S310
    "http.client": lambda: http.client.HTTPSConnection("dashscope.aliyuncs.com").request("GET", "/"),
    "create_connection": lambda: socket.create_connection(("dashscope-intl.aliyuncs.com", 443)),
    "connect": lambda: _connected("dashscope.aliyuncs.com.", socket.socket.connect),
    "connect_ex": lambda: _connected("DashScope.aliyuncs.com", socket.socket.connect_ex),
    "gethostbyname": lambda: socket.gethostbyname("dashscope-result-bj.oss-cn-beijing.aliyuncs.com"),
    "asyncio": lambda: asyncio.run(_opened("dashscope.aliyuncs.com")),
}


def _connected(host: str, connect: Callable[..., Any]) -> None:
    with socket.socket() as direct:
        connect(direct, (host, 443))


async def _opened(host: str) -> None:
    await asyncio.open_connection(host, 443)


@pytest.mark.parametrize("way", REACHING)
def test_a_client_that_comes_through_no_door_is_refused(way: str) -> None:
    with mock_facechain() as kit:
        with pytest.raises((VendorHostRefused, urllib.error.URLError)) as refusal:
            REACHING[way]()
        text = str(refusal.value)
        assert "is the real vendor" in text
        assert "facechain.base_url" in text
        assert len(kit.journal) == 0


def test_other_hosts_are_left_alone_unless_the_network_is_strict() -> None:
    asked: list[str] = []

    def look_up(host: str, *_arguments: Any, **_more: Any) -> Any:
        asked.append(host)
        raise socket.gaierror(socket.EAI_NONAME, "nobody of that name")

    with mock.patch.object(socket, "getaddrinfo", look_up):
        with mock_facechain(), pytest.raises(requests.ConnectionError, match="nobody of that name"):
            requests.get("https://other.facechain.test")
        with mock_facechain(strict_network=True):
            for get in (requests.get, httpx.get):
                with pytest.raises((requests.ConnectionError, httpx.ConnectError), match="strict_network"):
                    get("https://other.facechain.test")
    assert asked == ["other.facechain.test"]


def test_a_strict_network_knows_this_machine() -> None:
    with mock_facechain(strict_network=True) as kit, socket.socket() as direct:
        assert requests.get(f"{kit.base_url}/tasks/none", headers=HEADERS).status_code == 200
        with pytest.raises(ConnectionRefusedError, match="strict_network"):
            direct.connect(("192.0.2.1", 9))


@pytest.mark.parametrize(
    ("host", "is_theirs"),
    [
        ("dashscope.aliyuncs.com", True),
        ("DASHSCOPE.aliyuncs.com.", True),
        ("dashscope-intl.aliyuncs.com", True),
        ("cn-hongkong.dashscope.aliyuncs.com", True),
        ("ws1.cn-beijing.maas.aliyuncs.com", True),
        ("maas.qianwenaiapi.com", True),
        ("dashscope-result-sh.oss-cn-shanghai.aliyuncs.com", True),
        ("dashscope-file-mgr.oss-cn-beijing.aliyuncs.com", True),
        ("my-own-pictures.oss-cn-beijing.aliyuncs.com", False),
        ("dashscope.aliyuncs.com.example.org", False),
        ("aliyuncs.com", False),
        ("localhost", False),
        (None, False),
    ],
)
def test_the_vendors_hosts_are_known(host: str | None, is_theirs: bool) -> None:
    assert is_vendor_host(host) is is_theirs
