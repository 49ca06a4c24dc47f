"""The vendor without a web framework: from host, method and path to what answers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache, lru_cache

from contracts import catalogue
from mock_server.core import gateway, oss
from mock_server.core.model import Reply, Request
from mock_server.core.simulator import Simulator


def handle(simulator: Simulator, request: Request) -> Reply:
    """The reply to any request: of the API, of the object storage, or of nobody (404, empty).

    The reply to a HEAD has the body that a GET would get: its length is told, and whoever sends it leaves it out.
    """
    method = "GET" if request.method == "HEAD" else request.method
    bucket = _bucket_of(request.origin)
    if bucket is not None:
        return _stored(simulator, request, method, bucket, request.path[1:])
    bucket, _, key = request.path[1:].partition("/")
    if bucket in oss.HOSTS.values():
        return _stored(simulator, request, method, bucket, key)
    if not request.path.startswith(gateway.PREFIX):
        return simulator.outside(request)
    for pattern, operations in _routes():
        found = pattern.fullmatch(request.path)
        if found is not None:
            operation = operations.get(method)
            if operation is None:
                return simulator.answer(request, None, allowed=tuple(operations))
            return simulator.answer(request, operation, **found.groupdict())
    return simulator.answer(request, None)


@lru_cache(maxsize=64)
def _bucket_of(origin: str) -> str | None:
    """The bucket that a host of the storage stands for."""
    return oss.HOSTS.get(origin.partition("://")[2].partition(":")[0].lower().removesuffix("."))


def _stored(simulator: Simulator, request: Request, method: str, bucket: str, key: str) -> Reply:
    if method == "GET" and key:
        return simulator.fetch(request, bucket, key)
    if method == "POST" and not key and bucket == oss.FILE_BUCKET:
        return simulator.upload(request)
    return simulator.outside(request)


@cache
def _routes() -> tuple[tuple[re.Pattern[str], dict[str, str]], ...]:
    """The vendor's paths as the contract has them; each with or without a slash at its end."""

    def patterns() -> Iterator[tuple[re.Pattern[str], dict[str, str]]]:
        for path, item in catalogue.openapi()["paths"].items():
            pattern = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", re.escape(path)) + "/?"
            operations = {
                method.upper(): operation["operationId"]
                for method, operation in item.items()
                if isinstance(operation, dict) and "operationId" in operation
            }
            yield re.compile(pattern), operations

    return tuple(patterns())
