"""A file of each annotation tool with all that its format has, each thing marked by a word.

Words begin with ``T_``, so that what is no longer there after a conversion can be listed.
"""

from __future__ import annotations

import json
from typing import Any

PLACES = [[10.5, 20.5], [30.5, 20.25], [20.5, 30.5], [12.5, 40.5], [28.5, 40.5]]
NAMES = [f"T_k{i}" for i in range(5)]
FLAT = [value for x, y in PLACES for value in (x, y, 2)]


def _coco() -> dict[str, str]:
    image = {"id": 77, "file_name": "a.jpg", "width": 640, "height": 480, "license": 7}
    image |= {"coco_url": "T_url", "flickr_url": "T_flickr", "date_captured": "T_date"}
    face = {"id": 501, "image_id": 77, "category_id": 9, "bbox": [1, 2, 30, 40], "area": 999}
    face |= {"iscrowd": 1, "segmentation": [[1, 2, 3, 4, 5, 6.5]], "keypoints": FLAT}
    face |= {"num_keypoints": 5, "score": 0.5, "caption": "T_caption"}
    face |= {"attributes": {"mood": "T_mood"}}
    kind = {"id": 9, "name": "T_class", "supercategory": "T_super", "keypoints": NAMES}
    data = {
        "info": {"description": "T_info"},
        "licenses": [{"id": 7, "name": "T_license"}],
        "images": [image],
        "annotations": [face],
        "categories": [kind | {"skeleton": [[1, 2]]}],
    }
    return {"a.json": json.dumps(data)}


def _cvat() -> dict[str, str]:
    parts = "".join(
        f"<label><name>{n}</name><type>points</type><parent>T_class</parent></label>" for n in NAMES
    )
    points = "".join(
        f'<points label="{n}" source="manual" outside="0" occluded="0" points="{x},{y}"/>'
        for n, (x, y) in zip(NAMES, PLACES, strict=True)
    )
    return {
        "a.xml": f"""<annotations><version>1.1</version><meta><task><name>T_task</name>
<owner><username>T_owner</username></owner><labels>
<label><name>T_class</name><type>skeleton</type></label>{parts}</labels></task></meta>
<image id="77" name="a.jpg" width="640" height="480" subset="train" task_id="T_id">
<tag label="T_tag" source="manual"></tag>
<skeleton label="T_class" source="manual" z_order="4" group_id="3">
<attribute name="mood">T_mood</attribute>{points}</skeleton>
<box label="T_box" source="manual" occluded="1" xtl="1" ytl="2" xbr="31" ybr="42" z_order="0"
 group_id="3" rotation="30"><attribute name="size">T_size</attribute></box></image></annotations>"""
    }


def _labelme() -> dict[str, str]:
    def shape(label: str, kind: str, points: list[Any], **more: Any) -> dict[str, Any]:
        start = {"label": label, "points": points, "group_id": 42, "shape_type": kind}
        return start | {"flags": {}, "description": ""} | more

    box = shape("T_class", "rectangle", [[1, 2], [31, 42]], description="T_said")
    box["flags"] = {"T_flag": True}
    points = [shape(n, "point", [p]) for n, p in zip(NAMES, PLACES, strict=True)]
    points[0]["description"] = "T_point"
    points[1]["flags"] = {"T_pointflag": True, "occluded": False}
    data = {
        "version": "5.5.0",
        "flags": {"T_photo": True},
        "shapes": [box, *points],
        "imagePath": "a.jpg",
        "imageData": "T_pixels",
        "imageHeight": 480,
        "imageWidth": 640,
        "more": "T_more",
    }
    return {"a.json": json.dumps(data)}


def _label_studio() -> dict[str, str]:
    common = {"original_width": 640, "original_height": 480, "image_rotation": 0}
    common |= {"to_name": "image", "origin": "manual"}
    value: dict[str, Any] = {"x": 1, "y": 2, "width": 30, "height": 40, "rotation": 5}
    box = {"id": "r", "type": "rectanglelabels", "from_name": "box", **common}
    box |= {"value": value | {"rectanglelabels": ["T_class"]}, "meta": {"mood": "T_mood"}}
    points: list[dict[str, Any]] = []
    for name, (x, y) in zip(NAMES, PLACES, strict=True):
        value = {"x": x / 6.4, "y": y / 4.8, "width": 0.5, "keypointlabels": [name]}
        row = {"id": name[2:], "type": "keypointlabels", "from_name": "kp", "parentID": "r"}
        points.append(row | {"value": value} | common)
    points[0]["meta"] = {"text": ["T_point"]}
    choice = {"id": "c", "type": "choices", "from_name": "T_ask", "to_name": "image"}
    choice["value"] = {"choices": ["T_chosen"]}
    made = {"id": 5, "completed_by": {"id": 3, "email": "T_mail"}, "lead_time": 12.5}
    made["result"] = [box, *points, choice]
    other = {"id": 6, "result": [choice | {"value": {"choices": ["T_other"]}}]}
    task = {"id": 77, "data": {"image": "a.jpg", "text": "T_data"}, "annotations": [made, other]}
    return {"a.json": json.dumps([task | {"predictions": [], "meta": {"m": "T_meta"}}])}


def _via() -> dict[str, str]:
    box = {"name": "rect", "x": 1, "y": 2, "width": 30, "height": 40}
    said = {"face": "T_face", "label": "T_class", "mood": "T_mood"}
    regions = [{"shape_attributes": box, "region_attributes": said}]
    for name, (x, y) in zip(NAMES, PLACES, strict=True):
        shape = {"name": "point", "cx": x, "cy": y}
        about = {"face": "T_face", "name": name, "note": "T_point"}
        regions.append({"shape_attributes": shape, "region_attributes": about})
    photo = {"filename": "a.jpg", "size": -1, "regions": regions}
    photo["file_attributes"] = {"caption": "T_caption"}
    data = {
        "_via_settings": {"project": {"name": "T_project"}},
        "_via_attributes": {"region": {"T_attribute": {"type": "text"}}},
        "_via_img_metadata": {"a.jpg-1": photo},
    }
    return {"a.json": json.dumps(data)}


def _supervisely() -> dict[str, str]:
    nodes = {f"n{i}": {"label": name, "loc": [i, i]} for i, name in enumerate(NAMES)}
    shape = {"nodes": nodes, "edges": [{"src": "n0", "dst": "n1"}]}
    graph = {"title": "T_class", "shape": "graph", "geometry_config": shape}
    meta = {"classes": [graph, {"title": "T_box", "shape": "rectangle"}], "tags": []}
    face = {"id": 501, "classTitle": "T_class", "geometryType": "graph", "instance": "i"}
    face |= {"nodes": {f"n{i}": {"loc": place} for i, place in enumerate(PLACES)}}
    face |= {"description": "T_object", "labelerLogin": "T_login", "createdAt": "T_when"}
    face["tags"] = [{"name": "mood", "value": "T_mood"}]
    box = {"id": 502, "classTitle": "T_box", "geometryType": "rectangle", "instance": "i"}
    box |= {"tags": [{"name": "size", "value": "T_size"}]}
    box["points"] = {"exterior": [[1, 2], [31, 42]], "interior": []}
    mask = {"id": 503, "classTitle": "T_mask", "geometryType": "bitmap", "tags": []}
    photo = {"description": "T_said", "size": {"width": 640, "height": 480}}
    photo |= {"tags": [{"name": "T_tag", "value": "T_value"}], "objects": [face, box, mask]}
    return {"meta.json": json.dumps(meta), "ds/ann/a.jpg.json": json.dumps(photo)}


def _datumaro() -> dict[str, str]:
    group = {"group": 3, "label_id": 0}
    points = {
        "id": 501,
        "type": "points",
        "points": [v for place in PLACES for v in place],
        "visibility": [2] * 5,
    }
    points |= group | {"attributes": {"mood": "T_mood"}, "z_order": 4}
    box = {"id": 502, "type": "bbox", "bbox": [1, 2, 30, 40], "attributes": {"size": "T_size"}}
    caption = {"id": 503, "type": "caption", "caption": "T_caption", "group": 0}
    item = {"id": "a", "annotations": [points, box | group, caption], "attr": {"w": "T_photo"}}
    item |= {"image": {"path": "a.jpg", "size": [480, 640]}}
    names = {"label_id": 0, "labels": NAMES, "joints": [[1, 2]]}
    kinds = {"label": {"labels": [{"name": "T_class"}]}, "points": {"items": [names]}}
    data = {"info": {"author": "T_info"}, "categories": kinds, "items": [item]}
    return {"annotations/train.json": json.dumps(data)}


def _dlib() -> dict[str, str]:
    parts = "".join(
        f"<part name='{i}' x='{x:.0f}' y='{y:.0f}'/>" for i, (x, y) in enumerate(PLACES)
    )
    return {
        "a.xml": f"""<?xml version='1.0' encoding='UTF-8'?>
<dataset><name>T_name</name><comment>T_comment</comment><images>
<image file='a.jpg' width='640' height='480'>
<box top='2' left='1' width='30' height='40' difficult='1' age='7.5' gender='female'>
<label>T_label</label>{parts}</box>
<box top='9' left='9' width='3' height='4' ignore='1'><label>T_ignored</label></box>
</image></images></dataset>"""
    }


#: Format -> the files of its source, by their paths.
FULL = {
    "coco": _coco(),
    "cvat": _cvat(),
    "datumaro": _datumaro(),
    "dlib": _dlib(),
    "label-studio": _label_studio(),
    "labelme": _labelme(),
    "supervisely": _supervisely(),
    "via": _via(),
}
