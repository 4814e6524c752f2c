"""Networks and solvers of medical segmentation by their short names."""

from __future__ import annotations

from typing import Any

from torch import nn

from benchmarks.models.medseg.constant import Constant
from benchmarks.models.medseg.litemedsam import LiteMedSAM
from benchmarks.models.medseg.peers import SegFormer, UNet
from benchmarks.models.medseg.sam import SAM
from benchmarks.models.medseg.small_unet import SmallUNet
from benchmarks.models.medseg.unetr import UNETR
from benchmarks.models.named import named

NETWORKS: dict[str, type[nn.Module]] = {
    "litemedsam": LiteMedSAM, "litemedsam_tiny": LiteMedSAM, "sam": SAM, "small_unet": SmallUNet, "unet": UNet,
    "segformer": SegFormer, "unetr": UNETR,
}  # fmt: skip
"""Networks to be trained or adapted: images [n, 3, h, w] to logits [n, 1, h, w]."""

SOLVERS: dict[str, type[nn.Module]] = {"constant": Constant}
"""What needs no training."""


def build(name: str, **options: Any) -> nn.Module:
    """A fresh network; `options` are the arguments of its class. An unknown name or option raises BenchmarkError."""
    return named(name, NETWORKS | SOLVERS, NETWORKS, options)
