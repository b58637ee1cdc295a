"""The public names: listed, documented, frozen and typed."""

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
    "Conflict",
    "Contact",
    "ContactBook",
    "Entry",
    "Outcome",
    "Outcomes",
    "Plan",
    "Policy",
    "Rule",
    "Strategy",
    "View",
    "Withheld",
    "all_agree",
    "as_patch",
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


def test_package_has_the_public_names() -> None:
    """A change of a public name is a change of this list."""
    assert PUBLIC == upsertcore.__all__
    assert PUBLIC[1:] == sorted(PUBLIC[1:])
    assert laws is upsertcore.laws
    assert all(hasattr(upsertcore, name) for name in PUBLIC)
    assert set(SYSTEMS) <= set(profiles.__all__)
    assert SYSTEMS == sorted(profiles.BY_NAME)


def test_package_module_has_only_imports_and_the_list() -> None:
    tree = ast.parse(Path(upsertcore.__file__).read_text(encoding="utf-8"))

    for node in tree.body[1:]:
        assert isinstance(node, ast.Import | ast.ImportFrom | ast.Assign)


def test_package_has_a_typing_marker() -> None:
    assert (Path(upsertcore.__file__).parent / "py.typed").exists()


@pytest.mark.parametrize(
    "name", ["Change", "Conflict", "Contact", "Outcome", "Plan", "Withheld"]
)
def test_value_class_is_frozen(name: str) -> None:
    """It has no dictionary, and setting an attribute raises."""
    cls = getattr(upsertcore, name)
    value = object.__new__(cls)

    assert attrs.has(cls)
    assert not hasattr(value, "__dict__")
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        setattr(value, attrs.fields(cls)[0].name, 1)


@pytest.mark.parametrize("name", errors.__all__)
def test_error_has_an_example(name: str) -> None:
    assert ">>>" in (inspect.getdoc(getattr(errors, name)) or "")


def test_import_loads_no_extra() -> None:
    """Nor the laws, nor the test kit."""
    code = (
        "import sys, upsertcore;"
        "extras = {'click', 'idna', 'rich', 'phonenumbers', 'hypothesis'};"
        "extras |= {'upsertcore.cli', 'upsertcore.laws', 'upsertcore.testing'};"
        "print(sorted(extras & set(sys.modules)))"
    )
    process = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )

    assert process.stdout.strip() == "[]"
