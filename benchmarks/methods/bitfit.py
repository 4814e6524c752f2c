"""BitFit: biases train, everything else stays as it is.

Ben Zaken et al., BitFit: Simple Parameter-efficient Fine-tuning for Transformer-based Masked Language-models, ACL 2022.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from benchmarks.errors import BenchmarkError
from benchmarks.methods.choose import Choose


@dataclass(frozen=True)
class BitFit(Choose):
    """Every parameter called `bias` trains, those of norms included; `bias_norm` trains the scales of norms as well."""

    def freeze(self, network: nn.Module) -> None:
        biases = {name for name, _ in network.named_parameters() if name.rpartition(".")[2] == "bias"}
        if not biases:
            raise BenchmarkError(
                f"The network has no biases to train: {type(network).__name__}. Type method=bias_norm."
            )
        for name, parameter in network.named_parameters():
            parameter.requires_grad_(name in biases)
