"""``Face`` and ``AnnotatedImage``: the one thing that readers, writers and the pipeline exchange.

Pixels: the centre of the top-left pixel is (0, 0), x right, y down, in the EXIF-upright image.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tufa_cli.errors import TufaError

FloatArray = NDArray[np.float64]

UNLABELLED, OCCLUDED, VISIBLE = 0, 1, 2


@dataclass(frozen=True, eq=False)
class Face:
    """One labelled or predicted face.

    points_px: (K, 2) x, y in image pixels; NaN where a point is not labelled.
    scheme: name of the landmark scheme, or None when the file does not tell.
    visibility: (K,) uint8, 0 unlabelled, 1 occluded, 2 visible; derived from NaN when left out.
    confidence: (K,) in 0..1, or None.
    box: (4,) x, y, w, h in image pixels, or None.
    score: the detector's score in 0..1, or None.
    attributes: what else the format carried, by name.
    source: "manual" for people's labels, "auto" for a model's.
    id: what the file calls this face, for who joins other tables by it, or None.
    """

    points_px: FloatArray
    scheme: str | None = None
    visibility: NDArray[np.uint8] | None = None
    confidence: FloatArray | None = None
    box: FloatArray | None = None
    score: float | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)
    source: Literal["manual", "auto"] = "manual"
    id: int | str | None = None

    def __post_init__(self) -> None:
        points: FloatArray = np.array(self.points_px, dtype=np.float64).reshape(-1, 2)
        if self.visibility is None:
            visibility = np.empty(len(points), dtype=np.uint8)
            visibility.fill(VISIBLE)
        else:
            visibility = np.array(self.visibility).astype(np.uint8).reshape(-1)
            if len(visibility) != len(points):
                raise TufaError(
                    f"a face has {len(points)} points but {len(visibility)} visibility flags"
                )
        # One sum tells of most faces that no number is missing: most are read by the thousand.
        if not math.isfinite(np.vdot(points, points)):
            visibility[~np.isfinite(points).all(axis=1)] = UNLABELLED
        if np.count_nonzero(visibility) < len(visibility):
            points[visibility == UNLABELLED] = np.nan
        object.__setattr__(self, "points_px", points)
        object.__setattr__(self, "visibility", visibility)
        for name, size in (("confidence", len(points)), ("box", 4)):
            value = getattr(self, name)
            if value is not None:
                array = np.asarray(value, dtype=np.float64).reshape(-1)
                if len(array) != size:
                    raise TufaError(f"a face's {name} has {len(array)} numbers, expected {size}")
                object.__setattr__(self, name, array)

    @classmethod
    def of_checked(
        cls,
        points_px: FloatArray,
        scheme: str | None,
        visibility: NDArray[np.uint8] | None = None,
        **rest: Any,
    ) -> Face:
        """A face of a reader that has made sure of everything, at a quarter of the cost.

        points_px: (K, 2) float64, NaN just where visibility, (K,) uint8, is 0 (None: all visible);
        neither belongs to anybody else. rest: other fields, as they are kept.
        """
        if visibility is None:
            visibility = np.empty(len(points_px), dtype=np.uint8)
            visibility.fill(VISIBLE)
        face = object.__new__(cls)
        face.__dict__.update(
            points_px=points_px,
            scheme=scheme,
            visibility=visibility,
            **{
                "confidence": None,
                "box": None,
                "score": None,
                "source": "manual",
                "id": None,
                **rest,
            },
        )
        return face

    @property
    def labelled(self) -> NDArray[np.bool_]:
        """(K,) True where the point has a place."""
        assert self.visibility is not None
        return self.visibility > UNLABELLED

    def tight_box(self) -> FloatArray | None:
        """x, y, w, h around the labelled points in image pixels, or None when there are none."""
        points = self.points_px[self.labelled]
        if not len(points):
            return None
        low: FloatArray = points.min(axis=0)
        high: FloatArray = points.max(axis=0)
        return np.concatenate([low, high - low])


@dataclass(frozen=True, eq=False)
class AnnotatedImage:
    """A photo and its faces.

    path: POSIX path of the photo relative to the annotation source's image root (never flattened).
    width, height: of the EXIF-upright photo in pixels, or None when unknown.
    root: folder that ``path`` is relative to, or None when unknown.
    id: what the file calls this photo beside its path, or None.
    """

    path: str
    faces: tuple[Face, ...] = ()
    width: int | None = None
    height: int | None = None
    split: str | None = None
    root: str | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)
    id: int | str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", self.path.replace("\\", "/"))
        object.__setattr__(self, "faces", tuple(self.faces))
