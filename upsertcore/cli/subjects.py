"""
What is judged: a profile by its name, or a policy of a module of the host's.

Rules:
    A name with a colon is a module and what stands in it; any other is a profile.
    Whatever goes wrong while a host's module is imported is told in one line.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib import import_module
from operator import attrgetter
from pathlib import Path
from typing import Any, TypeAlias

from attrs import frozen

from upsertcore.cli.desk import WrongUse, seat
from upsertcore.cli.kinds import problems
from upsertcore.cli.row import Columns, InputRow
from upsertcore.cli.run import Bar, Run
from upsertcore.evaluation import RecordResult, Refusal, Side, begun, numbered
from upsertcore.policy.policy import Policy
from upsertcore.profiles import BY_NAME
from upsertcore.values import shown

__all__ = ["Subject", "subjects"]

Words: TypeAlias = Mapping[str, str]


@frozen
class Subject:
    """
    What is judged.

    Args:
        name: As it was given.
        begin: Makes an empty book, and what sends to it.
        payload: Makes what is sent of a row.
        path: The names of the parameters, which no column may have.

    >>> Subject("mine:policy", lambda: None, lambda row: row.payload).name
    'mine:policy'
    """

    name: str
    begin: Callable[[], Side]
    payload: Callable[[InputRow], Any]
    path: tuple[str, ...] = ()


def subjects(names: Sequence[str], said: Words, bar: Bar) -> list[Subject]:
    """
    Find what is to be judged.

    Args:
        names: That of the first, and perhaps that of the other.
        said: The words of ``--set``; what is an option or a parameter of one profile
            is no field of the other subject.
        bar: Where progress is shown.

    Raises:
        WrongUse: If a name means nothing, or the words do not fit.

    >>> with Bar(shown=False) as bar:
    ...     [subject] = subjects(["salesforceiq"], {"name": "Ada"}, bar)
    >>> book, send = subject.begin()
    >>> send(subject.payload(InputRow(2, {"email": "ada@x.org"}, cells=True))).result
    'created'
    """
    known = {name.lower(): name for name in BY_NAME}
    profiles = [known.get(name.lower()) for name in names]
    theirs = {word for each in profiles for word in _words(each)}
    found = []
    flags = ("POLICY", "--compare")
    for flag, name, profile in zip(flags, names, profiles, strict=False):
        own = _words(profile)
        mine = {w: v for w, v in said.items() if w not in theirs or w in own}
        if profile is None:
            found.append(_of_policy(name, _policy(flag, name), mine))
        else:
            found.append(_of_profile(name, profile, mine, bar))
    return found


def _words(profile: str | None) -> set[str]:
    """Give what a profile takes as an option or a parameter."""
    return {*BY_NAME[profile].path, *BY_NAME[profile].options} if profile else set()


def _of_profile(name: str, profile: str, said: Words, bar: Bar) -> Subject:
    desk, make = seat(profile, None, said, bar), BY_NAME[profile]
    run = Run(desk.system, desk.path, desk.constants, Columns({}), None)
    options = {name: make.options[name](word) for name, word in desk.options.items()}

    def begin() -> Side:
        system = make(**options, ids=numbered())

        def send(payload: Any) -> RecordResult:
            response = system.upsert(payload, **desk.path)
            if response.outcome is not None:
                return response.outcome  # type: ignore[no-any-return]
            body = json.dumps(response.body, ensure_ascii=False)
            kinds = dict(problems(response, payload, known=system.policy.fields))
            return Refusal("; ".join(kinds), body)

        return system.book, send

    return Subject(name, begin, run.payload, desk.system.path)


def _of_policy(name: str, policy: Policy, constants: Words) -> Subject:
    return Subject(
        name, partial(begun, policy), lambda row: {**row.payload, **constants}
    )


def _policy(flag: str, word: str) -> Policy:
    """Find a policy in a module, or what makes one."""
    module, colon, attribute = word.partition(":")
    if not (colon and module and attribute):
        names = ", ".join(BY_NAME)
        what = f"is neither a profile ({names}) nor module:attribute"
        raise WrongUse(f"{flag}: {word!r} {what}")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        found: Any = attrgetter(attribute)(import_module(module))
        if not isinstance(found, Policy) and callable(found):
            found = found()
    except (Exception, SystemExit) as error:
        raise WrongUse(f"{flag}: {word}: {type(error).__name__}: {error}") from error
    if not isinstance(found, Policy):
        what = "must be a Policy, or make one without arguments"
        raise WrongUse(f"{flag}: {word}: {what}, not {shown(found)}")
    return found
