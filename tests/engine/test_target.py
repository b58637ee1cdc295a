"""The target: the contacts that a decision is about."""

from __future__ import annotations

from upsertcore.engine.target import Target


def test_targets_are_values() -> None:
    """Compared by what they hold."""
    assert Target(None, ((),)) == Target(None, ((),), ())
