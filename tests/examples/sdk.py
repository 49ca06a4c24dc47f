# mypy: ignore-errors
from dashscope.client.base_api import BaseAsyncApi

answer = BaseAsyncApi.call(
    model="facechain-generation",
    task_group="aigc",
    task="album",
    function="gen_potrait",
    input={},
    style="f_business_female",
    n=2,
    resources=[{"resource_id": "women_model", "resource_type": "facelora"}],
)
print(answer.output["task_status"], [picture["url"] for picture in answer.output["results"]])
