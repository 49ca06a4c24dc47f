"""The requests that the loads send, written out as a client writes them."""

from __future__ import annotations

import json

KEY = "sk-bench"
SUBMIT_PATH = "/api/v1/services/aigc/album/gen_potrait"
TASKS_PATH = "/api/v1/tasks"
MANY = 2_000
"""More bodies and pictures than the server remembers verdicts and links for, so that each is worked out anew."""


def encoded(method: str, path: str, body: object = None, **headers: str) -> str:
    """One request; keyword ``x_some_name`` becomes header ``x-some-name``."""
    content = "" if body is None else json.dumps(body)
    given = {
        "Host": "127.0.0.1",
        "User-Agent": "bench",
        "Accept-Encoding": "gzip, deflate",
        "Accept": "*/*",
        "Connection": "keep-alive",
        "Authorization": f"Bearer {KEY}",
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    if body is not None:
        given |= {"Content-Type": "application/json", "Content-Length": str(len(content))}
    lines = "".join(f"{name}: {value}\r\n" for name, value in given.items())
    return f"{method} {path} HTTP/1.1\r\n{lines}\r\n{content}"


def submission(number: int) -> dict[str, object]:
    """A body of about 400 bytes, no two alike."""
    return {
        "model": "facechain-generation",
        "parameters": {"style": "train_free_portrait_url_template", "size": "768*1024", "n": 4},
        "input": {
            "template_url": "https://pictures.example.com/templates/business/portrait-0001.jpg",
            "user_urls": [
                f"https://pictures.example.com/uploads/2026-01-15/{number:08d}/me-1.jpg",
                f"https://pictures.example.com/uploads/2026-01-15/{number:08d}/me-2.jpg",
            ],
        },
    }


def polls(task_id: str) -> list[str]:
    return [encoded("GET", f"{TASKS_PATH}/{task_id}")]


def submissions(count: int, plan: dict[str, str] | None = None) -> list[str]:
    """Requests for so many tasks, which go by ``plan`` when one is given."""
    headers = {"X_DashScope_Async": "enable"} | ({} if plan is None else {"X_Mock_Plan": json.dumps(plan)})
    return [encoded("POST", SUBMIT_PATH, submission(number), **headers) for number in range(count)]
