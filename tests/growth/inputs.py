"""Inputs of tests/cases/growth.json: calls made of templates that a number fills."""

from __future__ import annotations

import io
import json
import os
import tempfile
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout, suppress
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

from upsertcore import (
    Contact,
    ContactBook,
    Policy,
    errors,
    evaluation,
    field,
    key,
    laws,
    normalize,
    profiles,
    rules,
)
from upsertcore.matching import strategies as match

__all__ = ["CASES", "Run"]

CASES: dict[str, Any] = json.loads(
    (Path(__file__).parents[1] / "cases" / "growth.json").read_text("utf-8")
)
START = datetime(2024, 1, 2, tzinfo=UTC)


def filled(template: Any, n: int, i: int = 0) -> Any:
    """Fill a template: n is the size, i the number of an item in a list of n."""
    if isinstance(template, str):
        numbers = {"{i}": i, "{j}": i + 1, "{k}": i + 2, "{n}": n, "{n+3}": n + 3}
        for name, value in numbers.items():
            template = template.replace(name, str(value))
        return template
    if isinstance(template, list):
        return [filled(each, n, i) for each in template]
    if not isinstance(template, dict):
        return template
    name = next(iter(template), "")
    if name.startswith("$"):
        return GROWN[name](template[name], n, i)
    return {filled(name, n, i): filled(each, n, i) for name, each in template.items()}


def _nested(kind: Any, n: int, _i: int) -> Any:
    value: Any = 1
    for _ in range(n):
        value = [value] if kind == "list" else {"a": value}
    return value


def _shared(_item: Any, n: int, _i: int) -> Any:
    value: Any = [1]
    for _ in range(n):
        value = [value, value]
    return value


GROWN: dict[str, Callable[[Any, int, int], Any]] = {
    "$times": lambda parts, n, i: parts[1] + parts[0] * n + parts[2],
    "$list": lambda item, n, i: [filled(item, n, k) for k in range(n)],
    "$map": lambda item, n, i: {
        filled(item[0], n, k): filled(item[1], n, k) for k in range(n)
    },
    "$nest": _nested,
    "$shared": _shared,
    "$mul": lambda factor, n, i: i * factor,
    "$mod": lambda parts, n, i: parts[0] + str(i % parts[1]),
    "$minus": lambda least, n, i: least * (n - i),
    "$down": lambda least, n, i: n + 1 - i - (1 - least),
    "$sub": lambda less, n, i: n - less,
    "$n": lambda _, n, i: n,
    "$join": lambda parts, n, i: parts[0].join(
        filled(parts[1], n, k) for k in range(n)
    ),
    "$tail": lambda parts, n, i: filled(parts[0], n, i) + parts[1],
    "$with": lambda parts, n, i: {
        k: v for p in parts for k, v in filled(p, n, i).items()
    },
    "$text": lambda parts, n, i: "".join(str(filled(x, n, i)) for x in parts),
    "$flat": lambda parts, n, i: [
        filled(each, n, k) for k in range(n) for each in parts
    ],
    "$cat": lambda parts, n, i: [v for p in parts for v in filled(p, n, i)],
}


def rule(name: str) -> Any:
    """Find a rule by its name; ``latest:at`` is latest(by="at")."""
    name, _, by = name.partition(":")
    found = getattr(rules, name)
    if name == "items_by":
        return found(*by.split(","))
    return found(by=by) if by else found


def normaliser(name: str) -> Any:
    """Find a normaliser by its name; ``phone_in:US`` is phone_in("US")."""
    name, _, of = name.partition(":")
    if name in ("soundex", "nysiis"):
        from upsertcore.normalize import phonetic

        return getattr(phonetic, name)
    if name == "nicknames":
        return normalize.nicknames({"Robert": ["Bob"], "Ada": ["Addie"]})
    found = getattr(normalize, name)
    return found(int(of) if of.isdigit() else of) if of else found


def made_policy(spec: dict[str, Any]) -> Policy:
    """Make a policy of its table."""
    spec = dict(spec)
    kind, *names = spec.pop("match")
    options = names.pop() if names and isinstance(names[-1], dict) else {}
    names = [
        name for each in names for name in ([each] if isinstance(each, str) else each)
    ]
    lines = {}
    for name, line in spec.pop("fields").items():
        how = dict(line)
        for what, make in (("key", normaliser), ("rule", rule), ("on_merge", rule)):
            if what in how:
                how[what] = make(how[what])
        lines[name] = field(**how)
    keys = {}
    for name, parts in spec.pop("keys", {}).items():
        how = dict(parts)
        keys[name] = key(
            *how.pop("of"), normalize=normaliser(how.pop("normalize")), **how
        )
    if "extra_fields" in spec:
        spec["extra_fields"] = field(rule=rule(spec["extra_fields"]["rule"]))
    if "on_merge" in spec:
        spec["on_merge"] = rule(spec["on_merge"])
    return Policy(getattr(match, kind)(*names, **options), lines, keys=keys, **spec)


class Run:
    """One input at one size: a book, and the steps made on it."""

    def __init__(self, case: dict[str, Any], n: int) -> None:
        self.case, self.n = case, n
        self.numbers = count(1)
        self.hours = count()
        self.outcomes: list[Any] = []
        self.plan: Any = None
        self.entries: Any = ()
        self.rows: Any = ()
        self.report: Any = None
        self.profile: Any = None
        self.folder = Path(tempfile.mkdtemp())
        spec = case.get("policy")
        if isinstance(spec, str):
            spec = CASES["policies"][spec]
        self.spec: dict[str, Any] = filled(spec, n) if spec else {}
        if self.spec:
            self.policy = made_policy(self.spec)
            self.book = ContactBook(
                self.policy, ids=self.id, clock=self.now, **case.get("book", {})
            )
        for step in case.get("before", []):
            self.step(step, 0)
        self.calls = [self.ready(step) for step in case["call"]]

    def id(self) -> str:
        """Number the contacts."""
        return f"c-{next(self.numbers)}"

    def now(self) -> datetime:
        """Let an hour pass."""
        return START + timedelta(hours=next(self.hours))

    def measured(self) -> None:
        """Make the calls whose work is counted."""
        for call in self.calls:
            with suppress(errors.UpsertError):
                call()

    def ready(self, step: list[Any]) -> Callable[[], object]:
        """Fill the templates of a step, so that what is left is the call."""
        if step[0] == "each":
            calls = [self.filled(step[1], i) for i in range(self.n)]
            return lambda: self.all_refusable(calls)
        call = self.filled(step, 0)
        return lambda: self.refusable(call)

    def filled(self, step: list[Any], i: int) -> list[Any]:
        """Fill the templates of a step."""
        return [step[0], *filled(step[1:], self.n, i)]

    def step(self, step: list[Any], i: int) -> None:
        """Make a step before the calls that are counted."""
        if step[0] == "each":
            for k in range(self.n):
                self.refusable(self.filled(step[1], k))
        else:
            self.refusable(self.filled(step, i))

    def all_refusable(self, calls: list[list[Any]]) -> None:
        """Make calls one after the other."""
        for call in calls:
            self.refusable(call)

    def refusable(self, call: list[Any]) -> None:
        """Make a call; where it is refused, its message is made."""
        try:
            result = self.done(call)
        except errors.UpsertError as refusal:
            self.outcomes.append(str(refusal))
        else:
            self.outcomes.append(result)

    def done(self, call: list[Any]) -> Any:
        """Make a call."""
        verb, *rest = call
        if hasattr(self, f"do_{verb}"):
            return getattr(self, f"do_{verb}")(*rest)
        how = rest.pop() if len(rest) > 1 and isinstance(rest[-1], dict) else {}
        if verb in ("merge", "duplicates", "dedupe"):
            rest = [
                x for each in rest for x in (each if isinstance(each, list) else [each])
            ]
        return getattr(self.book, verb)(*rest, **how)

    def do_upsert(self, patch: Any, how: Any = None) -> Any:
        """Send a patch, perhaps with rules for this call."""
        how = dict(how or {})
        if "rules" in how:
            how["rules"] = {name: rule(each) for name, each in how["rules"].items()}
        return self.book.upsert(patch, **how)

    def do_many(self, patches: Any, how: Any = None) -> Any:
        """Send a batch."""
        return self.book.upsert_many(patches, **(how or {}))

    def do_find(self, name: str, value: Any, how: Any = None) -> Any:
        """Find by a key."""
        return self.book.find(name, value, **(how or {}))

    def do_keep_plan(self, patch: Any) -> Any:
        """Plan, and keep the plan."""
        self.plan = self.book.plan(patch)
        return self.plan

    def do_apply(self) -> Any:
        """Apply the plan that is kept."""
        return self.book.apply(self.plan)

    def do_undo(self, place: int) -> Any:
        """Undo an outcome by its place."""
        return self.book.undo(self.outcomes[place])

    def do_undo_all(self) -> Any:
        """Undo all, the last first."""
        for outcome in reversed(self.outcomes[:]):
            self.book.undo(outcome)

    def do_retold(self, place: int) -> Any:
        """Tell an outcome in words and as a row, and compare its contact."""
        outcome = self.outcomes[place]
        if isinstance(outcome, str):
            return outcome
        row = outcome.contact.to_dict()
        assert Contact.from_dict(row) == outcome.contact
        return outcome.explain(), row, outcome.changes

    def do_explain_plan(self, patch: Any) -> Any:
        """Plan, and tell it in words."""
        return self.book.plan(patch).explain()

    def do_iterate(self) -> Any:
        """Go through a book."""
        return list(self.book)

    def do_size(self) -> Any:
        """Ask how many there are."""
        return len(self.book)

    def do_keep_rows(self) -> Any:
        """Keep the rows of the book."""
        self.rows = self.book.dump()

    def do_load(self, rows: Any = None) -> Any:
        """Load rows that are kept, or given."""
        return ContactBook.load(self.policy, self.rows if rows is None else rows)

    def do_reload(self) -> None:
        """Load the book anew, so that nobody else has a contact of it."""
        self.book = ContactBook.load(
            self.policy, self.book.dump(), ids=self.id, clock=self.now
        )
        self.outcomes.clear()

    def do_keep_entries(self) -> Any:
        """Keep the changes of the book."""
        self.entries = self.book.changes_since()

    def do_replay_entries(self) -> Any:
        """Make a book of the changes that are kept."""
        return ContactBook.from_changes(self.policy, self.entries)

    def do_compare(self, patches: Any, other: Any = None) -> Any:
        """Compare the policy with itself, or with another one of the file."""
        policy = self.policy
        if other is not None:
            policy = made_policy(filled(CASES["policies"][other], self.n))
        return self.book.compare(policy, patches).explain()

    def do_policy(self) -> Any:
        """Make the policy of the input, and a book under it."""
        return ContactBook(made_policy(self.spec))

    def do_normalize(self, name: str, text: Any) -> Any:
        """Make the form of a value."""
        return normaliser(name)(text)

    def do_profile(self, name: str, options: Any) -> Any:
        """Make a profile."""
        kind = getattr(profiles, name)
        self.profile = kind(ids=self.id, clock=self.now, **options)

    def do_send(self, payload: Any, how: Any = None) -> Any:
        """Send a payload to the profile."""
        return self.profile.upsert(payload, **(how or {}))

    def do_evaluate(self, rows: Any, how: Any = None) -> Any:
        """Evaluate the policy on labelled rows; compare with the report before."""
        before, how = self.report, how or {}
        self.report = evaluation.evaluate(self.policy, rows, truth="who", **how)
        told = str(self.report), self.report.to_dict()
        return told, str(evaluation.compare(before or self.report, self.report))

    def do_replay(self, patches: Any, cap: Any = None) -> Any:
        """Take a log apart, and replay its components."""
        from upsertcore.replay import SentPatch, components, replay

        log = [SentPatch(n, patch, at=self.now()) for n, patch in enumerate(patches)]
        found = components(log, self.policy, **({"cap": cap} if cap else {}))
        return list(replay(found.rows, self.policy))

    def do_check_laws(self, patch: Any) -> Any:
        """Try the laws on the book and a patch."""
        return laws.check(self.book, patch)

    def do_check_merge(self, survivor: str, others: Any) -> Any:
        """Try the laws of a merge."""
        return laws.check_merge(self.book, survivor, *others)

    def do_file(self, name: str, lines: Any) -> Any:
        """Write a file for the command line."""
        text = (
            lines
            if isinstance(lines, str)
            else "\n".join(
                each if isinstance(each, str) else json.dumps(each) for each in lines
            )
        )
        (self.folder / name).write_text(text + "\n", "utf-8")

    def do_command(self, *words: Any) -> Any:
        """Give a command in the folder of the files."""
        from upsertcore.cli.commands import main

        here = Path.cwd()
        os.chdir(self.folder)
        sink = io.StringIO()
        words = tuple(
            x for each in words for x in (each if isinstance(each, list) else [each])
        )
        try:
            with redirect_stdout(sink), redirect_stderr(sink), suppress(SystemExit):
                main.main([*map(str, words)], prog_name="upsertcore")
        finally:
            os.chdir(here)
        return sink.getvalue()
