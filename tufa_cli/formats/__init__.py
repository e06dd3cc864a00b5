"""Landmark formats: one format is one file, listed here.

``read`` turns any source into ``AnnotatedImage`` records; ``write`` is the way back; ``losses``
says beforehand what a format cannot hold. Formats of other packages are found by the entry point
group ``tufa_cli.formats``; a built-in name wins.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Literal, cast

from tufa_cli.annotation import AnnotatedImage
from tufa_cli.errors import InputError, TufaError, UnknownNameError
from tufa_cli.formats._base import (
    MISSING_POLICIES,
    Capabilities,
    Format,
    MissingPolicy,
    ReadOptions,
    Sniff,
    WriteOptions,
    WriteReport,
)
from tufa_cli.formats._fast import uncollected
from tufa_cli.formats._files import check_source, photo_size
from tufa_cli.formats._json import load_json
from tufa_cli.formats._losses import Losses, Preparation, losses_in, remarks_on
from tufa_cli.formats._plugins import ENTRY_POINTS, clashes, load_plugin, plugins
from tufa_cli.formats._xml import check_xml
from tufa_cli.formats._zip import is_zip
from tufa_cli.schemes import Scheme, get_scheme

__all__ = [
    "BUILT_IN",
    "ENTRY_POINTS",
    "MISSING_POLICIES",
    "Capabilities",
    "Format",
    "Losses",
    "MissingPolicy",
    "ReadOptions",
    "Sniff",
    "WriteOptions",
    "WriteReport",
    "check_writes",
    "choose_format",
    "format_names",
    "get_format",
    "losses",
    "photo_size",
    "plugin_problems",
    "read",
    "sniff",
    "write",
]

#: Name of a format -> its module in this package.
BUILT_IN = {
    "300vw": "vw300",
    "300w-lp": "w300lp",
    "aflw-sqlite": "aflw_sqlite",
    "aflwinfo": "aflwinfo",
    "celeba": "celeba",
    "coco": "coco",
    "coco-results": "coco_results",
    "coco-wholebody": "coco_wholebody",
    "cofw": "cofw",
    "cofw68": "cofw68",
    "csv": "wide_csv",
    "cvat": "cvat",
    "datumaro": "datumaro",
    "dlib": "dlib",
    "halpe": "halpe",
    "helen": "helen",
    "hf-jsonl": "hf_jsonl",
    "hrnet-csv": "hrnet_csv",
    "jd": "jd",
    "label-studio": "label_studio",
    "labelme": "labelme",
    "lapa": "lapa",
    "ljson": "ljson",
    "merl-rav": "merl_rav",
    "mtfl": "mtfl",
    "muct": "muct",
    "openface": "openface",
    "pts": "pts",
    "py-feat": "py_feat",
    "retinaface": "retinaface",
    "scut": "scut",
    "supervisely": "supervisely",
    "via": "via",
    "wflw": "wflw",
    "yolo-pose": "yolo_pose",
}


def format_names() -> list[str]:
    """Names of all formats, sorted; loads none."""
    return sorted({*BUILT_IN, *plugins()})


def get_format(name: str) -> Format:
    """A format by name; raises UnknownNameError, or TufaError for a plug-in that cannot load."""
    if name in BUILT_IN:
        return cast(Format, importlib.import_module(f"{__name__}.{BUILT_IN[name]}"))
    if name not in plugins():
        raise UnknownNameError("format", name, format_names())
    return load_plugin(name)


def plugin_problems() -> list[str]:
    """What is wrong with the formats of other packages, in words; loads all of them.

    A format that cannot be used is passed over when sources are looked at, so that someone has to
    say so.
    """
    problems = clashes(BUILT_IN)
    for name, points in sorted(plugins().items()):
        if name not in BUILT_IN and len(points) == 1:
            try:
                load_plugin(name)
            except TufaError as error:
                problems.append(error.message)
    return problems


def sniff(path: Path | str) -> dict[str, Sniff]:
    """What each format says about a source: yes or no, with a reason.

    Raises InputError when there is nothing at ``path``.
    """
    path = Path(path)
    check_source(path)
    verdicts = {}
    for name in format_names():
        try:
            verdicts[name] = get_format(name).sniff(path)
        except TufaError as error:
            verdicts[name] = Sniff(False, error.message)
    return verdicts


def choose_format(path: Path | str) -> str:
    """The one format a source looks like; raises InputError when none or several do."""
    verdicts = sniff(path)
    fitting = [name for name, verdict in verdicts.items() if verdict.yes]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        raise InputError(
            path,
            f"looks like {' and '.join(fitting)}",
            hint="say which with --from, or give a folder or file that holds only one",
        )
    near = [
        f"{name}: {verdict.reason.removeprefix(f'{Path(path).name}: ')}"
        for name, verdict in verdicts.items()
        if verdict.near
    ]
    if near:
        raise InputError(path, f"cannot be read as {'; nor as '.join(near)}")
    _check_whole(Path(path))
    if is_zip(Path(path)):
        problem = "a zip archive in which nothing known was found"
        raise InputError(path, problem, hint="unpack it and give the folder, or a file of it")
    raise InputError(
        path,
        "looks like none of the known formats",
        hint=f"say which with --from ({', '.join(verdicts)}); "
        "'tufa-cli convert SOURCE --explain' prints why each was refused",
    )


def _check_whole(path: Path) -> None:
    """Raise InputError for a file that is empty, or broken JSON or XML."""
    if path.is_dir():
        return
    if not path.stat().st_size:
        raise InputError(path, "the file is empty")
    if path.suffix.lower() == ".json":
        load_json(path, unique=False)
    elif path.suffix.lower() == ".xml":
        check_xml(path)


def read(
    path: Path | str,
    format: str = "auto",
    scheme: str | Scheme | None = None,
    root: Path | str | None = None,
    *,
    index_base: int | None = None,
    coco_visibility: Literal["auto", "strict"] = "auto",
    negatives: Literal["error", "keep"] = "error",
    settings: Mapping[str, str] | None = None,
    schemes: Iterable[Scheme] = (),
    dry_run: bool = False,
    on_error: Callable[[InputError], None] | None = None,
    on_note: Callable[[str], None] | None = None,
) -> Iterator[AnnotatedImage]:
    """The records of a file or folder, in a stable order, read while you iterate.

    Each record's photo lies at ``Path(record.root) / record.path`` when it is there at all.

    format: a format's name, or "auto" to look (ambiguity is an error).
    scheme: the faces' scheme, or its name, alias or file; left out, the format's own if it has one.
    root: the photos' folder where it is not the format's usual one.
    index_base: number of the first pixel on disk where it is not the format's own.
    coco_visibility: "auto" reads 1 as visible in files without any 2; "strict" never does.
    negatives: what plain .pts files do with pairs of negative numbers.
    settings: what only the chosen format asks for, by name (its ``SETTINGS``).
    schemes: those of the user's own that files may say they have.
    dry_run: write nothing, though a setting asks for it (photos that lie inside the source).
    on_error: called with each item that cannot be read, which is left out; None raises it.
    on_note: called with remarks on what was left aside.

    Raises InputError with file and line, and UnknownNameError, before the first record or while
    iterating.
    """
    path = Path(path)
    check_source(path)
    if root is not None and not Path(root).is_dir():
        raise InputError(root, "no such folder of photos")
    known = get_scheme(scheme) if isinstance(scheme, str) else scheme
    options = ReadOptions(
        scheme=known.name if known else None,
        points=len(known) if known else None,
        layout=known,
        schemes={own.name: own for own in schemes},
        root=Path(root) if root is not None else None,
        index_base=index_base,
        coco_visibility=coco_visibility,
        negatives=negatives,
        settings=dict(settings or {}),
        dry_run=dry_run,
        on_error=on_error,
        on_note=on_note,
    )
    if format == "auto":
        for problem in plugin_problems():
            options.note(problem)
        format = choose_format(path)
    chosen = get_format(format)
    _check_settings(chosen, "SETTINGS", options.settings)
    caps = chosen.CAPABILITIES
    if known is not None and not caps.takes(len(known)):
        raise InputError(
            path,
            f"{chosen.NAME} holds {caps.counts_text} points, "
            f"the scheme {known.name} has {len(known)}",
        )
    return chosen.read(path, options)


def _check_settings(chosen: Format, kind: str, given: Mapping[str, str]) -> None:
    """Raise UnknownNameError for a setting that a format does not have."""
    known: Mapping[str, str] = getattr(chosen, kind, {})
    for name in given:
        if name not in known:
            hint = None if known else f"{chosen.NAME} has none"
            raise UnknownNameError(f"setting of {chosen.NAME}", name, known, hint)


def check_writes(chosen: Format, settings: Mapping[str, str]) -> None:
    """Raise TufaError for a format that is read but not written, or has no such settings."""
    _check_settings(chosen, "WRITE_SETTINGS", settings)
    reason = chosen.CAPABILITIES.read_only
    if reason is not None:
        raise TufaError(f"{chosen.NAME} is read only: {reason}", "write coco, which holds it all")


def losses(
    images: Iterable[AnnotatedImage], format: str, missing: MissingPolicy = "error"
) -> list[str]:
    """What ``format`` cannot hold of these records, in words; empty when all of it fits.

    Missing points are among them unless ``missing`` says what ``write`` is to do about those.
    Several faces in a photo are no loss to formats of one file per face: each gets its file.
    """
    return losses_in(images, get_format(format), missing)


def write(
    images: Iterable[AnnotatedImage],
    path: Path | str,
    format: str,
    overwrite: bool = False,
    *,
    missing: MissingPolicy = "error",
    index_base: int | None = None,
    settings: Mapping[str, str] | None = None,
    schemes: Iterable[Scheme] = (),
    counted: Losses | None = None,
) -> WriteReport:
    """Write records to a file, or to a folder for formats of one file per face.

    missing: what to do with points a format cannot hold: "error", "drop-face" (leave the face
        out) or "sentinel" (the number the format's own users take for "none").
    settings: what only the chosen format asks for, by name (its ``WRITE_SETTINGS``).
    schemes: the user's own that faces are of, for the names of their points and the lines.
    counted: what is lost of the records, where the caller counts that while they go by.

    What else the format cannot hold is listed in the report; ask ``losses`` before. The records
    are not changed, and with formats that stream they are gone through one by one, so ``images``
    may be a generator of any length. Raises OutputError.
    """
    chosen = get_format(format)
    check_writes(chosen, settings or {})
    remarks: list[str] = []
    options = WriteOptions(
        overwrite=overwrite,
        index_base=index_base,
        settings=dict(settings or {}),
        schemes={own.name: own for own in schemes},
        on_note=remarks.append,
    )
    plan = Preparation(chosen, missing, options, counted)
    ready = plan.stream(images)
    if chosen.CAPABILITIES.streams:
        files = chosen.write(ready, Path(path), options)
    else:
        with uncollected():
            records = list(ready)
        files = chosen.write(records, Path(path), options)
        remarks += remarks_on(records, chosen)
    return WriteReport(
        files=tuple(files),
        images=plan.images,
        faces=plan.faces,
        dropped=tuple(plan.dropped()),
        lost=tuple(plan.losses.lines()),
        remarks=tuple(remarks),
    )
