"""Reads multipart forms. Cut up here, because of a form made to harm Werkzeug's own parser takes a minute."""

from __future__ import annotations

from mock_server.core.model import Part

MOST_PARTS = 1_000
MOST_HEAD = 4_096
"""So many bytes may stand above the content of a part, and in a Content-Type."""


def read_form(content_type: str, body: bytes) -> list[Part]:
    """The parts of a form in their order. Raises ValueError that says why it is none."""
    delimiter = b"\r\n--" + _boundary(content_type)
    _, *pieces = (b"\r\n" + body).split(delimiter, MOST_PARTS + 2)
    if not pieces:
        raise ValueError("the boundary that Content-Type names does not stand in the body")
    end = next((at for at, piece in enumerate(pieces) if piece.startswith(b"--")), None)
    if end is None and len(pieces) <= MOST_PARTS:
        raise ValueError("it breaks off before its last boundary, the one with -- behind it")
    if end is None or end > MOST_PARTS:
        raise ValueError(f"it has more than {MOST_PARTS} parts")
    return [_part(piece) for piece in pieces[:end]]


def _boundary(content_type: str) -> bytes:
    from werkzeug.http import parse_options_header

    kind, options = parse_options_header(content_type[:MOST_HEAD])
    boundary = options.get("boundary", "")
    if kind.lower() != "multipart/form-data" or not boundary:
        raise ValueError(f"Content-Type is {content_type[:100]!r}; it is multipart/form-data with a boundary")
    return boundary.encode("latin-1", "replace")


def _part(piece: bytes) -> Part:
    from werkzeug.http import parse_options_header

    end = piece.find(b"\r\n\r\n", 0, MOST_HEAD)
    line, *lines = piece[: max(end, 0)].split(b"\r\n")
    if end < 0 or line.strip(b" \t"):
        raise ValueError(f"a part does not begin with headers and an empty line, within {MOST_HEAD} bytes")
    for header in lines:
        name, _, value = header.partition(b":")
        if name.strip().lower() == b"content-disposition":
            _, options = parse_options_header(value.decode("utf-8", "replace"))
            if "name" in options:
                return Part(options["name"], options.get("filename"), piece[end + 4 :])
    raise ValueError("a part has no name: no Content-Disposition header that gives one")
