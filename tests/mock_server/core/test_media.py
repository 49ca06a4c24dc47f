"""The pictures behind result links: sound files, told apart, and plainly mocks."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from io import BytesIO
from itertools import combinations
from random import Random
from typing import Literal

import pytest
from PIL import ExifTags, Image, ImageChops, ImageStat

from contracts.catalogue import schema
from mock_server.core import media
from mock_server.core.media import Portrait, read_properties, render_portrait

STYLES = schema("portrait-request")["$defs"]["style"]["enum"]
A_PORTRAIT = Portrait("1a2b3c4d-9e2f-4c1a-8b7d-0f1e2d3c4b5a", 2, "f_autumnleaf_female", 7, "jpeg")
WEIRD_TEXTS = ["", "W" * 100_000, "i" * 100, "人像写真", "a\nb\tc\0d", "\ud800", "👩🏽" * 500, "%s {0} </x>"]


@pytest.fixture(autouse=True)
def _no_picture_is_kept_between_tests() -> None:
    render_portrait.cache_clear()


def opened(portrait: Portrait) -> Image.Image:
    image = Image.open(BytesIO(render_portrait(portrait)))
    image.load()
    return image


@pytest.mark.parametrize("file_format", ["jpeg", "png"])
def test_a_picture_opens_in_its_format_and_size(file_format: Literal["jpeg", "png"]) -> None:
    image = opened(replace(A_PORTRAIT, format=file_format))
    assert (image.format, image.size, image.mode) == (file_format.upper(), (768, 1024), "RGB")


def test_another_format_is_refused() -> None:
    with pytest.raises(ValueError, match="'jpeg' or 'png', not 'gif'"):
        render_portrait(replace(A_PORTRAIT, format="gif"))  # type: ignore[arg-type]  # what is tested


@pytest.mark.parametrize("file_format", ["jpeg", "png"])
def test_the_same_portrait_is_the_same_bytes_when_it_is_drawn_again(
    file_format: Literal["jpeg", "png"],
) -> None:
    portrait = replace(A_PORTRAIT, format=file_format)
    first = render_portrait(portrait)
    render_portrait.cache_clear()
    assert render_portrait(portrait) == first


def test_a_repeated_link_is_not_drawn_again() -> None:
    assert render_portrait(A_PORTRAIT) is render_portrait(replace(A_PORTRAIT))


@pytest.mark.parametrize("style", STYLES)
def test_the_pictures_of_a_task_differ_visibly(style: str) -> None:
    pictures = [opened(replace(A_PORTRAIT, style=style, index=index)) for index in (1, 2, 3, 4)]
    scenes = [picture.crop((0, 0, media.WIDTH, media.BAR_TOP)) for picture in pictures]
    for one, other in combinations(scenes, 2):
        assert max(ImageStat.Stat(ImageChops.difference(one, other)).mean) > 5  # of 255


@pytest.mark.parametrize("change", [{"task_id": "another"}, {"seed": 8}, {"style": "f_idcard_male"}])
def test_task_seed_and_style_make_another_picture(change: dict[str, str]) -> None:
    assert render_portrait(replace(A_PORTRAIT, **change)) != render_portrait(A_PORTRAIT)  # type: ignore[arg-type]


def test_every_style_of_the_contract_has_a_look() -> None:
    assert set(media.LOOKS) == set(STYLES)


def test_looks_name_drawings_and_drawings_name_tones_that_exist() -> None:
    tones = {*media._tones(media.STUDIO, Random(0), 0), *media._shades("tint", "#000000")}
    for look in (*media.LOOKS.values(), media.STUDIO):
        hairs = look.hairs or f"{media.SHORT} {media.LONG}"
        named = {"face", *look.outfits.split(), *hairs.split(), look.motif, look.scattered} - {""}
        assert named <= set(media.DRAWINGS)
    for drawing in media.DRAWINGS:
        assert {part.tone for part in media._parts(drawing) if part.tone[0] != "#"} <= tones


def test_an_unknown_style_gets_a_plain_picture_with_its_own_name() -> None:
    assert opened(replace(A_PORTRAIT, style="m_spaceopera_male")).size == (768, 1024)


@pytest.mark.parametrize("file_format", ["jpeg", "png"])
def test_a_picture_holds_its_properties(file_format: Literal["jpeg", "png"]) -> None:
    assert read_properties(render_portrait(replace(A_PORTRAIT, format=file_format))) == {
        "task_id": A_PORTRAIT.task_id,
        "index": 2,
        "style": "f_autumnleaf_female",
        "seed": 7,
        "mock": True,
    }


def test_the_properties_stand_where_other_programs_look_for_them() -> None:
    exif = opened(A_PORTRAIT).getexif()
    assert exif[ExifTags.Base.ImageDescription] == A_PORTRAIT.properties()
    assert exif[ExifTags.Base.Software] == "facechain-testkit"
    chunks = opened(replace(A_PORTRAIT, format="png")).info
    assert (chunks["Description"], chunks["Software"]) == (A_PORTRAIT.properties(), "facechain-testkit")


@pytest.mark.parametrize("file_format", ["jpeg", "png"])
@pytest.mark.parametrize("text", WEIRD_TEXTS, ids=range(len(WEIRD_TEXTS)))
def test_weird_ids_and_styles_break_nothing(text: str, file_format: Literal["jpeg", "png"]) -> None:
    data = render_portrait(Portrait(text, -(10**30), text, -1, file_format))
    assert Image.open(BytesIO(data)).size == (768, 1024)
    assert read_properties(data)["task_id"] == text[:200]
    assert len(data) < 400_000


@pytest.mark.parametrize("style", STYLES)
def test_a_jpeg_is_light(style: str) -> None:
    assert len(render_portrait(replace(A_PORTRAIT, style=style))) < 120_000


def test_threads_that_draw_at_once_get_the_same_pictures() -> None:
    portraits = [replace(A_PORTRAIT, style=style) for style in STYLES[:6]] * 2
    alone = [render_portrait(portrait) for portrait in portraits]
    render_portrait.cache_clear()
    with ThreadPoolExecutor(6) as threads:
        assert list(threads.map(render_portrait, portraits)) == alone


def test_importing_the_module_does_not_import_pillow() -> None:
    code = "import sys, mock_server.core.media; sys.exit('PIL' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
