# mypy: ignore-errors
import pytest

from facechain_testkit.client import DeadlinePassed, TrainingFailed

PHOTOS = ["https://photos.example/me.jpg", "https://photos.example/me-too.jpg"]


def test_a_likeness_is_trained_and_used(facechain, client, order, tmp_path):
    order["resources"][0]["resource_id"] = client.train(PHOTOS)
    client.make_portraits(order, tmp_path)
    assert [job.status for job in facechain.jobs] == ["SUCCEEDED"]
    assert facechain.ledger["total"] == 2.5 + 2 * 0.18
    facechain.assert_clean()


def test_a_training_that_failed_says_why(facechain, client):
    facechain.plan_next_job(outcome="FAILED", error="algo_error")
    with pytest.raises(TrainingFailed) as failed:
        client.train(PHOTOS)
    assert failed.value.code == "InternalError.Algo"


@pytest.mark.facechain(training={"progression": "time", "running_ms": 300_000})
def test_a_training_takes_five_minutes(facechain, client):
    job_id = client.submit_training(PHOTOS)
    with pytest.raises(DeadlinePassed):
        client.wait_for_likeness(job_id, deadline_s=60)
    facechain.clock.advance("4m")
    assert client.wait_for_likeness(job_id) == facechain.jobs[0].output
