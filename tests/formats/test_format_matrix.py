"""Every pair of formats: A to B and back gives A, in all but what was said to be lost.

What is lost is found here by comparing the records, face by face, and has to be what ``losses``
said beforehand: the same kinds, as often. Faces are told apart by where their first point lies.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from dataclasses import field as made
from pathlib import Path

import numpy as np
import pytest
from format_cases import FILES, SCHEMES, SIZES, WRITABLE, put_photo
from format_records import Records
from numpy.typing import NDArray

from tufa_cli.annotation import UNLABELLED, AnnotatedImage, Face
from tufa_cli.errors import OutputError
from tufa_cli.formats import WriteReport, get_format, losses, read, write

#: Formats that take any photo but keep only its stem, and mean a .jpg.
STEMS = ("300w-lp", "helen", "muct")
#: Formats whose photos have names that only they have; the first two take no others.
OWN_NAMES = ("300vw", "cofw68", "cofw", "lapa")
WHERE = "where points lie"
MISSING = "that points are missing"
EMPTY = "the entry without a face"
OTHERS = "all but the first face"
PATH = "the photo's name or folder"
ATTRIBUTES = "attributes of faces"
#: What formats say in words of their own.
_SAME = {"the split": "the split", "where a box leaves the photo": "the box"}
_LINE = re.compile(r"(.+?)(?: \((.+)\))?: (\d+) (?:face|photo)s?, first (?:in )?.+")


def named(lines: Iterable[str]) -> tuple[dict[str, int], set[str]]:
    """Kinds of loss with their counts, and the names of lost attributes (the first eight)."""
    counts, names = {}, set()
    for line in lines:
        found = _LINE.fullmatch(line)
        assert found is not None, line
        kind = next((kind for start, kind in _SAME.items() if found[1].startswith(start)), found[1])
        counts[kind] = counts.get(kind, 0) + int(found[3])
        if found[1] == ATTRIBUTES:
            names = set(re.split(r", | and \d+ more", found[2])) - {""}
    return counts, names


@dataclass
class Difference:
    """How records differ: kinds of loss as ``losses`` says them, and what is there beside."""

    lost: Counter[str] = made(default_factory=Counter)
    names: set[str] = made(default_factory=set)
    added: set[str] = made(default_factory=set)


def difference(
    before: Sequence[AnnotatedImage], after: Sequence[AnnotatedImage], digits: float
) -> Difference:
    """Compare records whose faces may have moved by less than a pixel; fails on anything odd."""
    found = Difference()
    faces = {_place(face): (image, face) for image in after for face in image.faces}
    assert len(faces) == sum(len(image.faces) for image in after)
    for image in before:
        if not image.faces:
            same = next((i for i in after if i.path == image.path), None)
            found.lost[EMPTY] += same is None
            continue
        pairs = [(face, *faces.pop(_place(face), (None, None))) for face in image.faces]
        (there,) = {id(i): i for _, i, _ in pairs if i is not None}.values()
        found.lost[OTHERS] += pairs[-1][1] is None
        found.lost[PATH] += there.path != image.path
        found.lost["the split"] += image.split not in (None, there.split)
        found.added |= {"split"} if image.split is None is not there.split else set()
        found.lost["the photo's attributes"] += dict(image.attributes) != dict(there.attributes)
        assert there.width in (image.width, None, 640)
        for face, _, other in pairs:
            if other is not None:
                _compare(face, other, digits, found)
    assert not faces
    return found


def _place(face: Face) -> tuple[int, int]:
    if not face.labelled.any():
        return (-1, -1)  # there is only one
    x, y = face.points_px[0]
    return round(x), round(y)


def _compare(a: Face, b: Face, digits: float, found: Difference) -> None:
    found.lost["the fraction of the points"] += _moved(a.points_px, b.points_px, digits)
    missing = [np.asarray(face.visibility) == UNLABELLED for face in (a, b)]
    assert (missing[0] == missing[1]).all()
    found.lost["which points are occluded"] += not np.array_equal(a.visibility, b.visibility)
    if a.box is None or b.box is None:
        found.lost["the box"] += a.box is not b.box is None
        found.added |= {"box"} if b.box is not None else set()
    elif np.abs(a.box - b.box).max() > 0.5:
        found.lost["the box"] += 1  # another was made in its place
    else:
        found.lost["the box's fraction"] += _moved(a.box, b.box, digits)
    if a.confidence is None or b.confidence is None:
        found.lost["the confidence"] += a.confidence is not None
        assert a.confidence is not None or b.confidence is None
    else:
        np.testing.assert_allclose(
            a.confidence[~missing[0]], b.confidence[~missing[0]], atol=digits
        )
        unsure = not np.array_equal(a.confidence[missing[0]], b.confidence[missing[0]])
        found.lost["the confidence of missing points"] += unsure
    found.lost["the score"] += a.score != b.score is None
    assert b.score in (a.score, None)
    found.lost["that a model made the points"] += (a.source, b.source) == ("auto", "manual")
    assert (a.source, b.source) != ("manual", "auto")
    lost = {
        name
        for name, value in a.attributes.items()
        if name not in b.attributes or not _alike(value, b.attributes[name], digits)
    }
    found.lost[ATTRIBUTES] += bool(lost)
    found.names |= lost
    found.added |= {"attributes"} if set(b.attributes) - set(a.attributes) else set()


def _alike(a: object, b: object, digits: float) -> bool:
    if isinstance(a, (list, tuple)) and isinstance(b, list) and len(a) == len(b):
        return all(_alike(x, y, digits) for x, y in zip(a, b, strict=True))
    if isinstance(a, (float, int)) and isinstance(b, (float, int)):
        return abs(a - b) <= digits
    return a == b


def _moved(a: NDArray[np.float64], b: NDArray[np.float64], digits: float) -> bool:
    far = np.abs(a - b)[np.isfinite(a)]
    assert (far <= 0.5).all()
    return bool((far > digits).any())


def digits(*names: str) -> float:
    """How far a number may be from what it was: scut has 32 bits, text six decimals."""
    return 4e-5 if "scut" in names else 1.1e-6


class Files:
    """Files of each format with all that it can hold, written once; and all photos."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._made: dict[tuple[str, int, str], tuple[list[AnnotatedImage], Path]] = {}
        self._count = 0

    def of(self, name: str, count: int, names: str) -> tuple[list[AnnotatedImage], Path]:
        """The records of a file of a format, as they are read, and their photos' folder."""
        key = (name, count, names)
        if key not in self._made:
            photos = self.folder / f"photos {name} {count} {names}"
            images = Records(*key).all()
            if name != "cofw":  # in which a photo's place gives it its name
                images = [image for image in images if not losses([image], name)]
            for image in images:
                put_photo(photos / image.path)
            assert len(images) > 3
            back, report = self.through(images, name, photos)
            assert report.lost == ()
            found = difference(images, back, digits(name))
            assert not +found.lost and not found.added, (found, report.remarks)
            self._made[key] = back, photos
        return self._made[key]

    def through(
        self, images: Sequence[AnnotatedImage], name: str, photos: Path
    ) -> tuple[list[AnnotatedImage], WriteReport]:
        """What a format makes of records, written and read again."""
        self._count += 1
        target = self.folder / str(self._count) / FILES[name]
        report = write(images, target, name)
        if name == "yolo-pose":
            for image, labels in zip(images, report.files[1:], strict=True):
                place = target / "images" / labels.relative_to(target / "labels")
                put_photo(place.with_suffix(Path(image.path).suffix))
            return list(read(target, name)), report
        back = read(target, name, root=photos, negatives="keep")
        return [without_ids(image) for image in back], report  # test_ids.py looks at those


def without_ids(image: AnnotatedImage) -> AnnotatedImage:
    """A photo without its id and its faces'."""
    return replace(image, id=None, faces=tuple(replace(face, id=None) for face in image.faces))


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return Files(tmp_path_factory.mktemp("matrix"))


def given(files: Files, first: str, second: str) -> tuple[list[AnnotatedImage], Path]:
    """The first format's records for a pair."""
    count = SIZES.get(first) or SIZES.get(second) or 5
    if first == "300w-lp":
        count = 68
    names = first
    if first not in OWN_NAMES + STEMS and second in OWN_NAMES[:2]:
        names = second
    return files.of(first, count, names)


def held(images: Sequence[AnnotatedImage], name: str) -> Iterator[AnnotatedImage]:
    """Without the faces that a format refuses unless it is told what to do with them."""
    for image in images:
        if not image.faces:
            yield image
            continue
        whole = get_format(name).CAPABILITIES.missing or all(f.labelled.all() for f in image.faces)
        if whole and WHERE not in named(losses([image], name))[0]:
            yield image


@pytest.mark.parametrize("second", WRITABLE)
@pytest.mark.parametrize("first", WRITABLE)
def test_there_and_back(files: Files, first: str, second: str) -> None:
    images, photos = given(files, first, second)
    if not get_format(second).CAPABILITIES.takes(len(images[0].faces[0].points_px)):
        with pytest.raises(OutputError, match=r"points; .+ holds"):
            files.through(images, second, photos)
        return
    if second in OWN_NAMES[:2] and first in OWN_NAMES + STEMS and first != second:
        with pytest.raises(OutputError, match=r"no (frame|test photo)"):
            files.through(images, second, photos)
        return
    there, lost, names = one_way(files, images, second, photos)
    kept = [image for image in held(images, second) if image.faces or not lost.get(EMPTY)]
    try:
        back, _ = files.through(list(held(there, first)), first, photos)
    except OutputError as error:
        assert PATH in lost, error  # a name that only the first format takes
        return
    found = difference(kept, back, digits(first, second))
    again, _ = named(losses(there, first))
    assert set(+found.lost) <= {*lost, *again}
    assert set(sorted(found.names)[:8]) <= names


def one_way(
    files: Files, images: Sequence[AnnotatedImage], name: str, photos: Path
) -> tuple[list[AnnotatedImage], dict[str, int], set[str]]:
    """The records as a format gives them back, and what was said to be lost; checks that it was."""
    kept = list(held(images, name))
    if len(kept) < len(images):
        said, _ = named(losses(images, name))
        refused = sum(len(i.faces) for i in images) - sum(len(i.faces) for i in kept)
        assert said.get(MISSING, 0) + said.get(WHERE, 0) == refused
        with pytest.raises(OutputError, match=r"no way to write|cannot say that"):
            files.through(images, name, photos)
    lost, names = named(losses(kept, name))
    there, report = files.through(kept, name, photos)
    assert named(report.lost) == (lost, names)
    if get_format(name).CAPABILITIES.one_face:  # what went with the other faces is not counted
        others = {kind: count for kind, count in lost.items() if kind == OTHERS}
        lost, names = named(losses([replace(i, faces=i.faces[:1]) for i in kept], name))
        lost |= others
    found = difference(kept, there, digits(name))
    # A stem is enough where the photo is there, as it is here; what is said is for anywhere.
    moved = found.lost.pop(PATH)
    assert moved <= lost.get(PATH, 0)
    assert +found.lost == {kind: count for kind, count in lost.items() if kind != PATH}
    assert set(sorted(found.names)[:8]) == names
    remarks = " ".join(report.remarks)
    assert not found.added or remarks, found.added
    for image in there:
        for face in image.faces:
            assert face.scheme in (images[0].faces[0].scheme, None, *SCHEMES.values(), "muct68")
    return there, lost, names
