"""The only source of time: real time plus an offset, times a scale. It can be frozen and moved."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable

MOST_MS = 10 * 365 * 24 * 3_600_000
LATEST_MS = 221_845_392_000_000
"""The year 9000: later moments have no place in the vendor's timestamps."""

LONGEST_WAIT_S = 60.0
LEAST_FACTOR = 0.001
MOST_FACTOR = 1_000_000.0
_UNITS_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|[smhd])")


class VendorClock:
    """The vendor's time in whole milliseconds since the epoch, UTC. Safe to use from many threads.

    ``start_ms`` is where it starts, real time when left out. ``monotonic`` gives real seconds.
    """

    def __init__(
        self,
        start_ms: int | None = None,
        *,
        factor: float = 1.0,
        frozen: bool = False,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._monotonic = monotonic
        self._moved = threading.Condition()
        self._start = (start_ms, _checked_factor(factor), frozen)
        self.reset()

    def now_ms(self) -> int:
        base_ms, since, factor, frozen = self._state
        return base_ms if frozen else base_ms + int((self._monotonic() - since) * 1000 * factor)

    def wait_ms(self, ms: int) -> None:
        """Wait until ``ms`` of this clock have passed, which ``advance`` can bring about; frozen, not at all."""
        until_ms = self.now_ms() + ms
        with self._moved:
            while not self.frozen and self.now_ms() < until_ms:
                self._moved.wait(min((until_ms - self.now_ms()) / 1000 / self.factor + 0.0005, LONGEST_WAIT_S))

    @property
    def frozen(self) -> bool:
        return self._state[3]

    @property
    def factor(self) -> float:
        return self._state[2]

    def freeze(self) -> None:
        """Stop time until ``resume``."""
        self._restart(frozen=True)

    def resume(self) -> None:
        self._restart(frozen=False)

    def advance(self, by: str | float) -> None:
        """Move time forward by ``"24h"``, ``"1m30s"``, ``"250ms"`` or a number of seconds."""
        self._restart(by_ms=duration_ms(by))

    def scale(self, factor: float) -> None:
        """Let time run ``factor`` times as fast as real time from now on."""
        self._restart(factor=_checked_factor(factor))

    def reset(self) -> None:
        """Back to where and how the clock started."""
        start_ms, factor, frozen = self._start
        base_ms = int(time.time() * 1000) if start_ms is None else start_ms
        with self._moved:
            self._state = (base_ms, self._monotonic(), factor, frozen)
            self._moved.notify_all()

    def _restart(self, *, by_ms: int = 0, factor: float | None = None, frozen: bool | None = None) -> None:
        with self._moved:
            now_ms = self.now_ms() + by_ms
            if now_ms > LATEST_MS:
                raise ValueError("the clock would pass the year 9000; reset it first")
            _, _, old_factor, old_frozen = self._state
            self._state = (
                now_ms,
                self._monotonic(),
                old_factor if factor is None else factor,
                old_frozen if frozen is None else frozen,
            )
            self._moved.notify_all()


def duration_ms(given: str | float) -> int:
    """Milliseconds of ``"24h"``, ``"1m30s"``, ``"250ms"`` or a number of seconds; ValueError otherwise."""
    total_ms: float | None = None
    if isinstance(given, int | float) and not isinstance(given, bool):
        total_ms = given * 1000
    elif isinstance(given, str) and given and not _DURATION.sub("", given):
        total_ms = sum(float(number) * _UNITS_MS[unit] for number, unit in _DURATION.findall(given))
    if total_ms is None or not 0 <= total_ms <= MOST_MS:
        raise ValueError(f'{given!r} is not a duration from 0 to 10 years, such as "24h", "1m30s", "250ms" or 2.5')
    return round(total_ms)


def _checked_factor(factor: object) -> float:
    if isinstance(factor, int | float) and not isinstance(factor, bool) and LEAST_FACTOR <= factor <= MOST_FACTOR:
        return float(factor)
    raise ValueError(f"{factor!r} is not a factor from {LEAST_FACTOR} to {MOST_FACTOR:.0f}; use freeze to stop time")
