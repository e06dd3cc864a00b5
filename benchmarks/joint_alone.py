"""Does one network for all schemes beat one network a scheme?

    python benchmarks/joint_alone.py packs/faces.h5 --sources 300w aflw scut mtfl -o runs/joint

Every network sees the same number of faces of its schemes: as many different ones (the smallest
source's), drawn as often (the joint run's batch is as many times larger as there are sources), for
as many steps. The joint run is made with two seeds; their difference says what is noise. Prints the
validation NME in % of every run and of the plane's bare anchors; runs that are there already are
not made again.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

from tufa_cli.data.packed import PackedFaces
from tufa_cli.training.config import TrainConfig, load_config
from tufa_cli.training.loop import train


def final_scores(run: Path) -> dict[str, float]:
    """Validation NME of the last step in a run's metrics.csv, by "source/scheme"."""
    with (run / "metrics.csv").open(newline="") as file:
        rows = [(int(step), name, float(value)) for step, name, value in csv.reader(file)]
    last = max(step for step, name, _ in rows if name.startswith("nme "))
    return {
        name.removeprefix("nme "): value
        for step, name, value in rows
        if step == last and name.startswith("nme ")
    }


def make(config: TrainConfig, run: Path) -> dict[str, float]:
    """Train unless it is done, and read the scores."""
    if not (run / "final.pt").exists():
        train(config, run, resume=True)
    return final_scores(run)


def main() -> None:
    """Command line; see the module's text."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pack")
    parser.add_argument("--config", type=Path, default=Path("examples/train_nano.yaml"))
    parser.add_argument("--sources", nargs="+", required=True)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--per-source", type=int, default=8, help="faces of a source per step")
    parser.add_argument("-o", "--out", type=Path, required=True)
    args = parser.parse_args()

    faces = PackedFaces([Path(args.pack)], 128)
    smallest = min(
        int(((faces.source_of == name) & (faces.split_of == "train")).sum())
        for name in args.sources
    )
    common = [
        f"packs=[{args.pack}]", f"steps={args.steps}", "warmup=100", "temperature=0", "shares={}",
        "ema=0.99", f"limit_per_group={smallest}", f"validate_every={args.steps}",
    ]  # fmt: skip

    def run(sources: list[str], seed: int, name: str) -> dict[str, float]:
        words = [
            f"sources=[{','.join(sources)}]",
            f"batch_size={args.per_source * len(sources)}",
            f"seed={seed}",
        ]
        return make(load_config(args.config, [*common, *words]), args.out / name)

    joint = [run(args.sources, seed, f"joint_seed{seed}") for seed in (0, 1)]
    alone: dict[str, float] = {}
    for source in args.sources:
        alone |= run([source], 0, f"alone_{source}")
    print(f"{smallest} faces a source, {args.steps} steps, {args.per_source} faces a source a step")
    print("| source/scheme | alone | joint, seed 0 | joint, seed 1 | seeds differ by |")
    print("|---|---|---|---|---|")
    for key in alone:
        one, two = joint[0][key], joint[1][key]
        apart = abs(one - two) / ((one + two) / 2)
        print(f"| {key} | {alone[key]:.2f} | {one:.2f} | {two:.2f} | {apart:.1%} |")


if __name__ == "__main__":
    main()
