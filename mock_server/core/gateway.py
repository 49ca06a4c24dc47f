"""What every call passes before its operation runs, and how a refusal is worded."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from email.utils import formatdate
from functools import lru_cache
from typing import Any, TypeVar
from urllib.parse import parse_qs

from contracts import catalogue
from mock_server.core import quota
from mock_server.core.faults import ENDING, Fault, Moment, refusal
from mock_server.core.journal import Trace
from mock_server.core.keys import KeyRing
from mock_server.core.model import Account, ApiKey, Reply, Request, Terms, VendorError
from mock_server.core.ports import World
from mock_server.core.scenarios import SCENARIO_HEADER

T = TypeVar("T")

PREFIX = "/api/v1/"
SERVER = "facechain-mock"
HELP_LINK = " For details, see: https://help.aliyun.com/zh/model-studio/error-code#{anchor}"
SESSION_HEADER = "x-mock-session"
_SESSION = re.compile(r"[A-Za-z0-9._-]{1,64}")
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


@dataclass(frozen=True, slots=True)
class Call:
    """One request that has passed the gateway: who asks, when, and of which session."""

    request: Request
    key: ApiKey
    session: str
    world: World
    terms: Terms
    now_ms: int
    request_id: str
    trace: Trace
    struck: list[Fault]
    """The faults that struck this call so far."""

    def strike(self, stage: str, kinds: tuple[str, ...], *, status: str | None = None) -> list[Fault]:
        """The faults of these kinds that strike at this stage, noted as such."""
        trace, faults = self.trace, self.world.faults
        if not trace.scenarios and faults.quiet:
            return []
        moment = Moment(
            stage,
            self.now_ms,
            trace.operation or "",
            self.key.account,
            trace.task_id or "",
            trace.scenarios,
            status,
        )
        found = faults.strike(moment, kinds)
        self.struck.extend(found)
        return found

    def change(self, step: Callable[[Account], T]) -> T:
        """Run ``step`` on the caller's account while nobody else can.

        What it changed stays, also when it raises VendorError.
        """

        def kept(account: Account) -> T | VendorError:
            try:
                return step(account)
            except VendorError as error:
                return error

        done = self.world.change(self.key.account, kept)
        if isinstance(done, VendorError):
            raise done
        return done

    def strike_down(self, stage: str, kinds: tuple[str, ...], *, status: str | None = None) -> None:
        """As ``strike``, and raises VendorError when a fault leaves nothing to do but refuse."""
        for fault in self.strike(stage, kinds, status=status):
            if fault.kind in ENDING:
                raise refusal(fault)


def last_values(query: str) -> dict[str, str]:
    """The parameters of a query; of one that is given more than once, the last."""
    return {name: values[-1] for name, values in parse_qs(query).items()}


def count(call: Call, account: Account, calls: str, *, rule: str, limit: int, what: str) -> None:
    """Count the call among its like. Raises VendorError (429) when a second has too many of them already."""
    if not call.terms.limits:
        return
    admitted = quota.admit(account.admitted_ms.get(calls, ()), call.now_ms, limit)
    if admitted is None:
        problem = f"{limit} {what} were taken within the last second; wait a second"
        raise VendorError("rate_quota", rule=rule, problem=problem)
    account.admitted_ms[calls] = admitted


def session_of(request: Request) -> str:
    """The session the request belongs to, "" when it names none. Raises VendorError when the name is malformed."""
    session = request.headers.get(SESSION_HEADER) or _session_in(request.query)
    if session and not _SESSION.fullmatch(session):
        raise VendorError(
            "parameters_invalid",
            rule="mock.session",
            place="header X-Mock-Session",
            problem="is not 1 to 64 letters, digits, dots, dashes or underscores",
        )
    return session


def _session_in(query: str) -> str:
    """The session that a result link carries."""
    return parse_qs(query).get(SESSION_HEADER, [""])[-1] if SESSION_HEADER in query else ""


def admit(request: Request, keys: KeyRing, terms: Terms) -> ApiKey:
    """Check key and workspace, in the vendor's order. Raises VendorError."""
    key = keys.identify(request.headers.get("authorization"))
    workspace = request.headers.get("x-dashscope-workspace")
    if workspace and terms.workspaces and workspace not in terms.workspaces:
        raise VendorError(
            "workspace_unknown",
            rule="workspace.known",
            place="header X-DashScope-WorkSpace",
            problem="names a workspace that is not configured",
        )
    return key


def refuse_key(request: Request, key: ApiKey, session_scenario: str | None, trace: Trace) -> None:
    """Raises VendorError (401) when a scenario of key, header or session says that the key is no good."""
    for name in (key.scenario, request.headers.get(SCENARIO_HEADER), session_scenario):
        row = catalogue.scenarios().get(name or "")
        if row is not None and row.refuse == "invalid_api_key":
            trace.scenarios = (row.name,)
            raise VendorError(row.refuse, rule="auth.key.invalid", problem=f"scenario {row.name} says so")


def require_route(request: Request, operation: str | None, allowed: Sequence[str]) -> str:
    """The operation to run. Raises VendorError when the path has none, or not by this method."""
    if operation is not None:
        return operation
    if allowed:
        raise VendorError(
            "method_not_supported",
            rule="route.method",
            place="method",
            problem=f"is {shown(request.method)}; this path takes {', '.join(sorted(allowed))}",
            method=request.method,
        )
    paths = catalogue.openapi()["paths"]
    nearest = catalogue.nearest(request.path.rstrip("/"), paths)
    hint = f"; nearest is {nearest}" if nearest else f"; known are {', '.join(paths)}"
    raise VendorError("url_error", rule="route.known", place="path", problem=f"is not one of the vendor's{hint}")


def answered(call: Call, body: dict[str, Any] | Reply, *, done_ms: int) -> Reply:
    """A 200 with the vendor's usual headers, and with what is wrong all the same, such as a picture that will not do.

    A reply of another kind than JSON keeps its own content type.
    """
    if isinstance(body, dict):
        trace = call.trace
        explained = (
            () if trace.rule is None else (("x-mock-reason", _explained(trace.rule, trace.place, trace.problem)),)
        )
        return _reply(200, body, call.request_id, call.now_ms, done_ms, *explained)
    usual = _reply(200, {}, call.request_id, call.now_ms, done_ms).headers
    return replace(body, headers=(*body.headers, *(pair for pair in usual if pair[0] != "content-type")))


def refused(error: VendorError, request_id: str, terms: Terms, now_ms: int) -> Reply:
    """The vendor's flat error body, with our explanation beside it in ``X-Mock-Reason``."""
    body: dict[str, Any] = {**worded(error.reason, error.details)}
    row = catalogue.errors()[error.reason]
    retry_after = error.details.get("retry_after")
    extra = () if retry_after is None else (("retry-after", str(retry_after)),)
    if row.anchor and terms.behaviours["help-link"] == "on":
        body["message"] += HELP_LINK.format(anchor=row.anchor)
    body["request_id"] = request_id
    if row.param is not None:
        shape = {"message": body["message"], "type": row.code, "param": row.param, "code": None}
        body = {"error": shape}
    return _reply(
        row.status or 400,
        body,
        request_id,
        now_ms,
        now_ms,
        ("x-mock-reason", explanation(error)),
        *extra,
    )


def worded(reason: str, details: Mapping[str, object]) -> dict[str, str]:
    """Code and message of a reason. A blank without detail reads ``xxx``, as on the vendor's page."""
    row = catalogue.errors()[reason]
    return {"code": row.code, "message": row.message.format_map(defaultdict(lambda: "xxx", details))}


def outside(request: Request) -> VendorError:
    """Why a request outside the vendor's prefix leads nowhere."""
    problem = f"{shown(request.path)} lies outside {PREFIX}; a base URL ends in /api/v1"
    return VendorError("not_found", rule="gateway.prefix", place="path", problem=problem)


def request_id(world: World) -> str:
    """A fresh id of a request: like a UUID, with the vendor's 9 where the version stands."""
    found = world.new_id()
    return f"{found[:14]}9{found[15:]}"


def explanation(error: VendorError) -> str:
    """Rule, place, problem and evidence as one line of printable ASCII."""
    return _explained(error.rule, error.place, error.problem)


def _explained(rule: str, place: str, problem: str) -> str:
    known = catalogue.rules().get(rule)
    evidence = f" ({known.evidence})" if known else ""
    return printable(f"{rule}{f' at {place}' if place else ''}: {problem}{evidence}")


def printable(line: str) -> str:
    """What a header can hold of an explanation."""
    return "".join(c if " " <= c <= "~" else "?" for c in line[:1000])


def shown(value: object) -> str:
    """``value`` as short printable ASCII, for an explanation."""
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _reply(
    status: int, body: dict[str, Any], request_id: str, now_ms: int, done_ms: int, *more: tuple[str, str]
) -> Reply:
    cost = str(done_ms - now_ms)
    headers = (
        ("content-type", "application/json"),
        ("x-request-id", request_id),
        ("x-dashscope-call-gateway", "true"),
        ("req-cost-time", cost),
        ("req-arrive-time", str(now_ms)),
        ("resp-start-time", str(done_ms)),
        ("x-envoy-upstream-service-time", cost),
        ("vary", "Origin,Access-Control-Request-Method,Access-Control-Request-Headers, Accept-Encoding"),
        ("date", http_date(now_ms // 1000)),
        ("server", SERVER),
        *more,
    )
    return Reply(status, headers, _encode(body).encode())


@lru_cache(maxsize=8)
def http_date(epoch_s: int) -> str:
    """The moment as a ``Date`` header has it."""
    return formatdate(epoch_s, usegmt=True)
