"""Principal component pursuit on the plain image: low-rank background and sparse objects without any training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from msgspec import Meta

from benchmarks.methods.closed_form import ClosedForm

Positive = Annotated[float, Meta(gt=0)]


@dataclass(frozen=True)
class PCP(ClosedForm):
    """Inexact augmented Lagrangian; what is positive of the sparse part, relative to the largest of its image."""

    network: ClassVar[str] = "pcp"
    weight: Positive = 1.0
    growth: Annotated[float, Meta(gt=1)] = 1.5
    tolerance: Positive = 1e-6
    max_iterations: Annotated[int, Meta(ge=1)] = 500
