"""The only place that picks parts: settings in, a Flask app with a vendor behind it out."""

from __future__ import annotations

import secrets
from collections.abc import Callable

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException, InternalServerError, MethodNotAllowed

from contracts import catalogue
from mock_server.assets import AssetFolder
from mock_server.clock import VendorClock
from mock_server.core import gateway
from mock_server.core.journal import Entry
from mock_server.core.model import LOOPBACK_NAMES, Terms
from mock_server.core.plans import Plan
from mock_server.core.ports import Clock
from mock_server.core.simulator import Simulator
from mock_server.forms import read_form
from mock_server.settings import Settings
from mock_server.stores.memory import MemoryWorlds
from mock_server.web import wire
from mock_server.web.control import control
from mock_server.web.facedetect import facedetect
from mock_server.web.files import files
from mock_server.web.finetunes import finetunes
from mock_server.web.front import VendorApp
from mock_server.web.guard import GUARD, Guard
from mock_server.web.oss import oss
from mock_server.web.portraits import portraits
from mock_server.web.tasks import tasks
from mock_server.web.wire import SIMULATOR, ExactResponse, vendor_answer


def create_app(
    settings: Settings | None = None,
    *,
    clock: Clock | None = None,
    log: Callable[[Entry], None] | None = None,
    simulator: Simulator | None = None,
) -> Flask:
    """The mocked vendor as a WSGI app. Give ``clock``, ``log``, or the whole ``simulator``, to choose it yourself."""
    settings = settings or Settings()
    app = VendorApp("mock_server", static_folder=None)
    app.front = settings.front == "on"
    app.url_map.strict_slashes = False
    app.url_map.merge_slashes = False
    app.config.update(PROVIDE_AUTOMATIC_OPTIONS=False, DEBUG=False)
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.extensions[SIMULATOR] = simulator or create_simulator(settings, clock=clock, log=log)
    app.extensions[GUARD] = Guard(
        settings.admin_token or secrets.token_urlsafe(18),
        LOOPBACK_NAMES | {settings.host} | set(settings.allow_host),
    )
    for blueprint in (portraits, tasks, facedetect, finetunes, files, oss, control):
        app.register_blueprint(blueprint)
    app.register_error_handler(HTTPException, _unrouted)
    return app


def create_simulator(
    settings: Settings,
    *,
    clock: Clock | None = None,
    plan: Plan | None = None,
    training: Plan | None = None,
    log: Callable[[Entry], None] | None = None,
) -> Simulator:
    """The vendor itself, for those who need no Flask.

    ``plan`` and ``training`` are how a portrait and a training go when nobody says otherwise.
    """
    terms = Terms(
        behaviours=catalogue.chosen(settings.behaviour),
        seed=settings.seed,
        plan=plan or settings.plan,
        limits=settings.limits == "documented",
        keys=settings.api_key,
        workspaces=frozenset(settings.workspace),
        public_base_url=settings.public_base_url,
        training=training or settings.training,
        resources=frozenset(settings.resource),
        assets=AssetFolder(settings.assets) if settings.assets is not None else None,
        accepts_unknown_images=settings.unknown_images == "accept",
        read_form=read_form,
        announces=settings.event_url is not None,
    )
    return Simulator(
        terms,
        clock or VendorClock(factor=settings.speed),
        MemoryWorlds(settings.seed, settings.faults, settings.scenario),
        log,
    )


def _unrouted(error: HTTPException) -> Response:
    """Paths and methods that no route takes: the vendor has an answer for these too. A mistake of ours is a 500."""
    if isinstance(error, InternalServerError):
        return ExactResponse(wire.simulator().broken())
    if request.path.startswith(gateway.PREFIX):
        methods = (error.valid_methods or ()) if isinstance(error, MethodNotAllowed) else ()
        return vendor_answer(None, allowed=tuple(method for method in methods if method != "HEAD"))
    return ExactResponse(wire.simulator().outside(wire.plain_request()))
