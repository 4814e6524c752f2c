"""Pretraining on photographs under random degradations, and the network that it gives on images of a task, without any of them.

Park, Kim and Chun, Contribution-based Low-Rank Adaptation with Pre-training Model for Real Image Restoration, ECCV 2024.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta
from torch import nn

from benchmarks.errors import BenchmarkError
from benchmarks.method import Objective, Train, Workbench
from benchmarks.solver import NetworkSolver, Solver


@dataclass(frozen=True)
class Prod(Train):
    """Where the data are PROD's the network is trained on them; elsewhere it is the base that was (zero-shot).

    Which degradations it has seen is `data.degradations` where it is trained, and `task.pretraining` where it is used. It is
    trained as `trainer` says, but for `epochs` of `batch_size`, and the best of them is that of the lowest loss on validation.
    """

    epochs: Annotated[int, Meta(ge=1)] = 3
    batch_size: Annotated[int, Meta(ge=1)] | None = None

    def build(self, bench: Workbench) -> nn.Module:
        asked = getattr(bench.task, "pretraining", None)
        if (made := bench.data.schema.get("degradations", asked)) != asked:
            raise BenchmarkError(
                f"data.degradations={made} is not what task.pretraining={asked} asks for. Type both alike, for example "
                f"data.degradations={made} task.pretraining={made}."
            )
        return bench.fresh()

    def produce(self, bench: Workbench) -> Solver:
        network = bench.pretrained()
        if network is None and "degradations" in bench.data.schema:
            network = self.build(bench)
            plan = {"max_epochs": self.epochs} | ({} if self.batch_size is None else {"batch_size": self.batch_size})
            bench.fit(network, "train", Objective(bench.task.loss, plan))
        return NetworkSolver(bench.task, bench.base() if network is None else network, bench.data.schema)
