# mypy: ignore-errors
import pytest

from facechain_testkit.client import DeadlinePassed, PortraitFailed


def test_a_failure_has_a_reason(facechain, client, order):
    facechain.plan_next(outcome="FAILED", error="image_resolution")
    with pytest.raises(PortraitFailed) as failed:
        client.wait(client.submit(order))
    assert failed.value.code == "InvalidImageResolution"


def test_one_picture_of_two_is_refused(facechain, client, order, tmp_path):
    facechain.plan_next(images=["ok", {"error": "output_inspection"}])
    made = client.make_portraits(order, tmp_path)
    assert len(made.files) == 1
    assert [picture.code for picture in made.missing] == ["DataInspectionFailed"]


def test_the_deadline_is_kept(facechain, client, order):
    facechain.plan_next({"progression": "hold", "in": "RUNNING"})
    task_id = client.submit(order)
    with pytest.raises(DeadlinePassed):
        client.wait(task_id, deadline_s=60)
    facechain.release(task_id)
    assert client.wait(task_id).status == "SUCCEEDED"
