"""SSF's scales: every output of a layer is multiplied by a number of its own."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from benchmarks.models.lowrank.update import Layer, Update


class ScaleUpdate(Update):
    """diag(scale) W, `scale` [out] being one before any training.

    Lian et al., Scaling & Shifting Your Features: A New Baseline for Efficient Model Tuning, NeurIPS 2022. Its shifts merge
    into biases, which is where they are trained (see the method).
    """

    def __init__(self, weight: Tensor) -> None:
        super().__init__(weight)
        self.scale = nn.Parameter(weight.new_ones(self.rows))

    def forward(self, weight: Tensor) -> Tensor:
        return weight * self.scale.view(-1, *[1] * (weight.ndim - 1))

    def output(self, layer: Layer, weight: Tensor, x: Tensor) -> Tensor:
        """Outputs are scaled, since a gradient by the scaled weight would cost as much as one by the weight itself."""
        if isinstance(layer, nn.Linear):
            answer = linear(x, weight) * self.scale
            return answer if layer.bias is None else answer + layer.bias
        answer = layer._conv_forward(x, weight, None) * self.scale[:, None, None]
        return answer if layer.bias is None else answer + layer.bias[:, None, None]

    def parts(self) -> dict[str, torch.Tensor]:
        return {"scale": self.scale}
