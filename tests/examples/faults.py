# mypy: ignore-errors
def test_half_an_answer_is_asked_for_again(facechain, client, order, tmp_path):
    facechain.faults.add("poll", "cut", bytes=100, times=1)
    facechain.faults.add("link", "reset", skip=1, times=1)
    client.make_portraits(order, tmp_path)
    assert [fault["struck"] for fault in facechain.faults] == [1, 1]
    facechain.assert_clean()
