"""Lines of a table with more options on some of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import attrs

from upsertcore.policy.fields import Field
from upsertcore.policy.keys import Key

__all__ = ["blocking", "merging"]

Line = TypeVar("Line", Field, Key)


def merging(lines: Mapping[str, Field], rules: Mapping[str, Any]) -> dict[str, Field]:
    """Give some lines a rule for merging contacts."""
    return _with(lines, "on_merge", rules)


def blocking(lines: Mapping[str, Line], patterns: Mapping[str, Any]) -> dict[str, Line]:
    """Let some lines, or keys, block values."""
    return _with(lines, "blocked", patterns)


def _with(
    lines: Mapping[str, Line], option: str, values: Mapping[str, Any]
) -> dict[str, Line]:
    changed: dict[str, Any] = {
        name: attrs.evolve(lines[name], **{option: value})
        for name, value in values.items()
    }
    return {**lines, **changed}
