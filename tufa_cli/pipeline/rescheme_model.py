"""Labels of one scheme into another's by a network, which looks at the photos again.

The labels only say where the face is: each crop is the plane laid on them, as ``evaluate`` does
with its oracle box.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from tufa_cli.annotation import AnnotatedImage, Face
from tufa_cli.detect.crops import crop_from_box
from tufa_cli.detect.from_file import BoxesDetector
from tufa_cli.errors import InputError, TufaError
from tufa_cli.geometry.crop import CropMap, oracle_crop
from tufa_cli.images.reading import RgbImage, read_rgb
from tufa_cli.images.warp import warp_crop
from tufa_cli.model.predict import Predictor
from tufa_cli.model.weights import Weights, load_weights
from tufa_cli.pipeline.rescheme import Link, LinkOf, OnError, hidden_as_labelled
from tufa_cli.schemes import Scheme


@dataclass(eq=False)
class _Waiting:
    """A photo whose crops wait for their batch; a face without a link stays as it is."""

    image: AnnotatedImage
    faces: list[Face]
    links: list[Link | None]
    maps: list[CropMap]
    crops: list[RgbImage]


class ModelLabels:
    """Labels faces anew in ``target``, in batches over several photos.

    weights, device, threads: as for ``annotate``. Raises TufaError for a target that the network's
    plane has no place for.
    """

    def __init__(
        self,
        target: Scheme,
        weights: Path | None = None,
        device: str = "auto",
        threads: int | None = None,
        batch_size: int = 32,
    ) -> None:
        self._weights: Weights = load_weights(weights)
        self._predictor = Predictor(self._weights, device, threads)
        self._target = target
        self._prompts_plane = self._weights.prompts(target)
        self._batch_size = batch_size

    def stream(
        self, images: Iterable[AnnotatedImage], link_of: LinkOf, failed: OnError
    ) -> Iterator[AnnotatedImage]:
        """See ``rescheme.Relabels``: photos that cannot be read, and faces that no crop fits, are
        handed to ``failed`` and left out."""
        waiting: list[_Waiting] = []
        for image in images:
            entry = self._prepare(image, link_of, failed)
            if entry is not None:
                waiting.append(entry)
            if sum(len(entry.crops) for entry in waiting) >= self._batch_size:
                yield from self._finish(waiting)
                waiting = []
        yield from self._finish(waiting)

    def _prepare(self, image: AnnotatedImage, link_of: LinkOf, failed: OnError) -> _Waiting | None:
        """Cut out the faces of another scheme; None for a photo that cannot be used."""
        links = [link_of(image, face) for face in image.faces]
        entry = _Waiting(image, [], [], [], [])
        photo = None
        for number, (face, link) in enumerate(zip(image.faces, links, strict=True), start=1):
            if link.same:
                link.faces += 1
                entry.faces.append(face)
                entry.links.append(None)
                continue
            try:
                photo = _read(image) if photo is None else photo
            except InputError as error:
                failed(error)
                return None
            try:
                crop_map = self._crop(face, link.way.source)
            except TufaError as error:
                failed(InputError(image.path, f"face {number}: {error.message}", hint=error.hint))
                continue
            link.faces += 1
            entry.faces.append(face)
            entry.links.append(link)
            entry.maps.append(crop_map)
            entry.crops.append(warp_crop(photo, crop_map, self._weights.input_size))
        return entry

    def _crop(self, face: Face, scheme: Scheme) -> CropMap:
        """By the labels; by the face's box where they do not tell. Raises TufaError."""
        window = self._weights.window
        try:
            return oracle_crop(self._weights.anchors(scheme), face.points_px, window)
        except TufaError:
            if face.box is None:
                raise
            return crop_from_box(face.box, BoxesDetector.box_plane, window)

    def _finish(self, waiting: Sequence[_Waiting]) -> Iterator[AnnotatedImage]:
        """Predict the crops of the waiting photos and hand the photos out."""
        crops = [crop for entry in waiting for crop in entry.crops]
        made = self._predict(crops)
        for entry in waiting:
            maps = iter(entry.maps)
            faces = [
                face if link is None else _labelled(face, link, next(maps), *next(made))
                for face, link in zip(entry.faces, entry.links, strict=True)
            ]
            yield replace(entry.image, faces=tuple(faces))

    def _predict(self, crops: Sequence[RgbImage]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """(K, 2) points_crop and (K,) confidence of each crop."""
        for start in range(0, len(crops), self._batch_size):
            batch = np.stack(crops[start : start + self._batch_size])
            yield from zip(*self._predictor.predict(batch, self._prompts_plane), strict=True)


def _read(image: AnnotatedImage) -> RgbImage:
    """The photo; raises InputError that names it as the labels do."""
    path = Path(image.root or "") / image.path
    if not path.is_file():
        raise InputError(image.path, "photo not found (--images names its folder)")
    try:
        return read_rgb(path)
    except InputError as error:
        raise InputError(image.path, error.problem, hint=error.hint) from None


def _labelled(
    face: Face, link: Link, crop_map: CropMap, points_crop: np.ndarray, confidence: np.ndarray
) -> Face:
    """The face with a network's points; box, score and attributes are kept."""
    return replace(
        face,
        points_px=crop_map.to_image(points_crop),
        scheme=link.way.target.name,
        visibility=hidden_as_labelled(face, link.way),
        confidence=None if np.isnan(confidence).any() else confidence,
        source="auto",
    )
