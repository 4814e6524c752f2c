"""Checkpoints of SR3 priors as their authors write them (wgcban/ddpm-cd), out of what wraps them, loaded strictly."""

from __future__ import annotations

import pickle
import re
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.errors import BenchmarkError
from benchmarks.models.hsi_restoration.unet import UNet
from benchmarks.models.weights import require_fit

WRAPPERS = ("state_dict", "ema", "model")
PREFIX = "denoise_fn."
SCHEDULE = re.compile(
    r"betas|alphas_cumprod(_prev)?|sqrt_alphas_cumprod(_prev)?|sqrt_one_minus_alphas_cumprod|log_one_minus_alphas_cumprod"
    r"|sqrt_recip(m1)?_alphas_cumprod|posterior_(variance|log_variance_clipped|mean_coef[12])"
)
"""Buffers of the authors' diffusion class, which belong to no network."""


def load_published(network: UNet, path: Path) -> None:
    """Fills a network strictly; no code of the file is run.

    Raises BenchmarkError with all names that are missing, left over or of another shape, and leaves the network as it was.
    """
    state = prior_state(path)
    require_fit(
        f"The checkpoint {path} does not fit this prior",
        state,
        network.state_dict(),
        f"Its own numbers would fit: {_sizes(state)}. Type model=sr3 for the official size, or set model.base, model.mults and "
        "model.res_blocks.",
    )
    network.load_state_dict(state)


def prior_state(path: Path) -> dict[str, Tensor]:
    """The tensors of a checkpoint under the network's own names, without the buffers of the schedule."""
    try:
        loaded: Any = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, pickle.UnpicklingError, EOFError, OSError) as error:
        raise BenchmarkError(f"{path} holds no plain state dict of tensors: {str(error).splitlines()[0]}") from error
    for wrapper in WRAPPERS:
        if isinstance(loaded, dict) and isinstance(loaded.get(wrapper), dict):
            loaded = loaded[wrapper]
    if not isinstance(loaded, dict) or not all(isinstance(value, Tensor) for value in loaded.values()):
        raise BenchmarkError(f"{path} holds no state dict of tensors; it may be wrapped as {', '.join(WRAPPERS)}.")
    bare = {name.removeprefix(PREFIX): value for name, value in loaded.items()}
    return {name: value for name, value in bare.items() if not SCHEDULE.fullmatch(name)}


def inferred(state: dict[str, Tensor]) -> dict[str, Any]:
    """base, mults and res_blocks of the U-Net that tensors belong to, from their shapes."""
    base = len(state["downs.0.weight"])
    numbers = sorted({int(name.split(".")[1]) for name in state if name.startswith("downs.")})[1:]
    widths: list[list[int]] = [[]]
    for number in numbers:
        if f"downs.{number}.conv.weight" in state:
            widths.append([])
        else:
            widths[-1].append(len(state[f"downs.{number}.res_block.block2.block.3.weight"]))
    return {"base": base, "mults": [level[0] // base for level in widths], "res_blocks": len(widths[0])}


def _sizes(state: dict[str, Tensor]) -> str:
    try:
        return ", ".join(f"{key}={value}" for key, value in inferred(state).items())
    except (KeyError, IndexError, ZeroDivisionError):
        return "none that is known"
