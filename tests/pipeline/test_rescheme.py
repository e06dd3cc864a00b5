"""Labels of one scheme into another's, face by face, and what a source's scheme is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tufa_cli.annotation import OCCLUDED, UNLABELLED, VISIBLE, AnnotatedImage, Face
from tufa_cli.errors import InputError, TufaError
from tufa_cli.formats import write
from tufa_cli.pipeline.rescheme import Rescheme, hidden_as_labelled, move_face
from tufa_cli.schemes import get_scheme, read_scheme, scheme_names
from tufa_cli.schemes.tables import get_table
from tufa_cli.schemes.transfer import transfer

WFLW, IBUG, MTFL = get_scheme("wflw98"), get_scheme("ibug68"), get_scheme("mtfl5")
SHARED_98_68 = sorted(WFLW.shared_with(IBUG))


@st.composite
def faces(draw, scheme="wflw98"):
    """A face of a scheme: any places, some of them missing or hidden."""
    count = len(get_scheme(scheme))
    places = st.floats(-1e4, 1e4, allow_nan=False)
    states = st.sampled_from([UNLABELLED, OCCLUDED, VISIBLE, VISIBLE])
    return Face(
        draw(arrays.arrays(np.float64, (count, 2), elements=places)),
        scheme=scheme,
        visibility=draw(arrays.arrays(np.uint8, count, elements=states)),
        confidence=draw(arrays.arrays(np.float64, count, elements=st.floats(0, 1))),
        box=np.array([1.5, 2.5, 30.0, 40.0]),
        score=0.25,
        attributes={"blur": 1},
    )


def ramp(scheme, **more):
    return Face(np.arange(2.0 * len(scheme)).reshape(-1, 2), scheme=scheme.name, **more)


def source_of(tmp_path: Path, *made: Face, format: str = "coco") -> Path:
    """A file, or a folder of .pts, with a photo for each face."""
    path = tmp_path / ("faces.json" if format == "coco" else "points")
    images = [AnnotatedImage(f"{number}.jpg", (face,)) for number, face in enumerate(made)]
    write(images, path, format)
    return path


def faces_of(images: Iterator[AnnotatedImage]) -> list[Face]:
    return [face for image in images for face in image.faces]


@pytest.mark.parametrize("name", scheme_names())
def test_into_its_own_scheme_nothing_changes(name):
    scheme = get_scheme(name)
    face = ramp(scheme)
    made = move_face(face, transfer(scheme, scheme))
    np.testing.assert_array_equal(made.points_px, face.points_px)
    np.testing.assert_array_equal(made.visibility, face.visibility)


@given(faces())
def test_points_that_mean_the_same_are_the_same_to_the_last_digit(face):
    made = move_face(face, transfer(WFLW, IBUG))
    back = move_face(made, transfer(IBUG, WFLW))
    for i, j in SHARED_98_68:
        for there, here in ((made, j), (back, i)):
            np.testing.assert_array_equal(there.points_px[here], face.points_px[i])
            assert there.visibility[here] == face.visibility[i]
            assert there.confidence[here] == face.confidence[i]
    assert (made.box.tolist(), made.score, made.attributes) == (
        face.box.tolist(),
        face.score,
        face.attributes,
    )


@given(faces())
def test_a_made_point_is_as_good_as_the_worst_it_is_made_of(face):
    way = transfer(WFLW, IBUG)
    made = move_face(face, way)
    for index in range(len(IBUG)):
        of = np.flatnonzero(way.weights[index])
        assert made.visibility[index] == face.visibility[of].min()
        assert made.confidence[index] == face.confidence[of].min()
        assert np.isnan(made.points_px[index]).any() == (face.visibility[of].min() == UNLABELLED)


def test_what_a_source_does_not_tell_is_missing_without_confidence():
    made = move_face(ramp(MTFL, confidence=np.ones(5)), transfer(MTFL, IBUG))
    assert made.labelled.sum() == 3 and made.confidence.sum() == 3
    np.testing.assert_array_equal(made.confidence > 0, made.labelled)


def test_a_networks_points_are_hidden_where_a_label_says_so():
    states = np.full(98, VISIBLE, dtype=np.uint8)
    states[[0, 61]] = OCCLUDED  # 61 lies beside 37 of ibug68
    states[16] = UNLABELLED
    found = hidden_as_labelled(ramp(WFLW, visibility=states), transfer(WFLW, IBUG))
    assert found[0] == found[37] == OCCLUDED and found[8] == VISIBLE
    assert hidden_as_labelled(ramp(MTFL), transfer(MTFL, IBUG)).tolist() == [VISIBLE] * 68


def test_a_source_that_says_its_scheme_is_converted(tmp_path):
    rescheme = Rescheme(IBUG)
    found = faces_of(rescheme.read(source_of(tmp_path, ramp(WFLW), ramp(IBUG), ramp(WFLW))))
    assert [face.scheme for face in found] == ["ibug68"] * 3
    np.testing.assert_array_equal(found[0].points_px[36], ramp(WFLW).points_px[60])
    report = rescheme.report()
    assert [row["decision"] for row in report["sources"]] == ["converted"]
    assert report["sources"][0]["says"] == "wflw98" and report["unchanged_faces"] == 1
    (link,) = report["conversions"]
    assert link["counts"] == {
        **{"exact": 44, "interpolated": 24, "table": 0, "predicted": 0, "missing": 0, "moved": 0},
        "unused": 24,
    }
    assert link["faces"] == 2
    assert link["exact"][0] == {"index": 0, "name": IBUG.names[0], "part": "jaw_left_end"}


def test_a_source_that_does_not_say_is_only_named(tmp_path):
    rescheme = Rescheme(IBUG)
    (face,) = faces_of(rescheme.read(source_of(tmp_path, ramp(IBUG), format="pts")))
    assert face.scheme == "ibug68"
    np.testing.assert_allclose(face.points_px, ramp(IBUG).points_px)
    assert rescheme.report()["sources"][0]["decision"] == "named"
    assert rescheme.report()["conversions"] == []


def test_points_that_are_named_and_wanted_in_another_scheme(tmp_path):
    rescheme = Rescheme(MTFL, IBUG)
    (face,) = faces_of(rescheme.read(source_of(tmp_path, ramp(IBUG), format="pts")))
    np.testing.assert_allclose(face.points_px[0], ramp(IBUG).points_px[36:42].mean(axis=0))
    assert rescheme.report()["conversions"][0]["counts"]["exact"] == 5


def test_nothing_asked_nothing_done(tmp_path):
    rescheme = Rescheme()
    (face,) = faces_of(rescheme.read(source_of(tmp_path, ramp(WFLW))))
    assert face.scheme == "wflw98" and rescheme.report() is None


def test_the_refusal_lists_every_point(tmp_path):
    source = source_of(tmp_path, ramp(WFLW))
    with pytest.raises(TufaError) as caught:
        list(Rescheme(get_scheme("aflw21")).read(source))
    assert caught.value.message == (
        "wflw98 does not tell 4 of the 21 points of aflw21: 12 left_ear, 13 left_nose_wing, "
        "15 right_nose_wing, 16 right_ear"
    )
    (face,) = faces_of(Rescheme(get_scheme("aflw21"), partial=True).read(source))
    assert np.flatnonzero(~face.labelled).tolist() == [12, 13, 15, 16]


def test_a_table_tells_both_schemes(tmp_path):
    rescheme = Rescheme(table=get_table("index-98-68"))
    (face,) = faces_of(rescheme.read(source_of(tmp_path, ramp(WFLW), format="pts")))
    np.testing.assert_allclose(face.points_px[37], ramp(WFLW).points_px[61])
    assert rescheme.report()["by"] == "table index-98-68"
    assert rescheme.report()["conversions"][0]["counts"]["table"] == 68


def test_a_users_table_needs_the_sources_scheme(tmp_path):
    (tmp_path / "mine.csv").write_text("source,target\n3,0\n")
    table = get_table(str(tmp_path / "mine.csv"))
    with pytest.raises(TufaError, match="does not say which scheme it makes"):
        Rescheme(table=table)
    with pytest.raises(InputError, match="its labels tell none"):
        list(Rescheme(MTFL, table=table).read(source_of(tmp_path, ramp(IBUG), format="pts")))


def test_a_users_own_scheme_is_known_by_its_file_only(tmp_path, own_scheme):
    """A name in a label file never opens a file, whatever lies there."""
    (tmp_path / "mine.yaml").write_text(own_scheme)
    mine = read_scheme(tmp_path / "mine.yaml")
    rescheme = Rescheme(mine)
    (face,) = faces_of(rescheme.read(source_of(tmp_path, ramp(WFLW))))
    assert face.scheme == "mine"
    np.testing.assert_array_equal(face.points_px[1], ramp(WFLW).points_px[16])
    named = Rescheme(IBUG)
    assert named._known(str(tmp_path / "mine.yaml")) is None
    assert Rescheme(mine)._known("mine") is mine


def test_a_later_face_without_a_scheme_is_no_guess(tmp_path):
    source = source_of(tmp_path, ramp(WFLW), Face(np.ones((68, 2))))
    with pytest.raises(InputError, match=r"1\.jpg: the scheme of a face of 68 points is not told"):
        list(Rescheme(IBUG).read(source))
    errors: list[InputError] = []
    found = list(Rescheme(IBUG).read(source, on_error=errors.append))
    assert [len(image.faces) for image in found] == [1, 0] and len(errors) == 1


def test_a_scheme_that_has_another_number_of_points_is_an_error(tmp_path):
    (tmp_path / "a.json").write_text(
        '{"images": [{"id": 1, "file_name": "a.jpg"}], "categories": [{"id": 1, "name": "x"}],'
        '"annotations": [{"id": 1, "image_id": 1, "category_id": 1, "keypoints": [1, 2, 2]}]}'
    )
    with pytest.raises(InputError, match="no face has the 5 points of mtfl5"):
        list(Rescheme(IBUG, MTFL).read(tmp_path / "a.json"))


def test_looking_at_the_first_face_says_everything_once(tmp_path):
    """Errors and notes of the look are handed on, in order, when the source is read on from it."""
    list_98 = "0 " * 196 + "a.jpg\n"
    (tmp_path / "list.txt").write_text(list_98.replace("0 ", "x ", 1) + list_98 * 2)
    errors: list[InputError] = []
    read = Rescheme(MTFL).read(tmp_path / "list.txt", "wflw", on_error=errors.append)
    assert [face.scheme for face in faces_of(read)] == ["mtfl5"] * 2
    assert [error.line for error in errors] == [1]
    with pytest.raises(InputError) as caught:
        list(Rescheme(MTFL).read(tmp_path / "list.txt", "wflw"))
    assert caught.value.line == 1


def test_faces_go_by_one_after_the_other(tmp_path, monkeypatch):
    """The next face is read only when it is asked for: memory does not grow."""
    from tufa_cli.pipeline import peek

    given: list[int] = []

    def endless(*args, **more):
        for number in range(10**9):
            given.append(number)
            yield AnnotatedImage(f"{number}.jpg", (ramp(WFLW),))

    monkeypatch.setattr(peek, "read", endless)
    images = Rescheme(IBUG).read(tmp_path, "coco")
    assert [next(images).path for _ in range(3)] == ["0.jpg", "1.jpg", "2.jpg"]
    assert len(given) == 3
