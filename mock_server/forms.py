"""Reads multipart forms. Cut up here, because of a form made to harm Werkzeug's own parser takes a minute."""

from __future__ import annotations

from mock_server.core.model import Part

MOST_PARTS = 1_000
MOST_HEAD = 4_096
"""So many bytes may stand above the content of a part, and in a Content-Type."""


def read_form(content_type: str, body: bytes) -> list[Part]:
    """The parts of a form in their order. Raises ValueError that says why it is none."""
    delimiter = b"\r\n--" + _boundary(content_type)
    at = -2 if body.startswith(delimiter[2:]) else body.find(delimiter)
    if at == -1:
        raise ValueError("the boundary that Content-Type names does not stand in the body")
    parts: list[Part] = []
    at += len(delimiter)
    while not body.startswith(b"--", at):
        end = body.find(delimiter, at)
        if end < 0:
            raise ValueError("it breaks off before its last boundary, the one with -- behind it")
        if len(parts) == MOST_PARTS:
            raise ValueError(f"it has more than {MOST_PARTS} parts")
        parts.append(_part(body, at, end))
        at = end + len(delimiter)
    return parts


def _boundary(content_type: str) -> bytes:
    from werkzeug.http import parse_options_header

    kind, options = parse_options_header(content_type[:MOST_HEAD])
    boundary = options.get("boundary", "")
    if kind.lower() != "multipart/form-data" or not boundary:
        raise ValueError(f"Content-Type is {content_type[:100]!r}; it is multipart/form-data with a boundary")
    return boundary.encode("latin-1", "replace")


def _part(body: bytes, start: int, end: int) -> Part:
    """The part from behind one boundary to the next."""
    from werkzeug.http import parse_options_header

    blank = body.find(b"\r\n\r\n", start, min(end, start + MOST_HEAD))
    line, *lines = body[start : max(blank, start)].split(b"\r\n")
    if blank < 0 or line.strip(b" \t"):
        raise ValueError(f"a part does not begin with headers and an empty line, within {MOST_HEAD} bytes")
    for header in lines:
        name, _, value = header.partition(b":")
        if name.strip().lower() == b"content-disposition":
            _, options = parse_options_header(value.decode("utf-8", "replace"))
            if "name" in options:
                return Part(options["name"], options.get("filename"), body[blank + 4 : end])
    raise ValueError("a part has no name: no Content-Disposition header that gives one")
