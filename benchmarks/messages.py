"""The requests that the loads send, written out as a client writes them."""

from __future__ import annotations

import json

KEY = "sk-bench"
ADMIN_TOKEN = "bench"
SUBMIT_PATH = "/api/v1/services/aigc/album/gen_potrait"
TASKS_PATH = "/api/v1/tasks"
MANY = 2_000
"""More bodies than the server could remember a verdict for, so that each one is read and checked anew."""


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


def submissions(count: int) -> list[str]:
    return [encoded("POST", SUBMIT_PATH, submission(number), X_DashScope_Async="enable") for number in range(count)]


def replanned(task_id: str, plan: dict[str, object]) -> str:
    """Give a task another plan, through the admin API."""
    return encoded("PUT", f"/__admin/tasks/{task_id}", {"plan": plan}, X_Admin_Token=ADMIN_TOKEN)
