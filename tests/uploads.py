"""What tests upload: forms written byte by byte, photos that are real files, and the steps of a temporary upload."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from io import BytesIO
from typing import Any
from urllib.parse import urlsplit

from PIL import Image
from werkzeug.test import TestResponse

from tests.conftest import Vendor

BOUNDARY = "a-boundary-of-the-tests"
FORM = f"multipart/form-data; boundary={BOUNDARY}"
FILES = "/api/v1/files"
RESOLVED = {"X-DashScope-OssResourceResolve": "enable"}
Part = tuple[str, str | None, bytes]
"""Name, filename (None for a field), content."""


def part(disposition: str, content: bytes) -> bytes:
    """One part of a form with just this header."""
    return f"--{BOUNDARY}\r\nContent-Disposition: {disposition}\r\n\r\n".encode() + content + b"\r\n"


def form(parts: Iterable[Part]) -> bytes:
    """A form of these parts, in their order."""
    written = b""
    for name, filename, content in parts:
        escaped = None if filename is None else filename.replace("\\", "\\\\").replace('"', '\\"')
        file = "" if escaped is None else f'; filename="{escaped}"'
        written += part(f'form-data; name="{name}"{file}', content)
    return written + f"--{BOUNDARY}--\r\n".encode()


def photo(width: int = 300, height: int = 300, format_: str = "JPEG", *, size: int = 0) -> bytes:
    """A real picture, filled up behind its end to ``size`` bytes."""
    file = BytesIO()
    Image.new("RGB", (width, height)).save(file, format_)
    return file.getvalue().ljust(size, b"\0")


def send_form(vendor: Vendor, body: bytes, *, content_type: str = FORM, **more: Any) -> TestResponse:
    """POST to the files with any body."""
    headers = {"X-DashScope-Async": None, **more.pop("headers", {})}
    return vendor.vendor_call("POST", FILES, data=body, content_type=content_type, headers=headers, **more)


def send_files(vendor: Vendor, *contents: bytes, **more: Any) -> TestResponse:
    """Upload each content as a file of its own."""
    return send_form(vendor, form(("files", f"{n}.jpg", content) for n, content in enumerate(contents)), **more)


def file_id(vendor: Vendor, content: bytes = b"me", **more: Any) -> str:
    """The id of a file that was uploaded."""
    (kept,) = send_files(vendor, content, **more).get_json()["data"]["uploaded_files"]
    return str(kept["file_id"])


def ask_policy(vendor: Vendor, model: str = "facechain-generation", **more: Any) -> TestResponse:
    return vendor.vendor_call("GET", f"/api/v1/uploads?action=getPolicy&model={model}", **more)


def policy(vendor: Vendor, model: str = "facechain-generation", **more: Any) -> dict[str, Any]:
    """What is under ``data`` in the policy's answer."""
    answer = ask_policy(vendor, model, **more)
    assert answer.status_code == 200, answer.text
    data: dict[str, Any] = answer.get_json()["data"]
    return data


def fields(given: Mapping[str, Any], name: str = "me.jpg") -> dict[str, str]:
    """The fields of the form post, as the vendor's page and SDK have them."""
    return {
        "OSSAccessKeyId": given["oss_access_key_id"],
        "Signature": given["signature"],
        "policy": given["policy"],
        "key": f"{given['upload_dir']}/{name}",
        "x-oss-object-acl": given["x_oss_object_acl"],
        "x-oss-forbid-overwrite": given["x_oss_forbid_overwrite"],
        "success_action_status": "200",
        "x-oss-content-type": "image/jpeg",
    }


def form_post(
    vendor: Vendor, given: Mapping[str, Any], sent: Mapping[str, str], content: bytes = b"me", **more: Any
) -> TestResponse:
    """The form post of a temporary upload, to where its policy says."""
    return post_parts(vendor, given, [*as_parts(sent), ("file", "me.jpg", content)], **more)


def as_parts(sent: Mapping[str, str]) -> list[Part]:
    return [(name, None, value.encode()) for name, value in sent.items()]


def post_parts(vendor: Vendor, given: Mapping[str, Any], parts: Iterable[Part], **more: Any) -> TestResponse:
    host = urlsplit(given["upload_host"])
    target = f"{host.path}?{host.query}" if host.query else host.path
    return vendor.call("POST", target, data=form(parts), content_type=FORM, **more)


def uploaded(
    vendor: Vendor, content: bytes | None = None, *, model: str = "facechain-generation", key: str = "sk-main"
) -> str:
    """The ``oss://`` link of a picture that was uploaded just now."""
    given = policy(vendor, model, key=key)
    sent = fields(given)
    answer = form_post(vendor, given, sent, photo(600, 600) if content is None else content)
    assert answer.status_code == 200, answer.text
    return f"oss://{sent['key']}"
