"""The face finder beside YuNet, Haar and LBP: recall, false alarms, and speed in the same run.

    python benchmarks/finder.py ../shared/data --yunet ../shared/models/yunet_n_640_640.onnx

DATA is laid out as docs/walkthrough.md says. Measured are photos that nothing was trained on: the
validation lists and the last 60 group photos. Photos that were cropped around one face tell little
about finding it, so they are laid, at random places and sizes, on canvases of 1,024 pixels: parts
of the 60 photos in which neither people nor YuNet (score 0.3 or more) see a face. A detector that
always names the most usual box is in the table for comparison.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import torch
from skimage.data import astronaut

from tufa_cli.annotation import AnnotatedImage
from tufa_cli.detect import make_detector
from tufa_cli.detect.base import BoxPlane, Detections, Detector
from tufa_cli.detect.finder import JUDGED_FROM, MOST_JUDGED, find
from tufa_cli.detect.finder_net import fused
from tufa_cli.detect.finder_weights import load_finder
from tufa_cli.detect.haar import haar_available
from tufa_cli.detect.second_look import second_look
from tufa_cli.evaluation.detection import DetectionReport, detection_report
from tufa_cli.formats import read
from tufa_cli.geometry.boxes import iou
from tufa_cli.images.reading import read_rgb
from tufa_cli.pipeline.evaluate_detection import search_photo, true_box
from tufa_cli.selection import read_name_list, select
from tufa_cli.training.finder_sources import read_boxes

CANVAS = 1024
SMALLEST, LARGEST = 20.0, 400.0
HELD_OUT = 60
#: set: source, format, scheme, photos, list
SINGLES = {
    "300W": ("300w", "pts", "ibug68", "300w", "val_300w"),
    "AFLW": ("aflw/merl_rav", "merl-rav", "ibug68", "aflw/photos", "val_aflw"),
}

Photo = tuple[np.ndarray, np.ndarray]


def group_photos(data: Path) -> list[AnnotatedImage]:
    """The photos that were held out."""
    images = read(data / "group_photos_label.txt", format="retinaface")
    return sorted(images, key=lambda image: image.path)[-HELD_OUT:]


def truth_of(image: AnnotatedImage) -> np.ndarray:
    """(N, 4) the labelled faces."""
    boxes = [box for box in map(true_box, image.faces) if box is not None]
    return np.array(boxes, float).reshape(-1, 4)


def backgrounds(data: Path, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Squares of the held-out photos without a face, enlarged to a canvas; without end."""
    teacher = read_boxes(data / "pseudo" / "face_boxes.jsonl")
    photos = group_photos(data)
    while True:
        image = photos[int(rng.integers(len(photos)))]
        pixels = read_rgb(Path(image.root or "") / image.path)
        faint = teacher.get(f"group_photos/{image.path}", np.zeros((0, 5)))[:, :4]
        known = np.concatenate([truth_of(image), faint])
        height, width = pixels.shape[:2]
        for share in (0.7, 0.5, 0.4, 0.3, 0.25):
            side = int(share * min(height, width))
            corner = rng.integers(0, (width - side + 1, height - side + 1))
            if not iou([*corner, side, side], known).any():
                x, y = corner
                part = pixels[y : y + side, x : x + side]
                yield cv2.resize(part, (CANVAS, CANVAS), interpolation=cv2.INTER_CUBIC)
                break


def canvases(data: Path, name: str, limit: int, seed: int) -> Iterator[Photo]:
    """Each face of a list on a canvas of its own, and its box."""
    source, form, scheme, images, names = SINGLES[name]
    rng = np.random.default_rng(seed)
    labelled = read(data / source, format=form, scheme=scheme, root=data / images)
    chosen = select(labelled, read_name_list(data / "splits" / f"{names}.txt")).chosen
    grounds = backgrounds(data, rng)
    for image in sorted(chosen, key=lambda image: image.path)[:limit]:
        truth = truth_of(image)
        if not len(truth):
            continue
        pixels = read_rgb(Path(image.root or "") / image.path)
        size = float(np.exp(rng.uniform(*np.log([SMALLEST, LARGEST]))))
        factor = min(size / truth[0, 2:].max(), 2.0, CANVAS / max(pixels.shape[:2]))
        width, height = (max(1, round(side * factor)) for side in pixels.shape[1::-1])
        method = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
        small = cv2.resize(pixels, (width, height), interpolation=method)
        x, y = rng.integers(0, (CANVAS - width + 1, CANVAS - height + 1))
        canvas = next(grounds).copy()
        canvas[y : y + height, x : x + width] = small
        box = truth[:1] * factor + [x, y, 0, 0]
        yield canvas, box


class ConstantBox:
    """Names the same box in every photo: the median of the truth."""

    name, box_plane, min_score, min_confidence = "constant box", BoxPlane(0, 0, 1, 1), 0.0, 0.0

    def __init__(self, truth: np.ndarray) -> None:
        self.box = np.median(truth, axis=0)

    def detect(self, image: np.ndarray, photo: str | None = None) -> Detections:
        return Detections(self.box[None], np.ones(1))


def measure(photos: list[Photo], detector: Detector, confirm: Detector) -> DetectionReport:
    """The figures of one detector on one set."""
    searched = [search_photo(pixels, truth, detector, confirm) for pixels, truth in photos]
    return detection_report(searched, detector.name, detector.min_score)


def cell(score: object) -> str:
    """Recall with its interval."""
    if score.interval is None:  # type: ignore[attr-defined]
        return "–"
    low, high = (100 * value for value in score.interval)  # type: ignore[attr-defined]
    return f"{100 * score.recall:.1f} ({low:.1f}–{high:.1f})"  # type: ignore[attr-defined]


def print_row(name: str, report: DetectionReport, own: bool) -> None:
    """One line of the table; YuNet does not confirm its own false alarms."""
    sizes = " | ".join(cell(score) for score in report.by_size.values())
    alarms = "–" if own else f"{report.total.false_alarms_per_photo:.2f}"
    average = report.total.average_precision
    print(
        f"| {name} | {report.detector} | {cell(report.total)} | {sizes} | {alarms} | "
        f"{'–' if average is None or own else f'{100 * average:.1f}'} | "
        f"{report.ms_per_photo:.0f} |",
        flush=True,
    )


def speed(yunet: Path, weights: Path | None, repeats: int = 60) -> None:
    """Milliseconds at the same input size, each in turn so that a busy machine hits both alike."""
    loaded = load_finder(weights)
    network = fused(loaded.model)
    second = [fused(network) for network in loaded.second]

    def look(picture: np.ndarray) -> None:
        found = find(network, picture, np.ones(2))
        judged = np.flatnonzero(found[1] >= JUDGED_FROM)[:MOST_JUDGED]
        boxes, scores, points = (part[judged] for part in found)
        if second and len(boxes):
            second_look(second, picture, boxes, scores, points)

    print("\n| input | finder, ms | YuNet, ms | ratio |\n|---|---|---|---|")
    for width, height in ((320, 320), (640, 480), (800, 608), (1024, 768)):
        picture = cv2.resize(astronaut(), (width, height), interpolation=cv2.INTER_LINEAR)
        other = cv2.FaceDetectorYN.create(str(yunet), "", (width, height), 0.3, 0.3, 5000)
        reverse = np.ascontiguousarray(picture[..., ::-1])
        times: tuple[list[float], list[float]] = ([], [])
        for _ in range(repeats):
            for mine, run in enumerate(
                (lambda p=picture: look(p), lambda p=reverse: other.detect(p))  # noqa: B023
            ):
                began = time.perf_counter()
                run()
                times[mine].append(time.perf_counter() - began)
        ours, theirs = (1e3 * float(np.median(t[5:])) for t in times)
        print(f"| {width} x {height} | {ours:.1f} | {theirs:.1f} | {ours / theirs:.2f} |")


def main() -> None:
    """Command line; see the module's text."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--yunet", type=Path, required=True)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--detectors", default="finder,yunet,haar,lbp,constant")
    parser.add_argument("--limit", type=int, default=10_000, help="photos of each set")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    cv2.setNumThreads(args.threads)
    torch.set_num_threads(args.threads)
    sets: dict[str, list[Photo]] = {
        name: list(canvases(args.data, name, args.limit, args.seed)) for name in SINGLES
    }
    sets["group photos"] = [
        (read_rgb(Path(image.root or "") / image.path), truth_of(image))
        for image in group_photos(args.data)[: args.limit]
    ]
    confirm = make_detector("yunet", args.yunet)
    print(
        "| photos | detector | recall % (95 %) | below 48 px | 48 to 96 px | 96 px and more "
        "| false alarms a photo | AP % | ms |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for name in args.detectors.split(","):
        if name == "haar" and not haar_available():
            continue
        files = {"yunet": args.yunet, "finder": args.weights}
        for photos_name, photos in sets.items():
            detector: Detector
            if name == "constant":
                detector = ConstantBox(np.concatenate([truth for _, truth in photos]))
            else:
                detector = make_detector(name, files.get(name))
            print_row(photos_name, measure(photos, detector, confirm), name == "yunet")
    speed(args.yunet, args.weights)


if __name__ == "__main__":
    main()
