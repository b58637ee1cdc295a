"""The command ``upsertcore laws``: every law under a policy, in a small world."""

from __future__ import annotations

import json

import click

from upsertcore.cli.exit_status import exit_status, report_errors
from upsertcore.cli.options import SET
from upsertcore.cli.policy_names import POLICY, Source
from upsertcore.cli.profile_session import open_session
from upsertcore.cli.upsert_rows import ProgressBar
from upsertcore.cli.usage import parse_pairs
from upsertcore.laws import card

__all__ = ["laws"]

_LAW_VALUES = {"country": ("NO", "PT"), "timezone": ("Europe/Oslo", "Europe/Lisbon")}
"""Values for fields that do not accept arbitrary text."""


@click.command()
@POLICY
@SET
@click.option(
    "--contacts",
    type=click.IntRange(0, 6),
    default=3,
    show_default=True,
    help="The most contacts in a state; the cost is exponential in it.",
)
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    help="Sample at most this many calls, evenly; the card reports the omitted ones.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the card as JSON.")
@click.pass_context
def laws(
    context: click.Context,
    policy: Source,
    sets: tuple[str, ...],
    contacts: int,
    limit: int | None,
    *,
    as_json: bool,
) -> None:
    """
    Check every law exhaustively in a small world, under POLICY.

    The world has every state of a few contacts and every patch over two normal forms
    of each key, and one field of each distinct declaration. On a terminal, the
    approximate number of calls is printed first.

    Example: upsertcore laws policy.toml --contacts 2
    """
    with report_errors(), ProgressBar() as bar:
        settings = parse_pairs("--set", sets)
        session = open_session(
            policy, None, settings, bar, complete=False, file_defaults=False
        )
        update = bar.counter("checking")

        def progress(count: int, total: int) -> None:
            if not count:
                hint = "; --limit N samples fewer" if limit is None else ""
                bar.note(f"about {total:,} calls{hint}")
            update(count, total)

        report = card(
            session.profile.policy,
            contacts=contacts,
            values=_LAW_VALUES,
            limit=limit,
            progress=progress,
        )
    click.echo(json.dumps(report.to_dict(), indent=2) if as_json else str(report))
    context.exit(exit_status(refused=not report.kept))
