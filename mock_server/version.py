"""Which version this is."""

from __future__ import annotations


def installed_version() -> str:
    """The version that is installed. Looking it up is slow, so nobody does before it is asked for."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("facechain-testkit")
    except PackageNotFoundError:
        return "0+uninstalled"
