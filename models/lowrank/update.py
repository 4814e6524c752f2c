"""Low-rank updates of weights that stay as they are (LoRA), and their merging into plain layers."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import nn
from torch.nn.utils import parametrize

from benchmarks.errors import BenchmarkError

WEIGHT = "weight"


class LowRankUpdate(nn.Module):
    """W + (alpha / rank) up down, where W is [out, ...] and is read as the matrix [out, in * kernel] that acts on patches.

    `down` [rank, in * kernel] is drawn as torch draws a linear layer, `up` [out, rank] is zero: an update that was not
    trained changes nothing (Hu et al., LoRA: Low-Rank Adaptation of Large Language Models, ICLR 2022).
    """

    def __init__(self, weight: torch.Tensor, rank: int, alpha: float) -> None:
        super().__init__()
        rows, columns = weight.flatten(1).shape
        self.scale = alpha / rank
        self.down = nn.Parameter(weight.new_empty(rank, columns))
        self.up = nn.Parameter(weight.new_zeros(rows, rank))
        nn.init.kaiming_uniform_(self.down, a=math.sqrt(5))

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        return weight + (self.scale * (self.up @ self.down)).view(weight.shape)


def add_updates(layers: Mapping[str, nn.Linear | nn.Conv2d], rank: int, alpha: float) -> None:
    """Gives every layer, in place, an update of its weight and freezes the weight itself.

    Whatever reads `weight` sees the updated one. A rank that is not below a layer's own raises BenchmarkError.
    """
    for name, layer in layers.items():
        largest = min(layer.weight.flatten(1).shape)
        if not 1 <= rank < largest:
            raise BenchmarkError(
                f"Rank {rank} is no low rank for an update of {name}, whose matrix has rank {largest} at most. "
                f"Type method.rank={max(1, min(4, largest - 1))}."
            )
    for layer in layers.values():
        layer.weight.requires_grad_(False)
        parametrize.register_parametrization(layer, WEIGHT, LowRankUpdate(layer.weight, rank, alpha))


def merge_updates(network: nn.Module) -> nn.Module:
    """Puts every updated weight in the place of the frozen one: the same answers from a network of the base's own layers."""
    for layer in [module for module in network.modules() if parametrize.is_parametrized(module, WEIGHT)]:
        parametrize.remove_parametrizations(layer, WEIGHT, leave_parametrized=True)
    return network
