"""HIR-Diff: a rank-3 model of the cube whose reduced image a diffusion prior draws under guidance."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal, cast

from msgspec import Meta
from torch import nn

from benchmarks.method import Train, Workbench
from benchmarks.solver import NetworkSolver, Solver, architecture

Weight = Annotated[float, Meta(ge=0)]


@dataclass(frozen=True)
class HIRDiff(Train):
    """The prior of the store, or of weights=PATH, in the sampler; nothing of the data set is learnt from.

    What is null is as the authors published it for the kind of degradation. The clean cube is known to no part of it.
    """

    steps: Annotated[int, Meta(ge=1, le=1000)] = 20
    schedule: Literal["exp", "linear", "cosine"] = "exp"
    decay: Annotated[float, Meta(gt=0)] | None = None
    eta1: Weight | None = None
    eta2: Weight | None = None
    bands: Literal["rrqr", "equispaced"] = "rrqr"
    conditioning: Literal["sqrt_abar", "abar"] = "sqrt_abar"
    start: Literal["noise", "observation"] = "noise"
    answer: Literal["last", "discrepancy", "mean"] = "last"
    data_term: Literal["subspace", "full"] = "subspace"
    denoiser: Literal["prior", "zero"] = "prior"
    samples: Annotated[int, Meta(ge=1)] = 1

    def build(self, bench: Workbench) -> nn.Module:
        return self._sampler(bench, bench.fresh())

    def produce(self, bench: Workbench) -> Solver:
        prior = bench.pretrained()
        if prior is None:
            prior = bench.base()
        network = cast(Any, self._sampler(bench, prior))
        network.prior.load_state_dict(prior.state_dict())
        return NetworkSolver(bench.task, network, bench.data.schema)

    def _sampler(self, bench: Workbench, prior: nn.Module) -> nn.Module:
        return bench.build("hir_diff", prior=architecture(prior)["settings"], seed=bench.seed, **asdict(self))
