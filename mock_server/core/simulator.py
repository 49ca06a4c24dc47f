"""The whole vendor behind one call: a plain request in, a plain reply out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from mock_server.core import gateway, oss, portraits, tasks
from mock_server.core.gateway import Call
from mock_server.core.keys import KeyRing
from mock_server.core.model import Reply, Request, Terms, VendorError
from mock_server.core.ports import Clock, Worlds

Operation = Callable[..., dict[str, Any]]

OPERATIONS: dict[str, Operation] = {
    "submit_portrait": portraits.submit,
    "query_task": tasks.query,
    "list_tasks": tasks.list_tasks,
    "cancel_task": tasks.cancel,
}
"""What runs for each ``operationId`` of ``contracts/openapi.json``."""


class Simulator:
    """One vendor: its terms, its clock, and a world for each session."""

    def __init__(self, terms: Terms, clock: Clock, worlds: Worlds) -> None:
        self.terms = terms
        self.clock = clock
        self.worlds = worlds
        self._keys = KeyRing(terms)

    def answer(self, request: Request, operation: str | None, *, allowed: Sequence[str] = (), **path: str) -> Reply:
        """The vendor's reply to a request under ``/api/v1/``.

        ``operation`` is an ``operationId``, or None when the path has none; then ``allowed`` are the
        methods the path does take. ``path`` holds the parameters read from the path.
        """
        now_ms = self.clock.now_ms()
        session, request_id = "", ""
        try:
            session = gateway.session_of(request)
            world = self.worlds.open(session)
            request_id = world.new_id()
            key = gateway.admit(request, self._keys, self.terms)
            run = OPERATIONS[gateway.require_route(request, operation, allowed)]
            call = Call(request, key, session, world, self.terms, now_ms, request_id)
            return gateway.answered(call, run(call, **path), done_ms=self.clock.now_ms())
        except VendorError as error:
            return gateway.refused(error, request_id or self.worlds.open("").new_id(), self.terms, now_ms)

    def fetch(self, request: Request, key: str) -> Reply:
        """The picture behind a result link, or the storage's refusal."""
        session = gateway.session_of(request)
        return oss.fetch(request, key, self.worlds.open(session), self.terms, self.clock.now_ms())
