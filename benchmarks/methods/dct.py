"""Cosines as the descriptor of paths."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.methods.curve import Curve
from benchmarks.methods.descriptor import Count


@dataclass(frozen=True)
class DCT(Curve):
    """The lowest frequencies of the cosine transform: `2 * coefficients` numbers a path."""

    coefficients: Count = 3

    def family(self) -> tuple[str, dict[str, int]]:
        return "dct", {"coefficients": self.coefficients}
