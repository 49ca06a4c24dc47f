"""Stands before Flask and answers queries and submissions itself, by the same pipeline that the views call."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from flask import Flask, got_request_exception, request_finished, request_started

from mock_server.core.front import handle
from mock_server.core.simulator import Simulator
from mock_server.web.wire import SIMULATOR, plain_request, send

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

QUERY = "/api/v1/tasks/"
SUBMIT = "/api/v1/services/aigc/album/gen_potrait"
ADMIN = "control"


class VendorApp(Flask):
    """Flask with a short cut. Whoever hooks into its requests has them all go the long way; so does ``front`` False."""

    front = True

    def wsgi_app(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if not (self.front and is_busy(environ)) or self._is_hooked():
            return super().wsgi_app(environ, start_response)
        simulator: Simulator = self.extensions[SIMULATOR]
        try:
            reply = handle(simulator, plain_request(environ))
        except Exception as error:
            got_request_exception.send(self, exception=error)
            propagate = self.config["PROPAGATE_EXCEPTIONS"]
            if self.testing or self.debug if propagate is None else propagate:
                raise
            self.logger.exception("The mock has failed on %s", environ["PATH_INFO"])
            reply = simulator.broken()
        return send(reply, environ, start_response, simulator)

    def _is_hooked(self) -> bool:
        """Whether somebody wants to know of a query or a submission; the admin API's own guard does not."""
        hooks = (
            self.before_request_funcs,
            self.after_request_funcs,
            self.teardown_request_funcs,
            self.url_value_preprocessors,
        )
        return bool(request_started.receivers or request_finished.receivers) or any(
            scope != ADMIN and functions for hook in hooks for scope, functions in hook.items()
        )


def is_busy(environ: WSGIEnvironment) -> bool:
    """Whether the call is a query or a submission."""
    method, path = environ["REQUEST_METHOD"], environ.get("PATH_INFO", "")
    return bool((method == "GET" and path.startswith(QUERY)) or (method == "POST" and path == SUBMIT))
