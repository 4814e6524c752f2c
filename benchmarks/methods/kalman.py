"""A Kalman filter with constant velocity: walking on, with noise taken out of the velocity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from msgspec import Meta

from benchmarks.methods.closed_form import ClosedForm

Positive = Annotated[float, Meta(gt=0)]


@dataclass(frozen=True)
class Kalman(ClosedForm):
    """Both coordinates filtered apart; noises are standard deviations, in metres a step squared and in metres."""

    network: ClassVar[str] = "kalman"
    process_noise: Positive = 0.1
    measurement_noise: Positive = 0.05
