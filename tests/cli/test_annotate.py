"""``tufa-cli annotate``: the outputs, the options, what a second run does."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from tufa_cli.detect import DEFAULT_DETECTOR
from tufa_cli.formats import read
from tufa_cli.images.reading import read_rgb


def test_a_folder_becomes_a_coco_file(annotate, photos, tmp_path, assert_on_the_face, portrait):
    out = tmp_path / "out.json"
    ran = annotate(photos, "-o", out, "--largest")
    assert (ran.code, ran.out) == (0, "")
    assert ran.err.endswith(f"{out}: 2 faces in 2 photos\n")
    images = list(read(out, format="coco"))
    assert [image.path for image in images] == ["a.jpg", "sub/b.png"]
    for image in images:
        assert (image.width, image.height, len(image.faces)) == (portrait.size, portrait.size, 1)
        face = image.faces[0]
        assert (face.scheme, face.source, face.confidence.shape) == ("wflw98", "auto", (98,))
        assert 0.5 <= face.score <= 1 and ((face.confidence >= 0) & (face.confidence <= 1)).all()
        assert_on_the_face(face)


def test_without_an_output_the_json_goes_to_stdout(annotate, photos):
    ran = annotate(photos / "a.jpg", scheme="300w")
    assert ran.code == 0
    assert ran.json["images"][0]["file_name"] == "a.jpg"
    assert ran.json["categories"][0]["name"] == "ibug68"
    assert len(ran.json["annotations"][0]["keypoints"]) == 3 * 68
    assert len(ran.json["annotations"][0]["keypoint_scores"]) == 68


@pytest.mark.parametrize("format, name", [("pts", "labels"), ("wflw", "list.txt")])
def test_other_formats(annotate, photos, tmp_path, format, name, assert_on_the_face):
    out = tmp_path / name
    ran = annotate(photos, "-o", out, "--to", format, "--largest")
    assert ran.code == 0 and "Not held by" in ran.err
    images = list(read(out, format=format, root=photos))
    assert [image.path for image in images] == ["a.jpg", "sub/b.png"]
    for image in images:
        assert_on_the_face(image.faces[0])


def test_a_list_of_photos_on_stdin(annotate, photos):
    names = f"{photos / 'sub' / 'b.png'}\n\n{photos / 'a.jpg'}\r\n".encode()
    ran = annotate("-", stdin=names)
    assert ran.code == 0
    assert [image["file_name"] for image in ran.json["images"]] == ["sub/b.png", "a.jpg"]


def test_overlays_are_drawn_in_the_photos_sub_folders(annotate, photos, tmp_path, portrait):
    before = {path: path.read_bytes() for path in photos.rglob("*.*")}
    draw = tmp_path / "overlays"
    ran = annotate(photos, "-o", tmp_path / "out.json", "--draw", draw)
    assert ran.code == 0
    for name in ("a.jpg", "sub/b.png"):
        drawn, photo = read_rgb(draw / name), read_rgb(photos / name)
        # enlarged, to keep the points apart
        assert drawn.shape == (2 * portrait.size, 2 * portrait.size, 3)
        x0, y0, x1, y1 = portrait.face
        changed = np.abs(drawn[::2, ::2].astype(int) - photo).max(axis=2) > 80
        assert changed[y0:y1, x0:x1].mean() > 0.05 > 2 * changed[:, :60].mean()
    assert {path: path.read_bytes() for path in photos.rglob("*.*")} == before


def test_overlays_never_replace_photos_or_each_other_unasked(annotate, photos, tmp_path):
    ran = annotate(photos, "--draw", photos, "--overwrite")
    assert ran.code == 1 and "would replace the photos" in ran.err
    inside = photos / "overlays"
    assert annotate(photos, "--draw", inside).code == 0
    ran = annotate(photos, "--draw", inside)
    assert ran.code == 1 and "exists already" in ran.err
    ran = annotate(photos, "--draw", inside, "--overwrite")
    assert [image["file_name"] for image in ran.json["images"]] == ["a.jpg", "sub/b.png"]


def test_an_output_is_not_replaced_unasked(annotate, photos, tmp_path):
    out = tmp_path / "out.json"
    out.write_text("mine")
    ran = annotate(photos, "-o", out)
    assert ran.code == 1 and out.read_text() == "mine"
    assert "--resume" in ran.err and "--overwrite" in ran.err
    assert annotate(photos, "-o", out, "--overwrite").code == 0
    assert len(list(read(out))) == 2


def test_resume_annotates_only_what_is_missing(annotate, photos, tmp_path):
    out, at_once = tmp_path / "out.json", tmp_path / "at_once.json"
    assert annotate(photos, "-o", at_once).code == 0
    later = photos / "sub" / "b.png"
    hidden = later.rename(tmp_path / "b.png")
    assert annotate(photos, "-o", out).code == 0
    hidden.rename(later)
    ran = annotate(photos, "-o", out, "--resume", "--json")
    assert (ran.json["photos"], ran.json["photos_in_output"]) == (1, 2)
    assert out.read_bytes() == at_once.read_bytes()


def test_an_interrupted_run_keeps_what_it_has(annotate, photos, tmp_path, monkeypatch):
    from tufa_cli.pipeline import annotate as pipeline

    def read_then_stop(path):
        if path.name == "b.png":
            raise KeyboardInterrupt
        return read_rgb(path)

    monkeypatch.setattr(pipeline, "read_rgb", read_then_stop)
    out = tmp_path / "out.json"
    ran = annotate(photos, "-o", out, "--batch-size", 1)
    assert ran.code == 130
    assert f"{out}: 1 photo saved" in ran.err and "--resume" in ran.err
    assert [image.path for image in read(out)] == ["a.jpg"]


def test_a_dry_run_writes_nothing(annotate, photos, tmp_path):
    before = sorted(tmp_path.rglob("*"))
    ran = annotate(photos, "-o", tmp_path / "out.json", "--draw", tmp_path / "d", "--dry-run")
    assert ran.code == 0
    assert ran.out.startswith("2 photos to annotate with wflw98 (98 points)\n")
    assert sorted(tmp_path.rglob("*")) == before


def test_the_json_report(annotate, photos, tmp_path):
    (photos / "notes.txt").write_text("")
    (photos / "bad.jpg").write_bytes(b"")
    out = tmp_path / "out.json"
    ran = annotate(photos, "-o", out, "--json", "--quiet", "--largest")
    assert ran.code == 3
    assert ran.json == {
        "output": str(out),
        "scheme": "wflw98",
        "detector": DEFAULT_DETECTOR,
        "photos": 2,
        "faces": 2,
        "photos_without_face": 0,
        "photos_in_output": 2,
        "other_files": 1,
        "failed": [{"photo": str(photos / "bad.jpg"), "reason": "the file is empty"}],
    }
    assert ran.err == f"Failed: {photos / 'bad.jpg'}: the file is empty\n"


def test_options_choose_the_faces(annotate, photos, portrait):
    assert annotate(photos / "a.jpg", "--min-face", 500).json["annotations"] == []
    assert annotate(photos / "a.jpg", "--min-score", 0.9999).json["annotations"] == []
    assert annotate(photos / "a.jpg", min_confidence=0.99).json["annotations"] == []
    both = Image.fromarray(np.hstack([portrait.pixels] * 2))
    both.save(photos / "two.png")
    assert len(annotate(photos / "two.png").json["annotations"]) >= 2
    assert len(annotate(photos / "two.png", "--largest").json["annotations"]) == 1


def test_boxes_of_other_annotations_take_the_detectors_place(annotate, photos, tmp_path, portrait):
    boxes = tmp_path / "boxes.json"
    assert annotate(photos, "-o", boxes, "--largest", scheme="mtfl5").code == 0
    ran = annotate(photos, "--boxes", boxes)
    assert ran.code == 0
    assert len(ran.json["annotations"]) == 2
    points = np.reshape(ran.json["annotations"][0]["keypoints"], (98, 3))[:, :2]
    x0, y0, x1, y1 = portrait.face
    assert x0 < points[:, 0].mean() < x1 and y0 < points[:, 1].mean() < y1


def test_face_crops_need_no_search(annotate, photos, portrait):
    ran = annotate(photos / "a.jpg", "--detector", "whole-image")
    size = portrait.size
    np.testing.assert_allclose(ran.json["annotations"][0]["bbox"], [-0.5, -0.5, size, size])


def test_a_scheme_file_nobody_trained(annotate, photos, tmp_path, assert_on_the_face, own_scheme):
    (tmp_path / "mine.yaml").write_text(own_scheme)
    out = tmp_path / "out.json"
    ran = annotate(
        photos, "-o", out, "--largest", "--draw", tmp_path / "d", scheme=tmp_path / "mine.yaml"
    )
    assert ran.code == 0
    face = next(read(out)).faces[0]
    assert face.scheme == "mine" and face.points_px.shape == (4, 2)
    assert_on_the_face(face, (85, 100, 185, 185))
    assert annotate(photos, "-o", out, "--resume", scheme=tmp_path / "mine.yaml").code == 0


def test_the_real_command_writes_json_that_a_pipe_can_read(run_cli, photos, weights_file):
    ran = run_cli(
        *("annotate", ".", "--scheme", "cofw", "--weights", weights_file, "--threads", 1),
        cwd=photos,
    )
    assert ran.code == 0, ran.stderr
    assert [image["file_name"] for image in json.loads(ran.stdout)["images"]] == [
        "a.jpg",
        "sub/b.png",
    ]
    assert ran.stderr.endswith(" in 2 photos\n")
