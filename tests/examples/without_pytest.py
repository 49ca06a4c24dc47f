# mypy: ignore-errors
from facechain_testkit import mock_facechain
from facechain_testkit.client import PortraitClient

ORDER = {
    "model": "facechain-generation",
    "parameters": {"style": "f_business_female", "n": 1},
    "resources": [{"resource_id": "women_model", "resource_type": "facelora"}],
}

with mock_facechain(limits="off", seed=7) as facechain:
    PortraitClient(api_key=facechain.api_key).make_portraits(ORDER, "portraits")
    print(facechain.story())
    facechain.assert_clean()
