# mypy: ignore-errors
# ruff: noqa: S607 - the shell is the one that is there
import json
import subprocess

SCRIPT = 'curl -s "$DASHSCOPE_HTTP_BASE_URL/tasks" -H "Authorization: Bearer $DASHSCOPE_API_KEY"'


def test_a_script_lists_the_tasks(facechain, client, order):
    client.submit(order)
    assert facechain.base_url.startswith("http://127.0.0.1:")  # opens the port; the variables name it from here on
    answer = subprocess.run(["bash", "-c", SCRIPT], capture_output=True, check=True)
    assert json.loads(answer.stdout)["total"] == 1
