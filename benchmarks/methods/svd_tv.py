"""Rank truncation and total variation: a classical rival of every prior."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from msgspec import Meta

from benchmarks.methods.closed_form import ClosedForm


@dataclass(frozen=True)
class SVDTV(ClosedForm):
    """The images of the subspace, each denoised by total variation."""

    network: ClassVar[str] = "svd_tv"
    rank: Annotated[int, Meta(ge=1)] = 3
    weight: Annotated[float, Meta(gt=0)] = 0.15
