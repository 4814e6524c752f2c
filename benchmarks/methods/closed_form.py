"""What methods in closed form share: answers that need no training, forecasts and filters alike."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import ClassVar

from benchmarks.method import Solve, Workbench
from benchmarks.solver import NetworkSolver, Solver


@dataclass(frozen=True)
class ClosedForm(Solve):
    """What the task builds by the name `network`; the method's settings are its arguments."""

    network: ClassVar[str]

    def check(self, bench: Workbench) -> None:
        self.solve(bench)

    def solve(self, bench: Workbench) -> Solver:
        return NetworkSolver(bench.task, bench.build(self.network, **self.arguments(bench)), bench.data.schema)

    def arguments(self, bench: Workbench) -> dict[str, object]:
        """What the network is built with."""
        return asdict(self)
