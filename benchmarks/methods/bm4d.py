"""BM4D on the cube as a volume: a classical rival that knows of no low rank."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from benchmarks.methods.closed_form import ClosedForm


@dataclass(frozen=True)
class BM4D(ClosedForm):
    """Blocks of the volume, matched and filtered together, at the known or estimated level of the noise."""

    network: ClassVar[str] = "bm4d"
