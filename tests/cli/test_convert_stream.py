"""``convert`` in one go: the same files and words as if all were read before it was written."""

from __future__ import annotations

import shutil
import tracemalloc
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tufa_cli.annotation import AnnotatedImage, Face
from tufa_cli.formats import Losses, _text, losses, write
from tufa_cli.pipeline import convert as pipeline


@pytest.fixture
def run(run_convert: Callable[..., Any]) -> Callable[..., Any]:
    return run_convert


def one_after_the_other(
    images: Any, format: str, path: Path | None, *, missing: Any, lossy: bool, on_read: Any, **more
) -> Any:
    """What ``pass_on`` promises to equal: read all, look at all, write all."""
    held = list(images)
    lost = losses(held, format, missing)
    places = pipeline.Places(format)
    for image in held:
        places.add(image)
    not_found = sum(not pipeline.is_there(image) for image in held)
    lines = SimpleNamespace(lines=lambda: lost)
    counts = {"photos": len(held), "photos_not_found": not_found}
    on_read(SimpleNamespace(**counts, losses=lines, places=places))
    return None if path is None else write(held, path, format, missing=missing, **more)


@pytest.fixture
def both(run, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Runs convert in one go and one after the other; fails where anything differs."""

    def go(*words: str) -> Any:
        before = set(Path().iterdir())
        found = []
        for way in (pipeline.pass_on, one_after_the_other):
            with monkeypatch.context() as patch:
                patch.setattr(pipeline, "pass_on", way)
                done = run(*words)
            made = {path for path in Path().iterdir() if path not in before}
            found.append((done, {p: c for path in made for p, c in contents(path).items()}))
            for path in made:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        assert found[0] == found[1]
        return found[0]

    return go


def contents(path: Path) -> dict[str, bytes | None]:
    """Every file and folder there is, with what is in it."""
    places = [path, *path.rglob("*")]
    return {str(p): p.read_bytes() if p.is_file() else None for p in places}


def records(count: int = 4) -> Iterator[AnnotatedImage]:
    """Photos of one or two faces, with all that formats may or may not hold."""
    rng = np.random.default_rng(0)
    for number in range(count):
        faces = []
        for again in range(1 + number % 2):
            points = rng.uniform(1, 300, (68, 2))
            visibility = np.full(68, 2)
            visibility[number : number + 2] = again
            more = {"occluded": bool(again), "who": f"p{number}"} if number else {}
            box = np.array([1.5, 2, 300, 301]) if number != 2 else None
            faces.append(Face(points, "ibug68", visibility, box=box, attributes=more))
        yield AnnotatedImage(f"sub{number % 3}/{number}.jpg", tuple(faces), 640, 480)


def plain(count: int, points: int = 68) -> Iterator[AnnotatedImage]:
    """Faces that every format holds."""
    rng = np.random.default_rng(1)
    for number in range(count):
        face = Face(rng.integers(1, 300, (points, 2)).astype(float))
        yield AnnotatedImage(f"{number:05d}.jpg", (face,), 640, 480)


SOURCES = {"coco": "in.json", "cvat": "in.xml", "labelme": "in", "merl-rav": "in"}
TARGETS = {"coco": "o.json", "cvat": "o.xml", "dlib": "o.xml", "pts": "o", "labelme": "o",
           "csv": "o.csv", "merl-rav": "o", "yolo-pose": "o", "hf-jsonl": "metadata.jsonl",
           "300w-lp": "o"}  # fmt: skip


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("target", TARGETS)
def test_the_same_in_both_ways(both, tmp_path: Path, source: str, target: str) -> None:
    write(records(), SOURCES[source], source, missing="sentinel")
    words = (SOURCES[source], "--from", source, "--to", target, "-o", TARGETS[target])
    both(*words)
    both(*words, "--dry-run", "--json")
    both(*words, "--allow-lossy", "--missing", "drop-face", "--json")
    done, made = both(*words, "--allow-lossy", "--missing", "sentinel", "--json")
    if (source, target) == ("merl-rav", "yolo-pose"):  # needs the photos' sizes
        assert done.code == 1 and not made
    else:
        assert done.code == 0 and made
    both(*words, "--allow-lossy", "--where", "path ~ 'sub1/*'")
    done, made = both(*words, "--allow-lossy", "--where", "path ~ 'nowhere/*'")
    assert done.code == 1 and "leaves no photo" in done.err and not made


def broken(path: Path, *rows: int) -> None:
    """Take a number out of some rows of a table."""
    lines = path.read_text().splitlines()
    for row in rows:
        lines[row] = lines[row].replace(",", ",x", 3)
    path.write_text("".join(f"{line}\n" for line in lines))


@pytest.mark.parametrize("target", ["dlib", "pts", "coco"])
def test_a_source_with_faults(both, tmp_path: Path, target: str) -> None:
    write(plain(30), tmp_path / "in.csv", "csv")
    broken(tmp_path / "in.csv", 12, *range(15, 29))
    words = ("in.csv", "--from", "csv", "--to", target, "-o", TARGETS[target])
    done, made = both(*words)
    assert done.code == 1 and "in.csv, line 13" in done.err and not made
    done, made = both(*words, "--on-error", "skip")
    assert done.code == 3 and made
    assert done.err.count("Skipped: in.csv, line 13: ") == 1
    assert "Skipped: 5 more\nRead 15 photos, 15 faces (csv).\n" in done.err
    done, _ = both(*words, "--on-error", "skip", "--json")
    assert len(done.json["failed"]) == 15


def test_a_target_that_is_there(both, tmp_path: Path) -> None:
    write(plain(3), tmp_path / "in.csv", "csv")
    (tmp_path / "there.xml").write_text("mine")
    words = ("in.csv", "--to", "dlib", "-o", "there.xml")
    done, _ = both(*words)
    assert done.code == 1 and "there.xml: exists already" in done.err
    broken(tmp_path / "in.csv", 2)  # which nobody waits for any more
    done, _ = both(*words)
    assert "there.xml: exists already" in done.err
    assert (tmp_path / "there.xml").read_text() == "mine"


def test_a_file_is_replaced_by_what_is_read_from_it(run, tmp_path: Path) -> None:
    write(plain(3), tmp_path / "in.csv", "csv")
    before = (tmp_path / "in.csv").read_text()
    done = run("in.csv", "-t", "csv", "-o", "in.csv", "--overwrite")
    assert done.code == 0 and (tmp_path / "in.csv").read_text() == before
    done = run("in.csv", "-t", "csv", "-o", "in.csv", "--overwrite", "--to-index-base", "1")
    assert done.code == 0 and (tmp_path / "in.csv").read_text() != before
    assert [path.name for path in tmp_path.iterdir()] == ["in.csv"]


CHAINS = [
    ("csv", "in.csv", "hf-jsonl", "metadata.jsonl"),
    ("mtfl", "in.txt", "mtfl", "o.txt"),
    ("mtfl", "in.txt", "csv", "o.csv"),
    ("dlib", "in.xml", "cvat", "o.xml"),
    ("pts", "in", "labelme", "o"),
    ("labelme", "in", "pts", "o"),
]


@pytest.mark.parametrize(("source", "file", "target", "output"), CHAINS)
def test_no_more_than_a_few_photos_are_held_at_once(
    run, tmp_path, monkeypatch: pytest.MonkeyPatch, source, file, target, output
) -> None:
    write(plain(40, 5), tmp_path / file, source)
    alive: weakref.WeakSet[Face] = weakref.WeakSet()
    counts, add = [], Losses.add

    def counted(losses: Losses, image: AnnotatedImage) -> None:
        alive.update(image.faces)
        counts.append(len(alive))
        add(losses, image)

    monkeypatch.setattr(Losses, "add", counted)
    words = (file, "-f", source, "-t", target, "-o", output, "--scheme", "mtfl5")
    done = run(*words, "--where", "missing == 0", "--allow-lossy")
    assert done.code == 0 and "Wrote 40 faces" in done.err
    assert len(counts) == 40 and max(counts) <= 3


def peak(run: Callable[..., Any], words: tuple[Any, ...]) -> int:
    """The most memory that Python held at once during a run, in bytes."""
    tracemalloc.start()
    try:
        assert run(*words).code == 0
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


#: Faces; the files of the fewer are longer than what is read at once.
SIZES = (300, 1200)


@pytest.mark.parametrize(("source", "file", "target", "output"), CHAINS[:2])
def test_memory_does_not_grow_with_the_faces(
    run, tmp_path, monkeypatch: pytest.MonkeyPatch, source, file, target, output
) -> None:
    monkeypatch.setattr(_text, "_CHUNK", 1 << 13)
    peaks = []
    for count in SIZES:
        folder = tmp_path / str(count)
        write(plain(count, 5), folder / file, source)
        words = (folder / file, "-f", source, "-t", target, "-o", folder / output, "--overwrite")
        # Twice: Python's own tables (of the parts of all paths) may grow at the first run.
        peaks.append(min(peak(run, words), peak(run, words)))
    # A photo with a face takes a kilobyte and more, the account of a row's place 100 bytes.
    assert peaks[1] < peaks[0] + (SIZES[1] - SIZES[0]) * 400
