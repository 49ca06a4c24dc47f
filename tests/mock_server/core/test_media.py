"""The pictures behind result links: sound files, told apart, and plainly mocks."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from io import BytesIO
from typing import Literal

import pytest
from PIL import ExifTags, Image, ImageChops

from contracts.validation import SCHEMAS
from mock_server.core import media
from mock_server.core.media import Portrait, read_properties, render_portrait
