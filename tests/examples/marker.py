# mypy: ignore-errors
import pytest

from facechain_testkit.client import RequestRefused


@pytest.mark.facechain(behaviours={"second-task": "reject"}, plan={"progression": "hold"})
def test_a_busy_account_is_refused(client, order):
    client.submit(order)
    with pytest.raises(RequestRefused) as refused:
        client.submit(order)
    assert refused.value.status == 429
