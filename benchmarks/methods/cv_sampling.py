"""Walking on in twenty directions at twenty speeds: what a set of futures costs without any learning."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Annotated, ClassVar

from msgspec import Meta

from benchmarks.method import Workbench
from benchmarks.methods.closed_form import ClosedForm

Spread = Annotated[float, Meta(ge=0)]


@dataclass(frozen=True)
class CVSampling(ClosedForm):
    """Constant velocity with normal noise on angle (Schoeller et al. 2020) and on speed."""

    network: ClassVar[str] = "cv_sampling"
    samples: Annotated[int, Meta(ge=1)] = 20
    angle_degrees: Spread = 25.0
    speed_deviation: Spread = 0.3

    def arguments(self, bench: Workbench) -> dict[str, object]:
        return {**asdict(self), "seed": bench.seed}
