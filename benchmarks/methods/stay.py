"""Standing still: the floor of every forecast."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from benchmarks.methods.closed_form import ClosedForm


@dataclass(frozen=True)
class Stay(ClosedForm):
    """Everybody stays at the last observed position."""

    network: ClassVar[str] = "stay"
