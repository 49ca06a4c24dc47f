# mypy: ignore-errors
def test_the_portraits_arrive(facechain, client, order, tmp_path):
    made = client.make_portraits(order, tmp_path)
    assert [file.suffix for file in made.files] == [".jpg", ".jpg"]
    facechain.assert_clean()
