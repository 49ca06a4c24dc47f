"""What a picture is: as somebody declares it, as its file's header says, and against the vendor's limits."""

from __future__ import annotations

import struct
import subprocess
import sys
import time
import tracemalloc
import zlib
from contextlib import suppress
from dataclasses import replace
from functools import cache
from io import BytesIO
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from contracts import catalogue
from mock_server.core.pictures import (
    FINE,
    HOST,
    LONGEST_SIDE,
    Kind,
    Picture,
    declared,
    picture_from_json,
    picture_to_json,
    problem,
    read,
    with_properties,
)
from mock_server.core.scenarios import ASSETS_HOST, HOST_SUFFIX

MADE_UP = settings(max_examples=100, derandomize=True, deadline=None, database=None)
STRICT = {"photo-bounds": "strict"}
TURNED = {"template-turned": "yes"}
KINDS: tuple[Kind, ...] = ("user_photo", "template", "detection")
MIB = 1024**2
NO_PICTURE = Picture(format="", width=0, height=0, bytes=0)

# -- limits -----------------------------------------------------------------------------------------------------------

INSIDE: dict[Kind, list[dict[str, Any]]] = {
    "user_photo": [
        {"format": "JPEG"},
        {"format": "JPG"},
        {"format": "PNG"},
        {"bytes": 3_145_727},
        {"width": 257},
        {"width": 2047},
        {"height": 257},
        {"height": 2047},
        {"faces": 1},
        {"face_px": 128},
        {"face_px": 100_000},
        {"angle": 0},
        {"angle": 15},
    ],
    "template": [
        {"format": "JPEG"},
        {"format": "JPG"},
        {"format": "PNG"},
        {"bytes": 5_242_879},
        {"width": 513},
        {"width": 1679},
        {"height": 513},
        {"height": 1259},
        {"faces": 1},
        {"face_px": 0},
        {"angle": 180},
    ],
    "detection": [
        {"format": "JPEG"},
        {"format": "JPG"},
        {"format": "PNG"},
        {"format": "WEBP"},
        {"bytes": 5_242_880},
        {"width": 256},
        {"width": 4096},
        {"height": 256},
        {"height": 4096},
        {"faces": 1},
        {"face_px": 128},
        {"angle": 15},
    ],
}
"""Properties within the limits, next to them, however the bounds are read."""

ON_THE_BOUND: dict[Kind, list[tuple[dict[str, Any], str]]] = {
    "user_photo": [
        ({"bytes": 3_145_728}, "bytes"),
        ({"width": 256}, "resolution"),
        ({"width": 2048}, "resolution"),
        ({"height": 256}, "resolution"),
        ({"height": 2048}, "resolution"),
    ],
    "template": [
        ({"bytes": 5_242_880}, "bytes"),
        ({"width": 512}, "resolution"),
        ({"width": 1680}, "resolution"),
        ({"height": 512}, "resolution"),
        ({"height": 1260}, "resolution"),
    ],
}
"""Properties that fit while the bounds are inclusive, and what they break when they are not."""

OUTSIDE: dict[Kind, list[tuple[dict[str, Any], str]]] = {
    "user_photo": [
        *(({"format": name}, "format") for name in ("WEBP", "BMP", "GIF", "TIFF", "HEIC", "ZIP", "")),
        ({"bytes": 3_145_729}, "bytes"),
        ({"width": 255}, "resolution"),
        ({"width": 2049}, "resolution"),
        ({"height": 255}, "resolution"),
        ({"height": 2049}, "resolution"),
        ({"faces": 0}, "face"),
        ({"faces": 2}, "faces"),
        ({"face_px": 127}, "face-size"),
        ({"angle": 16}, "angle"),
    ],
    "template": [
        *(({"format": name}, "format") for name in ("WEBP", "BMP", "GIF", "TIFF", "HEIC", "ZIP", "")),
        ({"bytes": 5_242_881}, "bytes"),
        ({"width": 511}, "resolution"),
        ({"width": 1681}, "resolution"),
        ({"height": 511}, "resolution"),
        ({"height": 1261}, "resolution"),
        ({"faces": 0}, "face"),
        ({"faces": 2}, "faces"),
    ],
    "detection": [
        *(({"format": name}, "format") for name in ("BMP", "GIF", "TIFF", "HEIC", "ZIP", "")),
        ({"bytes": 5_242_881}, "bytes"),
        ({"width": 255}, "resolution"),
        ({"width": 4097}, "resolution"),
        ({"height": 255}, "resolution"),
        ({"height": 4097}, "resolution"),
        ({"faces": 0}, "face"),
        ({"faces": 2}, "faces"),
        ({"face_px": 127}, "face-size"),
    ],
}


def found(kind: Kind, properties: dict[str, Any], behaviours: dict[str, str]) -> str | None:
    """The id of what is wrong with a picture that is fine but for ``properties``."""
    wrong = problem(replace(FINE, **properties), kind, behaviours)
    return None if wrong is None else wrong.id


@pytest.mark.parametrize(
    "behaviours", [{}, {"photo-bounds": "inclusive"}, STRICT], ids=["unsaid", "inclusive", "strict"]
)
@pytest.mark.parametrize(("kind", "properties"), [(kind, each) for kind, rows in INSIDE.items() for each in rows])
def test_a_picture_next_to_a_limit_keeps_it(kind: Kind, properties: dict[str, Any], behaviours: dict[str, str]) -> None:
    assert found(kind, properties, behaviours) is None


@pytest.mark.parametrize(
    ("kind", "properties", "id_"), [(kind, *each) for kind, rows in ON_THE_BOUND.items() for each in rows]
)
def test_a_picture_on_a_bound_fits_unless_bounds_are_strict(kind: Kind, properties: dict[str, Any], id_: str) -> None:
    assert found(kind, properties, {}) is None
    assert found(kind, properties, {"photo-bounds": "inclusive"}) is None
    assert found(kind, properties, STRICT) == id_


@pytest.mark.parametrize(
    "behaviours", [{}, {"photo-bounds": "inclusive"}, STRICT], ids=["unsaid", "inclusive", "strict"]
)
@pytest.mark.parametrize(
    ("kind", "properties", "id_"), [(kind, *each) for kind, rows in OUTSIDE.items() for each in rows]
)
def test_a_picture_just_beyond_a_limit_breaks_it(
    kind: Kind, properties: dict[str, Any], id_: str, behaviours: dict[str, str]
) -> None:
    assert found(kind, properties, behaviours) == id_


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("behaviours", [{}, STRICT, TURNED, {**STRICT, **TURNED}])
def test_a_fine_picture_keeps_every_limit(kind: Kind, behaviours: dict[str, str]) -> None:
    assert problem(FINE, kind, behaviours) is None


@pytest.mark.parametrize("kind", KINDS)
def test_a_picture_with_every_flaw_shows_them_one_after_another_in_the_contracts_order(kind: Kind) -> None:
    flaws: dict[str, dict[str, Any]] = {
        "format": {"format": "GIF"},
        "bytes": {"bytes": 10 * MIB},
        "resolution": {"width": 10_000},
        "face": {"faces": 0},
        "faces": {"faces": 2},
        "face-size": {"face_px": 1},
        "angle": {"angle": 90},
    }
    assert list(flaws) == list(catalogue.picture_problems())
    left = dict(flaws)
    order = []
    while wrong := found(kind, {name: value for each in reversed(left.values()) for name, value in each.items()}, {}):
        order.append(wrong)
        del left[wrong]
    kept = {"face-size", "angle"} if kind == "template" else set()
    assert order == [id_ for id_ in flaws if id_ not in kept]


@pytest.mark.parametrize(
    ("width", "height", "fits"),
    [
        (1680, 1260, True),
        (1260, 1680, True),
        (1261, 1680, False),
        (1260, 1681, False),
        (1680, 1261, False),
        (512, 512, True),
        (511, 1680, False),
        (1680, 1680, False),
    ],
)
def test_a_template_may_be_turned_when_that_is_chosen(width: int, height: int, fits: bool) -> None:
    turned = {"width": width, "height": height}
    assert (found("template", turned, TURNED) is None) is fits
    assert (found("template", turned, {}) is None) is (fits and height <= 1260)
    assert (found("template", turned, {"template-turned": "no"}) is None) is (fits and height <= 1260)


def test_a_turned_template_keeps_strict_bounds_too() -> None:
    both = {**STRICT, **TURNED}
    assert found("template", {"width": 1259, "height": 1679}, both) is None
    assert found("template", {"width": 1260, "height": 1679}, both) == "resolution"


def test_only_a_template_may_be_turned() -> None:
    assert found("user_photo", {"width": 2049, "height": 300}, TURNED) == "resolution"


@pytest.mark.parametrize(
    ("kind", "properties", "behaviours", "words"),
    [
        ("user_photo", {"format": "WEBP"}, {}, "is WEBP; format is JPEG, JPG or PNG"),
        ("detection", {"format": ""}, {}, "is no picture, or a damaged one; format is JPEG, JPG, PNG or WEBP"),
        ("user_photo", {"bytes": 3_145_729}, {}, "is 3145729 bytes; it is at most 3145728"),
        ("user_photo", {"bytes": 3_145_728}, STRICT, "is 3145728 bytes; it is at most 3145727"),
        ("user_photo", {"width": 2049}, {}, "is 2049x1024 px; width is 256 to 2048"),
        ("user_photo", {"height": 256}, STRICT, "is 1024x256 px; height is 257 to 2047"),
        ("detection", {"width": 1, "height": 2}, {}, "is 1x2 px; width is 256 to 4096 and height is 256 to 4096"),
        (
            "template",
            {"width": 1681},
            TURNED,
            "is 1681x1024 px; width is 512 to 1680 and height is 512 to 1260, or the other way round",
        ),
        ("template", {"faces": 0}, {}, "shows no face; it shows 1"),
        ("detection", {"faces": 3}, {}, "shows 3 faces; it shows 1"),
        ("detection", {"face_px": 127}, {}, "shows a face of 127 px; it is at least 128"),
        ("user_photo", {"angle": 16}, {}, "shows a face turned by 16 degrees; it is at most 15"),
    ],
)
def test_a_problem_says_what_is_and_what_may_be(
    kind: Kind, properties: dict[str, Any], behaviours: dict[str, str], words: str
) -> None:
    wrong = problem(replace(FINE, **properties), kind, behaviours)
    assert wrong is not None
    assert wrong.problem == words


# -- declarations -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ({}, FINE),
        ({"format": "jpg"}, FINE),
        ({"format": "Webp"}, Picture(format="WEBP")),
        ({"format": "tif"}, Picture(format="TIFF")),
        ({"format": "x3f"}, Picture(format="X3F")),
        ({"format": ""}, Picture(format="")),
        ({"faces": 0}, Picture(faces=0)),
        ({"faces": "1000"}, Picture(faces=1000)),
        ({"angle": "020"}, Picture(angle=20)),
        ({"angle": 180}, Picture(angle=180)),
        ({"bytes": 10 * 1024**3}, Picture(bytes=10 * 1024**3)),
        ({"width": 300}, Picture(width=300, face_px=150)),
        ({"height": "257"}, Picture(height=257, face_px=128)),
        ({"width": 0, "height": 100_000}, Picture(width=0, height=100_000, face_px=0)),
        ({"width": 300, "face_px": 90}, Picture(width=300, face_px=90)),
        ({"face_px": 90}, Picture(face_px=90)),
    ],
)
def test_what_a_declaration_leaves_out_is_fine(written: dict[str, Any], expected: Picture) -> None:
    assert picture_from_json(written) == expected


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ([], "picture is []; it is an object"),
        (None, "picture is None; it is an object"),
        ({"face": 1}, "picture has no property 'face'; nearest is 'faces'"),
        ({"with": 1}, "picture has no property 'with'; nearest is 'width'"),
        ({"": 1}, "picture has no property ''; known are format, width, height, bytes, faces, face_px, angle"),
        ({1: 1}, "picture has no property 1; known are "),
        ({"Width": 1}, "picture has no property 'Width'; nearest is 'width'"),
        ({"width": 100_001}, "width is 100001; it is a whole number from 0 to 100000"),
        ({"height": -1}, "height is -1; it is a whole number from 0 to 100000"),
        ({"height": "-1"}, "height is '-1'; it is a whole number from 0 to 100000"),
        ({"bytes": 10 * 1024**3 + 1}, "bytes is 10737418241; it is a whole number from 0 to 10737418240"),
        ({"faces": 1001}, "faces is 1001; it is a whole number from 0 to 1000"),
        ({"faces": True}, "faces is True; it is"),
        ({"faces": 1.0}, "faces is 1.0; it is"),
        ({"faces": None}, "faces is None; it is"),
        ({"faces": ""}, "faces is ''; it is"),
        ({"faces": " 1"}, "faces is ' 1'; it is"),
        ({"faces": "١"}, "faces is '١'; it is"),
        ({"faces": "9" * 5000}, "faces is '999999999999...9999999999999'; it is"),
        ({"face_px": 100_001}, "face_px is 100001; it is a whole number from 0 to 100000"),
        ({"angle": 181}, "angle is 181; it is a whole number from 0 to 180"),
        ({"format": 1}, "format is 1; it is up to 16 letters or digits"),
        ({"format": "image/jpeg"}, "format is 'image/jpeg'; it is up to 16 letters or digits"),
        ({"format": "a" * 17}, "format is 'aaaaaaaaaaaaaaaaa'; it is up to 16 letters or digits"),
        ({"format": "jpeg\n"}, "format is 'jpeg\\n'; it is up to 16 letters or digits"),
        ({"format": "ß"}, "format is 'ß'; it is up to 16 letters or digits"),
    ],
)
def test_a_wrong_property_is_named(written: object, words: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011  # the words are compared below
        picture_from_json(written)
    assert str(caught.value).startswith(words)


PICTURES = st.builds(
    Picture,
    format=st.from_regex("[A-Z0-9]{0,16}", fullmatch=True).filter(lambda name: name not in ("JPG", "TIF")),
    width=st.integers(0, LONGEST_SIDE),
    height=st.integers(0, LONGEST_SIDE),
    bytes=st.integers(0, 10 * 1024**3),
    faces=st.integers(0, 1000),
    face_px=st.integers(0, LONGEST_SIDE),
    angle=st.integers(0, 180),
)


@MADE_UP
@given(PICTURES, PICTURES)
def test_a_picture_that_is_written_down_is_read_again(picture: Picture, default: Picture) -> None:
    assert picture_from_json(picture_to_json(picture), default) == picture
    query = "&".join(f"{name}={value}" for name, value in picture_to_json(picture).items())
    assert declared(f"https://{HOST}/any.txt?{query}") == picture


@MADE_UP
@given(PICTURES, st.sampled_from(KINDS), st.sampled_from([{}, STRICT, TURNED]))
def test_any_picture_can_be_judged(picture: Picture, kind: Kind, behaviours: dict[str, str]) -> None:
    wrong = problem(picture, kind, behaviours)
    assert wrong is None or wrong.id in catalogue.picture_problems()


def test_what_is_said_of_a_picture_is_laid_over_what_it_is() -> None:
    picture = Picture(format="PNG", width=300, height=400, bytes=7, face_px=150)
    assert with_properties(picture, {}) == picture
    assert with_properties(picture, {"faces": 2, "face_px": 90}) == replace(picture, faces=2, face_px=90)
    assert with_properties(picture, {"height": 200}) == replace(picture, height=200, face_px=100)
    with pytest.raises(ValueError, match="nearest is 'angle'"):
        with_properties(picture, {"angel": 1})


def test_the_host_is_the_one_that_scenarios_leave_alone() -> None:
    assert f"{ASSETS_HOST}{HOST_SUFFIX}" == HOST


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (
            f"https://{HOST}/any.jpg?width=300&format=webp&faces=2",
            Picture(format="WEBP", width=300, faces=2, face_px=150),
        ),
        ("HTTP://Assets.FaceChain.TEST:8443/any.jpg?angle=20", Picture(angle=20)),
        (f"https://me:secret@{HOST}?angle=20", Picture(angle=20)),
        (f"https://{HOST}/?angle=20#top", Picture(angle=20)),
        (f"https://{HOST}/any?angle=20", Picture(angle=20)),
        (f"https://{HOST}/any.?angle=20", Picture(angle=20)),
        (f"https://{HOST}/a.b/any?angle=20", Picture(angle=20)),
        (f"https://{HOST}/.jpg?angle=20", Picture(angle=20)),
        (f"https://{HOST}/any.JPEG?angle=20", Picture(angle=20)),
        (f"https://{HOST}/any.png?angle=20", Picture(format="PNG", angle=20)),
        (f"https://{HOST}/any.Webp?angle=20", Picture(format="WEBP", angle=20)),
        (f"https://{HOST}/any%2Ebmp?angle=20", Picture(format="BMP", angle=20)),
        (f"https://{HOST}/any.gif?angle=20", Picture(format="GIF", angle=20)),
        (f"https://{HOST}/any.tif?angle=20", Picture(format="TIFF", angle=20)),
        (f"https://{HOST}/any.tiff?angle=20", Picture(format="TIFF", angle=20)),
        (f"https://{HOST}/any.heic?angle=20", Picture(format="HEIC", angle=20)),
        (f"https://{HOST}/any.txt?angle=20", Picture(format="", angle=20)),
        (f"https://{HOST}/any.jpg.html?angle=20", Picture(format="", angle=20)),
        (f"https://{HOST}/any.txt?format=png", Picture(format="PNG")),
        (f"https://{HOST}/any.png?%66ormat=j%70g", FINE),
    ],
)
def test_a_url_declares_its_picture(url: str, expected: Picture) -> None:
    assert declared(url) == expected


@pytest.mark.parametrize(
    "url",
    [
        "",
        "any.jpg?width=300",
        f"//{HOST}/any.jpg?width=300",
        f"ftp://{HOST}/any.jpg?width=300",
        f"oss://{HOST}/any.jpg?width=300",
        f"https://{HOST}/any.jpg",
        f"https://{HOST}/any.jpg?",
        f"https://{HOST}/any.jpg#?width=300",
        f"https://x.{HOST}/any.jpg?width=300",
        f"https://{HOST}.example/any.jpg?width=300",
        f"https://other.example/{HOST}?width=300&x=1",
        f"https://{HOST}@other.example/any.jpg?width=300",
        f"https://[{HOST}/any.jpg?width=300",
        "https://[::1]/any.jpg?width=300",
        f"https://{HOST}\u2100/any.jpg?width=300",
    ],
)
def test_another_url_declares_nothing(url: str) -> None:
    assert declared(url) is None


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("faces=1&faces=1", "'faces' is given twice, as '1' and '1'"),
        ("v=3", "picture has no property 'v'"),
        ("face=3", "picture has no property 'face'; nearest is 'faces'"),
        ("faces", "faces is ''; it is a whole number"),
        ("faces=+1", "faces is ' 1'; it is a whole number"),
        ("faces=1&", "picture has no property ''"),
        ("faces=1;angle=2", "faces is '1;angle=2'; it is a whole number"),
        ("faces=%zz", "the query holds '%zz', which is not percent-encoded UTF-8"),
        ("faces=%2", "the query holds '%2', which is not percent-encoded UTF-8"),
        ("faces=%ff", "the query holds '%ff', which is not percent-encoded UTF-8"),
        ("%C0%AF=1", "the query holds '%C0%AF', which is not percent-encoded UTF-8"),
        ("format=../x", "format is '../x'; it is up to 16 letters or digits"),
    ],
)
def test_a_url_that_declares_nonsense_is_refused(query: str, words: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011  # the words are compared below
        declared(f"https://{HOST}/any.jpg?{query}")
    assert str(caught.value).startswith(words)


@MADE_UP
@given(st.text() | st.text(alphabet="%&=+;widthformat0129").map(lambda query: f"https://{HOST}/a.b?{query}"))
def test_any_text_is_a_declaration_or_none_or_a_value_error(url: str) -> None:
    with suppress(ValueError):
        assert isinstance(declared(url), Picture | None)


# -- files ------------------------------------------------------------------------------------------------------------


@cache
def encoded(format_: str, size: tuple[int, int] = (300, 200), mode: str = "RGB", **options: Any) -> bytes:
    """A file as Pillow writes it."""
    file = BytesIO()
    Image.new(mode, size).save(file, format_, **options)
    return file.getvalue()


def animated(format_: str) -> bytes:
    """Two frames in one file."""
    file = BytesIO()
    frames = [Image.effect_noise((300, 200), sigma).convert("RGB") for sigma in (20, 90)]
    frames[0].save(file, format_, save_all=True, append_images=frames[1:])
    return file.getvalue()


def says(data: bytes) -> tuple[str, int, int]:
    picture = read(data)
    assert picture.bytes == len(data)
    return picture.format, picture.width, picture.height


def segment(marker: int, body: bytes = b"") -> bytes:
    return b"\xff" + bytes([marker]) + struct.pack(">H", len(body) + 2) + body


def chunk(kind: bytes, body: bytes = b"") -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png_claiming(width: int, height: int) -> bytes:
    sound = encoded("PNG")
    return sound[:8] + chunk(b"IHDR", struct.pack(">II", width, height) + sound[24:29]) + sound[33:]


JPEG, PNG, WEBP, GIF, BMP, TIFF = (encoded(name) for name in ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"))
FILES = {"JPEG": JPEG, "PNG": PNG, "WEBP": WEBP, "GIF": GIF, "BMP": BMP, "TIFF": TIFF}
VARIANTS: dict[str, bytes] = {
    "jpeg-progressive": encoded("JPEG", progressive=True),
    "jpeg-grey": encoded("JPEG", mode="L"),
    "jpeg-cmyk": encoded("JPEG", mode="CMYK"),
    "jpeg-profile": encoded("JPEG", icc_profile=b"p" * 300_000),
    "jpeg-exif": encoded("JPEG", exif=b"Exif\0\0" + b"x" * 60_000),
    "jpeg-comment": encoded("JPEG", comment=b"\xff\xd9\xff\xc0"),
    "jpeg-widest": encoded("JPEG", size=(65_500, 1), mode="L"),
    "jpeg-padded": JPEG[:2] + b"\xff" * 99 + JPEG[2:],
    "jpeg-arithmetic-frame": JPEG.replace(b"\xff\xc0", b"\xff\xc9"),
    **{f"png-{mode}": encoded("PNG", mode=mode) for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")},
    "png-profile": encoded("PNG", icc_profile=b"p" * 300_000),
    "png-animated": animated("PNG"),
    "webp-lossless": encoded("WEBP", lossless=True),
    "webp-alpha": encoded("WEBP", mode="RGBA"),
    "webp-exif": encoded("WEBP", exif=b"Exif\0\0" + b"x" * 99),
    "webp-animated": animated("WEBP"),
    "webp-odd": encoded("WEBP", size=(1, 16_383), lossless=True),
    "webp-odd-lossy": encoded("WEBP", size=(1001, 3)),
    "gif-animated": animated("GIF"),
    **{f"bmp-{mode}": encoded("BMP", mode=mode) for mode in ("1", "L", "P", "RGB", "RGBA")},
    "bmp-from-top": BMP[:22] + struct.pack("<i", -200) + BMP[26:],
    "bmp-os2": b"BM" + struct.pack("<IIIIHHHH", 26 + 900, 0, 26, 12, 300, 1, 1, 24) + bytes(900),
    **{f"tiff-{mode}": encoded("TIFF", mode=mode) for mode in ("1", "L", "CMYK", "RGBA", "F")},
    "tiff-pages": animated("TIFF"),
    "tiff-big": encoded("TIFF", big_tiff=True),
    "tiff-deflate": encoded("TIFF", compression="tiff_adobe_deflate"),
    "tiff-wide": encoded("TIFF", size=(70_000, 1), mode="1"),
    "tiff-big-endian": encoded("TIFF", mode="I;16B"),
}


@pytest.mark.parametrize("format_", ["JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF"])
@pytest.mark.parametrize("size", [(1, 1), (300, 200), (255, 257), (4097, 3)])
def test_a_file_says_what_it_is(format_: str, size: tuple[int, int]) -> None:
    data = encoded(format_, size)
    side = min(size)
    assert read(data) == Picture(format_, *size, bytes=len(data), face_px=side // 2)


@pytest.mark.parametrize("data", VARIANTS.values(), ids=VARIANTS)
def test_every_kind_of_file_is_read_as_pillow_reads_it(data: bytes) -> None:
    with Image.open(BytesIO(data)) as image:
        assert says(data) == (image.format, *image.size)


def test_a_pair_of_pictures_in_one_jpeg_is_a_jpeg() -> None:
    assert says(animated("MPO")) == ("JPEG", 300, 200)


def test_pillow_is_not_needed() -> None:
    script = (
        "import sys; sys.modules['PIL'] = None; from mock_server.core.pictures import read; print(read(b'GIF89aabcd'))"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "format='GIF', width=25185" in run.stdout


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0" * 999,
        b"hello",
        b"BMW is a car, and no picture at all, whatever its first letters say",
        b"BM" + b"\xff" * 99,
        b"RIFF\0\0\0\0WAVEfmt " + bytes(99),
        b"<html><body>not found</body></html>",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"%PDF-1.7\n" + bytes(99),
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 300 200\n",
        encoded("EPS"),
        encoded("ICO"),
        encoded("PPM"),
        encoded("TGA"),
        encoded("PCX"),
        b"\0\0\0\x18ftypheic" + bytes(99),
        b"\n" + JPEG,
        JPEG[1:],
        b"\xef\xbb\xbf" + PNG,
        JPEG.hex().encode(),
    ],
)
def test_what_is_no_picture_has_no_format(data: bytes) -> None:
    assert read(data) == replace(NO_PICTURE, bytes=len(data))


@pytest.mark.parametrize("data", [b"PK\3\4" + bytes(26), b"PK\5\6" + bytes(18), b"PK\7\x08PK\3\4"])
def test_an_archive_is_told_apart(data: bytes) -> None:
    assert read(data) == replace(NO_PICTURE, format="ZIP", bytes=len(data))


@pytest.mark.parametrize(
    "tail", [b"PK\3\4archive", b"<script>alert(1)</script>", b"\0" * 99, b"\r\n", JPEG, PNG, b"\xff"]
)
def test_what_stands_behind_a_picture_does_not_make_it_another(tail: bytes) -> None:
    for name, data in FILES.items():
        assert says(data + tail) == (name, 300, 200)


def test_a_gif_that_is_a_script_too_is_a_gif() -> None:
    assert says(GIF[:6] + b"/*/*" + GIF[10:] + b"*/=1;alert(1)") == ("GIF", 0x2A2F, 0x2A2F)


def test_a_jpeg_or_png_cut_anywhere_is_no_picture() -> None:
    for data in (encoded("JPEG", (9, 9)), encoded("JPEG", (9, 9), progressive=True), encoded("PNG", (9, 9))):
        assert read(data).format
        for end in range(len(data)):
            assert read(data[:end]) == replace(NO_PICTURE, bytes=end)


def test_the_end_of_a_thumbnail_is_not_the_end_of_the_picture() -> None:
    whole = encoded("JPEG", exif=b"Exif\0\0" + encoded("JPEG", size=(30, 20)))
    assert says(whole) == ("JPEG", 300, 200)
    assert says(whole[:-2]) == ("", 0, 0)


@pytest.mark.parametrize("name", ["WEBP", "GIF", "BMP", "TIFF"])
def test_another_file_cut_behind_its_header_is_what_its_header_says(name: str) -> None:
    data = FILES[name]
    seen = {says(data[:end]) for end in range(9, len(data), 7)}
    assert seen == {(name, 300, 200), ("", 0, 0)}


def test_the_beginning_of_a_long_file_is_not_taken_for_a_cut_one() -> None:
    for name in ("JPEG", "PNG"):
        data = FILES[name]
        beginning = data[: len(data) // 2]
        assert read(beginning).format == ""
        assert read(beginning, 99_000_000) == Picture(name, 300, 200, bytes=99_000_000, face_px=100)
    assert read(b"", 99_000_000) == replace(NO_PICTURE, bytes=99_000_000)


@pytest.mark.parametrize(
    "data",
    [
        png_claiming(0, 200),
        png_claiming(300, 0),
        PNG[:20] + b"\1" + PNG[21:],  # a header whose checksum is wrong
        PNG[:11] + b"\x0e" + PNG[12:],  # of 14 bytes
        PNG[:12] + b"iHDR" + PNG[16:],
        PNG[:33] + b"\xff\xff\xff\xff" + PNG[37:],  # a chunk of 4 GiB
        PNG[:33] + struct.pack(">I", len(PNG)) + PNG[37:],
        JPEG[:4] + b"\xff\xff" + JPEG[6:],  # a segment of 64 KiB
        JPEG[:4] + b"\0\0" + JPEG[6:],
        JPEG[:2] + b"\0" + JPEG[2:],
        JPEG.replace(struct.pack(">HH", 200, 300), bytes(4)),
        GIF[:6] + bytes(4) + GIF[10:],
        BMP[:18] + struct.pack("<ii", -300, 200) + BMP[26:],
        BMP[:18] + bytes(8) + BMP[26:],
        BMP[:14] + b"\x29" + BMP[15:],
        TIFF[:4] + b"\xff\xff\xff\xff" + TIFF[8:],
        TIFF[:4] + b"\0\0\0\0" + TIFF[8:],
        b"II+\0" + struct.pack("<HHQ", 8, 0, 2**64 - 1),
        WEBP[:12] + b"VP9 " + WEBP[16:],
        WEBP[:23] + bytes(3) + WEBP[26:],
    ],
)
def test_a_header_that_cannot_be_is_none(data: bytes) -> None:
    assert says(data) == ("", 0, 0)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (png_claiming(60_000, 60_000), ("PNG", 60_000, 60_000)),
        (png_claiming(2**31 - 1, 2**32 - 1), ("PNG", LONGEST_SIDE, LONGEST_SIDE)),
        (GIF[:6] + b"\xff\xff\xff\xff" + GIF[10:], ("GIF", 65_535, 65_535)),
        (b"RIFF\0\0\0\0WEBPVP8X" + bytes(8) + b"\xff" * 6, ("WEBP", LONGEST_SIDE, LONGEST_SIDE)),
        (b"RIFF\0\0\0\0WEBPVP8X" + bytes(8) + b"\x9f\x86\1\x9e\x86\1", ("WEBP", 100_000, 99_999)),
        (BMP[:18] + b"\xff\xff\xff\x7f\0\0\0\x80" + BMP[26:], ("BMP", LONGEST_SIDE, LONGEST_SIDE)),
        (
            b"II*\0\x08\0\0\0\2\0" + struct.pack("<HHII", 256, 4, 1, 60_000) + struct.pack("<HHII", 257, 4, 1, 60_000),
            ("TIFF", 60_000, 60_000),
        ),
        (
            JPEG.replace(struct.pack(">HH", 200, 300), b"\xff\xff\xff\xff"),
            ("JPEG", 65_535, 65_535),
        ),
    ],
)
def test_a_bomb_is_as_large_as_it_claims_and_takes_no_room(data: bytes, expected: tuple[str, int, int]) -> None:
    assert says(data) == expected
    assert picture_from_json(picture_to_json(read(data))) == read(data)


SLOW = {
    "segments of nothing": lambda: JPEG[:2] + segment(0xE3) * (4 * MIB) + JPEG[2:],
    "segments of Exif": lambda: JPEG[:2] + segment(0xE1, b"Exif\0\0") * (16 * MIB // 10) + JPEG[2:],
    "padding without end": lambda: JPEG[:2] + b"\xff" * (16 * MIB),
    "no end of the picture": lambda: JPEG[:-2] + b"\xff\xff" * (8 * MIB),
    "chunks of nothing": lambda: PNG[:33] + chunk(b"tEXt") * (16 * MIB // 12) + PNG[33:],
    "chunks that grow": lambda: PNG[:33] + chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(MIB))) * 9000 + PNG[33:],
    "a profile that grows": lambda: PNG[:33] + chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(64 * MIB))) + PNG[33:],
    "a million tags": lambda: (
        struct.pack("<2sHHHQQ", b"II", 43, 8, 0, 16, MIB) + struct.pack("<HHQQ", 300, 3, 1, 9) * (16 * MIB // 20)
    ),
}


@pytest.mark.parametrize("make", SLOW.values(), ids=SLOW)
def test_a_file_made_to_be_slow_is_read_quickly_and_in_little_room(make: Any) -> None:
    data = make()
    tracemalloc.start()
    try:
        before = time.process_time()
        read(data)
        assert time.process_time() - before < 3  # tens of milliseconds, but for a busy machine and tracemalloc
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()


STARTS = (
    b"\xff\xd8\xff",
    b"\x89PNG\r\n\x1a\n",
    b"RIFF....WEBPVP8",
    b"GIF89a",
    b"BM",
    b"II*\0",
    b"MM\0*",
    b"II+\0",
    b"MM\0+",
)


def harmless(data: bytes) -> None:
    """Reading ``data`` neither raises nor, as warnings are errors here, warns; and gives a picture like any other."""
    picture = read(data)
    assert picture_from_json(picture_to_json(picture)) == picture
    assert (picture.format in ("", "ZIP")) == (picture.width == 0 or picture.height == 0)
    assert picture.bytes == len(data)


@MADE_UP
@given(st.binary() | st.builds(bytes.__add__, st.sampled_from(STARTS), st.binary(max_size=200)))
def test_any_bytes_can_be_read(data: bytes) -> None:
    harmless(data)


@MADE_UP
@given(
    st.sampled_from([*FILES.values(), *VARIANTS.values()]),
    st.lists(st.tuples(st.integers(0, 300), st.binary(min_size=1, max_size=8)), min_size=1, max_size=4),
    st.integers(0, 400),
)
def test_any_damaged_header_can_be_read(data: bytes, changes: list[tuple[int, bytes]], cut: int) -> None:
    damaged = bytearray(data)
    for at, new in changes:
        damaged[at : at + len(new)] = new
    harmless(bytes(damaged))
    harmless(bytes(damaged[: len(damaged) - cut]))
    harmless(bytes(damaged[:cut]))


@MADE_UP
@given(st.integers(1, 2000), st.integers(1, 2000), st.sampled_from(list(FILES)))
def test_any_size_is_read_as_it_was_written(width: int, height: int, format_: str) -> None:
    file = BytesIO()
    Image.new("1" if format_ in ("BMP", "TIFF") else "L", (width, height)).save(file, format_)
    assert says(file.getvalue()) == (format_, width, height)
