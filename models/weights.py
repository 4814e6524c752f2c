"""Weights that were made elsewhere: read without running code of their files, and refused where they do not fit."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.errors import BenchmarkError

SHOWN = 6
"""Of the names in which weights and a network differ."""


def plain_state(path: Path) -> dict[str, Tensor]:
    """The tensors of a state dict in torch's format, on the CPU; anything else raises BenchmarkError."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        return {name: value[...] for name, value in state.items()}
    except (RuntimeError, pickle.UnpicklingError, EOFError, AttributeError, TypeError) as error:
        raise BenchmarkError(f"{path} holds no plain state dict of tensors: {str(error).splitlines()[0]}") from error


def require_fit(what: str, given: Mapping[str, Tensor], wanted: Mapping[str, Tensor], remedy: str) -> None:
    """Raises BenchmarkError, with the first difference, what is missing and unexpected and a remedy, unless all shapes agree."""
    found, asked = ({name: tuple(value.shape) for name, value in state.items()} for state in (given, wanted))
    wrong = sorted(name for name in found.keys() | asked.keys() if found.get(name) != asked.get(name))
    if wrong:
        first = wrong[0]
        parts = [f"{len(asked)} entries, {len(wrong)} differ"]
        parts += _listed("missing", sorted(asked.keys() - found.keys()))
        parts += _listed("unexpected", sorted(found.keys() - asked.keys()))
        raise BenchmarkError(
            f"{what}: {first} is {found.get(first, 'absent')} in the file and {asked.get(first, 'absent')} in the network "
            f"({'; '.join(parts)}). {remedy}"
        )


def _listed(kind: str, names: list[str]) -> list[str]:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return [f"{kind}: {', '.join(names[:SHOWN])}{more}"] if names else []
