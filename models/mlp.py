"""The multilayer perceptron of tabular networks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import nn

from benchmarks.models.dropout import FastDropout


class HiddenLayer(nn.Module):
    """Linear, batch normalisation (optional), activation, dropout: [b, in_features] -> [b, out_features]."""

    def __init__(
        self,
        in_features: int,
        out_features: int,
        dropout: float,
        batch_norm: bool,
        act_layer: Callable[[], nn.Module],
    ) -> None:
        super().__init__()
        self.linear = xavier_linear(in_features, out_features)
        self.norm = nn.BatchNorm1d(out_features) if batch_norm else nn.Identity()
        self.act = act_layer()
        self.dropout = FastDropout(dropout)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.norm(self.linear(x))
        return self.dropout.rectified(x) if type(self.act) is nn.ReLU else self.dropout(self.act(x))


class MLP(nn.Module):
    """Hidden layers of the given widths, then a linear output: [b, in_features] -> [b, out_features].

    Weights are Xavier-normal and biases zero. Layers are named `hidden.<i>.linear`, `hidden.<i>.norm` and `out`.
    """

    def __init__(
        self,
        in_features: int,
        hidden_units: Sequence[int],
        dropout: float = 0.0,
        batch_norm: bool = True,
        act_layer: Callable[[], nn.Module] = nn.ReLU,
        out_features: int = 1,
    ) -> None:
        super().__init__()
        widths = [in_features, *hidden_units]
        self.hidden = nn.Sequential(*(HiddenLayer(i, o, dropout, batch_norm, act_layer) for i, o in pairwise(widths)))
        self.out = xavier_linear(widths[-1], out_features)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(self.hidden(x))


def xavier_linear(in_features: int, out_features: int, bias: bool = True) -> nn.Linear:
    """A linear layer whose weights start Xavier-normal and whose bias, where it has one, starts at zero."""
    linear = nn.Linear(in_features, out_features, bias)
    nn.init.xavier_normal_(linear.weight)
    if bias:
        nn.init.zeros_(linear.bias)
    return linear
