"""LoRA: low-rank updates of linear layers and convolutions are trained, the weights themselves stay as they are.

Hu et al., LoRA: Low-Rank Adaptation of Large Language Models, ICLR 2022. A convolution is the linear layer that it is on
patches, so that `rank` is the rank of its update as such a matrix.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta
from torch import nn

from benchmarks.errors import BenchmarkError
from benchmarks.method import Adapt, Workbench
from benchmarks.methods.bias_norm import freeze_matrices
from benchmarks.models.lowrank.surgery import conv_units, whole_linear_units
from benchmarks.models.lowrank.update import add_updates, merge_updates


@dataclass(frozen=True)
class LoRA(Adapt):
    """Updates (alpha / rank) up down of every layer that may be compressed, merged into it after training.

    With `vectors`, biases, norms and other vectors of the network train as well (see `bias_norm`). Batch normalisation
    gathers new statistics in either case, as it does wherever a network is trained.
    """

    rank: Annotated[int, Meta(ge=1)] = 4
    alpha: Annotated[float, Meta(gt=0)] | None = None
    vectors: bool = False

    def check(self, bench: Workbench) -> None:
        self._attach(bench.fresh())

    def adapt(self, network: nn.Module, bench: Workbench) -> nn.Module:
        self._attach(network)
        return network

    def merged(self, network: nn.Module) -> nn.Module:
        return merge_updates(network)

    def _attach(self, network: nn.Module) -> None:
        layers = whole_linear_units(network) | conv_units(network, getattr(network, "keep_dense", ()))
        if not layers:
            raise BenchmarkError(
                f"The network has no linear layer or convolution that may be updated: {type(network).__name__}."
            )
        if self.vectors:
            freeze_matrices(network)
        else:
            network.requires_grad_(False)
        add_updates(layers, self.rank, self.alpha or float(self.rank))
