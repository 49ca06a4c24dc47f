"""Result links and what they lead to: shaped like the vendor's object storage (OSS), good for 24 hours."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from datetime import datetime, timezone
from functools import lru_cache
from urllib.parse import parse_qs

from contracts import catalogue
from mock_server.core import media
from mock_server.core.faults import KINDS, Fault, Moment
from mock_server.core.gateway import SERVER, Call, http_date
from mock_server.core.journal import Trace
from mock_server.core.lifecycle import HOUR_MS
from mock_server.core.model import Reply, Request, Task, Terms
from mock_server.core.ports import World

BUCKET = "dashscope-result-bj"
HOST = f"{BUCKET}.oss-cn-beijing.aliyuncs.com"
ACCESS_KEY_ID = "MockAccessKeyId"
TROUBLESHOOT = "https://api.aliyun.com/troubleshoot?q="
_VENDOR_ORIGIN = re.compile(r"https?://[^/:]+\.aliyuncs\.com(?::\d+)?", re.IGNORECASE)
_OBJECT = re.compile(r"(?P<account>[A-Za-z0-9._-]+)/\d{8}/(?P<task>[0-9a-f-]{36})/(?P<number>[1-9]\d?)\.jpg")

_ERRORS = {
    "link.expiry": (403, "AccessDenied", "Request has expired.", "0002-00000069"),
    "link.signature": (
        403,
        "SignatureDoesNotMatch",
        "The request signature we calculated does not match the signature you provided. "
        "Check your key and signing method.",
        "0002-00000040",
    ),
    "link.unsigned": (
        403,
        "AccessDenied",
        "You have no right to access this object because of bucket acl.",
        "0003-00000001",
    ),
    "link.busy": (503, "ServiceUnavailable", "Please reduce your request rate.", "0008-00000001"),
    "link.object": (404, "NoSuchKey", "The specified key does not exist.", "0026-00000001"),
}


def link(call: Call, task: Task, number: int) -> str:
    """The signed link to picture ``number`` (from 1) of an ended task; the same each time it is asked for."""
    session = f"&x-mock-session={call.session}" if call.session else ""
    return _bucket_url(call) + _signed(call.terms.seed, call.key.account, task.id, number, task.ended_ms or 0) + session


def _signed(seed: int, account: str, task_id: str, number: int, made_ms: int) -> str:
    """Path and query of a link."""
    key = f"{account}/{_day(made_ms // 86_400_000)}/{task_id}/{number}.jpg"
    expires = str(-(-(made_ms + life_ms()) // 1000))
    signature = _sign(seed, key, expires).replace("+", "%2B").replace("/", "%2F").replace("=", "%3D")
    return f"/{key}?Expires={expires}&OSSAccessKeyId={ACCESS_KEY_ID}&Signature={signature}"


@lru_cache(maxsize=16)
def _day(number: int) -> str:
    """The day so many days after the epoch, as ``YYYYMMDD``."""
    return datetime.fromtimestamp(number * 86_400, timezone.utc).strftime("%Y%m%d")


def life_ms() -> int:
    """How long a link works after its task ended, rule ``link.expiry``."""
    return int(catalogue.limits()["result_link_hours"]) * HOUR_MS


def fetch(request: Request, key: str, world: World, terms: Terms, trace: Trace, struck: list[Fault]) -> Reply:
    """The picture behind a link, or the refusal the storage answers: 403 or 404 with XML."""
    now_ms = trace.at_ms
    query = {name: values[-1] for name, values in parse_qs(request.query).items()}
    expires, signature = query.get("Expires", ""), query.get("Signature", "")

    def no(rule: str, problem: str) -> Reply:
        trace.rule, trace.problem = rule, problem
        return refused(rule, problem, world, now_ms, expires)

    if not signature or not re.fullmatch(r"\d{1,12}", expires):
        return no("link.unsigned", "the link has lost its query: Expires, OSSAccessKeyId, Signature")
    if not hmac.compare_digest(signature.encode(), _sign(terms.seed, key, expires).encode()):
        return no("link.signature", "the link was changed after it was signed")
    task = _find(key, world, trace)
    if now_ms >= int(expires) * 1000:
        return no("link.expiry", "the link is older than 24 hours")
    struck += world.faults.strike(_moment(trace), KINDS)
    for fault in struck:
        if fault.kind in ("storage", "status"):
            rule = fault.rule if fault.kind == "storage" else "link.busy"
            return no(rule, f"{fault.id} put this in on purpose")
    if task is None or trace.picture is None:
        return no("link.object", "no task of this session has made this picture")
    picture = media.render_portrait(media.Portrait(task.id, trace.picture, task.style, terms.seed, "jpeg"))
    etag = hashlib.md5(picture, usedforsecurity=False).hexdigest().upper()
    headers = (
        ("content-type", "image/jpeg"),
        ("etag", f'"{etag}"'),
        ("x-oss-request-id", _request_id(world)),
        ("x-oss-object-type", "Normal"),
        ("date", http_date(now_ms // 1000)),
        ("server", SERVER),
    )
    return Reply(200, headers, picture)


def _find(key: str, world: World, trace: Trace) -> Task | None:
    """The task behind the object, noted with the number of the picture when there is one of that number."""
    found = _OBJECT.fullmatch(key)
    if found is None:
        return None
    task = world.change(found["account"], lambda account: account.tasks.get(found["task"]))
    if task is not None:
        number = int(found["number"])
        trace.account, trace.task_id, trace.scenarios = found["account"], task.id, task.scenarios
        trace.picture = number if number in task.good_pictures else None
    return task


def _moment(trace: Trace) -> Moment:
    return Moment("link", trace.at_ms, "fetch_picture", trace.account or "", trace.task_id or "", trace.scenarios)


def _bucket_url(call: Call) -> str:
    origin = call.terms.public_base_url or call.request.origin
    if _VENDOR_ORIGIN.fullmatch(origin):
        return f"https://{HOST}"
    return f"{origin}/{BUCKET}"


def _sign(seed: int, key: str, expires: str) -> str:
    """The storage's own scheme, version 1, with a secret that only tells mock servers apart."""
    text = f"GET\n\n\n{expires}\n/{BUCKET}/{key}"
    digest = hmac.digest(f"facechain-mock:{seed}".encode(), text.encode(), "sha1")
    return base64.b64encode(digest).decode()


def _request_id(world: World) -> str:
    return world.new_id().replace("-", "").upper()[:24]


def refused(rule: str, problem: str, world: World, now_ms: int, expires: str = "") -> Reply:
    """The storage's refusal in XML, with our explanation beside it."""
    status, code, message, ec = _ERRORS[rule]
    expires = expires if rule == "link.expiry" else ""
    fields = {"Code": code, "Message": message, "RequestId": _request_id(world), "HostId": HOST}
    if expires:
        fields["Expires"] = _iso(int(expires))
        fields["ServerTime"] = _iso(now_ms // 1000)
    fields |= {"EC": ec, "RecommendDoc": TROUBLESHOOT + ec}
    lines = "".join(f"  <{name}>{value}</{name}>\n" for name, value in fields.items())
    headers = (
        ("content-type", "application/xml"),
        ("x-oss-request-id", fields["RequestId"]),
        ("x-oss-ec", ec),
        ("x-mock-reason", f"{rule}: {problem}"),
        ("date", http_date(now_ms // 1000)),
        ("server", SERVER),
    )
    return Reply(status, headers, f'<?xml version="1.0" encoding="UTF-8"?>\n<Error>\n{lines}</Error>\n'.encode())


def _iso(epoch_s: int) -> str:
    return datetime.fromtimestamp(epoch_s, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.000Z")
