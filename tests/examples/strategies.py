# mypy: ignore-errors
from hypothesis import given

from facechain_testkit import mock_facechain
from facechain_testkit.client import PortraitClient
from facechain_testkit.strategies import submit_bodies


@given(body=submit_bodies())
def test_every_good_order_is_accepted(body):
    with mock_facechain() as facechain:
        PortraitClient(api_key=facechain.api_key).submit(body)
        assert facechain.findings("must") == []
