"""The pieces of the benchmarks count and reckon as they say; how fast anything is, nobody asks here."""

import json
import socket
from collections import Counter
from collections.abc import Iterable
from wsgiref.types import StartResponse, WSGIEnvironment

import pytest

from benchmarks.bare_app import create_bare_app
from benchmarks.load import Connection, drive
from benchmarks.messages import KEY, MANY, SUBMIT_PATH, polls, submission, submissions
from benchmarks.processes import Process
from benchmarks.run import PICTURES, RUNNING, poll_ratios, too_costly
from benchmarks.table import Figure, table
from mock_server.app import create_app
from mock_server.core.portraits import judged_body
from mock_server.serving import running
from mock_server.settings import Settings
