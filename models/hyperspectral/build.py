"""Networks and solvers of spectral images by their short names."""

from __future__ import annotations

import inspect
from typing import Any

from torch import nn

from benchmarks.models.hyperspectral.backbone import Backbone
from benchmarks.models.hyperspectral.dofa import DOFA
from benchmarks.models.hyperspectral.forest import SpectralForest
from benchmarks.models.hyperspectral.less_vit import LessViT
from benchmarks.models.hyperspectral.majority import Majority
from benchmarks.models.hyperspectral.spectral_cnn import SpectralCNN
from benchmarks.models.hyperspectral.spectral_linear import SpectralLinear
from benchmarks.models.hyperspectral.vit import ViT
from benchmarks.models.named import named

NETWORKS: dict[str, type[nn.Module]] = {
    "less_vit": LessViT,
    "vit": ViT,
    "dofa": DOFA,
    "spectral_cnn": SpectralCNN,
    "backbone": Backbone,
}
"""Networks to be trained: a cube [n, c, h, w] and its wavelengths [c] to logits [n, classes, h, w]."""

SOLVERS: dict[str, type[nn.Module]] = {
    "spectral_linear": SpectralLinear,
    "spectral_forest": SpectralForest,
    "majority": Majority,
}
"""What is fitted without gradients, or not at all."""

FACTS = ("classes", "window", "wavelengths", "wavelength_range", "gsd")
"""What the task says of the data; a network gets those of them that its constructor takes."""


def build(name: str, **settings: Any) -> nn.Module:
    """A fresh network; `settings` are arguments of its class, and facts. An unknown name or setting raises BenchmarkError."""
    known = NETWORKS | SOLVERS
    if name in known:
        taken = inspect.signature(known[name]).parameters
        settings = {key: value for key, value in settings.items() if key not in FACTS or key in taken}
    return named(name, known, NETWORKS, settings)
