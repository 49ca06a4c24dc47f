# mypy: ignore-errors
import dashscope
from dashscope.client.base_api import BaseApi, BaseAsyncApi
from dashscope.utils.oss_utils import OssUtils

link, _ = OssUtils.upload(model="facechain-facedetect", file_path="portrait.jpg")
detected = BaseApi.call(
    model="facechain-facedetect",
    task_group="vision",
    task="facedetection",
    function="detect",
    input={"images": [link]},
    headers={"X-DashScope-OssResourceResolve": "enable"},
)
print(detected.output["is_face"])

with dashscope.Client() as client:
    photo = client.files.upload(file_path="portrait.jpg", purpose="inference")  # "fine-tune" takes JSON lines only
    job = client.fine_tunes.create(model="facechain-finetune", training_file_ids=[photo.file_id])
    job = client.fine_tunes.wait(job)
print(job.status, job.finetuned_model)

answer = BaseAsyncApi.call(
    model="facechain-generation",
    task_group="aigc",
    task="album",
    function="gen_potrait",
    input={},
    style="f_business_female",
    n=2,
    resources=[{"resource_id": job.finetuned_model, "resource_type": "facelora"}],
)
print(answer.output["task_status"], [picture["url"] for picture in answer.output["results"]])
