"""Walking on: the baseline that many learned forecasts do not beat (Schoeller et al. 2020)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from benchmarks.methods.closed_form import ClosedForm


@dataclass(frozen=True)
class ConstantVelocity(ClosedForm):
    """Everybody keeps a velocity: of the last step, of the last two, the mean of all, or of a line through all points."""

    network: ClassVar[str] = "constant_velocity"
    form: Literal["last", "two_step", "mean", "line"] = "last"
