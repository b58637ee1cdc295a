"""
What POLICY names: a profile, a policy as text in a file, or a policy in a module.

Rules:
    ``NAME.toml`` is a policy as text, ``module:attribute`` one in a module; any other
    name is a profile.
    A text imports nothing; a module may read one that does.
    An error while the module is imported is reported in one line.
"""

from __future__ import annotations

import sys
from importlib import import_module
from operator import attrgetter
from pathlib import Path
from typing import Any

import click
from attrs import frozen

from upsertcore.cli.book_file import OWN
from upsertcore.cli.exit_status import CommandError
from upsertcore.cli.output import printable
from upsertcore.cli.policy_profile import PolicySource
from upsertcore.cli.usage import InvalidUsage
from upsertcore.policy.policy import Policy
from upsertcore.profiles import BY_NAME
from upsertcore.values import show_value

__all__ = ["POLICY", "PolicyType", "Source", "load_source"]


@frozen
class Source:
    """
    What POLICY names.

    Args:
        name: The name on the command line; of a profile, as it is spelled.
        profile: The name of the profile; "policy" for a policy.
        make: The class of the profile, or what makes profiles of the policy.

    >>> load_source("POLICY", "anduin").profile
    'Anduin'
    """

    name: str
    profile: str
    make: Any


def load_source(flag: str, name: str) -> Source:
    """
    Load what POLICY names.

    Args:
        flag: The argument, for messages.
        name: A profile, a file NAME.toml, or module:attribute.

    Raises:
        InvalidUsage: If it names nothing that can be used.

    >>> load_source("POLICY", "crm")
    Traceback (most recent call last):
    ...
    upsertcore.cli.usage.InvalidUsage: POLICY: 'crm' is not a profile ...
    """
    profile = {word.lower(): word for word in BY_NAME}.get(name.lower())
    if profile is not None:
        return Source(profile, profile, BY_NAME[profile])
    return Source(name, OWN, PolicySource(_load_policy(flag, name)))


class PolicyType(click.ParamType[Source]):
    """
    What POLICY names.

    Args:
        flag: The argument, for messages.
    """

    name = "policy"

    def __init__(self, flag: str) -> None:
        self.flag = flag

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Source:
        """Load it."""
        del param, ctx
        try:
            return value if isinstance(value, Source) else load_source(self.flag, value)
        except InvalidUsage as error:
            raise CommandError(printable(str(error))) from error


POLICY = click.argument("policy", type=PolicyType("POLICY"))
"""The argument POLICY."""


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
