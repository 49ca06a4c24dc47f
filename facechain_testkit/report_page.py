"""``report.html``: one page that opens from a file, runs no script and loads nothing. Words for people stand here too.

Everything that comes from a test goes through ``_text``. What is bounded here stands whole in ``findings.json``.
"""

from __future__ import annotations

import html
import math
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from itertools import groupby, pairwise
from typing import TYPE_CHECKING, Any

from contracts import catalogue
from facechain_testkit.coverage import KINDS_OF_ITEM, Coverage, Item
from mock_server.core.findings import LEVELS, LOST_ON_THE_WIRE
from mock_server.core.lifecycle import retention_ms
from mock_server.core.model import TRAINING_MODEL, TaskStatus

if TYPE_CHECKING:
    from facechain_testkit.report import Totals

MOST_TESTS = 500
MOST_TEXT = 200
MOST_ROWS = 3_200
MOST_FINDINGS = 1_000
MOST_LANES = 900
"""Of all tests together, so that the page stays small."""

_LIMITS = (200, 100, 60, 40, 25, 16, 12, 8, 7, 6, 5, 4, 3, 2, 1)

_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


# -- words ------------------------------------------------------------------------------------------------------------


def clean(text: str) -> str:
    """``text`` without what no XML or HTML file may hold: control characters and halves of characters."""
    return _NOT_IN_XML.sub("\ufffd", text)


def money(amount: float) -> str:
    """An amount of CNY, with two decimals."""
    return f"{amount:,.2f}"


def duration(seconds: float) -> str:
    """A length of time, as ``4 min 12 s``."""
    whole = round(seconds)
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds % 1 else f"{whole} s"
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    parts = [f"{hours} h"] if hours else []
    parts += [f"{minutes} min"] if minutes else []
    parts += [f"{rest} s"] if rest and not hours else []
    return " ".join(parts)


def _after(ms: int) -> str:
    """A moment, counted from the first one of its test."""
    if abs(ms) < 10_000:
        return f"{ms / 1000:.3f} s"
    if abs(ms) < 120_000:
        return f"{ms / 1000:.1f} s"
    return f"{ms / 60_000:.1f} min" if abs(ms) < 7_200_000 else f"{ms / 3_600_000:.1f} h"


def _text(value: object, most: int = MOST_TEXT) -> str:
    """Any value as it may stand in the page, also between double quotes."""
    text = clean(str(value))
    return html.escape(text if len(text) <= most else text[: most - 1] + "…")


def _plural(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def tasks_and_trainings(tasks: int, trainings: int) -> str:
    """How many of each; nothing is said of trainings when there are none."""
    return ", ".join([_plural(tasks, "task"), *([_plural(trainings, "training")] if trainings else [])])


# -- a test, made ready -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Run:
    """One request, or several in a row that went just alike."""

    requests: tuple[Mapping[str, Any], ...]

    @property
    def first(self) -> Mapping[str, Any]:
        return self.requests[0]

    @property
    def last(self) -> Mapping[str, Any]:
        return self.requests[-1]

    @property
    def is_lost(self) -> bool:
        return self.first.get("wire") in LOST_ON_THE_WIRE

    @property
    def is_grave(self) -> bool:
        return self.is_lost or self.first["status"] >= 400

    @property
    def label(self) -> str:
        first, last = self.first["number"], self.last["number"]
        return f"{first}" if first == last else f"{first}–{last}"

    @property
    def mark(self) -> str:
        """The style of its status."""
        if self.is_lost or self.first["status"] >= 500:
            return "bad"
        return "warn" if self.first["status"] >= 400 or self.first.get("wire") else "ok"


def _runs(requests: Iterable[Mapping[str, Any]]) -> list[_Run]:
    """Four or more requests in a row that differ in number and time alone become one."""
    runs: list[_Run] = []
    for _, same in groupby(requests, key=_sameness):
        alike = tuple(same)
        runs += [_Run(alike)] if len(alike) > 3 else [_Run((request,)) for request in alike]
    return runs


_APART = ("number", "at_ms", "took_ms")
"""What differs between requests that went just alike."""


def _sameness(request: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in request.items() if name not in _APART}


class _Test:
    """One summary, with what of it goes into the page."""

    def __init__(self, number: int, summary: Mapping[str, Any]) -> None:
        self.id = f"t{number}"
        self.summary = summary
        self.tasks: list[Mapping[str, Any]] = summary["tasks"]
        self.findings: list[Mapping[str, Any]] = summary["findings"]

    @cached_property
    def runs(self) -> list[_Run]:
        return _runs(self.summary["requests"])

    @cached_property
    def start_ms(self) -> int:
        """The moment that the others are counted from."""
        asked = [request["at_ms"] for request in self.summary["requests"]]
        return min(asked + [task["submitted_ms"] for task in self.tasks], default=0)

    @property
    def gravity(self) -> int:
        """0 for a test with a must, and more for milder ones."""
        counts = self.summary["counts"]["findings"]
        return next((i for i, level in enumerate(LEVELS) if counts[level]), len(LEVELS))

    def kept(self, most: int) -> list[_Run]:
        """``most`` runs at most: those that findings name first, then what went wrong, then the earliest."""
        if len(self.runs) <= most:
            return self.runs
        cited = {number for finding in self.findings for number in finding["requests"]}

        def weight(position: int) -> tuple[bool, bool, int]:
            run = self.runs[position]
            is_cited = any(request["number"] in cited for request in run.requests)
            return (not is_cited, not run.is_grave, position)

        chosen = sorted(range(len(self.runs)), key=weight)[:most]
        return [self.runs[position] for position in sorted(chosen)]


@dataclass(frozen=True)
class _Most:
    """How much of each test the page has room for."""

    rows: int
    findings: int
    lanes: int


def _most_of_each(lengths: Sequence[int], most: int) -> int:
    """How much of each fits when all together may be ``most``."""
    fitting = (limit for limit in _LIMITS if sum(min(length, limit) for length in lengths) <= most)
    return next(fitting, _LIMITS[-1])


# -- the page ---------------------------------------------------------------------------------------------------------


def page(summaries: Sequence[Mapping[str, Any]], sums: Totals, cover: Coverage, *, seed: int) -> str:
    """The whole report as one HTML file."""
    tests = [_Test(number, summary) for number, summary in enumerate(summaries, start=1)]
    tests.sort(key=lambda test: test.gravity)
    style = files("facechain_testkit").joinpath("report_page.css").read_text(encoding="utf-8")
    body = "\n".join(
        (
            _header(sums, cover, seed),
            _findings_overview(tests, sums),
            _behaviour(cover),
            _tests(tests),
        )
    )
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; \
base-uri 'none'; form-action 'none'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<title>FaceChain: {_text(_verdict(sums))}</title>
<style>
{style}</style>
</head>
<body>
{body}
<footer>facechain-testkit, seed {_text(seed)}. Prices and times are those of the live service as its pages state \
them. Nothing was sent to it.</footer>
</body>
</html>
"""


def _verdict(sums: Totals) -> str:
    if sums.grave_tests:
        return f"{sums.grave_tests:,} of {_plural(sums.tests, 'test')} with findings"
    return f"{_plural(sums.tests, 'test')}, no finding"


def _header(sums: Totals, cover: Coverage, seed: int) -> str:
    mark = "bad" if sums.levels["must"] else "warn" if sums.grave_tests else "ok"
    found = ", ".join(f"{number:,} {level}" for level, number in sums.levels.items() if number) or "none"
    tiles = [
        (
            "Tests",
            f"{sums.tests:,}",
            f"{tasks_and_trainings(sums.tasks, sums.trainings)}, {_plural(sums.requests, 'request')}",
            "",
        ),
        ("Findings", f"{sum(sums.levels.values()):,}", found, mark),
        ("Live price", f"{money(sums.price)} <small>CNY</small>", f"and {duration(sums.live_seconds)} of waiting", ""),
        (
            "Spent twice",
            f"{money(sums.spent_twice)} <small>CNY</small>",
            _plural(sums.duplicates, "repeated submission"),
            "bad" if sums.duplicates else "",
        ),
        ("Behaviour shown", f"{_percent(cover)} <small>%</small>", f"{len(cover.shown)} of {cover.total}", ""),
    ]
    shown = "".join(
        f'<div class="tile {style}"><dt>{name}</dt><dd><b>{value}</b><span>{note}</span></dd></div>'
        for name, value, note, style in tiles
    )
    return f"""<header>
<p class="kicker">FaceChain client report <span class="seed">seed {_text(seed)}</span></p>
<h1 class="{mark}">{_text(_verdict(sums))}</h1>
<nav><a href="#findings">Findings</a><a href="#behaviour">Behaviour</a><a href="#tests">Tests</a></nav>
<dl class="tiles">{shown}</dl>
{_never_called(sums)}</header>"""


def _percent(cover: Coverage) -> str:
    return f"{int(cover.percent)}"


def _never_called(sums: Totals) -> str:
    if not sums.never_called:
        return ""
    named = ", ".join(f"<code>{_text(test)}</code>" for test in sums.never_called[:5])
    more = f" and {len(sums.never_called) - 5:,} more" if len(sums.never_called) > 5 else ""
    return f'<p class="note"><b>Marked, and never called the mock:</b> {named}{more}. There was nothing to judge.</p>\n'


def _findings_overview(tests: Sequence[_Test], sums: Totals) -> str:
    if not any(sums.levels.values()):
        return (
            '<section id="findings"><h2>Findings</h2><p class="good">None: no client did what the contract advises '
            "against.</p></section>"
        )
    earned: dict[str, list[_Test]] = defaultdict(list)
    for test in tests:
        for id_ in dict.fromkeys(finding["id"] for finding in test.findings):
            earned[id_].append(test)
    rows = []
    for id_, advice in catalogue.advice().items():
        by = earned.get(id_)
        if not by:
            continue
        links = ", ".join(_link_to(test) for test in by[:4])
        more = f", and {len(by) - 4:,} more" if len(by) > 4 else ""
        rows.append(
            f'<li class="{advice.level}">{_badge(advice.level)}<div><h3>{_text(advice.sentence)} '
            f"<code>{_text(id_)}</code></h3><p>{_text(advice.advice)}</p>"
            f'<p class="in">In {_plural(len(by), "test")}: {links}{more}</p></div></li>'
        )
    return f'<section id="findings"><h2>Findings</h2><ul class="found">{"".join(rows)}</ul></section>'


def _link_to(test: _Test) -> str:
    return f'<a href="#{test.id}">{_text(test.summary["test"].rpartition("::")[2] or test.summary["test"], 80)}</a>'


def _badge(level: str) -> str:
    return f'<span class="badge {_text(level)}">{_text(level)}</span>'


def _behaviour(cover: Coverage) -> str:
    blocks = []
    for kind, words in KINDS_OF_ITEM.items():
        shown = [item for item in cover.shown if item.kind == kind]
        missing = cover.missing.get(kind, ())
        total = len(shown) + len(missing)
        if total == 0:
            continue
        listed = "".join(_missing_item(item) for item in missing)
        listed += "".join(f'<li class="yes">{_text(item.label)}</li>' for item in shown)
        blocks.append(
            f'<details{" open" if missing else ""}><summary><span class="what">{words.capitalize()}</span>'
            f'<meter min="0" max="{total}" value="{len(shown)}">{len(shown)} of {total}</meter>'
            f'<span class="of">{len(shown)} of {total}</span></summary><ul>{listed}</ul></details>'
        )
    return (
        f'<section id="behaviour"><h2>Behaviour shown to the clients</h2><p class="lead">{len(cover.shown)} of '
        f"{cover.total} things that the vendor may do were met by a client in this run. What is open was never tried: "
        f'each line says how to show it.</p><div class="kinds">{"".join(blocks)}</div></section>'
    )


def _missing_item(item: Item) -> str:
    return f'<li class="no">{_text(item.label)}<span class="how">{_text(item.how)}</span></li>'


def _tests(tests: Sequence[_Test]) -> str:
    listed = tests[:MOST_TESTS]
    most = _Most(
        rows=_most_of_each([len(test.runs) for test in listed], MOST_ROWS),
        findings=_most_of_each([len(test.findings) for test in listed], MOST_FINDINGS),
        lanes=min(_MOST_LANES, _most_of_each([len(test.tasks) for test in listed], MOST_LANES)),
    )
    opened = sum(test.gravity == 0 for test in listed) <= 20
    blocks = [
        _test(test, most, is_open=test.gravity == 0 and (opened or position < 5))
        for position, test in enumerate(listed)
    ]
    left = len(tests) - len(listed)
    rest = f'<p class="rest">{_plural(left, "more test")} in findings.json.</p>' if left else ""
    return (
        '<section id="tests"><h2>Tests</h2><p class="lead">The gravest come first. Time runs to the right from the '
        "first request of a test; long pauses are drawn short.</p>"
        f"{_legend()}{''.join(blocks)}{rest}</section>"
    )


def _legend() -> str:
    keys = [(status.value, _STYLES[status.value]) for status in TaskStatus]
    named = "".join(f'<span><i class="k {style}"></i>{name}</span>' for name, style in keys)
    marks = '<span class="ok">200</span><span class="warn">refused</span><span class="bad">failed or lost</span>'
    return f'<p class="legend">{named}<span class="marks">{marks}</span></p>'


def _test(test: _Test, most: _Most, *, is_open: bool) -> str:
    summary = test.summary
    counts = summary["counts"]
    badges = "".join(
        f'<span class="badge {level}">{number} {level}</span>' for level, number in counts["findings"].items() if number
    )
    if summary["never_called"]:
        badges = '<span class="badge never">never called</span>'
    path, _, name = summary["test"].rpartition("::")
    place = f'<span class="path">{_text(path)}</span>' if path else ""
    sums = [tasks_and_trainings(counts["tasks"], counts["trainings"])]
    sums += [_plural(counts[f"{noun}s"], noun) for noun in ("detection", "upload") if counts[f"{noun}s"]]
    sums += [_plural(counts["requests"], "request")]
    sums += [f"{money(summary['ledger']['expected'])} CNY"] if counts["tasks"] + counts["trainings"] else []
    runs = test.kept(most.rows)
    content = (
        _findings(test, runs, most.findings) + _timeline(test, runs, most.lanes) + _table(test, runs)
        if test.runs or test.findings
        else '<p class="lead">No request came.</p>'
    )
    return (
        f'<details class="test" id="{test.id}"{" open" if is_open else ""}><summary>'
        f'<span class="name">{_text(name)}{place}</span><span class="sums">{", ".join(sums)}</span>'
        f'<span class="badges">{badges or "<span class=clean>clean</span>"}</span></summary>{content}</details>\n'
    )


def _findings(test: _Test, runs: Sequence[_Run], most: int) -> str:
    if not test.findings:
        return ""
    homes = {request["number"]: run.first["number"] for run in runs for request in run.requests}

    def link(number: int) -> str:
        home = homes.get(number)
        return f"#{number}" if home is None else f'<a href="#{test.id}r{home}">#{number}</a>'

    grouped: dict[tuple[str, str], list[Mapping[str, Any]]] = defaultdict(list)
    for finding in test.findings[:most]:
        grouped[(finding["level"], finding["id"])].append(finding)
    rows = []
    for (level, id_), alike in grouped.items():
        known = catalogue.advice().get(id_)
        rows.append(
            f'<li class="{_text(level)}">{_badge(level)}<div><h4>{_text(known.sentence if known else id_)} '
            f"<code>{_text(id_)}</code></h4><p>{_text(alike[0]['advice'])}</p>"
            f'<ul class="by">{"".join(_evidence(finding, link) for finding in alike)}</ul></div></li>'
        )
    left = sum(test.summary["counts"]["findings"].values()) - min(len(test.findings), most)
    rest = f'<p class="rest">{_plural(left, "more finding")} in findings.json.</p>' if left > 0 else ""
    return f'<ul class="found">{"".join(rows)}</ul>{rest}'


_UUID = re.compile(r"\b([0-9a-f]{8})-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b")


def _evidence(finding: Mapping[str, Any], link: Callable[[int], str]) -> str:
    """What was seen, how well the rule is known, and where. Ids of tasks are short, as in the picture."""
    cited = finding["requests"]
    more = f" and {len(cited) - 8} more" if len(cited) > 8 else ""
    rule = "" if finding["rule"] == finding["id"] else f"rule <code>{_text(finding['rule'])}</code>, "
    what = _UUID.sub(r"\1", finding["what"])
    return (
        f"<li>{_text(what)} <span>{rule}{_text(finding['evidence'])}</span> "
        f"{' '.join(link(number) for number in cited[:8])}{more}</li>"
    )


def _table(test: _Test, runs: Sequence[_Run]) -> str:
    if not runs:
        return ""
    rows = "".join(_row(test, run) for run in runs)
    left = test.summary["counts"]["requests"] - sum(len(run.requests) for run in runs)
    rest = f'<p class="rest">{_plural(left, "more request")} in findings.json.</p>' if left > 0 else ""
    return (
        "<table><thead><tr><th>#</th><th>after</th><th>request</th><th>status</th><th>told</th></tr></thead>"
        f"<tbody>{rows}</tbody></table>{rest}"
    )


def _row(test: _Test, run: _Run) -> str:
    first = run.first
    status = "none" if first.get("wire") in _UNANSWERED else first["status"]
    times = f"<em>{len(run.requests)} times</em>" if len(run.requests) > 1 else ""
    after = _after(first["at_ms"] - test.start_ms)
    return (
        f'<tr id="{test.id}r{first["number"]}"><td>{run.label}</td><td>{after}</td>'
        f"<td><b>{_text(first['method'])}</b> {_text(first['path'], 120)}{times}</td>"
        f'<td class="{run.mark}">{status}</td><td>{_told(first)}</td></tr>'
    )


_UNANSWERED = LOST_ON_THE_WIRE - {"cut"}
_LINE_WORDS = {
    "reset": "connection reset",
    "empty": "closed without an answer",
    "cut": "answer cut off",
    "hang": "never answered",
    "dribble": "answer in small pieces",
    "latency": "answer held back",
}


def _told(request: Mapping[str, Any]) -> str:
    parts = [f"<b>{_text(request['shown'])}</b>"] if "shown" in request else []
    wire = request.get("wire")
    if request["status"] == 200 and request.get("operation") == "submit_portrait":
        parts.append(f"task {_text(str(request.get('task_id'))[:8])} accepted")
    if request["status"] == 200 and request.get("operation") == "create_job":
        parts.append(f"training {_text(request.get('task_id'))} accepted")
    if "refused" in request:
        parts.append(f"{request['refused']} of {_plural(request['photos'], 'photo')} refused")
    if wire:
        parts.append(f'<b class="bad">{_text(_LINE_WORDS.get(wire, wire))}</b>')
    error = catalogue.errors().get(request.get("error", ""))
    if error is not None and wire not in LOST_ON_THE_WIRE:
        parts.append(f"<b>{_text(error.code)}</b>")
    if request.get("faults"):
        parts.append(f'<span class="fault">{_text(", ".join(request["faults"]))}</span>')
    elif "explanation" in request:
        parts.append(f"<span>{_text(request['explanation'])}</span>")
    return " ".join(parts)


# -- the picture ------------------------------------------------------------------------------------------------------

_STYLES = {"PENDING": "pe", "RUNNING": "ru", "SUCCEEDED": "su", "FAILED": "fa", "CANCELED": "ca", "UNKNOWN": "un"}
_CANCELLING = ("cancel_task", "cancel_job", "delete_job")
_GUTTER = 196
_WIDTH = 1080
_LANE = 34
_MOST_LANES = 12
_COLUMN = 30
_MOMENT = 10
"""Least room before a request, and before a moment without one, in pixels."""


class _Axis:
    """From moments to pixels: a column for each request, and room between them by the logarithm of the pause."""

    def __init__(self, test: _Test, runs: Sequence[_Run]) -> None:
        self._test = test
        events: list[tuple[int, int, str]] = []
        for run in runs:
            number = run.first["number"]
            events.append((run.first["at_ms"], number, f"first{number}"))
            if len(run.requests) > 1:
                events.append((run.last["at_ms"], run.last["number"], f"last{number}"))
        known = {at for at, _, _ in events}
        moments = {at for task in test.tasks for at in _moments(task) if at is not None}
        if events:
            latest = max(known)
            moments |= {task["ended_ms"] + retention_ms() for task in test.tasks if _is_forgotten_by(task, latest)}
        events += [(at, 0, f"at{at}") for at in moments - known]
        events.sort()
        least = [0] + [_MOMENT if name.startswith("at") else _COLUMN for _, _, name in events[1:]]
        pauses = [0.0] + [math.log10(1 + later[0] - earlier[0]) for earlier, later in pairwise(events)]
        room = _WIDTH - _GUTTER - 72
        free = max(room - sum(least), sum(least) * 0.4)
        share = free / max(sum(pauses), 3.0)
        self._x: dict[str, int] = {}
        self._x_at: dict[int, int] = {}
        x = _GUTTER + 16.0
        for (at, _, name), step, pause in zip(events, least, pauses, strict=True):
            x += step + pause * share
            self._x[name] = round(x)
            self._x_at.setdefault(at, round(x))
        self.moments = list(self._x_at.items())
        self.end = round(x) + 40
        self.width = max(_WIDTH, self.end + 16)

    def of_run(self, run: _Run) -> tuple[int, int]:
        number = run.first["number"]
        first = self._x[f"first{number}"]
        return first, self._x.get(f"last{number}", first)

    def of_moment(self, at_ms: int, run: _Run | None = None) -> int:
        """Where a moment lies; at ``run`` when that is the request that brought it about."""
        if run is not None and run.first["at_ms"] == at_ms:
            return self.of_run(run)[0]
        return self._x_at[at_ms]


def _moments(task: Mapping[str, Any]) -> tuple[int | None, int | None, int | None]:
    return task["submitted_ms"], task["scheduled_ms"], task["ended_ms"]


def _is_forgotten_by(task: Mapping[str, Any], at_ms: int) -> bool:
    if task["model"] == TRAINING_MODEL:
        return False
    return task["ended_ms"] is not None and task["ended_ms"] + retention_ms() <= at_ms


def _timeline(test: _Test, runs: Sequence[_Run], most: int) -> str:
    """The picture of a test: a lane for each task, and the requests under them on the same axis of time."""
    if not runs:
        return ""
    axis = _Axis(test, runs)
    lanes = test.tasks[:most]
    top = len(lanes) * _LANE + 8
    lane_of = {task["id"]: i for i, task in enumerate(lanes)}
    parts = [_stem(axis, run, lane_of, top) for run in runs]
    parts += [_lane(task, lane_of[task["id"]] * _LANE, axis, runs) for task in lanes]
    parts += [_tick(test, axis, run, top) for run in runs]
    parts.append("".join(_scale(test, axis, top + 46)))
    height = top + 66
    counts = test.summary["counts"]
    left = counts["tasks"] + counts["trainings"] - len(lanes)
    rest = f'<p class="rest">{_plural(left, "more task")} in findings.json.</p>' if left > 0 else ""
    said = f"{_plural(len(lanes), 'task')} and {_plural(len(runs), 'request')} on an axis of time"
    return (
        f'<div class="picture" tabindex="0"><svg viewBox="0 0 {axis.width} {height}" style="min-width:'
        f'{max(760, axis.width * 4 // 5)}px" role="img" aria-label="{said}">{"".join(parts)}</svg></div>{rest}'
    )


def _lane(task: Mapping[str, Any], y: int, axis: _Axis, runs: Sequence[_Run]) -> str:
    submitted, scheduled, ended = _moments(task)
    of_task = [run for run in runs if run.first.get("task_id") == task["id"]]
    submission = next((run for run in of_task if run.first["number"] == task["request"]), None)
    polls = [run for run in of_task if run.first["operation"] in ("query_task", "get_job")]
    started_by = next((run for run in polls if run.first["at_ms"] == scheduled and _says_more(run, "PENDING")), None)
    ended_by = next((run for run in of_task if run.first["at_ms"] == ended and _ends(run, task)), None)
    start = axis.of_moment(submitted or 0, submission)
    middle = None if scheduled is None else max(start, axis.of_moment(scheduled, started_by))
    end = axis.end if ended is None else max(middle or start, axis.of_moment(ended, ended_by))
    pending_end = min(middle if middle is not None else end, end)
    bars = _bar("pe", "PENDING", start, pending_end, y)
    if middle is not None:
        bars += _bar("ru", "RUNNING", middle, end, y)
    if ended is not None:
        style = _STYLES.get(task["status"], "ot")
        forgotten = axis.end
        if _is_forgotten_by(task, axis.moments[-1][0]):
            forgotten = axis.of_moment(ended + retention_ms())
            bars += f'<path class="tail un" d="M{forgotten} {y + 16}H{axis.end}"/>'
        bars += f'<path class="tail {style}" d="M{end} {y + 16}H{forgotten}"/><circle class="{style}" '
        bars += f'cx="{end}" cy="{y + 16}" r="6"/>'
    twice = ", paid twice" if task.get("repeats") else ""
    is_training = task["model"] == TRAINING_MODEL
    title = f"training of {_plural(task['photos'], 'photo')}" if is_training else _title(task)
    id_ = task["id"] if is_training else task["id"][:8]
    return (
        f'<g><text x="0" y="{y + 13}">{_text(title, 26)}</text><text class="dim" x="0" y="{y + 27}">'
        f"{_text(id_, 24)} {_text(task['status'], 12)}{twice}</text>{bars}</g>"
    )


def _title(task: Mapping[str, Any]) -> str:
    return f"{task['style'] or 'portrait'} × {task['n']}"


def _says_more(run: _Run, than: str) -> bool:
    return run.first.get("shown") not in (None, than)


def _ends(run: _Run, task: Mapping[str, Any]) -> bool:
    return bool(run.first.get("shown") == task["status"] or run.first["operation"] in _CANCELLING)


def _bar(style: str, word: str, start: int, end: int, y: int) -> str:
    if end <= start:
        return ""
    label = f'<text class="in" x="{start + 7}" y="{y + 20}">{word}</text>' if end - start > 76 else ""
    return f'<rect class="{style}" x="{start}" y="{y + 8}" width="{end - start}" height="16" rx="3"/>{label}'


def _stem(axis: _Axis, run: _Run, lane_of: Mapping[str, int], top: int) -> str:
    """The line from a request up to the task that it concerns."""
    lane = lane_of.get(run.first.get("task_id", ""))
    return (
        "" if lane is None else f'<path class="stem" d="M{sum(axis.of_run(run)) // 2} {lane * _LANE + 24}V{top + 6}"/>'
    )


def _tick(test: _Test, axis: _Axis, run: _Run, top: int) -> str:
    """The mark of a request, with its number and its status."""
    first, last = axis.of_run(run)
    middle = (first + last) // 2
    status = run.first["wire"] if run.is_lost else run.first["status"]
    shape = (
        f'<rect x="{first - 3}" y="{top + 6}" width="{last - first + 6}" height="8" rx="4"/>'
        if last > first
        else f'<circle cx="{middle}" cy="{top + 10}" r="4"/>'
    )
    return (
        f'<a href="#{test.id}r{run.first["number"]}" class="{run.mark}">{shape}'
        f'<text x="{middle}" y="{top + 27}">{run.label}</text>'
        f'<text class="st" x="{middle}" y="{top + 40}">{_text(status)}</text></a>'
    )


def _scale(test: _Test, axis: _Axis, y: int) -> Iterator[str]:
    yield f'<path class="axis" d="M{_GUTTER + 8} {y}H{axis.end}"/>'
    free = 0
    for at_ms, pixel in axis.moments:
        if pixel >= free:
            label = "0" if at_ms == test.start_ms else f"+{_after(at_ms - test.start_ms)}"
            yield f'<path class="axis" d="M{pixel} {y}v4"/>'
            yield f'<text class="dim mid" x="{pixel}" y="{y + 16}">{label}</text>'
            free = pixel + 74
