from upsertcore.files.frames import from_frame as from_frame
from upsertcore.files.payloads import Payloads as Payloads
from upsertcore.files.payloads import read as read
from upsertcore.files.read_options import ReadOptions as ReadOptions
from upsertcore.files.rows import BadHeader as BadHeader
from upsertcore.files.rows import InputRow as InputRow
from upsertcore.files.rows import UnreadableFile as UnreadableFile

__all__ = [
    "BadHeader",
    "InputRow",
    "Payloads",
    "ReadOptions",
    "UnreadableFile",
    "from_frame",
    "read",
]
