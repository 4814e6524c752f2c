"""Diffusion posterior sampling: a rival that has the prior and the rank-3 model of HIR-Diff, and no total variation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from benchmarks.methods.prior_sampler import PriorSampler


@dataclass(frozen=True)
class DPS(PriorSampler):
    """Ancestral steps of the prior, less steps of one length against the residual."""

    network: ClassVar[str] = "dps"
    steps: Annotated[int, Meta(ge=1, le=1000)] = 100
    schedule: Literal["exp", "linear", "cosine"] = "exp"
    decay: Annotated[float, Meta(gt=0)] = 8.0
    zeta: Annotated[float, Meta(ge=0)] = 1.0
    bands: Literal["rrqr", "equispaced"] = "rrqr"
