# mypy: ignore-errors
from faker import Faker

from facechain_testkit import checks
from facechain_testkit.provider import FaceChainProvider


def test_bodies_are_what_they_say():
    fake = Faker()
    fake.add_provider(FaceChainProvider)
    fake.seed_instance(7)
    assert checks.validate_request(fake.facechain_submit_body("train_free")) == []
    wrong = fake.facechain_invalid_submit_body("portrait.n.range")
    assert [violation.rule for violation in checks.validate_request(wrong.body)] == [wrong.rule]
