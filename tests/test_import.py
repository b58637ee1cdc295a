"""Holds that importing loads what is asked for, and that all names are there."""

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
EXTRAS = {"click", "hypothesis", "jellyfish", "matplotlib", "phonenumbers", "rich"}
# What measures coverage would load modules of its own.
ENVIRONMENT = {k: v for k, v in os.environ.items() if not k.startswith("COVERAGE")}
ASIDE = {"upsertcore.laws", "upsertcore.profiles", "upsertcore.testing"}


def said(code: str) -> str:
    """Run code in a process of its own and give what it prints."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        check=True,
        env=ENVIRONMENT,
        text=True,
    )
    return done.stdout.strip()


def loaded(code: str) -> set[str]:
    """Give the modules that a process of its own has loaded after some code."""
    return set(said(f"{code}\nimport sys\nprint(*sys.modules)").split())


def own(modules: set[str]) -> set[str]:
    """Give those of them that are the library's."""
    return {name for name in modules if name.split(".")[0] == "upsertcore"}


def homes() -> dict[str, str]:
    """Give each name of the stub with the module that it is taken from there."""
    found = {}
    for node in ast.parse(STUB.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                package = node.module == "upsertcore"
                found[alias.name] = alias.name if package else str(node.module)
    return found


class TestWhatIsLoaded:
    def test_the_package_alone_loads_nothing_else_of_itself(self) -> None:
        """Importing the package loads what hands its names on, and no attrs."""
        modules = loaded("import upsertcore")

        assert {"upsertcore", "upsertcore._lazy"} == own(modules)
        assert not modules & {"attr", "attrs", "datetime", "inspect"}

    def test_a_book_needs_no_profile_and_no_law(self) -> None:
        """A first upsert loads no profile, no law, no test kit and no extra."""
        modules = loaded(
            "from upsertcore import ContactBook, Policy, field\n"
            "from upsertcore import first_match, normalize\n"
            "lines = {'email': field(key=normalize.email)}\n"
            "ContactBook(Policy(first_match('email'), lines)).upsert({'email': 'a@x'})"
        )

        assert set() == modules & (EXTRAS | ASIDE)

    @pytest.mark.parametrize("name", ["errors", "normalize"])
    def test_a_module_of_functions_needs_no_attrs(self, name: str) -> None:
        """Normalisers and errors may be had without the rest of the library."""
        modules = loaded(f"import upsertcore; upsertcore.{name}.__all__")

        assert f"upsertcore.{name}" in modules
        assert not modules & {
            "attr",
            "attrs",
            "upsertcore.book.book",
        }

    @pytest.mark.parametrize("name", ["laws", "profiles"])
    def test_what_stands_aside_is_loaded_when_asked_for(self, name: str) -> None:
        """The laws and the profiles are attributes that load themselves."""
        modules = loaded(f"import upsertcore; upsertcore.{name}.__all__")

        assert {f"upsertcore.{name}"} == modules & ASIDE


class TestWhatIsHandedOn:
    def test_the_stub_says_where_each_name_is_from(self) -> None:
        """What a type checker reads is what is handed on, name by name."""
        tree = ast.parse(STUB.read_text(encoding="utf-8"))
        lists = [node.value for node in tree.body if isinstance(node, ast.Assign)]

        assert [sorted(upsertcore.__all__)] == [
            ast.literal_eval(each) for each in lists
        ]
        assert sorted(upsertcore.__all__) == sorted([*homes(), "__version__"])

    @pytest.mark.parametrize("name", sorted(homes()))
    def test_a_name_is_what_its_module_defines(self, name: str) -> None:
        """A public name is the very object of the module that the stub names."""
        home = homes()[name]
        module = import_module(home if "." in home else f"upsertcore.{home}")
        there = module if home == name else getattr(module, name)

        assert there is getattr(upsertcore, name)
        assert there is vars(upsertcore)[name]

    def test_all_names_are_listed_before_they_are_loaded(self) -> None:
        """``dir`` lists what may be asked for, and listing loads nothing."""
        listed = set(said("import upsertcore; print(*dir(upsertcore))").split())

        assert {*upsertcore.__all__, "__all__", "__doc__"} <= listed
        modules = loaded("import upsertcore; dir(upsertcore)")
        assert {"upsertcore", "upsertcore._lazy"} == own(modules)

    def test_a_star_takes_the_public_names(self) -> None:
        """``from upsertcore import *`` gives the list of names, and nothing else."""
        code = "from upsertcore import *\nprint(*[n for n in dir() if n[:2] != '__'])"

        assert upsertcore.__all__[1:] == said(code).split()

    def test_an_unknown_name_is_refused(self) -> None:
        """A misspelt name is an ``AttributeError`` that knows where it looked."""
        with pytest.raises(AttributeError) as refused:
            upsertcore.feild  # type: ignore[attr-defined] # noqa: B018 - the look is it

        assert "module 'upsertcore' has no attribute 'feild'" == str(refused.value)
        assert ("feild", upsertcore) == (refused.value.name, refused.value.obj)

    def test_what_was_handed_on_once_is_an_attribute(self) -> None:
        """A name that was asked for stands in the package, and so does a module."""
        get, names = _lazy.export("upsertcore", {"show_value": "values"})
        try:
            assert get("show_value") is vars(upsertcore)["show_value"]
            assert names() == sorted(vars(upsertcore))
        finally:
            del vars(upsertcore)["show_value"]

    def test_threads_may_ask_at_once(self) -> None:
        """Whoever asks first, all are given the same object."""
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

        assert "8" == said(code)


class TestPickles:
    @pytest.mark.parametrize("name", CLASSES)
    def test_a_class_is_pickled_by_its_own_module(self, name: str) -> None:
        """A public class is found again by name, whoever handed it on."""
        cls = getattr(upsertcore, name)

        assert pickle.loads(pickle.dumps(cls)) is cls  # noqa: S301 - made a line above

    def test_a_process_that_imported_nothing_reads_an_outcome(self) -> None:
        """A pickle loads what it needs by itself."""
        book = ContactBook(Policy(never(), {}), ids=lambda: "c-1")
        text = pickle.dumps(book.create({})).hex()

        code = f"import pickle; print(pickle.loads(bytes.fromhex('{text}')).contact.id)"
        assert "c-1" == said(code)
