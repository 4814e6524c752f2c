"""Networks and solvers of sparse objects by their short names."""

from __future__ import annotations

from typing import Any

from torch import nn

from benchmarks.models.named import named
from benchmarks.models.sparse_object.acm import ACM
from benchmarks.models.sparse_object.filters import MaxMedian, TopHat
from benchmarks.models.sparse_object.ipi import IPI
from benchmarks.models.sparse_object.pcp import PCP
from benchmarks.models.sparse_object.rpcanet import RPCANet
from benchmarks.models.sparse_object.rpcanet_pp import RPCANetPlusPlus
from benchmarks.models.sparse_object.unet import UNet

NETWORKS: dict[str, type[nn.Module]] = {
    "rpcanet": RPCANet, "rpcanet_tiny": RPCANet, "rpcanet_pp": RPCANetPlusPlus, "unet": UNet, "acm": ACM,
}  # fmt: skip
"""Networks to be trained: images to logits and a reconstruction, or None where they make none."""

SOLVERS: dict[str, type[nn.Module]] = {"tophat": TopHat, "max_median": MaxMedian, "pcp": PCP, "ipi": IPI}
"""What needs no training, on images in [0, 1]."""


def build(name: str, **options: Any) -> nn.Module:
    """A fresh network; `options` are the arguments of its class. An unknown name or option raises BenchmarkError."""
    return named(name, NETWORKS | SOLVERS, NETWORKS, options)
