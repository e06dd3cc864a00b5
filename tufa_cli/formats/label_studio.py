"""Label Studio's JSON, 0-based pixels from percent: tasks with annotations or predictions.

Of a task the first annotation that was not cancelled is read (or that of the setting
``annotator``), and where there is none the first prediction. Photos where all faces are a model's
are written as predictions, others as annotations in which each face says its origin. Label Studio
knows no visibility: an occluded point has ``occluded`` in its region's ``meta`` text. Beside
OUT.json goes OUT.label-config.xml, the labelling interface to give to the project.

Percent need the photo's size: where a record has none, the photo must be there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tufa_cli.annotation import OCCLUDED, UNLABELLED, AnnotatedImage, Face
from tufa_cli.errors import InputError, OutputError
from tufa_cli.formats._base import EVERYTHING, ReadOptions, Sniff, Tally, WriteOptions, states
from tufa_cli.formats._drafts import box_drawn, faces_of, marks_of, names_in
from tufa_cli.formats._files import (
    check_name,
    first_root,
    is_photo,
    list_files,
    photo_size,
    sniff_any,
)
from tufa_cli.formats._ids import Numbers, id_in, only_count
from tufa_cli.formats._json import (
    dump_json,
    entry,
    first_object,
    is_json,
    json_lacks,
    load_json,
    photo_side,
    without,
)
from tufa_cli.formats._label_studio_regions import (
    Results,
    drafts_of,
    full_task,
    parse_results,
    path_of,
    simple_regions,
)
from tufa_cli.formats._names import NAMES_SETTING, FaceClass, FaceClasses, Orders
from tufa_cli.formats._xml import escaped
from tufa_cli.writing import check_writable, replacing_text, write_text

NAME = "label-studio"
TITLE = "Label Studio JSON, tasks with predictions, any number of points"
#: Numbers are parts of the photo's sides.
HOLDS_FRACTIONS = True
CAPABILITIES = replace(EVERYTHING, confidence="labelled", score=True, ids=("photos",), streams=True)
SETTINGS = {
    "annotator": "whose annotation to read: a number or an e-mail address, as completed_by has it",
    **NAMES_SETTING,
}
SUFFIXES = (".json",)

#: Where Label Studio serves files of the machine it runs on, relative to its document root.
_LOCAL = "/data/local-files/?d="
_HINT = "in Label Studio, the points of one face have its rectangle as their parent"
_META = ("split", "width", "height", "attributes")


def _sniff_file(path: Path) -> Sniff:
    keys = ("data", "annotations|predictions|completions")
    lacks = json_lacks(path, b"[", keys)
    if lacks is None:
        return Sniff(True, "a JSON list of tasks with data")
    if json_lacks(path, b"{", (*keys, "result")) is None:
        return Sniff(True, "a JSON object, one task with data")
    row = first_object(path)
    if row is not None and simple_regions(row):
        return Sniff(True, "a JSON list of tasks as JSON-MIN has them")
    return Sniff(False, lacks)


def sniff(path: Path) -> Sniff:
    """Yes for JSON of tasks with data and annotations or predictions, and for JSON-MIN."""
    return sniff_any(path, SUFFIXES, _sniff_file)


def read(source: Path, options: ReadOptions) -> Iterator[AnnotatedImage]:
    """One record per task; photos are looked for beside the file and in ``images``."""
    for file in list_files(source, SUFFIXES, _sniff_file):
        yield from _File(file, options).records()


@dataclass
class _Task:
    """A task's number, its object, and what was found of its regions."""

    number: int
    row: dict[str, Any]
    results: Results
    predicted: bool


class _File:
    """One file while it is read."""

    def __init__(self, path: Path, options: ReadOptions) -> None:
        self.path, self.options = path, options
        self.first_pixel = options.base(CAPABILITIES.index_base)
        self.annotator = options.settings.get("annotator")
        self.tally = Tally()
        self.orders = Orders(options, self._survey)
        self.root = options.root
        self.rows = load_json(path)
        if isinstance(self.rows, dict) and "data" in self.rows:
            self.rows = [self.rows]
        if not isinstance(self.rows, list):
            raise InputError(path, "not a Label Studio file: no list of tasks")

        rows = (row for row in self.rows if isinstance(row, dict))
        self.counted = only_count([row.get("id") for row in rows])

    def records(self) -> Iterator[AnnotatedImage]:
        seen: set[int] = set()
        ids: set[str] = set()
        for number, row in enumerate(self.rows):
            try:
                task = self._task(number, row, self.tally)
                image = self._image(task)
            except ValueError as error:
                self.options.failed(InputError(self.path, f"[{number}]: {error}"))
                continue
            self.tally.aside("tasks repeat another's id", str(row.get("id")) in ids)
            self.tally.aside("photos are named more than once", hash(image.path) in seen)
            seen.add(hash(image.path))
            if row.get("id") is not None:
                ids.add(str(row["id"]))
            yield image
        self.tally.close(self.path, self.options)

    def _survey(self, label: str | frozenset[str] | None) -> Iterator[str]:
        quiet = Tally()
        for number, row in enumerate(self.rows):
            try:
                task = self._task(number, row, quiet)
            except ValueError:
                continue
            yield from names_in(drafts_of(task.results, task.predicted, quiet), label)

    def _task(self, number: int, row: Any, tally: Tally) -> _Task:
        row = full_task(row)
        if not isinstance(row, dict):
            raise ValueError("not an object")
        if not isinstance(row.get("data"), dict):
            raise ValueError("a task without data; export as JSON, not JSON-MIN")
        kind, chosen = self._chosen(row, tally)
        rows = (entry(chosen, "result", list, "a list") or []) if chosen is not None else []
        people = any((chosen or {}).get(key) for key in ("completed_by", "lead_time"))
        tally.aside("annotations say whose they are and when made, which is not kept", people)
        tally.aside("tasks have other data than the photo, which is not kept", len(row["data"]) > 1)
        where = f"[{number}].{kind}"
        results = parse_results(rows, where, self.first_pixel, tally, partial(self._size, row))
        return _Task(number, row, results, kind.startswith("predictions"))

    def _chosen(self, row: dict[str, Any], tally: Tally) -> tuple[str, dict[str, Any] | None]:
        """The annotation or prediction to read, and what it is called in errors."""
        key = "annotations" if "annotations" in row else "completions"
        found = [
            (f"{key}[{number}]", one)
            for number, one in enumerate(entry(row, key, list, "a list") or [])
            if isinstance(one, dict) and not one.get("was_cancelled")
        ]
        if self.annotator is not None:
            found = [(where, one) for where, one in found if _by(one, self.annotator)]
            tally.aside("tasks have no annotation of that person", not found)
            return found[0] if found else (key, None)
        tally.aside("further annotations of the same task are not read", max(0, len(found) - 1))
        if found:
            return found[0]
        predictions = [
            (f"predictions[{number}]", one)
            for number, one in enumerate(entry(row, "predictions", list, "a list") or [])
            if isinstance(one, dict)
        ]
        tally.aside("further predictions of the same task are not read", len(predictions[1:]))
        return predictions[0] if predictions else (key, None)

    def _image(self, task: _Task) -> AnnotatedImage:
        path = self._photo(task.row)
        meta = entry(task.row, "meta", dict, "an object") or {}
        drafts = drafts_of(task.results, task.predicted, self.tally)
        for problem in task.results.problems:
            self.options.failed(InputError(self.path, problem))
        size = task.results.size or (None, None)
        width, height = (photo_side(meta.get(side), side) for side in ("width", "height"))
        others = without(meta, _META) | (entry(meta, "attributes", dict, "an object") or {})
        return AnnotatedImage(
            path,
            faces_of(drafts, self.orders, self.path, self.options, self.tally, _HINT),
            width=width or size[0],
            height=height or size[1],
            split=entry(meta, "split", str, "a word"),
            root=str(self.root),
            attributes=others | task.results.answers,
            id=id_in(task.row.get("id"), self.counted),
        )

    def _size(self, row: dict[str, Any]) -> tuple[int, int] | None:
        path = self._photo(row)
        return photo_size(AnnotatedImage(path, root=str(self.root)))

    def _photo(self, row: dict[str, Any]) -> str:
        """The photo's path; the prefix that Label Studio gives to uploads is taken away."""
        path, bare = path_of(row)
        folder = self.path.parent
        if self.root is None:
            self.root = first_root([folder, folder / "images"], bare)
        return path if path != bare and is_photo(self.root / path) else bare


def _by(annotation: dict[str, Any], annotator: str) -> bool:
    """Whether an annotation was completed by a person, given by number or e-mail address."""
    who = annotation.get("completed_by")
    names = [who.get("id"), who.get("email")] if isinstance(who, dict) else [who]
    return annotator in [str(name) for name in names if name is not None]


def holds_attribute(name: str, value: object, face: Face) -> bool:
    """Any JSON value."""
    return is_json(value)


def holds_image_attribute(name: str, value: object) -> bool:
    """Any JSON value."""
    return is_json(value)


def write(images: Iterable[AnnotatedImage], target: Path, options: WriteOptions) -> list[Path]:
    """The tasks, and the labelling interface beside them.

    Raises OutputError, also where the size of a photo with faces is not known.
    """
    config = target.with_name(f"{target.stem}.label-config.xml")
    check_writable(config, options.overwrite)
    writer = _Writer(target, options)
    with replacing_text(target, options.overwrite) as stream:
        stream.write("[")
        for number, image in enumerate(images):
            stream.write((",\n" if number else "\n") + writer.task(image))
        stream.write("\n]\n")
    write_text(config, writer.config(), options.overwrite)
    if writer.made:
        options.note(f"{writer.made} faces without a box got that of their points, marked so")
    options.tell({"ids of photos are taken, or no numbers: others stand for them": writer.ids.lost})
    return [target, config]


class _Writer:
    """Writes task after task, and remembers the labels for the labelling interface."""

    def __init__(self, target: Path, options: WriteOptions) -> None:
        self.target, self.first_pixel = target, options.base(CAPABILITIES.index_base)
        self.made = 0
        self.ids = Numbers(1)
        self._classes = FaceClasses(options.schemes)

    def task(self, image: AnnotatedImage) -> str:
        name = check_name(image.path, self.target)
        size = photo_size(image)
        if size is None and image.faces:
            raise OutputError(
                f"{image.path}: {NAME} needs the photo's size, and the photo is not there",
                "--images names the folder of the photos",
            )
        results = [
            row
            for number, face in enumerate(image.faces)
            for row in self._results(face, number, size or (1, 1))
        ]
        auto = bool(image.faces) and all(face.source == "auto" for face in image.faces)
        made: dict[str, Any] = {"result": results}
        if auto:
            scores = [face.score for face in image.faces if face.score is not None]
            made["model_version"] = "tufa-cli"
            if scores:
                made["score"] = sum(scores) / len(scores)
        meta: dict[str, Any] = {"split": image.split} if image.split is not None else {}
        if size is not None:
            meta |= {"width": size[0], "height": size[1]}
        held = {k: v for k, v in image.attributes.items() if holds_image_attribute(k, v)}
        meta |= {"attributes": held} if held else {}
        task: dict[str, Any] = {} if image.id is None else {"id": self.ids.of(image.id)}
        task |= {
            "data": {"image": _LOCAL + quote(name)},
            "annotations": [made] if image.faces and not auto else [],
            "predictions": [made] if auto else [],
            "meta": meta,
        }
        return dump_json(task, self.target)

    def _results(self, face: Face, number: int, size: tuple[int, int]) -> Iterator[dict[str, Any]]:
        named = self._classes.of(face)
        box, made = box_drawn(face)
        self.made += made
        x, y, w, h = box.tolist()
        common = {
            "to_name": "image",
            "original_width": size[0],
            "original_height": size[1],
            "image_rotation": 0,
            "origin": "prediction" if face.source == "auto" else "manual",
        }
        yield (
            self._rectangle(face, named)
            | common
            | {
                "id": f"face{number}",
                "value": {
                    "x": (x + self.first_pixel) / size[0] * 100,
                    "y": (y + self.first_pixel) / size[1] * 100,
                    "width": w / size[0] * 100,
                    "height": h / size[1] * 100,
                    "rotation": 0,
                    "rectanglelabels": [named.label],
                },
            }
        )
        scores = face.confidence.tolist() if face.confidence is not None else None
        places = ((face.points_px + self.first_pixel) / size * 100).tolist()
        for index, state in enumerate(states(face)):
            if state == UNLABELLED:
                continue
            px, py = places[index]
            row = common | {
                "id": f"face{number}-{index}",
                "type": "keypointlabels",
                "from_name": "point",
                "parentID": f"face{number}",
                "value": {"x": px, "y": py, "width": 0.5, "keypointlabels": [named.names[index]]},
            }
            if scores is not None:
                row["score"] = scores[index]
            if state == OCCLUDED:
                row["meta"] = {"text": ["occluded"]}
            yield row

    def _rectangle(self, face: Face, named: FaceClass) -> dict[str, Any]:
        """What a face's rectangle says beside its place."""
        row: dict[str, Any] = {"type": "rectanglelabels", "from_name": "face"}
        meta = without(marks_of(face, named), ("score", "source"))
        held = {k: v for k, v in face.attributes.items() if holds_attribute(k, v, face)}
        meta |= {"attributes": held} if held else {}
        if meta:
            row["meta"] = meta
        if face.score is not None:
            row["score"] = face.score
        return row

    def config(self) -> str:
        """The labelling interface: one rectangle label per class, one point label per name."""
        names = dict.fromkeys(n for named in self._classes.found.values() for n in named.names)
        lines = ["<View>", '  <Image name="image" value="$image"/>']
        lines.append('  <RectangleLabels name="face" toName="image">')
        for named in self._classes.found.values():
            lines.append(f'    <Label value="{escaped(named.label)}"/>')
        lines.append("  </RectangleLabels>")
        lines.append('  <KeyPointLabels name="point" toName="image" strokeWidth="2">')
        # Label Studio's own exports to COCO and YOLO go by model_index.
        for index, name in enumerate(names):
            lines.append(f'    <Label value="{escaped(name)}" model_index="{index}"/>')
        return "\n".join([*lines, "  </KeyPointLabels>", "</View>"]) + "\n"
