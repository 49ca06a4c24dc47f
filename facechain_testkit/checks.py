"""Judges captured or live traffic against the contract, whoever sent it; it sends nothing and changes nothing."""

from __future__ import annotations

import gzip
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from contracts import catalogue
from contracts.validation import RequestContract, Violation, answer_violations
from mock_server.core.model import VendorError
from mock_server.core.submission import parse

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

SUBMIT = "submit_portrait"
REQUESTS = {SUBMIT: "portrait-request", "detect_faces": "detection-request", "create_job": "job-request"}
"""The message that the body of a call is, where that is JSON."""

MOST_BREACHES = 1_000
MOST_ANSWER_BYTES = 4 * 1_048_576
"""A longer answer is passed on and not judged; the vendor's are a few kilobytes."""

_BODY = (bytes, str, Mapping)
_OWN_HOSTS = re.compile(r"(.+\.)?aliyuncs\.com|[^.]*|[\d.]+|.+\.(test|localhost|local|internal)")
"""The vendor; and where mocks are: this machine, addresses, names that only private networks have."""


@dataclass(frozen=True)
class Breach:
    """One exchange that broke the contract. ``problems`` name side, rule, place and what is wrong."""

    operation: str
    method: str
    url: str
    status: int
    problems: tuple[str, ...]

    def __str__(self) -> str:
        lines = "".join(f"\n  {problem}" for problem in self.problems)
        return f"{self.method} {self.url} ({self.operation}, {self.status}) breaks the contract:{lines}"


def validate_request(
    body: bytes | str | Mapping[str, Any], behaviours: Mapping[str, str] | None = None, *, operation: str = SUBMIT
) -> list[Violation]:
    """What is wrong with the body of a call, in the order the vendor would complain; empty when it is good.

    ``operation`` is one of ``REQUESTS``. Text and bytes are judged as they would be on the wire, so for size and JSON
    too. ``behaviours`` chooses among readings, see ``contracts/behaviours.json``. ValueError for what does not exist.
    """
    if operation not in REQUESTS:
        raise ValueError(f"operation {operation!r} sends no JSON; those that do are {', '.join(REQUESTS)}")
    contract = RequestContract(behaviours, message=REQUESTS[operation])
    if isinstance(body, Mapping):
        return contract.violations(dict(body))
    sent = body.encode("utf-8", "surrogatepass") if isinstance(body, str) else body
    most = int(catalogue.limits()["body_bytes"])
    if len(sent) > most:
        return [_violation("body.size", f"has {len(sent)} bytes, takes at most {most}")]
    try:
        return contract.violations(parse(sent))
    except VendorError as error:
        return [_violation(error.rule, error.problem)]


def validate_response(operation: str, status: int, body: bytes | str | Mapping[str, Any]) -> list[str]:
    """What is wrong with an answer, as ``place: problem``; empty when it keeps its schema.

    ``operation`` is an operationId of ``contracts/openapi.json``; ValueError for another. An answer is judged by the
    schema that the operation has for its status, else by that of errors. A stream of events is not judged.
    """
    if operation not in _answers():
        raise ValueError(f"unknown operation {operation!r}; known are {', '.join(_answers())}")
    found = [_problems(message, body) for message in _answers()[operation].get(status, ("error",))]
    return found[0] if found and all(found) else []


def _problems(message: str, body: bytes | str | Mapping[str, Any]) -> list[str]:
    if isinstance(body, Mapping):
        return answer_violations(message, dict(body))
    sent = body.encode("utf-8", "surrogatepass") if isinstance(body, str) else body
    try:
        return answer_violations(message, parse(sent))
    except VendorError as error:
        return [f"body: {error.problem}"]


def operation_of(method: str, url: str) -> str | None:
    """The operationId of a call, or None when it is none of the contract's.

    ``url`` is a path or a whole URL. A host is the vendor's (``*.aliyuncs.com``), or may be a mock's: an address, a
    name without a dot, or one under ``.test``, ``.localhost``, ``.local`` or ``.internal``; others are left alone.
    """
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return None
    if not _OWN_HOSTS.fullmatch(host):
        return None
    path = parts.path.rstrip("/")
    return next((name for verb, route, name in _routes() if verb == method.upper() and route.fullmatch(path)), None)


def assert_contract(
    response: object, *, operation: str | None = None, behaviours: Mapping[str, str] | None = None
) -> str | None:
    """Assert that an exchange keeps the contract: the body of a call that sends JSON, and every answer.

    ``response`` is one of requests, httpx, werkzeug or Flask's test client, or looks like one: ``status_code`` or
    ``status``; ``content``, ``data``, ``body`` or ``text``; and ``request`` with ``method``, ``url``, perhaps a body.
    Gives the operationId that was judged, or None when the call is none of the contract's; ``operation`` overrules
    what the URL says. Raises AssertionError that names rules and places, TypeError for anything else.
    """
    exchange = _exchange(response)
    found = operation or operation_of(exchange.method, exchange.url)
    if found is not None:
        breach = _judged(found, exchange, behaviours)
        if breach is not None:
            raise AssertionError(str(breach))
    return found


def requests_hook(response: Any, *_args: object, **_more: object) -> None:
    """For ``session.hooks["response"]``: asserts the contract of every answer that is the contract's."""
    if operation_of(response.request.method, response.request.url) is not None:
        assert_contract(response)


def httpx_event_hook(response: Any) -> None:
    """For ``httpx.Client(event_hooks={"response": [...]})``: as ``requests_hook``."""
    if operation_of(response.request.method, str(response.request.url)) is not None:
        response.read()
        assert_contract(response)


async def httpx_async_event_hook(response: Any) -> None:
    """For ``httpx.AsyncClient(event_hooks={"response": [...]})``: as ``requests_hook``."""
    if operation_of(response.request.method, str(response.request.url)) is not None:
        await response.aread()
        assert_contract(response)


class ContractMiddleware:
    """WSGI: judges what passes through ``app``, which answers in the vendor's place or on its way.

    Nothing that passes is changed. Every ``Breach`` goes to ``on_violation``, which may raise; without one it is
    kept in ``violations``, the latest ``MOST_BREACHES``. Paths that are none of the contract's are left alone.
    """

    def __init__(
        self,
        app: WSGIApplication,
        on_violation: Callable[[Breach], None] | None = None,
        *,
        behaviours: Mapping[str, str] | None = None,
    ) -> None:
        self.violations: deque[Breach] = deque(maxlen=MOST_BREACHES)
        self._app = app
        self._on_violation = on_violation or self.violations.append
        self._behaviours = catalogue.chosen(behaviours or {})

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        method, path = environ.get("REQUEST_METHOD", "GET"), environ.get("PATH_INFO", "")
        operation = operation_of(method, path) or operation_of(method, environ.get("SCRIPT_NAME", "") + path)
        if operation is None:
            return self._app(environ, start_response)
        asked = _read_ahead(environ) if operation in REQUESTS else None
        answer = _Overheard()

        def started(status: str, headers: list[tuple[str, str]], *exc_info: Any) -> Callable[[bytes], object]:
            answer.begin(status, headers)
            write = start_response(status, headers, *exc_info)

            def written(chunk: bytes) -> object:
                answer.hear(chunk)
                return write(chunk)

            return written

        def judge() -> None:
            if answer.is_readable and not answer.is_judged:
                answer.is_judged = True
                exchange = _Exchange(method, path, asked, answer.status, answer.body)
                breach = _judged(operation, exchange, self._behaviours)
                if breach is not None:
                    self._on_violation(breach)

        chunks = self._app(environ, started)
        if not isinstance(chunks, list | tuple):
            return _Listening(chunks, answer, judge)
        for chunk in chunks:  # a list goes on as it is, since a server may read the length of the answer from it
            answer.hear(chunk)
        judge()
        return chunks


@dataclass(frozen=True)
class _Exchange:
    """One request and its answer. ``asked`` is None where the body is not known any more."""

    method: str
    url: str
    asked: bytes | str | Mapping[str, Any] | None
    status: int
    answered: bytes | str | Mapping[str, Any]


class _Overheard:
    """What an app answered, as far as it is short enough to judge."""

    def __init__(self) -> None:
        self.status = 0
        self.is_judged = False
        self._chunks: list[bytes] = []
        self._bytes = 0
        self._headers: dict[str, str] = {}

    def begin(self, status: str, headers: list[tuple[str, str]]) -> None:
        self.status = int(status[:3])
        self._headers = {name.lower(): value.lower() for name, value in headers}

    def hear(self, chunk: bytes) -> None:
        self._bytes += len(chunk)
        if self.is_readable:
            self._chunks.append(chunk)

    @property
    def is_readable(self) -> bool:
        packing = self._headers.get("content-encoding", "identity")
        return self._bytes <= MOST_ANSWER_BYTES and packing in ("identity", "gzip")

    @property
    def is_whole(self) -> bool:
        """Whether everything that was announced has been heard; a client may not ask for the end after that."""
        return str(self._bytes) == self._headers.get("content-length")

    @property
    def body(self) -> bytes:
        """The answer, unpacked; as it is when it cannot be."""
        body = b"".join(self._chunks)
        if self._headers.get("content-encoding") != "gzip":
            return body
        try:
            return gzip.decompress(body)
        except (OSError, EOFError):
            return body


class _Listening:
    """Passes an app's answer on, and has it judged when all of it has come."""

    def __init__(self, chunks: Iterable[bytes], answer: _Overheard, judge: Callable[[], None]) -> None:
        self._chunks, self._answer, self._judge = chunks, answer, judge

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._chunks:
            self._answer.hear(chunk)
            if self._answer.is_whole:
                self._judge()
            yield chunk
        self._judge()

    def close(self) -> None:
        close = getattr(self._chunks, "close", None)
        if close is not None:
            close()


def _read_ahead(environ: WSGIEnvironment) -> bytes | None:
    """The body of a call, left in place for the app; None where its length is not known or out of bounds."""
    announced = environ.get("CONTENT_LENGTH") or ""
    if not announced.isdigit() or int(announced) > int(catalogue.limits()["body_bytes"]):
        return None
    body: bytes = environ["wsgi.input"].read(int(announced))
    environ["wsgi.input"] = BytesIO(body)
    return body if len(body) == int(announced) else None


def _judged(operation: str, exchange: _Exchange, behaviours: Mapping[str, str] | None) -> Breach | None:
    problems = []
    if operation in REQUESTS and exchange.asked is not None:
        violations = validate_request(exchange.asked, behaviours, operation=operation)
        problems += [f"request: {violation}" for violation in violations]
    problems += [f"answer: {text}" for text in validate_response(operation, exchange.status, exchange.answered)]
    if not problems:
        return None
    return Breach(operation, exchange.method, exchange.url.partition("?")[0], exchange.status, tuple(problems))


def _exchange(response: object) -> _Exchange:
    try:
        request = _first(response, "request")
        method, url = _first(request, "method"), _first(request, "url")
        status = _first(response, "status_code", "status")
        answered = _first(response, "content", "data", "body", "text")
    except RuntimeError as error:  # httpx: not sent, or not read yet
        raise TypeError(f"{type(response).__name__} cannot be judged: {error}") from error
    if isinstance(method, str) and isinstance(status, int) and url is not None and isinstance(answered, _BODY):
        return _Exchange(method, str(url), _asked(request), status, answered)
    raise TypeError(
        f"{type(response).__name__} is not a response that can be judged: it needs status_code or status; content, "
        "data, body or text; and request with method and url. Or use validate_request and validate_response"
    )


def _asked(request: object) -> bytes | str | Mapping[str, Any] | None:
    """The request's body, where it is still there: a stream that was sent is gone."""
    environ = getattr(request, "environ", None)
    if isinstance(environ, dict):
        stream = environ.get("wsgi.input")
        return stream.getvalue() if isinstance(stream, BytesIO) else None
    try:
        body = _first(request, "content", "body", "data")
    except RuntimeError:  # httpx: a stream
        return None
    return body if isinstance(body, _BODY) else None


def _first(value: object, *names: str) -> object:
    """The first of these attributes that is there and not None."""
    return next((found for name in names if (found := getattr(value, name, None)) is not None), None)


def _violation(rule: str, problem: str) -> Violation:
    return Violation(rule, "", problem, catalogue.rules()[rule].evidence)


@cache
def _routes() -> tuple[tuple[str, re.Pattern[str], str], ...]:
    """Method, path and operationId of everything in the contract."""
    return tuple(
        (method.upper(), re.compile(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(path))), row["operationId"])
        for path, methods in catalogue.openapi()["paths"].items()
        for method, row in methods.items()
    )


@cache
def _answers() -> dict[str, dict[int, tuple[str, ...]]]:
    """The messages that an answer of each operation may be, by status; none for a stream."""
    document = catalogue.openapi()
    return {
        row["operationId"]: {int(status): _messages(document, answer) for status, answer in row["responses"].items()}
        for methods in document["paths"].values()
        for row in methods.values()
    }


def _messages(document: Mapping[str, Any], answer: Mapping[str, Any]) -> tuple[str, ...]:
    if "$ref" in answer:
        answer = document["components"]["responses"][answer["$ref"].rpartition("/")[2]]
    messages = {message.replace("-", ""): message for message in catalogue.MESSAGES}
    schema = answer["content"].get("application/json", {"schema": {"anyOf": []}})["schema"]
    refs = [each["$ref"] for each in schema.get("anyOf", [schema])]
    return tuple(messages[ref.rpartition("/")[2].lower()] for ref in refs)
