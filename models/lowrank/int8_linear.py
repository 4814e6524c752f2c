"""A linear layer whose weights take one byte each, for inference."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from benchmarks.models.lowrank.factors import as_float64
from benchmarks.models.lowrank.int8 import LARGEST, SCALE_BYTES


def linear_bytes(in_features: int, out_features: int) -> int:
    """Bytes of the int8 weights and a float scale an output."""
    return out_features * (in_features + SCALE_BYTES)


class Int8Linear(nn.Module):
    """A linear layer with int8 weights and one scale an output: [..., in_features] -> [..., out_features].

    `rows` is int8 [out_features, in_features], `scale` [out_features]; both are buffers, and the bias alone trains. Weights
    are turned to floats for the product: such a layer is smaller and not faster.
    """

    rows: torch.Tensor
    scale: torch.Tensor

    def __init__(self, in_features: int, out_features: int, bias: bool = True) -> None:
        super().__init__()
        self.in_features = in_features
        self.out_features = out_features
        self.register_buffer("rows", torch.zeros(out_features, in_features, dtype=torch.int8))
        self.register_buffer("scale", torch.ones(out_features))
        self.bias = nn.Parameter(torch.zeros(out_features)) if bias else None

    @classmethod
    def of(cls, linear: nn.Linear) -> Int8Linear:
        """The weights, rounded: each errs by half a step at most, a 127th of the largest magnitude of its output's row.

        A non-finite weight raises BenchmarkError.
        """
        small = cls(linear.in_features, linear.out_features, bias=linear.bias is not None).to(linear.weight)
        weight = as_float64(linear.weight)
        largest = weight.abs().amax(dim=1)
        small.scale.copy_(torch.where(largest > 0, largest / LARGEST, 1.0))
        # Divided by the scale as it is stored, so that its own rounding adds no error.
        whole = (weight / small.scale.to(weight)[:, None]).round().clamp(-LARGEST, LARGEST)
        small.rows.copy_(whole.to(torch.int8))
        if small.bias is not None:
            with torch.no_grad():
                small.bias.copy_(linear.bias)
        return small

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        product = nn.functional.linear(x, self.rows.to(x.dtype)) * self.scale
        return product if self.bias is None else product + self.bias

    def blueprint(self) -> dict[str, Any]:
        """The constructor's arguments, fit for JSON."""
        return {
            "in_features": self.in_features,
            "out_features": self.out_features,
            "bias": self.bias is not None,
        }
