"""Makes schemes/plane.json of the shipped mean shapes, and the tables of docs/plane.md.

    python docs/make_plane.py

Schemes without a mean shape are placed by meaning. The tables stand between comment lines that name
them; a test runs ``tables`` and compares.
"""

from __future__ import annotations

from pathlib import Path

from page_tables import filled, table

from tufa_cli.schemes import Plane, builtin_plane, get_scheme, scheme_names
from tufa_cli.schemes.align import align, with_schemes
from tufa_cli.schemes.cross_check import held_out_places, left_out_schemes
from tufa_cli.schemes.meanshapes import builtin_shapes

DOCS = Path(__file__).resolve().parent
SHAPES = {name: shape.points for name, shape in builtin_shapes().items()}
LAYOUTS = {name: get_scheme(name) for name in SHAPES}


def shipped_plane() -> Plane:
    """The plane of every scheme that ships."""
    faces = {name: shape.faces for name, shape in builtin_shapes().items()}
    found = align(SHAPES, LAYOUTS, name="tufa", faces=faces)
    return with_schemes(found.plane, [get_scheme(n) for n in scheme_names() if n not in SHAPES])


def tables() -> dict[str, str]:
    """The tables of docs/plane.md by the name in their comment lines."""
    report = builtin_plane().report
    held = held_out_places(SHAPES, LAYOUTS)
    points = sum(row.points for row in held)
    before, after = (sum(row.points * v for row, v in zip(held, values, strict=True)) / points
                     for values in ([r.before for r in held], [r.after for r in held]))  # fmt: skip
    return {
        "pairs": table(
            ["schemes", "equal points", "before", "after", "largest", "nearest is right"],
            (
                [
                    f"`{pair['first']}` `{pair['second']}`",
                    pair["equal_points"],
                    f"{pair['mean_distance_percent']['before']:.2f}",
                    f"{pair['mean_distance_percent']['after']:.2f}",
                    f"{pair['largest_distance_percent']:.2f}",
                    _percent(pair["nearest_neighbour_accuracy"]),
                ]
                for pair in report["pairs"]
            ),
        ),
        "schemes": table(
            ["scheme", "faces", "mean displacement", "largest", "asymmetry", "folds"],
            (
                [
                    f"`{name}`",
                    row["faces"],
                    f"{row['moved_mean_percent']:.2f} %",
                    f"{row['moved_max_percent']:.2f} %",
                    f"{row['symmetry_error_percent']:.2f} %",
                    row["folded_triangles"],
                ]
                for name, row in report["schemes"].items()
            ),
        ),
        "held out": table(
            ["schemes", "points", "similarity alone", "predicted"],
            [
                *(
                    [f"`{r.first}` `{r.second}`", r.points, f"{r.before:.2f}", f"{r.after:.2f}"]
                    for r in held
                ),
                ["all", points, f"{before:.2f}", f"{after:.2f}"],
            ],
        ),
        "left out": table(
            ["scheme", "points", "of these unknown to the others", "mean error", "largest"],
            (
                [f"`{r.scheme}`", r.points, r.unknown, _number(r.mean), _number(r.worst)]
                for r in left_out_schemes(SHAPES, LAYOUTS)
            ),
        ),
    }


def with_tables(text: str) -> str:
    """The page with its tables made anew."""
    return filled(text, tables())


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share:.1%}"


def _number(value: float | None) -> str:
    return "too little in common" if value is None else f"{value:.2f}"


if __name__ == "__main__":
    made = shipped_plane()
    (DOCS.parent / "schemes" / "plane.json").write_text(made.to_json(), encoding="utf-8")
    builtin_plane.cache_clear()
    page = DOCS / "plane.md"
    page.write_text(with_tables(page.read_text(encoding="utf-8")), encoding="utf-8")
