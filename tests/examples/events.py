# mypy: ignore-errors
import json
from http.server import BaseHTTPRequestHandler, HTTPServer
from queue import Queue
from threading import Thread

import pytest

from facechain_testkit import mock_facechain
from facechain_testkit.client import PortraitClient


@pytest.fixture
def bus():
    """What your service does with an event belongs here."""
    events = Queue()

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self):
            events.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

    with HTTPServer(("127.0.0.1", 0), Receiver) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/", events
        server.shutdown()


def test_the_end_of_a_task_is_told(bus, order):
    url, events = bus
    with mock_facechain(event_url=url, plan={"progression": "immediate"}) as facechain:
        task_id = PortraitClient(api_key=facechain.api_key).submit(order)
        event = events.get(timeout=10)
    assert event["type"] == "dashscope:System:AsyncTaskFinish"
    assert (event["data"]["task_id"], event["data"]["task_status"]) == (task_id, "SUCCEEDED")
