# mypy: ignore-errors
import pytest

from facechain_testkit.client import PortraitClient, PortraitFailed  # or your own client

ORDER = {
    "model": "facechain-generation",
    "parameters": {"style": "f_business_female", "n": 1},
    "resources": [{"resource_id": "women_model", "resource_type": "facelora"}],
}


def test_a_failed_task_reaches_the_user(facechain):
    facechain.plan_next(outcome="FAILED", error="image_resolution")
    client = PortraitClient(api_key=facechain.api_key)
    with pytest.raises(PortraitFailed):
        client.wait(client.submit(ORDER))
    facechain.assert_clean()


@pytest.mark.facechain(scenario="lost-submit")
def test_a_lost_answer_is_not_paid_twice(facechain, tmp_path):
    client = PortraitClient(api_key=facechain.api_key)
    client.make_portraits(ORDER, tmp_path)
    facechain.assert_no_duplicate_spend()
