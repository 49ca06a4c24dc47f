"""A folder of pictures of one's own: what is at a path of ``assets.facechain.test``. Nothing outside it is read."""

from __future__ import annotations

import json
import stat
from itertools import islice
from pathlib import Path

from contracts import catalogue
from mock_server.core.pictures import Picture, read, with_properties

LONGEST_READ = 20 * 1024**2
"""Of a longer file only so many bytes are read; no limit of the vendor's lets it through."""
LONGEST_SIDECAR = 64 * 1024
_MOST_KEPT = 1000
MOST_NAMES = 1000
"""So many files of the folder are looked at for the one that was meant."""

_File = tuple[Path, int, int]
"""Where a file is, its time of change and its length: as long as these stay, it is taken not to have changed."""


class AssetFolder:
    """Pictures by their path. Beside ``me.jpg``, ``me.jpg.json`` may say what its header does not: ``{"faces": 2}``."""

    def __init__(self, folder: str) -> None:
        """Raises ValueError when there is no such folder."""
        if not folder or not Path(folder).is_dir():
            raise ValueError(f"{folder!r} is not a folder")
        self._folder = Path(folder).resolve()
        self._kept: dict[str, tuple[_File, _File | None, Picture]] = {}

    def nearest(self, path: str) -> str | None:
        """The path of a file in the folder that ``path`` was probably meant to be."""
        files = (file for file in islice(self._folder.rglob("*"), MOST_NAMES) if file.is_file())
        return catalogue.nearest(path, [file.relative_to(self._folder).as_posix() for file in files])

    def find(self, path: str) -> Picture | None:
        """The picture at ``path``, such as ``photos/me.jpg``, percent-decoded; None when there is no such file.

        Raises ValueError that names file and property when what lies beside the picture does not describe one.
        """
        file = self._file(path)
        if file is None:
            return None
        sidecar = self._file(f"{path}.json")
        kept = self._kept.get(path)
        if kept and kept[:2] == (file, sidecar):
            return kept[2]
        try:
            picture = _picture(*file)
        except OSError:  # gone in the meantime, or not ours to read
            return None
        if sidecar:
            picture = _described(picture, sidecar[0], f"{path}.json")
        if len(self._kept) >= _MOST_KEPT:
            self._kept.clear()
        self._kept[path] = (file, sidecar, picture)
        return picture

    def _file(self, path: str) -> _File | None:
        """The ordinary file at ``path``; None when there is none, or it lies outside the folder."""
        if any(part in ("", ".", "..") for part in path.split("/")) or set(path) & set("\\:\0"):
            return None
        try:
            file = (self._folder / path).resolve(strict=True)
            found = file.stat()
        except (OSError, RuntimeError, ValueError):  # missing; a circle of links; a name that no file can have
            return None
        if not file.is_relative_to(self._folder) or not stat.S_ISREG(found.st_mode):
            return None
        return file, found.st_mtime_ns, found.st_size


def _picture(file: Path, _changed: int, length: int) -> Picture:
    with file.open("rb") as opened:
        data = opened.read(LONGEST_READ)
    return read(data, length if length > LONGEST_READ else None)


def _described(picture: Picture, sidecar: Path, name: str) -> Picture:
    try:
        with sidecar.open("rb") as opened:
            text = opened.read(LONGEST_SIDECAR + 1)
        if len(text) > LONGEST_SIDECAR:
            raise ValueError(f"it is longer than {LONGEST_SIDECAR} bytes")
        return with_properties(picture, json.loads(text))
    except OSError as error:
        raise ValueError(f"cannot read {name}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{name} describes no picture: {error}") from error
