"""Inputs of tests/cases/growth.json: calls made of templates with numbers."""

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


def fill(template: Any, n: int, i: int = 0) -> Any:
    """Fill a template; n is the size, i the number of an item in a list of n."""
    if isinstance(template, str):
        numbers = {"{i}": i, "{j}": i + 1, "{k}": i + 2, "{n}": n, "{n+3}": n + 3}
        for name, value in numbers.items():
            template = template.replace(name, str(value))
        return template
    if isinstance(template, list):
        return [fill(item, n, i) for item in template]
    if not isinstance(template, dict):
        return template
    name = next(iter(template), "")
    if name.startswith("$"):
        return FILLERS[name](template[name], n, i)
    return {fill(name, n, i): fill(item, n, i) for name, item in template.items()}


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


FILLERS: dict[str, Callable[[Any, int, int], Any]] = {
    "$times": lambda parts, n, i: parts[1] + parts[0] * n + parts[2],
    "$list": lambda item, n, i: [fill(item, n, k) for k in range(n)],
    "$map": lambda item, n, i: {
        fill(item[0], n, k): fill(item[1], n, k) for k in range(n)
    },
    "$nest": _nested,
    "$shared": _shared,
    "$mul": lambda factor, n, i: i * factor,
    "$mod": lambda parts, n, i: parts[0] + str(i % parts[1]),
    "$minus": lambda least, n, i: least * (n - i),
    "$down": lambda least, n, i: n + 1 - i - (1 - least),
    "$sub": lambda less, n, i: n - less,
    "$n": lambda _, n, i: n,
    "$join": lambda parts, n, i: parts[0].join(fill(parts[1], n, k) for k in range(n)),
    "$tail": lambda parts, n, i: fill(parts[0], n, i) + parts[1],
    "$with": lambda parts, n, i: {
        k: v for p in parts for k, v in fill(p, n, i).items()
    },
    "$text": lambda parts, n, i: "".join(str(fill(x, n, i)) for x in parts),
    "$flat": lambda parts, n, i: [fill(part, n, k) for k in range(n) for part in parts],
    "$cat": lambda parts, n, i: [v for p in parts for v in fill(p, n, i)],
}


def rule(name: str) -> Any:
    """Find a rule by its name; ``latest:at`` is latest(by="at")."""
    name, _, by = name.partition(":")
    value = getattr(rules, name)
    if name == "items_by":
        return value(*by.split(","))
    return value(by=by) if by else value


def normaliser(name: str) -> Any:
    """Find a normaliser by its name; ``phone_in:US`` is phone_in("US")."""
    name, _, argument = name.partition(":")
    if name in ("soundex", "nysiis"):
        from upsertcore.normalize import phonetic

        return getattr(phonetic, name)
    if name == "nicknames":
        return normalize.nicknames({"Robert": ["Bob"], "Ada": ["Addie"]})
    value = getattr(normalize, name)
    return (
        value(int(argument) if argument.isdigit() else argument) if argument else value
    )


def policy_of(spec: dict[str, Any]) -> Policy:
    """Make a policy from its table."""
    spec = dict(spec)
    kind, *names = spec.pop("match")
    strategy_options = names.pop() if names and isinstance(names[-1], dict) else {}
    names = [
        name
        for group in names
        for name in ([group] if isinstance(group, str) else group)
    ]
    lines = {}
    for name, line in spec.pop("fields").items():
        options = dict(line)
        for option, make in (("key", normaliser), ("rule", rule), ("on_merge", rule)):
            if option in options:
                options[option] = make(options[option])
        lines[name] = field(**options)
    keys = {}
    for name, parts in spec.pop("keys", {}).items():
        options = dict(parts)
        keys[name] = key(
            *options.pop("of"),
            normalize=normaliser(options.pop("normalize")),
            **options,
        )
    if "extra_fields" in spec:
        spec["extra_fields"] = field(rule=rule(spec["extra_fields"]["rule"]))
    if "on_merge" in spec:
        spec["on_merge"] = rule(spec["on_merge"])
    return Policy(
        getattr(match, kind)(*names, **strategy_options), lines, keys=keys, **spec
    )


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
        self.spec: dict[str, Any] = fill(spec, n) if spec else {}
        if self.spec:
            self.policy = policy_of(self.spec)
            self.book = ContactBook(
                self.policy, ids=self.id, clock=self.now, **case.get("book", {})
            )
        for step in case.get("before", []):
            self.step(step, 0)
        self.calls = [self.prepared(step) for step in case["call"]]

    def id(self) -> str:
        """Return the next id."""
        return f"c-{next(self.numbers)}"

    def now(self) -> datetime:
        """Return a time one hour later than the last one."""
        return START + timedelta(hours=next(self.hours))

    def run_calls(self) -> None:
        """Make the calls whose work is counted."""
        for call in self.calls:
            with suppress(errors.UpsertError):
                call()

    def prepared(self, step: list[Any]) -> Callable[[], object]:
        """Fill the templates of a step; return the call."""
        if step[0] == "each":
            calls = [self.fill(step[1], i) for i in range(self.n)]
            return lambda: self.all_refusable(calls)
        call = self.fill(step, 0)
        return lambda: self.refusable(call)

    def fill(self, step: list[Any], i: int) -> list[Any]:
        """Fill the templates of a step."""
        return [step[0], *fill(step[1:], self.n, i)]

    def step(self, step: list[Any], i: int) -> None:
        """Make a step before the calls that are counted."""
        if step[0] == "each":
            for k in range(self.n):
                self.refusable(self.fill(step[1], k))
        else:
            self.refusable(self.fill(step, i))

    def all_refusable(self, calls: list[list[Any]]) -> None:
        """Make calls one after the other."""
        for call in calls:
            self.refusable(call)

    def refusable(self, call: list[Any]) -> None:
        """Make a call; format the message of a refusal."""
        try:
            result = self.make_call(call)
        except errors.UpsertError as refusal:
            self.outcomes.append(str(refusal))
        else:
            self.outcomes.append(result)

    def make_call(self, call: list[Any]) -> Any:
        """Make a call."""
        verb, *rest = call
        if hasattr(self, f"do_{verb}"):
            return getattr(self, f"do_{verb}")(*rest)
        options = rest.pop() if len(rest) > 1 and isinstance(rest[-1], dict) else {}
        if verb in ("merge", "duplicates", "dedupe"):
            rest = [
                x
                for argument in rest
                for x in (argument if isinstance(argument, list) else [argument])
            ]
        return getattr(self.book, verb)(*rest, **options)

    def do_upsert(self, patch: Any, options: Any = None) -> Any:
        """Send a patch, perhaps with rules for this call."""
        options = dict(options or {})
        if "rules" in options:
            options["rules"] = {
                name: rule(spec) for name, spec in options["rules"].items()
            }
        return self.book.upsert(patch, **options)

    def do_many(self, patches: Any, options: Any = None) -> Any:
        """Send a batch."""
        return self.book.upsert_many(patches, **(options or {}))

    def do_find(self, name: str, value: Any, options: Any = None) -> Any:
        """Find by a key."""
        return self.book.find(name, value, **(options or {}))

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
        """Explain an outcome, make its row, and load the contact of the row."""
        outcome = self.outcomes[place]
        if isinstance(outcome, str):
            return outcome
        row = outcome.contact.to_dict()
        assert Contact.from_dict(row) == outcome.contact
        return outcome.explain(), row, outcome.changes

    def do_explain_plan(self, patch: Any) -> Any:
        """Plan, and explain the plan."""
        return self.book.plan(patch).explain()

    def do_iterate(self) -> Any:
        """Iterate over the book."""
        return list(self.book)

    def do_size(self) -> Any:
        """Return the number of contacts."""
        return len(self.book)

    def do_keep_rows(self) -> Any:
        """Keep the rows of the book."""
        self.rows = self.book.dump()

    def do_load(self, rows: Any = None) -> Any:
        """Load rows that are kept, or given."""
        return ContactBook.load(self.policy, self.rows if rows is None else rows)

    def do_reload(self) -> None:
        """Load the book again, so that no contact of it is referenced elsewhere."""
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
            policy = policy_of(fill(CASES["policies"][other], self.n))
        return self.book.compare(policy, patches).explain()

    def do_policy(self) -> Any:
        """Make the policy of the input, and a book under it."""
        return ContactBook(policy_of(self.spec))

    def do_normalize(self, name: str, text: Any) -> Any:
        """Make the form of a value."""
        return normaliser(name)(text)

    def do_profile(self, name: str, options: Any) -> Any:
        """Make a profile."""
        kind = getattr(profiles, name)
        self.profile = kind(ids=self.id, clock=self.now, **options)

    def do_send(self, payload: Any, options: Any = None) -> Any:
        """Send a payload to the profile."""
        return self.profile.upsert(payload, **(options or {}))

    def do_evaluate(self, rows: Any, options: Any = None) -> Any:
        """Evaluate the policy on labelled rows; compare with the report before."""
        before, options = self.report, options or {}
        self.report = evaluation.evaluate(self.policy, rows, truth="who", **options)
        texts = str(self.report), self.report.to_dict()
        return texts, str(evaluation.compare(before or self.report, self.report))

    def do_replay(self, patches: Any, cap: Any = None) -> Any:
        """Split a log into components, and replay them."""
        from upsertcore.replay import SentPatch, components, replay

        log = [SentPatch(n, patch, at=self.now()) for n, patch in enumerate(patches)]
        split = components(log, self.policy, **({"cap": cap} if cap else {}))
        return list(replay(split.rows, self.policy))

    def do_check_laws(self, patch: Any) -> Any:
        """Check the laws on the book and a patch."""
        return laws.check(self.book, patch)

    def do_check_merge(self, survivor: str, others: Any) -> Any:
        """Check the laws of a merge."""
        return laws.check_merge(self.book, survivor, *others)

    def do_file(self, name: str, lines: Any) -> Any:
        """Write a file for the command line."""
        text = (
            lines
            if isinstance(lines, str)
            else "\n".join(
                line if isinstance(line, str) else json.dumps(line) for line in lines
            )
        )
        (self.folder / name).write_text(text + "\n", "utf-8")

    def do_command(self, *words: Any) -> Any:
        """Run a command in the folder of the files."""
        from upsertcore.cli.commands import main

        folder = Path.cwd()
        os.chdir(self.folder)
        sink = io.StringIO()
        words = tuple(
            x for word in words for x in (word if isinstance(word, list) else [word])
        )
        try:
            with redirect_stdout(sink), redirect_stderr(sink), suppress(SystemExit):
                main.main([*map(str, words)], prog_name="upsertcore")
        finally:
            os.chdir(folder)
        return sink.getvalue()
