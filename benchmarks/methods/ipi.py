"""The infrared patch-image model: principal component pursuit on patches of the image instead of the image itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from benchmarks.methods.closed_form import ClosedForm

Positive = Annotated[float, Meta(gt=0)]
Whole = Annotated[int, Meta(ge=1)]


@dataclass(frozen=True)
class IPI(ClosedForm):
    """Patches as columns of one matrix; what is positive of its sparse part, put together again, relative to its largest."""

    network: ClassVar[str] = "ipi"
    patch: Whole = 50
    step: Whole = 10
    merge: Literal["median", "mean"] = "median"
    weight: Positive = 1.0
    growth: Annotated[float, Meta(gt=1)] = 1.5
    tolerance: Positive = 1e-6
    max_iterations: Whole = 500
