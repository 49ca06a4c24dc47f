"""The vendor's clock: real time plus an offset, times a scale, or standing still."""

import time
from collections.abc import Callable
from typing import Any

import pytest

from mock_server.clock import MOST_MS, VendorClock, duration_ms
from mock_server.core.ports import Clock

START_MS = 1_768_444_200_000


class Hand:
    """Real seconds, moved by the test."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def hand() -> Hand:
    return Hand()


@pytest.fixture
def clock(hand: Hand) -> VendorClock:
    return VendorClock(START_MS, monotonic=hand)


def test_it_fits_the_port(clock: Clock) -> None:
    assert clock.now_ms() == START_MS


def test_it_starts_at_real_time_when_nothing_is_said() -> None:
    before_ms = int(time.time() * 1000)
    assert before_ms <= VendorClock().now_ms() <= int(time.time() * 1000) + 1


Move = Callable[[VendorClock], object]


@pytest.mark.parametrize(
    ("moves", "after_ms"),
    [
        ([], 2_000),
        ([lambda clock: clock.freeze()], 0),
        ([lambda clock: clock.freeze(), lambda clock: clock.resume()], 2_000),
        ([lambda clock: clock.advance("1m30s")], 92_000),
        ([lambda clock: clock.freeze(), lambda clock: clock.advance("250ms")], 250),
        ([lambda clock: clock.freeze(), lambda clock: clock.freeze()], 0),
        ([lambda clock: clock.scale(10)], 20_000),
        ([lambda clock: clock.scale(0.5)], 1_000),
        ([lambda clock: clock.freeze(), lambda clock: clock.scale(10)], 0),
        ([lambda clock: clock.scale(10), lambda clock: clock.advance(1)], 21_000),
        ([lambda clock: clock.scale(10), lambda clock: clock.advance("1h"), lambda clock: clock.reset()], 2_000),
        ([lambda clock: clock.freeze(), lambda clock: clock.reset()], 2_000),
    ],
)
def test_two_real_seconds_after_these_moves(clock: VendorClock, hand: Hand, moves: list[Move], after_ms: int) -> None:
    for move in moves:
        move(clock)
    hand.seconds += 2
    assert clock.now_ms() - START_MS == after_ms


def test_changing_the_pace_makes_no_jump(clock: VendorClock, hand: Hand) -> None:
    hand.seconds += 1
    clock.scale(100)
    assert clock.now_ms() == START_MS + 1_000
    hand.seconds += 1
    clock.freeze()
    assert clock.now_ms() == START_MS + 101_000
    hand.seconds += 5
    clock.resume()
    assert clock.now_ms() == START_MS + 101_000
    assert (clock.factor, clock.frozen) == (100.0, False)


def test_a_pace_chosen_at_the_start_comes_back_with_a_reset(hand: Hand) -> None:
    clock = VendorClock(START_MS, factor=3, monotonic=hand)
    clock.scale(9)
    clock.reset()
    assert clock.factor == 3.0


@pytest.mark.parametrize(
    ("given", "milliseconds"),
    [
        ("24h", 86_400_000),
        ("1m30s", 90_000),
        ("250ms", 250),
        ("1d2h3m4s5ms", 93_784_005),
        ("1.5s", 1_500),
        ("0.4ms", 0),
        (0, 0),
        (2.5, 2_500),
        ("3650d", MOST_MS),
    ],
)
def test_a_duration_is_read(given: str | float, milliseconds: int) -> None:
    assert duration_ms(given) == milliseconds


@pytest.mark.parametrize(
    "given",
    [
        "",
        " ",
        "5",
        "1 h",
        "h",
        "-1s",
        "1y",
        "1hh",
        "1s,",
        "3651d",
        "9" * 400 + "h",
        -1,
        True,
        None,
        [],
        float("nan"),
        1e300,
    ],
)
def test_what_is_no_duration_is_refused(given: Any) -> None:
    with pytest.raises(ValueError, match="is not a duration from 0 to 10 years"):
        duration_ms(given)


@pytest.mark.parametrize("factor", [0, -1, 1_000_001, float("nan"), float("inf"), "2", True, None])
def test_what_is_no_factor_is_refused(factor: Any) -> None:
    with pytest.raises(ValueError, match="is not a factor from"):
        VendorClock(factor=factor)
