"""Temporary uploads: a policy to upload by, and the form post at the storage that it allows."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from datetime import datetime, timezone
from typing import Any

from contracts import catalogue
from mock_server.core import oss, pictures
from mock_server.core.gateway import Call, count, last_values, shown
from mock_server.core.journal import Trace
from mock_server.core.model import Account, Part, Reply, Request, Terms, Upload, VendorError
from mock_server.core.ports import World
from mock_server.core.submission import MESSAGES
from mock_server.core.tasks import vendor_time

MOST_UPLOADS = 10_000
MOST_KEY = 1_023
"""Bytes of a key, as the storage has it."""

_FIELD = re.compile(r"[A-Za-z_-]{1,32}")
"""What the name of a field looks like, and a signature does not."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f\ufffe\uffff]")

OWN = "facechain-mock"
"""Under this name the policy says whom it was given to. The signature covers it like the rest."""


def policy(call: Call) -> dict[str, Any]:
    """``GET /api/v1/uploads?action=getPolicy&model=``: what an upload has to carry. Raises VendorError."""
    given = last_values(call.request.query)
    action, model = given.get("action", ""), given.get("model", "")
    if action != "getPolicy":
        problem = f"is {shown(action)}; it is getPolicy" if action else "is missing; it is getPolicy"
        raise VendorError("parameters_invalid", rule="policy.action", place="query action", problem=problem)
    _require_model(model)
    limits = catalogue.limits()
    per_second = int(limits["upload_policies_per_second"])

    def step(account: Account) -> None:
        what = f"policies for {model}"
        count(call, account, what, rule="rate.policies", limit=per_second, what=what)

    call.change(step)
    terms = limits["upload_policy"]
    day = vendor_time(call.now_ms)[:10]
    folder = hashlib.md5(call.key.account.encode(), usedforsecurity=False).hexdigest()
    upload_dir = f"dashscope-instant/{folder}/{day}/{call.request_id}"
    text = _policy_text(call, upload_dir, model)
    return {
        "data": {
            "policy": text,
            "signature": oss.signature_of(text, call.terms.seed),
            "upload_dir": upload_dir,
            "upload_host": oss.upload_url(call),
            "expire_in_seconds": terms["stated_seconds"],
            "max_file_size_mb": terms["max_file_size_mb"],
            "capacity_limit_mb": terms["capacity_limit_mb"],
            "oss_access_key_id": oss.ACCESS_KEY_ID,
            "x_oss_object_acl": "private",
            "x_oss_forbid_overwrite": "true",
        },
        "request_id": call.request_id,
    }


def _require_model(model: str) -> None:
    if not model:
        problem = f"is missing; it is one of {', '.join(MESSAGES)}"
        raise VendorError("parameters_invalid", rule="policy.action", place="query model", problem=problem)
    if model not in MESSAGES:
        problem = f"is {shown(model)}; {catalogue.hint(model, MESSAGES)}"
        raise VendorError("model_not_exist", rule="model.known", place="query model", problem=problem)


def _policy_text(call: Call, upload_dir: str, model: str) -> str:
    life_s = catalogue.limits()["upload_policy"][f"{call.terms.behaviours['policy-life']}_seconds"]
    until_s, millis = divmod(call.now_ms + life_s * 1000, 1000)
    until = datetime.fromtimestamp(until_s, timezone.utc)
    most = catalogue.limits()["upload_policy"]["max_file_size_mb"] * 1_048_576
    document = {
        "expiration": f"{until:%Y-%m-%dT%H:%M:%S}.{millis:03d}Z",
        "conditions": [
            ["content-length-range", 0, most],
            ["starts-with", "$key", upload_dir],
            {"bucket": oss.FILE_BUCKET},
            {"x-oss-object-acl": "private"},
            {"x-oss-forbid-overwrite": "true"},
        ],
        OWN: {"account": call.key.account, "model": model, "made_ms": call.now_ms},
    }
    return base64.b64encode(json.dumps(document, separators=(",", ":")).encode()).decode()


def receive(request: Request, world: World, terms: Terms, trace: Trace) -> Reply:
    """The form post at the storage, which keeps one file; or its refusal in XML."""
    try:
        parts = _read_form(request, terms)
        fields = {part.name.lower(): part.text for part in parts if part.filename is None}
        document = _read_policy(fields, terms, trace)
        file = _require_file(parts)
        key = fields.get("key", "").replace("${filename}", file.filename or "")
        _require_conditions(document, fields, key, file)
        return _keep(document, fields, key, file, world, trace)
    except oss.StorageError as error:
        trace.explain(error.rule, error.place, error.problem)
        return oss.refusal(error, world, trace.at_ms, oss.FILE_BUCKET)


def _read_form(request: Request, terms: Terms) -> list[Part]:
    most = int(catalogue.limits()["upload_body_bytes"])
    if len(request.body) > most:
        problem = f"is larger than {most} bytes, which is all that the mock takes"
        raise oss.StorageError("EntityTooLarge", "upload.size", "body", problem)
    try:
        return terms.read_form(request.headers.get("content-type", ""), request.body)
    except ValueError as error:
        raise oss.StorageError(
            "MalformedPOSTRequest", "upload.form", "body", f"is no multipart form: {error}"
        ) from None


def _read_policy(fields: dict[str, str], terms: Terms, trace: Trace) -> dict[str, Any]:
    """The policy that the upload comes with, once its signature and its expiration allow the upload."""
    text, signature = fields.get("policy", ""), fields.get("signature", "")
    for name in ("OSSAccessKeyId", "policy", "Signature"):
        if not fields.get(name.lower()):
            raise oss.StorageError(
                "AccessDenied", "policy.signature", f"form {name}", "is missing; the policy's answer has it"
            )
    if fields["ossaccesskeyid"] != oss.ACCESS_KEY_ID:
        problem = "is not the one that came with this policy"
        raise oss.StorageError("InvalidAccessKeyId", "policy.signature", "form OSSAccessKeyId", problem)
    if not hmac.compare_digest(signature.encode(), oss.signature_of(text, terms.seed).encode()):
        problem = "is not the one that came with this policy"
        raise oss.StorageError("SignatureDoesNotMatch", "policy.signature", "form Signature", problem)
    document: dict[str, Any] = json.loads(base64.b64decode(text))
    own = document[OWN]
    trace.account, trace.policy_age_ms = own["account"], trace.at_ms - own["made_ms"]
    until = datetime.strptime(document["expiration"], "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=timezone.utc)
    if trace.at_ms >= round(until.timestamp() * 1000):
        problem = f"expired {document['expiration']}; ask for a new one"
        raise oss.StorageError("AccessDenied", "policy.expiry", "form policy", problem, message=oss.POLICY_EXPIRED)
    return document


def _require_file(parts: list[Part]) -> Part:
    files = [part for part in parts if part.name.lower() == "file"]
    if len(files) != 1:
        problem = f"{len(files)} of them were sent; an upload takes one"
        raise oss.StorageError("IncorrectNumberOfFilesInPOSTRequest", "upload.form", "form file", problem)
    if parts[-1] is not files[0]:
        names = [part.name for part in parts[parts.index(files[0]) + 1 :]]
        after = ", ".join(name if _FIELD.fullmatch(name) else "another field" for name in names[:10])
        raise oss.StorageError(
            "InvalidArgument", "upload.form", "form file", f"comes before {after}; it has to be the last"
        )
    return files[0]


def _require_conditions(document: dict[str, Any], fields: dict[str, str], key: str, file: Part) -> None:
    def broken(condition: object, problem: str, place: str) -> oss.StorageError:
        message = f"Invalid according to Policy: Policy Condition failed: {json.dumps(condition)}"
        return oss.StorageError("AccessDenied", "policy.conditions", place, problem, message=message)

    def told(value: str | None) -> str:
        """What is said of a value, which somebody may have put into the wrong field."""
        return "a secret of the policy's" if value in (fields["policy"], fields["signature"]) else shown(value)

    sent = {**fields, "key": key, "bucket": oss.FILE_BUCKET}
    for condition in document["conditions"]:
        if isinstance(condition, dict):
            ((name, wanted),) = condition.items()
            if sent.get(name) != wanted:
                problem = f"is {told(sent[name])}" if name in sent else "is missing"
                raise broken(condition, f"{problem}; it is {wanted!r}", f"form {name}")
        elif condition[0] == "starts-with" and (len(key.encode()) > MOST_KEY or _CONTROL.search(key)):
            problem = f"is {told(key)}; it is at most {MOST_KEY} bytes, without control characters"
            raise oss.StorageError("InvalidObjectName", "policy.conditions", "form key", problem)
        elif condition[0] == "starts-with" and not (key.startswith(f"{condition[2]}/") and key != f"{condition[2]}/"):
            raise broken(condition, f"is {told(key)}; it is upload_dir, a slash and a name", "form key")
        elif condition[0] == "content-length-range" and not condition[1] <= len(file.data) <= condition[2]:
            raise oss.StorageError("EntityTooLarge", "upload.size", "form file", f"is larger than {condition[2]} bytes")


def _keep(document: dict[str, Any], fields: dict[str, str], key: str, file: Part, world: World, trace: Trace) -> Reply:
    own = document[OWN]
    upload = Upload(own["model"], trace.at_ms, pictures.read(file.data))

    def step(account: Account) -> bool:
        if key in account.uploads:
            return False
        while len(account.uploads) >= MOST_UPLOADS:
            del account.uploads[next(iter(account.uploads))]
        account.uploads[key] = upload
        return True

    if not world.change(own["account"], step):
        raise oss.StorageError(
            "FileAlreadyExists", "upload.overwrite", "form key", "was uploaded already; choose another name"
        )
    wanted = fields.get("success_action_status")
    return oss.stored(int(wanted) if wanted in ("200", "201") else 204, key, file.data, world, trace.at_ms)
