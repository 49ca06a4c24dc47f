"""Test data for clients of FaceChain as Hypothesis strategies: ``FaceChainProvider`` with Hypothesis as its chance.

Every choice is a draw, so an example shrinks: to few fields, first words, and the edge of a limit.

    @given(body=submit_bodies("train_free"))
    def test_my_client_sends_what_it_was_given(body): ...
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any, TypeVar

from faker import Generator

from facechain_testkit.provider import BadImage, FaceChainProvider, ImageKind, InvalidBody, KeyKind, Mode

try:
    from hypothesis import strategies as st
except ImportError as error:
    message = "facechain_testkit.strategies needs Hypothesis: pip install facechain-testkit[hypothesis]"
    raise ImportError(message) from error

T = TypeVar("T")


def submit_bodies(mode: Mode | None = None) -> st.SearchStrategy[dict[str, Any]]:
    """Valid submissions, of any mode when None."""
    return _made(lambda fake: fake.facechain_submit_body(mode))


def invalid_submit_bodies(rule: str | None = None, mode: Mode | None = None) -> st.SearchStrategy[InvalidBody]:
    """Submissions that break ``rule``, or any one rule, and no other."""
    return _made(lambda fake: fake.facechain_invalid_submit_body(rule, mode))


def detection_bodies() -> st.SearchStrategy[dict[str, Any]]:
    """Valid detections."""
    return _made(lambda fake: fake.facechain_detection_body())


def invalid_detection_bodies(rule: str | None = None) -> st.SearchStrategy[InvalidBody]:
    """Detections that break ``rule``, or any one rule, and no other."""
    return _made(lambda fake: fake.facechain_invalid_detection_body(rule))


def job_bodies() -> st.SearchStrategy[dict[str, Any]]:
    """Valid trainings."""
    return _made(lambda fake: fake.facechain_job_body())


def invalid_job_bodies(rule: str | None = None) -> st.SearchStrategy[InvalidBody]:
    """Trainings that break ``rule``, or any one rule, and no other."""
    return _made(lambda fake: fake.facechain_invalid_job_body(rule))


def api_keys(kind: KeyKind | None = None) -> st.SearchStrategy[str]:
    """Keys in the vendor's forms."""
    return _made(lambda fake: fake.facechain_api_key(kind))


def resource_ids() -> st.SearchStrategy[str]:
    """Likenesses that every account of the mock may use."""
    return _made(lambda fake: fake.facechain_resource_id())


def job_ids() -> st.SearchStrategy[str]:
    """Ids of trainings that no vendor knows."""
    return _made(lambda fake: fake.facechain_job_id())


def file_ids() -> st.SearchStrategy[str]:
    """Ids of files that no vendor knows."""
    return _made(lambda fake: fake.facechain_file_id())


def image_urls(kind: ImageKind = "user_photo") -> st.SearchStrategy[str]:
    """Pictures that declare what they are, within the documented limits."""
    return _made(lambda fake: fake.facechain_image_url(kind))


def bad_image_urls(breaks: str | None = None, kind: ImageKind = "user_photo") -> st.SearchStrategy[BadImage]:
    """Pictures that declare themselves just outside the limit ``breaks``, or any one, and within all others."""
    return _made(lambda fake: fake.facechain_bad_image_url(breaks, kind))


def photos(**properties: int | str) -> st.SearchStrategy[bytes]:
    """Picture files to upload, with what is said of them."""
    return _made(lambda fake: fake.facechain_photo(**properties))


def plans() -> st.SearchStrategy[dict[str, Any]]:
    """Plans for a task, as JSON."""
    return _made(lambda fake: fake.facechain_plan())


def task_histories(outcome: str | None = None) -> st.SearchStrategy[list[dict[str, Any]]]:
    """The answers to the queries of one task over time, from PENDING to ``outcome``."""
    return _made(lambda fake: fake.facechain_task_history(outcome))


def _made(make: Callable[[FaceChainProvider], T]) -> st.SearchStrategy[T]:
    def made(chance: Random) -> T:
        generator = Generator()
        generator.random = chance
        return make(FaceChainProvider(generator))

    return st.randoms(use_true_random=False).map(made)
