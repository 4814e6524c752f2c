"""Click-through networks by their short names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn

from benchmarks.models.ctr.autoint import AutoInt
from benchmarks.models.ctr.dcn import DCN
from benchmarks.models.ctr.dcnv2 import DCNv2
from benchmarks.models.ctr.deepfm import DeepFM
from benchmarks.models.ctr.dnn import DNN
from benchmarks.models.ctr.fibinet import FiBiNET
from benchmarks.models.ctr.finalmlp import FinalMLP
from benchmarks.models.ctr.fm import FM
from benchmarks.models.ctr.logistic import LogisticRegression
from benchmarks.models.ctr.masknet import MaskNet
from benchmarks.models.ctr.nfm import NFM
from benchmarks.models.ctr.xdeepfm import XDeepFM
from benchmarks.models.named import named

NETWORKS: dict[str, type[nn.Module]] = {
    "lr": LogisticRegression,
    "fm": FM,
    "dnn": DNN,
    "deepfm": DeepFM,
    "nfm": NFM,
    "dcn": DCN,
    "dcnv2": DCNv2,
    "xdeepfm": XDeepFM,
    "autoint": AutoInt,
    "fibinet": FiBiNET,
    "masknet": MaskNet,
    "finalmlp": FinalMLP,
}


def build(name: str, cardinalities: Sequence[int], **options: Any) -> nn.Module:
    """A fresh network over fields of the given cardinalities; `options` are the arguments of its class.

    An unknown name or option raises BenchmarkError with the nearest one.
    """
    return named(name, NETWORKS, NETWORKS, options, cardinalities)
