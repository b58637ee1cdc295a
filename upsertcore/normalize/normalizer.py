"""The type of a normaliser: a function from a value to the form that is compared."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["Normalizer"]

Normalizer = Callable[[Any], str | None]
"""Takes one value (one item of a list), and returns its normal form or None."""
