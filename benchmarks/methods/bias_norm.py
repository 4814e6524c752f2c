"""Fine-tuning of vectors alone: biases, scales and shifts of norms, step sizes. What every richer adapter has to beat.

Ben Zaken et al., BitFit: Simple Parameter-efficient Fine-tuning for Transformer-based Masked Language-models, ACL 2022, train
the biases; with the scales of its norms a network of convolutions is adapted alike.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from benchmarks.errors import BenchmarkError
from benchmarks.method import Adapt, Workbench


@dataclass(frozen=True)
class BiasNorm(Adapt):
    """Parameters of one dimension train; matrices, kernels and tables stay as they are.

    Batch normalisation gathers new statistics, as it does wherever a network is trained.
    """

    def check(self, bench: Workbench) -> None:
        freeze_matrices(bench.fresh())

    def adapt(self, network: nn.Module, bench: Workbench) -> nn.Module:
        freeze_matrices(network)
        return network


def freeze_matrices(network: nn.Module) -> None:
    """Leaves only vectors and scalars trainable; a network without any raises BenchmarkError."""
    if all(parameter.ndim > 1 for parameter in network.parameters()):
        raise BenchmarkError(f"The network has no biases, norms or other vectors to train: {type(network).__name__}.")
    for parameter in network.parameters():
        parameter.requires_grad_(parameter.ndim <= 1)
