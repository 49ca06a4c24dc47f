# mypy: ignore-errors
import pytest

from facechain_testkit.client import PortraitClient


@pytest.fixture
def order():
    return {
        "model": "facechain-generation",
        "parameters": {"style": "f_business_female", "n": 2},
        "resources": [{"resource_id": "women_model", "resource_type": "facelora"}],
    }


@pytest.fixture
def client(facechain):
    """The client under test: put yours here. This one sleeps by the mock's clock, so no test waits."""
    clock = facechain.clock
    return PortraitClient(api_key=facechain.api_key, sleep=clock.advance, now=lambda: clock.now_ms() / 1000)
