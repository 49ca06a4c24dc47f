"""Servers and loads as processes of their own: started, watched through ``/proc`` where there is one, and stopped."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.load import Tally

if TYPE_CHECKING:
    from typing_extensions import Self

ROOT = Path(__file__).resolve().parent.parent
PATIENCE_S = 15
_NOT_PASSED_ON = ("FACECHAIN_MOCK_", "PYTHONDONTWRITEBYTECODE")
"""What would change the server, or have it compiled anew at each start."""

CONNECTIONS = 16


class Pinning:
    """Servers on the first core and the load on the last, so that neither is measured waiting for the other."""

    def __init__(self, wanted: bool) -> None:
        cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
        self.on = wanted and len(cores) > 1
        self._cores = cores

    def server(self, pid: int) -> None:
        self._pin(pid, 0)

    def load(self, pid: int) -> None:
        self._pin(pid, -1)

    def _pin(self, pid: int, position: int) -> None:
        if self.on:
            with suppress(ProcessLookupError):
                os.sched_setaffinity(pid, {self._cores[position]})


class Process:
    """A Python process in an empty folder and without our settings in its environment."""

    def __init__(self, *arguments: str, stdin: str | None = None) -> None:
        environment = {name: value for name, value in os.environ.items() if not name.startswith(_NOT_PASSED_ON)}
        environment["PYTHONPATH"] = str(ROOT)
        self._folder = tempfile.TemporaryDirectory(prefix="facechain-bench-")
        self._input = stdin
        self.started = time.perf_counter()
        self._process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=self._folder.name,
            env=environment,
            stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.pid = self._process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop()

    def output(self, timeout_s: float) -> str:
        """Wait for its end; what it printed."""
        printed, _ = self._process.communicate(self._input, timeout=timeout_s)
        if self._process.returncode:
            raise RuntimeError(f"{self._process.args!r} ended with {self._process.returncode}")
        return printed

    @property
    def ended(self) -> bool:
        return self._process.poll() is not None

    def stop(self) -> float:
        """Ask it to end, and see that it does; how many milliseconds that took."""
        asked = time.perf_counter()
        if not self.ended:
            self._process.terminate()
            try:
                self._process.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        took_ms = 1000 * (time.perf_counter() - asked)
        if self._process.stdout:
            self._process.stdout.close()
        self._folder.cleanup()
        return took_ms


class Server(Process):
    """A server on a free port of the loopback, which its command line ends with."""

    def __init__(self, *arguments: str) -> None:
        self.port = free_port()
        super().__init__(*arguments, str(self.port))

    def first_answer_ms(self, request: str) -> float:
        """Ask until it answers; milliseconds since it was started."""
        while time.perf_counter() - self.started < PATIENCE_S:
            if self.ended:
                raise RuntimeError(f"{self._process.args!r} ended with {self._process.returncode}")
            try:
                self.exchange(request)
            except ConnectionRefusedError:
                time.sleep(0.001)
            else:
                return 1000 * (time.perf_counter() - self.started)
        raise TimeoutError(f"no answer within {PATIENCE_S} s")

    def exchange(self, request: str) -> Any:
        """The JSON that answers one request, which must be accepted."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE_S) as sock:
            sock.sendall(request.replace("Connection: keep-alive", "Connection: close").encode())
            answer = b"".join(iter(lambda: sock.recv(65_536), b""))
        head, _, body = answer.partition(b"\r\n\r\n")
        if head[9:10] != b"2":
            raise RuntimeError(f"{request.splitlines()[0]} is answered with {answer!r}")
        return json.loads(body)

    def cpu_s(self) -> float | None:
        """User and system time so far, in steps of a clock tick; None where there is no ``/proc``."""
        try:
            fields = Path(f"/proc/{self.pid}/stat").read_text("ascii").rpartition(")")[2].split()
        except OSError:
            return None
        return (int(fields[11]) + int(fields[12])) / float(os.sysconf("SC_CLK_TCK"))

    def memory_kb(self) -> dict[str, int] | None:
        return memory_kb(str(self.pid))


def memory_kb(pid: str = "self") -> dict[str, int] | None:
    """``Rss`` and ``Pss`` (shared pages split among their users) in kB; None where there is no ``/proc``."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text("ascii")
    except OSError:
        return None
    return {name: int(kb) for name, kb in re.findall(r"^(Rss|Pss): +(\d+) kB", text, re.MULTILINE)}


def run_load(port: int, requests: Sequence[str], pinning: Pinning, *, seconds: float) -> Tally:
    """A load from a process of its own."""
    order = {
        "port": port,
        "requests": requests,
        "connections": CONNECTIONS,
        "seconds": seconds,
        "most": 200_000,
    }
    with Process("-m", "benchmarks.load", stdin=json.dumps(order)) as process:
        pinning.load(process.pid)
        return Tally(**json.loads(process.output(seconds + PATIENCE_S)))


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])
