"""Ridge regression from observed to future coefficients, and anchors for what it leaves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta
from torch import nn

from benchmarks.method import Workbench
from benchmarks.methods.eigentrajectory import EigenTrajectory
from benchmarks.solver import NetworkSolver, Solver


@dataclass(frozen=True)
class Ridge(EigenTrajectory):
    """The conditional mean in closed form; the anchors are the cluster centres of its residuals."""

    penalty: Annotated[float, Meta(ge=0)] = 1e-3

    def network(self, bench: Workbench, space: dict[str, int]) -> nn.Module:
        return bench.build("ridge", space=space, penalty=self.penalty)

    def produce(self, bench: Workbench) -> Solver:
        return NetworkSolver(bench.task, self.build(bench), bench.data.schema)
