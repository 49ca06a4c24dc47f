"""The whole vendor behind one call: a plain request in, a plain reply out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from mock_server.core import facedetect, files, finetunes, gateway, oss, portraits, tasks, uploads
from mock_server.core.faults import ENDING, KINDS, Fault, Moment, refusal, spoiled
from mock_server.core.gateway import Call
from mock_server.core.journal import Entry, Trace
from mock_server.core.keys import KeyRing
from mock_server.core.model import Reply, Request, Terms, VendorError
from mock_server.core.ports import Clock, World, Worlds

Operation = Callable[..., dict[str, Any] | Reply]

OPERATIONS: dict[str, Operation] = {
    "submit_portrait": portraits.submit,
    "query_task": tasks.query,
    "list_tasks": tasks.list_tasks,
    "cancel_task": tasks.cancel,
    "detect_faces": facedetect.detect,
    "create_job": finetunes.create,
    "list_jobs": finetunes.list_jobs,
    "get_job": finetunes.get,
    "cancel_job": finetunes.cancel,
    "delete_job": finetunes.delete,
    "get_job_logs": finetunes.logs,
    "stream_job": finetunes.stream,
    "upload_files": files.upload,
    "list_files": files.list_files,
    "get_file": files.get,
    "delete_file": files.delete,
    "get_upload_policy": uploads.policy,
}
"""What runs for each ``operationId`` of ``contracts/openapi.json``."""


class Simulator:
    """One vendor: its terms, its clock, and a world for each session. ``log`` is told of every request."""

    def __init__(self, terms: Terms, clock: Clock, worlds: Worlds, log: Callable[[Entry], None] | None = None) -> None:
        self.terms = terms
        self.clock = clock
        self.worlds = worlds
        self._log = log
        self._keys = KeyRing(terms)

    def answer(self, request: Request, operation: str | None, *, allowed: Sequence[str] = (), **path: str) -> Reply:
        """The vendor's reply to a request under ``/api/v1/``.

        ``operation`` is an ``operationId``, or None when the path has none; then ``allowed`` are the
        methods the path does take. ``path`` holds the parameters read from the path.
        """
        world, trace, wrong_session = self._begin(request, operation)
        request_id = gateway.request_id(world)
        struck: list[Fault] = []
        try:
            if wrong_session is not None:
                raise wrong_session
            reply = self._served(request, world, trace, request_id, struck, allowed, path)
        except VendorError as error:
            trace.explain(error.rule, error.place, error.problem)
            trace.error = error.reason
            reply = gateway.refused(error, request_id, self.terms, trace.at_ms)
        return self._finished(request, reply, world, trace, struck)

    def _begin(self, request: Request, operation: str | None) -> tuple[World, Trace, VendorError | None]:
        """The world of the request and a trace in its journal; with what is wrong with the session it names."""
        now_ms, wrong = self.clock.now_ms(), None
        try:
            session = gateway.session_of(request)
        except VendorError as error:
            session, wrong = "", error
        world = self.worlds.open(session)
        trace = world.journal.begin(now_ms, session)
        trace.operation = operation
        return world, trace, wrong

    def _served(
        self,
        request: Request,
        world: World,
        trace: Trace,
        request_id: str,
        struck: list[Fault],
        allowed: Sequence[str],
        path: dict[str, str],
    ) -> Reply:
        """The answer when nothing is wrong. Raises VendorError."""
        if not world.faults.quiet:
            struck += world.faults.strike(Moment("before", trace.at_ms, trace.operation or ""), KINDS)
        for fault in struck:
            if fault.kind in ENDING:
                raise refusal(fault)
        trace.key_id = self._keys.number(request.headers.get("authorization", ""))
        key = gateway.admit(request, self._keys, self.terms)
        trace.account, trace.key_id = key.account, key.id
        gateway.refuse_key(request, key, world.scenario, trace)
        run = OPERATIONS[gateway.require_route(request, trace.operation, allowed)]
        call = Call(request, key, trace.session, world, self.terms, trace.at_ms, request_id, trace, struck)
        return gateway.answered(call, run(call, **path), done_ms=self.clock.now_ms())

    def _finished(self, request: Request, reply: Reply, world: World, trace: Trace, struck: list[Fault]) -> Reply:
        """The reply as it goes on the line, and a note of it in the journal."""
        if struck:
            trace.faults = [fault.id for fault in struck]
            reply = replace(spoiled(reply, struck), wire=world.faults.wire(struck))
        entry = world.journal.end(trace, request, reply, self.clock.now_ms())
        if self._log is not None:
            self._log(entry)
        return reply

    def broken(self) -> Reply:
        """What is answered when the mock itself fails, so that nobody takes it for a refusal."""
        error = VendorError("internal_error", rule="mock.failure", problem="the mock has failed; its log says where")
        return gateway.refused(error, gateway.request_id(self.worlds.open("")), self.terms, self.clock.now_ms())

    def fetch(self, request: Request, bucket: str, key: str) -> Reply:
        """What a link of the storage leads to, or the storage's refusal."""
        operation = "fetch_picture" if bucket == oss.RESULT_BUCKET else "fetch_file"

        def fetched(world: World, trace: Trace, struck: list[Fault]) -> Reply:
            return oss.fetch(request, bucket, key, world, self.terms, trace, struck)

        return self._stored(request, operation, fetched)

    def upload(self, request: Request) -> Reply:
        """The storage's answer to the form post of a temporary upload."""

        def received(world: World, trace: Trace, _struck: list[Fault]) -> Reply:
            return uploads.receive(request, world, self.terms, trace)

        return self._stored(request, "upload_object", received)

    def _stored(self, request: Request, operation: str, answer: Callable[[World, Trace, list[Fault]], Reply]) -> Reply:
        """A reply of the storage, which needs no key."""
        world, trace, wrong_session = self._begin(request, operation)
        struck: list[Fault] = []
        if wrong_session is None:
            reply = answer(world, trace, struck)
        else:
            trace.rule, trace.problem = "link.object", f"{wrong_session.place} {wrong_session.problem}"
            reply = oss.refused(trace.rule, trace.problem, world, trace.at_ms)
        return self._finished(request, reply, world, trace, struck)

    def outside(self, request: Request) -> Reply:
        """What is answered outside the vendor's prefix: 404 and nothing else, rule ``gateway.prefix``; we say why."""
        world, trace, _ = self._begin(request, None)
        error = gateway.outside(request)
        trace.explain(error.rule, error.place, error.problem)
        headers = (
            ("vary", "Accept-Encoding"),
            ("server", gateway.SERVER),
            ("x-mock-reason", gateway.explanation(error)),
        )
        return self._finished(request, Reply(404, headers), world, trace, [])
