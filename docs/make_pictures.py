"""Makes the pages' pictures from what ``make docs`` left in demo/.

README: a strip a photo, the photo as it came, then its face with the points of each scheme.
docs/schemes.md: the scheme written by hand, on the mean face and on the photos' faces.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from PIL import Image

CHECKOUT = Path(__file__).resolve().parent.parent
DEMO = CHECKOUT / "demo"
TARGET = CHECKOUT / "docs" / "images"
SCHEMES = ("ibug68", "wflw98")
#: The scheme of examples/my_scheme.yaml, and its picture on the mean face.
OWN, OWN_PLOT = "my_scheme", "my_scheme.png"
HEIGHT = 400
GAP = 8
#: The part of the photo shown around the points, in units of the points' box.
CONTEXT = 1.35


def face_square(annotations: Path, photo: Path) -> tuple[int, int, int, int] | None:
    """left, top, right, bottom px of a square around the largest face's points in COCO JSON."""
    data = json.loads(annotations.read_text(encoding="utf-8"))
    ids = {i["id"] for i in data["images"] if Path(i["file_name"]).name == photo.name}
    best = None
    for face in data["annotations"]:
        if face["image_id"] in ids:
            x, y = face["keypoints"][0::3], face["keypoints"][1::3]
            side = CONTEXT * max(max(x) - min(x), max(y) - min(y))
            if best is None or side > best[0]:
                best = (side, (max(x) + min(x)) / 2, (max(y) + min(y)) / 2)
    if best is None:
        return None
    side, cx, cy = best
    left, top = round(cx - side / 2), round(cy - side / 2)
    return left, top, left + round(side), top + round(side)


def strip(photo: Path) -> Image.Image:
    """The photo and one panel per scheme beside each other, HEIGHT px high."""
    panels = [face(photo, scheme) for scheme in SCHEMES]
    return row([Image.open(photo).convert("RGB"), *panels])


def face(photo: Path, scheme: str) -> Image.Image:
    """The face of a photo with the points of a scheme drawn."""
    square = face_square(DEMO / f"{scheme}.json", photo)
    drawn = sorted((DEMO / scheme).glob(f"{photo.stem}*"))
    if square is None or not drawn:
        sys.exit(f"demo/ holds no {scheme} face of {photo.name}: run `make docs`")
    return Image.open(drawn[0]).convert("RGB").crop(square)


def row(panels: list[Image.Image], height: int = HEIGHT) -> Image.Image:
    """Panels beside each other, ``height`` px high."""
    panels = [
        panel.resize((round(panel.width * height / panel.height), height), Image.Resampling.LANCZOS)
        for panel in panels
    ]
    width = sum(panel.width for panel in panels) + GAP * (len(panels) - 1)
    sheet = Image.new("RGB", (width, height), "white")
    x = 0
    for panel in panels:
        sheet.paste(panel, (x, 0))
        x += panel.width + GAP
    return sheet


def main() -> None:
    missing = [s for s in (*SCHEMES, OWN) if not (DEMO / f"{s}.json").is_file()]
    if missing:
        sys.exit(f"demo/{missing[0]}.json is missing: run `make docs`")
    TARGET.mkdir(exist_ok=True)
    photos = sorted((CHECKOUT / "examples" / "photos").glob("*.jpg"))
    own = [Image.open(DEMO / OWN_PLOT).convert("RGB"), *(face(photo, OWN) for photo in photos)]
    row(own, 520).save(TARGET / f"{OWN}.jpg", quality=88)
    print(f"written: docs/images/{OWN}.jpg")
    for photo in photos:
        strip(photo).save(TARGET / photo.name, quality=88)
        print(f"written: docs/images/{photo.name}")


if __name__ == "__main__":
    main()
