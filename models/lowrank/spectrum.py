"""Singular pairs of weights, computed once: kept by the sha256 of the weight in this process and, large ones, on disk."""

from __future__ import annotations

import hashlib
import os
import uuid
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from benchmarks.models.lowrank.factors import as_float64
from benchmarks.models.lowrank.svd import thin_svd

KEPT_BYTES = 2**30
"""Of pairs in memory, beyond which the oldest go."""
WORTH_A_FILE = 2**18
"""Entries of a weight whose decomposition takes longer than reading it."""
_KEPT: dict[bytes, Pairs] = {}


@dataclass(frozen=True, eq=False)
class Pairs:
    """W = U diag(s) Vt of a weight as a matrix [o, i]: U [o, k], s [k] descending, Vt [k, i], in the weight's type.

    The largest entry of each row of Vt is positive, so that most libraries agree; what depends on the pairs still has to be
    kept with them, since equal singular values and ties leave more to choose.
    """

    U: torch.Tensor
    s: torch.Tensor
    Vt: torch.Tensor


def digest(weight: torch.Tensor) -> bytes:
    """The sha256 of shape, type and bytes; of a weight without storage (meta) zeros."""
    if weight.is_meta:
        return bytes(32)
    flat = weight.detach().cpu().contiguous().flatten().view(torch.uint8)
    found = hashlib.sha256(f"{list(weight.shape)} {weight.dtype} ".encode())
    found.update(flat.numpy().data)
    return found.digest()


def singular_pairs(weight: torch.Tensor, folder: Path | None = None) -> Pairs:
    """The pairs of a weight [o, ...], as copies of one's own; `folder` is where those of large weights lie across processes.

    Computed in float64. A non-finite entry raises BenchmarkError.
    """
    if weight.is_meta:
        matrix = weight.flatten(1)
        k = min(matrix.shape)
        return Pairs(matrix.new_empty(len(matrix), k), matrix.new_empty(k), matrix.new_empty(k, matrix.shape[1]))
    key = digest(weight)
    if key not in _KEPT:
        path = folder / f"{key.hex()}.safetensors" if folder and weight.numel() >= WORTH_A_FILE else None
        found = _read(path) if path is not None else None
        if found is None:
            found = Pairs(*(each.to(weight.dtype).cpu() for each in thin_svd(as_float64(weight).flatten(1))))
            if path is not None:
                _write(path, found)
        _keep(key, found)
    found = _KEPT[key]
    return Pairs(*(each.to(weight.device, copy=True) for each in vars(found).values()))


def _keep(key: bytes, pairs: Pairs) -> None:
    _KEPT[key] = pairs
    while len(_KEPT) > 1 and sum(each.nbytes for kept in _KEPT.values() for each in vars(kept).values()) > KEPT_BYTES:
        del _KEPT[next(iter(_KEPT))]


def _read(path: Path) -> Pairs | None:
    try:
        return Pairs(**load_file(path))
    except (FileNotFoundError, SafetensorError, TypeError):
        return None


def _write(path: Path, pairs: Pairs) -> None:
    """Whole or not at all, whoever else writes the same."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(f".{uuid.uuid4().hex}")
    save_file({name: each.contiguous() for name, each in vars(pairs).items()}, part)
    os.replace(part, path)
