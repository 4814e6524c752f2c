"""HIR-Diff: a rank-3 model of the cube whose reduced image a diffusion prior draws under guidance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from benchmarks.methods.prior_sampler import PriorSampler

Weight = Annotated[float, Meta(ge=0)]


@dataclass(frozen=True)
class HIRDiff(PriorSampler):
    """What is null is as the authors published it for the kind of degradation. The clean cube is known to no part of it."""

    network: ClassVar[str] = "hir_diff"
    steps: Annotated[int, Meta(ge=1, le=1000)] = 20
    schedule: Literal["exp", "linear", "cosine"] = "exp"
    decay: Annotated[float, Meta(gt=0)] | None = None
    eta1: Weight | None = None
    eta2: Weight | None = None
    bands: Literal["rrqr", "equispaced"] = "rrqr"
    conditioning: Literal["sqrt_abar", "abar"] = "sqrt_abar"
    start: Literal["noise", "observation"] = "noise"
    start_noise: Annotated[float, Meta(ge=1)] = 1.0
    answer: Literal["last", "discrepancy", "mean"] = "last"
    data_term: Literal["subspace", "full"] = "subspace"
    denoiser: Literal["prior", "zero"] = "prior"
    samples: Annotated[int, Meta(ge=1)] = 1
