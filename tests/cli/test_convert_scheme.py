"""``convert --scheme``: what is named, what is converted, what is refused, and what is said."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tufa_cli.annotation import AnnotatedImage, Face
from tufa_cli.formats import read, write
from tufa_cli.schemes import builtin_plane, get_scheme
from tufa_cli.schemes.transfer import transfer

PLANE = builtin_plane()


@pytest.fixture
def labels(tmp_path):
    """``labels(scheme, name)``: the mean face, as labels of one photo."""

    def make(scheme="wflw98", name="in.json", format="coco", **more):
        face = Face(100 + 80 * PLANE[scheme], scheme=scheme, **more)
        write([AnnotatedImage("a.jpg", (face,))], tmp_path / name, format)
        return tmp_path / name

    return make


def only(path, **more):
    (image,) = read(path, **more)
    (face,) = image.faces
    return face


def test_labels_that_say_their_scheme_are_converted(convert, labels):
    labels()
    done = convert("in.json", "--to", "pts", "--scheme", "ibug68", "-o", "out.pts")
    assert (done.code, done.out) == (0, "")
    said = done.err.splitlines()
    assert said[0] == "Scheme: converted wflw98 to ibug68, 1 face, by what the points mean."
    assert said[1].startswith("  exact, 44: jaw_left_end 0; jaw 1-15; jaw_right_end 16; ")
    assert "  interpolated, 24: left_brow_upper 18, 19; " in done.err
    assert "  not used of wflw98, 24: jaw 1, 3, 5, " in done.err
    assert said[-1] == "Wrote 1 face of 1 photo in 1 file to out.pts (pts)."
    made = only("out.pts").points_px
    assert len(made) == 68
    np.testing.assert_allclose(
        made[[8, 36, 45]], 100 + 80 * PLANE["wflw98"][[16, 60, 72]], atol=1e-6
    )


def test_by_habit_points_go_where_the_other_schemes_annotators_put_them(convert, labels):
    labels()
    words = ("in.json", "--to", "pts", "--scheme", "ibug68", "--scheme-by", "habits", "--json")
    done = convert(*words, "-o", "moved.pts")
    assert done.code == 0
    said = done.err.splitlines()
    assert said[0].endswith("1 face, by what the points mean and how people put them.")
    assert said[1] == "  moved by habit, 68: all points"
    report = json.loads(done.out)["scheme"]
    assert report["by"] == "habits"
    assert report["conversions"][0]["counts"]["moved"] == 68
    way = transfer(get_scheme("wflw98"), get_scheme("ibug68"), habits=True)
    np.testing.assert_allclose(
        only("moved.pts").points_px, way.apply(100 + 80 * PLANE["wflw98"]), atol=1e-6
    )
    done = convert(*words[:4], "mtfl5", *words[5:], "-o", "x.pts")
    assert (done.code, done.out) == (1, "")
    assert "how people label mtfl5 was not measured" in done.err


def test_points_without_a_scheme_are_named_as_ever(convert, labels):
    labels("ibug68", "points", "pts")
    done = convert("points", "--to", "coco", "--scheme", "ibug68", "-o", "out.json")
    assert done.code == 0
    assert done.err.splitlines()[0] == (
        "Scheme: the points are read as ibug68, nothing converted "
        "(SOURCE does not tell its scheme)."
    )
    assert only("out.json").scheme == "ibug68"


def test_a_scheme_that_is_there_already(convert, labels):
    labels()
    done = convert("in.json", "--to", "wflw", "--scheme", "wflw", "-o", "out.txt")
    assert done.code == 0
    assert "Scheme: the points are wflw98 already, nothing converted.\n" in done.err


def test_from_scheme_names_and_scheme_converts(convert, labels):
    labels("wflw98", "points", "pts")
    words = ("points", "--to", "coco", "-o", "out.json")
    done = convert(*words, "--scheme", "ibug68")
    assert done.code == 1
    assert "expected 68 points, found 98" in done.err
    assert "Hint: to convert points of another scheme, name it with --from-scheme" in done.err
    done = convert(*words, "--from-scheme", "wflw98", "--scheme", "mtfl5")
    assert done.code == 0 and "  exact, 5: all points\n" in done.err
    assert only("out.json").scheme == "mtfl5"
    done = convert(*words, "--from-scheme", "wflw98", "--overwrite")
    assert done.code == 0 and "read as wflw98, nothing converted (as --from-scheme" in done.err


def test_points_that_cannot_be_had_are_listed_and_nothing_is_written(convert, labels):
    labels(confidence=np.full(98, 0.5))
    words = ("in.json", "--to", "coco", "--scheme", "aflw21", "-o", "out.json")
    done = convert(*words)
    assert done.code == 1 and not Path("out.json").exists()
    assert "4 of the 21 points of aflw21: 12 left_ear, 13 left_nose_wing, 15 right" in done.err
    assert "Hint: --scheme-partial leaves them missing; --scheme-by model" in done.err
    done = convert(*words, "--scheme-partial")
    assert done.code == 0
    assert "  missing, 4: left_ear 12; left_nose_wing 13; right_nose_wing 15" in done.err
    assert np.flatnonzero(~only("out.json").labelled).tolist() == [12, 13, 15, 16]


def test_missing_says_what_the_new_format_does_with_them(convert, labels):
    labels()
    words = ("in.json", "--to", "pts", "--scheme", "aflw21", "-o", "out.pts", "--scheme-partial")
    done = convert(*words)
    assert done.code == 1 and "pts cannot hold that points are missing" in done.err
    assert convert(*words, "--missing", "sentinel").code == 0
    assert Path("out.pts").read_text().count("-1 -1\n") == 4


def test_the_report_as_json(convert, labels):
    labels(box=np.array([1.0, 2, 3, 4]), attributes={"blur": 1})
    done = convert("in.json", "--to", "coco", "--scheme", "ibug68", "-o", "out.json", "--json")
    scheme = done.json["scheme"]
    assert (scheme["scheme"], scheme["by"]) == ("ibug68", "labels")
    assert scheme["sources"] == [{"source": "in.json", "decision": "converted", "says": "wflw98"}]
    (link,) = scheme["conversions"]
    assert (link["from"], link["to"], link["faces"]) == ("wflw98", "ibug68", 1)
    assert link["counts"]["exact"] == len(link["exact"]) == 44
    assert link["interpolated"][0]["name"] == "left_brow_upper_0190"
    face = only("out.json")
    assert face.box.tolist() == [1, 2, 3, 4] and face.attributes == {"blur": 1}
    assert convert("in.json", "--to", "coco", "--dry-run", "--json").json["scheme"] is None


def test_tables_by_name_and_by_file(convert, labels):
    labels()
    words = ("in.json", "--to", "coco", "-o", "out.json", "--overwrite")
    done = convert(*words, "--scheme-table", "pipnet-98-68")
    assert done.code == 0 and "by the table pipnet-98-68.\n  from the table, 68: all" in done.err
    assert only("out.json").scheme == "ibug68"
    Path("mine.csv").write_text("source,target\n96,0\n97,1\n54,2\n76,3\n82,4\n")
    done = convert(*words, "--scheme", "mtfl5", "--scheme-table", "mine.csv")
    assert done.code == 0
    np.testing.assert_allclose(only("out.json").points_px[0], 100 + 80 * PLANE["wflw98"][96])
    done = convert(*words, "--scheme-table", "pipnet-98")
    assert done.code == 1 and "did you mean pipnet-98-68" in done.err
    done = convert(*words, "--scheme-table", "mmpose-98-106")
    assert done.code == 1 and "the table mmpose-98-106 does not tell 8 of the 106" in done.err


@pytest.mark.parametrize(
    ("words", "code", "problem"),
    [
        (("--scheme-by", "model"), 2, "--scheme-by needs --scheme"),
        (("--scheme-partial",), 2, "--scheme-partial needs --scheme"),
        (("--scheme", "ibug68", "--weights", "x.pt"), 2, "--weights needs --scheme-by model"),
        (
            ("--scheme", "ibug68", "--scheme-by", "model", "--scheme-table", "x.csv"),
            2,
            "exclude each other",
        ),
        (
            ("--scheme", "ibug68", "--scheme-by", "habits", "--scheme-table", "x.csv"),
            2,
            "--scheme-by habits and --scheme-table exclude each other",
        ),
        (("--scheme", "ibug86"), 1, "unknown scheme 'ibug86': did you mean"),
        (("--scheme", "ibug68", "--from-scheme", "x"), 1, "unknown scheme 'x'"),
        (("--scheme", "ibug68", "--scheme-by", "model", "--weights", "x.pt"), 1, "x.pt: cannot"),
        (("--scheme-table", "absent.csv"), 1, "absent.csv: cannot read the table"),
    ],
)
def test_wrong_words(convert, labels, words, code, problem):
    labels()
    done = convert("in.json", "--to", "coco", "-o", "out.json", *words)
    assert (done.code, done.out) == (code, "") and problem in done.err
    assert not Path("out.json").exists()


def test_the_network_is_loaded_only_when_it_is_asked(python, labels):
    path = labels()
    probe = (
        "import sys\nfrom tufa_cli.cli import main\n"
        "try:\n    main(sys.argv[1:])\nexcept SystemExit as end:\n    assert not end.code\n"
        "assert 'torch' not in sys.modules\n"
    )
    words = ("convert", path, "--to", "coco", "--scheme", "ibug68", "-o", path.parent / "o.json")
    done = python(["-c", probe, *words])
    assert done.code == 0, done.stderr


@pytest.fixture
def astronaut_98(convert, photos):
    """Labels of the photo's face in 98 points, by the shipped network on a box of the face."""
    box = np.array([85.0, 50, 100, 130])
    write(
        [AnnotatedImage("a.jpg", (Face(np.zeros((0, 2)), box=box),), root=str(photos))],
        photos / "box.json",
        "coco",
    )
    from tufa_cli.cli import main

    words = ["annotate", photos / "a.jpg", "--scheme", "wflw98", "--boxes", photos / "box.json"]
    with pytest.raises(SystemExit):
        main([str(word) for word in (*words, "-o", photos / "98.json", "--device", "cpu")])
    return photos / "98.json"


def test_the_network_labels_the_photos_anew(convert, astronaut_98, photos, assert_on_the_face):
    data = json.loads(astronaut_98.read_text())
    data["annotations"][0]["keypoints"][2] = 1  # the jaw's end: hidden
    data["images"].append({"id": 2, "file_name": "gone.jpg"})
    data["annotations"].append({**data["annotations"][0], "id": 2, "image_id": 2})
    astronaut_98.write_text(json.dumps(data))
    words = ("photos/98.json", "--to", "coco", "--scheme", "ibug68")
    done = convert(*words, "--scheme-by", "model", "--device", "cpu", "-o", "model.json")
    assert done.code == 3
    assert "Skipped: gone.jpg: photo not found (--images names its folder)" in done.err
    assert "converted wflw98 to ibug68, 1 face, by the network, from the photos." in done.err
    assert "  predicted, 68: all points" in done.err
    face, before = only("model.json"), only_first(astronaut_98)
    assert (face.scheme, face.source, len(face.points_px)) == ("ibug68", "auto", 68)
    assert face.visibility.tolist() == [1, *[2] * 67]
    assert face.box.tolist() == before.box.tolist() and face.confidence.max() > 0.5
    assert_on_the_face(face)
    convert(*words, "-o", "labels.json")
    by_labels = only_first(Path("labels.json"))
    eyes = np.linalg.norm(before.points_px[60] - before.points_px[72])
    apart = np.linalg.norm(face.points_px - by_labels.points_px, axis=1) / eyes
    assert apart.mean() < 0.06 and not np.allclose(apart, 0)


def only_first(path):
    image = next(iter(read(path)))
    return image.faces[0]


def test_faces_that_no_crop_fits_are_listed(convert, weights_file, photos):
    upside_down = Face(200 - 80 * PLANE["wflw98"], scheme="wflw98")
    good = Face(80 + 100 * PLANE["wflw98"], scheme="wflw98")
    done_already = Face(80 + 100 * PLANE["mtfl5"], scheme="mtfl5")
    boxed = Face(np.full((98, 2), np.nan), scheme="wflw98", box=np.array([90.0, 80, 90, 90]))
    faces = (upside_down, good, done_already, boxed)
    write([AnnotatedImage("a.jpg", faces)], photos / "in.json", "coco")
    words = ("--scheme", "mtfl5", "--scheme-by", "model", "--weights", weights_file)
    done = convert("photos/in.json", "--to", "coco", *words, "-o", "out.json")
    assert done.code == 3
    assert "Skipped: a.jpg: face 1: the labelled points do not fit the plane upright" in done.err
    assert "converted wflw98 to mtfl5, 2 faces" in done.err
    assert "Scheme: 1 face had mtfl5 already.\n" in done.err
    (image,) = read("out.json")
    assert [face.source for face in image.faces] == ["auto", "manual", "auto"]
    np.testing.assert_array_equal(image.faces[1].points_px, done_already.points_px)


def test_without_any_photo_there_is_nothing_to_write(convert, labels, weights_file):
    labels()
    words = ("--scheme", "ibug68", "--scheme-by", "model", "--weights", weights_file)
    done = convert("in.json", "--to", "coco", *words, "-o", "out.json")
    assert done.code == 1 and not Path("out.json").exists()
    assert "Skipped: a.jpg: photo not found" in done.err
