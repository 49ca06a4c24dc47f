"""The sliding second: never more admissions than allowed, never fewer than possible."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mock_server.core.quota import WINDOW_MS, admit

NOTHING: tuple[int, ...] = ()
STEPS = st.lists(st.integers(-2_500, 1_500), max_size=40)


def admitted(times: list[int], limit: int) -> list[bool]:
    """Which of the requests at these times are admitted."""
    window = NOTHING
    verdicts = []
    for at in times:
        after = admit(window, at, limit)
        verdicts.append(after is not None)
        window = window if after is None else after
    return verdicts


@pytest.mark.parametrize(
    ("times", "verdicts"),
    [
        ([0, 0, 0], [True, True, False]),
        ([0, 999, 999], [True, True, False]),
        ([0, 999, 1_000, 1_998, 1_999], [True, True, True, False, True]),
        ([0, 500, 999, 1_000, 1_499, 1_500], [True, True, False, True, False, True]),
        ([5_000, 5_000, 0, 0, 0], [True, True, True, True, False]),
        ([5_000, 5_000, 4_999, 5_000], [True, True, False, False]),
        ([5_000, 5_000, 4_000, 4_000], [True, True, True, True]),
    ],
)
def test_two_fit_into_any_second(times: list[int], verdicts: list[bool]) -> None:
    assert admitted(times, 2) == verdicts


@given(gaps=st.lists(st.integers(0, 1_500), max_size=60), limit=st.integers(1, 5))
def test_while_time_goes_forward_no_window_holds_more_and_none_is_wasted(gaps: list[int], limit: int) -> None:
    now_ms, window, record = 0, NOTHING, list[int]()
    for gap in gaps:
        now_ms += gap
        after = admit(window, now_ms, limit)
        taken = sum(now_ms - WINDOW_MS < at <= now_ms for at in record)
        assert (after is not None) == (taken < limit)
        if after is not None:
            window = after
            record.append(now_ms)
    assert all(sum(start <= at < start + WINDOW_MS for at in record) <= limit for start in record)


@given(steps=STEPS, limit=st.integers(1, 5))
def test_wherever_the_clock_goes_the_window_is_short_sorted_and_recent(steps: list[int], limit: int) -> None:
    now_ms, window = 0, NOTHING
    for step in steps:
        now_ms += step
        after = admit(window, now_ms, limit)
        if after is None:
            assert sum(abs(now_ms - at) < WINDOW_MS for at in window) >= limit
            continue
        window = after
        assert len(window) <= limit
        assert list(window) == sorted(window)
        assert all(abs(now_ms - at) < WINDOW_MS for at in window)
        assert now_ms in window


@settings(max_examples=50)
@given(steps=STEPS, limit=st.integers(1, 5))
def test_after_a_second_of_rest_there_is_room_wherever_the_clock_was(steps: list[int], limit: int) -> None:
    now_ms, window = 0, NOTHING
    for step in steps:
        now_ms += step
        window = admit(window, now_ms, limit) or window
    assert admit(window, max(now_ms, *window, 0) + WINDOW_MS, limit) is not None
