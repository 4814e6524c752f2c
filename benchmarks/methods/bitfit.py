"""BitFit: biases train, everything else stays as it is.

Ben Zaken et al., BitFit: Simple Parameter-efficient Fine-tuning for Transformer-based Masked Language-models, ACL 2022.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from benchmarks.errors import BenchmarkError
from benchmarks.method import Adapt, Workbench


@dataclass(frozen=True)
class BitFit(Adapt):
    """Every parameter called `bias` trains, those of norms included; `bias_norm` trains the scales of norms as well.

    Batch normalisation gathers new statistics, as it does wherever a network is trained.
    """

    def check(self, bench: Workbench) -> None:
        _freeze_all_but_biases(bench.fresh())

    def adapt(self, network: nn.Module, bench: Workbench) -> nn.Module:
        _freeze_all_but_biases(network)
        return network


def _freeze_all_but_biases(network: nn.Module) -> None:
    biases = {name for name, _ in network.named_parameters() if name.rpartition(".")[2] == "bias"}
    if not biases:
        raise BenchmarkError(f"The network has no biases to train: {type(network).__name__}. Type method=bias_norm.")
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(name in biases)
