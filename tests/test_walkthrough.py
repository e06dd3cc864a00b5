"""docs/walkthrough.md as printed, line by line, on a few faces of each dataset for a few steps."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from tufa_cli.errors import TufaError
from tufa_cli.formats import read
from tufa_cli.geometry.crop import oracle_crop
from tufa_cli.schemes import builtin_plane

PAGE = Path(__file__).resolve().parent.parent / "docs" / "walkthrough.md"
CHAIN = ["convert", "meanshape", "align", "pack", "train", "evaluate", "annotate"]
#: All that is changed in what the page prints: words put behind a line that begins like this.
REDUCED = {"tufa-cli train": "steps=4 batch_size=4 warmup=1 validate_every=4"}
#: Lines that fail for some photos, as the page says: what they hold, their exit code.
ENDS_WITH = {"--source aflw ": 3}
#: Faces of each dataset to train on, and of its list of photos held out.
TRAIN, VAL = 5, 2


def command_lines(text: str) -> list[str]:
    """Every line of the page's shell blocks, those that go on joined, comments left out."""
    fences = re.findall(r"^```(\w*)\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    assert fences and {language for language, _ in fences} == {"sh"}, (
        "a block is run or is no block"
    )
    lines = "".join(block for _, block in fences).replace("\\\n", " ").splitlines()
    return [re.sub(r"\s+", " ", line) for line in lines if line and not line.startswith("#")]


def few(names: Iterable[str], held_out: Iterable[str]) -> list[str]:
    """The first names that may be trained on, and the first that may not."""
    held_out = set(held_out)
    names = sorted(names)
    return [name for name in names if name not in held_out][:TRAIN] + [
        name for name in names if name in held_out
    ][:VAL]


class SmallData:
    """Some photos of the shared data with their labels, laid out as there."""

    def __init__(self, data: Path, out: Path) -> None:
        self.data, self.out = data, out

    def copy(self, name: str) -> None:
        (self.out / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(self.data / name, self.out / name)

    def write(self, name: str, text: str) -> None:
        (self.out / name).parent.mkdir(parents=True, exist_ok=True)
        (self.out / name).write_text(text, encoding="utf-8")

    def lines(self, name: str) -> list[str]:
        return (self.data / name).read_text(encoding="utf-8").splitlines()

    def held_out(self, dataset: str) -> list[str]:
        return self.lines(f"splits/val_{dataset}.txt")

    def split(self, dataset: str, names: list[str]) -> None:
        """The list of photos held out, of those that are here."""
        kept = [name for name in self.held_out(dataset) if name in names]
        assert kept
        self.write(f"splits/val_{dataset}.txt", "".join(f"{name}\n" for name in kept))

    def make(self) -> None:
        self.make_300w()
        self.make_aflw()
        self.make_scut()
        self.make_mtfl()
        self.make_wflw()
        self.make_pseudo()

    def make_300w(self) -> None:
        folder = self.data / "300w"
        paths = (path.relative_to(folder).as_posix() for path in folder.rglob("*.jpg"))
        names = few(paths, self.held_out("300w"))
        for name in names:
            self.copy(f"300w/{name}")
            self.copy(f"300w/{name.removesuffix('.jpg')}.pts")
        self.split("300w", names)

    def make_aflw(self) -> None:
        """Photos that carry both label sets, and the two of which the page says that they fail."""
        sideways = self.sideways()
        assert len(sideways) == 2, "the page says how many of AFLW's faces fit no upright crop"
        labels = json.loads((self.data / "aflw/aflw21_coco.json").read_text(encoding="utf-8"))
        both = {Path(image["file_name"]).name for image in labels["images"]} & {
            f"{path.stem}.jpg" for path in (self.data / "aflw/merl_rav").glob("*.pts")
        }
        names = few(both - sideways, self.held_out("aflw"))
        for name in names:
            self.copy(f"aflw/photos/{name}")
            self.copy(f"aflw/merl_rav/{name.removesuffix('.jpg')}.pts")
        for name in sideways:
            self.copy(f"aflw/photos/{name}")
        kept = {*names, *sideways}
        labels["images"] = [i for i in labels["images"] if Path(i["file_name"]).name in kept]
        numbers = {image["id"] for image in labels["images"]}
        labels["annotations"] = [a for a in labels["annotations"] if a["image_id"] in numbers]
        self.write("aflw/aflw21_coco.json", json.dumps(labels))
        self.split("aflw", names)

    def sideways(self) -> set[str]:
        """Photos of AFLW with a face that fits no upright crop."""
        plane = builtin_plane()
        found = set()
        for image in read(self.data / "aflw/aflw21_coco.json", format="coco", scheme="aflw21"):
            for face in image.faces:
                try:
                    oracle_crop(plane["aflw21"], face.points_px, plane.window)
                except TufaError:
                    found.add(Path(image.path).name)
        return found

    def make_scut(self) -> None:
        paths = (path.name for path in (self.data / "scut/images").glob("*.jpg"))
        names = few(paths, self.held_out("scut"))
        for name in names:
            self.copy(f"scut/images/{name}")
            self.copy(f"scut/facial landmark/{name.removesuffix('.jpg')}.pts")
        self.split("scut", names)

    def make_mtfl(self) -> None:
        rows = {
            line.split()[0].replace("\\", "/"): line
            for line in self.lines("mtfl/training.txt")
            if line.strip()
        }
        names = few(rows, self.held_out("mtfl"))
        for name in names:
            self.copy(f"mtfl/{name}")
        self.write("mtfl/training.txt", "".join(f"{rows[name]}\n" for name in names))
        self.split("mtfl", names)

    def make_wflw(self) -> None:
        name = "wflw/list_98pt_rect_attr_train.txt"
        rows = self.lines(name)[: TRAIN + VAL]
        for row in rows:
            self.copy(f"wflw/WFLW_images/{row.split()[-1]}")
        self.write(name, "".join(f"{row}\n" for row in rows))

    def make_pseudo(self) -> None:
        """Of the labels made by models, those of photos that are here."""
        (self.out / "pseudo").mkdir()
        for path in (self.data / "pseudo").glob("*.npz"):
            with np.load(path, allow_pickle=False) as columns:
                here = [(self.out / photo).is_file() for photo in columns["photos"]]
                assert sum(here) >= TRAIN
                np.savez(self.out / "pseudo" / path.name, **{k: columns[k][here] for k in columns})


def outputs(line: str) -> list[str]:
    """What a line says that it writes."""
    words = shlex.split(line)
    if "--dry-run" in words:
        return []
    return [
        after
        for word, after in pairwise(words)
        if word in ("-o", "--output", "--out", "--plot", "--draw")
    ]


def test_the_page_prints_the_whole_chain_in_order():
    commands = [
        line.split()[1] for line in command_lines(PAGE.read_text("utf-8")) if "tufa" in line
    ]
    first = {command: commands.index(command) for command in reversed(commands)}
    assert [name for name in sorted(first, key=first.__getitem__) if name in CHAIN] == CHAIN


@pytest.mark.slow
@pytest.mark.shared
def test_every_line_of_the_page_runs_in_order(shared, desk):
    text = PAGE.read_text(encoding="utf-8")
    assert "exit code 3" in text  # see ENDS_WITH
    SmallData(shared / "data", desk.folder.parent / "shared" / "data").make()
    values: list[str] = []
    for line in command_lines(text):
        if re.fullmatch(r"[A-Z]+=\S+", line):
            values.append(line)
            continue
        added = [words for start, words in REDUCED.items() if line.startswith(start)]
        done = desk.run("\n".join([*values, " ".join([line, *added])]))
        code = next((code for part, code in ENDS_WITH.items() if part in line), 0)
        assert done.code == code, f"{line}\nexit code {done.code}\n{done.stderr}"
        assert "matched no photo" not in done.stderr, f"{line}\n{done.stderr}"
        missing = [name for name in outputs(line) if not (desk.folder / name).exists()]
        assert missing == [], f"{line}\n{done.stderr}"
