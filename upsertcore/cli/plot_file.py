"""The file of ``--plot``: checked before work begins."""

from __future__ import annotations

from pathlib import Path

from upsertcore.cli.usage import InvalidUsage
from upsertcore.evaluation.report import blank_figure

__all__ = ["check_plot"]


def check_plot(plot: Path | None) -> None:
    """
    Check early that a plot can be written.

    Args:
        plot: The file; None if nothing is drawn.

    Raises:
        InvalidUsage: If matplotlib is not installed, the suffix names no format, or the
            directory does not exist.

    >>> check_plot(None)
    """
    if plot is None:
        return
    try:
        kinds = blank_figure().canvas.get_supported_filetypes()
    except ModuleNotFoundError as error:
        raise InvalidUsage(f"--plot: {error}") from error
    if plot.suffix[1:].lower() not in kinds:
        raise InvalidUsage(f"--plot: must end in one of .{', .'.join(sorted(kinds))}")
    if not plot.absolute().parent.is_dir():
        raise InvalidUsage(
            f"--plot: directory {str(plot.absolute().parent)!r} does not exist"
        )
