"""What a test run leaves behind: a summary of each test, lines for the terminal, and files for people and machines."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from contracts import catalogue
from facechain_testkit.coverage import KINDS_OF_ITEM, Coverage, coverage, parts_used, shown_by
from facechain_testkit.report_page import clean, duration, money, page, tasks_and_trainings
from mock_server.core.findings import LEVELS, numbers
from mock_server.core.journal import Entry, entry_to_json
from mock_server.core.ledger import Line
from mock_server.core.model import MODEL, TRAINING_MODEL, Job

if TYPE_CHECKING:
    from facechain_testkit.kit import Facechain

__all__ = ["Coverage", "Totals", "coverage", "summary_of", "terminal_lines", "write_reports"]

VERSION = 1
"""Of the shape of ``findings.json``; a field that is added leaves it as it is."""

MOST_REQUESTS = 500
MOST_TASKS = 200
MOST_FINDINGS = 200
UPLOADING = ("upload_files", "upload_object")
GRAVE = LEVELS[:2]
"""Levels that count as a failure of the test."""


@dataclass(frozen=True)
class Totals:
    """What the tests come to, all together. Money is CNY, of the live service."""

    tests: int
    tasks: int
    trainings: int
    requests: int
    price: float
    live_seconds: float
    duplicates: int
    spent_twice: float
    levels: dict[str, int]
    grave_tests: int
    never_called: tuple[str, ...]


def summary_of(nodeid: str, kit: Facechain, *, is_marked: bool) -> dict[str, Any]:
    """What happened in one test, as plain JSON, since it travels between processes.

    ``requests``, ``tasks`` and ``findings`` hold the latest, first and gravest ones; ``counts`` tells how many there
    were. ``shown`` holds the ids of the behaviours that the client was shown, by kind, ``parts`` what it used of the
    vendor beside portraits. A training stands among the tasks, with its model.
    """
    found = kit.findings()
    world = kit._world
    entries, lines = world.journal.entries(), world.ledger.lines()
    ledger = kit.ledger
    totals = ("currency", "submissions", "pictures", "total", "expected", "spent_twice", "live_seconds")
    summary = {
        "test": nodeid,
        "seed": kit.seed,
        "is_marked": is_marked,
        "never_called": is_marked and not entries and not lines,
        "counts": {
            "requests": len(entries),
            "tasks": sum(line.task.model == MODEL for line in lines),
            "trainings": sum(line.task.model == TRAINING_MODEL for line in lines),
            "detections": sum(entry.trace.operation == "detect_faces" for entry in entries),
            "uploads": sum(entry.trace.operation in UPLOADING for entry in entries),
            "findings": {level: sum(finding.level == level for finding in found) for level in LEVELS},
        },
        "ledger": {**{name: ledger[name] for name in totals}, "duplicates": len(ledger["duplicates"])},
        "parts": parts_used(entries),
        "shown": shown_by(entries, lines, {str(fault["id"]): fault for fault in kit.faults}),
        "findings": [asdict(finding) for finding in found[:MOST_FINDINGS]],
        "tasks": [_task(line) for line in lines[:MOST_TASKS]],
        "requests": [_request(entry) for entry in entries[-MOST_REQUESTS:]],
    }
    plain: dict[str, Any] = json.loads(json.dumps(summary))
    return plain


def totals(summaries: Sequence[Mapping[str, Any]]) -> Totals:
    """The sums of all tests."""
    levels: Counter[str] = Counter()
    for summary in summaries:
        levels.update(summary["counts"]["findings"])
    ledgers = [summary["ledger"] for summary in summaries]
    return Totals(
        tests=len(summaries),
        tasks=sum(summary["counts"]["tasks"] for summary in summaries),
        trainings=sum(summary["counts"]["trainings"] for summary in summaries),
        requests=sum(summary["counts"]["requests"] for summary in summaries),
        price=round(sum(ledger["expected"] for ledger in ledgers), 2),
        live_seconds=sum(ledger["live_seconds"] for ledger in ledgers),
        duplicates=sum(ledger["duplicates"] for ledger in ledgers),
        spent_twice=round(sum(ledger["spent_twice"] for ledger in ledgers), 2),
        levels={level: levels[level] for level in LEVELS},
        grave_tests=sum(any(summary["counts"]["findings"][level] for level in GRAVE) for summary in summaries),
        never_called=tuple(summary["test"] for summary in summaries if summary["never_called"]),
    )


def terminal_lines(summaries: Sequence[Mapping[str, Any]], *, least: float | None) -> list[str]:
    """The run in a few lines. ``least`` is the behaviour coverage asked for, in percent."""
    return [clean(line) for line in _terminal_lines(summaries, least)]


def write_reports(folder: str | Path, summaries: Sequence[Mapping[str, Any]], *, seed: int) -> None:
    """Write ``findings.json``, ``junit.xml`` and ``report.html`` into ``folder``, which is made when it is missing."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    sums, cover = totals(summaries), coverage(summaries)
    files = {
        "findings.json": _findings_json(summaries, sums, cover, seed),
        "junit.xml": _junit_xml(summaries, sums, seed),
        "report.html": page(summaries, sums, cover, seed=seed),
    }
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")


def _task(line: Line) -> dict[str, Any]:
    task = line.task
    return {
        "id": task.id,
        "model": task.model,
        "style": task.style,
        "n": task.n,
        "status": task.status,
        "pictures": task.delivered,
        "error": task.outcome.error if task.outcome else None,
        "request": line.number,
        "repeats": line.repeats,
        "submitted_ms": task.submitted_ms,
        "scheduled_ms": task.scheduled_ms,
        "ended_ms": task.ended_ms,
        **({"photos": len(task.files)} if isinstance(task, Job) else {}),
    }


def _request(entry: Entry) -> dict[str, Any]:
    shown = entry_to_json(entry)
    names = ("at_ms", "took_ms", "method", "path", "status", "operation", "task_id", "error", "rule", "wire", "faults")
    found = {name: shown[name] for name in names if name in shown}
    row: dict[str, Any] = {"number": entry.trace.number, **found}
    if entry.trace.shown_status is not None:
        row["shown"] = entry.trace.shown_status
    if entry.trace.operation == "detect_faces" and entry.status == 200:
        row["photos"], row["refused"] = len(entry.trace.pictures), len(entry.trace.refused)
    if "explanation" in shown:
        row["explanation"] = shown["explanation"]
    return row


def _terminal_lines(summaries: Sequence[Mapping[str, Any]], least: float | None) -> Iterator[str]:
    sums, cover = totals(summaries), coverage(summaries)
    yield (
        f"{_count(sums.tests, 'test')} with the mock, {tasks_and_trainings(sums.tasks, sums.trainings)}, "
        f"{_count(sums.requests, 'request')}, {_count(sums.grave_tests, 'test')} with findings"
    )
    yield (
        f"would have cost {money(sums.price)} CNY and {duration(sums.live_seconds)} live; cost nothing here"
        if sums.tasks or sums.trainings
        else "nothing was submitted, so nothing would have been paid"
    )
    if sums.duplicates:
        yield (
            f"of that {money(sums.spent_twice)} CNY would have been spent twice, "
            f"by {_count(sums.duplicates, 'repeated submission')}"
        )
    if any(sums.levels.values()):
        yield "findings: " + ", ".join(f"{number} {level}" for level, number in sums.levels.items() if number)
        yield from _gravest(summaries)
    yield f"behaviour shown to the clients: {len(cover.shown)} of {cover.total}, {percent_text(cover.percent)}"
    missing = [item for kind in KINDS_OF_ITEM for item in cover.missing.get(kind, ())]
    for item in missing[:3]:
        yield f"  never shown: {item.label}; show it with: {item.how}"
    if len(missing) > 3:
        yield f"  and {len(missing) - 3} more; --facechain-report DIR lists them all"
    for test in sums.never_called[:5]:
        yield f"marked facechain, and its client never called the mock: {test}"
    if len(sums.never_called) > 5:
        yield f"  and {len(sums.never_called) - 5} more tests that never called it"
    if least is not None and cover.percent < least:
        yield f"FAILED: {percent_text(cover.percent)} of the behaviour, and --facechain-cover-min asks for {least:g} %"


def _gravest(summaries: Sequence[Mapping[str, Any]], most: int = 3) -> Iterator[str]:
    """The gravest kinds of finding, each with the first test that earned it."""
    first: dict[str, tuple[str, Mapping[str, Any]]] = {}
    tests: Counter[str] = Counter()
    for summary in summaries:
        for finding in summary["findings"]:
            first.setdefault(finding["id"], (summary["test"], finding))
        tests.update({finding["id"] for finding in summary["findings"]})
    order = list(catalogue.advice())
    grave = sorted(first.values(), key=lambda pair: (LEVELS.index(pair[1]["level"]), order.index(pair[1]["id"])))
    for test, finding in grave[:most]:
        others = f", and in {_count(tests[finding['id']] - 1, 'other test')}" if tests[finding["id"]] > 1 else ""
        yield f"  {finding['level']:6} {finding['id']}: {finding['what']} ({numbers(finding['requests'])})"
        yield f"         in {test}{others}"
        yield f"         {finding['advice']}"


def percent_text(percent: float) -> str:
    """A percentage that is never rounded up."""
    return f"{int(percent * 10) / 10:g} %"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _findings_json(summaries: Sequence[Mapping[str, Any]], sums: Totals, cover: Coverage, seed: int) -> str:
    content = {
        "version": VERSION,
        "seed": seed,
        "totals": asdict(sums),
        "coverage": {
            "percent": round(cover.percent, 1),
            "shown": [item.id for item in cover.shown],
            "missing": {kind: [asdict(item) for item in items] for kind, items in cover.missing.items()},
        },
        "tests": list(summaries),
    }
    return json.dumps(content, indent=1) + "\n"


def _junit_xml(summaries: Sequence[Mapping[str, Any]], sums: Totals, seed: int) -> str:
    """The shape that CI servers read: a failure for each finding of level must or should."""
    counted = {
        "tests": str(sums.tests),
        "failures": str(sums.grave_tests),
        "errors": "0",
        "skipped": str(len(sums.never_called)),
        "time": "0",
    }
    suites = ElementTree.Element("testsuites", counted)
    suite = ElementTree.SubElement(suites, "testsuite", {"name": "facechain", **counted})
    properties = ElementTree.SubElement(suite, "properties")
    ElementTree.SubElement(properties, "property", {"name": "seed", "value": str(seed)})
    for summary in summaries:
        class_name, name = _junit_names(clean(summary["test"]))
        case = ElementTree.SubElement(suite, "testcase", {"classname": class_name, "name": name, "time": "0"})
        if summary["never_called"]:
            told = "marked facechain, and the client never called the mock: there is nothing to judge"
            ElementTree.SubElement(case, "skipped", {"message": told})
        others = []
        for finding in summary["findings"]:
            text = clean(_finding_text(finding))
            if finding["level"] not in GRAVE:
                others.append(text)
                continue
            message = clean(f"{finding['id']}: {finding['what']}")
            failure = ElementTree.SubElement(case, "failure", {"type": finding["level"], "message": message})
            failure.text = text
        if others:
            ElementTree.SubElement(case, "system-out").text = "\n".join(others)
    ElementTree.indent(suites)
    text = ElementTree.tostring(suites, encoding="unicode")
    return f'<?xml version="1.0" encoding="utf-8"?>\n{text}\n'


def _finding_text(finding: Mapping[str, Any]) -> str:
    return (
        f"{finding['level']} {finding['id']} ({numbers(finding['requests'])}): {finding['what']}\n"
        f"rule {finding['rule']}, {finding['evidence']}\n{finding['advice']}"
    )


def _junit_names(nodeid: str) -> tuple[str, str]:
    """Class and name as pytest's own JUnit file has them."""
    plain, bracket, parameters = nodeid.partition("[")
    *path, name = plain.split("::")
    places = [part.removesuffix(".py").replace("/", ".") for part in path]
    return ".".join(places), name + bracket + parameters
