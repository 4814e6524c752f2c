"""The uncompressed base, trained or loaded from published weights."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from benchmarks.method import Train, Workbench
from benchmarks.solver import NetworkSolver, Solver


@dataclass(frozen=True)
class Base(Train):
    """The configured model as it is."""

    def build(self, bench: Workbench) -> nn.Module:
        return bench.fresh()

    def produce(self, bench: Workbench) -> Solver:
        network = bench.pretrained()
        return NetworkSolver(bench.task, network, bench.data.schema) if network is not None else super().produce(bench)
