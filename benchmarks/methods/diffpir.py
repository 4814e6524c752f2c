"""DiffPIR: a rival that has the prior and the rank-3 model of HIR-Diff, and exact data steps in place of guidance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from benchmarks.methods.prior_sampler import PriorSampler


@dataclass(frozen=True)
class DiffPIR(PriorSampler):
    """What the prior answers and the reduced image that agrees with what was seen, in turns."""

    network: ClassVar[str] = "diffpir"
    steps: Annotated[int, Meta(ge=1, le=1000)] = 20
    schedule: Literal["exp", "linear", "cosine"] = "exp"
    decay: Annotated[float, Meta(gt=0)] = 8.0
    weight: Annotated[float, Meta(gt=0)] = 7.0
    zeta: Annotated[float, Meta(ge=0, le=1)] = 0.1
    bands: Literal["rrqr", "equispaced"] = "rrqr"
