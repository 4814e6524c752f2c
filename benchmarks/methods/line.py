"""Straight lines as the descriptor of paths."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.methods.curve import Curve


@dataclass(frozen=True)
class Line(Curve):
    """Two control points: four numbers a path."""

    def family(self) -> tuple[str, dict[str, int]]:
        return "linear", {}
