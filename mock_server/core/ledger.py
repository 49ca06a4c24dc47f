"""What the submissions would have cost, how long they would have taken, and which were paid twice."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, replace
from typing import Any

from contracts import catalogue
from mock_server.core.model import MODEL, TRAINING_MODEL, Task, TaskStatus

MOST_LINES = 100_000


@dataclass(frozen=True, slots=True)
class Line:
    """One accepted submission. ``intent`` is a digest of its body; ``repeats`` the task it pays for once more."""

    number: int
    account: str
    intent: str
    task: Task
    answered: bool
    repeats: str | None = None


class Ledger:
    """Every accepted submission of a session, with its price. Failures are free, as at the vendor."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lines: deque[Line] = deque(maxlen=MOST_LINES)

    def enter(self, number: int, account: str, intent: str, task: Task, *, answered: bool) -> None:
        """Write down an accepted submission; ``answered`` tells whether its answer was sent on its way."""
        with self._lock:
            self._lines.append(Line(number, account, intent, task, answered))

    def lines(self) -> list[Line]:
        """Every accepted submission, in order."""
        with self._lock:
            lines = list(self._lines)
        return _with_repeats(lines)

    def clear(self) -> None:
        """Forget every submission."""
        with self._lock:
            self._lines.clear()


def _with_repeats(lines: list[Line]) -> list[Line]:
    """The lines, each that asks for what an earlier task was still at work on with the id of that task.

    A task that was cancelled pays for nothing and is repeated by none.
    """
    alive: dict[tuple[str, str], deque[Task]] = {}
    judged = []
    for line in lines:
        task = line.task
        if task.status == TaskStatus.CANCELED:
            judged.append(line)
            continue
        same = alive.setdefault((line.account, line.intent), deque())
        while same and same[0].ended_ms is not None and same[0].ended_ms <= task.submitted_ms:
            same.popleft()
        judged.append(replace(line, repeats=same[0].id) if same else line)
        same.append(task)
    return judged


def ledger_to_json(lines: list[Line]) -> dict[str, Any]:
    """The ledger as the admin API shows it. Money is CNY; a task that has not ended is priced as if all goes well."""
    rows = [_row(line) for line in lines]
    return {
        "currency": "CNY",
        "price_per_picture": _price(MODEL),
        "price_per_training": _price(TRAINING_MODEL),
        "submissions": len(rows),
        "pictures": sum(row["pictures"] for row in rows if row["settled"]),
        "total": _money(sum(row["price"] for row in rows if row["settled"])),
        "expected": _money(sum(row["price"] for row in rows)),
        "duplicates": [row for row in rows if "repeats" in row],
        "spent_twice": _money(sum(row["price"] for row in rows if "repeats" in row)),
        "live_seconds": live_seconds(lines),
        "tasks": rows,
    }


def live_seconds(lines: list[Line]) -> float:
    """How long the same tasks would have kept the vendor busy, one of each kind at a time for each account."""
    real = catalogue.profiles()["real"]
    plans = {MODEL: real.plan, TRAINING_MODEL: real.training}
    lasting_ms = {model: int(plan["pending_ms"]) + int(plan["running_ms"]) for model, plan in plans.items()}
    busy_ms: dict[tuple[str, str], int] = {}
    for line in lines:
        lane = (line.account, line.task.model)
        busy_ms[lane] = busy_ms.get(lane, 0) + lasting_ms[line.task.model]
    return max(busy_ms.values(), default=0) / 1000


def _price(model: str) -> float:
    return float(catalogue.limits()["models"][model]["price_cny"])


def _row(line: Line) -> dict[str, Any]:
    task = line.task
    settled = task.ended_ms is not None
    pictures = task.delivered if settled else task.n
    if task.model == MODEL:
        price = pictures * _price(MODEL)
    else:
        price = 0.0 if settled and task.status != TaskStatus.SUCCEEDED else _price(task.model)
    row: dict[str, Any] = {
        "task_id": task.id,
        "model": task.model,
        "request": line.number,
        "account": line.account,
        "status": task.status,
        "pictures": pictures,
        "price": _money(price),
        "settled": settled,
        "answered": line.answered,
    }
    if line.repeats is not None:
        row["repeats"] = line.repeats
    return row


def _money(amount: float) -> float:
    return round(amount, 2)
