"""B-splines as the descriptor of paths."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.methods.curve import Curve
from benchmarks.methods.descriptor import Count


@dataclass(frozen=True)
class BSpline(Curve):
    """Clamped uniform B-splines: `2 * control_points` numbers a path."""

    degree: Count = 2
    control_points: Count = 3

    def family(self) -> tuple[str, dict[str, int]]:
        return "bspline", {"degree": self.degree, "control_points": self.control_points}
