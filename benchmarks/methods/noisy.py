"""The degraded cube itself: the floor of restoration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from benchmarks.methods.closed_form import ClosedForm


@dataclass(frozen=True)
class Noisy(ClosedForm):
    """As it was seen; a lower resolution is interpolated, gaps take means of what is around them."""

    network: ClassVar[str] = "noisy"
