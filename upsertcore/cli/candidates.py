"""The candidates of a comparison: profiles and policies, each with an empty book."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeAlias

from attrs import frozen

from upsertcore.benchmark import Runner, policy_subject
from upsertcore.cli.book_file import OWN
from upsertcore.cli.policy_names import Source, load_source
from upsertcore.cli.profile_session import open_session
from upsertcore.cli.refusal_counts import problems
from upsertcore.cli.upsert_rows import ProgressBar, Run
from upsertcore.evaluation import RecordResult, Refusal, Side, new_side, numbered_ids
from upsertcore.files.columns import Columns
from upsertcore.files.rows import InputRow
from upsertcore.profiles import Profile
from upsertcore.profiles.target import Target

__all__ = ["Candidate", "load_candidates"]

TextMapping: TypeAlias = Mapping[str, str]


@frozen
class Candidate:
    """
    A profile or policy to evaluate, or to measure.

    Args:
        name: Its name on the command line.
        begin: Returns an empty book and a function that upserts a payload into it; its
            ids are the same in each run.
        run: Returns the same for a benchmark, with the ids that a book makes itself.
        payload: Returns the payload of a row.
        path: The names of its parameters, which no column may have.
        target: What rows are for.

    >>> Candidate(
    ...     "crm:policy", lambda: None, lambda: None, lambda row: row.payload
    ... ).name
    'crm:policy'
    """

    name: str
    begin: Callable[[], Side]
    run: Callable[[], Runner]
    payload: Callable[[InputRow], Any]
    path: tuple[str, ...] = ()
    target: Target | None = None


def load_candidates(
    names: Sequence[str], sets: TextMapping, bar: ProgressBar
) -> list[Candidate]:
    """
    Load the candidates.

    Args:
        names: POLICY, and each of ``--compare``.
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
    flags = ("POLICY", *["--compare"] * len(names))
    sources = [load_source(*pair) for pair in zip(flags, names, strict=False)]
    all_settings = {word for source in sources for word in _settings(source)}
    candidates = []
    for source in sources:
        settings = _settings(source)
        constants = {
            n: value
            for n, value in sets.items()
            if n not in all_settings or n in settings
        }
        if source.profile == OWN:
            candidates.append(_policy_candidate(source, constants))
        else:
            candidates.append(_profile_candidate(source, constants, bar))
    return candidates


def _settings(source: Source) -> set[str]:
    """Return the names of the options and parameters of a profile."""
    return set() if source.profile == OWN else {*source.make.path, *source.make.options}


def _profile_candidate(
    source: Source, sets: TextMapping, bar: ProgressBar
) -> Candidate:
    session, profile_class = open_session(source, None, sets, bar), source.make
    options = {
        name: profile_class.options[name](word)
        for name, word in session.options.items()
    }

    def sender(instance: Profile) -> Callable[[Any], RecordResult]:
        names = instance.policy.fields

        def send(payload: Any) -> RecordResult:
            response = instance.upsert(payload, **session.path)
            if response.outcome is not None:
                return response.outcome
            body = json.dumps(response.body, ensure_ascii=False)
            kinds = dict(problems(response, payload, field_names=names))
            return Refusal("; ".join(kinds), body)

        return send

    def begin() -> Side:
        instance = profile_class(**options, ids=numbered_ids())
        return instance.book, sender(instance)

    def run() -> Runner:
        instance = profile_class(**options)
        plan = partial(instance.plan, **session.path)
        return Runner(instance.book, sender(instance), plan)

    payload = Run(session.profile, session.path, session.constants, Columns({})).payload
    profile = session.profile
    return Candidate(source.name, begin, run, payload, profile.path, profile.target)


def _policy_candidate(source: Source, constants: TextMapping) -> Candidate:
    profile = source.make()

    def payload(row: InputRow) -> Any:
        patch = profile.from_row(row.payload) if row.cells else row.payload
        return {**patch, **profile.from_row(constants)}

    policy = source.make.policy
    run = policy_subject(source.name, policy).make
    begin, target = partial(new_side, policy), profile.target
    return Candidate(source.name, begin, run, payload, target=target)
