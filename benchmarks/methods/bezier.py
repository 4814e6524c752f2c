"""Bezier curves as the descriptor of paths."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.methods.curve import Curve
from benchmarks.methods.descriptor import Count


@dataclass(frozen=True)
class Bezier(Curve):
    """Bernstein polynomials of one degree: `2 * (degree + 1)` numbers a path."""

    degree: Count = 2

    def family(self) -> tuple[str, dict[str, int]]:
        return "bezier", {"degree": self.degree}
