"""Photos with all that a format can hold, each thing in a photo of its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from format_cases import SCHEMES, SIZED, placed
from numpy.typing import NDArray

from tufa_cli.annotation import OCCLUDED, UNLABELLED, VISIBLE, AnnotatedImage, Face
from tufa_cli.formats import get_format, losses

#: Attributes that some format holds, with values that fit there.
SOME = {
    "anything": {"a": 1, "b": [None, True]},
    "blur": 0.25,
    "class": "left",
    "gender": "male",
    "identity": 3,
    "label": "a 'b' & é",
    "occluded": True,
    "pose": 1.5,
    "tag": 12,
    # Names that say something else in one format or another.
    **dict.fromkeys(("scheme", "score", "source", "face", "name", "visibility", "box"), "x"),
    **{name: [1, 2] for name in ("bbox", "keypoints", "confidence", "attributes", "point_count")},
}
#: Parts of a data set; the last two mean something else in one format or another.
SPLITS = ("train", "val", "my part", "default", "unsplit")
#: Attributes of photos.
SAID = {"said": "x", "also": [1], "split": "y", "width": 7, "id": 3, "file_name": "z"}
FLAGS = ("pose", "expression", "illumination", "make_up", "occlusion", "blur")
#: Attributes of faces in formats whose own are of other kinds.
OWN: dict[str, dict[str, Any]] = {
    "300w-lp": {"pitch": 0.5, "yaw": -0.25, "roll": 0.0, "pose_scale": 0.125, "roi": [1, 2, 3, 4]}
    | {"translation": [1.0, 2.0, 3.0]},
    "hrnet-csv": {"scale": 1.5, "center": [100.0, 90.5]},
    "mtfl": {"gender": 1, "smile": 2, "glasses": 1, "pose": 3},
    "wflw": dict.fromkeys(FLAGS, 1),
}


class Records:
    """Makes them.

    count: points of a face. names: the format whose photos' names are taken.
    """

    def __init__(self, name: str, count: int, names: str) -> None:
        self.name, self.count, self.names = name, count, names
        self.caps = get_format(name).CAPABILITIES
        self.faces = 0
        self.numbers: Counter[str | None] = Counter()

    def all(self) -> list[AnnotatedImage]:
        """A photo for each thing that the format can hold."""
        return [*self._plain(), *self._of_faces(), *self._of_photos()]

    def _plain(self) -> Iterator[AnnotatedImage]:
        for name in ("a.jpg", "sub/é b.jpg", "sub/deeper/c.png"):
            yield self._photo(name, self._face())
        yield self._photo("near.jpg", self._face(shift=-60))
        if self.caps.box:
            yield self._photo("wide.jpg", self._face(box=np.array([-9.0, 12, 60, 999])))
        # Numbers that stand for a point that is not there in one format or another.
        for name, number in (("zero.jpg", 0), ("one.jpg", -1)):
            yield self._photo(name, self._face(point=(number, number)))
        if self.caps.several_faces:
            yield self._photo("several.jpg", self._face(), self._face(), self._face())

    def _of_faces(self) -> Iterator[AnnotatedImage]:
        caps = self.caps
        if caps.visibility:
            yield self._photo("hidden.jpg", self._face(visibility=self._states(OCCLUDED)))
        if caps.missing:
            yield self._photo("missing.jpg", self._face(visibility=self._states(UNLABELLED)))
        if caps.box:
            yield self._photo("box.jpg", self._face(box=np.array([21.0, 12, 60, 40])))
        if caps.box and caps.float_box:
            yield self._photo("boxes.jpg", self._face(box=np.array([21.25, 12, 60.5, 40])))
        if caps.confidence:
            yield self._photo("sure.jpg", self._face(confidence=np.linspace(0.25, 1, self.count)))
        if caps.confidence if caps.score is None else caps.score:
            yield self._photo("score.jpg", self._face(score=0.5))
        if caps.source:
            yield self._photo("model.jpg", self._face(source="auto"))
        held = SOME if caps.attributes is None else caps.attributes
        known = OWN.get(self.name) or {
            key: value
            for key, value in SOME.items()
            if key in held and self._fits(faces=(self._face(attributes={key: value}),))
        }
        if known:
            box = np.array([1.0, 2, 3, 4]) if caps.box else None
            yield self._photo("attributes.jpg", self._face(attributes=known, box=box))
        if caps.missing and caps.confidence:
            sure, states = np.linspace(0.25, 1, self.count), self._states(UNLABELLED)
            yield self._photo("some.jpg", self._face(visibility=states, confidence=sure))
        if caps.missing and caps.box:
            none = np.zeros(self.count, dtype=np.uint8)
            yield self._photo("none.jpg", self._face(visibility=none, box=np.array([5.0, 6, 7, 8])))

    def _fits(self, **given: Any) -> bool:
        return not losses([AnnotatedImage("a.jpg", **given)], self.name)

    def _of_photos(self) -> Iterator[AnnotatedImage]:
        caps = self.caps
        if caps.empty_images:
            yield self._photo("empty.jpg")
        splits = caps.split if isinstance(caps.split, tuple) else SPLITS if caps.split else ()
        for split in splits:
            yield self._photo(f"{split}.jpg", self._face(), split=split)
        if caps.image_attributes is True:
            faces = (self._face(),)
            said = {k: v for k, v in SAID.items() if self._fits(faces=faces, attributes={k: v})}
            yield self._photo("said.jpg", *faces, attributes=said)
        elif caps.image_attributes:
            boxes = {"ignored_boxes": [[1.0, 2.0, 3.0, 4.0]]}
            yield self._photo("said.jpg", self._face(), attributes=boxes)

    def _face(
        self, shift: float = 0, point: tuple[float, float] | None = None, **given: Any
    ) -> Face:
        """A face whose first point is where no other face's is."""
        self.faces += 1
        index = np.arange(self.count)
        points = np.stack([40 + 7 * (index % 30), 30 + 13 * (index // 30)], axis=1).astype(float)
        points += self.faces * 9 + shift
        if self.caps.float:
            points += (index[:, None] % 5) / 64
        if point is not None:
            points[-1] = point
        face = Face(points, scheme=SCHEMES.get(self.name) or SCHEMES.get(self.names), **given)
        if (
            self.name in ("cofw", "dlib", "retinaface", "yolo-pose") and face.box is None
        ):  # a face must have one
            face = replace(face, box=np.array([21.0, 12, 60, 40]))
        needed = {"hrnet-csv": OWN["hrnet-csv"]}.get(self.name, {})
        if self.name == "wflw" and face.box is not None:
            needed = OWN["wflw"]
        return replace(face, attributes={**needed, **face.attributes})

    def _states(self, state: int) -> NDArray[np.uint8]:
        """(K,) all visible but some, of which the first point is none."""
        states = np.full(self.count, VISIBLE, dtype=np.uint8)
        states[1 : 1 + max(1, self.count // 3)] = state
        return states

    def _photo(
        self, path: str, *faces: Face, split: str | None = None, **given: Any
    ) -> AnnotatedImage:
        if self.name == "cofw":
            split = split or "train"
        part = split if self.names == "cofw" else None
        self.numbers[part] += 1
        if self.name in ("helen", "lapa", "muct") or self.names == "300vw":
            path = PurePosixPath(path).with_suffix(".jpg").as_posix()
        path = placed(self.names, path, split, self.numbers[part])
        size = {"width": 640, "height": 480} if self.name in SIZED else {}
        return AnnotatedImage(path, faces, split=split, **size, **given)
