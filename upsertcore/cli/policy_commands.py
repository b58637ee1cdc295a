"""The commands ``upsertcore profiles`` and ``upsertcore policy``: what there is."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from upsertcore.cli.book_file import OWN, is_database
from upsertcore.cli.book_session import read_head, source_of
from upsertcore.cli.exit_status import output_console, report_errors
from upsertcore.cli.options import SET, BookType
from upsertcore.cli.output import make_table, printable
from upsertcore.cli.policy_names import load_source
from upsertcore.cli.profile_session import open_session
from upsertcore.cli.upsert_rows import ProgressBar
from upsertcore.cli.usage import InvalidUsage, parse_pairs
from upsertcore.policy.fields import Field, field
from upsertcore.policy.policy import Policy
from upsertcore.profiles import BY_NAME

__all__ = ["policy", "profiles"]


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def profiles(*, as_json: bool) -> None:
    """
    List the profiles, with their parameters and options.

    Example: upsertcore profiles
    """
    rows = [_summary(name) for name in BY_NAME]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    console = output_console()
    for row in rows:
        # A table each, so that a narrow terminal does not break words.
        console.print(make_table(row["description"], (row["profile"], ""), _cells(row)))


def _summary(name: str) -> dict[str, Any]:
    make = BY_NAME[name]
    parameters = inspect.signature(make.upsert).parameters
    empty = inspect.Parameter.empty
    return {
        "profile": name,
        "parameters": [
            {"name": word, "required": parameters[word].default is empty}
            for word in make.path
        ],
        "options": [*make.options],
        "fields": [*make().policy.fields],
        "description": str(inspect.getdoc(make)).partition("\n")[0],
    }


def _cells(row: dict[str, Any]) -> Iterator[tuple[str, str]]:
    parameters = [
        each["name"] + (" (required)" if each["required"] else "")
        for each in row["parameters"]
    ]
    if parameters:
        yield "parameters", ", ".join(parameters)
    yield "options", ", ".join(row["options"])


@click.command()
@click.argument("name", metavar="POLICY")
@SET
@click.option("--toml", is_flag=True, help="Print it as TOML, to begin a file with.")
def policy(name: str, sets: tuple[str, ...], *, toml: bool) -> None:
    """
    Show the fields, keys and options of a POLICY, or of the policy of a book.

    Example: upsertcore policy LeadConnector --toml > policy.toml
    """
    with report_errors(name), ProgressBar() as bar:
        text, table = _load(name, sets, bar)
        if toml and text is None:
            problem = "a function of the policy has no name that a file could have"
            raise InvalidUsage(f"--toml: {problem}; write it in a module")
    if toml:
        click.echo(text, nl=False)
        return
    console = output_console()
    click.echo(printable(f"match: {table.match!r}"))
    columns = ["field", "key", "rule", "options"]
    rows = [
        (word, _name(line.key), repr(line.rule), ", ".join(_options(line)))
        for word, line in table.fields.items()
    ]
    console.print(make_table("fields", columns, rows))
    keys = [
        (key.name, ", ".join(key.fields), "unique" if key.unique else "")
        for key in table.all_keys
        if key.name not in table.fields
    ]
    if keys:
        title = "keys of several fields"
        console.print(make_table(title, ["key", "fields", "options"], keys))
    choices = [
        (option, getattr(table, option))
        for option in inspect.signature(Policy).parameters
        if option.startswith("on_") and option != "on_merge"
    ]
    console.print(make_table("options", ["option", "value"], choices))


def _load(
    name: str, sets: tuple[str, ...], bar: ProgressBar
) -> tuple[str | None, Policy]:
    """Return a policy as text, and as a value."""
    settings = parse_pairs("--set", sets)
    if _is_book(name):
        book = BookType().convert(name, None, click.get_current_context())
        head = read_head(book)
        source = source_of(head)
        if source.profile != OWN:
            settings = {**head.options, **settings}
    else:
        source = load_source("POLICY", name)
    how: Any = {"complete": False, "file_defaults": False}
    session = open_session(source, None, settings, bar, **how)
    return session.text, session.profile.policy


def _is_book(name: str) -> bool:
    return is_database(name) or (Path(name).is_file() and not name.endswith(".toml"))


def _name(function: Any) -> str:
    """Return the name of a normaliser, as a policy file has it."""
    return "" if function is None else getattr(function, "__name__", repr(function))


def _options(line: Field) -> Iterator[str]:
    """Yield the options of a field that are not the defaults."""
    for option, parameter in inspect.signature(field).parameters.items():
        value = getattr(line, option)
        if option in ("key", "rule") or value in (parameter.default, ()):
            continue
        if value is True:
            yield option
        elif option == "blocked":
            yield f"{len(value)} blocked"
        elif isinstance(value, str):
            yield f"{option}={value}"
        else:
            yield f"{option}={_name(value)}"
