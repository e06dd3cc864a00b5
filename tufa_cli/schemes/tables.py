"""Index tables: which points of one scheme stand for another's, as other projects have them.

A table is taken at its word: it may give a point of another meaning. Part and t (``transfer``) do
not; tables are for those who need the numbers that everybody else has.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from tufa_cli.errors import InputError, TufaError, UnknownNameError
from tufa_cli.schemes.model import Scheme
from tufa_cli.schemes.transfer import TABLE, Transfer

#: Columns of a table's file, which its first line names in any order.
COLUMNS = ("source", "target", "weight")

#: A table of 10,000 points with four sources each is smaller.
_MOST_BYTES = 1_000_000


@dataclass(frozen=True)
class Row:
    """One source point of a target point.

    source, target: a point's index, or its name. line: of the file, or None.
    """

    source: int | str
    target: int | str
    weight: float = 1.0
    line: int | None = None


@dataclass(frozen=True)
class Table:
    """A list of point pairs; a target point with several rows is their weighted mean.

    name: its name, or its file's path. source, target: names of the schemes that it is made for;
    None where the file does not say. title: what it is, in a line.
    """

    name: str
    rows: tuple[Row, ...]
    source: str | None = None
    target: str | None = None
    title: str = ""

    def transfer(self, source: Scheme, target: Scheme) -> Transfer:
        """The table between these schemes; raises TufaError when it is not made for them."""
        for own, given in ((self.source, source.name), (self.target, target.name)):
            if own not in (None, given):
                raise TufaError(
                    f"the table {self.name} turns {self.source} into {self.target}, "
                    f"not {source.name} into {target.name}",
                    "leave --scheme-table out, or give a table for these schemes",
                )
        weights = np.zeros((len(target), len(source)))
        for row in self.rows:
            cell = (self._index(row, "target", target), self._index(row, "source", source))
            if weights[cell]:
                raise InputError(self.name, f"{row.source} for {row.target} twice", row.line)
            weights[cell] = row.weight
        sums = weights.sum(axis=1)
        filled = (weights != 0).any(axis=1)
        if (filled & (np.abs(sums) < 1e-9)).any():
            lost = int(np.flatnonzero(filled & (np.abs(sums) < 1e-9))[0])
            raise InputError(self.name, f"the weights of target {lost} add up to 0")
        weights[filled] /= sums[filled, None]
        how = tuple(TABLE if known else None for known in filled)
        return Transfer(source, target, weights, how)

    def _index(self, row: Row, column: str, scheme: Scheme) -> int:
        """The point that a cell names; raises InputError."""
        cell = row.source if column == "source" else row.target
        if isinstance(cell, int):
            if cell < len(scheme):
                return cell
            problem = f"{column} {cell}: {scheme.name} has the points 0 to {len(scheme) - 1}"
            raise InputError(self.name, problem, row.line)
        if cell in scheme.names:
            return scheme.names.index(cell)
        problem = f"{column} '{cell[:40]}' is no point of {scheme.name}"
        raise InputError(
            self.name, problem, row.line, f"'tufa-cli schemes show {scheme.name}' lists them"
        )


def table_names() -> list[str]:
    """Names of the tables that come with the package."""
    return sorted(_shipped())


def get_table(name_or_file: str) -> Table:
    """A shipped table by name, or a CSV file; raises UnknownNameError or InputError."""
    if name_or_file in _shipped():
        return _shipped()[name_or_file]
    path = Path(name_or_file)
    if path.suffix.lower() == ".csv" or path.is_file():
        return read_table(path)
    hint = f"known: {', '.join(table_names())}; or a CSV file"
    raise UnknownNameError("table", name_or_file, table_names(), hint)


def read_table(path: Path) -> Table:
    """A user's table: CSV whose first line names the columns source, target and perhaps weight.

    A point is an index from 0 or the point's name in its scheme. Raises InputError with the line.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
        if len(data) > _MOST_BYTES:
            raise InputError(path, "too large for a table of points")
        lines = list(csv.reader(data.decode("utf-8-sig").splitlines(), strict=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or "not a table in UTF-8"
        raise InputError(path, f"cannot read the table: {reason}") from None
    head = [cell.strip().lower() for cell in lines[0]] if lines else []
    if not {"source", "target"} <= set(head) <= set(COLUMNS) or len(set(head)) != len(head):
        raise InputError(
            path,
            "the first line must name the columns source and target",
            1,
            "'source,target' or 'source,target,weight', then a pair of points a line",
        )
    rows = tuple(
        _row(path, dict(zip(head, line, strict=False)), number, len(line) == len(head))
        for number, line in enumerate(lines[1:], start=2)
        if any(cell.strip() for cell in line)
    )
    if not rows:
        raise InputError(path, "a table without points")
    return Table(str(path), rows)


def _row(path: Path, cells: dict[str, str], line: int, whole: bool) -> Row:
    if not whole:
        raise InputError(path, "more or fewer cells than the first line", line)
    weight = cells.get("weight", "1").strip() or "1"
    try:
        value = float(weight)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value != 0 and abs(value) <= 1e6):
        raise InputError(path, f"weight '{weight[:40]}' is no number other than 0", line)
    return Row(_point(cells["source"]), _point(cells["target"]), value, line)


def _point(cell: str) -> int | str:
    cell = cell.strip()
    return int(cell) if cell.isascii() and cell.isdigit() and len(cell) <= 9 else cell


def _run(source: int, target: int, count: int, every: int = 1, onto: int = 1) -> Iterator[Row]:
    """``count`` points from ``source`` on, each ``every``-th, for each ``onto``-th target."""
    for step in range(count):
        yield Row(source + every * step, target + onto * step)


def _mean(target: int, *sources: tuple[int, float]) -> Iterator[Row]:
    for source, weight in sources:
        yield Row(source, target, weight)


def _pairs(text: str) -> Iterator[Row]:
    """``"0>33 2>38"``: source > target."""
    for pair in text.split():
        source, target = pair.split(">")
        yield Row(int(source), int(target))


@lru_cache(maxsize=1)
def _shipped() -> dict[str, Table]:
    """The tables by name.

    MMPose's are those of its project face6 (1.3.2), read from its configuration; source there as
    here counts from 0. PIPNet's follows a description of its
    ``convert_wflw``: no package carries that function, so it is not checked against the source.
    """

    def table(name: str, source: str, target: str, title: str, *rows: Iterable[Row]) -> Table:
        return Table(name, tuple(row for part in rows for row in part), source, target, title)

    lips = list(_run(76, 48, 20))
    trunk = [*_run(0, 0, 17, every=2), *_run(51, 27, 9), *lips]
    tables = (
        table(
            "index-98-68",
            "wflw98",
            "ibug68",
            "68 of the 98 points, none of them mixed",
            trunk,
            [*_run(33, 17, 5), *_run(42, 22, 5)],
            _pairs("60>36 61>37 63>38 64>39 65>40 67>41 68>42 69>43 71>44 72>45 73>46 75>47"),
        ),
        table(
            "pipnet-98-68",
            "wflw98",
            "ibug68",
            "PIPNet's: brows from the mean of both edges, lids by thirds",
            trunk,
            *_pipnet_brows(),
            *_pipnet_lids(60, 36),
            *_pipnet_lids(68, 42),
        ),
        table(
            "mmpose-98-106",
            "wflw98",
            "lapa106",
            "MMPose's (face6): WFLW into LaPa",
            [*_run(0, 0, 55), *_run(55, 58, 5), *_run(60, 66, 8), *_run(68, 75, 8)],
            [*_run(76, 84, 20), *_run(96, 104, 2)],
        ),
        table(
            "mmpose-68-106",
            "ibug68",
            "lapa106",
            "MMPose's (face6): 300-W into LaPa",
            [*_run(0, 0, 17, onto=2), *_run(17, 33, 5), *_run(22, 42, 5)],
            [*_run(27, 51, 4), *_run(31, 58, 5), *_run(48, 84, 20)],
            _pairs("36>66 39>70 42>75 45>79"),
            *(_mean(to, (a, 1), (a + 1, 1)) for a, to in ((37, 68), (40, 72), (43, 77), (46, 81))),
        ),
        table(
            "mmpose-29-106",
            "cofw29",
            "lapa106",
            "MMPose's (face6): COFW into LaPa, its eyes put right",
            _pairs("0>33 2>38 4>35 5>40 1>46 3>50 6>44 7>48"),
            # MMPose has numbers of WFLW here (8>60 ...), which are the nose's in LaPa.
            _pairs("8>66 10>70 12>68 13>72 9>79 11>75 14>77 15>81 16>104 17>105"),
            _pairs("18>57 19>63 20>54 21>60 22>84 23>90 24>87 25>98 26>102 27>93 28>16"),
        ),
    )
    return {table.name: table for table in tables}


def _pipnet_brows() -> Iterator[Iterator[Row]]:
    """A brow's points in the middle of its upper and lower edge, its outer end as it is."""
    yield _pairs("33>17 46>26")
    for step in range(4):
        yield _mean(18 + step, (34 + step, 1), (41 - step, 1))
        yield _mean(22 + step, (42 + step, 1), (50 - step, 1))


def _pipnet_lids(source: int, target: int) -> Iterator[Iterator[Row]]:
    """The corners as they are; a lid's points at two thirds of the way from its middle."""
    yield iter((Row(source, target), Row(source + 4, target + 3)))
    for near, middle, to in ((1, 2, 1), (3, 2, 2), (5, 6, 4), (7, 6, 5)):
        yield _mean(target + to, (source + near, 2), (source + middle, 1))
