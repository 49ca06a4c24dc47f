"""Reads multipart forms, with the parser that Flask stands on."""

from __future__ import annotations

from mock_server.core.model import Part

MOST_PARTS = 1_000


def read_form(content_type: str, body: bytes) -> list[Part]:
    """The parts of a form in their order. Raises ValueError that says why it is none."""
    from werkzeug.exceptions import RequestEntityTooLarge
    from werkzeug.http import parse_options_header
    from werkzeug.sansio.multipart import Data, Epilogue, Field, File, MultipartDecoder, NeedData

    kind, options = parse_options_header(content_type)
    boundary = options.get("boundary", "")
    if kind != "multipart/form-data" or not boundary:
        raise ValueError(f"Content-Type is {content_type[:100]!r}; it is multipart/form-data with a boundary")
    decoder = MultipartDecoder(boundary.encode("ascii", "replace"), max_parts=MOST_PARTS)
    decoder.receive_data(body)
    decoder.receive_data(None)
    parts: list[Part] = []
    head: Field | File | None = None
    content: list[bytes] = []
    try:
        while not isinstance(event := decoder.next_event(), Epilogue | NeedData):
            if isinstance(event, Field | File):
                head, content = event, []
            elif isinstance(event, Data):
                content.append(event.data)
                if not event.more_data and head is not None:
                    filename = head.filename if isinstance(head, File) else None
                    parts.append(Part(head.name, filename, b"".join(content)))
    except RequestEntityTooLarge:
        raise ValueError(f"it has more than {MOST_PARTS} parts") from None
    return parts
