"""Truncated SVD of weights and tables: needs the weights alone, so it is the floor for every method that looks at data."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from benchmarks.method import Workbench
from benchmarks.methods.factorize import Factorize, Factors, shapes_of


@dataclass(frozen=True)
class SVD(Factorize):
    """The best approximation of each weight matrix in the Frobenius norm (Eckart and Young 1936)."""

    def factorise(self, network: nn.Module, bench: Workbench) -> Factors:
        return shapes_of(self.targets, network, self.layers)
