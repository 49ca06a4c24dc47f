# mypy: ignore-errors
import requests

from facechain_testkit import checks

ORDER = {"model": "facechain-generation", "parameters": {"style": "f_business_female", "n": 9}}

for violation in checks.validate_request(ORDER):
    print(violation)

answer = {"request_id": "1", "output": {"task_id": "1", "task_status": "DONE"}}
print(checks.validate_response("query_task", 200, answer))

session = requests.Session()
session.hooks["response"].append(checks.requests_hook)  # asserts, of the vendor's answers only
