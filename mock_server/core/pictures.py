"""What a picture is like, as declared or as its file's header says, and which of the vendor's limits it breaks."""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from posixpath import splitext
from reprlib import repr as short
from struct import unpack_from
from typing import Any, Literal, Protocol
from urllib.parse import unquote, unquote_plus, urlsplit

from contracts import catalogue

HOST = "assets.facechain.test"
"""Pictures of this host are what the query of their URL says."""

Kind = Literal["user_photo", "template", "detection"]
LONGEST_SIDE = 100_000
_MOST = {
    "width": LONGEST_SIDE,
    "height": LONGEST_SIDE,
    "bytes": 10 * 1024**3,
    "faces": 1000,
    "face_px": LONGEST_SIDE,
    "angle": 180,
}
_PROPERTIES = ("format", *_MOST)
_OTHER_NAMES = {"JPG": "JPEG", "TIF": "TIFF"}
_EXTENSIONS = {"": "JPEG", ".jpg": "JPEG", ".jpeg": "JPEG", ".tif": "TIFF", ".tiff": "TIFF"} | {
    f".{name.lower()}": name for name in ("PNG", "WEBP", "BMP", "GIF", "HEIC")
}
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")


@dataclass(frozen=True, slots=True)
class Picture:
    """The properties that limits are about. ``format`` is in upper case, and empty for what is no picture."""

    format: str = "JPEG"
    width: int = 1024
    height: int = 1024
    bytes: int = 500_000
    faces: int = 1
    face_px: int = 512
    """The smaller side of the face."""
    angle: int = 0
    """Degrees by which the face is turned away."""


FINE = Picture()
"""Keeps every limit: what a picture of which nothing is known counts as."""


@dataclass(frozen=True, slots=True)
class Problem:
    """A limit that a picture breaks: ``id`` as in ``contracts/pictures.json``, and ``problem`` says it in words."""

    id: str
    problem: str


class Assets(Protocol):
    """A folder of pictures."""

    def find(self, path: str) -> Picture | None:
        """The picture at ``path``; None when there is none."""
        ...

    def nearest(self, path: str) -> str | None:
        """The path that ``path`` was probably meant to be."""
        ...


def picture_from_json(given: object, default: Picture = FINE) -> Picture:
    """Read a picture's properties; one that is left out is that of ``default``.

    Only ``face_px``, when left out beside a width or height, is half of the smaller side. A number may be
    text, as in a query. Raises ValueError that names the property and what it may be.
    """
    if not isinstance(given, Mapping):
        raise ValueError(f"picture is {short(given)}; it is an object")
    for name in given:
        if name not in _PROPERTIES:
            raise ValueError(f"picture has no property {short(name)}; {catalogue.hint(name, _PROPERTIES)}")
    read: dict[str, Any] = {name: _number(name, given[name]) for name in _MOST if name in given}
    if "format" in given:
        read["format"] = _format(given["format"])
    picture = replace(default, **read)
    if "face_px" in read or not read.keys() & {"width", "height"}:
        return picture
    return replace(picture, face_px=min(picture.width, picture.height) // 2)


def picture_to_json(picture: Picture) -> dict[str, Any]:
    """The picture as ``picture_from_json`` reads it, whatever its default."""
    return asdict(picture)


def with_properties(picture: Picture, given: Mapping[str, object]) -> Picture:
    """The picture with what somebody says of it laid over what it is. Raises ValueError."""
    return picture_from_json(given, picture)


def declared(url: str) -> Picture | None:
    """The picture that the query of a URL of ``HOST`` declares; None for another URL and for one without a query.

    A format that is left out follows from the path: ``.webp`` is WEBP, ``.txt`` is no picture, and no extension
    is JPEG. Raises ValueError that names the property and what it may be.
    """
    try:
        parts = urlsplit(url)
        is_ours = parts.scheme in ("http", "https") and parts.hostname == HOST
    except ValueError:
        return None
    if not is_ours or not parts.query:
        return None
    given: dict[str, str] = {}
    for pair in parts.query.split("&"):
        name, _, value = (_unescaped(text) for text in pair.partition("="))
        if name in given:
            raise ValueError(f"{short(name)} is given twice, as {short(given[name])} and {short(value)}")
        given[name] = value
    extension = splitext(unquote(parts.path))[1].lower().rstrip(".")
    return picture_from_json(given, Picture(format=_EXTENSIONS.get(extension, "")))


def _unescaped(text: str) -> str:
    try:
        if not _BAD_ESCAPE.search(text):
            return unquote_plus(text, errors="strict")
    except UnicodeDecodeError:
        pass
    raise ValueError(f"the query holds {short(text)}, which is not percent-encoded UTF-8")


def _number(name: str, given: object) -> int:
    number = int(given) if isinstance(given, str) and re.fullmatch("[0-9]{1,12}", given) else given
    if isinstance(number, int) and not isinstance(number, bool) and 0 <= number <= _MOST[name]:
        return number
    raise ValueError(f"{name} is {short(given)}; it is a whole number from 0 to {_MOST[name]}")


def _format(given: object) -> str:
    if isinstance(given, str) and re.fullmatch("[A-Za-z0-9]{0,16}", given):
        return _OTHER_NAMES.get(given.upper(), given.upper())
    raise ValueError(
        f"format is {short(given)}; it is up to 16 letters or digits such as jpeg, and empty for no picture"
    )


# -- limits -----------------------------------------------------------------------------------------------------------


def problem(picture: Picture, kind: Kind, behaviours: Mapping[str, str]) -> Problem | None:
    """The first limit that the picture breaks as what it is used for; None when it keeps them all."""
    return next(_problems(picture, kind, behaviours), None)


def _problems(picture: Picture, kind: Kind, behaviours: Mapping[str, str]) -> Iterator[Problem]:
    limit = catalogue.limits()["images"][kind]
    inside = int(kind != "detection" and behaviours.get("photo-bounds") == "strict")  # 1: the bounds are outside

    if picture.format not in limit["formats"]:
        *most, last = limit["formats"]
        what = picture.format or "no picture, or a damaged one"
        yield Problem("format", f"is {what}; format is {', '.join(most)} or {last}")
    if picture.bytes > limit["max_bytes"] - inside:
        yield Problem("bytes", f"is {picture.bytes} bytes; it is at most {limit['max_bytes'] - inside}")

    sides = {side: (limit[f"min_{side}"] + inside, limit[f"max_{side}"] - inside) for side in ("width", "height")}
    turned = kind == "template" and behaviours.get("template-turned") == "yes"
    too_long = _outside(sides, picture.width, picture.height)
    if too_long and not (turned and not _outside(sides, picture.height, picture.width)):
        names = sides if turned else too_long
        bounds = " and ".join(f"{side} is {sides[side][0]} to {sides[side][1]}" for side in names)
        or_turned = ", or the other way round" if turned else ""
        yield Problem("resolution", f"is {picture.width}x{picture.height} px; {bounds}{or_turned}")

    if picture.faces == 0:
        yield Problem("face", "shows no face; it shows 1")
    if picture.faces > limit.get("faces", 1):
        yield Problem("faces", f"shows {picture.faces} faces; it shows {limit.get('faces', 1)}")
    if picture.face_px < limit.get("min_face_px", 0):
        yield Problem("face-size", f"shows a face of {picture.face_px} px; it is at least {limit['min_face_px']}")
    if picture.angle > limit.get("max_angle_degrees", picture.angle):
        yield Problem(
            "angle", f"shows a face turned by {picture.angle} degrees; it is at most {limit['max_angle_degrees']}"
        )


def _outside(sides: Mapping[str, tuple[int, int]], width: int, height: int) -> list[str]:
    lengths = {"width": width, "height": height}
    return [side for side, (least, most) in sides.items() if not least <= lengths[side] <= most]


# -- files ------------------------------------------------------------------------------------------------------------
# Headers are read here and not by Pillow: of a file made to harm, Pillow takes seconds and hundreds of megabytes to say
# the size (a JPEG of empty segments, a WEBP's canvas), refuses to say it (a huge one), or warns (a TIFF).

_MOST_PARTS = 50_000
"""Segments, chunks or tags that are looked at: far more than a camera writes, and soon read."""
_MARKER = re.compile(rb"\xff+([^\xff])")
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_BMP_HEADERS = (12, 40, 52, 56, 64, 108, 124)
_ZIP = (b"PK\3\4", b"PK\5\6", b"PK\7\x08")
Header = tuple[int, int, bool]
"""Width, height, and whether the file has its end, where that is soon seen."""


def read(data: bytes, length: int | None = None) -> Picture:
    """What a file says of itself, read from its header: format, width, height and length. Takes any bytes.

    A JPEG or PNG without its end counts as no picture: it is an upload that broke off, and whoever decodes it would
    refuse it. ``length`` is that of the whole file when ``data`` is only its beginning, whose end nobody then misses.
    A side is said up to ``LONGEST_SIDE``, and a face is taken to be half as wide as the picture.
    """
    blank = Picture(format="", width=0, height=0, bytes=len(data) if length is None else length)
    for start, format_, header_of in _HEADERS:
        if data.startswith(start):
            try:
                header = header_of(data)
            except (struct.error, OverflowError):  # it breaks off, or points behind the end
                return blank
            if header is None or 0 in header[:2] or not (header[2] or length is not None):
                return blank
            width, height = (min(side, LONGEST_SIDE) for side in header[:2])
            return replace(blank, format=format_, width=width, height=height, face_px=min(width, height) // 2)
    return replace(blank, format="ZIP") if data.startswith(_ZIP) else blank


def _jpeg(data: bytes) -> Header | None:
    at = 2
    for _ in range(_MOST_PARTS):
        marker = _MARKER.match(data, at)
        if marker is None:
            return None
        at = marker.end()
        (length,) = unpack_from(">H", data, at)
        if marker[1][0] in _FRAMES:
            height, width = unpack_from(">HH", data, at + 3)
            return width, height, data.rfind(b"\xff\xd9", at + length) > 0  # what stands before is a thumbnail's end
        at += length
    return None


def _png(data: bytes) -> Header | None:
    length, kind, width, height, check = unpack_from(">I4sII5xI", data, 8)
    if (length, kind, check) != (13, b"IHDR", zlib.crc32(data[12:29])):
        return None
    at = 33
    for _ in range(_MOST_PARTS):
        if at + 12 > len(data):
            break
        length, kind = unpack_from(">I4s", data, at)
        at += 12 + length
        if kind == b"IEND":
            return width, height, at <= len(data)
    return width, height, False


def _webp(data: bytes) -> Header | None:
    kind = data[8:16]
    if kind == b"WEBPVP8 " and data[23:26] == b"\x9d\1\x2a":
        width, height = unpack_from("<HH", data, 26)
        return width & 0x3FFF, height & 0x3FFF, True
    if kind == b"WEBPVP8L" and data[20:21] == b"\x2f":
        (bits,) = unpack_from("<I", data, 21)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1, True
    if kind == b"WEBPVP8X":
        low, high, low_too, high_too = unpack_from("<HBHB", data, 24)
        return (high << 16 | low) + 1, (high_too << 16 | low_too) + 1, True
    return None


def _gif(data: bytes) -> Header:
    width, height = unpack_from("<HH", data, 6)
    return width, height, True


def _bmp(data: bytes) -> Header | None:
    (header,) = unpack_from("<I", data, 14)
    width, height = unpack_from("<HH" if header == 12 else "<ii", data, 18)
    if header not in _BMP_HEADERS or width < 0:
        return None
    return width, abs(height), True  # a height below 0 is of rows from top to bottom


def _tiff(data: bytes) -> Header | None:
    order = "<" if data.startswith(b"II") else ">"
    first, number, step, value_at = ("8xQ", "Q", 20, 12) if 43 in data[2:4] else ("4xI", "H", 12, 8)
    (start,) = unpack_from(order + first, data)
    (count,) = unpack_from(order + number, data, start)
    start += struct.calcsize(order + number)
    sides: dict[int, int] = {}
    for at in range(start, start + step * min(count, _MOST_PARTS), step):
        tag, kind = unpack_from(order + "HH", data, at)
        if tag in (256, 257) and kind in (3, 4):
            (sides[tag],) = unpack_from(order + ("H" if kind == 3 else "I"), data, at + value_at)
    return (sides[256], sides[257], True) if len(sides) == 2 else None


_HEADERS: tuple[tuple[bytes, str, Callable[[bytes], Header | None]], ...] = (
    (b"\xff\xd8\xff", "JPEG", _jpeg),
    (b"\x89PNG\r\n\x1a\n", "PNG", _png),
    (b"RIFF", "WEBP", _webp),
    (b"GIF87a", "GIF", _gif),
    (b"GIF89a", "GIF", _gif),
    (b"BM", "BMP", _bmp),
    (b"II*\0", "TIFF", _tiff),
    (b"MM\0*", "TIFF", _tiff),
    (b"II+\0", "TIFF", _tiff),
    (b"MM\0+", "TIFF", _tiff),
)
