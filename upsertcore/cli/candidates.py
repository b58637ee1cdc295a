"""
The candidates of an evaluation: a profile by name, or a policy from a file or module.

Rules:
    ``NAME.toml`` is a policy as text, ``module:attribute`` one in a module; any other
    name is a profile.
    A text imports nothing; a module may read one that does.
    An error while the module is imported is reported in one line.
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

from upsertcore.cli.profile_session import InvalidUsage, open_session
from upsertcore.cli.refusal_counts import problems
from upsertcore.cli.upsert_rows import ProgressBar, Run
from upsertcore.evaluation import RecordResult, Refusal, Side, new_side, numbered_ids
from upsertcore.files.rows import Columns, InputRow
from upsertcore.policy.policy import Policy
from upsertcore.profiles import BY_NAME
from upsertcore.values import show_value

__all__ = ["Candidate", "load_candidates"]

TextMapping: TypeAlias = Mapping[str, str]


@frozen
class Candidate:
    """
    A profile or policy to evaluate.

    Args:
        name: Its name on the command line.
        begin: Returns an empty book and a function that upserts a payload into it.
        payload: Returns the payload of a row.
        path: The names of its parameters, which no column may have.

    >>> Candidate("crm:policy", lambda: None, lambda row: row.payload).name
    'crm:policy'
    """

    name: str
    begin: Callable[[], Side]
    payload: Callable[[InputRow], Any]
    path: tuple[str, ...] = ()


def load_candidates(
    names: Sequence[str], sets: TextMapping, bar: ProgressBar
) -> list[Candidate]:
    """
    Load the candidates.

    Args:
        names: One or two names.
        sets: The names and values of ``--set``; an option or a parameter of one
            profile is not a field of the other candidate.
        bar: Where progress is shown.

    Raises:
        InvalidUsage: If a name is unknown, or ``sets`` does not fit.

    >>> with ProgressBar(shown=False) as bar:
    ...     [candidate] = load_candidates(["salesforceiq"], {"name": "Ada"}, bar)
    >>> book, send = candidate.begin()
    >>> send(candidate.payload(InputRow(2, {"email": "ada@x.org"}, cells=True))).result
    'created'
    """
    profile_names = {name.lower(): name for name in BY_NAME}
    profiles = [profile_names.get(name.lower()) for name in names]
    all_settings = {word for profile in profiles for word in _settings(profile)}
    candidates = []
    flags = ("POLICY", "--compare")
    for flag, name, profile in zip(flags, names, profiles, strict=False):
        settings = _settings(profile)
        constants = {
            n: value
            for n, value in sets.items()
            if n not in all_settings or n in settings
        }
        if profile is None:
            candidates.append(
                _policy_candidate(name, _load_policy(flag, name), constants)
            )
        else:
            candidates.append(_profile_candidate(name, profile, constants, bar))
    return candidates


def _settings(profile: str | None) -> set[str]:
    """Return the names of the options and parameters of a profile."""
    return {*BY_NAME[profile].path, *BY_NAME[profile].options} if profile else set()


def _profile_candidate(
    name: str, profile: str, sets: TextMapping, bar: ProgressBar
) -> Candidate:
    session, profile_class = open_session(profile, None, sets, bar), BY_NAME[profile]
    run = Run(session.profile, session.path, session.constants, Columns({}), None)
    options = {
        name: profile_class.options[name](word)
        for name, word in session.options.items()
    }

    def begin() -> Side:
        instance = profile_class(**options, ids=numbered_ids())

        def send(payload: Any) -> RecordResult:
            response = instance.upsert(payload, **session.path)
            if response.outcome is not None:
                return response.outcome  # type: ignore[no-any-return]
            body = json.dumps(response.body, ensure_ascii=False)
            kinds = dict(
                problems(response, payload, field_names=instance.policy.fields)
            )
            return Refusal("; ".join(kinds), body)

        return instance.book, send

    return Candidate(name, begin, run.payload, session.profile.path)


def _policy_candidate(name: str, policy: Policy, constants: TextMapping) -> Candidate:
    return Candidate(
        name, partial(new_side, policy), lambda row: {**row.payload, **constants}
    )


def _load_policy(flag: str, name: str) -> Policy:
    """Read or import a policy, or call the function that returns one."""
    if name.endswith(".toml"):
        return _read_policy(flag, name)
    module, colon, attribute = name.partition(":")
    if not (colon and module and attribute):
        names = ", ".join(BY_NAME)
        problem = f"is not a profile ({names}), a file NAME.toml or module:attribute"
        raise InvalidUsage(f"{flag}: {name!r} {problem}")
    folder = str(Path.cwd())
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        policy: Any = attrgetter(attribute)(import_module(module))
        if not isinstance(policy, Policy) and callable(policy):
            policy = policy()
    except (Exception, SystemExit) as error:
        raise InvalidUsage(
            f"{flag}: {name}: {type(error).__name__}: {error}"
        ) from error
    if not isinstance(policy, Policy):
        expected = "must be a Policy, or a function without arguments that returns one"
        raise InvalidUsage(f"{flag}: {name}: {expected}, not {show_value(policy)}")
    return policy


def _read_policy(flag: str, name: str) -> Policy:
    try:
        return Policy.from_toml(Path(name).read_text(encoding="utf-8"))
    except (OSError, ValueError, ModuleNotFoundError) as error:
        raise InvalidUsage(f"{flag}: {name}: {error}") from error
