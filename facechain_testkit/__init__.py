"""Test kit for clients of DashScope FaceChain: a mocked vendor in your tests, and a verdict on your client."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from facechain_testkit.kit import Facechain, mock_facechain

__all__ = ["Facechain", "mock_facechain"]


def __getattr__(name: str) -> Any:
    """The kit is loaded when it is asked for, so that an unused plugin costs a test run nothing."""
    if name in __all__:
        from facechain_testkit import kit

        return getattr(kit, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
