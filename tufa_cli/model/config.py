"""What makes one size of the network different from another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal

from tufa_cli.errors import ProblemsError, nearest


@dataclass(frozen=True)
class ModelConfig:
    """Sizes and choices of a ``Tufa`` network; plain values, so that it travels as JSON.

    encoder: "vit" (DINO's ViT, the paper's) or "conv" (small residual pyramid, for CPUs).
    input_size: side of the square crop in pixels.
    width: D of tokens and queries; heads, ffn: of every attention layer.
    patch, depth: of the ViT. channels, blocks: of the pyramid's four levels (stride 4 to 32;
        a level with 0 channels is left out).
    norm: of the pyramid: "batch" (fast on CPUs; over several GPUs it is synchronised), or "group"
        (the same whatever the number of ranks, slower).
    decoder_layers: L. local_points: samples per head that each decoder layer reads around its
        current estimate from the finest map; 0 reads the tokens only, as the paper does.
    prompt: "sine" (the release's fixed low-frequency code) or "fourier" (higher frequencies and
        a learned projection). head: "absolute" (crop units, the release's) or "offset" (every
        layer moves the estimate of the one before, starting at the anchor).
    """

    name: str = "nano"
    encoder: Literal["vit", "conv"] = "conv"
    input_size: int = 128
    width: int = 128
    heads: int = 4
    ffn: int = 256
    patch: int = 16
    depth: int = 12
    channels: tuple[int, ...] = (48, 96, 192)
    blocks: tuple[int, ...] = (1, 2, 2)
    norm: Literal["batch", "group"] = "batch"
    decoder_layers: int = 3
    local_points: int = 4
    prompt: Literal["sine", "fourier"] = "fourier"
    head: Literal["absolute", "offset"] = "offset"

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}


_S16 = ModelConfig(
    name="s16",
    encoder="vit",
    input_size=256,
    width=384,
    heads=6,
    ffn=1536,
    patch=16,
    decoder_layers=6,
    local_points=0,
    prompt="sine",
    head="absolute",
)

#: The sizes by name: s8 and s16 are the paper's (ViT-S/8, ViT-S/16), nano is ours.
SIZES = {"nano": ModelConfig(), "s16": _S16, "s8": replace(_S16, name="s8", patch=8)}


def model_config(name: str, overrides: Mapping[str, Any] | None = None) -> ModelConfig:
    """A size by name with single values replaced.

    Raises ProblemsError naming every unknown size or key with the nearest right one.
    """
    problems = []
    if name not in SIZES:
        problems.append(f"unknown size '{name}', known: {', '.join(SIZES)}")
    known = {field.name: field for field in fields(ModelConfig)}
    values = SIZES.get(name, SIZES["nano"]).to_dict()
    for key, value in (overrides or {}).items():
        if key not in known:
            near = nearest(key, known, 1)
            problems.append(f"unknown key '{key}'" + (f", did you mean {near[0]}?" if near else ""))
            continue
        values[key] = value
    if problems:
        raise ProblemsError("model", problems)
    for key in ("channels", "blocks"):
        values[key] = tuple(int(v) for v in values[key])
    return ModelConfig(**values)
