"""What the wrong clients ask for, since none of them is wrong by its photo."""

from __future__ import annotations

from typing import Any

ORDER: dict[str, Any] = {
    "model": "facechain-generation",
    "parameters": {"style": "f_business_female", "size": "768*1024", "n": 2},
    "resources": [{"resource_id": "women_model", "resource_type": "facelora"}],
}
IN_TIME = {"progression": "time", "pending_ms": 2_000, "running_ms": 8_000}
"""A plan for clients that do not poll what they have submitted."""
