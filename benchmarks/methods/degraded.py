"""The degraded image itself: the floor of restoration, above which an under-trained network need not be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from benchmarks.methods.closed_form import ClosedForm


@dataclass(frozen=True)
class Degraded(ClosedForm):
    """As it was seen."""

    network: ClassVar[str] = "degraded"
