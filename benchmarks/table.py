"""From measured rounds to a table: a figure has one value a round for us and for the yardstick beside us."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any


@dataclass(frozen=True)
class Figure:
    """Something measured, the less the better. ``ours[i]`` and ``bare[i]`` come from the same round.

    ``goal`` limits the median ratio; a figure without a ``bare`` has none, and ``goal`` limits its median value.
    """

    name: str
    unit: str
    ours: Sequence[float]
    bare: Sequence[float] = ()
    goal: float | None = None
    per_second: bool = False
    """Whether it reads better as 1 / value: how many a second, where ``value`` is in microseconds."""

    @property
    def ratios(self) -> list[float]:
        return [ours / bare for ours, bare in zip(self.ours, self.bare, strict=True)] if self.bare else []

    @property
    def judged(self) -> float:
        """What the goal is held against."""
        return median(self.ratios or self.ours)

    @property
    def verdict(self) -> str:
        if self.goal is None:
            return ""
        return "ok" if self.judged <= self.goal else "NOT MET"

    def as_json(self) -> dict[str, Any]:
        found: dict[str, Any] = {"unit": self.unit, "ours": _spread(self.ours)}
        if self.bare:
            found |= {"bare": _spread(self.bare), "ratio": _spread(self.ratios)}
        return found | ({} if self.goal is None else {"goal": self.goal, "verdict": self.verdict})

    def cells(self) -> list[str]:
        goal = "" if self.goal is None else f"<= {self.goal:g}" + ("x" if self.bare else f" {self.unit}")
        ratio = f"{median(self.ratios):.2f} ({min(self.ratios):.2f}-{max(self.ratios):.2f})" if self.bare else ""
        return [self.name, self._read(self.ours), self._read(self.bare), ratio, goal, self.verdict]

    def _read(self, values: Sequence[float]) -> str:
        if not values:
            return "-"
        middle = median(values)
        shown = f"{middle:,.1f}" if middle < 100 else f"{middle:,.0f}"
        return f"{1_000_000 / middle:,.0f}/s" if self.per_second else f"{shown} {self.unit}"


def _spread(values: Sequence[float]) -> dict[str, float]:
    return {
        "median": round(median(values), 3),
        "min": round(min(values), 3),
        "max": round(max(values), 3),
        "rounds": len(values),
    }


def table(figures: Sequence[Figure]) -> str:
    """The figures in Markdown, which is readable as it is, too."""
    head = ["figure", "ours", "bare Flask", "ratio (min-max)", "goal", ""]
    rows = [head, *(figure.cells() for figure in figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)
