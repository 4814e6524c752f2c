"""A linear layer of which a share of the weights is kept."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from benchmarks.errors import BenchmarkError
from benchmarks.models.lowrank.factors import as_float64


def stored_bytes(weights: int, kept: int) -> int:
    """Bytes of `kept` float32 values and the bitmap that says which of the `weights` they are."""
    return 4 * kept + -(-weights // 8)


class PrunedLinear(nn.Module):
    """A linear layer with `kept` weights, all others zero: [..., in_features] -> [..., out_features].

    Stored are the weights themselves, `values` [kept], and a bitmap of one bit a weight, so that training cannot bring back
    what was pruned. The product is a dense one: such a layer is smaller and not faster.
    """

    bitmap: torch.Tensor
    places: torch.Tensor

    def __init__(self, in_features: int, out_features: int, kept: int, bias: bool = True) -> None:
        super().__init__()
        weights = in_features * out_features
        if not 1 <= kept <= weights:
            raise BenchmarkError(
                f"{kept} weights cannot be kept of {out_features} x {in_features}: give 1 to {weights}."
            )
        self.in_features = in_features
        self.out_features = out_features
        self.values = nn.Parameter(torch.zeros(kept))
        self.bias = nn.Parameter(torch.zeros(out_features)) if bias else None
        self.register_buffer("bitmap", _pack(torch.arange(weights) < kept))
        self.register_buffer("places", torch.arange(kept), persistent=False)

    @classmethod
    def of(cls, linear: nn.Linear, kept: int) -> PrunedLinear:
        """The layer of the `kept` weights of largest magnitude; a non-finite weight raises BenchmarkError.

        Han et al., Learning both Weights and Connections for Efficient Neural Networks, NeurIPS 2015.
        """
        weight = as_float64(linear.weight).flatten()
        layer = cls(linear.in_features, linear.out_features, kept, bias=linear.bias is not None).to(linear.weight)
        places = weight.abs().argsort(descending=True, stable=True)[:kept].sort().values
        with torch.no_grad():
            layer.places.copy_(places)
            layer.bitmap.copy_(_pack(torch.zeros_like(weight, dtype=torch.bool).index_fill(0, places, True)))
            layer.values.copy_(weight[places])
            if layer.bias is not None:
                layer.bias.copy_(linear.bias)
        return layer

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.linear(x, self.dense(), self.bias)

    def dense(self) -> torch.Tensor:
        """The weight [out_features, in_features] with its zeros."""
        weight = self.values.new_zeros(self.out_features * self.in_features)
        return weight.scatter(0, self.places, self.values).view(self.out_features, self.in_features)

    def blueprint(self) -> dict[str, Any]:
        """The constructor's arguments, fit for JSON."""
        return {
            "in_features": self.in_features,
            "out_features": self.out_features,
            "kept": len(self.values),
            "bias": self.bias is not None,
        }

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        self.places = _unpack(self.bitmap, self.out_features * self.in_features).nonzero().flatten()


def _pack(mask: torch.Tensor) -> torch.Tensor:
    """Eight flags a byte, the first in the lowest bit: bool [n] -> uint8 [n / 8, rounded up]."""
    flags = nn.functional.pad(mask.to(torch.uint8), (0, -len(mask) % 8)).view(-1, 8)
    return (flags << torch.arange(8, dtype=torch.uint8, device=mask.device)).sum(dim=1, dtype=torch.uint8)


def _unpack(bitmap: torch.Tensor, n: int) -> torch.Tensor:
    """The first `n` flags of what `_pack` made."""
    bits = bitmap[:, None] >> torch.arange(8, dtype=torch.uint8, device=bitmap.device)
    return (bits & 1).flatten()[:n].to(torch.bool)
