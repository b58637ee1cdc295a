"""
Files of contacts as rows: CSV, JSON, vCard, xlsx and Parquet; and data frames.

Rules:
    Reading decides nothing: a row is what the file says, or why it cannot be read.
    Memory holds one row and one block of a file, never the file.
"""

from upsertcore._lazy import export

__all__ = [
    "BadHeader",
    "InputRow",
    "Payloads",
    "ReadOptions",
    "UnreadableFile",
    "from_frame",
    "read",
]

__getattr__, __dir__ = export(
    __name__,
    {
        "BadHeader": "rows",
        "InputRow": "rows",
        "Payloads": "payloads",
        "ReadOptions": "read_options",
        "UnreadableFile": "rows",
        "from_frame": "frames",
        "read": "payloads",
    },
)
