"""Finding faces: one module per detector, and the one table of their names.

A detector is added by a module with a class that has ``name``, ``box_plane`` and ``detect`` (see
``tufa_cli.detect.base.Detector``) and a line in ``DETECTORS``.
"""

from __future__ import annotations

from pathlib import Path

from tufa_cli.detect.base import BoxPlane, Detections, Detector
from tufa_cli.detect.default import DEFAULT_DETECTOR
from tufa_cli.errors import UnknownNameError

#: Name -> what it is; ``tufa-cli annotate --detector`` offers these.
DETECTORS = {
    "finder": "our own network, faces of any size and turn, with five points each",
    "lbp": "scikit-image's LBP cascade, frontal faces, works offline",
    "haar": "OpenCV's Haar cascade, where OpenCV (4.x) ships it",
    "yunet": "YuNet, from an ONNX file given with --detector-weights",
    "boxes": "faces already found, from an annotation file given with --boxes",
    "whole-image": "every photo is one face crop",
}


def make_detector(
    name: str = DEFAULT_DETECTOR, weights: Path | None = None, boxes: Path | None = None
) -> Detector:
    """The detector of that name, ready to use.

    weights: a network file, for those that need one. boxes: an annotation file, for ``boxes``.
    Raises UnknownNameError, or TufaError when what the detector needs is missing or unreadable.
    """
    if name == "finder":
        from tufa_cli.detect.finder import FinderDetector

        return FinderDetector(weights)
    if name == "lbp":
        from tufa_cli.detect.lbp import LbpDetector

        return LbpDetector()
    if name == "haar":
        from tufa_cli.detect.haar import HaarDetector

        return HaarDetector()
    if name == "yunet":
        from tufa_cli.detect.yunet import YunetDetector

        return YunetDetector(weights)
    if name == "boxes":
        from tufa_cli.detect.from_file import BoxesDetector

        return BoxesDetector.from_file(boxes)
    if name == "whole-image":
        from tufa_cli.detect.whole_image import WholeImageDetector

        return WholeImageDetector()
    raise UnknownNameError("detector", name, DETECTORS)


__all__ = ["DEFAULT_DETECTOR", "DETECTORS", "BoxPlane", "Detections", "Detector", "make_detector"]
