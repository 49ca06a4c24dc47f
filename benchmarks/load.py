"""A closed loop over keep-alive connections: each sends its next request when its answer is there, whole.

It does as little as it can per request, so that the server is what is measured; ``Tally.busy`` shows whether it is.
"""

from __future__ import annotations

import json
import re
import selectors
import socket
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import cycle, islice

PATIENCE_S = 10
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


@dataclass(frozen=True)
class Tally:
    """What came of a load. ``statuses`` counts the answers by HTTP status."""

    answered: int
    seconds: float
    statuses: dict[str, int]
    p50_ms: float
    p99_ms: float
    busy: float
    """The share of one core that the load itself took; near 1, it held the server up."""


@dataclass
class Connection:
    sock: socket.socket
    received: bytes = b""
    sent_at: float = 0.0

    def send(self, request: bytes) -> None:
        self.received = b""
        self.sent_at = time.perf_counter()
        self.sock.sendall(request)

    def answer(self) -> bytes | None:
        """What has come of the answer, or None while it is not whole."""
        arrived = self.sock.recv(65_536)
        if not arrived:
            raise ConnectionError("the server closed a connection that was to be kept")
        self.received += arrived
        end = self.received.find(b"\r\n\r\n")
        if end < 0:
            return None
        length = _LENGTH.search(self.received, 0, end)
        if length is None:
            raise ValueError(f"an answer without Content-Length: {self.received[:end]!r}")
        return self.received if len(self.received) >= end + 4 + int(length[1]) else None


def drive(port: int, requests: Sequence[bytes], *, connections: int, seconds: float, most: int) -> Tally:
    """Send ``requests`` over and over to the loopback for ``seconds``, ``most`` at most; wait for every answer."""
    latencies: list[float] = []
    statuses: Counter[str] = Counter()
    upcoming = islice(cycle(requests), most)
    with selectors.DefaultSelector() as selector:
        for _ in range(connections):
            sock = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setblocking(False)
            selector.register(sock, selectors.EVENT_READ, Connection(sock))
        keys = list(selector.get_map().values())
        started, cpu_started = time.perf_counter(), time.process_time()
        try:
            open_connections = sum(_sends(key.data, upcoming) for key in keys)
            while open_connections:
                ready = selector.select(PATIENCE_S)
                if not ready:
                    raise TimeoutError(f"no answer within {PATIENCE_S} s")
                for key, _ in ready:
                    answer = key.data.answer()
                    if answer is None:
                        continue
                    now = time.perf_counter()
                    latencies.append(now - key.data.sent_at)
                    statuses[answer[9:12].decode()] += 1
                    if now - started >= seconds or not _sends(key.data, upcoming):
                        open_connections -= 1
            took, cpu_took = time.perf_counter() - started, time.process_time() - cpu_started
        finally:
            for key in keys:
                key.data.sock.close()
    latencies.sort()
    return Tally(
        answered=len(latencies),
        seconds=took,
        statuses=dict(statuses),
        p50_ms=1000 * latencies[len(latencies) // 2],
        p99_ms=1000 * latencies[len(latencies) * 99 // 100],
        busy=cpu_took / took,
    )


def _sends(connection: Connection, upcoming: Iterator[bytes]) -> bool:
    """Send the next request; False when there is none."""
    request = next(upcoming, None)
    if request is not None:
        connection.send(request)
    return request is not None


if __name__ == "__main__":
    given = json.load(sys.stdin)
    given["requests"] = [request.encode() for request in given["requests"]]
    json.dump(asdict(drive(**given)), sys.stdout)
