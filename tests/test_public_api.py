"""Holds the public names: what is handed on, documented, frozen and typed."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import attrs
import pytest

import upsertcore
from upsertcore import errors, laws, profiles

PUBLIC = [
    "__version__",
    "Change",
    "Contact",
    "ContactBook",
    "Entry",
    "Outcome",
    "Plan",
    "Policy",
    "Rule",
    "Strategy",
    "View",
    "Withheld",
    "all_agree",
    "decide",
    "errors",
    "field",
    "first_match",
    "first_present",
    "key",
    "laws",
    "merge_all",
    "never",
    "normalize",
    "profiles",
    "rules",
]
SYSTEMS = ["Anduin", "LeadConnector", "SalesforceIQ", "SegMetrics"]


def test_the_names_are_these() -> None:
    """A change of a public name is a change of this list."""
    assert PUBLIC == upsertcore.__all__
    assert PUBLIC[1:] == sorted(PUBLIC[1:])
    assert laws is upsertcore.laws
    assert all(hasattr(upsertcore, name) for name in PUBLIC)
    assert set(SYSTEMS) <= set(profiles.__all__)
    assert SYSTEMS == sorted(profiles.BY_NAME)


def test_the_package_hands_on_and_defines_nothing() -> None:
    """``upsertcore/__init__.py`` holds imports and the list of names alone."""
    tree = ast.parse(Path(upsertcore.__file__).read_text(encoding="utf-8"))

    for node in tree.body[1:]:
        assert isinstance(node, ast.Import | ast.ImportFrom | ast.Assign)


def test_it_is_typed() -> None:
    """``py.typed`` goes along."""
    assert (Path(upsertcore.__file__).parent / "py.typed").exists()


@pytest.mark.parametrize("name", ["Change", "Contact", "Outcome", "Plan", "Withheld"])
def test_values_are_frozen(name: str) -> None:
    """A value has no dictionary to write to and refuses to be set."""
    cls = getattr(upsertcore, name)
    value = object.__new__(cls)

    assert attrs.has(cls)
    assert not hasattr(value, "__dict__")
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        setattr(value, attrs.fields(cls)[0].name, 1)


@pytest.mark.parametrize("name", errors.__all__)
def test_every_error_is_documented(name: str) -> None:
    """A public name has one imperative line and an example."""
    assert ">>>" in (inspect.getdoc(getattr(errors, name)) or "")


def test_importing_it_loads_no_extra() -> None:
    """``import upsertcore`` loads nothing that an extra brings, nor the law kit."""
    code = (
        "import sys, upsertcore;"
        "extras = {'click', 'rich', 'phonenumbers', 'hypothesis', 'upsertcore.cli'};"
        "extras |= {'upsertcore.laws', 'upsertcore.testing'};"
        "print(sorted(extras & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )

    assert done.stdout.strip() == "[]"
