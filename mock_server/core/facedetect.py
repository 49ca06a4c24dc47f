"""Face detection: which of some photos show a face that can be used. Answered at once, free of charge."""

from __future__ import annotations

from typing import Any

from contracts import catalogue
from mock_server.core import gallery, submission
from mock_server.core.faults import KINDS
from mock_server.core.gallery import Shown
from mock_server.core.gateway import Call, count, shown, worded
from mock_server.core.journal import MOST_PICTURES
from mock_server.core.model import DETECTION_MODEL, Account, VendorError

MOST_EXPLAINED = 9
MOST_IMAGES = 1_000

_UNDETECTABLE = frozenset(
    {
        "picture.download",
        "upload.expiry",
        "picture.known",
        "picture.format",
        "picture.bytes",
        "picture.resolution",
    }
)
"""What is wrong with these is not the face; the vendor does not say how it answers."""

_UNSEEN = frozenset({"picture.download", "upload.expiry"})
"""Such a picture was not looked at; for another model, or uploaded anew, it may do."""


def detect(call: Call) -> dict[str, Any]:
    """``POST /api/v1/services/vision/facedetection/detect``. Raises VendorError."""
    _require_sync(call)
    submitted = submission.judged(call, DETECTION_MODEL)
    call.trace.intent = submitted.intent

    def step(account: Account) -> list[VendorError | None]:
        limit = int(catalogue.limits()["models"][DETECTION_MODEL]["submissions_per_second"])
        count(call, account, "detections", rule="rate.detections", limit=limit, what="detections")
        if submitted.refused is not None:
            raise submitted.refused.again()
        submission.require_good_standing(call, submitted, DETECTION_MODEL)
        call.strike_down("submit", KINDS)
        images = submitted.content["input"]["images"]
        if len(images) > MOST_IMAGES:
            problem = f"holds {len(images)} pictures; the mock looks at {MOST_IMAGES} at once"
            raise VendorError("parameters_invalid", rule="mock.images", place="input.images", problem=problem)
        listed = [Shown(f"input.images.{index}", url, "detection") for index, url in enumerate(images)]
        gallery.require_resolving(call, listed)
        flaws = [gallery.flaw(call, account, picture, DETECTION_MODEL) for picture in listed]
        seen = zip(listed, flaws, strict=True)
        refused = [picture for picture, flaw in seen if flaw is not None and flaw.rule not in _UNSEEN]
        call.trace.refused = tuple(gallery.digest(picture.url) for picture in refused[:MOST_PICTURES])
        _explain(call, [flaw for flaw in flaws if flaw is not None])
        return flaws

    flaws = call.change(step)
    if call.terms.behaviours["detection-limits"] == "refuse":
        beyond = next((flaw for flaw in flaws if flaw is not None and flaw.rule in _UNDETECTABLE), None)
        if beyond is not None:
            raise VendorError("parameters_invalid", rule=beyond.rule, place=beyond.place, problem=beyond.problem)
    return {
        "output": {
            "is_face": [flaw is None for flaw in flaws],
            "failed_reason": ["" if flaw is None else _reason(flaw) for flaw in flaws],
        },
        "usage": {},
        "request_id": call.request_id,
    }


def _explain(call: Call, flaws: list[VendorError]) -> None:
    """Say what is wrong with each picture, the first few of them."""
    if flaws:
        first, *others = flaws
        more = "".join(f"; {flaw.rule} at {flaw.place}: {flaw.problem}" for flaw in others[:MOST_EXPLAINED])
        call.trace.explain(first.rule, first.place, first.problem + more)


def _require_sync(call: Call) -> None:
    given = call.request.headers.get("x-dashscope-async", "")
    value = given.strip().lower()
    place = "header X-DashScope-Async"
    if value == "enable":
        raise VendorError(
            "async_not_supported",
            rule="async.header.unsupported",
            place=place,
            problem="is enable, and detection answers at once; leave it out",
        )
    if value not in ("", "disable"):
        raise VendorError(
            "async_header_invalid",
            rule="async.header.value",
            place=place,
            problem=f"is {shown(given)}; leave it out",
        )


def _reason(flaw: VendorError) -> str:
    """The words of ``failed_reason``. Only one of them is published; ``contracts/pictures.json`` says which."""
    problem = catalogue.picture_problems().get(flaw.rule.removeprefix("picture."))
    return worded(flaw.reason, flaw.details)["message"] if problem is None else problem.reason
