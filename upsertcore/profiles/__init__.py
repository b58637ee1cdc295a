"""
The profiles: four real systems, each with its policy, its payloads and its answers.

This module hands on the public names and defines none but the list of the systems.
"""

from typing import Any

from upsertcore.profiles.anduin import Anduin
from upsertcore.profiles.wire import Profile, Rejected, Response

__all__ = ["BY_NAME", "Anduin", "Profile", "Rejected", "Response"]

BY_NAME: dict[str, Any] = {each.__name__: each for each in (Anduin,)}
"""The systems by name."""
