"""Max-median: what stands out of the medians along four lines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from msgspec import Meta

from benchmarks.methods.closed_form import ClosedForm


@dataclass(frozen=True)
class MaxMedian(ClosedForm):
    """An image less the largest median along four lines of `size` pixels, relative to the largest of its image."""

    network: ClassVar[str] = "max_median"
    size: Annotated[int, Meta(ge=1)] = 5
