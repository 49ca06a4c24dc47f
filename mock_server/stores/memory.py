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
from mock_server.core.model import MODEL, Account, Job, Task
from mock_server.core.pictures import Picture
from mock_server.core.scenarios import Asked

T = TypeVar("T")

MOST_SESSIONS = 1_000
MOST_ACCOUNTS = 10_000
MOST_QUEUED_PLANS = 10_000
MOST_DECLARED = 10_000
MOST_CONTENT_BYTES = 64 * 1_048_576
"""So much is kept of the contents of files, of all sessions together; beyond that the oldest are forgotten."""

EACH_CONTENT_BYTES = 500
"""What keeping a content takes beside its bytes."""


class Contents:
    """The contents of files, by any name, ``MOST_CONTENT_BYTES`` at most."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[MemoryWorld, str], bytes] = OrderedDict()
        self._bytes = 0

    def keep(self, world: MemoryWorld, name: str, content: bytes) -> None:
        with self._lock:
            self._drop((world, name))
            if world.is_forgotten:
                return
            self._kept[world, name] = content
            self._bytes += len(content) + EACH_CONTENT_BYTES
            while self._bytes > MOST_CONTENT_BYTES:
                self._drop(next(iter(self._kept)))

    def kept(self, world: MemoryWorld, name: str) -> bytes | None:
        with self._lock:
            return self._kept.get((world, name))

    def drop(self, world: MemoryWorld, name: str) -> None:
        with self._lock:
            self._drop((world, name))

    def forget(self, world: MemoryWorld) -> None:
        """Drop all that is the world's, and keep nothing of it any more."""
        with self._lock:
            world.is_forgotten = True
            for key in [key for key in self._kept if key[0] is world]:
                self._drop(key)

    def _drop(self, key: tuple[MemoryWorld, str]) -> None:
        content = self._kept.pop(key, None)
        if content is not None:
            self._bytes -= len(content) + EACH_CONTENT_BYTES


class MemoryWorld:
    """What one session knows. ``seed`` decides every id it hands out and every fault that strikes."""

    def __init__(
        self,
        seed: str,
        faults: tuple[Fault, ...] = (),
        scenario: str | None = None,
        contents: Contents | None = None,
    ) -> None:
        self.is_forgotten = False
        self._numbers = 0
        self._contents = contents or Contents()
        self._assets: dict[str, Picture] = {}
        self._resources: dict[str, None] = {}
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
        """Forget an account when there are too many: one without anything of its own, else the oldest."""
        if len(self._accounts) >= MOST_ACCOUNTS:
            idle = (name for name, account in self._accounts.items() if not account.has_something)
            del self._accounts[next(idle, next(iter(self._accounts)))]

    def accounts(self) -> list[str]:
        with self._lock:
            return list(self._accounts)

    def first_plan(self, model: str = MODEL) -> Asked | None:
        with self._lock:
            return next((queued for queued in self._plans if queued.model == model), None)

    def take_plan(self, model: str = MODEL) -> None:
        with self._lock:
            first = self.first_plan(model)
            if first is not None:
                self._plans.remove(first)

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

    def declare(self, url: str, picture: Picture) -> None:
        with self._lock:
            if len(self._assets) >= MOST_DECLARED and url not in self._assets:
                raise ValueError(f"{MOST_DECLARED} pictures are declared already; clear them with DELETE assets")
            self._assets[url] = picture

    def asset(self, url: str) -> Picture | None:
        return self._assets.get(url)

    def assets(self) -> dict[str, Picture]:
        with self._lock:
            return dict(self._assets)

    def clear_assets(self) -> None:
        with self._lock:
            self._assets.clear()

    def add_resource(self, resource_id: str) -> None:
        with self._lock:
            if len(self._resources) >= MOST_DECLARED and resource_id not in self._resources:
                raise ValueError(f"{MOST_DECLARED} likenesses are declared already; clear them with DELETE resources")
            self._resources[resource_id] = None

    def has_resource(self, resource_id: str) -> bool:
        return resource_id in self._resources

    def resources(self) -> list[str]:
        with self._lock:
            return list(self._resources)

    def clear_resources(self) -> None:
        with self._lock:
            self._resources.clear()

    def keep(self, name: str, content: bytes) -> None:
        self._contents.keep(self, name, content)

    def kept(self, name: str) -> bytes | None:
        return self._contents.kept(self, name)

    def drop(self, name: str) -> None:
        self._contents.drop(self, name)

    def new_number(self) -> int:
        with self._lock:
            self._numbers += 1
            return self._numbers

    def new_id(self) -> str:
        bits = self._random.getrandbits(128)
        text = f"{bits:032x}"
        variant = "89ab"[bits & 3]
        return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-{variant}{text[17:20]}-{text[20:]}"

    def tasks(self) -> Iterator[tuple[str, Task]]:
        with self._lock:
            lanes = [(name, account.portraits) for name, account in self._accounts.items()]
            found = [(name, task) for name, lane in lanes for task in lane.tasks.values()]
        yield from found

    def jobs(self) -> Iterator[tuple[str, Job]]:
        with self._lock:
            lanes = [(name, account.trainings) for name, account in self._accounts.items()]
            found = [(name, job) for name, lane in lanes for job in lane.tasks.values() if isinstance(job, Job)]
        yield from found


class MemoryWorlds:
    """The worlds of all sessions; beyond ``MOST_SESSIONS`` the named one unused longest is forgotten.

    Every world begins with these ``faults`` and this ``scenario``.
    """

    def __init__(self, seed: int, faults: tuple[Fault, ...] = (), scenario: str | None = None) -> None:
        self._seed = seed
        self._faults = faults
        self._scenario = scenario
        self._contents = Contents()
        self._lock = threading.Lock()
        self._worlds: OrderedDict[str, MemoryWorld] = OrderedDict()

    def open(self, session: str) -> MemoryWorld:
        with self._lock:
            world = self._worlds.get(session)
            if world is None:
                seed = f"{self._seed}:{session}"
                world = self._worlds[session] = MemoryWorld(seed, self._faults, self._scenario, self._contents)
                if len(self._worlds) > MOST_SESSIONS:
                    self._forget(next(name for name in self._worlds if name))
            else:
                self._worlds.move_to_end(session)
            return world

    def clear(self, session: str) -> None:
        with self._lock:
            self._forget(session)

    def _forget(self, session: str) -> None:
        world = self._worlds.pop(session, None)
        if world is not None:
            self._contents.forget(world)

    def all(self) -> list[MemoryWorld]:
        with self._lock:
            return list(self._worlds.values())
