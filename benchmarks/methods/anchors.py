"""The anchors of EigenTrajectory without its network: what a learned predictor has to beat."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from benchmarks.method import Workbench
from benchmarks.methods.eigentrajectory import EigenTrajectory
from benchmarks.solver import NetworkSolver, Solver


@dataclass(frozen=True)
class Anchors(EigenTrajectory):
    """Every pedestrian gets the cluster centres of the training futures in its own frame."""

    def network(self, bench: Workbench, space: dict[str, int]) -> nn.Module:
        return bench.build("anchors", space=space)

    def produce(self, bench: Workbench) -> Solver:
        return NetworkSolver(bench.task, self.build(bench), bench.data.schema)
