# mypy: ignore-errors
import pytest

from facechain_testkit.client import PortraitFailed, RequestRefused

TEMPLATE = "https://assets.facechain.test/template.jpg?width=1024&height=768"


def order_with(photo):
    return {
        "model": "facechain-generation",
        "parameters": {"style": "train_free_portrait_url_template", "n": 1},
        "input": {"template_url": TEMPLATE, "user_urls": [photo]},
    }


def test_a_photo_of_two_people_is_refused_before_it_costs(facechain, client):
    photo = facechain.add_asset("https://photos.example/us.jpg", faces=2)
    (face,) = client.detect([photo])
    assert (face.is_face, face.reason) == (False, "more than one face detected")
    facechain.assert_clean()


def test_whoever_does_not_ask_pays_with_a_failed_task(facechain, client, tmp_path):
    with pytest.raises(PortraitFailed) as failed:
        client.make_portraits(order_with("https://assets.facechain.test/me.jpg?width=100"), tmp_path)
    assert failed.value.code == "InvalidImageResolution"


@pytest.mark.facechain(behaviours={"picture-timing": "submit"}, scenario="no-face")
def test_or_is_refused_at_once(facechain, client):
    with pytest.raises(RequestRefused) as refused:
        client.submit(order_with("https://photos.example/me.jpg"))
    assert refused.value.code == "InvalidImage.NoHumanFace"
