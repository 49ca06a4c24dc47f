"""Accounts and tasks in this process. One lock a session, because every step is short."""

from __future__ import annotations

import random
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from typing import TypeVar

from mock_server.core.faults import Fault, Faults
from mock_server.core.journal import Journal
from mock_server.core.ledger import Ledger
from mock_server.core.model import Account, Task
from mock_server.core.scenarios import Asked

T = TypeVar("T")

MOST_SESSIONS = 1_000
MOST_ACCOUNTS = 10_000
MOST_QUEUED_PLANS = 10_000


class MemoryWorld:
    """What one session knows. ``seed`` decides every id it hands out and every fault that strikes."""

    def __init__(self, seed: str, faults: tuple[Fault, ...] = (), scenario: str | None = None) -> None:
        self.faults = Faults(seed, faults)
        self.journal = Journal()
        self.ledger = Ledger()
        self.scenario = scenario
        self._lock = threading.RLock()
        self._accounts: dict[str, Account] = {}
        self._plans: deque[Asked] = deque()
        self._random = random.Random(seed)

    def change(self, account: str, step: Callable[[Account], T]) -> T:
        with self._lock:
            found = self._accounts.get(account)
            if found is None:
                self._make_room()
                found = self._accounts[account] = Account()
            return step(found)

    def _make_room(self) -> None:
        """Forget an account when there are too many: one without tasks, else the oldest."""
        if len(self._accounts) >= MOST_ACCOUNTS:
            idle = (name for name, account in self._accounts.items() if not account.tasks)
            del self._accounts[next(idle, next(iter(self._accounts)))]

    def accounts(self) -> list[str]:
        with self._lock:
            return list(self._accounts)

    def first_plan(self) -> Asked | None:
        with self._lock:
            return self._plans[0] if self._plans else None

    def take_plan(self) -> None:
        with self._lock:
            if self._plans:
                self._plans.popleft()

    def queue_plan(self, queued: Asked) -> None:
        with self._lock:
            if len(self._plans) >= MOST_QUEUED_PLANS:
                raise ValueError(f"{MOST_QUEUED_PLANS} plans are queued already; clear them with DELETE plans")
            self._plans.append(queued)

    def queued_plans(self) -> list[Asked]:
        with self._lock:
            return list(self._plans)

    def clear_plans(self) -> None:
        with self._lock:
            self._plans.clear()

    def clear_tasks(self) -> None:
        with self._lock:
            for account in self._accounts.values():
                account.tasks.clear()
                account.queue.clear()
                account.slot_free_ms = 0

    def new_id(self) -> str:
        bits = self._random.getrandbits(128)
        text = f"{bits:032x}"
        variant = "89ab"[bits & 3]
        return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-{variant}{text[17:20]}-{text[20:]}"

    def tasks(self) -> Iterator[tuple[str, Task]]:
        with self._lock:
            found = [(name, task) for name, account in self._accounts.items() for task in account.tasks.values()]
        yield from found


class MemoryWorlds:
    """The worlds of all sessions; beyond ``MOST_SESSIONS`` the named one unused longest is forgotten.

    Every world begins with these ``faults`` and this ``scenario``.
    """

    def __init__(self, seed: int, faults: tuple[Fault, ...] = (), scenario: str | None = None) -> None:
        self._seed = seed
        self._faults = faults
        self._scenario = scenario
        self._lock = threading.Lock()
        self._worlds: OrderedDict[str, MemoryWorld] = OrderedDict()

    def open(self, session: str) -> MemoryWorld:
        with self._lock:
            world = self._worlds.get(session)
            if world is None:
                world = self._worlds[session] = MemoryWorld(f"{self._seed}:{session}", self._faults, self._scenario)
                if len(self._worlds) > MOST_SESSIONS:
                    del self._worlds[next(name for name in self._worlds if name)]
            else:
                self._worlds.move_to_end(session)
            return world

    def clear(self, session: str) -> None:
        with self._lock:
            self._worlds.pop(session, None)
