# mypy: ignore-errors
from contextlib import suppress

import pytest

from contracts import catalogue
from facechain_testkit.client import FaceChainError


@pytest.mark.parametrize("scenario", catalogue.scenarios())
def test_the_client_behaves_whatever_happens(facechain, client, order, tmp_path, scenario):
    facechain.scenario = scenario
    with suppress(FaceChainError):
        client.make_portraits(order, tmp_path)
    facechain.assert_clean()
    facechain.assert_no_duplicate_spend()
