# mypy: ignore-errors
# ruff: noqa: S113 - a timeout would be better, and longer to read
import pytest
import requests
from faker import Faker

from facechain_testkit.provider import FaceChainProvider

API = "https://dashscope.aliyuncs.com/api/v1"


@pytest.fixture
def photo():
    fake = Faker()
    fake.add_provider(FaceChainProvider)
    return fake.facechain_photo(format="jpeg", width=300, height=400)


def test_a_photo_of_this_machine_is_uploaded_and_looked_at(facechain, client, photo):
    link = client.upload(photo, "facechain-facedetect")
    assert link.startswith("oss://dashscope-instant/")
    assert client.detect([link])[0].is_face
    facechain.assert_clean()


def test_a_file_is_kept_until_it_is_deleted(facechain, client, photo):
    headers = {"Authorization": f"Bearer {facechain.api_key}"}
    answer = requests.post(f"{API}/files", files={"files": ("me.jpg", photo)}, headers=headers).json()
    (file,) = answer["data"]["uploaded_files"]
    client.train([file["file_id"]])
    kept = requests.get(f"{API}/files/{file['file_id']}", headers=headers).json()["data"]
    assert requests.get(kept["url"]).content == photo


@pytest.mark.facechain(scenario="small-storage")
def test_a_full_storage_is_told_inside_a_200(facechain, photo):
    headers = {"Authorization": f"Bearer {facechain.api_key}"}
    answer = requests.post(f"{API}/files", files={"files": ("me.jpg", photo)}, headers=headers)
    assert answer.status_code == 200
    assert answer.json()["data"]["failed_uploads"][0]["code"] == "BadRequest.TooLarge"
