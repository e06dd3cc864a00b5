"""Files as other projects' own tests, examples and exports have them, made anew with our numbers.

Every one must load with the right faces, places and visibility, or be refused with what is wrong.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tufa_cli.annotation import AnnotatedImage
from tufa_cli.formats import choose_format, read

Put = Callable[[str, "str | bytes"], Path]

NAN = float("nan")


def places(count: int) -> list[tuple[float, float]]:
    """Points of a face that nobody labelled."""
    return [(20.5 + 3 * index, 90.25 - index) for index in range(count)]


def triplets(count: int, *states: float) -> list[float]:
    """x, y, v of each of them; ``states`` are taken in turn."""
    return [
        value
        for index, (x, y) in enumerate(places(count))
        for value in (x, y, states[index % len(states)])
    ]


def coco(annotations: list[dict[str, Any]], category: dict[str, Any] | None = None) -> str:
    images = [
        {"id": number, "file_name": f"a--b/{number}.jpg", "height": 240, "width": 320}
        for number in sorted({row["image_id"] for row in annotations})
    ]
    known = category or {"supercategory": "person", "name": "face", "keypoints": []}
    return json.dumps(
        {
            "info": {"description": "made", "version": "1.0", "year": 2020},
            "images": images,
            "annotations": annotations,
            "categories": [{"id": 1, "skeleton": [], **known}],
        }
    )


def annotation(identity: int = 1, **more: Any) -> dict[str, Any]:
    row = {"id": identity, "image_id": identity, "category_id": 1, "iscrowd": 0, "area": 100.5}
    return row | more


def only(path: Path, scheme: str | None = None) -> AnnotatedImage:
    """The one photo of a file whose format is found by looking at it."""
    images = list(read(path, scheme=scheme))
    assert len(images) == 1
    return images[0]


MMPOSE = [  # name, points, states in the file, states read
    ("wflw", 98, (1.0,), (2,)),
    ("cofw", 29, (1, 2), (1, 2)),
    ("aflw", 19, (1,), (2,)),
    ("300w-lp", 68, (2,), (2,)),
    ("lapa", 106, (2,), (2,)),
    ("300vw", 68, (1.0,), (2,)),
]


@pytest.mark.parametrize(("name", "count", "states", "wanted"), MMPOSE)
def test_mmpose_faces(
    put: Put, name: str, count: int, states: tuple[float, ...], wanted: tuple[int, ...]
) -> None:
    rows = [
        annotation(
            number,
            keypoints=triplets(count, *states),
            center=[100.0, 110.5],
            scale=0.9,
            num_keypoints=count,
            **({} if name == "300vw" else {"bbox": [10.0, 20.0, 50.0, 60.0], "segmentation": []}),
        )
        for number in (1, 2)
    ]
    images = list(read(put(f"test_{name}.json", coco(rows))))
    assert [image.path for image in images] == ["a--b/1.jpg", "a--b/2.jpg"]
    for image in images:
        (face,) = image.faces
        assert face.points_px.tolist() == [list(place) for place in places(count)]
        assert face.visibility is not None
        assert face.visibility.tolist() == [wanted[i % len(wanted)] for i in range(count)]
        assert (face.box is None) == (name == "300vw")
        assert face.attributes["scale"] == 0.9


def test_mmpose_wholebody_face(put: Put) -> None:
    body = {"keypoints": triplets(17, 2), "num_keypoints": 17, "bbox": [1, 2, 3, 4]}
    hands = {f"{side}hand_kpts": [0] * 63 for side in ("left", "right")}
    face = {"face_box": [10.0, 11.0, 40.0, 50.0], "face_kpts": triplets(68, 1)}
    rows = [
        annotation(1, **body, **hands, **face, face_valid=True),
        annotation(2, **body, **hands, **face, face_valid=False),
    ]
    names = [f"joint{index}" for index in range(17)]
    source = put("coco_wholebody.json", coco(rows, {"name": "person", "keypoints": names}))
    assert choose_format(source) == "coco-wholebody"
    first, second = read(source)
    assert [len(first.faces), len(second.faces)] == [1, 0]
    assert first.faces[0].points_px.shape == (68, 2)
    assert first.faces[0].visibility is not None
    assert set(first.faces[0].visibility.tolist()) == {2}
    assert first.faces[0].box is not None
    assert first.faces[0].box.tolist() == [10, 11, 40, 50]


def test_datumaros_keypoints(put: Put) -> None:
    """A point at x = 0 that is occluded, a missing one, and a category without names."""
    row = annotation(keypoints=[0, 0, 0, 0, 2, 1, 4, 1, 2], num_keypoints=2, bbox=[0, 1, 4, 1])
    image = only(put("annotations/person_keypoints_train.json", coco([row])).parent)
    assert np.array_equal(image.faces[0].points_px, [[NAN, NAN], [0, 2], [4, 1]], equal_nan=True)
    assert image.faces[0].visibility is not None
    assert image.faces[0].visibility.tolist() == [0, 1, 2]


def test_coco_instances_hold_no_face(put: Put) -> None:
    """labelme's and COCO's own instance files: boxes and masks of things, no points."""
    row = annotation(segmentation=[[1, 1, 5, 5, 9, 1]], bbox=[1, 1, 8, 4])
    notes: list[str] = []
    source = put("instances.json", coco([row], {"name": "cat", "supercategory": "animal"}))
    (image,) = read(source, on_note=notes.append)
    assert image.faces == ()
    assert notes == [
        f"{source}: what the file says of itself (info, supercategories) is not kept",
        f"{source}: 1 annotations have no labelled face",
    ]


@pytest.mark.parametrize("name", ["face", "Human head"])
def test_boxes_of_faces_are_faces_without_points(put: Put, name: str) -> None:
    """What a face detector writes, and ``annotate --boxes`` takes."""
    row = annotation(bbox=[1, 1, 8, 4])
    (face,) = only(put("boxes.json", coco([row], {"name": name}))).faces
    assert face.box is not None and face.box.tolist() == [1, 1, 8, 4]
    assert not len(face.points_px)


def test_coco_folder_with_a_file_per_task(put: Put) -> None:
    """COCO's own folder: the photos of captions and instances are those of the keypoints."""
    row = annotation(keypoints=triplets(3, 2), num_keypoints=3, bbox=[0, 1, 4, 1])
    put("annotations/instances_val2017.json", coco([annotation(bbox=[1, 1, 8, 4])], {"name": "a"}))
    source = put("annotations/person_keypoints_val2017.json", coco([row]))
    notes: list[str] = []
    (image,) = read(source.parent, on_note=notes.append)
    assert len(image.faces) == 1
    assert notes[0] == f"{source.parent}: 1 COCO files without keypoints not read"
    assert len(notes) == 2 and "(info) is not kept" in notes[1]


DLIB = """<?xml version='1.0' encoding='ISO-8859-1'?>
<?xml-stylesheet type='text/xsl' href='image_metadata_stylesheet.xsl'?>
<dataset>
<name>Training faces</name>
<comment>
   made
</comment>
<images>
  <image file='2007_0077.jpg'>
    <box top='90' left='194' width='37' height='38'>
      {parts}
    </box>
    <box top='1' left='2' width='37' height='37' ignore='1'/>
    <box top='114' left='158' width='37' height='37'>
      {parts}
    </box>
  </image>
  <image file='nobody.jpg'>
  </image>
</images>
</dataset>
"""


def test_dlibs_training_faces(put: Put) -> None:
    parts = "\n".join(f"<part name='{i:02d}' x='{200 + i}' y='{107 - i}'/>" for i in range(68))
    first, second = read(put("training_with_face_landmarks.xml", DLIB.format(parts=parts)))
    assert [len(first.faces), len(second.faces)] == [2, 0]
    assert first.faces[0].points_px.tolist() == [[200 + i, 107 - i] for i in range(68)]
    assert first.faces[0].box is not None
    assert first.faces[0].box.tolist() == [194, 90, 37, 38]


def via_point(x: float, y: float, **attributes: str) -> dict[str, Any]:
    shape = {"name": "point", "cx": x, "cy": y}
    return {"shape_attributes": shape, "region_attributes": attributes}


def via_files() -> dict[str, Any]:
    points = [via_point(10 + i, 20.5 + i) for i in range(12)]
    entry = {"filename": "a.jpg", "size": 12345, "file_attributes": {}}
    old = entry | {"fileref": "", "base64_img_data": "", "regions": dict(enumerate(points))}
    project = {
        "_via_settings": {"ui": {}, "core": {}, "project": {"name": "via_project"}},
        "_via_img_metadata": {"a.jpg12345": entry | {"regions": points}},
        "_via_attributes": {"region": {}, "file": {}},
        "_via_data_format_version": "2.0.10",
        "_via_image_id_list": ["a.jpg12345"],
    }
    shapes = [json.dumps(point["shape_attributes"]).replace('"', '""') for point in points]
    rows = [f'a.jpg,12345,"{{}}",12,{i},"{shape}","{{}}"' for i, shape in enumerate(shapes)]
    head = "filename,file_size,file_attributes,region_count,region_id,region_shape_attributes,"
    table = "\n".join([head + "region_attributes", *rows, ""])
    return {
        "via1.json": json.dumps({"a.jpg12345": old}),
        "via2.json": json.dumps({"a.jpg12345": entry | {"regions": points}}),
        "via2_project.json": json.dumps(project),
        "via1.csv": "#" + table,
        "via2.csv": table,
    }


@pytest.mark.parametrize("name", via_files())
def test_via(put: Put, name: str) -> None:
    image = only(put(name, via_files()[name]))
    assert image.path == "a.jpg"
    assert image.faces[0].points_px.tolist() == [[10 + i, 20.5 + i] for i in range(12)]


def labelme_files() -> dict[str, dict[str, Any]]:
    """The same five points as versions 3, 4 and 5 and X-AnyLabeling save them."""
    shape = {"shape_type": "point"}
    rows = [{"label": str(i), "points": [[i + 0.5, i + 2.25]], **shape} for i in range(5)]
    size = {"imageHeight": 240, "imageWidth": 320}
    common = {"flags": {}, "imagePath": "a.jpg", "imageData": None}
    v4 = {"group_id": None, "flags": {}}
    v5 = v4 | {"description": "", "mask": None}
    any_ = {"group_id": 1, "score": None, "difficult": False, "attributes": {}, "kie_linking": []}
    colours = {"line_color": None, "fill_color": None}
    return {
        "3": {
            **common,
            "version": "3.4.1",
            "lineColor": [0, 255, 0, 128],
            "fillColor": [255, 0, 0, 128],
            "shapes": [row | colours for row in rows],
        },
        "4": {**common, **size, "version": "4.5.6", "shapes": [row | v4 for row in rows]},
        "5": {**common, **size, "version": "5.4.1", "shapes": [row | v5 for row in rows]},
        "any": {**common, **size, "version": "2.3.6", "shapes": [row | any_ for row in rows]},
    }


@pytest.mark.parametrize("version", labelme_files())
def test_labelme(put: Put, version: str) -> None:
    image = only(put("a.json", json.dumps(labelme_files()[version])))
    assert image.path == "a.jpg"
    assert image.faces[0].points_px.tolist() == [[i + 0.5, i + 2.25] for i in range(5)]
    assert (image.width, image.height) == ((None, None) if version == "3" else (320, 240))


def test_labelme_of_the_first_versions(put: Put) -> None:
    """No shape_type at all: a polygon, which is a face where it has the scheme's points."""
    eyes = {"label": "face", "line_color": None, "points": [[1, 2], [3, 4], [5, 6], [7, 8], [9, 1]]}
    text = json.dumps({"shapes": [eyes], "imagePath": "a.jpg", "imageData": None})
    assert only(put("a.json", text)).faces == ()
    (face,) = only(put("a.json", text), scheme="mtfl5").faces
    assert face.points_px.tolist() == eyes["points"]


def openface(faces: list[str], rows: list[list[str]]) -> str:
    """Columns with spaces behind the commas, as OpenFace writes them."""
    columns = [f"{axis}_{index}" for axis in "xy" for index in range(68)]
    values = [f"{index}.5" for index in range(136)]
    return "\n".join([", ".join(faces + columns), *(", ".join(row + values) for row in rows), ""])


def test_openface_with_several_faces(put: Put) -> None:
    head = ["frame", "face_id", "timestamp", "confidence", "success"]
    rows = [[str(f), str(i), "0.03", "0.98", "1"] for f in (1, 2) for i in (0, 1)]
    rows.append(["3", "0", "0.1", "0.02", "0"])
    images = list(read(put("clip.csv", openface(head, rows))))
    assert [len(image.faces) for image in images] == [2, 2, 0]
    assert images[0].faces[1].points_px.tolist() == [[i + 0.5, i + 68.5] for i in range(68)]
    assert images[0].faces[1].attributes["face_id"] == 1


CVAT = """<?xml version="1.0" encoding="utf-8"?>
<annotations><version>1.1</version><meta><task><id>7</id><size>2</size><mode>annotation</mode>
<labels><label><name>face</name><type>skeleton</type><attributes></attributes>
<svg>&lt;circle r="1.5" cx="18" cy="20" data-element-id="1" data-label-name="1"&gt;</svg></label>
<label><name>2</name><type>points</type><attributes></attributes><parent>face</parent></label>
<label><name>1</name><type>points</type><attributes></attributes><parent>face</parent></label>
<label><name>3</name><type>points</type><attributes></attributes><parent>face</parent></label>
</labels></task><dumped>now</dumped></meta>{body}</annotations>"""


def test_cvat_skeletons_go_by_name(put: Put) -> None:
    """Neither the points of a shape nor the sub-labels of the task stand in any order."""
    point = '<points label="{}" source="manual" outside="{}" occluded="{}" points="{}"></points>'
    points = [
        point.format(3, 0, 1, "30.10,31.20"),
        point.format(1, 0, 0, "10.10,11.20"),
        point.format(2, 1, 0, "0.00,0.00"),
    ]
    body = f"""<image id="0" name="dir/a.jpg" width="320" height="240">
    <skeleton label="face" source="manual" z_order="0">{"".join(points)}</skeleton></image>"""
    (face,) = only(put("annotations.xml", CVAT.format(body=body))).faces
    wanted = [[10.1, 11.2], [NAN, NAN], [30.1, 31.2]]
    assert np.array_equal(face.points_px, wanted, equal_nan=True)
    assert face.visibility is not None
    assert face.visibility.tolist() == [2, 0, 1]
