"""Our own face finder: a small network that ships with the package, in PyTorch."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from tufa_cli.detect.base import Detections, RgbImage, no_detections
from tufa_cli.detect.finder_net import Cells, FinderNet, cell_middles, fused
from tufa_cli.detect.finder_weights import FinderWeights, load_finder
from tufa_cli.detect.search import boxes_to_photo, points_to_photo, shrink_to_area, suppress
from tufa_cli.detect.second_look import second_look

FloatArray = NDArray[np.float64]

#: Photos are searched at most at about this many pixels (panoramas at up to four times as many) …
_SEARCH_AREA = 1024 * 768
#: … and once more at this area when they are clearly larger: faces that fill a photo.
_COARSE_AREA = 320 * 256
_COARSE_WHEN = 3.0
#: Photos below this area are enlarged, at most twice: their faces may be of a dozen pixels.
_SMALL_AREA = 320 * 256
_MOST_ENLARGED = 2.0
#: The largest stride; pictures are filled up to a multiple of it with grey.
_STEP = 32
_GREY = 127
#: A photo must be that large to hold a face, and a find that large to be one.
_SMALLEST_SIDE = 8
_LOWEST_SCORE = 0.1
_OVERLAP = 0.4
_MOST_FINDS = 1000
#: Finds from that score on, and so many of them, the best ones, are looked at again; no judgement
#: would lift the others over the bound.
JUDGED_FROM = 0.2
MOST_JUDGED = 80


class FinderDetector:
    """Boxes, scores and five points per face; the points turn with the head.

    weights: a file that ``tufa-cli train-finder`` made; None takes the shipped one. Raises
    TufaError when there is none, InputError when the file is not such weights.
    """

    name = "finder"
    min_confidence = 0.0

    def __init__(self, weights: Path | FinderWeights | None = None) -> None:
        loaded = weights if isinstance(weights, FinderWeights) else load_finder(weights)
        self.box_plane = loaded.box_plane
        self.min_score = loaded.min_score
        self._network = fused(loaded.model)
        self._second = [fused(network) for network in loaded.second]

    def detect(self, image: RgbImage, photo: str | None = None) -> Detections:
        """Faces from about 10 px at the search size to larger than the photo."""
        if min(image.shape[:2]) < _SMALLEST_SIDE:
            return no_detections()
        parts = [find(self._network, *sized) for sized in search_sizes(image)]
        boxes, scores, points = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
        best = np.argsort(-scores, kind="stable")[:_MOST_FINDS]
        keep = best[suppress(boxes[best], scores[best], _OVERLAP)]
        if not self._second:
            return Detections(boxes[keep], scores[keep], points[keep])
        keep = keep[scores[keep] >= JUDGED_FROM][:MOST_JUDGED]
        if not len(keep):
            return no_detections()
        judged = second_look(self._second, image, boxes[keep], scores[keep], points[keep])
        return judged.take(suppress(judged.boxes, judged.scores, _OVERLAP))


def search_sizes(image: RgbImage) -> list[tuple[RgbImage, FloatArray]]:
    """The photo at each size that it is searched at, with the ratio (2,) of new to old sides."""
    height, width = image.shape[:2]
    enlarge = min(float(np.sqrt(_SMALL_AREA / (height * width))), _MOST_ENLARGED)
    if enlarge > 1:
        size = (round(width * enlarge), round(height * enlarge))
        large = cv2.resize(image, size, interpolation=cv2.INTER_LINEAR)
        return [(large, np.array(size) / (width, height))]
    small, ratio = shrink_to_area(image, _SEARCH_AREA)
    sizes = [(small, ratio)]
    if small.shape[0] * small.shape[1] > _COARSE_WHEN * _COARSE_AREA:
        coarse, again = shrink_to_area(small, _COARSE_AREA)
        if min(coarse.shape[:2]) >= _SMALLEST_SIDE:
            sizes.append((coarse, ratio * again))
    return sizes


def find(
    network: FinderNet, picture: RgbImage, ratio: FloatArray, lowest: float = _LOWEST_SCORE
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Boxes (N, 4), scores (N,) and points (N, 5, 2) in the photo's pixels, not yet merged.

    picture: (H, W, 3) the photo resized by ``ratio``. network: in evaluation mode.
    """
    height, width = picture.shape[:2]
    missing = (-height % _STEP, -width % _STEP)
    if any(missing):
        picture = cv2.copyMakeBorder(
            picture, 0, missing[0], 0, missing[1], cv2.BORDER_CONSTANT, value=(_GREY,) * 3
        )
    # A view with channels last, as the convolutions want it: nothing is copied.
    whole = np.require(picture, requirements=["C", "W"])
    pixels = torch.from_numpy(whole)[None].permute(0, 3, 1, 2)
    with torch.inference_mode():
        cells = network(pixels)
        boxes, scores, points = decode(cells, *pixels.shape[-2:], lowest)
    keep = suppress(boxes, scores, _OVERLAP)
    boxes, scores, points = boxes[keep], scores[keep], points[keep]
    return boxes_to_photo(boxes, ratio), scores, points_to_photo(points, ratio)


def decode(
    cells: Cells, height: int, width: int, lowest: float
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """The best cells of a picture: boxes (N, 4), scores (N,), points (N, 5, 2) in its pixels."""
    scores = cells.logits[0].sigmoid()
    chosen = torch.nonzero(scores >= lowest)[:, 0]
    if len(chosen) > _MOST_FINDS:
        chosen = chosen[scores[chosen].topk(_MOST_FINDS).indices]
    middles = cell_middles(height, width)[chosen, :2]
    edges = cells.edges[0, chosen]
    boxes = torch.cat([middles - edges[:, :2], edges[:, :2] + edges[:, 2:]], dim=1)
    points = middles[:, None] + cells.points[0, chosen]
    return (
        boxes.double().numpy(),
        scores[chosen].double().numpy(),
        points.double().numpy(),
    )
