"""Weights that were made elsewhere: read without running code of their files, and refused where they do not fit."""

from __future__ import annotations

import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.errors import BenchmarkError


def plain_state(path: Path, wrappers: Sequence[str] = ()) -> dict[str, Tensor]:
    """The tensors of a state dict in torch's format, on the CPU; anything else raises BenchmarkError.

    Where the file holds a dict of dicts, it is the one under the first of `wrappers` that is there.
    """
    try:
        state: Any = torch.load(path, map_location="cpu", weights_only=True)
        inner = next(
            (key for key in wrappers if isinstance(state, Mapping) and isinstance(state.get(key), Mapping)), None
        )
        return {name: value[...] for name, value in (state if inner is None else state[inner]).items()}
    except (RuntimeError, pickle.UnpicklingError, EOFError, AttributeError, KeyError, TypeError) as error:
        wrapped = f", plain or under {', '.join(wrappers)}" if wrappers else ""
        raise BenchmarkError(
            f"{path} holds no plain state dict of tensors{wrapped}: {str(error).splitlines()[0]}"
        ) from error


def require_fit(what: str, given: Mapping[str, Tensor], wanted: Mapping[str, Tensor], remedy: str) -> None:
    """Raises BenchmarkError, with all names that are missing, left over or of another shape, unless there are none."""
    shapes = [
        f"{name} {tuple(given[name].shape)} for {tuple(wanted[name].shape)}"
        for name in sorted(wanted.keys() & given.keys())
        if wanted[name].shape != given[name].shape
    ]
    parts = {
        "missing": sorted(wanted.keys() - given.keys()),
        "unexpected": sorted(given.keys() - wanted.keys()),
        "of another shape": shapes,
    }
    if any(parts.values()):
        told = "; ".join(f"{len(names)} {kind}: {', '.join(names)}" for kind, names in parts.items() if names)
        raise BenchmarkError(f"{what}. {told}. {remedy}")
