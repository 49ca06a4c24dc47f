"""Asking for tasks: query one, list them, cancel one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from typing import Any, TypeVar

from contracts import catalogue
from mock_server.core import lifecycle, oss
from mock_server.core.faults import ALTERING, ON_THE_WIRE, REFUSING, SPOILING, altered
from mock_server.core.gateway import Call, count, last_values, shown, worded
from mock_server.core.model import MODEL, Account, Task, TaskStatus, VendorError
from mock_server.core.scenarios import carried_by_headers

T = TypeVar("T")

VENDOR_ZONE = timezone(timedelta(hours=8))
REGION = "cn-beijing"
UNIQUE_KEY = f"apikey:v1:aigc:album:gen_potrait:{MODEL}"
DAY = timedelta(hours=24)


def query(call: Call, task_id: str) -> dict[str, Any]:
    """``GET /api/v1/tasks/{task_id}``. What the account has no record of is UNKNOWN, with the id echoed."""

    call.trace.task_id = task_id

    def step(account: Account) -> dict[str, Any]:
        task = account.portraits.tasks.get(task_id)
        call.trace.scenarios = scenarios_met(call, task)
        call.strike_down("poll", REFUSING)
        if task is not None:
            lifecycle.look(account.portraits, task, call.now_ms)
            if not lifecycle.is_forgotten(task, call.now_ms):
                return _answer(call, task)
        return {"output": {"task_id": task_id, "task_status": TaskStatus.UNKNOWN.value}}

    body = {"request_id": call.request_id, **_counted(call, step)}
    struck = call.strike("poll", ALTERING + SPOILING + ON_THE_WIRE, status=body["output"]["task_status"])
    body = altered(body, struck)
    call.trace.shown_status = body.get("output", {}).get("task_status")
    return body


def scenarios_met(call: Call, task: Task | None) -> tuple[str, ...]:
    """The scenarios a query meets: its own header's, else those the task was submitted under."""
    asked = carried_by_headers(call.request, call.terms.plan)
    if asked is None or asked.scenario is None:
        return () if task is None else task.scenarios
    return tuple(name for name in (call.key.scenario, asked.scenario) if name)


def cancel(call: Call, task_id: str) -> dict[str, Any]:
    """``POST /api/v1/tasks/{task_id}/cancel``. Raises VendorError unless the task is PENDING."""
    call.trace.task_id = task_id

    def step(account: Account) -> str | None:
        task = account.portraits.tasks.get(task_id)
        if task is None:
            return "this account has no such task"
        lifecycle.settle_one(account.portraits, task, call.now_ms)
        return None if lifecycle.cancel(task, call.now_ms) else f"the task is {task.status}"

    problem = _counted(call, step)
    if problem is not None:
        raise VendorError(
            "task_not_cancellable",
            rule="task.cancel.pending",
            place="path task_id",
            problem=f"{problem}; only a PENDING task can be cancelled",
        )
    return {"request_id": call.request_id}


def list_tasks(call: Call) -> dict[str, Any]:
    """``GET /api/v1/tasks``: a flat page, newest first, times in epoch milliseconds. Raises VendorError."""

    def step(account: Account) -> tuple[_Filters, list[Task]]:
        filters = _read_filters(call)
        for task in account.portraits.tasks.values():
            lifecycle.settle_one(account.portraits, task, call.now_ms)
        return filters, [
            task
            for task in reversed(account.portraits.tasks.values())
            if not lifecycle.is_forgotten(task, call.now_ms) and filters.take(task)
        ]

    filters, found = _counted(call, step)
    first = (filters.page_no - 1) * filters.page_size
    return {
        "total": len(found),
        "data": [_row(call, task) for task in found[first : first + filters.page_size]],
        "total_page": -(-len(found) // filters.page_size),
        "page_no": filters.page_no,
        "page_size": filters.page_size,
        "request_id": call.request_id,
    }


def vendor_time(at_ms: int, *, millis: bool = True) -> str:
    """``YYYY-MM-DD HH:mm:ss.SSS`` in UTC+8, as the vendor writes times."""
    text = _vendor_second(at_ms // 1000)
    return f"{text}.{at_ms % 1000:03d}" if millis else text


@lru_cache(maxsize=4096)
def _vendor_second(epoch_s: int) -> str:
    return datetime.fromtimestamp(epoch_s, VENDOR_ZONE).strftime("%Y-%m-%d %H:%M:%S")


def _counted(call: Call, step: Callable[[Account], T]) -> T:
    """Run ``step`` if the account may make another task call now. Raises VendorError, as ``step`` may."""
    limit = int(catalogue.limits()["task_calls_per_second"])

    def counted(account: Account) -> T:
        count(call, account, "task calls", rule="rate.task-calls", limit=limit, what="queries, lists and cancels")
        return step(account)

    return call.change(counted)


def _answer(call: Call, task: Task) -> dict[str, Any]:
    """Everything of a query's answer but its ``request_id``. A time that has not come is left out."""
    status = task.status
    output: dict[str, Any] = {"task_id": task.id, "task_status": status}
    if status == TaskStatus.UNKNOWN:
        return {"output": output}
    output["submit_time"] = vendor_time(task.submitted_ms)
    if task.scheduled_ms is not None:
        output["scheduled_time"] = vendor_time(task.scheduled_ms)
    if task.ended_ms is not None:
        output["end_time"] = vendor_time(task.ended_ms, millis=call.terms.behaviours["end-time"] == "millis")
    if status == TaskStatus.FAILED:
        if task.outcome is not None and task.outcome.why is not None:
            call.trace.explain(*task.outcome.why)
        return {
            "output": {**output, **_failure(task)},
            **_failed_usage(call.terms.behaviours["failed-usage"]),
        }
    if status == TaskStatus.SUCCEEDED:
        output["results"] = _results(call, task)
        delivered = task.delivered
        output["task_metrics"] = _metrics(task.n, delivered, task.n - delivered)
        return {"output": output, "usage": {"image_count": delivered}}
    output["task_metrics"] = _metrics(task.n, 0, 0)
    return {"output": output}


def _metrics(total: int, succeeded: int, failed: int) -> dict[str, int]:
    return {"TOTAL": total, "SUCCEEDED": succeeded, "FAILED": failed}


def _failure(task: Task) -> dict[str, str]:
    outcome = task.outcome
    if outcome is None or outcome.error is None:
        return {}
    return worded(outcome.error, dict(outcome.details))


def _failed_usage(choice: str) -> dict[str, Any]:
    return {} if choice == "absent" else {"usage": {choice: 0}}


def _results(call: Call, task: Task) -> list[dict[str, str]]:
    return [
        {"url": oss.link(call, task, number)} if error is None else worded(error, {})
        for number, error in enumerate(task.pictures, start=1)
    ]


def _row(call: Call, task: Task) -> dict[str, Any]:
    times = {"start_time": task.scheduled_ms, "end_time": task.ended_ms}
    return {
        "api_key_id": task.key_id,
        "caller_parent_id": call.key.account_number,
        "caller_uid": call.key.account_number,
        "gmt_create": task.submitted_ms,
        **{name: at for name, at in times.items() if at is not None},
        "model_name": MODEL,
        "region": REGION,
        "request_id": task.request_id,
        "status": task.status,
        "task_id": task.id,
        "user_api_unique_key": UNIQUE_KEY,
    }


@dataclass(frozen=True, slots=True)
class _Filters:
    """Which tasks a list shows. ``equal`` holds the values that must be the same."""

    from_ms: int
    to_ms: int
    equal: dict[str, str]
    page_no: int
    page_size: int

    def take(self, task: Task) -> bool:
        row = {"model_name": MODEL, "status": task.status, "api_key_id": task.key_id, "region": REGION}
        return self.from_ms <= task.submitted_ms <= self.to_ms and all(
            row[name] == value for name, value in self.equal.items()
        )


def _read_filters(call: Call) -> _Filters:
    given = last_values(call.request.query)
    day_ms = int(DAY.total_seconds() * 1000)
    to_ms = from_ms = None
    if "end_time" in given:
        to_ms = _moment_ms(given, "end_time") + 999
    if "start_time" in given:
        from_ms = _moment_ms(given, "start_time")
    if to_ms is None:
        to_ms = call.now_ms if from_ms is None else from_ms + day_ms
    if from_ms is None:
        from_ms = to_ms - day_ms
    if not from_ms <= to_ms <= from_ms + day_ms + 999:
        raise _filter_error("start_time", "must lie before end_time, by 24 hours at most")
    statuses = [status.value for status in TaskStatus]
    if given.get("status", statuses[0]) not in statuses:
        raise _filter_error("status", f"is {shown(given['status'])}; it is one of {', '.join(statuses)}")
    page_no, page_size = page_asked(given)
    return _Filters(
        from_ms=from_ms,
        to_ms=to_ms,
        equal={name: given[name] for name in ("model_name", "status", "api_key_id", "region") if name in given},
        page_no=page_no,
        page_size=page_size,
    )


def _moment_ms(given: dict[str, str], name: str) -> int:
    text = given[name]
    try:
        if len(text) != 14 or not (text.isascii() and text.isdigit()):
            raise ValueError
        moment = datetime.strptime(text, "%Y%m%d%H%M%S").replace(tzinfo=VENDOR_ZONE)
        return int(moment.timestamp() * 1000)
    except (ValueError, OverflowError):
        raise _filter_error(name, f"is {shown(text)}; it is a moment in UTC+8 as YYYYMMDDhhmmss") from None


def page_asked(given: Mapping[str, str]) -> tuple[int, int]:
    """Number and size of the page that a query asks for. Raises VendorError."""
    default = catalogue.limits()["page_size"]
    return whole(given, "page_no", 1, 1_000_000), whole(given, "page_size", default["default"], default["maximum"])


def whole(given: Mapping[str, str], name: str, default: int, most: int, *, least: int = 1) -> int:
    """A whole number of a query. Raises VendorError that says what it may be."""
    text = given.get(name, str(default))
    if text.isascii() and text.isdigit() and len(text) <= 7 and least <= int(text) <= most:
        return int(text)
    raise _filter_error(name, f"is {shown(text)}; it is a whole number from {least} to {most}")


def _filter_error(name: str, problem: str) -> VendorError:
    return VendorError("parameters_invalid", rule="list.filters", place=f"query {name}", problem=problem)
