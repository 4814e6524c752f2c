"""Networks and solvers of medical segmentation by their short names."""

from __future__ import annotations

import inspect
from typing import Any

from torch import nn

from benchmarks import errors
from benchmarks.models.medseg.constant import Constant
from benchmarks.models.medseg.litemedsam import LiteMedSAM
from benchmarks.models.medseg.small_unet import SmallUNet

NETWORKS: dict[str, type[nn.Module]] = {"litemedsam": LiteMedSAM, "small_unet": SmallUNet}
"""Networks to be trained or adapted: images [n, 3, h, w] to logits [n, 1, h, w]."""

SOLVERS: dict[str, type[nn.Module]] = {"constant": Constant}
"""What needs no training."""


def build(name: str, **options: Any) -> nn.Module:
    """A fresh network; `options` are the arguments of its class. An unknown name or option raises BenchmarkError."""
    known = NETWORKS | SOLVERS
    if name not in known:
        raise errors.unknown("model", name, NETWORKS)
    allowed = list(inspect.signature(known[name]).parameters)
    for option in options:
        if option not in allowed:
            raise errors.unknown(f"option of model {name}", option, allowed)
    return known[name](**options)
