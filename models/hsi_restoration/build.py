"""Priors and solvers of hyperspectral restoration by their short names."""

from __future__ import annotations

from typing import Any

from torch import nn

from benchmarks.models.hsi_restoration.closed_form import BM4D, SVDBM3D, SVDTV, Noisy, SVDTruncate
from benchmarks.models.hsi_restoration.diffpir import DiffPIR
from benchmarks.models.hsi_restoration.dps import DPS
from benchmarks.models.hsi_restoration.hir_diff import HIRDiff
from benchmarks.models.hsi_restoration.unet import UNet
from benchmarks.models.named import named

NETWORKS: dict[str, type[nn.Module]] = {"prior_tiny": UNet, "prior_small": UNet, "sr3": UNet}
"""Diffusion priors: noisy images [n, 3, h, w] and levels [n] to noise."""

SOLVERS: dict[str, type[nn.Module]] = {
    "noisy": Noisy,
    "svd_truncate": SVDTruncate,
    "svd_tv": SVDTV,
    "svd_bm3d": SVDBM3D,
    "bm4d": BM4D,
    "hir_diff": HIRDiff,
    "dps": DPS,
    "diffpir": DiffPIR,
}
"""What restores cubes."""


def build(name: str, **options: Any) -> nn.Module:
    """A fresh network; `options` are the arguments of its class. An unknown name or option raises BenchmarkError."""
    return named(name, NETWORKS | SOLVERS, NETWORKS, options)
