"""The candidates of a comparison: profiles and policies, each with an empty book."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeAlias

from attrs import frozen

from upsertcore.benchmark import Runner, policy_subject
from upsertcore.book.contact_book import ContactBook
from upsertcore.cli.book_file import OWN
from upsertcore.cli.policy_names import Source, load_source
from upsertcore.cli.profile_session import Session, open_session
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
        target: What rows are for.
        path: The names of its parameters, which no column may have.
    """

    name: str
    begin: Callable[[], Side]
    run: Callable[[], Runner]
    payload: Callable[[InputRow], Any]
    target: Target
    path: tuple[str, ...] = ()


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
        session = open_session(source, None, constants, bar)
        make = _policy_candidate if source.profile == OWN else _profile_candidate
        candidates.append(make(source, session))
    return candidates


def _settings(source: Source) -> set[str]:
    """Return the names of the options and parameters of a profile."""
    return set() if source.profile == OWN else {*source.make.path, *source.make.options}


def _profile_candidate(source: Source, session: Session) -> Candidate:
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
        instance = session.make(ids=numbered_ids())
        return _contacts(instance), sender(instance)

    def run() -> Runner:
        instance = session.make()
        plan = partial(instance.plan, **session.path)
        return Runner(_contacts(instance), sender(instance), plan)

    profile = session.profile
    payload = _payload(session)
    return Candidate(source.name, begin, run, payload, profile.target, profile.path)


def _contacts(profile: Profile) -> ContactBook:
    """Return the book of a profile, which is in memory."""
    book: Any = profile.book
    return book  # type: ignore[no-any-return]


def _policy_candidate(source: Source, session: Session) -> Candidate:
    profile = session.profile
    run = policy_subject(source.name, profile.policy, **session.path).make
    begin = partial(new_side, profile.policy, **session.path)
    return Candidate(source.name, begin, run, _payload(session), profile.target)


def _payload(session: Session) -> Callable[[InputRow], Any]:
    run = Run(session.profile, session.path, session.constants, Columns({}))
    return run.payload
