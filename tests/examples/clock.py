# mypy: ignore-errors
import pytest

from facechain_testkit.client import LinkExpired


def test_links_live_for_a_day(facechain, client, order, tmp_path):
    state = client.wait(client.submit(order))
    facechain.clock.advance("25h")
    with pytest.raises(LinkExpired):
        client.download(state, tmp_path)
