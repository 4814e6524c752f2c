"""BM4D on the cube as a volume: a classical rival that knows of no low rank."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from msgspec import Meta

from benchmarks.methods.closed_form import ClosedForm


@dataclass(frozen=True)
class BM4D(ClosedForm):
    """Blocks of the volume, matched and filtered together, at the known or estimated level of the noise."""

    network: ClassVar[str] = "bm4d"
    reach: Annotated[int, Meta(ge=1)] = 7
    stages: Annotated[int, Meta(ge=1, le=2)] = 2
