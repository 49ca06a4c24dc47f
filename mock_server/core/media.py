"""Draws the pictures behind result links: a stylised portrait in the vendor's style, plainly a mock.

What is drawn stands in the tables below; ``Sheet`` puts it on paper. Pillow is imported at the first
picture, so that a server which serves none starts without it.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from random import Random
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from PIL import Image

WIDTH, HEIGHT, BAR_TOP = 768, 1024, 892
SOFTWARE = "facechain-testkit"
MOCK_MARK = "MOCK - facechain-testkit, not a real portrait"

Point = tuple[float, float]


@dataclass(frozen=True)
class Portrait:
    """One picture of a task: all that decides its bytes."""

    task_id: str
    index: int  # from 1
    style: str  # the vendor's word; one we do not know gets a plain studio look
    seed: int
    format: Literal["jpeg", "png"]

    def properties(self) -> str:
        """ASCII JSON that is kept inside the file; texts are cut to 200 characters, to fit a JPEG segment."""
        texts = {"task_id": self.task_id[:200], "style": self.style[:200]}
        return json.dumps({**texts, "index": self.index, "seed": self.seed, "mock": True})


@lru_cache(maxsize=64)
def render_portrait(portrait: Portrait) -> bytes:
    """The file of a picture, 768x1024 RGB; the same bytes for the same ``portrait``.

    Skin and colour of hair follow from task and seed; haircut, clothes, backdrop and pose change with the
    index too. So the pictures of a task differ and yet belong together.
    """
    if portrait.format not in ("jpeg", "png"):
        raise ValueError(f"format must be 'jpeg' or 'png', not {portrait.format!r}")
    look = LOOKS.get(portrait.style, STUDIO)
    sitter = Random(ascii((portrait.task_id, portrait.seed)))
    sitting = Random(ascii((portrait.task_id, portrait.seed, portrait.index)))
    turn = sitter.randrange(60) + portrait.index
    tones = _tones(look, sitter, turn)
    hair = _in_turn(look.hairs or sitter.choice((SHORT, LONG)), turn)
    flip = sitting.choice((-1, 1))
    head = Pose(x=sitting.uniform(-8, 8), turn=sitting.uniform(-3, 3), flip=flip)

    image = _background(look, _in_turn(look.backdrops, turn), sitting)
    sheet = Sheet(image, 2)
    sheet.draw(f"{hair} behind", tones, head)
    sheet.draw(_in_turn(look.outfits, turn), tones, Pose(flip=flip))
    sheet.draw("face", tones, head)
    sheet.draw(hair, tones, head)
    image = image.reduce(2)
    _draw_captions(image, portrait, look)
    return _encoded(image, portrait)


def read_properties(data: bytes) -> dict[str, object]:
    """The properties inside a picture: ``task_id``, ``style``, ``index``, ``seed`` and ``mock``."""
    from PIL import Image

    with Image.open(BytesIO(data)) as image:
        properties: dict[str, object] = json.loads(image.info["comment"])
    return properties


def _encoded(image: Image.Image, portrait: Portrait) -> bytes:
    from PIL import ExifTags, Image, PngImagePlugin

    file, properties = BytesIO(), portrait.properties()
    if portrait.format == "png":
        chunks = PngImagePlugin.PngInfo()
        for keyword, text in (("comment", properties), ("Description", properties), ("Software", SOFTWARE)):
            chunks.add_text(keyword, text)
        image.save(file, "PNG", pnginfo=chunks, compress_level=2)
    else:
        exif = Image.Exif()
        exif[ExifTags.Base.ImageDescription] = properties
        exif[ExifTags.Base.Software] = SOFTWARE
        image.save(file, "JPEG", quality=85, exif=exif, comment=properties)
    return file.getvalue()


def _background(look: Look, backdrop: str, chance: Random) -> Image.Image:
    """Backdrop and motifs at twice the size; motifs are drawn small and blurred, for depth, then sharp."""
    from PIL import Image, ImageFilter, ImageOps

    top, bottom = backdrop.split("/")
    small = ImageOps.colorize(Image.linear_gradient("L"), top, bottom).resize((WIDTH // 8, HEIGHT // 8))
    lit = Image.blend(small, Image.new("RGB", small.size, "#ffffff"), 0.28)
    small = Image.composite(small, lit, Image.radial_gradient("L").resize(small.size))
    _draw_motifs(Sheet(small, 1 / 8), look, chance)
    soft = small.filter(ImageFilter.GaussianBlur(1.6)).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)
    image = soft.resize((WIDTH * 2, HEIGHT * 2), Image.Resampling.NEAREST)
    _draw_motifs(Sheet(image, 2), look, chance)
    return image


def _draw_motifs(sheet: Sheet, look: Look, chance: Random) -> None:
    sheet.draw(look.motif, {})
    start = chance.random()
    for k in range(look.copies):
        x = WIDTH * ((start + k * 0.618) % 1 - 0.5)  # steps of the golden ratio spread evenly
        y = -430 + 940 * (k + chance.random()) / look.copies
        tones = _shades("tint", chance.choice(look.tints.split()))
        sheet.draw(look.scattered, tones, Pose(x, y, chance.uniform(0.5, 1.1), chance.uniform(0, 360)))


def _tones(look: Look, sitter: Random, turn: int) -> dict[str, str]:
    skin, hair = sitter.choice(COMPLEXIONS.split()).split("/")
    return {
        **_shades("skin", skin),
        **_shades("hair", hair),
        **_shades("cloth", _in_turn(look.cloths, turn)),
        **_shades("accent", _in_turn(look.accents, turn)),
        "skin-dark": _mix(skin, "#7a2f1d", 0.28),
        "blush": _mix(skin, "#e0565b", 0.2),
        "lips": _mix(skin, "#b3303f", 0.3 if look.hairs == SHORT else 0.5),
        "brow": _mix(hair, "#20140f", 0.3),
        "ink": "#2a1c1a",
    }


def _draw_captions(image: Image.Image, portrait: Portrait, look: Look) -> None:
    from PIL import ImageDraw, ImageFont

    draw = ImageDraw.Draw(image)

    def write(text: str, x: int, y: int, size: int, colour: str, room: int, anchor: str = "ls") -> None:
        font = ImageFont.load_default(size)
        text = "".join(c if " " <= c <= "~" else "?" for c in text[:100])
        while font.getlength(text) > room:
            text = text[:-4] + "..."
        draw.text((x, y), text, colour, font, anchor)

    if look.frame:
        left, top, right, bottom = 22, 22, WIDTH - 23, BAR_TOP - 23
        draw.rectangle((left, top, right, bottom), outline="#ffffff", width=3)
        for x, y in ((left, top), (right, top), (left, bottom), (right, bottom)):
            draw.rectangle((x - 9, y - 9, x + 9, y + 9), "#ffffff", "#3a4a5c", 3)
        write(look.frame, WIDTH // 2, 68, 28, "#ffffff", WIDTH, "ms")
    draw.rectangle((0, BAR_TOP, WIDTH, HEIGHT), "#16181d")
    draw.rectangle((0, BAR_TOP, WIDTH, BAR_TOP + 4), look.accents.split()[0])
    write(portrait.style, 32, BAR_TOP + 50, 38, "#ffffff", 704)
    write(f"task {portrait.task_id}", 32, BAR_TOP + 84, 22, "#c9ced8", 560)
    write(f"picture {portrait.index}", WIDTH - 32, BAR_TOP + 84, 22, "#c9ced8", 130, "rs")
    write(MOCK_MARK, 32, BAR_TOP + 115, 22, "#ffc857", 704)


class Pose(NamedTuple):
    """Where a drawing goes: from the middle of the face, y downwards, in pixels of the finished picture."""

    x: float = 0
    y: float = 0
    size: float = 1
    turn: float = 0  # degrees, clockwise
    flip: int = 1  # -1 mirrors


IN_THE_MIDDLE = Pose()


class Sheet:
    """Paper with ``scale`` pixels for a finished one: 2 to be reduced smoothly, below 1 to be blurred."""

    def __init__(self, image: Image.Image, scale: float) -> None:
        from PIL import ImageDraw

        self._scale = scale
        self._opaque, self._glass = ImageDraw.Draw(image), ImageDraw.Draw(image, "RGBA")

    def draw(self, drawing: str, tones: Mapping[str, str], pose: Pose = IN_THE_MIDDLE) -> None:
        """Puts a drawing of the table on the paper, in ``tones``: #rrggbb by its word for a colour."""
        cos = math.cos(math.radians(pose.turn)) * pose.size * self._scale
        sin = math.sin(math.radians(pose.turn)) * pose.size * self._scale
        left, top = (WIDTH / 2 + pose.x) * self._scale, (408 + pose.y) * self._scale
        for part in _parts(drawing):
            colour = tones.get(part.tone, part.tone)
            pen = self._opaque if len(colour) == 7 else self._glass
            turned = ((x * pose.flip, y) for x, y in part.outline)
            points = [(left + x * cos - y * sin, top + x * sin + y * cos) for x, y in turned]
            if not part.width:
                pen.polygon(points, colour)
                continue
            width = max(1, round(part.width * pose.size * self._scale))
            pen.line(points, colour, width, "curve")
            for x, y in (points[0], points[-1]):
                r = width / 2 - 1
                if r > 0:
                    pen.ellipse((x - r, y - r, x + r, y + r), colour)


class Part(NamedTuple):
    """One shape of a drawing: filled, or a stroke if it has a ``width``."""

    outline: tuple[Point, ...]
    tone: str
    width: float


@lru_cache(maxsize=64)
def _parts(drawing: str) -> tuple[Part, ...]:
    """The parts of a drawing of the table, back to front; none if it is not there."""
    parts: list[Part] = []
    for line in DRAWINGS.get(drawing, "").strip().splitlines():
        how, tone, *pairs = line.split()
        if how == "with":
            parts += _parts(tone)
            continue
        kind, _, width = how.partition(":")
        given = [(float(x), float(y)) for x, y in (pair.split(",") for pair in pairs)]
        outline = tuple(_outline(kind.removesuffix("s"), given))
        parts.append(Part(outline, tone, float(width or 0)))
        if kind.endswith("s"):
            parts.append(Part(tuple((-x, y) for x, y in outline), tone, float(width or 0)))
    return tuple(parts)


def _outline(kind: str, given: list[Point]) -> list[Point]:
    if kind == "polygon":
        return given
    if kind == "oval":
        (x, y), (rx, ry) = given
        angles = [k * math.tau / 40 for k in range(40)]
        return [(x + rx * math.cos(a), y + ry * math.sin(a)) for a in angles]
    if kind == "stroke":
        return _smooth([given[0], *given, given[-1]])
    if kind == "half":
        given = given + [(-x, y) for x, y in reversed(given) if x]
    return _smooth([*given, *given[:3]])


def _smooth(points: Sequence[Point]) -> list[Point]:
    """A Catmull-Rom curve from the second of ``points`` to the last but one."""
    curve = [points[1]]
    for a, b, c, d in zip(points, points[1:], points[2:], points[3:], strict=False):
        for t in (step / 8 for step in range(1, 9)):
            weights = (-t + 2 * t**2 - t**3, 2 - 5 * t**2 + 3 * t**3, t + 4 * t**2 - 3 * t**3, t**3 - t**2)
            near = list(zip(weights, (a, b, c, d), strict=True))
            curve.append((sum(w * p[0] for w, p in near) / 2, sum(w * p[1] for w, p in near) / 2))
    return curve


def _mix(one: str, other: str, share: float) -> str:
    """The colour ``share`` of the way from ``one`` to ``other``, all #rrggbb."""
    pairs = ((int(one[at : at + 2], 16), int(other[at : at + 2], 16)) for at in (1, 3, 5))
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in pairs)


def _shades(name: str, colour: str) -> dict[str, str]:
    lighter, darker = _mix(colour, "#ffffff", 0.16), _mix(colour, "#1a0f14", 0.3)
    return {name: colour, f"{name}-light": lighter, f"{name}-dark": darker}


def _in_turn(words: str, turn: int) -> str:
    return words.split()[turn % len(words.split())]


# A line is a part: how, tone, points as in SVG, from the middle of the face. ``blob`` is smooth and closed,
# ``half`` a blob whose right half is given, ``oval`` a centre and radii, ``stroke:5`` smooth, open, 5 wide; a
# plural has a mirror image too. ``with`` takes over another drawing. A tone is a word of ``_tones``, or
# #rrggbb, with two digits more for a translucent one.
DRAWINGS = {
    "face": """
        ovals skin-dark 113,14 15,27
        half skin 0,-150 62,-142 104,-92 114,-20 108,52 84,112 44,148 0,158
        ovals blush 68,60 25,17
        ovals ink 45,9 9,12
        oval #ffffff 48,5 3,4
        oval #ffffff -42,5 3,4
        strokes:5 ink 24,6 33,-4 47,-7 67,1
        strokes:6 brow 24,-36 46,-43 70,-33
        stroke:5 skin-dark -10,50 0,56 10,50
        blob lips -31,84 -10,86 0,88 10,86 31,84 15,101 0,105 -15,101
        stroke:3 skin-dark -31,84 0,93 31,84
    """,
    "neck": """
        half skin 50,80 49,170 58,204 30,232 0,240
        half skin-dark 49,90 49,150 36,184 0,196
    """,
    "shoulders": "half cloth 0,204 62,204 128,226 212,250 262,290 292,390 300,640 0,640",
    "suit": """
        with shoulders
        polygon #f6f4ef -64,190 64,190 50,330 0,480 -50,330
        with neck
        polygon accent -14,262 14,262 25,430 0,482 -25,430
        polygon accent-dark -21,226 21,226 14,264 -14,264
        polygons #ffffff 50,168 68,202 46,264 0,228
        polygons cloth-light 66,190 104,214 130,312 98,320 112,340 0,520 0,476 46,330
    """,
    "blazer": """
        with shoulders
        polygon accent -76,196 76,196 50,330 0,480 -50,330
        polygon skin -60,196 60,196 0,320
        with neck
        polygons cloth-light 66,190 104,214 130,312 98,320 112,340 0,520 0,476 46,330
    """,
    "sweater": """
        with shoulders
        half cloth-light 0,186 74,190 68,232 0,262
        half skin 0,180 58,186 52,218 0,238
        with neck
        strokes:4 cloth-dark 200,420 190,470 188,560
    """,
    "dress": """
        with shoulders
        half skin 0,200 60,206 98,217 74,284 0,316
        with neck
        strokes:9 cloth-light 104,218 74,284 0,316
        strokes:4 cloth-dark 200,420 190,470 188,560
    """,
    "tank": """
        half skin 0,204 62,204 128,226 212,250 262,290 292,390 300,640 0,640
        with neck
        half cloth 0,318 52,296 92,214 134,228 152,320 206,420 210,640 0,640
        strokes:10 accent 0,318 52,296 90,218
    """,
    "scarf": """
        with shoulders
        with neck
        polygon accent-dark 20,230 84,224 104,470 40,480
        half accent 0,176 62,158 106,186 112,234 70,270 0,280
        stroke:5 accent-dark -98,200 -30,236 60,222
        stroke:5 accent-dark -80,244 0,264 84,244
    """,
    "qipao": """
        with shoulders
        with neck
        polygons cloth-light 50,150 70,206 62,240 0,262 0,226
        strokes:6 accent 50,154 30,204 0,228
        stroke:6 accent 0,262 40,330 110,380 150,460
        oval accent 0,262 9,9
        oval accent 48,338 9,9
        oval accent 116,386 9,9
        ovals #fbf7f0 72,214 30,26
        ovals #fbf7f0 110,232 32,27
        ovals #fbf7f0 152,248 32,27
        ovals #fbf7f0 194,262 32,27
        ovals #fbf7f0 234,282 31,27
        ovals #fbf7f0 264,312 28,27
    """,
    "crop": """
        half hair 0,-190 70,-176 112,-136 128,-64 118,8 106,-50 86,-96 0,-110
    """,
    "parted": """
        blob hair -118,10 -126,-80 -96,-160 -20,-205 70,-190 128,-100 118,10 95,-92 40,-102 -66,-128 -108,-40
        stroke:5 hair-light -40,-160 20,-172 76,-146
    """,
    "quiff": """
        blob hair -116,4 -124,-70 -74,-186 16,-222 92,-198 126,-90 116,4 106,-55 86,-108 -50,-116 -106,-50
        stroke:6 hair-light -56,-150 0,-186 66,-170
    """,
    "curly": """
        half hair 0,-180 70,-160 116,-100 118,0 104,-66 70,-108 0,-112
        ovals hair 114,-52 22,28
        ovals hair 106,-100 32,32
        ovals hair 68,-148 40,34
        oval hair 0,-168 48,36
        ovals hair 38,-116 30,17
    """,
    "straight behind": "half hair-dark 0,-196 80,-186 134,-110 146,20 152,160 172,300 110,330 0,320",
    "straight": """
        blobs hair -4,-196 60,-188 118,-138 138,-40 140,70 126,150 114,60 104,-40 66,-96 -4,-142
        strokes:5 hair-light 40,-160 88,-124 116,-60
    """,
    "bob behind": "half hair-dark 0,-196 84,-186 138,-110 152,10 150,110 116,152 0,140",
    "bob": """
        half hair 0,-198 98,-162 138,-40 126,96 110,10 100,-58 44,-70
        stroke:6 hair-light -70,-140 0,-162 70,-140
    """,
    "wavy behind": "half hair-dark 0,-200 92,-188 148,-110 142,-20 170,60 158,130 190,210 166,290 90,306",
    "wavy": "with parted",
    "bun behind": """
        oval hair-dark 0,-206 66,56
        stroke:5 hair-light -34,-226 0,-240 34,-226
    """,
    "bun": """
        half hair 0,-190 88,-162 127,-80 117,10 104,-60 66,-112 0,-128
        stroke:5 hair-light -64,-146 0,-164 64,-146
    """,
    "ponytail behind": """
        blob hair-dark 70,-150 140,-130 176,-40 168,90 190,180 150,250 128,120 112,-20
        stroke:5 hair-light 142,-90 152,20 152,120
    """,
    "ponytail": "with bun",
    "blossom": """
        oval tint 0,-17 14,14
        ovals tint 16,-5 14,14
        ovals tint 10,14 14,14
        oval #f0b54a 0,0 8,8
    """,
    "leaf": """
        half tint 0,-46 14,-24 20,2 12,26 0,36
        stroke:3 tint-dark 0,-36 1,10 -4,54
    """,
    "flake": "oval tint 0,0 8,8",
    "bokeh": "oval #ffffff48 0,0 90,90",
    "sun and sea": """
        oval #fff3b030 206,-226 190,190
        oval #fff3b050 206,-226 146,146
        oval #ffd23f 206,-226 104,104
        blob #1f9fc4 -500,190 -260,170 0,190 260,170 500,190 500,700 -500,700
        blob #f3d9a4 -500,330 -200,310 60,336 300,312 500,330 500,800 -500,800
    """,
    "lanterns": """
        strokes:4 #dba94a 280,-600 280,-180
        strokes:6 #dba94a 280,-180 280,-62
        ovals #c8202c 280,-190 68,58
        ovals #dd3f38 280,-190 44,58
        ovals #ee6a48 280,-190 17,58
        ovals #dba94a 280,-246 28,9
        ovals #dba94a 280,-134 28,9
    """,
    "neon": """
        stroke:8 #ff4f8b -196,150 -236,20 -220,-120 -140,-226 0,-264 140,-226 220,-120 236,20 196,150
        stroke:4 #ffc15a -220,170 -264,20 -246,-134 -156,-250 0,-292 156,-250 246,-134 264,20 220,170
        stroke:7 #36d6d0 -330,-330 -330,-90
        stroke:7 #36d6d0 -304,-330 -304,-10
        stroke:7 #ff4f8b -356,-250 -356,120
        stroke:7 #ff4f8b 292,-340 292,-160
        stroke:7 #36d6d0 318,-300 318,-20
        stroke:7 #ffc15a 344,-250 344,110
    """,
    "windows": """
        polygon #ffffff20 -14,-420 14,-420 14,600 -14,600
        polygons #ffffff20 116,-420 144,-420 144,600 116,600
        polygons #ffffff20 246,-420 274,-420 274,600 246,600
    """,
    "gleam": "polygon #ffffff30 -390,-120 390,-420 390,-240 -390,60",
}
COMPLEXIONS = (  # skin/hair
    "#f8dcc8/#8f5f3a #f7d9c4/#1f1a1c #f2cbab/#5b3a2a #f0c8a8/#2d211d #e3b08a/#1f1a1c #e3b08a/#46302a "
    "#c98f66/#2a1d1a #c98f66/#4a2d20 #a06a45/#1f1a1c #7d5036/#171315"
)
SHORT = "crop parted quiff curly"
LONG = "straight bob bun wavy ponytail"


class Look(NamedTuple):
    """A style's colours and drawings; words that are given in a row are taken in turn, one a picture."""

    backdrops: str  # top/bottom
    cloths: str
    accents: str
    outfits: str
    hairs: str  # none: the sitter brings them
    motif: str = ""
    scattered: str = ""
    copies: int = 0
    tints: str = "#ffffff"  # of what is scattered
    frame: str = ""  # a word on a frame around the picture


STUDIO = Look(
    backdrops="#b9a7c9/#7e6f9c #a9bfc9/#6b8797 #d0b3a4/#9c7a70 #b3c2a6/#7d8f74",
    cloths="#46506b #7a4b5a #4f6a5e #8a6d4f",
    accents="#8f7fb5",
    outfits="sweater",
    hairs="",
)
TEMPLATE = STUDIO._replace(
    backdrops="#5b7c99/#33506b #6a8f8a/#3c625f #84789c/#524a70 #9a8273/#655044",
    accents="#6fb1e0",
    motif="gleam",
    frame="template",
)
ID_BACKDROPS = "#4f93d8/#3f84cc #fbfbfa/#eceff2 #d5383c/#c22c33 #9cc4ec/#86b3e2"
OFFICES = "#6f8296/#39485a #8b8f98/#4a4e58 #5d7486/#2f4152 #93897f/#544c46"
SUITS = "#27354f #34373f #40464f #1f2a3a"
LOOKS = {
    "f_idcard_male": Look(ID_BACKDROPS, SUITS, "#2c4a86 #7b2230 #3b3f4a", "suit", SHORT),
    "f_idcard_female": Look(ID_BACKDROPS, SUITS, "#f6f4ef #e8eef6", "blazer", "bun straight bob ponytail"),
    "f_business_male": Look(OFFICES, SUITS, "#8e2b3a #2f5a8c #5d6b3e #a0762f", "suit", SHORT, "windows"),
    "f_business_female": Look(OFFICES, "#27354f #34373f #6b5a52 #7a3342", "#f3ece2 #dfe6ee", "blazer", LONG, "windows"),
    "m_springflower_female": Look(
        backdrops="#fde6ea/#f6c3cf #e9f3df/#c6e0bd #fff1dc/#f8cfc6 #e4eefa/#dcc8e6",
        cloths="#fffaf5 #f3b9c6 #cfe3c0 #d9c7ea",
        accents="#ea7f9b",
        outfits="dress",
        hairs=LONG,
        scattered="blossom",
        copies=34,
        tints="#ffffff #f7a8bb #ef8aa5",
    ),
    "f_summersport_female": Look(
        backdrops="#4fc0ee/#bfeaf6 #35a8e8/#a6def5 #57c9de/#d2f2ee #ff9d6b/#ffd9a0",
        cloths="#ffffff #f2545b #25477a #17a398",
        accents="#ffb703",
        outfits="tank",
        hairs="ponytail bun bob",
        motif="sun and sea",
    ),
    "f_autumnleaf_female": Look(
        backdrops="#f3d7a3/#d99a55 #ecc48c/#b9683a #e8d3b0/#a9825a #f0c27a/#c2573a",
        cloths="#7a4a2f #4e4033 #5c2f2b #6b6338",
        accents="#c8502d #d98b2b #8c2f2b",
        outfits="scarf",
        hairs=LONG,
        scattered="leaf",
        copies=36,
        tints="#c8452b #e0852f #8f3b22 #e6b13c",
    ),
    "m_winterchinese_female": Look(
        backdrops="#7c95b0/#d5e0ea #5a7391/#b7c8d8 #8f9db8/#e3e6ee #44597a/#a3b5cb",
        cloths="#b3202a #c22f36 #8f1723",
        accents="#e0b04c",
        outfits="qipao",
        hairs="bun straight ponytail bob",
        motif="lanterns",
        scattered="flake",
        copies=70,
    ),
    "f_hongkongvintage_female": Look(
        backdrops="#3a1420/#6b2a22 #2b1526/#5a2440 #33201a/#7a3f22 #1d1c30/#4c2340",
        cloths="#a8232f #1f5a58 #c07a1f #5a2a5e",
        accents="#1c1418",
        outfits="blazer",
        hairs="wavy bob straight",
        motif="neon",
    ),
    "f_lightportray_female": Look(
        backdrops="#fdf1e7/#f2dcd6 #eef3fb/#d9e1f2 #f4effa/#e2d6ec #eef8f1/#d3e8de",
        cloths="#fffdfb #f7e8e2 #e6ecf7 #eee6f5",
        accents="#d8b4a8",
        outfits="sweater dress",
        hairs=LONG,
        scattered="bokeh",
        copies=16,
    ),
    "portrait_url_template": TEMPLATE,
    "train_free_portrait_url_template": TEMPLATE._replace(
        backdrops="#7a9a78/#46684a #a58f62/#6b5a35 #7f8fb0/#475678 #a77c86/#6c4752",
        accents="#9fcf8d",
        frame="template, train-free",
    ),
}
