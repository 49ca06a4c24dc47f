"""The handle on one mocked vendor: what the pytest fixture gives, and ``mock_facechain`` without pytest."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from copy import copy
from dataclasses import replace
from datetime import datetime
from functools import cache, wraps
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar, cast

from contracts import catalogue
from facechain_testkit.doors import API_HOST, guarded_network
from mock_server.clock import VendorClock
from mock_server.core.faults import fault_from_json, fault_to_json
from mock_server.core.findings import LEVELS, Finding, findings, numbers
from mock_server.core.front import handle
from mock_server.core.journal import Entry, entry_to_json
from mock_server.core.ledger import ledger_to_json
from mock_server.core.lifecycle import release, settle_one
from mock_server.core.model import TRAINING_MODEL, Account, Job, Reply, Request, Task
from mock_server.core.pictures import FINE, read, with_properties
from mock_server.core.plans import Plan, plan_from_json
from mock_server.core.ports import World, settle_world
from mock_server.core.scenarios import ASSETS_HOST, HOST_SUFFIX, asked_from_json
from mock_server.core.tasks import VENDOR_ZONE, vendor_time
from mock_server.events import announcing, require_events_sdk
from mock_server.settings import Settings

if TYPE_CHECKING:
    from flask import Flask

F = TypeVar("F", bound=Callable[..., Any])

START = "2026-03-02 09:00:00"
"""Where a kit's clock starts, in the vendor's zone (UTC+8), so that one seed gives one run."""

API_KEY = "sk-mock"
"""A key that the mock accepts and the live service refuses."""

VENDOR_URL = f"https://{API_HOST}/api/v1"
QUICK_PLAN = Plan(progression="polls", running=1)
"""PENDING at submit, RUNNING at the first query, SUCCEEDED at the second."""


_started: list[Facechain] = []
"""The kits that have patched something, in the order in which they started."""


class Facechain:
    """A mocked vendor for one test. Use it as a context manager, or ``start`` and ``stop`` it.

    While it runs, ``requests``, ``httpx`` and ``aiohttp`` find the vendor's hosts inside this process;
    ``base_url`` opens a loopback port for everything else. All ways share one state and one clock.

    ``scenario`` is a name of ``contracts/scenarios.json``, ``plan`` a plan as in the README, ``limits``
    "documented" or "off", ``behaviours`` choices of ``contracts/behaviours.json``, ``clock`` "running",
    "frozen" or a start such as "2026-03-01 09:00:00" in UTC+8. ``strict_network`` refuses every other host too.
    ``training`` is a plan for trainings, ``assets`` a folder of pictures that ``https://assets.facechain.test/<name>``
    stands for, and ``unknown_images`` "refuse" refuses a photo that nobody declared. An event is posted to the
    loopback ``event_url`` for each portrait task that ends, as long as the kit runs.
    Raises ValueError that names what is wrong.
    """

    def __init__(
        self,
        *,
        scenario: str | None = None,
        plan: Mapping[str, Any] | None = None,
        limits: str = "documented",
        behaviours: Mapping[str, str] | None = None,
        clock: str = "running",
        profile: str = "calm",
        seed: int = 0,
        strict_network: bool = False,
        training: Mapping[str, Any] | None = None,
        assets: str | None = None,
        unknown_images: str = "accept",
        event_url: str | None = None,
    ) -> None:
        from mock_server.app import create_simulator

        start, is_frozen = (START, clock == "frozen") if clock in ("running", "frozen") else (clock, False)
        self.clock = VendorClock(_moment_ms(start), frozen=is_frozen)
        self.seed = seed
        self.api_key = API_KEY
        self._settings = Settings(
            scenario=scenario,
            limits=limits,
            behaviour=behaviours or {},
            profile=profile,
            seed=seed,
            port=0,
            assets=assets,
            unknown_images=unknown_images,
            event_url=event_url,
        )
        if event_url is not None:
            require_events_sdk()
        self._simulator = create_simulator(
            self._settings,
            clock=self.clock,
            plan=QUICK_PLAN if plan is None else plan_from_json(plan, QUICK_PLAN),
            training=QUICK_PLAN if training is None else plan_from_json(training, QUICK_PLAN),
        )
        self._strict_network = strict_network
        self._open = ExitStack()
        self._is_running = False
        self._server_url: str | None = None
        self._is_made = True

    def __setattr__(self, name: str, value: object) -> None:
        """Raises AttributeError that names the nearest attribute when there is none of that name."""
        if "_is_made" in self.__dict__ and name not in dir(self):
            public = [each for each in dir(self) if not each.startswith("_")]
            raise AttributeError(f"a mocked vendor has no attribute {name!r}; {catalogue.hint(name, public)}")
        super().__setattr__(name, value)

    # -- running ------------------------------------------------------------------------------------------------------

    def start(self) -> Facechain:
        """Open the doors and point the environment and the vendor's SDK here. Raises RuntimeError when it runs."""
        self._require_running(False)
        with ExitStack() as opening:
            opening.enter_context(guarded_network(strict=self._strict_network))
            for door in _doors():
                opening.enter_context(door(self._handle, self.clock))
            opening.enter_context(_pointed_here(self.api_key))
            opening.enter_context(announcing(self._simulator, self._settings.event_url))
            self._open = opening.pop_all()
        self._is_running = True
        _started.append(self)
        return self

    def stop(self) -> None:
        """Close the port and the doors, and put everything back. What happened can still be looked at."""
        self._is_running, self._server_url = False, None
        # What a later kit has put over ours must go first, so one that stops out of turn waits for those.
        while _started and not _started[-1]._is_running:
            _started.pop()._open.close()

    def _require_running(self, wanted: bool) -> None:
        if self._is_running is not wanted:
            told = "is not running; start it, or use it in a with block" if wanted else "is running already"
            raise RuntimeError(f"this mocked vendor {told}")

    def __enter__(self) -> Facechain:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @contextmanager
    def serving(self, host: str = "127.0.0.1", port: int = 0) -> Iterator[Facechain]:
        """The vendor on a port (a free one when 0) and nowhere else: no doors, nothing patched."""
        self._require_running(False)
        with ExitStack() as self._open:
            self._serve(host, port)
            self._open.enter_context(announcing(self._simulator, self._settings.event_url))
            self._is_running = True
            try:
                yield self
            finally:
                self._is_running, self._server_url = False, None

    @property
    def base_url(self) -> str:
        """The vendor on a loopback port, opened on first use; ends in ``/api/v1``, as the SDK wants it.

        Raises RuntimeError when the kit does not run.
        """
        if self._server_url is None:
            self._require_running(True)
            self._open.enter_context(_pointed_here(self.api_key, self._serve("127.0.0.1", 0)))
        return str(self._server_url)

    def _serve(self, host: str, port: int) -> str:
        from mock_server.app import create_app
        from mock_server.serving import running
        from mock_server.web.wire import SIMULATOR

        settings = replace(self._settings, host=host)
        app = copy(_loopback_app()) if host == "127.0.0.1" else create_app(settings, simulator=self._simulator)
        app.extensions = {**app.extensions, SIMULATOR: self._simulator}
        server = self._open.enter_context(running(app, host, port))
        self._server_url = f"{server.url}/api/v1"
        return self._server_url

    def _handle(self, request: Request) -> Reply:
        return handle(self._simulator, request)

    # -- what is to happen --------------------------------------------------------------------------------------------

    def plan_next(
        self,
        plan: Mapping[str, Any] | None = None,
        *,
        outcome: str | None = None,
        error: str | None = None,
        images: list[Any] | None = None,
        scenario: str | None = None,
        **fields: Any,
    ) -> None:
        """Say how the next submission goes; calls queue up.

        A whole ``plan``, or its parts: ``outcome`` is the final status, ``error`` a reason of
        ``contracts/errors.json``, ``images`` one entry a picture, ``fields`` the plan's other fields.
        Raises ValueError that names what is wrong.
        """
        asked: dict[str, Any] = {**(plan or {}), **fields}
        ending = {"status": outcome, "error": error, "images": images}
        if any(value is not None for value in ending.values()):
            asked["outcome"] = {name: value for name, value in ending.items() if value is not None}
        if scenario is not None:
            asked["scenario"] = scenario
        self._world.queue_plan(asked_from_json(asked, self._simulator.terms.plans))

    def plan_next_job(
        self,
        plan: Mapping[str, Any] | None = None,
        *,
        outcome: str | None = None,
        error: str | None = None,
        scenario: str | None = None,
        **fields: Any,
    ) -> None:
        """Say how the next training goes, as ``plan_next`` does for a portrait; calls queue up of their own."""
        asked = {**(plan or {}), **fields, "model": TRAINING_MODEL}
        self.plan_next(asked, outcome=outcome, error=error, scenario=scenario)

    def add_asset(self, url: str, *, file: str | os.PathLike[str] | bytes | None = None, **properties: Any) -> str:
        """Say what is to be seen at a URL, which is never fetched; gives the URL.

        ``properties`` are those of a picture: format, width, height, bytes, faces, face_px, angle. What is left out
        is as the header of ``file`` says, a path or the bytes of one, and without a file as in a good photo. A name
        without a scheme stands for a picture of ``https://assets.facechain.test/``. Raises ValueError that names what
        is wrong, OSError when there is no such file.
        """
        url = url if "://" in url else f"https://{ASSETS_HOST}{HOST_SUFFIX}/{url}"
        data = file if isinstance(file, bytes | None) else Path(file).read_bytes()
        picture = FINE if data is None else read(data)
        self._world.declare(url, with_properties(picture, properties))
        return url

    def add_resource(self, resource_id: str) -> str:
        """Have a likeness that portraits may use without a training; gives its id."""
        if not resource_id:
            raise ValueError(f"resource_id is {resource_id!r}; it is the id that a submission will name")
        self._world.add_resource(resource_id)
        return resource_id

    def release(self, task_id: str) -> None:
        """Let a task or a training that its plan holds go on.

        Raises KeyError when there is no such task, ValueError when it is not held.
        """
        found = (each for each in chain(self._world.tasks(), self._world.jobs()) if each[1].id == task_id)
        account, task = next(found, (None, None))
        if account is None or task is None:
            raise KeyError(f"no task {task_id!r}; there are {[each.id for each in [*self.tasks, *self.jobs]]}")
        held, now_ms = task, self.clock.now_ms()

        def step(owner: Account) -> None:
            release(held, now_ms)
            settle_one(owner.lane(held), held, now_ms)

        self._world.change(account, step)

    @property
    def scenario(self) -> str | None:
        """The scenario of every submission that asks for nothing else. Setting an unknown one raises ValueError."""
        return self._world.scenario

    @scenario.setter
    def scenario(self, name: str | None) -> None:
        self._world.scenario = None if name is None else catalogue.scenario(name).name

    @property
    def faults(self) -> FaultsOfKit:
        """The failures put in on purpose."""
        return FaultsOfKit(self)

    # -- what has happened --------------------------------------------------------------------------------------------

    @property
    def journal(self) -> JournalOfKit:
        """The requests received."""
        return JournalOfKit(self)

    @property
    def was_called(self) -> bool:
        """Whether any request came since the last ``reset``."""
        return self._world.journal.begun > 0

    @property
    def tasks(self) -> list[Task]:
        """Every portrait task, settled to now, in order of submission."""
        self._settle()
        return sorted((task for _, task in self._world.tasks()), key=lambda task: task.submitted_ms)

    @property
    def jobs(self) -> list[Job]:
        """Every training, settled to now, in order of creation."""
        self._settle()
        return sorted((job for _, job in self._world.jobs()), key=lambda job: job.submitted_ms)

    @property
    def ledger(self) -> dict[str, Any]:
        """What portraits and trainings cost: ``total``, ``expected``, ``duplicates``, ``live_seconds``, all lines."""
        self._settle()
        return ledger_to_json(self._world.ledger.lines())

    def findings(self, level: str = "may") -> list[Finding]:
        """What the client did that the contract advises against, of this level or graver, the gravest first."""
        if level not in LEVELS:
            raise ValueError(f"level is {level!r}; it is one of {', '.join(LEVELS)}")
        self._settle()
        found = findings(self._world.journal.entries(), self._world.ledger.lines())
        return [finding for finding in found if LEVELS.index(finding.level) <= LEVELS.index(level)]

    def assert_clean(self, level: str = "should") -> None:
        """Raises AssertionError with advice when there is any finding of this level or graver.

        Raises ValueError when there is no such level.
        """
        __tracebackhide__ = True
        found = self.findings(level)
        if found:
            raise AssertionError("the client was advised against:\n" + findings_text(found))

    def assert_no_duplicate_spend(self) -> None:
        """Raises AssertionError when one portrait or training was submitted, and would be paid, more than once."""
        __tracebackhide__ = True
        ledger = self.ledger
        if ledger["duplicates"]:
            pairs = ", ".join(f"{row['task_id']} repeats {row['repeats']}" for row in ledger["duplicates"])
            raise AssertionError(f"{ledger['spent_twice']:.2f} CNY would be spent twice: {pairs}")

    def story(self) -> str:
        """Trainings and tasks with their times, requests with their numbers, findings: text for a person."""
        entries, tasks, jobs = self._world.journal.entries(), self.tasks, self.jobs
        requests = "".join(_request_line(entry) for entry in entries[-40:])
        counts = [_count(len(tasks), "task"), *([_count(len(jobs), "training")] if jobs else [])]
        return (
            f"{', '.join(counts)}, {_count(len(entries), 'request')}, "
            f"{self.ledger['expected']:.2f} CNY, seed {self.seed}\n"
            f"{''.join(_task_line(task) for task in [*jobs, *tasks])}{requests}{findings_text(self.findings())}"
        )

    def reset(self) -> None:
        """Forget everything, and put the clock back to its start."""
        self._simulator.worlds.clear("")
        self.clock.reset()

    @property
    def _world(self) -> World:
        return self._simulator.worlds.open("")

    def _settle(self) -> None:
        settle_world(self._world, self.clock.now_ms())


class FaultsOfKit:
    """The failures put in on purpose, and putting in more."""

    def __init__(self, facechain: Facechain) -> None:
        self._facechain = facechain

    @property
    def _world(self) -> World:
        return self._facechain._world

    def add(self, stage: str, kind: str, **fields: Any) -> str:
        """Put a failure in, fields as in the README; gives its id. Raises ValueError that names what is wrong."""
        fault = fault_from_json({"stage": stage, "kind": kind, **fields})
        return str(fault_to_json(self._world.faults.add(fault, self._facechain.clock.now_ms()))["id"])

    def remove(self, fault_id: str) -> None:
        """Raises KeyError when there is none of that id."""
        self._world.faults.remove(fault_id)

    def clear(self) -> None:
        """Take out every failure that was added."""
        self._world.faults.clear()

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self._world.faults.shown())


class JournalOfKit:
    """The requests received, each a dict as the admin API shows it."""

    def __init__(self, facechain: Facechain) -> None:
        self._facechain = facechain

    @property
    def _world(self) -> World:
        return self._facechain._world

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return (entry_to_json(entry) for entry in self._world.journal.entries())

    def __len__(self) -> int:
        return len(self._world.journal.entries())

    def find(self, **criteria: Any) -> list[dict[str, Any]]:
        """Those that match, such as ``operation="query_task", status=429``. Raises ValueError for an unknown name."""
        return [entry_to_json(entry) for entry in self._world.journal.find(criteria)]

    def clear(self) -> None:
        """Forget every request."""
        self._world.journal.clear()


class mock_facechain:
    """A mocked vendor for a ``with`` block, or as a decorator of a function of any kind, or of a class.

    Takes what ``Facechain`` takes. A decorated function that has a parameter ``facechain`` gets the handle;
    of a class every method whose name begins with ``test`` is decorated. A generator, such as a fixture, has it until
    it ends.
    """

    def __init__(self, **chosen: Any) -> None:
        self._chosen = chosen
        self._running: list[Facechain] = []

    def __enter__(self) -> Facechain:
        facechain = Facechain(**self._chosen).start()
        self._running.append(facechain)
        return facechain

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._running.pop().stop()

    def __call__(self, decorated: F) -> F:
        return cast(F, self._of_class(decorated) if inspect.isclass(decorated) else self._of_function(decorated))

    def _of_class(self, decorated: type) -> type:
        for name in dir(decorated):
            if name.startswith("test"):
                method = inspect.getattr_static(decorated, name)
                if inspect.isfunction(method):
                    setattr(decorated, name, self._of_function(method))
                elif isinstance(method, (staticmethod, classmethod)):
                    setattr(decorated, name, type(method)(self._of_function(method.__func__)))
        return decorated

    def _of_function(self, decorated: Callable[..., Any]) -> Callable[..., Any]:
        signature = inspect.signature(decorated)
        wants_handle = "facechain" in signature.parameters

        @contextmanager
        def running(named: dict[str, Any]) -> Iterator[dict[str, Any]]:
            with Facechain(**self._chosen) as facechain:
                yield {**named, "facechain": facechain} if wants_handle else named

        if inspect.iscoroutinefunction(decorated):

            @wraps(decorated)
            async def wrapped(*arguments: Any, **named: Any) -> Any:
                with running(named) as more:
                    return await decorated(*arguments, **more)

        elif inspect.isasyncgenfunction(decorated):

            @wraps(decorated)
            async def wrapped(*arguments: Any, **named: Any) -> Any:
                with running(named) as more:
                    async for value in decorated(*arguments, **more):
                        yield value

        elif inspect.isgeneratorfunction(decorated):

            @wraps(decorated)
            def wrapped(*arguments: Any, **named: Any) -> Any:
                with running(named) as more:
                    return (yield from decorated(*arguments, **more))

        else:

            @wraps(decorated)
            def wrapped(*arguments: Any, **named: Any) -> Any:
                with running(named) as more:
                    return decorated(*arguments, **more)

        kept = [each for name, each in signature.parameters.items() if name != "facechain"]
        wrapped.__signature__ = signature.replace(parameters=kept)  # type: ignore[attr-defined]
        return wrapped


def findings_text(found: list[Finding]) -> str:
    """Findings as a person reads them: what, where, and what to do instead."""
    return "".join(
        f"  {finding.level:6} {finding.id} ({numbers(finding.requests)}): {finding.what}\n         {finding.advice}\n"
        for finding in found
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _task_line(task: Task) -> str:
    moments = [("running", task.scheduled_ms), (task.status, task.ended_ms)]
    times = "".join(f", {name} +{(at - task.submitted_ms) / 1000:.3f} s" for name, at in moments if at is not None)
    submitted = vendor_time(task.submitted_ms)[11:]
    what = _count(len(task.files), "photo") if isinstance(task, Job) else f"{task.style} x{task.n}"
    kind = "training" if isinstance(task, Job) else "task"
    return f"  {kind} {task.id}  {what}  submitted {submitted}{times}\n"


def _request_line(entry: Entry) -> str:
    trace = entry.trace
    wire = f"[{entry.wire}]" if entry.wire else None
    told = " ".join(filter(None, (str(entry.status), trace.shown_status, trace.rule, wire)))
    return f"  #{trace.number} {vendor_time(trace.at_ms)[11:]} {entry.method} {entry.path[:90]} {told}\n"


def _doors() -> Iterator[Callable[..., Any]]:
    """The doors of the HTTP libraries that are installed."""
    from facechain_testkit.doors.requests import requests_door

    yield requests_door
    if find_spec("httpx"):
        from facechain_testkit.doors.httpx import httpx_door

        yield httpx_door
    if find_spec("aiohttp"):
        from facechain_testkit.doors.aiohttp import aiohttp_door

        yield aiohttp_door


class _pointed_here:
    """The environment, and the vendor's SDK if it is imported, pointed at ``url``; put back at the end."""

    def __init__(self, api_key: str, url: str = VENDOR_URL) -> None:
        self._wanted = {"DASHSCOPE_API_KEY": api_key, "DASHSCOPE_HTTP_BASE_URL": url}
        self._url = url

    def __enter__(self) -> None:
        self._before = {name: os.environ.get(name) for name in self._wanted}
        os.environ.update(self._wanted)
        sdk = sys.modules.get("dashscope")
        self._sdk_before = (
            None if sdk is None else {name: getattr(sdk, name, None) for name in ("base_http_api_url", "api_key")}
        )
        if sdk is not None:
            setattr(sdk, "base_http_api_url", self._url)  # noqa: B010 - a module attribute of somebody else's
            setattr(sdk, "api_key", self._wanted["DASHSCOPE_API_KEY"])  # noqa: B010

    def __exit__(self, *_raised: object) -> None:
        for name, value in self._before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        sdk = sys.modules.get("dashscope")
        if sdk is not None:
            # One that was imported meanwhile has read our environment.
            before = self._sdk_before or {
                "base_http_api_url": self._before["DASHSCOPE_HTTP_BASE_URL"] or VENDOR_URL,
                "api_key": self._before["DASHSCOPE_API_KEY"],
            }
            for name, value in before.items():
                setattr(sdk, name, value)


@cache
def _loopback_app() -> Flask:
    """The app to make copies of: its routes, which are alike in all of them, take longer to make than all else."""
    from mock_server.app import create_app

    return create_app(Settings(port=0))


def _moment_ms(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"clock is {text!r}; it is running, frozen, or a start such as {START!r} in UTC+8") from None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=VENDOR_ZONE)).timestamp() * 1000)
