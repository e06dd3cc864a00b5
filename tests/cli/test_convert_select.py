"""``convert`` on several sources, and parts of them: files, messages, exit codes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tufa_cli.formats import read

PHOTOS, PEOPLE = 30, 7


@pytest.fixture
def run(run_convert: Callable[..., Any]) -> Callable[..., Any]:
    return run_convert


def labels(first: int = 0, count: int = PHOTOS, **more: Any) -> dict[str, Any]:
    """COCO keypoints of photos with a face each."""
    numbers = range(first, first + count)
    faces = [
        {"id": n + 1, "image_id": n, "category_id": 1, "keypoints": [1, 2, 2, 3, 4, 2], **more}
        | {"attributes": {"who": f"p{n % PEOPLE}", "side": "left" if n % 2 else "right"}}
        for n in numbers
    ]
    photos = [{"id": n, "file_name": f"f{n % 5}/{n:02}.jpg"} for n in numbers]
    return {
        "images": photos,
        "annotations": faces,
        "categories": [{"id": 1, "name": "face", "keypoints": []}],
    }


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "in.json"
    path.write_text(json.dumps(labels()))
    return path


def photos_in(path: str) -> list[str]:
    return [image.path for image in read(Path(path))]


def test_where_drops_faces_and_says_so(run, source: Path) -> None:
    done = run(
        "in.json", "-t", "coco", "-o", "o.json", "--where", "side == left and path !~ 'f1/*'"
    )
    assert (done.code, done.out) == (0, "")
    assert done.err == (
        "Read 30 photos, 30 faces (coco).\n"
        '--where side == "left" and path !~ "f1/*": 12 photos, 12 faces left '
        "(18 faces and 18 photos dropped).\n"
        "Photos not found: 12 (--images names their folder).\n"
        "Wrote 12 faces of 12 photos in 1 file to o.json (coco).\n"
    )
    left = photos_in("o.json")
    assert len(left) == 12 and all(int(name[-6:-4]) % 2 and name[:2] != "f1" for name in left)


def test_photos_sizes_are_looked_up(run, source: Path) -> None:
    from PIL import Image

    for name, width in (("f0/00.jpg", 40), ("f1/01.jpg", 20)):
        Path(name).parent.mkdir()
        Image.new("RGB", (width, 10)).save(name)
    done = run("in.json", "-t", "coco", "-o", "o.json", "--where", "width > 30")
    assert (done.code, photos_in("o.json")) == (0, ["f0/00.jpg"])
    assert "Note: --where: width is not known of 28 faces\n" in done.err


def test_lists_come_first_then_where_then_the_sample(run, source: Path) -> None:
    Path("names").write_text("".join(f"{n:02}\n" for n in range(10)) + "absent\n")
    words = ["--list", "names", "--where", "side == left", "--sample", "3"]
    done = run("in.json", "-t", "coco", "-o", "o.json", *words, "--json")
    report = json.loads(done.out)
    assert done.err == "Warning: 1 listed name matched no photo: absent\n"
    dropped = {"faces_dropped": 5, "photos_dropped": 5}
    assert report["selection"] == [
        {"step": "--list", "photos": 10, "faces": 10, "names_in_vain": 1},
        {"step": '--where side == "left"', "photos": 5, "faces": 5, **dropped},
        {"step": "--sample 3", "photos": 3, "faces": 3},
    ]
    assert report["read"] == {"photos": 30, "faces": 30}
    assert report["written"] == {"files": 1, "photos": 3, "faces": 3}
    first = photos_in("o.json")
    data = json.loads(source.read_text())
    data["images"].reverse()
    source.write_text(json.dumps(data))
    run("in.json", "-t", "coco", "-o", "again.json", *words)
    assert sorted(photos_in("again.json")) == sorted(first)
    run("in.json", "-t", "coco", "-o", "other.json", *words, "--seed", "3")
    assert sorted(photos_in("other.json")) != sorted(first)
    Path("not").write_text("00\n")
    run("in.json", "-t", "coco", "-o", "rest.json", "--exclude", "not")
    assert len(photos_in("rest.json")) == PHOTOS - 1


def test_a_split_by_person_into_files(run, source: Path) -> None:
    words = ("--split", "train=60,val=20,test=20", "--group-by", "attribute:who", "--seed", "1")
    done = run("in.json", "--to", "coco", "-o", "out/f.json", *words)
    assert done.code == 0, done.err
    people: list[set[str]] = []
    photos: list[str] = []
    for part in ("train", "val", "test"):
        images = list(read(f"out/f.{part}.json"))
        people.append({face.attributes["who"] for image in images for face in image.faces})
        assert {image.split for image in images} == {part}
        count = f"{len(images)} photos ({100 * len(images) / PHOTOS:.1f}%), {len(images)} faces"
        groups = f"{len(people[-1])} group" + ("s" if len(people[-1]) > 1 else "")
        assert f"{part}: {count} in {groups}.\n" in done.err
        assert f"to out/f.{part}.json (coco).\n" in done.err
        photos += [image.path for image in images]
    assert sorted(photos) == sorted(photos_in("in.json"))
    assert sum(map(len, people)) == len(set.union(*people)) == PEOPLE


def test_a_split_into_folders_keeps_the_photos_folders(run, source: Path) -> None:
    words = ("--split", "train=rest,val=6", "--allow-lossy", "--json")
    done = run("in.json", "--to", "pts", "-o", "points", *words)
    report = json.loads(done.out)
    assert [row["written"]["files"] for row in report["parts"]] == [24, 6]
    assert [row["output"] for row in report["parts"]] == ["points/train", "points/val"]
    assert report["written"] == {"files": 30, "photos": 30, "faces": 30}
    assert [line.partition(" faces, first in ")[0] for line in report["lost"]] == [
        "train: attributes of faces (side, who): 24", "val: attributes of faces (side, who): 6"
    ]  # fmt: skip
    found = sorted(path.relative_to("points").parts[1:] for path in Path().glob("points/*/*/*.pts"))
    assert len(found) == PHOTOS and set(found) == {(f"f{n % 5}", f"{n:02}.pts") for n in range(30)}
    done = run("in.json", "-t", "pts", "-o", "{part}/all", "--split", "a=50,b=50", "--allow-lossy")
    assert done.code == 0 and Path("a/all/").is_dir() and Path("b/all").is_dir()


def test_parts_in_one_output(run, source: Path) -> None:
    data = labels()
    sized = [row | {"width": 50, "height": 40} for row in data["images"]]
    source.write_text(json.dumps(data | {"images": sized}))
    words = ("--split", "train=80,val=20", "--one-output", "--allow-lossy")
    done = run("in.json", "--to", "yolo-pose", "-o", "y", *words)
    assert done.code == 0, done.err
    counts = [len(list(Path("y/labels", part).rglob("*.txt"))) for part in ("train", "val")]
    assert sum(counts) == PHOTOS and min(counts) > 0
    done = run("in.json", "--to", "pts", "-o", "p", *words)
    assert (done.code, Path("p").exists()) == (1, False)
    assert "Error: pts does not hold the split train and val\n" in done.err


def test_parts_of_a_data_set_that_has_a_folder_for_each(run, tmp_path: Path) -> None:
    from tufa_cli.annotation import AnnotatedImage, Face
    from tufa_cli.formats import write

    points = [[n, n] for n in range(106)]
    photos = [AnnotatedImage(f"{n}.jpg", [Face(points, "lapa106")], split="test") for n in "abcd"]
    write(photos, "in.json", "coco")
    done = run("in.json", "--to", "lapa", "-o", "o", "--split", "train=3,val=1")
    assert done.code == 0, done.err
    found = [image for part in ("train", "val") for image in read(f"o/{part}", "lapa")]
    assert [image.split for image in found] == ["train"] * 3 + ["val"]
    assert sorted(image.path for image in found) == ["a.jpg", "b.jpg", "c.jpg", "d.jpg"]


def test_a_dry_run_counts_and_writes_nothing(run, source: Path, tmp_path: Path) -> None:
    words = ("--split", "a=50,b=50", "--sample", "50%", "--where", "side == left", "--dry-run")
    done = run("in.json", "--to", "pts", *words)
    assert done.code == 0
    assert "--sample 50%: 8 photos, 8 faces left.\na: " in done.err
    assert "Would be lost: a: attributes of faces (side, who): 4 faces, first in " in done.err
    assert [path.name for path in tmp_path.iterdir()] == ["in.json"]


def test_a_part_that_fails_takes_the_others_back(run, tmp_path: Path) -> None:
    data = labels()
    data["annotations"][int(PHOTOS) - 1]["keypoints"] = [1, 2, 2, 0, 0, 0]
    Path("in.json").write_text(json.dumps(data))
    Path("names").write_text(f"f4/{PHOTOS - 1}.jpg bad\n" + "".join(
        f"{n:02} good\n" for n in range(PHOTOS - 1)
    ))  # fmt: skip
    seeds = 0
    for seed in range(6):  # whichever part has the bad photo, and comes first or last
        words = ("--split", "a=50,b=50", "--group-by", "file:names", "--seed", seed)
        done = run("in.json", "--to", "pts", "-o", "out/p", "--allow-lossy", *words)
        assert done.code == 1
        seeds += "cannot say that point 1 is missing" in done.err
        assert sorted(path.name for path in tmp_path.iterdir()) == ["in.json", "names"]
    assert seeds


def test_what_was_there_is_not_touched_by_a_part(run, source: Path) -> None:
    Path("o.b.json").write_text("mine")
    done = run("in.json", "--to", "coco", "-o", "o.json", "--split", "a=50,b=50")
    assert (done.code, Path("o.a.json").exists()) == (1, False)
    assert done.err.endswith("o.b.json: exists already\nHint: use --overwrite to replace it\n")
    done = run("in.json", "--to", "coco", "-o", "o.json", "--split", "a=50,b=50", "--overwrite")
    assert (done.code, Path("o.b.json").read_text() == "mine") == (0, False)


def test_sources_are_merged(run, source: Path) -> None:
    Path("more").mkdir()
    Path("more/in.json").write_text(json.dumps(labels(10)))
    Path("points").mkdir()
    Path("points/z.pts").write_text("version: 1\nn_points: 2\n{\n1 2\n3 4\n}\n")
    done = run("in.json", "more/in.json", "points", "--to", "coco", "-o", "all.json")
    assert (done.code, Path("all.json").exists()) == (1, False)
    assert done.err.splitlines()[0] == (
        "Error: 20 photos have the path of another: f0/10.jpg (in.json and more/in.json), "
        "f1/11.jpg (in.json and more/in.json), f2/12.jpg (in.json and more/in.json) and 17 more"
    )
    words = ("in.json", "more/in.json", "points", "--to", "coco", "--prefix-sources", "--json")
    report = json.loads(run(*words, "-o", "all.json").out)
    assert [(row["from"], row["photos"]) for row in report["sources"]] == [
        ("coco", 30), ("coco", 30), ("pts", 1)
    ]  # fmt: skip
    assert (report["from"], report["read"]) == ("coco, pts", {"photos": 61, "faces": 61})
    paths = photos_in("all.json")
    assert paths[0] == "f0/00.jpg" and paths[30] == "more/f0/10.jpg" and paths[60] == "points/z.jpg"


def test_schemes_follow_the_targets_rules(run, tmp_path: Path) -> None:
    from tufa_cli.annotation import AnnotatedImage, Face
    from tufa_cli.formats import write

    for name, count in (("ibug68", 68), ("wflw98", 98)):
        points = [[n, n] for n in range(count)]
        write([AnnotatedImage(f"{name}.jpg", [Face(points, name)])], f"{name}.json", "coco")
    done = run("ibug68.json", "wflw98.json", "--to", "coco", "-o", "all.json")
    assert done.code == 0
    assert [face.scheme for i in read("all.json") for face in i.faces] == ["ibug68", "wflw98"]
    words = ("--scheme", "ibug68", "--to", "coco", "--where", "points == 68", "--json")
    report = json.loads(run("wflw98.json", "ibug68.json", *words, "-o", "one.json").out)
    assert [face.scheme for i in read("one.json") for face in i.faces] == ["ibug68"] * 2
    assert [row["from"] for row in report["scheme"]["conversions"]] == ["wflw98"]
    done = run("ibug68.json", "wflw98.json", "--to", "wflw", "-o", "w.txt")
    assert (done.code, Path("w.txt").exists()) == (1, False)
    assert "Error: ibug68.jpg: a face of 68 points; wflw holds 98\n" in done.err


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (
            ("--where", "side = left"),
            2,
            "column 6 of the expression: '=' is not known here\nHint: ",
        ),
        (("--where", "sied == left"), 1, "name (column 1 of --where) 'sied': did you mean side"),
        (("--where", "side == up"), 1, 'Error: --where side == "up" leaves no photo; nothing'),
        (("--sample", "31"), 1, "Error: --sample 31: only 30 of them are there\n"),
        (("--sample", "many"), 2, "Invalid value for '--sample'"),
        (("--split", "a=100"), 2, "Invalid value for '--split': give two parts or more.\n"),
        (("--split", "a=99,b=1", "--group-by", "folder"), 1, "no photo for the part"),
        (("--split", "a=50,b=50", "--group-by", "foldr"), 2, "did you mean folder?"),
        (("--split", "a=50,b=50", "--group-by", "attribute:wo"), 1, "did you mean who?"),
        (("--split", "a=50,b=50", "--group-by", "file:no.txt"), 1, "no.txt: cannot be read"),
        (("--group-by", "folder"), 2, "--group-by needs --split."),
        (("--one-output",), 2, "--one-output needs --split."),
        (("./in.json",), 2, "in.json is given twice."),
        (("--list", "no.txt"), 1, "no.txt: cannot be read"),
    ],
)
def test_mistakes(run, source: Path, tmp_path: Path, words, code: int, message: str) -> None:
    done = run("in.json", "--to", "coco", "-o", "o.json", *words)
    assert (done.code, done.out) == (code, "")
    assert message in done.err
    assert [path.name for path in tmp_path.iterdir()] == ["in.json"]


def test_several_sources_are_explained_one_by_one(run, source: Path) -> None:
    Path("list.txt").write_text("nothing\n")
    done = run("in.json", "list.txt", "--explain")
    assert done.code == 0 and done.out.startswith("in.json:\n") and "\nlist.txt:\n" in done.out
    report = json.loads(run("in.json", "list.txt", "--explain", "--json").out)
    assert report["formats"]["in.json"]["coco"]["yes"] is True
    assert report["formats"]["list.txt"]["coco"]["yes"] is False
