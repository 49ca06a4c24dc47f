"""Stands before Flask and answers the two busiest calls itself, by the same pipeline that the views call."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from flask import Flask, got_request_exception

from mock_server.core.front import handle
from mock_server.core.simulator import Simulator
from mock_server.web.wire import SIMULATOR, plain_request, send

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

QUERY = "/api/v1/tasks/"
SUBMIT = "/api/v1/services/aigc/album/gen_potrait"


class VendorApp(Flask):
    """Flask with a short cut. Whoever hooks into its requests has them all go the long way; so does ``front`` False."""

    front = True

    def wsgi_app(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if not (self.front and is_busy(environ)) or self.before_request_funcs.get(None) or self.after_request_funcs:
            return super().wsgi_app(environ, start_response)
        simulator: Simulator = self.extensions[SIMULATOR]
        try:
            reply = handle(simulator, plain_request(environ))
        except Exception as error:
            got_request_exception.send(self, exception=error)
            if self.config["PROPAGATE_EXCEPTIONS"]:
                raise
            self.logger.exception("The mock has failed on %s", environ["PATH_INFO"])
            reply = simulator.broken()
        return send(reply, environ, start_response, simulator)


def is_busy(environ: WSGIEnvironment) -> bool:
    """Whether the call is a query or a submission."""
    method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
    return bool((method == "GET" and path.startswith(QUERY)) or (method == "POST" and path == SUBMIT))
