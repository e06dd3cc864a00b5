"""Where on the plane a detector's boxes lie: the ``box_plane`` of tufa_cli/detect/*.py.

    python examples/fit_detector.py 300w --from pts --scheme ibug68 --exclude val.txt \
        --detector lbp --every 3

Each labelled face is laid on the plane by scale and shift. A detection that overlaps the face is
carried onto the plane the other way; the median over all faces is where the boxes lie. The spread
says how far a crop made from a box will be off. With --save the detector ``finder`` is written to
a new weights file with this place in it, and with the score that --bound gives. Needs a detector
that searches, and labels of any scheme on the plane.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

from tufa_cli.detect import make_detector
from tufa_cli.detect.base import BoxPlane, Detector
from tufa_cli.detect.crops import box_on_plane
from tufa_cli.detect.finder_weights import load_finder, save_finder
from tufa_cli.errors import InputError, TufaError
from tufa_cli.formats import read
from tufa_cli.geometry.boxes import iou
from tufa_cli.geometry.crop import fit_scale_shift
from tufa_cli.images.reading import read_rgb
from tufa_cli.schemes import builtin_plane, get_scheme
from tufa_cli.schemes.plane import FACE_BOX
from tufa_cli.selection import read_name_list, select


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path)
    parser.add_argument("--from", dest="format", default="auto")
    parser.add_argument("--scheme", required=True)
    parser.add_argument("--images", type=Path, help="folder of the photos")
    parser.add_argument("--exclude", type=Path, help="photo names to leave out, one a line")
    parser.add_argument("--detector", default="lbp")
    parser.add_argument("--detector-weights", type=Path)
    parser.add_argument("--every", type=int, default=1, help="use every n-th photo")
    parser.add_argument("--min-score", type=float, default=0.5)
    parser.add_argument("--save", type=Path, help="write the finder's weights with what was fitted")
    parser.add_argument("--bound", type=float, help="and with this score as its bound")
    args = parser.parse_args()

    scheme = get_scheme(args.scheme).name
    anchors = builtin_plane()[scheme]
    detector = make_detector(args.detector, args.detector_weights)
    images = read(args.source, format=args.format, scheme=scheme, root=args.images)
    exclude = read_name_list(args.exclude) if args.exclude else None
    photos = list(select(images, exclude=exclude).chosen)[:: args.every]

    labelled = 0
    boxes = []
    for photo in photos:
        faces = [face.points_px for face in photo.faces]
        labelled += len(faces)
        try:
            pixels = read_rgb(Path(photo.root or "") / photo.path)
        except InputError as error:
            print(error.message, file=sys.stderr)
            continue
        boxes += fits(detector, pixels, faces, anchors, args.min_score)
    median = report(args.detector, np.array(boxes).reshape(-1, 4), labelled)
    if args.save:
        weights = load_finder(args.detector_weights)
        weights.box_plane = BoxPlane(*(round(float(value), 4) for value in median))
        weights.min_score = weights.min_score if args.bound is None else args.bound
        save_finder(args.save, weights)


def fits(
    detector: Detector,
    pixels: np.ndarray,
    faces: list[np.ndarray],
    anchors: np.ndarray,
    min_score: float,
) -> list[tuple[float, ...]]:
    """The boxes (x, y, w, h in plane units) of the detections that overlap a labelled face."""
    found = detector.detect(pixels)
    found = found.take(np.flatnonzero(found.scores >= min_score))
    boxes = []
    for points in faces:
        try:
            scale, shift = fit_scale_shift(anchors, points)
        except TufaError:  # too few points, or a face on its side
            continue
        x, y, side = FACE_BOX
        face_box = [*(scale * np.array([x, y]) + shift), scale * side, scale * side]
        overlap = iou(face_box, found.boxes)[0]
        if len(overlap) and overlap.max() > 0.3:
            boxes.append(tuple(box_on_plane(found.boxes[overlap.argmax()], scale, shift)))
    return boxes


def report(name: str, boxes: np.ndarray, labelled: int) -> np.ndarray:
    """Print the median box (4,), its spread, and how far crops made from it are off."""
    print(f"{name}: {len(boxes)} of {labelled} labelled faces found")
    if not len(boxes):
        sys.exit(1)
    median = np.median(boxes, axis=0)
    low, high = np.percentile(boxes, [16, 84], axis=0)
    for axis, middle, from_, to in zip("xywh", median, low, high, strict=True):
        print(f"  {axis}: {middle:7.4f}   68 % of the faces in {from_:7.4f} .. {to:7.4f}")
    x, y, w, h = median
    print(f"box_plane = BoxPlane({x:.3f}, {y:.3f}, {w:.3f}, {h:.3f})")
    centre = boxes[:, :2] + boxes[:, 2:] / 2 - (median[:2] + median[2:] / 2)
    size = np.log(np.sqrt(boxes[:, 2:].prod(axis=1) / (w * h)))
    print(f"crop centre: 68 % within {np.percentile(np.hypot(*centre.T), 68):.3f} of the plane")
    print(f"crop scale: 68 % within {np.percentile(np.abs(size), 68):.1%}")
    return median


if __name__ == "__main__":
    main()
