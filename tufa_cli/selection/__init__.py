"""Which photos and faces of a source to use, and which of them go where.

``lists``: photos by their names; ``merge``: several sources as one; ``where`` and ``faces``: an
expression that keeps faces; ``sampling``: some photos by chance; ``splitting`` and ``groups``:
parts of a data set; ``held``: photos that wait on the disk. Nothing here depends on the order in
which photos come.
"""

from tufa_cli.selection.faces import FaceFilter
from tufa_cli.selection.groups import GroupBy, Grouping
from tufa_cli.selection.held import Held, hold
from tufa_cli.selection.lists import NameIndex, Selection, photo_key, read_name_list, select
from tufa_cli.selection.merge import merge
from tufa_cli.selection.sampling import Sample
from tufa_cli.selection.splitting import Part, Split, part_path
from tufa_cli.selection.where import Expression, parse_where

__all__ = [
    "Expression",
    "FaceFilter",
    "GroupBy",
    "Grouping",
    "Held",
    "NameIndex",
    "Part",
    "Sample",
    "Selection",
    "Split",
    "hold",
    "merge",
    "parse_where",
    "part_path",
    "photo_key",
    "read_name_list",
    "select",
]
