"""Test data for clients of FaceChain as Hypothesis strategies: the makers of ``provider``, with Hypothesis choosing.

Every choice is a draw of its own, so an example shrinks: to few fields, first words and the edge of a limit.

    @given(body=submit_bodies())
    def test_my_builder_keeps_what_it_is_given(body): ...
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Concatenate, ParamSpec, TypeVar

from facechain_testkit import provider
from facechain_testkit.provider import Chance, ImageKind, InvalidBody, KeyKind, Mode

try:
    from hypothesis import strategies as st
except ImportError as error:
    message = "facechain_testkit.strategies needs Hypothesis: pip install facechain-testkit[hypothesis]"
    raise ImportError(message) from error

T = TypeVar("T")
P = ParamSpec("P")


def submit_bodies(mode: Mode | None = None) -> st.SearchStrategy[dict[str, Any]]:
    """Valid submissions, of any mode when None."""
    return _made(provider.submit_body, mode)


def invalid_submit_bodies(rule: str | None = None, mode: Mode | None = None) -> st.SearchStrategy[InvalidBody]:
    """Submissions that break ``rule``, or any one rule, and no other."""
    return _made(provider.invalid_submit_body, rule, mode)


def api_keys(kind: KeyKind | None = None) -> st.SearchStrategy[str]:
    """Keys in the vendor's forms."""
    return _made(provider.api_key, kind)


def resource_ids() -> st.SearchStrategy[str]:
    """Names of trained likenesses."""
    return _made(provider.resource_id)


def image_urls(kind: ImageKind = "user_photo") -> st.SearchStrategy[str]:
    """Pictures that declare what they are, within the documented limits."""
    return _made(provider.image_url, kind)


def plans() -> st.SearchStrategy[dict[str, Any]]:
    """Plans for a task, as JSON."""
    return _made(provider.plan)


def task_histories(outcome: str | None = None) -> st.SearchStrategy[list[dict[str, Any]]]:
    """The answers to the queries of one task over time, from PENDING to ``outcome``."""
    return _made(provider.task_history, outcome)


class _Drawing:
    """The ``Chance`` that Hypothesis decides."""

    def __init__(self, draw: st.DrawFn) -> None:
        self._draw = draw

    def choice(self, seq: Sequence[T], /) -> T:
        return self._draw(st.sampled_from(seq))

    def randint(self, a: int, b: int, /) -> int:
        return self._draw(st.integers(a, b))


def _made(make: Callable[Concatenate[Chance, P], T], *args: P.args, **named: P.kwargs) -> st.SearchStrategy[T]:
    @st.composite
    def made(draw: st.DrawFn) -> T:
        return make(_Drawing(draw), *args, **named)

    return made()
