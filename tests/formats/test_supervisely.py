"""Supervisely projects: as exported, as people group points, what goes back, and broken files."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tufa_cli.annotation import AnnotatedImage, Face
from tufa_cli.errors import InputError, OutputError
from tufa_cli.formats import choose_format, losses, read, sniff, write
from tufa_cli.schemes import get_scheme

Put = Callable[[str, str | bytes], Path]
NAMES = get_scheme("mtfl5").names


def graph_class(title: str, *names: str) -> dict[str, Any]:
    nodes = {f"id-{name}": {"label": name, "color": "#fff", "loc": [1, 2]} for name in names}
    return {"title": title, "shape": "graph", "geometry_config": {"nodes": nodes, "edges": []}}


META = json.dumps({"classes": [graph_class("f", "nose", "left", "right"), {"title": "box"}]})


def graph(title: str = "f", **more: Any) -> dict[str, Any]:
    nodes = {"id-right": {"loc": [5.5, 6]}, "id-nose": {"loc": [1, 2], "disabled": True}}
    return {"classTitle": title, "geometryType": "graph", "tags": [], "nodes": nodes} | more


def shape(kind: str, title: str, *places: list[float], **more: Any) -> dict[str, Any]:
    points = {"exterior": list(places), "interior": []}
    return {"classTitle": title, "geometryType": kind, "tags": [], "points": points} | more


def photo(*objects: Any, **more: Any) -> dict[str, Any]:
    row: dict[str, Any] = {"description": "", "tags": [], "size": {"height": 48, "width": 64}}
    return row | {"objects": list(objects)} | more


def project(put: Put, data: Any, name: str = "ds0/ann/a.jpg.json", meta: str = META) -> Path:
    put("p/meta.json", meta)
    text = data if isinstance(data, (str, bytes)) else json.dumps(data)
    return put(f"p/{name}", text)


def load(put: Put, *objects: Any, **options: Any) -> AnnotatedImage:
    path = project(put, photo(*objects))
    (image,) = read(path.parents[2], "supervisely", **options)
    return image


def test_graphs_and_their_rectangles(put: Put, tmp_path: Path) -> None:
    put("p/ds0/img/a.jpg", b"")
    tags = [{"name": "blur", "value": "heavy"}, {"name": "seen", "value": None},
            {"name": "confidence", "value": 0.75}]  # fmt: skip
    box = shape("rectangle", "box", [11, 22.5], [1, 2], instance="x")
    rows = [graph(tags=tags, instance="x", nnCreated=True), graph(instance="y"), box]
    notes: list[str] = []
    lone = shape("rectangle", "box", [1, 2], [3, 4])
    path = project(put, photo(*rows, lone, tags=[{"name": "night", "value": None}]))
    for source in (tmp_path / "p", tmp_path / "p/ds0", tmp_path / "p/meta.json", path):
        assert choose_format(source) == "supervisely"
        (image,) = read(source, on_note=notes.append)
        assert image.path == "ds0/img/a.jpg"
    assert (image.width, image.height, image.root) == (64, 48, str(tmp_path / "p"))
    assert image.attributes == {"night": True}
    one, two = image.faces
    assert one.visibility is not None and one.visibility.tolist() == [1, 0, 2]
    assert one.points_px[[0, 2]].tolist() == [[1, 2], [5.5, 6]]
    assert one.box is not None and one.box.tolist() == [1, 2, 10, 20.5]
    assert (one.source, one.score, two.source, two.box) == ("auto", 0.75, "manual", None)
    assert one.attributes == {"blur": "heavy", "seen": True}
    assert "1 rectangles belong to no face" in notes[-1]


def test_points_named_by_their_class(put: Put) -> None:
    rows = [shape("point", name, [i, 9], instance=key)
            for key in "ab" for i, name in enumerate(NAMES)]  # fmt: skip
    image = load(put, *rows[:8], scheme="mtfl5")
    assert [face.labelled.sum() for face in image.faces] == [5, 3]
    rows = [row | {"instance": None} for row in rows]
    box = shape("rectangle", "box", [0, 0], [3, 4])
    (face,) = load(put, *rows[:5], box, scheme="mtfl5").faces
    assert face.labelled.all() and face.box is not None
    with pytest.raises(InputError, match="two points of one face") as caught:
        load(put, *rows)
    assert "the same instance" in str(caught.value.hint)


def test_the_class_tells_the_order_or_the_scheme(put: Put) -> None:
    meta = json.dumps({"classes": [graph_class("MTFL", *reversed(NAMES))]})
    nodes = {f"id-{NAMES[1]}": {"loc": [7, 8]}}
    project(put, photo(graph("MTFL", nodes=nodes)), meta=meta)
    (image,) = read(put("p/x", b"").parent)
    assert image.faces[0].scheme == "mtfl5"
    assert image.faces[0].points_px[1].tolist() == [7, 8]


@pytest.mark.parametrize(
    ("dataset", "name", "there", "photo_path"),
    [
        ("ds0", "a.jpg", "p/ds0/img/a.jpg", "ds0/img/a.jpg"),
        ("ds0", "a.jpg", None, "a.jpg"),
        ("train", "a.jpg", None, "train/a.jpg"),
        ("train/datasets/b", "a.jpg", None, "train/b/a.jpg"),
        ("train/datasets/b", "a.jpg", "p/train/datasets/b/img/a.jpg",
         "train/datasets/b/img/a.jpg"),
        ("train", "a.jpg", "photos/train/a.jpg", "train/a.jpg"),
        ("ds0", "a.jpg", "photos/a.jpg", "a.jpg"),
    ],
)  # fmt: skip
def test_where_photos_lie(
    put: Put, tmp_path: Path, dataset: str, name: str, there: str | None, photo_path: str
) -> None:
    project(put, photo(), f"{dataset}/ann/{name}.json")
    if there is not None:
        put(there, b"")
    root = tmp_path / "photos" if (tmp_path / "photos").is_dir() else None
    for source in ("p", f"p/{dataset}", f"p/{dataset}/ann/{name}.json"):
        (image,) = read(tmp_path / source, root=root)
        assert (image.path, image.root) == (photo_path, str(root or tmp_path / "p"))


GOOD = json.dumps(photo(graph()), indent=1)


def node(value: Any) -> dict[str, Any]:
    return photo(graph(nodes={"id-nose": value}))


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        ("", "line 1: the file is empty"),
        (GOOD[:90], r"line \d+: not valid JSON"),
        (GOOD.replace('"f"', '"é"').encode("latin-1"), "line 10: not UTF-8"),
        ("[]", "no list 'objects'"),
        ({"objects": 5}, "no list 'objects'"),
        (photo(5), r"objects\[0\]: not an object"),
        (photo(graph("g")), "meta.json has no class 'g'"),
        (photo(graph(nodes=None)), "a graph without nodes"),
        (photo(graph(nodes={"id-chin": {"loc": [1, 2]}})), "its class has no node 'id-chin'"),
        (node({}), "the node 'nose' has no loc"),
        (node({"loc": [1]}), "loc is not a list of 2 numbers"),
        (node({"loc": [1, None]}), "not a number"),
        (node({"loc": [1, math.nan]}), "not a place"),
        (node({"loc": [1, 1e300]}), "not a place"),
        (photo(graph(tags=5)), "tags is not a list"),
        (photo(graph(tags=[{"value": 1}])), "a tag without a name"),
        (photo(graph(tags=[{"name": "confidence", "value": "high"}])), "the tag confidence"),
        (photo(shape("point", "nose", [1, 2], [3, 4])), "a point with 2 places"),
        (photo(shape("point", "nose")), "points.exterior is not a list of places"),
        (photo(graph(), shape("rectangle", "box", [1, 2])), r"objects\[1\]: a rectangle with 1"),
        (photo(size={"width": "wide"}), "width is not a size"),
        (GOOD.replace('"tags": []', '"tags": [], "tags": []', 1), "the key 'tags' is there twice"),
    ],
)  # fmt: skip
def test_broken(put: Put, data: Any, problem: str) -> None:
    path = project(put, data)
    with pytest.raises(InputError, match=problem) as caught:
        list(read(path.parents[2], "supervisely"))
    assert caught.value.path == path


@pytest.mark.parametrize(
    ("meta", "problem"),
    [
        ("", "empty"),
        ("{", "not valid JSON"),
        ("{}", "no list 'classes'"),
        ('{"classes": [5]}', r"classes\[0\]: no title"),
        ('{"classes": [{"title": "f"}, {"title": "f"}]}', "two classes are called 'f'"),
    ],
)
def test_a_broken_meta(put: Put, meta: str, problem: str) -> None:
    path = project(put, photo(), meta=meta)
    with pytest.raises(InputError, match=problem) as caught:
        list(read(path.parents[2], "supervisely"))
    assert caught.value.path == path.parents[2] / "meta.json"


def test_a_bad_file_leaves_the_others(put: Put, tmp_path: Path) -> None:
    project(put, photo(graph()), "ds0/ann/b.jpg.json")
    project(put, photo(graph(), graph("g")), "ds0/ann/c.jpg.json")
    project(put, "{", "ds0/ann/a.jpg.json")
    (tmp_path / "p/ds0/ann/loop.json").symlink_to("loop.json")
    failures: list[InputError] = []
    images = list(read(tmp_path / "p", on_error=failures.append))
    assert [(image.path, len(image.faces)) for image in images] == [("b.jpg", 1), ("c.jpg", 1)]
    assert [Path(str(error.path)).name for error in failures] == ["a.jpg.json", "c.jpg.json"]


def face(count: int = 5, **given: Any) -> Face:
    return Face(np.arange(2.0 * count).reshape(-1, 2) + 0.125, **given)


HIDDEN = np.array([2, 1, 0, 2, 2], dtype=np.uint8)


def test_what_is_written(tmp_path: Path) -> None:
    given = face(scheme="mtfl5", visibility=HIDDEN, score=0.5, box=np.array([1, 2, 3, 4]),
                 attributes={"a": 1}, source="auto")  # fmt: skip
    images = [AnnotatedImage("x/y/a.jpg", (given, face(7)), 64, 48, split="val"),
              AnnotatedImage("b.jpg")]  # fmt: skip
    report = write(images, tmp_path / "out", "supervisely")
    assert [path.relative_to(tmp_path / "out").as_posix() for path in report.files] == [
        "meta.json", "x/datasets/y/ann/a.jpg.json", "ds0/ann/b.jpg.json",
    ]  # fmt: skip
    assert all(path.is_file() for path in report.files)
    data = json.loads(report.files[1].read_text(encoding="utf-8"))
    assert (data["size"], data["tags"]) == (
        {"height": 48, "width": 64}, [{"name": "split", "value": "val"}],
    )  # fmt: skip
    one, box, two = data["objects"]
    assert (one["classTitle"], two["classTitle"]) == ("mtfl5", "face")
    assert one["instance"] == box["instance"] != two["instance"]
    assert one["tags"] == [{"name": "a", "value": "1"}, {"name": "confidence", "value": 0.5}]
    assert [node.get("disabled") for node in one["nodes"].values()] == [None, True, None, None]
    assert box["points"]["exterior"] == [[1, 2], [4, 6]]


def test_the_meta_lists_all_that_the_annotations_use(tmp_path: Path) -> None:
    made = (face(scheme="mtfl5", attributes={"a": 1}, score=1.0), face(7, box=np.ones(4)), face(9))
    report = write([AnnotatedImage("a.jpg", made)], tmp_path / "out", "supervisely")
    meta = json.loads(report.files[0].read_text(encoding="utf-8"))
    classes = {row["title"]: row for row in meta["classes"]}
    assert len(classes) == len(meta["classes"]) == 4
    tags = {row["name"] for row in meta["tags"]}
    for row in json.loads(report.files[1].read_text(encoding="utf-8"))["objects"]:
        known = classes[row["classTitle"]]
        assert known["shape"] == row["geometryType"]
        assert {tag["name"] for tag in row["tags"]} <= tags
        nodes = known["geometry_config"].get("nodes", {})
        assert set(row.get("nodes", {})) <= set(nodes)
        for edge in known["geometry_config"].get("edges", ()):
            assert {edge["src"], edge["dst"]} <= set(nodes)
    assert [n["label"] for n in classes["mtfl5"]["geometry_config"]["nodes"].values()] == list(
        NAMES
    )


def test_files_that_are_in_the_way(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="would go here"):
        write([AnnotatedImage("a.jpg"), AnnotatedImage("ds0/a.jpg")], tmp_path / "o", "supervisely")
    for path in ("../a.jpg", "/etc/a.jpg"):
        with pytest.raises(OutputError, match="leads out of its folder"):
            write([AnnotatedImage(path)], tmp_path / "o", "supervisely")
    assert not list(tmp_path.iterdir())
    (tmp_path / "o").write_text("mine")
    with pytest.raises(OutputError, match="o: is a file"):
        write([AnnotatedImage("a.jpg")], tmp_path / "o", "supervisely")


def test_losses() -> None:
    odd = face(confidence=np.ones(5), attributes={"scheme": 1, "x": {1}})
    image = AnnotatedImage("a.jpg", (odd,), attributes={"split": 1})
    assert losses([image], "supervisely") == [
        "the confidence: 1 face, first in a.jpg",
        "the photo's attributes: 1 photo, first a.jpg",
        "attributes of faces (scheme, x): 1 face, first in a.jpg",
    ]


def test_sniffing_says_why_not(put: Put, tmp_path: Path) -> None:
    put("meta.json", "{}")
    assert sniff(tmp_path)["supervisely"].reason == "meta.json without classes"
    put("meta.json", '{"classes": []}')
    assert sniff(tmp_path)["supervisely"].reason == "no ann folder in it"
    assert "no meta.json" in sniff(put("x/y/a.txt", "a"))["supervisely"].reason


@pytest.mark.parametrize("dataset", ["ds0", "one", "one/datasets/two"])
def test_a_project_comes_back_in_its_own_folders(dataset: str, tmp_path: Path) -> None:
    name = f"{dataset}/img/a b.jpg".replace("ds0/img/", "")
    photo = AnnotatedImage(name.replace("/img", "").replace("/datasets", ""), (), 4, 3)
    write([photo], tmp_path / "1", "supervisely")
    place = tmp_path / "1" / dataset / "img" / "a b.jpg"
    place.parent.mkdir()
    place.write_bytes(b"photo")
    (image,) = read(tmp_path / "1")
    assert Path(str(image.root), image.path) == place
    files = [write([image], tmp_path / str(n), "supervisely").files for n in (2, 3)]
    for n, found in zip((2, 3), files, strict=True):
        paths = {path.relative_to(tmp_path / str(n)).as_posix() for path in found}
        assert paths == {"meta.json", f"{dataset}/ann/a b.jpg.json"}
    (back,) = read(tmp_path / "2", root=tmp_path / "1")
    assert back.path == image.path
