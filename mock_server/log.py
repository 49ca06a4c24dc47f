"""A line for each request, for the person who watches the server."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from typing import TextIO

from mock_server.core.journal import Entry, entry_to_json
from mock_server.core.tasks import vendor_time


def request_log(kind: str, stream: TextIO) -> Callable[[Entry], None] | None:
    """Writes each request to ``stream`` as ``text`` or ``json``; None for ``off``. What it writes is redacted."""
    if kind == "off":
        return None
    worded = _as_text if kind == "text" else _as_json

    def write(entry: Entry) -> None:
        with suppress(OSError, ValueError):  # nobody reads it any more, or cannot: no reason to fail a request
            stream.write(worded(entry))
            stream.flush()

    return write


def _as_text(entry: Entry) -> str:
    trace = entry.trace
    why = f"  {trace.rule}{f' at {trace.place}' if trace.place else ''}: {trace.problem}" if trace.rule else ""
    told = " ".join(filter(None, (trace.shown_status, entry.wire and f"[{entry.wire}]")))
    return f"{vendor_time(trace.at_ms)[11:]} {entry.method} {entry.path} {entry.status} {told}{why}\n"


def _as_json(entry: Entry) -> str:
    return json.dumps(entry_to_json(entry), ensure_ascii=False) + "\n"
