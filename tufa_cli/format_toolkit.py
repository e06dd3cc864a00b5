"""What a format of your own may build on, in your package too: docs/new_format.md.

Finding files, reading text and numbers with errors that name the line, names of photos that cannot
lead out of their folder, writing whole files or none; and ``round_trip_problems`` for your tests.
"""

from tufa_cli.formats._base import Capabilities, Format, ReadOptions, Sniff, WriteOptions, states
from tufa_cli.formats._files import (
    PhotoFinder,
    check_name,
    first_root,
    head_lines,
    inside,
    list_files,
    photo_name,
    read_lines,
    sniff_any,
    source_files,
    write_lines,
)
from tufa_cli.formats._numbers import decimals, is_number, number, numbers, shortest
from tufa_cli.formats._round_trip import round_trip_problems

__all__ = [
    "Capabilities",
    "Format",
    "PhotoFinder",
    "ReadOptions",
    "Sniff",
    "WriteOptions",
    "check_name",
    "decimals",
    "first_root",
    "head_lines",
    "inside",
    "is_number",
    "list_files",
    "number",
    "numbers",
    "photo_name",
    "read_lines",
    "round_trip_problems",
    "shortest",
    "sniff_any",
    "source_files",
    "states",
    "write_lines",
]
