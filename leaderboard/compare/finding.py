"""One thing that a comparison found, and how much it matters."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class Level(IntEnum):
    """How much a finding matters, worst first. A regression fails the comparison, a check does so under --strict."""

    REGRESSION = 0
    CHECK = 1
    INCOMPARABLE = 2
    BETTER = 3
    NOTE = 4

    @property
    def word(self) -> str:
        """The level as readers see it."""
        return "not comparable" if self is Level.INCOMPARABLE else self.name.lower()


@dataclass(frozen=True)
class Finding:
    """A finding about one row, or about a side where `row` is empty.

    `kind` says which rule spoke: vanished, failed, version, params_stored, quality, latency, peak memory, too good, trend,
    unreadable and so on. `text` holds the figures. `weight` orders findings of one level, larger first.
    """

    level: Level
    kind: str
    row: str
    text: str
    p: float | None = None
    weight: float = 0.0


def worst_first(findings: list[Finding]) -> list[Finding]:
    """By level, then by weight; of equal ones by row."""
    return sorted(findings, key=lambda found: (found.level, -found.weight, found.row, found.kind))
