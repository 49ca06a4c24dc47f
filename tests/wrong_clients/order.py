"""What the wrong clients ask for, since none of them is wrong by what it orders."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

ORDER: dict[str, Any] = {
    "model": "facechain-generation",
    "parameters": {"style": "f_business_female", "size": "768*1024", "n": 2},
    "resources": [{"resource_id": "women_model", "resource_type": "facelora"}],
}
PHOTO = "https://assets.facechain.test/me.jpg"
WITH_PHOTO: dict[str, Any] = {
    "model": "facechain-generation",
    "parameters": {"style": "train_free_portrait_url_template", "n": 1},
    "input": {"template_url": "https://assets.facechain.test/template.jpg?width=1024&height=768", "user_urls": [PHOTO]},
}
IN_TIME = {"progression": "time", "pending_ms": 2_000, "running_ms": 8_000}
"""A plan for clients that do not poll what they have submitted."""


def upload_form(policy: Mapping[str, str], name: str) -> dict[str, str]:
    """The fields that a temporary upload needs beside its file."""
    return {
        "OSSAccessKeyId": policy["oss_access_key_id"],
        "Signature": policy["signature"],
        "policy": policy["policy"],
        "key": f"{policy['upload_dir']}/{name}",
        "x-oss-object-acl": policy["x_oss_object_acl"],
        "x-oss-forbid-overwrite": policy["x_oss_forbid_overwrite"],
        "success_action_status": "200",
    }
