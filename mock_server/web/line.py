"""What befalls a reply on its way: late, torn, dripping or never. The server lends the line to the app."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import NoReturn, Protocol

from mock_server.core.model import Wire
from mock_server.core.ports import Clock

LINE = "facechain.line"
"""Where in the WSGI environment the server puts the line of a request."""

LONGEST_HOLD_S = 600
LOOK_S = 0.02
LOOK_WHILE_WAITING_MS = 200


class Line(Protocol):
    """The connection that a reply goes out on."""

    def waiting(self) -> AbstractContextManager[None]:
        """While this lasts the reply holds up no other one."""
        ...

    def is_gone(self) -> bool:
        """Whether the client has left."""
        ...

    def drop(self, *, reset: bool) -> NoReturn:
        """Close the connection, with a reset or quietly. Raises what ends the request."""
        ...


class PoliteLine:
    """Stands in where the server lends no line: it holds nobody, and drops by an exception."""

    def waiting(self) -> AbstractContextManager[None]:
        return nullcontext()

    def is_gone(self) -> bool:
        return True

    def drop(self, *, reset: bool) -> NoReturn:
        raise ConnectionResetError("reset on purpose") if reset else ConnectionAbortedError("closed on purpose")


def troubled(body: bytes, wire: Wire, line: Line, clock: Clock) -> Iterator[bytes]:
    """The body, piece by piece, as ``wire`` lets it through."""
    if wire.delay_ms:
        _wait(wire.delay_ms, line, clock)
    if wire.kind == "hang":
        _hold(line)
        line.drop(reset=False)
    if wire.kind in ("reset", "empty"):
        line.drop(reset=wire.kind == "reset")
    if wire.kind == "cut":
        yield body[: max(wire.bytes, 1)]  # without a byte of the body the server would not send the headers
        line.drop(reset=False)
    if wire.kind != "dribble":
        yield body
        return
    step = max(wire.bytes, 1)
    for start in range(0, len(body), step):
        yield body[start : start + step]
        _wait(wire.pause_ms, line, clock)


def _wait(ms: int, line: Line, clock: Clock) -> None:
    """Wait until ``ms`` of the clock have passed, or the client has left."""
    if isinstance(line, PoliteLine):
        clock.wait_ms(ms)
        return
    until_ms = clock.now_ms() + ms
    with line.waiting():
        while not clock.frozen and not line.is_gone():
            left_ms = until_ms - clock.now_ms()
            if left_ms <= 0:
                break
            clock.wait_ms(min(left_ms, max(round(LOOK_WHILE_WAITING_MS * clock.factor), 1)))


def _hold(line: Line) -> None:
    until_s = time.monotonic() + LONGEST_HOLD_S
    with line.waiting():
        while not line.is_gone() and time.monotonic() < until_s:
            time.sleep(LOOK_S)
