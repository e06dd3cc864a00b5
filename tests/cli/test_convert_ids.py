"""``convert`` and the ids that other tables are joined by."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

PHOTOS, FACES = (397133, 37777, 252219), (200887, 183126, 1)


def test_coco_to_coco_keeps_what_tables_are_joined_by(run_convert: Any, tmp_path: Path) -> None:
    points = {
        "keypoints": [1, 2, 2] * 5,
        "num_keypoints": 5,
        "category_id": 1,
        "bbox": [0, 0, 9, 9],
    }
    rows = [points | {"id": a, "image_id": b} for a, b in zip(FACES, PHOTOS, strict=True)]
    images = [{"id": n, "file_name": f"{n}.jpg", "width": 99, "height": 99} for n in PHOTOS]
    category = {"id": 1, "name": "face", "keypoints": []}
    data = {"images": images, "annotations": rows, "categories": [category]}
    Path("in.json").write_text(json.dumps(data))
    words = ("--exclude", "out.txt", "--from-scheme", "mtfl5")
    Path("out.txt").write_text("37777.jpg\n")
    assert run_convert("in.json", "--to", "coco", "-o", "out.json", *words).code == 0
    found = json.loads(Path("out.json").read_text())
    assert [row["id"] for row in found["images"]] == [397133, 252219]
    assert [(r["id"], r["image_id"]) for r in found["annotations"]] == [
        (200887, 397133),
        (1, 252219),
    ]
    done = run_convert("in.json", "--to", "labelme", "-o", "out", *words)
    assert done.code == 1
    assert "labelme cannot hold the ids of photos: 2 photos, first in 397133.jpg" in done.err
