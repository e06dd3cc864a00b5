"""The official release's weights and prompts as ours.

Its two networks are our sizes s8 and s16 without the uncertainty: a state dict of 264 tensors, and
the prompts beside it, one ``shape_K.npz`` per number of points (facts: reference/tufa.md 1.2, 1.4,
1.5). No code of the release is used here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tufa_cli.errors import InputError, ProblemsError
from tufa_cli.geometry.crop import Window
from tufa_cli.model.build import build_model
from tufa_cli.model.config import SIZES, ModelConfig
from tufa_cli.model.state_file import read_state_dict
from tufa_cli.model.weights import Weights
from tufa_cli.schemes import builtin_plane, get_scheme

FloatArray = NDArray[np.float64]

#: Side of the release's plane and crops in pixels: 1.2 times the face's box, our unit square.
SIDE = 256
WINDOW = Window(0.0, 0.0, 1.0)

#: The schemes of the release's prompts by their number of points. The 314 are in an order of their
#: own (sorted by x), so they need a scheme that says so.
SCHEMES = {29: "cofw29", 68: "ibug68", 98: "wflw98"}

TERMS = (
    "From the official TUFA release (github.com/Jiahao-UTS/TUFA), whose code is GPL-2.0; terms for "
    "its weights and prompts are not known to us. Ask its authors before you use them or pass them "
    "on."
)

#: Beginnings of the release's names and ours; what follows is the same.
_NAMES = {
    "Encoder.": "encoder.",
    "Decoder.Decoder.layers.": "layers.",
    "Decoder.Decoder.norm.": "norm.",
    "Linear.0.": "heads.0.hidden.",
    "Linear.2.": "heads.0.place.",
}
_PATCHES = "Encoder.patch_embed.proj.weight"


def official_config(patch: int) -> ModelConfig:
    """The size with patches of so many pixels (8 or 16), as in the release."""
    (size,) = (size for size in SIZES.values() if size.encoder == "vit" and size.patch == patch)
    return replace(size, uncertainty=False)


def import_official(path: Path, prompts: Mapping[str, FloatArray], name: str) -> Weights:
    """The release's weights file with its prompts, ready to be saved as a file of ours.

    prompts: scheme name to (K, 2) in crop units (see ``read_prompts``). Faces are cut out by the
    shipped plane, with the release's window: the unit square, 1.2 times the box of ``wflw98``.
    Raises InputError for a file that is no state dict of the release, and ProblemsError with every
    tensor that is missing, left over or of another shape.
    """
    theirs = {key.removeprefix("module."): value for key, value in read_state_dict(path).items()}
    patches = theirs.get(_PATCHES)
    known = sorted(size.patch for size in SIZES.values() if size.encoder == "vit")
    if patches is None or patches.dim() != 4 or patches.shape[-1] not in known:
        sizes = " or ".join(map(str, known))
        found = "there is none" if patches is None else f"found {tuple(patches.shape)}"
        raise InputError(
            path,
            f"not the release's state dict: {_PATCHES} has patches of {sizes} pixels, {found}",
            hint="the release's files are Face_prompt_base.pth (8) and Face_prompt_small.pth (16)",
        )
    model = build_model(official_config(int(patches.shape[-1]))).eval()
    ours = {official_name(key): key for key in model.state_dict()}
    problems = _problems(theirs, {name: model.state_dict()[key] for name, key in ours.items()})
    if problems:
        raise ProblemsError(path, problems, "is it a checkpoint of another network?")
    model.load_state_dict({key: theirs[name].float() for name, key in ours.items()})
    learned = {scheme: WINDOW.to_plane(points) for scheme, points in prompts.items()}
    meta: dict[str, Any] = {
        "name": name,
        "terms": TERMS,
        "origin": "the official release's, read by tufa-cli models import-official",
    }
    return Weights(model, replace(builtin_plane(), window=WINDOW), learned, meta)


def official_name(key: str) -> str:
    """The release's name of a tensor of ours."""
    for theirs, own in _NAMES.items():
        if key.startswith(own):
            return theirs + key[len(own) :]
    raise KeyError(key)


def _problems(theirs: Mapping[str, Tensor], ours: Mapping[str, Tensor]) -> list[str]:
    problems = [f"{name}: missing" for name in ours if name not in theirs]
    problems += [f"{name}: left over, not a tensor of the release" for name in theirs.keys() - ours]
    for name, tensor in ours.items():
        if name not in theirs:
            continue
        if theirs[name].shape != tensor.shape:
            found, expected = tuple(theirs[name].shape), tuple(tensor.shape)
            problems.append(f"{name}: shape {found}, expected {expected}")
        elif not torch.isfinite(theirs[name]).all():
            problems.append(f"{name}: holds values that are not numbers")
    return sorted(problems)


def read_prompts(entries: Sequence[str]) -> dict[str, FloatArray]:
    """Prompts in crop units by scheme, from ``shape_68.npz`` or ``SCHEME=shape_314.npz``.

    The release queries with the array ``offset``, (K, 2) pixels x, y on a plane of 256. Raises
    InputError for a file that is not like that, or whose scheme cannot be told or does not fit.
    """
    prompts: dict[str, FloatArray] = {}
    for entry in entries:
        given, equals, file = entry.partition("=")
        path = Path(file if equals else entry)
        points = _offsets(path)
        name = given if equals else SCHEMES.get(len(points))
        if name is None:
            raise InputError(
                path,
                f"{len(points)} points: which scheme is it?",
                hint=f"write SCHEME={path}; files of {_counts()} points need no name",
            )
        scheme = get_scheme(name)
        if len(scheme) != len(points):
            raise InputError(
                path, f"{len(points)} points, the scheme {scheme.name} has {len(scheme)}"
            )
        if scheme.name in prompts:
            raise InputError(path, f"a second file for the scheme {scheme.name}")
        prompts[scheme.name] = points / SIDE
    return prompts


def _counts() -> str:
    return ", ".join(map(str, sorted(SCHEMES)))


def _offsets(path: Path) -> FloatArray:
    try:
        with np.load(path, allow_pickle=False) as archive:
            points = np.asarray(archive["offset"], dtype=np.float64)
    except OSError as error:
        raise InputError(path, f"cannot read it: {error.strerror or 'not an npz file'}") from None
    except (KeyError, IndexError):
        raise InputError(
            path, "has no array 'offset'", hint="give the release's shape_K.npz"
        ) from None
    except (ValueError, TypeError, AttributeError, EOFError, BadZipFile):
        raise InputError(path, "not an npz file of numbers") from None
    if points.ndim != 2 or points.shape[1] != 2 or not len(points):
        raise InputError(path, f"'offset' must be (K, 2), found {points.shape}")
    if not np.isfinite(points).all() or np.abs(points - SIDE / 2).max() > SIDE:
        raise InputError(path, f"'offset' must be pixels on a plane of {SIDE}")
    return points
