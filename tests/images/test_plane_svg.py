"""The plane's picture as lines: the same points, panels and numbers as the drawn one."""

from __future__ import annotations

from xml.etree import ElementTree

import numpy as np
import pytest

from tufa_cli.errors import OutputError
from tufa_cli.images.plane_svg import plane_svg, write_plane
from tufa_cli.images.plots import check_picture, frame_of, plane_picture, to_canvas

SHAPES = {
    "one & two": np.array([[0.2, 0.3], [0.8, 0.3], [0.5, 0.9]]),
    "other": np.array([[0.1, -0.1]]),
}
EDGES = {"one & two": [(0, 1), (1, 2)]}
FACE = [np.array([[0.0, 0.0], [0.5, 1.1], [1.0, 0.0]])]
SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.parametrize(
    ("outline", "alone", "panels"), [((), True, 3), (FACE, True, 4), (FACE, False, 2)]
)
def test_panels_points_and_numbers(outline, alone, panels):
    root = ElementTree.fromstring(plane_svg(SHAPES, EDGES, outline, alone))
    drawn = plane_picture(SHAPES, EDGES, outline=outline, alone=alone)
    assert (int(root.get("height")), int(root.get("width"))) == drawn.shape[:2]
    groups = root.findall(f"{SVG}g")
    assert len(groups) == panels
    last = groups[-2]
    if panels == 4:
        assert [text.text for text in last.iter(f"{SVG}text")] == ["0", "other: 1 points"]
        last = groups[1]
        assert last.find(f"{SVG}text[4]").text == "one & two on the mean face"
    spots = [[float(dot.get("cx")), float(dot.get("cy"))] for dot in last.iter(f"{SVG}circle")]
    frame = frame_of([*SHAPES.values(), *outline])
    np.testing.assert_allclose(spots, to_canvas(SHAPES["one & two"], *frame, 700), atol=0.006)
    lines = [line.get("points") for line in last.iter(f"{SVG}polyline")]
    assert len(lines) == (1 if outline else 3)  # the face; the unit square and two bones


def test_a_picture_is_written_by_its_ending(tmp_path):
    for name in ("a.svg", "a.png"):
        check_picture(tmp_path / name, False, svg=True)
        write_plane(tmp_path / name, SHAPES, EDGES)
    assert (tmp_path / "a.svg").read_text().startswith("<svg ")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(OutputError, match="exists already"):
        check_picture(tmp_path / "a.svg", False, svg=True)


@pytest.mark.parametrize(("name", "svg"), [("a.pdf", True), ("a.svg", False), ("a.txt", True)])
def test_other_endings_are_told_before_any_work(tmp_path, name, svg):
    with pytest.raises(OutputError, match="pictures cannot be written as"):
        check_picture(tmp_path / name, False, svg)
