"""Tables of pages that are made from the code: they stand between comment lines that name them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table in Markdown."""
    lines = [list(head), ["---"] * len(head), *([str(cell) for cell in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def filled(text: str, tables: Mapping[str, str]) -> str:
    """A page with its tables, by the names in their comment lines, made anew."""
    for name, made in tables.items():
        block = re.compile(rf"(<!-- table: {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        text, count = block.subn(lambda found, made=made: found[1] + made + "\n" + found[2], text)
        if count != 1:
            raise ValueError(f"{count} places for the table {name}")
    return text
