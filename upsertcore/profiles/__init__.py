"""
The profiles: four real systems, each with its policy, its payloads and its answers.

This module hands on the public names and defines none but the list of them.
"""

from upsertcore.profiles.anduin import Anduin
from upsertcore.profiles.wire import Profile, Rejected, Response

__all__ = ["Anduin", "Profile", "Rejected", "Response"]
