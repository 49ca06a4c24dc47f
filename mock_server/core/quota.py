"""How many requests fit into a second. A small pure function, because the clock can be moved."""

from __future__ import annotations

WINDOW_MS = 1_000


def admit(admitted_ms: tuple[int, ...], now_ms: int, limit: int) -> tuple[int, ...] | None:
    """The admissions that still count, with one more at ``now_ms``; None when the window is full.

    No window of one second, wherever it starts, holds more than ``limit``. Admissions a second or more
    later than ``now_ms`` are forgotten: somebody moved the clock back.
    """
    recent = tuple(at for at in admitted_ms if abs(now_ms - at) < WINDOW_MS)
    return tuple(sorted((*recent, now_ms))) if len(recent) < limit else None
