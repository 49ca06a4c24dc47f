"""Measure the server beside a bare Flask app on the same server, round by round, and print how they compare.

Loopback only; what it starts it stops, by id. A full run takes about two minutes and writes ``results.json``.
``--quick`` takes ten seconds, writes nothing, and fails when a poll costs twice what ``baseline.json`` remembers.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import sys
import time
from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timezone
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.messages import KEY, MANY, polls, submissions
from benchmarks.processes import CONNECTIONS, Pinning, Process, Server, run_load
from benchmarks.table import Figure, table

FOLDER = Path(__file__).resolve().parent
RESULTS, BASELINE = FOLDER / "results.json", FOLDER / "baseline.json"
WORST = 2.0
"""So many times its recorded ratio may a poll cost before a quick run fails: far outside the noise."""
FEW = 100

_SERVE = ("serve", "--limits", "off", "--log", "off", "--api-key", KEY, "--port")
OURS = ("-m", "mock_server", *_SERVE)
WITHOUT_FAST = (
    "-c",
    "import sys; sys.modules['jsonschema_rs'] = None; from mock_server.__main__ import main; sys.exit(main())",
    *_SERVE,
)
BARE = ("-m", "benchmarks.bare_app")

RUNNING, PICTURES, SUBMIT = "poll, task running", "poll, 4 pictures", "submit"
SAME_BODY, NO_EXTRA = "submit, same body", "submit, no fast extra"


@dataclass(frozen=True)
class Length:
    """How much to measure."""

    rounds: int
    load_s: float
    boots: int
    tasks: int


FULL = Length(rounds=7, load_s=1.0, boots=9, tasks=100_000)
QUICK = Length(rounds=3, load_s=0.4, boots=3, tasks=0)


@dataclass
class Measured:
    """What one load found, a value a round."""

    time_us: list[float] = field(default_factory=list)
    cpu_us: list[float] = field(default_factory=list)
    p50_ms: list[float] = field(default_factory=list)
    p99_ms: list[float] = field(default_factory=list)

    def figures(self, name: str, bare: Measured, goal: float | None) -> Iterator[Figure]:
        yield Figure(name, "us", self.time_us, bare.time_us, goal, per_second=True)
        if self.cpu_us:
            yield Figure(f"{name}: CPU", "us", self.cpu_us, bare.cpu_us, goal)
        yield Figure(f"{name}: p50", "ms", self.p50_ms, bare.p50_ms)
        yield Figure(f"{name}: p99", "ms", self.p99_ms, bare.p99_ms)


@dataclass(frozen=True)
class Load:
    """Requests for one of the servers, named as in the table. A round goes on where the one before it ended."""

    name: str
    server: Server
    requests: deque[str]

    def run(self, seconds: float, pinning: Pinning, measured: Measured) -> float:
        """Add a round to ``measured``; the share of its core that sending took."""
        cpu_before = self.server.cpu_s()
        tally = run_load(self.server.port, list(self.requests), pinning, seconds=seconds)
        self.requests.rotate(-tally.answered)
        cpu_after = self.server.cpu_s()
        if set(tally.statuses) != {"200"}:
            raise RuntimeError(f"{self.name}: answers were {tally.statuses}, not 200 alone")
        measured.time_us.append(1e6 * tally.seconds / tally.answered)
        if cpu_before is not None and cpu_after is not None:
            measured.cpu_us.append(1e6 * (cpu_after - cpu_before) / tally.answered)
        measured.p50_ms.append(tally.p50_ms)
        measured.p99_ms.append(tally.p99_ms)
        return tally.busy


def measure_loads(length: Length, pinning: Pinning, *, polls_only: bool) -> tuple[list[Figure], float]:
    """Polls and submissions; beside them the share of its core that the busiest load took."""
    with ExitStack() as stack:
        ours = stack.enter_context(running(OURS, pinning))
        bare = stack.enter_context(running(BARE, pinning))
        loads = [
            Load("bare poll", bare, deque(polls("7574ee8f-38a3-4b1e-9280-11c33ab46e51"))),
            Load(RUNNING, ours, polls_of_tasks(ours, {"progression": "hold", "in": "RUNNING"}, FEW)),
            Load(PICTURES, ours, polls_of_tasks(ours, {"progression": "immediate"}, MANY)),
        ]
        if not polls_only:
            loads += [
                Load("bare submit", bare, deque(submissions(MANY))),
                Load(SUBMIT, ours, deque(submissions(MANY))),
                Load(SAME_BODY, ours, deque(submissions(1))),
            ]
            if find_spec("jsonschema_rs"):
                loads.append(
                    Load(NO_EXTRA, stack.enter_context(running(WITHOUT_FAST, pinning)), deque(submissions(MANY)))
                )
        for load in loads:
            load.run(0.3, pinning, Measured())
        measured: dict[str, Measured] = defaultdict(Measured)
        busy = 0.0
        for number in range(length.rounds):
            for load in loads if number % 2 == 0 else reversed(loads):
                busy = max(busy, load.run(length.load_s, pinning, measured[load.name]))
    figures: list[Figure] = []
    for load in loads:
        kind = load.name.partition(",")[0]
        if kind in ("poll", "submit"):
            goal = 1.5 if kind == "poll" else None
            figures += measured[load.name].figures(load.name, measured[f"bare {kind}"], goal)
    return figures, busy


@contextmanager
def running(arguments: Sequence[str], pinning: Pinning) -> Iterator[Server]:
    """A server in a process of its own that has answered once."""
    with Server(*arguments) as server:
        pinning.server(server.pid)
        server.first_answer_ms(polls("none")[0])
        yield server


def polls_of_tasks(server: Server, plan: dict[str, str], count: int) -> deque[str]:
    """A poll of each of ``count`` new tasks that go by ``plan``."""
    answers = (server.exchange(request) for request in submissions(count, plan))
    return deque(polls(answer["output"]["task_id"])[0] for answer in answers)


def measure_lives(length: Length) -> Iterator[Figure]:
    """From start to stop: boot, memory at rest, and how long the end takes."""
    boots: dict[str, list[float]] = defaultdict(list)
    stops: dict[str, list[float]] = defaultdict(list)
    memory: dict[str, list[float]] = defaultdict(list)
    imports = []
    for _ in range(length.boots + 1):
        for name, arguments in (("ours", OURS), ("bare", BARE)):
            with Server(*arguments) as server:
                boots[name].append(server.first_answer_ms(polls("none")[0]))
                for kind, kb in (server.memory_kb() or {}).items():
                    memory[f"{name} {kind}"].append(kb / 1024)
                stops[name].append(server.stop())
        with Process("-c", "import flask") as process:
            process.output(timeout_s=10)
            imports.append(1000 * (time.perf_counter() - process.started))
    for values in (*boots.values(), *stops.values(), *memory.values(), imports):
        del values[0]  # the first start finds its files neither compiled nor in the cache of the disk
    yield Figure("boot to first answer", "ms", boots["ours"], goal=400)
    yield Figure("boot, beside bare Flask", "ms", boots["ours"], boots["bare"])
    yield Figure("boot, beside `import flask`", "ms", boots["ours"], imports)
    yield Figure("stop", "ms", stops["ours"], goal=200)
    for kind in ("Rss", "Pss"):
        if memory[f"ours {kind}"]:
            yield Figure(f"memory at rest, {kind.upper()}", "MB", memory[f"ours {kind}"], memory[f"bare {kind}"])


def measure_tasks(count: int) -> Iterator[Figure]:
    """What a finished task takes of the memory."""
    with Process("-m", "benchmarks.stored_tasks", str(count)) as process:
        found = json.loads(process.output(timeout_s=300))
    if found is not None:
        yield Figure(f"memory a task, of {count:,}", "bytes", [found], goal=1024)


def machine(pinning: Pinning) -> dict[str, Any]:
    """Where and with what this was measured."""
    try:
        found = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text("utf-8"), re.MULTILINE)
    except OSError:
        found = None
    packages = ["facechain-testkit", "flask", "werkzeug", "waitress", "jsonschema"]
    packages += ["jsonschema-rs"] if find_spec("jsonschema_rs") else []
    return {
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%d"),
        "cpu": found[1] if found else platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.release().partition('-')[0]}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "load_average": round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None,
        "pinned": pinning.on,
        "connections": CONNECTIONS,
        "packages": {name: version(name) for name in packages},
    }


def poll_ratios(figures: Sequence[Figure]) -> dict[str, float]:
    """What a poll costs beside the bare route: in CPU where that can be seen, which is steadier, else in time."""
    ratios = {figure.name: round(figure.judged, 3) for figure in figures}
    return {name: ratios.get(f"{name}: CPU", ratios[name]) for name in (RUNNING, PICTURES)}


def too_costly(ratios: dict[str, float], recorded: dict[str, float]) -> list[str]:
    """A sentence for each poll that costs more than ``WORST`` times what it did."""
    return [
        f"{name} costs {ratios[name]:.2f} x the bare route; recorded was {was:.2f} x, {WORST * was:.2f} x is the most"
        for name, was in recorded.items()
        if ratios[name] > WORST * was
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few rounds, polls and boot only; judged by baseline.json")
    parser.add_argument("--unpinned", action="store_true", help="let servers and load share all cores")
    parser.add_argument("--record", action="store_true", help="write the poll's ratios to baseline.json")
    flags = parser.parse_args()
    length = QUICK if flags.quick else FULL
    pinning = Pinning(not flags.unpinned)
    about = machine(pinning)
    print(f"{about['cpu']}, {about['cores']} cores, {about['system']}, {about['python']}, {about['date']}")
    print(f"{length.rounds} interleaved rounds, {CONNECTIONS} connections, {'' if pinning.on else 'not '}pinned")
    print(f"load average {about['load_average']}: above 1, what is time on the clock says little", flush=True)

    figures, busy = measure_loads(length, pinning, polls_only=flags.quick)
    figures += measure_lives(length)
    if length.tasks:
        figures += measure_tasks(length.tasks)
    print(f"\n{table(figures)}\n\nThe load kept its own core {busy:.0%} busy at most.")

    ratios = poll_ratios(figures)
    if flags.record:
        BASELINE.write_text(json.dumps({"machine": about, "poll_ratios": ratios}, indent=2) + "\n", "utf-8")
    if not flags.quick:
        found = {
            "machine": about,
            "load_busy": round(busy, 2),
            "figures": {each.name: each.as_json() for each in figures},
        }
        RESULTS.write_text(json.dumps(found, indent=2) + "\n", "utf-8")
        return 0
    problems = too_costly(ratios, json.loads(BASELINE.read_text("utf-8"))["poll_ratios"])
    print("\n".join(problems))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
