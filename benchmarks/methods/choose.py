"""What adapters share that train some of the base's own parameters and add none."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

from torch import nn

from benchmarks.method import Adapt, Workbench


@dataclass(frozen=True)
class Choose(Adapt):
    """Parameters that are chosen train, all else stays as it is.

    Batch normalisation gathers new statistics, as it does wherever a network is trained.
    """

    @abstractmethod
    def freeze(self, network: nn.Module) -> None:
        """Leaves only the chosen parameters trainable; raises BenchmarkError where the network has none of them."""

    def check(self, bench: Workbench) -> None:
        self.freeze(bench.fresh())

    def adapt(self, network: nn.Module, bench: Workbench) -> nn.Module:
        self.freeze(network)
        return network
