"""Makes the tables of docs/formats.md from what each format's module says of itself.

    python docs/make_formats.py

A test runs ``tables`` and compares.
"""

from __future__ import annotations

import re
from pathlib import Path

from page_tables import filled, table

from tufa_cli.formats import BUILT_IN, Capabilities, get_format
from tufa_cli.formats._base import Format

PAGE = Path(__file__).resolve().parent / "formats.md"
#: Ends of a title that have a column of their own.
_SAID = re.compile(r", (\d-based|read only|any number of points|\d+( or \d+)? points)(?=,|$)")
_NO = "–"
#: Formats without names of points whose files say the scheme all the same.
_SAY_SCHEME = ("coco-results", "hf-jsonl")


def tables() -> dict[str, str]:
    """The tables by the name in their comment lines."""
    formats = [get_format(name) for name in sorted(BUILT_IN)]
    return {
        "formats": table(
            ["name", "files", "points", "first pixel", "default scheme", "written"],
            (_line(chosen) for chosen in formats),
        ),
        "held": table(
            ["", "sub-pixels", "hidden points", "missing points", "box", "faces of a photo",
             "confidence", "score", "names of points"],
            ([f"`{chosen.NAME}`", *_of_points(chosen.CAPABILITIES)] for chosen in formats),
        ),
        "beside": table(
            ["", "a model's", "photo without a face", "split", "ids", "attributes of a face",
             "attributes of a photo"],
            ([f"`{chosen.NAME}`", *_of_photos(chosen.CAPABILITIES)] for chosen in formats),
        ),
        "settings": table(
            ["", "", "setting", "what it says"],
            (
                [f"`{chosen.NAME}`", way, f"`{name}`", said]
                for chosen in formats
                for way, key in (("from", "SETTINGS"), ("to", "WRITE_SETTINGS"))
                for name, said in getattr(chosen, key, {}).items()
            ),
        ),
        "read only": table(
            ["", "not written because"],
            (
                [f"`{chosen.NAME}`", chosen.CAPABILITIES.read_only]
                for chosen in formats
                if chosen.CAPABILITIES.read_only is not None
            ),
        ),
    }  # fmt: skip


def _line(chosen: Format) -> list[str]:
    caps = chosen.CAPABILITIES
    counts = ", ".join(map(str, caps.counts)) if caps.counts is not None else "any"
    title = _SAID.sub("", chosen.TITLE.replace(" (read only)", ""))
    written = _yes(caps.read_only is None)
    return [f"`{chosen.NAME}`", title, counts, _base(chosen), _scheme(chosen), written]


def _base(chosen: Format) -> str:
    """The number of the first pixel; by the number of points where a format has it so."""
    base_of = getattr(chosen, "first_pixel_of", None)
    if base_of is None:
        return str(chosen.CAPABILITIES.index_base)
    others = base_of(Path("a.csv"), 98)
    odd = [count for count in (5, 19, 29, 68, 98) if base_of(Path("a.csv"), count) != others]
    return f"{others}; {1 - others} with {' or '.join(map(str, odd))} points"


def _scheme(chosen: Format) -> str:
    """The scheme that faces have when none is asked for."""
    caps = chosen.CAPABILITIES
    own = getattr(chosen, "SCHEME", None)
    schemes = [own] if own else list(getattr(chosen, "SCHEMES", {}).values())
    if not schemes and caps.counts is not None and chosen.NAME in ("coco-wholebody", "halpe"):
        schemes = ["ibug68"]
    if schemes:
        return ", ".join(f"`{name}`" for name in schemes)
    told = caps.names or chosen.NAME in _SAY_SCHEME
    return "the file's, if it says one" if told else f"{_NO} (`--scheme`)"


def _of_points(caps: Capabilities) -> list[str]:
    several = "yes" if caps.several_faces else "one" if caps.one_face else "a file each"
    box = "whole pixels" if caps.box and not caps.float_box else _yes(caps.box)
    placed = caps.confidence == "labelled"
    confidence = "of points that are there" if placed else _yes(caps.confidence)
    score = caps.confidence if caps.score is None else caps.score
    return [_yes(caps.float), _yes(caps.visibility), _yes(caps.missing), box, several, confidence,
            _yes(score), _yes(caps.names)]  # fmt: skip


def _of_photos(caps: Capabilities) -> list[str]:
    ids = ", ".join(caps.ids) or _NO
    return [_yes(caps.source), _yes(caps.empty_images), _some(caps.split), ids,
            _some(caps.attributes), _some(caps.image_attributes)]  # fmt: skip


def _yes(value: object) -> str:
    return "yes" if value else _NO


def _some(held: bool | tuple[str, ...] | None) -> str:
    if isinstance(held, tuple):
        return ", ".join(name.replace("_", "\\_") for name in held) or _NO
    return "any" if held is None or held else _NO


def with_tables(text: str) -> str:
    """The page with its tables made anew."""
    return filled(text, tables())


if __name__ == "__main__":
    PAGE.write_text(with_tables(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
