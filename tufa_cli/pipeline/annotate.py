"""Photos in, landmarks out: read, find faces, crop, predict in batches over several photos.

Prints nothing. What cannot be read is a result with a reason, not an end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from tufa_cli.annotation import AnnotatedImage, Face
from tufa_cli.detect.base import Detections, Detector
from tufa_cli.detect.crops import crop_of
from tufa_cli.errors import InputError, TufaError
from tufa_cli.geometry.crop import CropMap
from tufa_cli.images.reading import RgbImage, read_rgb
from tufa_cli.images.warp import warp_crop
from tufa_cli.model.carry import PredictsCrops, query_for
from tufa_cli.model.weights import Weights
from tufa_cli.schemes import Scheme

FloatArray = NDArray[np.float64]

#: Photos wait for a full batch; these bound how many, and how many bytes of pixels they keep.
_MOST_WAITING = 256
_MOST_BYTES = 400_000_000


@dataclass(frozen=True)
class AnnotateOptions:
    """Which faces are annotated, and how.

    min_score: detections below are left out (None: the detector's own bound).
    min_confidence: so are faces whose points' mean confidence is below (None: likewise).
    min_face: shorter side of the box in image pixels.
    largest: only the largest face of each photo. keep_pixels: results carry the photo.
    carry: points that the network was not trained on are carried by those it was (model.carry).
    """

    min_score: float | None = None
    min_confidence: float | None = None
    min_face: float = 0.0
    largest: bool = False
    batch_size: int = 32
    keep_pixels: bool = False
    carry: bool = True


@dataclass(frozen=True, eq=False)
class PhotoResult:
    """What became of one photo: an annotated image (perhaps without a face), or a failure.

    failure: the reason, without the photo's name. pixels: (H, W, 3) RGB when asked for.
    """

    photo: Path
    image: AnnotatedImage | None = None
    failure: str | None = None
    pixels: RgbImage | None = None


@dataclass(eq=False)
class _Waiting:
    """A photo that was searched and waits for its crops to be predicted."""

    photo: Path
    name: str
    size: tuple[int, int] = (0, 0)
    failure: str | None = None
    pixels: RgbImage | None = None
    found: Detections | None = None
    maps: tuple[CropMap, ...] = ()
    crops: tuple[RgbImage, ...] = ()

    @property
    def bytes(self) -> int:
        kept = 0 if self.pixels is None else self.pixels.nbytes
        return kept + sum(crop.nbytes for crop in self.crops)


class Annotator:
    """Finds faces and predicts one scheme on them.

    detector: finds the faces. predictor: on the network of ``weights``. scheme: what is predicted.
    """

    def __init__(
        self,
        detector: Detector,
        predictor: PredictsCrops,
        weights: Weights,
        scheme: Scheme,
        options: AnnotateOptions | None = None,
    ) -> None:
        self.detector = detector
        self.predictor = predictor
        self.window = weights.window
        self.input_size = weights.input_size
        self.scheme = scheme
        self.options = options or AnnotateOptions()
        self.query = query_for(scheme, weights, self.options.carry)
        self._min_score = _given(self.options.min_score, detector.min_score)
        self._min_confidence = _given(self.options.min_confidence, detector.min_confidence)
        self._batch_size = self.options.batch_size

    def run(
        self, photos: Iterable[Path], root: Path, name_of: Callable[[Path], str]
    ) -> Iterator[PhotoResult]:
        """A result per photo, in order.

        root: folder that ``name_of(photo)``, the POSIX path in the results, is relative to.
        Crops of several photos share a batch, so results come in groups. Raises TufaError only
        when not even one crop fits into memory.
        """
        waiting: list[_Waiting] = []
        for photo in photos:
            waiting.append(self._search(photo, name_of(photo)))
            if self._is_full(waiting):
                yield from self._finish(waiting, root)
                waiting = []
        yield from self._finish(waiting, root)

    def _is_full(self, waiting: list[_Waiting]) -> bool:
        return (
            sum(len(entry.crops) for entry in waiting) >= self._batch_size
            or len(waiting) >= _MOST_WAITING
            or sum(entry.bytes for entry in waiting) >= _MOST_BYTES
        )

    def _search(self, photo: Path, name: str) -> _Waiting:
        """Read a photo, find its faces and cut them out."""
        if not name.isprintable():
            # Line ends would break the text formats, odd bytes are no Unicode to write at all.
            return _Waiting(photo, name, failure="a name that cannot be written: rename the file")
        try:
            pixels = read_rgb(photo)
            height, width = pixels.shape[:2]
            found = self._choose(self.detector.detect(pixels, name))
            plane, window = self.detector.box_plane, self.window
            maps = [crop_of(found, i, plane, window) for i in range(len(found))]
            crops = [warp_crop(pixels, crop_map, self.input_size) for crop_map in maps]
        except InputError as error:
            return _Waiting(photo, name, failure=error.problem)
        except MemoryError:
            return _Waiting(photo, name, failure="too large for this machine's memory")
        except cv2.error as error:
            return _Waiting(photo, name, failure=f"OpenCV cannot work on it ({error.err})")
        kept = pixels if self.options.keep_pixels else None
        size = (width, height)
        return _Waiting(photo, name, size, None, kept, found, tuple(maps), tuple(crops))

    def _choose(self, found: Detections) -> Detections:
        """The detections worth a second look, best first."""
        sides = found.boxes[:, 2:].min(axis=1) if len(found) else np.zeros(0)
        good = (found.scores >= self._min_score) & (sides > 0)
        good &= np.isfinite(found.boxes).all(axis=1) & (sides >= self.options.min_face)
        return found.take(np.flatnonzero(good))

    def _finish(self, waiting: list[_Waiting], root: Path) -> Iterator[PhotoResult]:
        """Predict the crops of the waiting photos and hand the photos out."""
        crops = [crop for entry in waiting for crop in entry.crops]
        points, confidence = self._predict(crops)
        start = 0
        for entry in waiting:
            if entry.failure is not None or entry.found is None:
                yield PhotoResult(entry.photo, failure=entry.failure)
                continue
            end = start + len(entry.crops)
            faces = self._faces(entry, entry.found, points[start:end], confidence[start:end])
            start = end
            width, height = entry.size
            image = AnnotatedImage(entry.name, faces, width, height, root=str(root))
            yield PhotoResult(entry.photo, image, pixels=entry.pixels)

    def _faces(
        self, entry: _Waiting, found: Detections, points: FloatArray, confidence: FloatArray
    ) -> tuple[Face, ...]:
        """The faces of one photo that the network believes in, as the options want them.

        points: (N, K, 2) points_crop; confidence: (N, K), NaN from a network that does not tell,
        which believes in all of them.
        """
        kept = np.flatnonzero(~(confidence.mean(axis=1) < self._min_confidence))
        if self.options.largest and len(kept) > 1:
            # Only now: a large false alarm must not take the place of the face.
            kept = kept[[found.boxes[kept, 2:].prod(axis=1).argmax()]]
        return tuple(
            Face(
                entry.maps[i].to_image(points[i]),
                scheme=self.scheme.name,
                confidence=None if np.isnan(confidence[i]).any() else confidence[i],
                box=found.boxes[i],
                score=float(found.scores[i]),
                source="auto",
            )
            for i in kept
        )

    def _predict(self, crops: list[RgbImage]) -> tuple[FloatArray, FloatArray]:
        """(N, K, 2) points_crop and (N, K) confidence, in batches that fit into memory."""
        count = len(self.query.prompts_plane)
        points, confidence = np.zeros((len(crops), count, 2)), np.zeros((len(crops), count))
        start = 0
        while start < len(crops):
            end = min(start + self._batch_size, len(crops))
            try:
                batch = self.query.ask(self.predictor, np.stack(crops[start:end]))
            except (MemoryError, RuntimeError) as error:
                if not is_out_of_memory(error):
                    raise
                if end - start == 1:
                    raise TufaError(
                        "the device has not enough memory for a single face", "try --device cpu"
                    ) from None
                # Stay at the smaller size: the next batch would not fit either.
                self._batch_size = (end - start) // 2
                continue
            points[start:end], confidence[start:end] = batch
            start = end
        return points, confidence


def _given(value: float | None, default: float) -> float:
    return default if value is None else value


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error of numpy or torch says that memory ran out."""
    if isinstance(error, MemoryError):
        return True
    text = str(error).lower()
    return "out of memory" in text or "not enough memory" in text or "can't allocate" in text
