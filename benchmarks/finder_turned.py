"""Landmarks on the face finder's crops against oracle crops, upright and turned.

    python benchmarks/finder_turned.py ../shared/data [--detector finder] [--detector-weights FILE]

The photos of 300-W's validation list, each turned about its middle with its labels. The oracle's
crop is that of the upright photo, turned with it. Prints the NME in % of the faces that were found,
how many were not, and the share of failures (NME above 10 %, missed faces among them).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
import torch

from tufa_cli.annotation import AnnotatedImage
from tufa_cli.detect import DEFAULT_DETECTOR, make_detector
from tufa_cli.detect.base import Detector
from tufa_cli.detect.crops import crop_of
from tufa_cli.evaluation.metrics import face_errors, face_side, failure_rate, match_faces, mean_nme
from tufa_cli.formats import read
from tufa_cli.geometry.crop import CropMap, oracle_crop
from tufa_cli.images.reading import read_rgb
from tufa_cli.images.warp import warp_crop
from tufa_cli.model.predict import Predictor
from tufa_cli.model.weights import Weights, load_weights
from tufa_cli.schemes import get_scheme
from tufa_cli.selection import read_name_list, select

SCHEME = get_scheme("ibug68")
ANGLES = (0, 30, -30, 60, -60, 90, -90)


def turned(pixels: np.ndarray, degrees: float) -> tuple[np.ndarray, np.ndarray]:
    """The photo turned clockwise on a canvas that holds all of it, and the (2, 3) map to it."""
    height, width = pixels.shape[:2]
    angle = np.deg2rad(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    size = np.ceil(np.abs(turn) @ (width, height)).astype(int)
    shift = (size - 1) / 2 - turn @ (np.array([width, height]) - 1) / 2
    matrix = np.column_stack([turn, shift])
    picture = cv2.warpAffine(pixels, matrix, tuple(size.tolist()), flags=cv2.INTER_LINEAR)
    return picture, matrix


def found_crops(picture: np.ndarray, detector: Detector, weights: Weights) -> list[CropMap]:
    """The crops of what the detector is sure of."""
    found = detector.detect(picture)
    found = found.take(np.flatnonzero(found.scores >= detector.min_score))
    return [crop_of(found, i, detector.box_plane, weights.window) for i in range(len(found))]


def main() -> None:
    """Command line; see the module's text."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--detector", default=DEFAULT_DETECTOR)
    parser.add_argument("--detector-weights", type=Path)
    parser.add_argument("--limit", type=int, default=10_000)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    cv2.setNumThreads(args.threads)
    weights = load_weights()
    predictor = Predictor(weights, "cpu", args.threads)
    detector = make_detector(args.detector, args.detector_weights)
    names = read_name_list(args.data / "splits" / "val_300w.txt")
    images = select(read(args.data / "300w", format="pts", scheme="ibug68"), names).chosen
    print(
        f"| turned by | oracle, NME % (failures %) | {detector.name} | missed |\n|---|---|---|---|"
    )
    for degrees in ANGLES:
        print_angle(images[: args.limit], degrees, detector, weights, predictor)


def print_angle(
    images: list[AnnotatedImage],
    degrees: float,
    detector: Detector,
    weights: Weights,
    predictor: Predictor,
) -> None:
    """One line of the table."""
    anchors, prompts = weights.anchors(SCHEME), weights.prompts(SCHEME)
    truth, by_oracle, by_detector = [], [], []
    for image in images:
        pixels = read_rgb(Path(image.root or "") / image.path)
        picture, matrix = turned(pixels, degrees)
        for face in image.faces:
            labels = face.points_px @ matrix[:, :2].T + matrix[:, 2]
            upright = oracle_crop(anchors, face.points_px, weights.window)
            oracle = CropMap(matrix[:, :2] @ upright.matrix)
            oracle.matrix[:, 2] += matrix[:, 2]
            crops = [oracle, *found_crops(picture, detector, weights)]
            pictures = [warp_crop(picture, crop, weights.input_size) for crop in crops]
            points = predictor.predict(np.stack(pictures), prompts)[0]
            placed = [crop.to_image(p) for crop, p in zip(crops, points, strict=True)]
            side = face_side(anchors, face.points_px)
            others = np.reshape(placed[1:], (-1, *labels.shape))
            match = match_faces(labels[None], others, np.array([side]))[0]
            truth.append(labels)
            by_oracle.append(placed[0])
            by_detector.append(None if match is None else placed[1 + match])
    cells = []
    for predicted in (by_oracle, by_detector):
        nme = face_errors(SCHEME, anchors, truth, predicted).nme
        cells.append(f"{100 * (mean_nme(nme) or np.nan):.2f} ({100 * failure_rate(nme):.1f})")
    missed = sum(p is None for p in by_detector)
    print(f"| {degrees}° | {cells[0]} | {cells[1]} | {missed} of {len(truth)} |", flush=True)


if __name__ == "__main__":
    main()
