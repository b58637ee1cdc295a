"""
The command line: ``upsertcore`` and its commands.

Rules:
    Exit status 0: success; 1: more rows were refused than allowed, the payload was
    refused, there are duplicates, or a declared law does not hold; 2: incorrect usage,
    or a file or standard output cannot be read or written; 130: interrupted.
    After 130 no file has changed; after 2 neither, unless the message names the files
    that were written. Ctrl-C after they were written exits with the status of the rows.
    Results go to standard output, progress to standard error if that is a terminal.
"""

from __future__ import annotations

import io
import sys

import click

from upsertcore.cli.benchmark_command import benchmark
from upsertcore.cli.book_commands import dedupe, duplicates, merge, undo
from upsertcore.cli.evaluate_command import evaluate
from upsertcore.cli.exit_status import Program
from upsertcore.cli.explain_command import explain
from upsertcore.cli.laws_command import laws
from upsertcore.cli.policy_commands import policy, profiles
from upsertcore.cli.profile_command import profile
from upsertcore.cli.show_command import show
from upsertcore.cli.upsert_command import upsert

__all__ = ["main"]


@click.group(cls=Program, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="upsertcore")
def main() -> None:
    """Upsert contacts: which contact matches, what changes, and why."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A terminal that cannot show a character gets its escape, not an error.
        sys.stdout.reconfigure(errors="backslashreplace")


for _command in (upsert, explain, show, duplicates, dedupe, merge, undo):
    main.add_command(_command)
for _command in (profiles, policy, laws, evaluate, profile, benchmark):
    main.add_command(_command)
