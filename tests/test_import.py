"""An import loads only the modules that its names need, and every name is there."""

from __future__ import annotations

import ast
import os
import pickle
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import upsertcore
from upsertcore import ContactBook, Policy, _lazy, never

STUB = Path(upsertcore.__file__).with_name("__init__.pyi")
CLASSES = [name for name in upsertcore.__all__ if name[0].isupper()]
EXTRAS = {
    "click",
    "hypothesis",
    "idna",
    "jellyfish",
    "matplotlib",
    "openpyxl",
    "phonenumbers",
    "pyarrow",
    "rich",
    "vobject",
}
# What measures coverage would load modules of its own.
ENVIRONMENT = {k: v for k, v in os.environ.items() if not k.startswith("COVERAGE")}
OPTIONAL = {"upsertcore.laws", "upsertcore.profiles", "upsertcore.testing"}


def printed_by(code: str) -> str:
    """Run code in another process and return its output."""
    process = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        check=True,
        env=ENVIRONMENT,
        text=True,
    )
    return process.stdout.strip()


def modules_loaded_by(code: str) -> set[str]:
    """Return the modules that another process has loaded after some code."""
    return set(printed_by(f"{code}\nimport sys\nprint(*sys.modules)").split())


def library_modules(modules: set[str]) -> set[str]:
    """Return those of the modules that are the library's."""
    return {name for name in modules if name.split(".")[0] == "upsertcore"}


def stub_modules() -> dict[str, str]:
    """Map each name of the stub to the module that it is imported from."""
    modules = {}
    for node in ast.parse(STUB.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                package = node.module == "upsertcore"
                modules[alias.name] = alias.name if package else str(node.module)
    return modules


class TestLoadedModules:
    def test_package_loads_only_its_lazy_module(self) -> None:
        """Nor does it load attrs."""
        modules = modules_loaded_by("import upsertcore")

        assert {"upsertcore", "upsertcore._lazy"} == library_modules(modules)
        assert not modules & {"attr", "attrs", "datetime", "inspect"}

    def test_upsert_loads_no_profile_law_or_extra(self) -> None:
        modules = modules_loaded_by(
            "from upsertcore import ContactBook, Policy, field\n"
            "from upsertcore import first_match, normalize\n"
            "lines = {'email': field(key=normalize.email)}\n"
            "ContactBook(Policy(first_match('email'), lines)).upsert({'email': 'a@x'})"
        )

        assert set() == modules & (EXTRAS | OPTIONAL)

    @pytest.mark.parametrize("name", ["errors", "normalize"])
    def test_errors_and_normalisers_load_no_attrs(self, name: str) -> None:
        modules = modules_loaded_by(f"import upsertcore; upsertcore.{name}.__all__")

        assert f"upsertcore.{name}" in modules
        assert not modules & {
            "attr",
            "attrs",
            "upsertcore.book.book",
            "upsertcore.book.contact_book",
        }

    @pytest.mark.parametrize("name", ["laws", "profiles"])
    def test_optional_package_is_loaded_on_first_use(self, name: str) -> None:
        modules = modules_loaded_by(f"import upsertcore; upsertcore.{name}.__all__")

        assert {f"upsertcore.{name}"} == modules & OPTIONAL


class TestExportedNames:
    def test_stub_lists_every_exported_name(self) -> None:
        """A type checker sees the names that the package exports."""
        tree = ast.parse(STUB.read_text(encoding="utf-8"))
        lists = [node.value for node in tree.body if isinstance(node, ast.Assign)]

        assert [sorted(upsertcore.__all__)] == [
            ast.literal_eval(node) for node in lists
        ]
        assert sorted(upsertcore.__all__) == sorted([*stub_modules(), "__version__"])

    @pytest.mark.parametrize("name", sorted(stub_modules()))
    def test_exported_name_is_the_object_of_its_module(self, name: str) -> None:
        """The stub names the module."""
        path = stub_modules()[name]
        module = import_module(path if "." in path else f"upsertcore.{path}")
        defined = module if path == name else getattr(module, name)

        assert defined is getattr(upsertcore, name)
        assert defined is vars(upsertcore)[name]

    def test_dir_lists_every_name_and_loads_nothing(self) -> None:
        listed = set(printed_by("import upsertcore; print(*dir(upsertcore))").split())

        assert {*upsertcore.__all__, "__all__", "__doc__"} <= listed
        modules = modules_loaded_by("import upsertcore; dir(upsertcore)")
        assert {"upsertcore", "upsertcore._lazy"} == library_modules(modules)

    def test_star_import_gives_the_public_names(self) -> None:
        code = "from upsertcore import *\nprint(*[n for n in dir() if n[:2] != '__'])"

        assert upsertcore.__all__[1:] == printed_by(code).split()

    def test_unknown_name_raises_attribute_error(self) -> None:
        """The error has the name and the package."""
        with pytest.raises(AttributeError) as error:
            upsertcore.feild  # type: ignore[attr-defined] # noqa: B018 - reading it is the test

        assert "module 'upsertcore' has no attribute 'feild'" == str(error.value)
        assert ("feild", upsertcore) == (error.value.name, error.value.obj)

    def test_exported_name_becomes_an_attribute_on_first_use(self) -> None:
        get, names = _lazy.export("upsertcore", {"show_value": "values"})
        try:
            assert get("show_value") is vars(upsertcore)["show_value"]
            assert names() == sorted(vars(upsertcore))
        finally:
            del vars(upsertcore)["show_value"]

    def test_threads_that_load_a_name_at_once_get_one_object(self) -> None:
        code = (
            "from concurrent.futures import ThreadPoolExecutor as Pool\n"
            "from threading import Barrier\n"
            "import upsertcore\n"
            "names, gate = upsertcore.__all__[:8] * 2, Barrier(16)\n"
            "def ask(name):\n"
            "    gate.wait()\n"
            "    return id(getattr(upsertcore, name))\n"
            "with Pool(16) as pool:\n"
            "    print(len(set(pool.map(ask, names))))"
        )

        assert "8" == printed_by(code)


class TestPickles:
    @pytest.mark.parametrize("name", CLASSES)
    def test_exported_class_is_pickled_by_its_module(self, name: str) -> None:
        cls = getattr(upsertcore, name)

        assert pickle.loads(pickle.dumps(cls)) is cls  # noqa: S301 - made a line above

    def test_outcome_is_unpickled_without_an_import(self) -> None:
        """A pickle loads the modules that it needs."""
        book = ContactBook(Policy(never(), {}), ids=lambda: "c-1")
        text = pickle.dumps(book.create({})).hex()

        code = f"import pickle; print(pickle.loads(bytes.fromhex('{text}')).contact.id)"
        assert "c-1" == printed_by(code)
