# mypy: ignore-errors
import pytest


@pytest.mark.facechain(scenario="poll-429")
def test_throttling_is_waited_out_and_costs_nothing(facechain, client, order):
    client.wait(client.submit(order))
    first, second = facechain.journal.find(operation="query_task", status=429)
    assert second["at_ms"] - first["at_ms"] >= 1_000
    assert facechain.ledger["total"] == 0.36
    assert [task.status for task in facechain.tasks] == ["SUCCEEDED"]
