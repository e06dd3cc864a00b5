"""``tufa-cli annotate``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tufa_cli.cli.options import (
    FILE,
    batch_size_option,
    carry_option,
    device_option,
    dry_run_option,
    json_option,
    overwrite_option,
    quiet_option,
    scheme_for,
    threads_option,
    weights_option,
)
from tufa_cli.cli.progress import progress
from tufa_cli.errors import OutputError, TufaError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tufa_cli.images.reading import PhotoListing, RgbImage
    from tufa_cli.pipeline.annotate import PhotoResult
    from tufa_cli.pipeline.saving import Output
    from tufa_cli.schemes import Scheme


@click.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option("--scheme", required=True, help="Landmark scheme: a name or a YAML file.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Output  [default: stdout]")
@click.option(
    "-t",
    "--to",
    "format_name",
    type=click.Choice(["coco", "pts", "wflw"]),
    default="coco",
    show_default=True,
    help="Output format; pts is a folder.",
)
@weights_option
@click.option("--detector", help="Face finder: finder, lbp, haar, yunet, boxes, whole-image.")
@click.option("--detector-weights", type=FILE, help="Its network: yunet's, or another finder's.")
@click.option("--boxes", type=click.Path(path_type=Path), help="Faces found before: annotations.")
@click.option(
    "--min-score",
    type=click.FloatRange(0, 1),
    help="Leave out faces that the face finder is less sure of  [default: depends on it]",
)
@click.option(
    "--min-confidence",
    type=click.FloatRange(0, 1),
    help="Leave out faces on whose points the network is less sure  [default: likewise]",
)
@click.option(
    "--min-face", type=click.FloatRange(0), default=0.0, help="Leave out smaller faces, in pixels."
)
@click.option("--largest", is_flag=True, help="Only the largest face of each photo.")
@click.option("--draw", type=click.Path(path_type=Path, file_okay=False), help="Overlays go here.")
@carry_option
@device_option
@threads_option
@batch_size_option
@click.option("--resume", is_flag=True, help="Go on: skip the photos that are in the output.")
@overwrite_option
@dry_run_option
@json_option
@quiet_option
@click.pass_context
def annotate(
    ctx: click.Context,
    paths: tuple[str, ...],
    scheme: str,
    output: Path | None,
    format_name: str,
    weights: Path | None,
    detector: str | None,
    detector_weights: Path | None,
    boxes: Path | None,
    min_score: float | None,
    min_confidence: float | None,
    min_face: float,
    largest: bool,
    draw: Path | None,
    carry: bool,
    device: str,
    threads: int | None,
    batch_size: int,
    resume: bool,
    overwrite: bool,
    dry_run: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Find the faces in photos and write their landmarks in any scheme.

    PATH is a photo, a folder (searched with its sub-folders), or - for a list of photos on
    stdin, one a line. Without --output the annotations are printed as COCO keypoints JSON.
    A scheme file may describe points that no network was trained on.

    Photos that cannot be read are listed at the end (exit code 3).

    \b
    Example:
      tufa-cli annotate photos --scheme wflw98 -o faces.json --draw overlays
      tufa-cli annotate a.jpg b.png --scheme ibug68 --to pts -o labels
      find . -name '*.jpg' | tufa-cli annotate - --scheme my.yaml -o faces.json --resume
    """
    if output is None and (format_name != "coco" or as_json or resume):
        raise click.UsageError("--to, --json and --resume need an --output")
    if resume and overwrite:
        raise click.UsageError("--resume and --overwrite exclude each other")
    if boxes is not None and detector not in (None, "boxes"):
        raise click.UsageError(f"--boxes and --detector {detector} exclude each other")
    from tufa_cli.pipeline.annotate import AnnotateOptions
    from tufa_cli.pipeline.saving import Output, check_one_file_per_photo

    known = scheme_for(scheme, weights)
    listing = _list(paths, draw)
    names = [listing.relative(photo) for photo in listing]
    check_one_file_per_photo(format_name, names)
    target = None
    if output is not None:
        target = Output(output, format_name, known, listing.root, overwrite, resume)
    done = target.done if target else frozenset()
    todo = [photo for photo, name in zip(listing, names, strict=True) if name not in done]
    overlays = _overlay_paths(draw, todo, listing, overwrite)
    if dry_run:
        _say_plan(len(todo), len(done), listing, known, output)
        return
    options = AnnotateOptions(
        min_score,
        min_confidence,
        min_face,
        largest,
        batch_size,
        keep_pixels=draw is not None,
        carry=carry,
    )
    chosen = detector or ("boxes" if boxes is not None else None)
    run = _Run(listing, known, target, overlays, quiet)
    run.start(weights, chosen, detector_weights, boxes, device, threads, options)
    run.work(todo)
    run.finish(as_json)
    if run.failures:
        ctx.exit(3)


class _Run:
    """One run of the command: its counts, failures and output."""

    def __init__(
        self,
        listing: PhotoListing,
        scheme: Scheme,
        target: Output | None,
        overlays: dict[Path, Path],
        quiet: bool,
    ) -> None:
        self.listing, self.scheme, self.quiet = listing, scheme, quiet
        self.target, self.overlays = target, overlays
        self.failures = [(str(path), reason) for path, reason in listing.failures]
        self.photos = self.faces = self.faceless = 0
        self.printed: list = []  # the images that go to stdout

    def start(self, weights, detector, detector_weights, boxes, device, threads, options) -> None:
        """Load the network and the face finder."""
        from tufa_cli.detect import DEFAULT_DETECTOR, make_detector
        from tufa_cli.model.predict import Predictor
        from tufa_cli.model.weights import load_weights
        from tufa_cli.pipeline.annotate import Annotator

        finder = make_detector(detector or DEFAULT_DETECTOR, detector_weights, boxes)
        loaded = load_weights(weights)
        predictor = Predictor(loaded, device, threads)
        self.annotator = Annotator(finder, predictor, loaded, self.scheme, options)

    def work(self, todo: list[Path]) -> None:
        """Annotate the photos; what is done is saved whatever ends the run."""
        results = self.annotator.run(todo, self.listing.root, self.listing.relative)
        try:
            with progress(len(todo), "Annotating", self.quiet) as advance:
                for result in results:
                    self._take(result)
                    advance()
        except BaseException as error:
            if self.target is not None and not isinstance(error, OutputError) and self.photos:
                self.target.save()
                click.echo(f"{self.target.path}: {_count(self.photos, 'photo')} saved", err=True)
                click.echo("Hint: go on with --resume", err=True)
            raise

    def _take(self, result: PhotoResult) -> None:
        if result.image is None:
            self.failures.append((str(result.photo), result.failure or "failed"))
            return
        self.photos += 1
        self.faces += len(result.image.faces)
        self.faceless += not result.image.faces
        # The overlay first: a photo in the output is never drawn again by --resume.
        if result.photo in self.overlays and result.pixels is not None:
            self._draw(result, result.pixels)
        if self.target is not None:
            self.target.add(result.image)
        else:
            self.printed.append(result.image)

    def _draw(self, result: PhotoResult, pixels: RgbImage) -> None:
        from tufa_cli.images.drawing import draw_faces, write_picture

        assert result.image is not None
        drawn = draw_faces(pixels, result.image.faces, {self.scheme.name: self.scheme})
        write_picture(self.overlays[result.photo], drawn, overwrite=True)

    def finish(self, as_json: bool) -> None:
        """Write the output, say what became of the photos."""
        wrote = self._write()
        if as_json:
            self._report_json(wrote)
        if not self.quiet:
            self._summary(wrote)
        for path, reason in self.failures:
            click.echo(f"Failed: {path}: {reason}", err=True)

    def _write(self) -> bool:
        if self.target is not None:
            return self.target.save()
        if self.printed:
            _print_coco(self.printed, self.scheme)
        return bool(self.printed)

    def _summary(self, wrote: bool) -> None:
        where = f"{self.target.path}: " if self.target is not None and wrote else ""
        photos = _count(self.photos, "photo")
        click.echo(f"{where}{_count(self.faces, 'face')} in {photos}", err=True)
        if self.photos and not self.faces:
            click.echo(
                "No faces found in any photo; see --detector, --min-score and --min-confidence.",
                err=True,
            )
        elif self.faceless:
            click.echo(f"{_count(self.faceless, 'photo')} without a face", err=True)
        if self.target is not None and not wrote:
            click.echo(f"{self.target.path}: nothing to write", err=True)
        for text in self.target.lost if self.target is not None else ():
            click.echo(f"Not held by {self.target.format}: {text}", err=True)

    def _report_json(self, wrote: bool) -> None:
        import json

        assert self.target is not None
        report = {
            "output": str(self.target.path) if wrote else None,
            "scheme": self.scheme.name,
            "detector": self.annotator.detector.name,
            "photos": self.photos,
            "faces": self.faces,
            "photos_without_face": self.faceless,
            "photos_in_output": len(self.target.done),
            "other_files": self.listing.skipped,
            "failed": [{"photo": path, "reason": reason} for path, reason in self.failures],
        }
        click.echo(json.dumps(report))


def _list(paths: tuple[str, ...], draw: Path | None) -> PhotoListing:
    """The photos under PATH..., where - stands for the lines of stdin."""
    from dataclasses import replace

    from tufa_cli.images.reading import list_photos

    from_stdin = "-" in paths
    named = [path for path in paths if path != "-"]
    if from_stdin:
        list_photos(named)  # what the user typed must be there; what a list holds may be missing
        named += [line for line in _lines_of_stdin() if line]
    listing = list_photos(named, keep_going=from_stdin)
    if draw is not None:
        # Overlays of an earlier run inside the photos' folder are not photos to annotate.
        folder = draw.resolve()
        kept = tuple(
            p
            for p in listing
            if folder == listing.root.resolve() or folder not in p.resolve().parents
        )
        skipped = listing.skipped + len(listing) - len(kept)
        listing = replace(listing, photos=kept, skipped=skipped)
    if not listing.photos and not listing.failures:
        others = f" ({_count(listing.skipped, 'other file')})" if listing.skipped else ""
        raise TufaError(
            f"no photos in {', '.join(paths[:3])}{others}",
            "photos are files such as .jpg, .png, .webp, .tif, .bmp, .gif",
        )
    return listing


def _lines_of_stdin() -> Iterator[str]:
    for line in sys.stdin.buffer:
        yield line.rstrip(b"\r\n").decode(sys.getfilesystemencoding(), "surrogateescape")


def _overlay_paths(
    draw: Path | None, photos: list[Path], listing: PhotoListing, overwrite: bool
) -> dict[Path, Path]:
    """Where each photo's overlay goes; raises OutputError before anything is replaced."""
    if draw is None:
        return {}
    from tufa_cli.images.drawing import overlay_name
    from tufa_cli.writing import check_writable

    if draw.resolve() == listing.root.resolve():
        raise OutputError(f"{draw}: overlays would replace the photos", "draw to another folder")
    places = {photo: draw / overlay_name(listing.relative(photo)) for photo in photos}
    for place in places.values():
        check_writable(place, overwrite)
    return places


def _say_plan(
    todo: int, done: int, listing: PhotoListing, scheme: Scheme, output: Path | None
) -> None:
    click.echo(f"{_count(todo, 'photo')} to annotate with {scheme.name} ({len(scheme)} points)")
    if done:
        click.echo(f"{_count(done, 'photo')} in {output} already")
    if listing.skipped:
        click.echo(f"{_count(listing.skipped, 'other file')} left aside")
    click.echo(f"would write {output or 'to stdout'}")


def _print_coco(images: list, scheme: Scheme) -> None:
    """The COCO JSON on stdout, as the format would write it to a file."""
    from tempfile import TemporaryDirectory

    from tufa_cli.formats import write

    with TemporaryDirectory() as folder:
        path = Path(folder, "annotations.json")
        write(images, path, "coco", schemes=[scheme])
        click.echo(path.read_text(encoding="utf-8"), nl=False)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("s" if number != 1 else "")
