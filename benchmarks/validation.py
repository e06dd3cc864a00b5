"""The validation table of MODEL_CARD.md: every label set, three kinds of box, and the bare anchors.

    python benchmarks/validation.py ../shared/data [--weights FILE]

DATA is laid out as docs/walkthrough.md says. Prints NME in % (as each scheme divides it), with the
failure rate at 10 % in brackets.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

from tufa_cli.detect import DEFAULT_DETECTOR

#: label set: source, format, scheme, photos, list
SETS = {
    "`ibug68`, 300-W": ("300w", "pts", "ibug68", None, "val_300w"),
    "`ibug68`, AFLW (MERL-RAV)": ("aflw/merl_rav", "merl-rav", "ibug68", "aflw/photos", "val_aflw"),
    "`scut86`, SCUT-FBP5500": ("scut", "scut", "scut86", None, "val_scut"),
    "`mtfl5`, MTFL": ("mtfl/training.txt", "mtfl", "mtfl5", "mtfl", "val_mtfl"),
    "`aflw21`, AFLW": ("aflw/aflw21_coco.json", "coco", "aflw21", "aflw", "val_aflw"),
    "`wflw98`, 60 faces of WFLW": (
        "wflw/list_98pt_rect_attr_train.txt", "wflw", "wflw98", "wflw/WFLW_images", None,
    ),
}  # fmt: skip


def evaluate(data: Path, which: str, box: list[str], weights: str | None) -> dict:
    """The JSON report of ``tufa-cli evaluate`` on one label set."""
    source, form, scheme, images, names = SETS[which]
    words = ["evaluate", str(data / source), "--from", form, "--scheme", scheme, "--json", *box]
    words += ["--images", str(data / images)] if images else []
    words += ["--list", str(data / "splits" / f"{names}.txt")] if names else []
    words += ["--weights", weights] if weights else []
    done = subprocess.run(
        [sys.executable, "-m", "tufa_cli", *words], capture_output=True, text=True, check=False
    )
    if done.returncode not in (0, 3):
        raise SystemExit(done.stderr)
    return json.loads(done.stdout)


def cell(report: dict) -> str:
    """NME and failure rate."""
    return f"{report['nme_percent']:.2f} ({report['failure_rate_percent']:.1f})"


def main() -> None:
    """Command line; see the module's text."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--weights")
    args = parser.parse_args()
    print(
        "| label set | faces | bare anchors | oracle box | jittered box "
        f"| {DEFAULT_DETECTOR}, missed |"
    )
    print("|---|---|---|---|---|---|")
    for name in SETS:
        oracle = evaluate(args.data, name, ["--baseline"], args.weights)
        jitter = evaluate(args.data, name, ["--box", "jitter"], args.weights)
        found = evaluate(args.data, name, ["--box", "detector"], args.weights)
        print(
            f"| {name} | {oracle['faces']} | {cell(oracle['baseline'])} | {cell(oracle)} | "
            f"{cell(jitter)} | {cell(found)}, {found['missed']} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
