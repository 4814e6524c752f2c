"""Networks of hyperspectral imagery by their short names."""

from __future__ import annotations

from typing import Any

from torch import nn

from benchmarks.models.hyperspectral.less_vit import LessViT
from benchmarks.models.named import named

NETWORKS: dict[str, type[nn.Module]] = {"less_vit": LessViT}
"""Networks: cube [n, c, h, w] and wavelengths [c] in nm to logits [n, classes, h, w]."""


def build(name: str, **options: Any) -> nn.Module:
    """A fresh network; `options` are the arguments of its class. An unknown name or option raises BenchmarkError."""
    return named(name, NETWORKS, NETWORKS, options)
