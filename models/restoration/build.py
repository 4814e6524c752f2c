"""Networks of image restoration by their short names."""

from __future__ import annotations

from typing import Any

from torch import nn

from benchmarks.models.named import named
from benchmarks.models.restoration.degraded import Degraded
from benchmarks.models.restoration.dncnn import DnCNN
from benchmarks.models.restoration.nafnet import NAFNet
from benchmarks.models.restoration.prenet import PReNet
from benchmarks.models.restoration.restormer import Restormer

NETWORKS: dict[str, type[nn.Module]] = {
    "nafnet": NAFNet,
    "nafnet_gopro": NAFNet,
    "nafnet_small": NAFNet,
    "nafnet_tiny": NAFNet,
    "restormer": Restormer,
    "dncnn": DnCNN,
    "prenet": PReNet,
    "prenet_r": PReNet,
    "prn_r": PReNet,
}
"""Images [n, 3, h, w] of 0 to 1 to restored ones of the same size, not clipped."""

SOLVERS: dict[str, type[nn.Module]] = {"degraded": Degraded}
"""What restores without weights."""


def build(name: str, **options: Any) -> nn.Module:
    """A fresh network; `options` are the arguments of its class. An unknown name or option raises BenchmarkError."""
    return named(name, NETWORKS | SOLVERS, NETWORKS, options)
