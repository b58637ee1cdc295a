"""The target: the contacts of a decision."""

from __future__ import annotations

from upsertcore.engine.target import Target


def test_targets_compare_by_value() -> None:
    assert Target(None, ((),)) == Target(None, ((),), ())
