"""Fine-tuning of vectors alone: biases, scales and shifts of norms, step sizes. What every richer adapter has to beat.

Ben Zaken et al., BitFit: Simple Parameter-efficient Fine-tuning for Transformer-based Masked Language-models, ACL 2022, train
the biases; with the scales of its norms a network of convolutions is adapted alike.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from benchmarks.errors import BenchmarkError
from benchmarks.methods.choose import Choose


@dataclass(frozen=True)
class BiasNorm(Choose):
    """Parameters of one dimension train; matrices, kernels and tables stay as they are."""

    def freeze(self, network: nn.Module) -> None:
        freeze_matrices(network)


def freeze_matrices(network: nn.Module) -> None:
    """Leaves only vectors and scalars trainable; a network without any raises BenchmarkError."""
    if all(parameter.ndim > 1 for parameter in network.parameters()):
        raise BenchmarkError(f"The network has no biases, norms or other vectors to train: {type(network).__name__}.")
    for parameter in network.parameters():
        parameter.requires_grad_(parameter.ndim <= 1)
