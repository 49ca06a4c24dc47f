"""The pictures that submissions show: what is known of each, and whether it will do. Nothing is ever fetched."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Literal, NamedTuple
from urllib.parse import unquote, urlsplit

from contracts import catalogue
from mock_server.core import pictures
from mock_server.core.gateway import Call, shown
from mock_server.core.journal import MOST_PICTURES
from mock_server.core.lifecycle import HOUR_MS
from mock_server.core.model import Account, VendorError
from mock_server.core.pictures import FINE, Picture
from mock_server.core.scenarios import ASSETS_HOST, HOST_SUFFIX

OSS_SCHEME = "oss://"
MOST_HINTS = 5
RESOLVE_HEADER = "x-dashscope-ossresourceresolve"
Limits = Literal["user_photo", "template", "detection"]


class Shown(NamedTuple):
    """One picture of a submission: where it stands in the body, its URL, and which limits it has to keep."""

    place: str
    url: str
    limits: Limits


def first_flaw(call: Call, account: Account, shown_pictures: Sequence[Shown], model: str) -> VendorError | None:
    """Why the first picture that will not do is refused; None when all of them will.

    Raises VendorError as ``require_resolving`` does, and when the properties that a URL declares are none.
    """
    require_resolving(call, shown_pictures)
    flaws = [flaw(call, account, picture, model) for picture in shown_pictures]
    return next((found for found in flaws if found is not None), None)


def require_resolving(call: Call, shown_pictures: Sequence[Shown]) -> None:
    """Raises VendorError when a link of a temporary upload comes without the header that has it resolved."""
    link = next((picture for picture in shown_pictures if picture.url.startswith(OSS_SCHEME)), None)
    given = call.request.headers.get(RESOLVE_HEADER)
    if link is not None and (given or "").strip().lower() != "enable":
        problem = "is missing" if given is None else f"is {shown(given)}"
        raise VendorError(
            "media_format",
            rule="oss.resolve-header",
            place="header X-DashScope-OssResourceResolve",
            problem=f"{problem}, and {link.place} is an oss:// link; send enable",
        )


def flaw(call: Call, account: Account, picture: Shown, model: str) -> VendorError | None:
    """Why this picture will not do; None when it will. Raises VendorError when what its URL declares is nonsense."""
    if len(call.trace.pictures) < MOST_PICTURES:
        call.trace.pictures += (digest(picture.url),)
    try:
        found = _find(call, account, picture, model)
    except VendorError as error:
        return error
    except ValueError as error:
        text = str(error)
        raise VendorError("request_invalid", rule="picture.asset", place=picture.place, problem=text) from None
    return flaw_of(call, found, picture)


def flaw_of(call: Call, found: Picture, picture: Shown) -> VendorError | None:
    """Why ``found`` will not do as the picture that is shown; None when it will."""
    problem = pictures.problem(_in_this_light(call, found), picture.limits, call.terms.behaviours)
    if problem is None:
        return None
    reason = catalogue.picture_problems()[problem.id].error
    return VendorError(reason, rule=f"picture.{problem.id}", place=picture.place, problem=problem.problem)


def digest(url: str) -> str:
    """A short name for a URL, by which the journal knows it again."""
    return hashlib.blake2b(url.encode(), digest_size=8).hexdigest()


def _find(call: Call, account: Account, picture: Shown, model: str) -> Picture:
    """What is known of the picture. Raises VendorError when it cannot be had, ValueError when it declares nonsense."""
    url = picture.url
    declared = call.world.asset(url) or pictures.declared(url)
    if declared is not None:
        return declared
    if url.startswith(OSS_SCHEME):
        return _uploaded(call, account, picture, model)
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").lower()
    except ValueError as error:
        problem = f"{shown(url)} is no URL: {error}"
        raise VendorError("invalid_url", rule="picture.download", place=picture.place, problem=problem) from None
    assets = call.terms.assets
    if host == f"{ASSETS_HOST}{HOST_SUFFIX}" and assets is not None:
        path = unquote(parts.path).removeprefix("/")
        found = assets.find(path)
        if found is None:
            near = assets.nearest(path) if _is_among_the_first(call) else None
            hint = f"; nearest is {near!r}" if near else ""
            problem = f"{shown(path)} is not in the folder of pictures that --assets names{hint}"
            raise VendorError("media_unreachable", rule="picture.download", place=picture.place, problem=problem)
        return found
    if not host.endswith(HOST_SUFFIX) and not call.terms.accepts_unknown_images:
        near = catalogue.nearest(url, call.world.assets()) if _is_among_the_first(call) else None
        hint = f"; nearest is {near!r}" if near else ""
        problem = f"{shown(url)} is a picture that nobody declared, and --unknown-images refuse is chosen{hint}"
        raise VendorError("invalid_url", rule="picture.known", place=picture.place, problem=problem)
    return FINE


def _is_among_the_first(call: Call) -> bool:
    """Whether there is time to look for what was meant: of a long list nobody reads more."""
    return len(call.trace.pictures) <= MOST_HINTS


def _uploaded(call: Call, account: Account, picture: Shown, model: str) -> Picture:
    """The picture of a temporary upload, for the same account and model, and for 48 hours."""
    upload = account.uploads.get(picture.url.removeprefix(OSS_SCHEME))
    hours = int(catalogue.limits()["upload_hours"])
    rule = "picture.download"
    if upload is None:
        problem = "is no upload of this account"
    elif upload.model != model:
        problem = f"was uploaded for {upload.model}, not for {model}"
    elif call.now_ms - upload.made_ms >= hours * HOUR_MS:
        rule, problem = "upload.expiry", f"was uploaded more than {hours} hours ago"
    else:
        return upload.picture
    raise VendorError("media_unreachable", rule=rule, place=picture.place, problem=problem)


def _in_this_light(call: Call, picture: Picture) -> Picture:
    """The picture as the scenarios of the call have it seen."""
    for name in call.trace.scenarios:
        seen = catalogue.scenario(name).pictures
        if seen is not None:
            picture = pictures.with_properties(picture, seen)
    return picture
