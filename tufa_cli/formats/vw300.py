"""300VW: frames of videos, ``NNN/annot/000001.pts`` beside ``NNN/vid.avi``; 68 points, 1-based.

Frame k of a video, counted from 1, has the file ``annot/%06d.pts`` of k. The photos are what the
frames are extracted to: ``NNN/imgs/000001.png`` and so on, as MMPose's script does. One person is
annotated, also where a video shows several. The text is iBUG's, with mixed line ends.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from tufa_cli.annotation import AnnotatedImage, Face
from tufa_cli.errors import InputError, OutputError
from tufa_cli.formats._base import Capabilities, ReadOptions, Sniff, WriteOptions, first
from tufa_cli.formats._files import source_files, write_lines
from tufa_cli.formats._layout import Layout, written
from tufa_cli.formats._pts import FRAMES, SUFFIXES, face_lines, parse_pts, video_frames
from tufa_cli.writing import filling

NAME = "300vw"
TITLE = "300VW, a .pts per video frame, 68 points, 1-based"
SCHEME = "ibug68"
POINTS = 68
CAPABILITIES = Capabilities(one_face=True, points=POINTS, index_base=1, streams=True)
LAYOUT = Layout(FRAMES, "imgs", ".pts", ".png")
_PHOTO = re.compile(r"(.+/)?imgs/\d{6}\.png")


def sniff(path: Path) -> Sniff:
    """Yes for .pts files named by six digits in a folder ``annot``, with no photo beside them."""
    try:
        frames = video_frames(source_files(path, SUFFIXES))
        if not frames:
            return Sniff(False, "no annot/000001.pts in it")
        frame = frames[0]
        parse_pts(frame, POINTS)
    except InputError as error:
        return Sniff(False, error.problem)
    return Sniff(True, f"{frame.parent.name}/{frame.name} has {POINTS} points")


def read(source: Path, options: ReadOptions) -> Iterator[AnnotatedImage]:
    """One record per frame; the photo is ``NNN/imgs/000001.png``, extracted or not."""
    found = source_files(source, SUFFIXES)
    files = video_frames(found) if source.is_dir() else found
    if not files:
        raise InputError(source, "no annot/000001.pts in the folder")
    if len(files) < len(found):
        others = len(found) - len(files)
        options.note(f"{source}: {others} .pts files are no frames and were left out")
    videos = {file.parent.parent for file in files}
    bare = sorted(v.name for v in videos if (v / "vid.avi").exists() and not (v / "imgs").is_dir())
    if bare:
        options.note(
            f"{source}: the frames of {first(bare)} are not extracted; "
            "they are looked for as imgs/000001.png"
        )
    first_pixel = options.base(CAPABILITIES.index_base)

    def load(path: Path) -> Face:
        rows, _ = parse_pts(path, POINTS)
        return Face(rows - first_pixel, scheme=options.scheme or SCHEME)

    yield from LAYOUT.records(source, files, options, load)


def renames() -> Callable[[AnnotatedImage], bool]:
    """Photos that a reader will look for elsewhere: frames belong in ``imgs``."""
    return LAYOUT.renamed


def write(images: Iterable[AnnotatedImage], target: Path, options: WriteOptions) -> list[Path]:
    """A file per frame, for photos named ``NNN/imgs/000001.png``; a missing point is ``-1 -1``."""
    first_pixel = options.base(CAPABILITIES.index_base)
    with filling(target, options.overwrite) as staged:
        for image in images:
            if not _PHOTO.fullmatch(image.path):
                raise OutputError(
                    f"{image.path}: no frame of a video; {NAME} holds NNN/imgs/000001.png",
                    "write pts, which takes any photo",
                )
            for face in image.faces:
                path = LAYOUT.target(image, staged)
                write_lines(path, face_lines(face, first_pixel), overwrite=False)
        return written(target, staged)
