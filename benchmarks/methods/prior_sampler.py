"""What methods share that put a diffusion prior into a sampler."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, ClassVar, cast

from torch import nn

from benchmarks.method import Train, Workbench
from benchmarks.solver import NetworkSolver, Solver, architecture


@dataclass(frozen=True)
class PriorSampler(Train):
    """The prior of the store, or of weights=PATH, in what the task builds by the name `network` from the method's settings.

    Nothing of the data set is learnt from.
    """

    network: ClassVar[str]

    def build(self, bench: Workbench) -> nn.Module:
        return self._sampler(bench, bench.fresh())

    def produce(self, bench: Workbench) -> Solver:
        prior = bench.pretrained()
        if prior is None:
            prior = bench.base()
        sampler = cast(Any, self._sampler(bench, prior))
        sampler.prior.load_state_dict(prior.state_dict())
        return NetworkSolver(bench.task, sampler, bench.data.schema)

    def _sampler(self, bench: Workbench, prior: nn.Module) -> nn.Module:
        return bench.build(self.network, prior=architecture(prior)["settings"], seed=bench.seed, **asdict(self))
