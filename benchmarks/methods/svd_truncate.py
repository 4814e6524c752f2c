"""Rank truncation: what the low-rank model does without any image prior."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from msgspec import Meta

from benchmarks.methods.closed_form import ClosedForm


@dataclass(frozen=True)
class SVDTruncate(ClosedForm):
    """The best approximation of rank `rank` of the degraded cube."""

    network: ClassVar[str] = "svd_truncate"
    rank: Annotated[int, Meta(ge=1)] = 3
