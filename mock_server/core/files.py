"""The account's files, kept until they are deleted: upload some, list them, look at one, delete one."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import replace
from itertools import zip_longest
from typing import Any

from contracts import catalogue
from mock_server.core import oss, pictures
from mock_server.core.faults import KINDS
from mock_server.core.gateway import Call, last_values, shown, worded
from mock_server.core.model import Account, File, Part, VendorError
from mock_server.core.scenarios import carried_by_headers
from mock_server.core.tasks import REGION, page_asked, vendor_time

PURPOSES = ("fine-tune", "file-extract", "batch")
FIRST_NUMBER = 1_000_001
MOST_NAME = 255
MOST_DESCRIPTION = 1_000


def upload(call: Call) -> dict[str, Any]:
    """``POST /api/v1/files``: each file is kept or refused by itself, inside a 200. Raises VendorError."""
    try:
        parts = _read_form(call)
    except VendorError:
        call.trace.intent = hashlib.blake2b(call.request.body, digest_size=8).hexdigest()
        raise
    call.trace.intent = _digest(parts)
    texts = [part.text[:MOST_DESCRIPTION] for part in parts if part.name == "descriptions"]
    purpose = next((part.text for part in parts if part.name == "purpose"), None)
    if purpose is not None and purpose not in PURPOSES:
        problem = f"is {shown(purpose)}; it is one of {', '.join(PURPOSES)}"
        raise VendorError("purpose_invalid", rule="files.purpose", place="form purpose", problem=problem)
    given = [part for part in parts if part.name == "files" and part.filename]
    if not given:
        raise VendorError(
            "parameters_invalid", rule="files.form", place="form files", problem="has no file; send at least one"
        )
    quota = _quota(call)
    call.strike_down("submit", KINDS)

    made = [(_file(call, part, text, purpose), part.data) for part, text in zip_longest(given, texts[: len(given)])]

    def step(account: Account) -> tuple[list[tuple[File, bytes]], list[dict[str, str]]]:
        kept, failed = [], []
        for file, content in made:
            refused = _refused(account, quota, file)
            if refused is not None:
                failed.append({"name": file.name, **worded(refused.reason, refused.details)})
                call.trace.explain(refused.rule, refused.place, refused.problem)
                continue
            account.files_made += 1
            account.files[file.id] = replace(file, number=FIRST_NUMBER + account.files_made)
            kept.append((file, content))
        return kept, failed

    kept, failed = call.change(step)
    for file, content in kept:
        call.world.keep(file.id, content)
    uploaded = [{"name": file.name, "file_id": file.id} for file, _ in kept]
    return {"data": {"uploaded_files": uploaded, "failed_uploads": failed}, "request_id": call.request_id}


def _read_form(call: Call) -> list[Part]:
    body = call.request.body
    most = int(catalogue.limits()["upload_body_bytes"])
    if len(body) > most:
        problem = f"is larger than {most} bytes, which is all that the mock takes"
        raise VendorError("too_large", rule="upload.size", place="body", problem=problem)
    try:
        return call.terms.read_form(call.request.headers.get("content-type", ""), body)
    except ValueError as error:
        raise VendorError(
            "parameters_invalid", rule="files.form", place="body", problem=f"is no multipart form: {error}"
        ) from None


def _digest(parts: list[Part]) -> str:
    """What tells one upload from another. The body would not do: the boundaries in it are random."""
    digest = hashlib.blake2b(digest_size=8)
    for part in parts:
        digest.update(repr((part.name, part.filename, len(part.data))).encode())
        digest.update(part.data)
    return digest.hexdigest()


def _quota(call: Call) -> dict[str, int]:
    """How many files and bytes the account may keep; a scenario may have it keep less."""
    asked = carried_by_headers(call.request, call.terms.plan)
    names = (call.key.scenario, call.world.scenario if asked is None else asked.scenario)
    call.trace.scenarios = tuple(name for name in names if name)
    rows = [catalogue.scenario(name).quota for name in call.trace.scenarios]
    return dict(next((row for row in rows if row is not None), catalogue.limits()["files"]))


def _refused(account: Account, quota: dict[str, int], file: File) -> VendorError | None:
    most, space = quota["files"], quota["bytes"]
    if len(account.files) >= most:
        problem = f"{most} files are kept already; delete some"
        return VendorError(
            "files_too_many", rule="files.number", place="form files", problem=problem, used=most, most=most
        )
    used = sum(file.picture.bytes for file in account.files.values())
    if used + file.picture.bytes > space:
        problem = f"{file.picture.bytes} bytes do not fit: {used} of {space} are used"
        return VendorError(
            "files_too_large", rule="files.space", place="form files", problem=problem, used=used, most=space
        )
    return None


def _name(part: Part) -> str:
    """The file's own name, without the folders that some clients send along."""
    name = (part.filename or "").replace("\\", "/").rpartition("/")[2][:MOST_NAME]
    return "file" if name in ("", ".", "..") else name


def _file(call: Call, part: Part, description: str | None, purpose: str | None) -> File:
    """The file in a part of the form, not yet numbered."""
    digest = hashlib.md5(part.data, usedforsecurity=False).digest()
    return File(
        id=call.world.new_id(),
        number=0,
        name=_name(part),
        description=description or "",
        purpose=purpose,
        md5=base64.b64encode(digest).decode(),
        key_id=call.key.id,
        created_ms=call.now_ms,
        picture=pictures.read(part.data),
    )


def list_files(call: Call) -> dict[str, Any]:
    """``GET /api/v1/files``: a page of the account's files, the newest first. Raises VendorError."""
    given = last_values(call.request.query)
    page_no, page_size = page_asked(given)
    files = call.change(lambda account: list(reversed(account.files.values())))
    first = (page_no - 1) * page_size
    data = {
        "total": len(files),
        "files": [_shown(call, file) for file in files[first : first + page_size]],
        "page_size": page_size,
        "page_no": page_no,
    }
    return {"data": data, "request_id": call.request_id}


def get(call: Call, file_id: str) -> dict[str, Any]:
    """``GET /api/v1/files/{file_id}``. Raises VendorError (400) when the account has no such file."""
    file = call.change(lambda account: _known(account, file_id))
    purpose = {} if file.purpose is None else {"purpose": file.purpose}
    return {"data": {**_shown(call, file), **purpose}, "request_id": call.request_id}


def delete(call: Call, file_id: str) -> dict[str, Any]:
    """``DELETE /api/v1/files/{file_id}``. Raises VendorError (400) when the account has no such file."""

    def step(account: Account) -> None:
        del account.files[_known(account, file_id).id]

    call.change(step)
    call.world.drop(file_id)
    return {"request_id": call.request_id}


def _known(account: Account, file_id: str) -> File:
    file = account.files.get(file_id)
    if file is None:
        near = catalogue.nearest(file_id, account.files)
        hint = f"; nearest is {near}" if near else ""
        raise VendorError(
            "file_not_found", rule="files.known", place="path file_id", problem=f"this account has no such file{hint}"
        )
    return file


def _shown(call: Call, file: File) -> dict[str, Any]:
    return {
        "id": file.number,
        "name": file.name,
        "description": file.description,
        "size": file.picture.bytes,
        "md5": file.md5,
        "region": REGION,
        "file_id": file.id,
        "url": oss.file_link(call, file),
        "user_id": call.key.account_number,
        "api_key_id": file.key_id,
        "gmt_create": vendor_time(file.created_ms, millis=False),
    }
