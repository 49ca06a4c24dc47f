"""A folder of one's own pictures: what is found in it, what is said beside it, and that nothing outside is read."""

from __future__ import annotations

import json
import os
import sys
import threading
from io import BytesIO
from pathlib import Path
from typing import Any
from unittest import mock
from urllib.parse import unquote

import pytest
from PIL import Image

from mock_server import assets
from mock_server.assets import LONGEST_READ, LONGEST_SIDECAR, AssetFolder
from mock_server.core.pictures import Picture

posix_only = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such files, or keeps links for a few")


def encoded(format_: str = "JPEG", size: tuple[int, int] = (300, 200)) -> bytes:
    file = BytesIO()
    Image.new("RGB", size).save(file, format_)
    return file.getvalue()


ME = encoded()
FOUND = Picture(width=300, height=200, bytes=len(ME), face_px=100)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """``photos/me.jpg`` in a folder, and beside the folder a picture that is nobody's business."""
    inside = tmp_path / "assets"
    (inside / "photos").mkdir(parents=True)
    (inside / "photos" / "me.jpg").write_bytes(ME)
    (tmp_path / "secret.jpg").write_bytes(ME)
    (tmp_path / "assets-too").mkdir()
    (tmp_path / "assets-too" / "me.jpg").write_bytes(ME)
    return inside


def test_a_picture_is_found_by_its_path(folder: Path) -> None:
    assert AssetFolder(str(folder)).find("photos/me.jpg") == FOUND


def test_a_folder_may_be_named_from_where_the_server_starts(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder.parent)
    found = AssetFolder("assets")
    monkeypatch.chdir("/")
    assert found.find("photos/me.jpg") == FOUND


@pytest.mark.parametrize(
    "name", ["人像.jpg", "a b.jpg", "a%20b.jpg", "..me.jpg", "me..jpg", "...", "me", ".jpg", "~", "-"]
)
def test_a_picture_may_have_an_unusual_name(folder: Path, name: str) -> None:
    (folder / name).write_bytes(ME)
    assert AssetFolder(str(folder)).find(name) == FOUND


def test_what_is_no_picture_is_found_as_such(folder: Path) -> None:
    (folder / "notes.jpg").write_bytes(b"buy milk")
    assert AssetFolder(str(folder)).find("notes.jpg") == Picture(format="", width=0, height=0, bytes=8)


@pytest.mark.parametrize("where", ["", "nowhere", "photos/me.jpg", "photos\0"])
def test_a_folder_has_to_be_one(folder: Path, where: str) -> None:
    with pytest.raises(ValueError, match="is not a folder"):
        AssetFolder(str(folder / where) if where else "no such folder")


OUTSIDE = [
    "",
    ".",
    "..",
    "/",
    "../secret.jpg",
    "../assets-too/me.jpg",
    "../assets/photos/me.jpg",
    "photos/../../secret.jpg",
    "photos/../photos/me.jpg",
    "photos/./me.jpg",
    "photos//me.jpg",
    "photos/me.jpg/",
    "photos/me.jpg/.",
    "photos/me.jpg/../me.jpg",
    "photos",
    "photos/",
    "/photos/me.jpg",
    "//photos/me.jpg",
    "/etc/passwd",
    "//server/share/me.jpg",
    "\\\\server\\share\\me.jpg",
    "\\\\?\\C:\\me.jpg",
    "\\\\.\\NUL",
    "..\\secret.jpg",
    "photos\\me.jpg",
    "photos\\..\\..\\secret.jpg",
    "C:/me.jpg",
    "C:me.jpg",
    "c:\\me.jpg",
    "photos/me.jpg:stream",
    "photos/me.jpg::$DATA",
    "file:///etc/passwd",
    "photos/me.jpg\0",
    "photos/me.jpg\0.png",
    "\0",
    "%2e%2e/secret.jpg",
    "..%2fsecret.jpg",
    "%2e%2e%2fsecret.jpg",
    "..%c0%afsecret.jpg",
    "..\uff0fsecret.jpg",
    "\u2025/secret.jpg",
    ".. /secret.jpg",
    "~/me.jpg",
    "$HOME/me.jpg",
    "photos/*.jpg",
    "photos/me.jpg\n",
    " photos/me.jpg",
    "nowhere.jpg",
    "\ud800",
    "a" * 5000,
    "a/" * 5000 + "a",
]


@pytest.mark.parametrize("path", OUTSIDE, ids=range(len(OUTSIDE)))
def test_nothing_else_is_found(folder: Path, path: str) -> None:
    found = AssetFolder(str(folder))
    assert found.find(path) is None
    assert found.find(f"photos/../{path}") is None


@pytest.mark.parametrize(
    "path", ["%2e%2e/secret.jpg", "..%2Fsecret.jpg", "%2Fetc%2Fpasswd", "..%5Csecret.jpg", "%252e%252e/secret.jpg"]
)
def test_an_encoded_way_out_leads_nowhere(folder: Path, path: str) -> None:
    assert AssetFolder(str(folder)).find(unquote(path)) is None


def test_the_whole_path_of_a_picture_is_not_its_path(folder: Path) -> None:
    assert AssetFolder(str(folder)).find(str(folder / "photos" / "me.jpg")) is None


@posix_only
@pytest.mark.parametrize("to", ["../secret.jpg", "../assets-too/me.jpg", "circle.jpg", "nowhere.jpg", "/etc/passwd"])
def test_a_link_that_leaves_the_folder_is_not_followed(folder: Path, to: str) -> None:
    (folder / "circle.jpg").symlink_to(to)
    assert AssetFolder(str(folder)).find("circle.jpg") is None


@posix_only
def test_a_linked_folder_outside_is_not_entered(folder: Path) -> None:
    (folder / "too").symlink_to(folder.parent / "assets-too")
    assert AssetFolder(str(folder)).find("too/me.jpg") is None


@posix_only
def test_a_link_that_stays_in_the_folder_is_followed(folder: Path) -> None:
    (folder / "myself.jpg").symlink_to("photos/me.jpg")
    (folder / "myself.jpg.json").write_text('{"faces": 2}')
    found = AssetFolder(str(folder)).find("myself.jpg")
    assert found is not None
    assert (found.width, found.faces) == (300, 2)


@posix_only
def test_the_folder_itself_may_be_a_link(folder: Path) -> None:
    (folder.parent / "linked").symlink_to(folder)
    assert AssetFolder(str(folder.parent / "linked")).find("photos/me.jpg") == FOUND


@posix_only
def test_a_pipe_a_device_and_a_folder_are_no_pictures(folder: Path) -> None:
    os.mkfifo(folder / "pipe.jpg")
    (folder / "null.jpg").symlink_to("/dev/null")
    (folder / "folder.jpg").mkdir()
    found = AssetFolder(str(folder))
    assert [found.find(name) for name in ("pipe.jpg", "null.jpg", "folder.jpg")] == [None, None, None]


@posix_only
@pytest.mark.parametrize("outside", ["../secret.json", "/dev/zero"])
def test_what_is_said_outside_the_folder_does_not_count(folder: Path, outside: str) -> None:
    (folder.parent / "secret.json").write_text('{"faces": 9}')
    (folder / "photos" / "me.jpg.json").symlink_to(folder / outside)
    assert AssetFolder(str(folder)).find("photos/me.jpg") == FOUND


def test_a_picture_that_goes_while_it_is_read_is_not_there(folder: Path) -> None:
    with mock.patch.object(Path, "open", side_effect=PermissionError(13, "Permission denied")):
        assert AssetFolder(str(folder)).find("photos/me.jpg") is None


# -- what lies beside a picture ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({}, FOUND),
        ({"faces": 2, "face_px": 90}, Picture(width=300, height=200, bytes=len(ME), faces=2, face_px=90)),
        ({"angle": 20}, Picture(width=300, height=200, bytes=len(ME), face_px=100, angle=20)),
        ({"bytes": 9_000_000}, Picture(width=300, height=200, bytes=9_000_000, face_px=100)),
        ({"format": "webp", "width": 1000, "height": 800}, Picture("WEBP", 1000, 800, len(ME), face_px=400)),
    ],
)
def test_what_is_said_beside_a_picture_is_laid_over_it(folder: Path, said: dict[str, Any], expected: Picture) -> None:
    (folder / "photos" / "me.jpg.json").write_text(json.dumps(said))
    assert AssetFolder(str(folder)).find("photos/me.jpg") == expected


def test_what_is_said_of_no_picture_makes_none(folder: Path) -> None:
    (folder / "gone.jpg.json").write_text('{"faces": 2}')
    assert AssetFolder(str(folder)).find("gone.jpg") is None


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (b"", "Expecting value"),
        (b"{", "Expecting property name"),
        (b"\xff\xfe\xff", "decode"),
        (b"[]", "picture is []; it is an object"),
        (b'{"face": 2}', "picture has no property 'face'; nearest is 'faces'"),
        (b'{"faces": -1}', "faces is -1; it is a whole number from 0 to 1000"),
        (b'{"faces": NaN}', "faces is nan; it is a whole number from 0 to 1000"),
        (b'{"faces": 1e400}', "faces is inf; it is a whole number from 0 to 1000"),
        (b'{"angle": "steep"}', "angle is 'steep'; it is a whole number from 0 to 180"),
        (b"[" * LONGEST_SIDECAR, ""),
        (b" " * LONGEST_SIDECAR + b"{}", f"it is longer than {LONGEST_SIDECAR} bytes"),
    ],
    ids=range(11),
)
def test_what_says_nonsense_is_named(folder: Path, said: bytes, words: str) -> None:
    (folder / "photos" / "me.jpg.json").write_bytes(said)
    with pytest.raises(ValueError) as caught:  # noqa: PT011  # the words are compared below
        AssetFolder(str(folder)).find("photos/me.jpg")
    assert str(caught.value).startswith("photos/me.jpg.json describes no picture: ")
    assert words in str(caught.value)


def test_what_cannot_be_read_beside_a_picture_is_named(folder: Path) -> None:
    (folder / "photos" / "me.jpg.json").write_text("{}")
    found, opened = AssetFolder(str(folder)), Path.open

    def refuse(path: Path, mode: str) -> Any:
        if path.suffix == ".json":
            raise PermissionError(13, "Permission denied")
        return opened(path, mode)

    with (
        mock.patch.object(Path, "open", refuse),
        pytest.raises(ValueError, match=r"cannot read photos/me\.jpg\.json: Permission denied"),
    ):
        found.find("photos/me.jpg")


# -- what is kept ------------------------------------------------------------------------------------------------------


def test_a_file_that_has_not_changed_is_not_read_again(folder: Path) -> None:
    (folder / "photos" / "me.jpg.json").write_text('{"faces": 2}')
    found = AssetFolder(str(folder))
    first = found.find("photos/me.jpg")
    with mock.patch.object(Path, "open", side_effect=AssertionError("read again")):
        assert found.find("photos/me.jpg") is first


def test_a_change_is_seen_at_once(folder: Path) -> None:
    found = AssetFolder(str(folder))
    beside = folder / "photos" / "me.jpg.json"
    seen = []
    for change in (
        lambda: None,
        lambda: beside.write_text('{"faces": 2}'),
        lambda: beside.write_text('{"faces": 22}'),
        lambda: beside.write_text("{"),
        lambda: beside.unlink(),
        lambda: (folder / "photos" / "me.jpg").write_bytes(encoded("PNG", (301, 200))),
        lambda: (folder / "photos" / "me.jpg").unlink(),
    ):
        change()
        try:
            picture = found.find("photos/me.jpg")
        except ValueError:
            seen.append("nonsense")
        else:
            seen.append(f"{picture.format} {picture.faces}" if picture else "nothing")
    assert seen == ["JPEG 1", "JPEG 2", "JPEG 22", "nonsense", "JPEG 1", "PNG 1", "nothing"]


def test_a_change_of_the_same_length_is_seen_by_its_time(folder: Path) -> None:
    found, file = AssetFolder(str(folder)), folder / "photos" / "me.jpg"
    assert found.find("photos/me.jpg") == FOUND
    file.write_bytes(b"x" * len(ME))
    os.utime(file, ns=(1, 1))
    picture = found.find("photos/me.jpg")
    assert picture is not None
    assert picture.format == ""


def test_of_a_long_file_only_the_beginning_is_read(folder: Path) -> None:
    length = LONGEST_READ + 1
    with (folder / "long.jpg").open("wb") as file:
        file.write(ME[:-2])
        file.truncate(length)  # a hole: takes no room
    (folder / "longest.jpg").write_bytes(ME[:-2])
    found = AssetFolder(str(folder))
    assert found.find("long.jpg") == Picture(width=300, height=200, bytes=length, face_px=100)
    os.truncate(folder / "long.jpg", LONGEST_READ)
    assert found.find("long.jpg") == Picture(format="", width=0, height=0, bytes=LONGEST_READ)


def test_only_so_many_pictures_are_kept(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assets, "_MOST_KEPT", 3)
    found = AssetFolder(str(folder))
    for number in range(10):
        (folder / f"{number}.jpg").write_bytes(ME)
        assert found.find(f"{number}.jpg") == FOUND
    assert len(found._kept) <= 3


def test_many_may_ask_at_the_same_time(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assets, "_MOST_KEPT", 3)
    found = AssetFolder(str(folder))
    for number in range(8):
        (folder / f"{number}.jpg").write_bytes(ME)
    seen: list[Picture | None] = []
    threads = [
        threading.Thread(target=lambda: seen.extend(found.find(f"{number % 8}.jpg") for number in range(80)))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [FOUND] * 640
