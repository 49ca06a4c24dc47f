"""What the core needs from the machine: time, chance, and a place to keep accounts. Adapters fit by shape."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, TypeVar

from mock_server.core.faults import Faults
from mock_server.core.journal import Journal
from mock_server.core.ledger import Ledger
from mock_server.core.lifecycle import settle_all
from mock_server.core.model import Account, Job, Lane, Task
from mock_server.core.pictures import Picture
from mock_server.core.scenarios import Asked

T = TypeVar("T")


class Clock(Protocol):
    """The only source of time. It runs ``factor`` times as fast as real time unless it is ``frozen``."""

    @property
    def frozen(self) -> bool: ...

    @property
    def factor(self) -> float: ...

    def now_ms(self) -> int:
        """Milliseconds since the epoch, UTC."""
        ...

    def wait_ms(self, ms: int) -> None:
        """Wait until ``ms`` of this clock have passed; on a frozen clock not at all."""
        ...

    def freeze(self) -> None: ...

    def resume(self) -> None: ...

    def advance(self, by: str | float) -> None:
        """Move forward by ``"24h"``, ``"1m30s"``, ``"250ms"`` or a number of seconds."""
        ...

    def scale(self, factor: float) -> None: ...

    def reset(self) -> None: ...


class World(Protocol):
    """All that one session knows: accounts with their tasks, plans for the next ones, faults, journal, ledger."""

    faults: Faults
    journal: Journal
    ledger: Ledger
    scenario: str | None

    def change(self, account: str, step: Callable[[Account], T]) -> T:
        """Run ``step`` on the account while nobody else can, keep what it changed, give what it gave."""
        ...

    def accounts(self) -> list[str]:
        """Names of the accounts seen so far."""
        ...

    def first_plan(self, model: str) -> Asked | None:
        """What was queued first for this model, left in place; None when nothing is queued."""
        ...

    def take_plan(self, model: str) -> None:
        """Drop what was queued first for this model."""
        ...

    def queue_plan(self, queued: Asked) -> None: ...

    def queued_plans(self) -> list[Asked]: ...

    def clear_plans(self) -> None: ...

    def new_number(self) -> int:
        """One more than the last one, from 1."""
        ...

    def new_id(self) -> str:
        """A fresh id in the form of a random UUID, from the session's own seed."""
        ...

    def tasks(self) -> Iterator[tuple[str, Task]]:
        """Every portrait task with the name of its account."""
        ...

    def jobs(self) -> Iterator[tuple[str, Job]]:
        """Every training with the name of its account."""
        ...

    def declare(self, url: str, picture: Picture) -> None:
        """Say what is to be seen at a URL. Raises ValueError when too much is declared."""
        ...

    def asset(self, url: str) -> Picture | None:
        """What was declared of a URL."""
        ...

    def assets(self) -> dict[str, Picture]: ...

    def clear_assets(self) -> None: ...

    def add_resource(self, resource_id: str) -> None:
        """Have a likeness that needs no training. Raises ValueError when there are too many."""
        ...

    def has_resource(self, resource_id: str) -> bool: ...

    def resources(self) -> list[str]: ...

    def clear_resources(self) -> None: ...

    def keep(self, name: str, content: bytes) -> None:
        """Keep the content of a file as long as there is room."""
        ...

    def kept(self, name: str) -> bytes | None:
        """The content of a file; None when it is not kept, or not any more."""
        ...

    def drop(self, name: str) -> None: ...


def settle_world(world: World, now_ms: int) -> None:
    """Write down what time did to every task of every account."""
    for account in world.accounts():
        world.change(account, lambda owner: _settle(owner, now_ms))


def clear_tasks(world: World) -> None:
    """Forget every task and training; what they cost stays in the ledger as it stood."""

    def clear(owner: Account) -> None:
        owner.portraits, owner.trainings = Lane(), Lane()
        owner.unannounced.clear()

    for account in world.accounts():
        world.change(account, clear)


def _settle(owner: Account, now_ms: int) -> None:
    settle_all(owner.portraits, now_ms)
    settle_all(owner.trainings, now_ms)


class Worlds(Protocol):
    """One world for each session; the session without a name is the one of clients that send none."""

    def open(self, session: str) -> World: ...

    def clear(self, session: str) -> None:
        """Forget all that the session knows."""
        ...

    def all(self) -> Sequence[World]:
        """The worlds of all sessions seen so far."""
        ...
