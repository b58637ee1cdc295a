"""Patches from pydantic models."""

from datetime import date
from typing import Any

from pydantic import BaseModel


class Lead(BaseModel):
    """What a client may send; only the email is required."""

    email: str
    name: str | None = None
    born: date | None = None


def patch_of(lead: BaseModel) -> dict[str, Any]:
    """Return what was sent, as JSON values."""
    return lead.model_dump(mode="json", exclude_unset=True)
