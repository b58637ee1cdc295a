"""The command line; needs the extra ``[cli]``: click and rich."""

from upsertcore.cli.commands import main

__all__ = ["main"]
