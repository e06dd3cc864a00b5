"""Faces a second of ``tufa-cli pack`` with one process and with two, and the size of the file.

python benchmarks/pack.py ../shared/data/300w --scheme ibug68 [--jobs 1 2] [--count 2000]
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from pathlib import Path

import cv2

from tufa_cli.data.pack import PackOptions, pack
from tufa_cli.formats import read
from tufa_cli.schemes import builtin_plane


def cpu_seconds() -> float:
    """Processor time of this process and of its ended children."""
    usages = [resource.getrusage(w) for w in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def main() -> None:
    """Command line; see the module's text."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", type=Path)
    parser.add_argument("--from", dest="format", default="auto")
    parser.add_argument("--scheme")
    parser.add_argument("--count", type=int, default=2000, help="photos at most")
    parser.add_argument("--jobs", type=int, nargs="+", default=[1, 2])
    args = parser.parse_args()
    images = list(read(args.photos, format=args.format, scheme=args.scheme))[: args.count]
    print("| processes | faces | faces/s | CPU ms a face | peak MB, main / largest worker | file |")
    print("|---|---|---|---|---|---|")
    written = set()
    with tempfile.TemporaryDirectory() as folder:
        for jobs in args.jobs:
            # One process computes on one core, as each of several does.
            cv2.setNumThreads(1)
            out = Path(folder) / f"{jobs}.h5"
            begin, before = time.perf_counter(), cpu_seconds()
            for report in pack(images, out, builtin_plane(), PackOptions("bench"), jobs=jobs):
                rows = report.rows
            seconds, used = time.perf_counter() - begin, cpu_seconds() - before
            peak = [
                resource.getrusage(who).ru_maxrss / 1024
                for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
            ]
            size = out.stat().st_size / 1e6
            written.add(out.read_bytes())
            print(
                f"| {jobs} | {rows} | {rows / seconds:.0f} | {1000 * used / rows:.2f} | "
                f"{peak[0]:.0f} / {peak[1]:.0f} | {size:.1f} MB |",
                flush=True,
            )
    print("The files are equal." if len(written) == 1 else "THE FILES DIFFER.")


if __name__ == "__main__":
    main()
