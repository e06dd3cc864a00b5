"""Reading COCO results: a list of detections, each with the id of its photo and scored points.

Photos' names are not part of the format: they stand in the rows (ours), are the ids themselves
(AlphaPose), or are looked up in the COCO file beside that has all the ids.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tufa_cli.annotation import UNLABELLED, VISIBLE, AnnotatedImage, Face
from tufa_cli.errors import InputError, TufaError
from tufa_cli.formats._base import ReadOptions, Sniff, Tally
from tufa_cli.formats._coco_read import key_of
from tufa_cli.formats._coco_sniff import HALPE_NUMBERS, KEYS, sniff_file
from tufa_cli.formats._files import first_root
from tufa_cli.formats._ids import id_in, only_count
from tufa_cli.formats._json import (
    box_of,
    first_object,
    load_json,
    numbers,
    one_number,
    photo_side,
    with_nested,
)
from tufa_cli.formats._names import scheme_named
from tufa_cli.formats._photo_names import common_folder, stored_name

_USED = frozenset(
    {"id", "image_id", "category_id", "keypoints", "score", "bbox", "attributes"}
    | {"file_name", "scheme", "source", "assumed"}
)


def sniff_results(path: Path, wanted: str, otherwise: str) -> Sniff:
    """Whether a file is a list of results: of Halpe's 136 points, or of another number.

    otherwise: what is said of a file that is no such list.
    """
    row = first_object(path)
    if row is not None and {"image_id", "bbox", "score"} <= row.keys() and "keypoints" not in row:
        reason = "results without keypoints (boxes or masks only)"
        return Sniff(False, reason, near=wanted == "coco-results")
    if row is None or "image_id" not in row or not isinstance(row.get("keypoints"), list):
        return Sniff(False, otherwise)
    found = "halpe" if len(row["keypoints"]) == HALPE_NUMBERS else "coco-results"
    reason = f"a list of results with {len(row['keypoints'])} numbers of keypoints"
    return Sniff(found == wanted, reason)


class Photo(NamedTuple):
    """What a COCO file says of a photo."""

    name: str
    width: int | None
    height: int | None


class Known(NamedTuple):
    """What a COCO file beside the results says: photos and schemes of categories, by id."""

    photos: dict[str, Photo]
    schemes: dict[str, str | None]


class ResultsFile:
    """One list of results while it is read.

    part: which of the numbers of ``keypoints`` are the face. scheme: of that part, or None.
    others: the numbers to what is kept of them as attributes.
    """

    def __init__(
        self,
        path: Path,
        data: Any,
        options: ReadOptions,
        part: slice = slice(None),
        scheme: str | None = None,
        others: Callable[[list[Any]], dict[str, Any]] | None = None,
    ) -> None:
        if not isinstance(data, list):
            raise InputError(path, "not COCO results: no list")
        self.path, self.data, self.options = path, data, options
        self.part, self.scheme, self.others = part, scheme, others
        self.first_pixel = options.base(0)
        self.flagged = 0
        self.known = self._beside()

    def records(self) -> Iterator[AnnotatedImage]:
        """A record per photo that has results, in the order of their first ones."""
        faces: dict[str, list[Face]] = {}
        photos: dict[str, Photo] = {}
        ids: dict[str, int] = {}
        rows = [row for row in self.data if isinstance(row, dict)]
        names = [row.get("file_name", row.get("image_id")) for row in rows]
        common = common_folder((n for n in names if isinstance(n, str)), self.options.root)
        tally = Tally("results are not faces of this scheme")
        for number, row in enumerate(self.data):
            try:
                if not isinstance(row, dict):
                    raise ValueError("not an object")
                photo = self._photo(row, common)
                face = self._face(row)
            except (ValueError, TypeError, TufaError) as error:
                self.options.failed(InputError(self.path, f"result {number}: {error}"))
                continue
            if not tally.took(face) or face is None:
                continue
            photos.setdefault(photo.name, photo)
            if type(row.get("image_id")) is int:
                ids.setdefault(photo.name, row["image_id"])
            faces.setdefault(photo.name, []).append(face)
        tally.aside("results have flags up to 2 where others have scores", self.flagged)
        tally.close(self.path, self.options)
        folder = self.path.parent
        roots = [*([Path(common)] if common else []), folder, folder / "images", folder.parent]
        root = self.options.root or first_root(roots, next(iter(faces), ""))
        counted = only_count(list(ids.values()))
        for name, members in faces.items():
            _, width, height = photos[name]
            own = id_in(ids.get(name), counted)
            yield AnnotatedImage(name, tuple(members), width, height, root=str(root), id=own)

    def _photo(self, row: dict[str, Any], common: str | None) -> Photo:
        key = "file_name" if "file_name" in row else "image_id"
        if isinstance(row.get(key), str):
            return Photo(stored_name(row[key], key, common), None, None)
        if "image_id" not in row:
            raise ValueError("image_id is missing")
        if self.known is None:
            raise ValueError("image_id is a number, and no COCO file beside has the photos' names")
        found = self.known.photos.get(key_of(row["image_id"]))
        if found is None:
            raise ValueError(f"no image has the id {row['image_id']!r:.40}")
        return found

    def _face(self, row: dict[str, Any]) -> Face | None:
        values = row.get("keypoints")
        if not isinstance(values, list) or len(values) % 3 or not values:
            raise ValueError("keypoints is not a list of x, y, score")
        found = numbers(values[self.part], "keypoints")
        assert found is not None
        rows = found.reshape(-1, 3)
        if self.options.points not in (None, len(rows)):
            return None
        missing = (rows == 0).all(axis=1)
        scores: Any = rows[:, 2]
        assumed = row.get("assumed")
        assumed = assumed if isinstance(assumed, list) else []
        if bool((scores > 1).any()):
            self.flagged += 1
            missing, scores = scores == 0, None
        if "confidence" in assumed:
            scores = None
        beside = self.known.schemes if self.known is not None else {}
        own = row.get("scheme") if isinstance(row.get("scheme"), str) else None
        scheme = self.scheme or own or beside.get(key_of(row.get("category_id")))
        box = None if "bbox" in assumed else row.get("bbox")
        score = None if "score" in assumed else row.get("score")
        more = self.others(values) if self.others is not None else {}
        return Face(
            rows[:, :2] - self.first_pixel,
            scheme=self.options.scheme or scheme,
            visibility=np.where(missing, UNLABELLED, VISIBLE).astype(np.uint8),
            confidence=scores,
            box=box_of(box, "bbox", self.first_pixel),
            score=one_number(score, "score"),
            attributes=with_nested(row, _USED) | more,
            source="manual" if row.get("source") == "manual" else "auto",
        )

    def _beside(self) -> Known | None:
        """The COCO file in the same folder that has all the ids, where the rows have no names."""
        ids = {
            key_of(row.get("image_id"))
            for row in self.data
            if isinstance(row, dict) and not isinstance(row.get("file_name"), str)
        }
        wanted = {found for found in ids if not found.startswith('"') and found != "null"}
        if not wanted:
            return None
        fitting = []
        for file in sorted(self.path.parent.glob("*.json")):
            if file != self.path and not file.name.startswith(".") and _is_coco(file):
                known = _known(file)
                if wanted <= set(known.photos):
                    fitting.append((file, known))
        if len(fitting) == 1:
            return fitting[0][1]
        problem = "its rows have the photos' ids only"
        if fitting:
            names = " and ".join(file.name for file, _ in fitting[:3])
            problem += f", and {names} have all of them"
        raise InputError(
            self.path, problem, hint="put the one COCO file that the ids are from beside it"
        )


def _is_coco(file: Path) -> bool:
    try:
        return any(sniff_file(file, dialect).yes for dialect in ("coco", "coco-wholebody", "halpe"))
    except InputError:
        return False


def _known(file: Path) -> Known:
    """Photos and schemes of a COCO file; raises InputError when it cannot be read."""
    data = load_json(file, unique=False)
    images, categories = (data.get(key) for key in (KEYS[0], KEYS[2]))
    photos: dict[str, Photo] = {}
    for number, row in enumerate(images if isinstance(images, list) else ()):
        try:
            name = stored_name(row["file_name"], "file_name")
            sides = [photo_side(row.get(side), side) for side in ("width", "height")]
        except (ValueError, TypeError, KeyError) as error:
            raise InputError(file, f"images[{number}]: {error}") from None
        photos[key_of(row.get("id"))] = Photo(name, *sides)
    schemes: dict[str, str | None] = {}
    for row in categories if isinstance(categories, list) else ():
        if isinstance(row, dict):
            names = row.get("keypoints")
            count = len(names) if isinstance(names, list) else 0
            mark = row.get("scheme")
            known = mark if isinstance(mark, str) else scheme_named(row.get("name"), count)
            schemes[key_of(row.get("id"))] = known
    return Known(photos, schemes)
