"""The object storage (OSS) behind the API: signed links to pictures and files, good for 24 hours, and its refusals."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import lru_cache
from html import escape
from types import MappingProxyType
from urllib.parse import quote

from contracts import catalogue
from mock_server.core import media
from mock_server.core.faults import KINDS, Fault, Moment
from mock_server.core.gateway import SERVER, Call, http_date, last_values, printable
from mock_server.core.journal import Trace
from mock_server.core.lifecycle import HOUR_MS
from mock_server.core.model import File, Reply, Request, Task, Terms
from mock_server.core.ports import World

RESULT_BUCKET = "dashscope-result-bj"
FILE_BUCKET = "dashscope-file-mgr"
HOSTS = {f"{bucket}.oss-cn-beijing.aliyuncs.com": bucket for bucket in (RESULT_BUCKET, FILE_BUCKET)}
"""The storage's own hosts, each with its bucket. On the mock's host a bucket is the first part of the path."""

ACCESS_KEY_ID = "MockAccessKeyId"
POLICY_EXPIRED = "Invalid according to Policy: Policy expired."
TROUBLESHOOT = "https://api.aliyun.com/troubleshoot?q="
FILE_LINK_MS = 24 * HOUR_MS
_VENDOR_ORIGIN = re.compile(r"https?://[^/:]+\.aliyuncs\.com(?::\d+)?", re.IGNORECASE)
_PICTURE = re.compile(r"(?P<account>[A-Za-z0-9._-]+)/\d{8}/(?P<task>[0-9a-f-]{36})/(?P<number>[1-9]\d?)\.jpg")
_FILE = re.compile(r"api-fs/(?P<account>[A-Za-z0-9._-]+)/\d+/(?P<file>[0-9a-f-]{36})/[^/]+")


class StorageError(Exception):
    """What the storage refuses: its ``code``, and our rule, place and problem for the explanation.

    ``message`` takes the place of the code's usual one.
    """

    def __init__(self, code: str, rule: str, place: str, problem: str, *, message: str = "") -> None:
        super().__init__(code)
        self.code = code
        self.rule = rule
        self.place = place
        self.problem = problem
        self.message = message


@dataclass(frozen=True, slots=True)
class _Refusal:
    """How the storage words a refusal. ``ec`` is its own number of the cause, where one is known."""

    status: int
    message: str
    ec: str = ""


_REFUSALS = {
    "AccessDenied": _Refusal(403, "You have no right to access this object because of bucket acl.", "0003-00000001"),
    "SignatureDoesNotMatch": _Refusal(
        403,
        "The request signature we calculated does not match the signature you provided. "
        "Check your key and signing method.",
        "0002-00000040",
    ),
    "ServiceUnavailable": _Refusal(503, "Please reduce your request rate.", "0008-00000001"),
    "NoSuchKey": _Refusal(404, "The specified key does not exist.", "0026-00000001"),
    "InvalidAccessKeyId": _Refusal(403, "The OSS Access Key Id you provided does not exist in our records."),
    "InvalidObjectName": _Refusal(400, "The specified object is not valid."),
    "EntityTooLarge": _Refusal(400, "Your proposed upload exceeds the maximum allowed object size."),
    "MalformedPOSTRequest": _Refusal(400, "The body of your POST request is not well-formed multipart/form-data."),
    "IncorrectNumberOfFilesInPOSTRequest": _Refusal(400, "POST requires exactly one file upload per request."),
    "InvalidArgument": _Refusal(400, "The file has to be the last field of the form."),
    "FileAlreadyExists": _Refusal(409, "The object you specified already exists and can not be overwritten."),
}
_CODES = {
    "link.expiry": "AccessDenied",
    "link.signature": "SignatureDoesNotMatch",
    "link.unsigned": "AccessDenied",
    "link.busy": "ServiceUnavailable",
    "link.object": "NoSuchKey",
}
"""What the storage calls a link that breaks one of these rules."""

_EXPIRED = _Refusal(403, "Request has expired.", "0002-00000069")


def link(call: Call, task: Task, number: int) -> str:
    """The signed link to picture ``number`` (from 1) of an ended task; the same each time it is asked for."""
    base = _base(call, RESULT_BUCKET)
    return _link(call.terms.seed, base, call.key.account, call.session, task.id, number, task.ended_ms or 0)


@lru_cache(maxsize=4096)
def _link(seed: int, base: str, account: str, session: str, task_id: str, number: int, ended_ms: int) -> str:
    key = f"{account}/{_day(ended_ms // 86_400_000)}/{task_id}/{number}.jpg"
    return f"{base}/{key}{_signed(seed, session, RESULT_BUCKET, key, ended_ms + life_ms())}"


def file_link(call: Call, file: File) -> str:
    """The signed link to one of the account's files, good for 24 hours from this call."""
    base = _base(call, FILE_BUCKET)
    key = f"api-fs/{call.key.account}/{file.key_id}/{file.id}/{file.name}"
    signed = _signed(call.terms.seed, call.session, FILE_BUCKET, key, call.now_ms + FILE_LINK_MS)
    return f"{base}/{quote(key)}{signed}&security-token=mock"


def upload_url(call: Call) -> str:
    """Where temporary uploads are posted to."""
    session = f"?x-mock-session={call.session}" if call.session else ""
    return _base(call, FILE_BUCKET) + session


def _signed(seed: int, session: str, bucket: str, key: str, until_ms: int) -> str:
    """The query of a link."""
    expires = str(-(-until_ms // 1000))
    signature = _sign(seed, bucket, key, expires).replace("+", "%2B").replace("/", "%2F").replace("=", "%3D")
    shared = f"&x-mock-session={session}" if session else ""
    return f"?Expires={expires}&OSSAccessKeyId={ACCESS_KEY_ID}&Signature={signature}{shared}"


@lru_cache(maxsize=16)
def _day(number: int) -> str:
    """The day so many days after the epoch, as ``YYYYMMDD``."""
    return datetime.fromtimestamp(number * 86_400, timezone.utc).strftime("%Y%m%d")


def life_ms() -> int:
    """How long a link works after its task ended, rule ``link.expiry``."""
    return int(catalogue.limits()["result_link_hours"]) * HOUR_MS


def fetch(
    request: Request, bucket: str, key: str, world: World, terms: Terms, trace: Trace, struck: list[Fault]
) -> Reply:
    """What a link leads to, or the refusal the storage answers: 403 or 404 with XML."""
    query = last_values(request.query)
    expires, signature = query.get("Expires", ""), query.get("Signature", "")

    def no(rule: str, problem: str) -> Reply:
        trace.rule, trace.problem = rule, problem
        return refused(rule, problem, world, trace.at_ms, expires, bucket)

    if not signature or not re.fullmatch(r"\d{1,12}", expires):
        return no("link.unsigned", "the link has lost its query: Expires, OSSAccessKeyId, Signature")
    if not hmac.compare_digest(signature.encode(), _sign(terms.seed, bucket, key, expires).encode()):
        return no("link.signature", "the link was changed after it was signed")
    found = _find_picture(key, world, trace, terms) if bucket == RESULT_BUCKET else _find_file(key, world, trace)
    if trace.at_ms >= int(expires) * 1000:
        return no("link.expiry", "the link is older than 24 hours")
    struck += world.faults.strike(_moment(trace), KINDS)
    for fault in struck:
        if fault.kind in ("storage", "status"):
            rule = fault.rule if fault.kind == "storage" else "link.busy"
            return no(rule, f"{fault.id} put this in on purpose")
    if found is None:
        return no("link.object", _NO_FILE if bucket == FILE_BUCKET else _NO_PICTURE)
    return _object(found(), world, trace.at_ms, "image/jpeg" if bucket == RESULT_BUCKET else "application/octet-stream")


_NO_PICTURE = "no task of this session has made this picture"
_NO_FILE = "no file of this session lies there: it was deleted, or its content had to make room for later ones"


def _object(content: bytes, world: World, now_ms: int, content_type: str) -> Reply:
    etag = hashlib.md5(content, usedforsecurity=False).hexdigest().upper()
    headers = (
        ("content-type", content_type),
        ("etag", f'"{etag}"'),
        ("x-oss-request-id", _request_id(world)),
        ("x-oss-object-type", "Normal"),
        ("date", http_date(now_ms // 1000)),
        ("server", SERVER),
    )
    return Reply(200, headers, content)


def stored(status: int, key: str, content: bytes, world: World, now_ms: int) -> Reply:
    """What the storage answers to an upload that it kept: nothing but a 200 or 204, or where it lies (201)."""
    etag = hashlib.md5(content, usedforsecurity=False).hexdigest().upper()
    body = b""
    if status == 201:
        fields = {
            "Bucket": FILE_BUCKET,
            "Location": f"https://{_host(FILE_BUCKET)}/{quote(key)}",
            "Key": key,
            "ETag": etag,
        }
        body = _xml("PostResponse", fields)
    headers = (
        *((("content-type", "application/xml"),) if body else ()),
        ("etag", f'"{etag}"'),
        ("x-oss-request-id", _request_id(world)),
        ("date", http_date(now_ms // 1000)),
        ("server", SERVER),
    )
    return Reply(status, headers, body)


def _find_picture(key: str, world: World, trace: Trace, terms: Terms) -> Callable[[], bytes] | None:
    """What draws the picture that the key names, once its task is noted; None when no task has made it."""
    found = _PICTURE.fullmatch(key)
    if found is None:
        return None
    task = world.change(found["account"], lambda account: account.portraits.tasks.get(found["task"]))
    if task is None:
        return None
    number = int(found["number"])
    trace.account, trace.task_id, trace.scenarios = found["account"], task.id, task.scenarios
    trace.picture = number if number in task.good_pictures else None
    portrait = media.Portrait(task.id, number, task.style, terms.seed, "jpeg")
    return None if trace.picture is None else lambda: media.render_portrait(portrait)


def _find_file(key: str, world: World, trace: Trace) -> Callable[[], bytes] | None:
    """What gives the content of the file that the key names; None when it was deleted, or there was no more room."""
    found = _FILE.fullmatch(key)
    if found is None:
        return None
    trace.account = found["account"]
    is_there = world.change(found["account"], lambda account: found["file"] in account.files)
    content = world.kept(found["file"]) if is_there else None
    return None if content is None else lambda: content


def _moment(trace: Trace) -> Moment:
    operation = trace.operation or ""
    return Moment("link", trace.at_ms, operation, trace.account or "", trace.task_id or "", trace.scenarios)


def _host(bucket: str) -> str:
    return next(host for host, name in HOSTS.items() if name == bucket)


def _base(call: Call, bucket: str) -> str:
    """Where the bucket lies for this client. The vendor's own hosts are named only to one that cannot reach them."""
    request = call.request
    return _bucket_url(call.terms.public_base_url or request.origin, bucket, request.is_inside)


@lru_cache(maxsize=256)
def _bucket_url(origin: str, bucket: str, is_inside: bool) -> str:
    return f"https://{_host(bucket)}" if is_inside and _VENDOR_ORIGIN.fullmatch(origin) else f"{origin}/{bucket}"


def _sign(seed: int, bucket: str, key: str, expires: str) -> str:
    """The storage's own scheme for links, version 1."""
    text = f"GET\n\n\n{expires}\n/{bucket}/{key}"
    return signature_of(text, seed)


def signature_of(text: str, seed: int) -> str:
    """How the storage signs a text, with a secret that only tells mock servers apart."""
    digest = hmac.digest(f"facechain-mock:{seed}".encode(), text.encode("utf-8", "surrogateescape"), "sha1")
    return base64.b64encode(digest).decode()


def _request_id(world: World) -> str:
    return world.new_id().replace("-", "").upper()[:24]


def refused(
    rule: str, problem: str, world: World, now_ms: int, expires: str = "", bucket: str = RESULT_BUCKET
) -> Reply:
    """The storage's refusal of a link in XML, with our explanation beside it."""
    code = _CODES[rule]
    if rule != "link.expiry":
        return _refusal(code, _REFUSALS[code], f"{rule}: {problem}", world, now_ms, bucket)
    moments = {"Expires": _iso(int(expires)), "ServerTime": _iso(now_ms // 1000)} if expires else {}
    return _refusal(code, _EXPIRED, f"{rule}: {problem}", world, now_ms, bucket, moments)


def refusal(error: StorageError, world: World, now_ms: int, bucket: str) -> Reply:
    """The storage's refusal of an upload in XML, with our explanation beside it."""
    row = _REFUSALS[error.code]
    row = _Refusal(row.status, error.message) if error.message else row
    return _refusal(error.code, row, f"{error.rule} at {error.place}: {error.problem}", world, now_ms, bucket)


def _refusal(
    code: str,
    row: _Refusal,
    reason: str,
    world: World,
    now_ms: int,
    bucket: str,
    moments: Mapping[str, str] = MappingProxyType({}),
) -> Reply:
    fields = {"Code": code, "Message": row.message, "RequestId": _request_id(world), "HostId": _host(bucket), **moments}
    if row.ec:
        fields |= {"EC": row.ec, "RecommendDoc": TROUBLESHOOT + row.ec}
    headers = (
        ("content-type", "application/xml"),
        ("x-oss-request-id", fields["RequestId"]),
        *((("x-oss-ec", row.ec),) if row.ec else ()),
        ("x-mock-reason", printable(reason)),
        ("date", http_date(now_ms // 1000)),
        ("server", SERVER),
    )
    return Reply(row.status, headers, _xml("Error", fields))


def _xml(root: str, fields: Mapping[str, str]) -> bytes:
    lines = "".join(f"  <{name}>{escape(value, quote=False)}</{name}>\n" for name, value in fields.items())
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<{root}>\n{lines}</{root}>\n'.encode("utf-8", "replace")


def _iso(epoch_s: int) -> str:
    return datetime.fromtimestamp(epoch_s, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.000Z")
