"""Where a run was made: versions, device, threads and the code's state, for its folder."""

from __future__ import annotations

import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

_PACKAGES = ("tufa-cli", "torch", "numpy", "opencv-python", "h5py")


def environment(device: torch.device, world: int) -> dict[str, Any]:
    """Plain values for JSON. No user, host or path: run folders are shared."""
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "packages": {name: _version(name) for name in _PACKAGES},
        "device": _device_name(device),
        "threads": torch.get_num_threads(),
        "ranks": world,
        "code": _git_state(),
    }


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return platform.processor() or device.type


def _git_state() -> dict[str, Any] | None:
    """Commit and whether files differ from it, of the checkout this code runs from, if any."""
    folder = Path(sys.modules["tufa_cli"].__file__ or ".").resolve().parents[1]
    if not (folder / ".git").exists():
        return None
    try:
        commit = _git(folder, "rev-parse", "HEAD")
        return {"commit": commit, "changed": bool(_git(folder, "status", "--porcelain", "-uno"))}
    except (OSError, subprocess.SubprocessError):
        return None


def _git(folder: Path, *words: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(folder), *words], capture_output=True, text=True, timeout=10, check=True
    )
    return done.stdout.strip()
