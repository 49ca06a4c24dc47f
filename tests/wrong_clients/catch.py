"""Runs a wrong client against the kit, and says what it was caught at."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from facechain_testkit.kit import VENDOR_URL, mock_facechain
from mock_server.core.findings import Finding

FOLDER = Path(__file__).parent
OURS = ("catch", "order")
LONGEST_S = 600
"""So long, in the vendor's time and beside a sleep it asks for, a client may go on; some never end."""

LIBRARIES = ("requests", "httpx", "aiohttp")


class NeverEnds(Exception):
    """The client would go on for ever."""


@dataclass(frozen=True)
class WrongClient:
    """A client with one defect: the scenario that shows it, and the finding that names it."""

    name: str
    library: str
    defect: str
    scenario: str
    plan: Mapping[str, Any] | None
    finding: str
    also: tuple[str, ...]
    """Findings that the same defect earns besides."""
    seen: tuple[str, ...]
    """Public threads that tell of such a defect, as ``owner/repository#1``."""
    run: Callable[[str, str, Callable[[float], None]], None]


@dataclass(frozen=True)
class Caught:
    """What became of a client: how it ended, and what the kit found."""

    ending: str
    findings: tuple[Finding, ...]


def clients() -> list[WrongClient]:
    """Every client of the folder."""
    return [_read(path.stem) for path in sorted(FOLDER.glob("*.py")) if path.stem not in OURS]


def _read(name: str) -> WrongClient:
    module = import_module(f"tests.wrong_clients.{name}")
    return WrongClient(
        name=name,
        library=next(library for library in LIBRARIES if library in vars(module)),
        defect=str(module.__doc__),
        scenario=module.SCENARIO,
        plan=getattr(module, "PLAN", None),
        finding=module.FINDING,
        also=getattr(module, "ALSO", ()),
        seen=getattr(module, "SEEN", ()),
        run=module.run,
    )


def caught(client: WrongClient) -> Caught:
    """Let a client do its worst, and a week pass; time stands still but where the client sleeps or waits."""
    with mock_facechain(scenario=client.scenario, plan=client.plan, clock="frozen") as facechain:
        slept_s = [0.0]

        def sleep(seconds: float) -> None:
            facechain.clock.advance(seconds)
            slept_s.append(seconds)
            if sum(each for each in slept_s if each < LONGEST_S) > LONGEST_S:
                raise NeverEnds

        try:
            client.run(VENDOR_URL, facechain.api_key, sleep)
            ending = "as if all were well"
        except NeverEnds:
            ending = "never"
        except Exception as error:  # noqa: BLE001 - a wrong client may die of anything
            ending = f"with `{type(error).__name__}`"
        facechain.clock.advance("7d")
        return Caught(ending, tuple(facechain.findings()))
