"""Time and peak memory of converting faces of 98 points, beside datumaro's and pycocotools'.

python benchmarks/convert.py [--count 100000] [--flat 20000] [--others PYTHON]

Each conversion is a process of its own, whose processor time (start and imports included), wall
time and peak memory are taken; they run one after the other. ``--others`` is an interpreter that
has datumaro and pycocotools, where this one has not. This one needs orjson (the extra ``fast``):
each of our conversions is done with it and, hidden, without.
"""

from __future__ import annotations

import argparse
import filecmp
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

POINTS = 98
#: Ways to choose from WFLW's list, into WFLW's list.
SELECTIONS = [
    ("--sample", "50%"),
    ("--split", "train=80,val=20"),
    ("--split", "train=80,val=20", "--group-by", "folder"),
    ("--prefix-sources", "--where", "box_size > 0", "--split", "train=80,val=20"),
]
LIST = "list_98pt_rect_attr_train.txt"
COCO = "annotations/person_keypoints_train.json"


class Cost(NamedTuple):
    """Of one process: seconds of processor and of the wall, megabytes at its peak."""

    cpu: float
    wall: float
    peak: float


def make_list(path: Path, count: int) -> None:
    """A WFLW list of faces nobody has: random places with WFLW's digits, a box, six flags."""
    import numpy as np

    rng = np.random.default_rng(0)
    form = "%.6f " * (2 * POINTS) + "10 20 900 920 0 1 0 0 1 0 %d--Event/%07d.jpg\n"
    with path.open("w", encoding="utf-8") as stream:
        for number in range(count):
            places = rng.uniform(10, 900, 2 * POINTS).tolist()
            stream.write(form % (*places, number % 60, number))


def convert(source: str, from_: str, target: str, to: str) -> None:
    """Ours; ``to`` may be "nothing"."""
    from tufa_cli.formats import read, write

    records = read(source, from_)
    if to == "nothing":
        print(sum(len(record.faces) for record in list(records)))
    else:
        write(records, target, to)


def convert_plain(*step: str) -> None:
    """Ours without the extra ``fast``."""
    from tufa_cli.formats import _fast

    _fast.compiled = lambda: None
    convert(*step)


def convert_datumaro(source: str, from_: str, target: str, to: str) -> None:
    """Datumaro's import and export; it has no reader of WFLW's list, so that is split here."""
    from datumaro.components.dataset import Dataset

    if from_ == "wflw":
        data = Dataset.from_iterable(list(_datumaro_items(source)), categories=_categories())
    else:
        data = Dataset.import_from(source, "coco_person_keypoints")
    if to == "cvat":
        data.export(target, "cvat", allow_undeclared_attrs=True)
    else:
        data.export(target, "coco_person_keypoints")


def _datumaro_items(source: str):
    from datumaro.components.annotation import Bbox, Points
    from datumaro.components.dataset_base import DatasetItem

    with Path(source).open(encoding="utf-8") as stream:
        for number, line in enumerate(stream, start=1):
            *tokens, name = line.split()
            places = [float(token) for token in tokens[: 2 * POINTS]]
            x1, y1, x2, y2 = map(float, tokens[2 * POINTS : 2 * POINTS + 4])
            common = {"id": number, "group": number, "label": 0}
            face = [Points(places, **common), Bbox(x1, y1, x2 - x1, y2 - y1, **common)]
            yield DatasetItem(id=name[:-4], subset="train", annotations=face)


def _categories():
    from datumaro.components.annotation import (
        AnnotationType,
        LabelCategories,
        PointsCategories,
    )

    labels, points = LabelCategories(), PointsCategories()
    labels.add("wflw98")
    points.add(0, labels=[str(index) for index in range(POINTS)])
    return {AnnotationType.label: labels, AnnotationType.points: points}


def load_pycocotools(source: str, *_: str) -> None:
    """Pycocotools' index of a file."""
    from pycocotools.coco import COCO as Coco

    print(len(Coco(source).anns))


def select(*words: str) -> None:
    """Our command itself, for what the library has no single function for."""
    from tufa_cli.cli import main

    main(["convert", *words])


STEPS = {
    "ours": convert,
    "plain": convert_plain,
    "command": select,
    "datumaro": convert_datumaro,
    "pycocotools": load_pycocotools,
}


def measure(python: str, *step: object) -> Cost | None:
    """The cost of a step in a process of its own; None, and why on stderr, where it fails.

    A child's peak is at least what this process had when it forked, so that has to stay small.
    """
    begin = time.perf_counter()
    child = subprocess.Popen(
        [python, __file__, "--step", *map(str, step)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    assert child.stderr is not None
    said = child.stderr.read().decode(errors="replace")
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        print(f"{step[0]}: {said.strip().splitlines()[-1:]}", file=sys.stderr)
        return None
    wall = time.perf_counter() - begin
    return Cost(usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss / 1024)


def compare(folder: Path, count: int, others: str) -> None:
    """The table of conversions, ours and theirs."""
    listed, coco, made = folder / LIST, folder / COCO, folder / "out"
    for needed in (coco.parent, folder / "images", made, made / "plain"):
        needed.mkdir()
    make_list(listed, count)
    python = sys.executable
    tasks = [
        ("WFLW → COCO", ("ours", listed, "wflw", coco, "coco"),
         ("datumaro", listed, "wflw", made / "1", "coco")),
        ("COCO → WFLW", ("ours", coco, "coco", made / "back.txt", "wflw"), None),
        ("COCO → CVAT XML", ("ours", coco, "coco", made / "o.xml", "cvat"),
         ("datumaro", folder, "coco", made / "2", "cvat")),
        ("COCO → COCO", ("ours", coco, "coco", made / "o.json", "coco"),
         ("datumaro", folder, "coco", made / "3", "coco")),
        ("reading COCO", ("ours", coco, "coco", "-", "nothing"), ("pycocotools", coco)),
    ]  # fmt: skip
    print(f"{count} faces of {POINTS} points: CPU s, wall s, peak MB")
    print("| | with orjson | without | the other | CPU ratio, with and without |")
    print("|---|---|---|---|---|")
    for title, (_, source, from_, target, to), theirs in tasks:
        twin = "-" if target == "-" else made / "plain" / Path(target).name
        own = measure(python, "ours", source, from_, target, to)
        plain = measure(python, "plain", source, from_, twin, to)
        if twin != "-" and not filecmp.cmp(target, twin, shallow=False):
            print(f"{title}: the files with orjson and without differ")
        other = measure(others, *theirs) if theirs else None
        ratios = [f"{other.cpu / one.cpu:.2f}" if one and other else "–" for one in (own, plain)]
        name = f"{theirs[0]} " if theirs else ""
        costs = f"{_cells(own)} | {_cells(plain)} | {name}{_cells(other)}"
        print(f"| {title} | {costs} | {', '.join(ratios)} |", flush=True)
    print("back as it was:", filecmp.cmp(made / "back.txt", listed, shallow=False))


def _cells(cost: Cost | None) -> str:
    return f"{cost.cpu:.1f}, {cost.wall:.1f}, {cost.peak:.0f}" if cost else "–"


def flat(folder: Path, count: int) -> None:
    """Peak memory and processor time of what streams, for a twentieth of the faces and for all."""
    sizes = (count // 20, count)
    heads = "".join(f" {number} faces: CPU s, peak MB |" for number in sizes)
    print(f"\n| streams |{heads}\n|---|---|---|")
    sources = [folder / str(number) / "list.txt" for number in sizes]
    for source, number in zip(sources, sizes, strict=True):
        source.parent.mkdir()
        make_list(source, number)
    steps = [
        ("wflw", "wflw", ".copy.txt"),
        ("wflw", "cvat", ".xml"),
        ("wflw", "hf-jsonl", ".jsonl"),
        ("wflw", "dlib", ".dlib.xml"),
        ("cvat", "wflw", ".back.txt"),
    ]
    for from_, to, suffix in steps:
        costs = []
        for source in sources:
            given = source.with_suffix(".xml") if from_ == "cvat" else source
            target = source.with_suffix(suffix)
            if to == "hf-jsonl":
                target = source.with_suffix("") / "metadata.jsonl"
            costs.append(measure(sys.executable, "ours", given, from_, target, to))
        _row(f"{from_} → {to}", costs)
    for words in SELECTIONS:
        costs = []
        for source in sources:
            lists = [source]
            if "--prefix-sources" in words:
                lists.append(source.with_name("more") / source.name)
                lists[1].parent.mkdir(exist_ok=True)
                make_list(lists[1], int(source.parent.name))
            target = source.with_name(str(SELECTIONS.index(words))) / "out.txt"
            formats = ("--from", "wflw", "--to", "wflw", "--allow-lossy", "-o", target)
            costs.append(measure(sys.executable, "command", *lists, *formats, *words))
        twice = " of twice as many" if "--prefix-sources" in words else ""
        _row(f"`{' '.join(words)}`{twice}", costs)


def _row(title: str, costs: Sequence[Cost | None]) -> None:
    cells = (f"{cost.cpu:.1f}, {cost.peak:.0f}" if cost else "–" for cost in costs)
    print(f"| {title} | {' | '.join(cells)} |", flush=True)


def main() -> None:
    """Command line; see the module's text."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=100_000, help="faces; 0: no comparison")
    parser.add_argument("--flat", type=int, default=40_000, help="faces of the streams; 0: none")
    parser.add_argument("--others", default=sys.executable, help="python with datumaro")
    parser.add_argument("--step", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.step:
        STEPS[args.step[0]](*args.step[1:])
        return
    if args.count:
        with tempfile.TemporaryDirectory() as folder:
            compare(Path(folder), args.count, args.others)
    if args.flat:
        with tempfile.TemporaryDirectory() as folder:
            flat(Path(folder), args.flat)


if __name__ == "__main__":
    main()
