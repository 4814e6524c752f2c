"""Rank truncation and BM3D: the classical rival to beat."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from msgspec import Meta

from benchmarks.methods.closed_form import ClosedForm


@dataclass(frozen=True)
class SVDBM3D(ClosedForm):
    """The images of the subspace, each denoised by BM3D at the known or estimated level of the noise."""

    network: ClassVar[str] = "svd_bm3d"
    rank: Annotated[int, Meta(ge=1)] = 3
    search: Annotated[int, Meta(ge=1)] = 39
    stages: Annotated[int, Meta(ge=1, le=2)] = 2
