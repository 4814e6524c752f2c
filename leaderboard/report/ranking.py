"""Which rows of a section are told apart: every pair tested, and the ranks that this leaves open."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.leaderboard import numbers
from benchmarks.leaderboard.report.rows import Row
from benchmarks.leaderboard.report.tables import decimals_of
from benchmarks.leaderboard.statistics.paired import Difference, RunScore, Significance, significance
from benchmarks.leaderboard.statistics.ranks import RankRanges, rank_ranges

MOST = 14
"""Rows that are compared pair by pair: more make a matrix that nobody reads, and a Holm correction that finds nothing."""


@dataclass(frozen=True, eq=False)
class Ranking:
    """Rows, best first, with every pair tested; `left_out` counts the rows of the section that are not among them."""

    rows: tuple[Row, ...]
    tests: Significance
    ranges: RankRanges
    left_out: int
    decimals: int

    def range_of(self, index: int) -> str:
        """The ranks that a row may have."""
        best, worst = int(self.ranges.best[index]), int(self.ranges.worst[index])
        return str(best) if best == worst else f"{best}\N{EN DASH}{worst}"

    def pair(self, i: int, j: int) -> Pair | None:
        """How row i stands to row j; None on the diagonal."""
        if i == j:
            return None
        sign = 1 if i < j else -1
        found = self.tests.pairs[str(min(i, j)), str(max(i, j))]
        value = None if found.difference is None else sign * found.difference
        difference = numbers.signed(value, self.decimals)
        if found.p_holm is None:
            return Pair("untested", "?", difference, found.reason or "not tested")
        kind = "tie"
        if self.tests.better[i, j] or self.tests.better[j, i]:
            kind = "better" if self.tests.better[i, j] else "worse"
        return Pair(kind, SIGNS[kind], difference, f"{kind}, {self._interval(found, sign)}")

    def _interval(self, found: Difference, sign: int) -> str:
        ends = sorted(sign * end for end in (found.ci_low, found.ci_high) if end is not None)
        return (
            f"{' to '.join(numbers.signed(end, self.decimals) for end in ends)}, p {numbers.probability(found.p_holm)}"
        )


@dataclass(frozen=True)
class Pair:
    """A cell of the matrix: what it found, a sign for it, the difference, and the rest in words."""

    kind: str
    sign: str
    difference: str
    title: str


SIGNS = {"better": "\N{BLACK UP-POINTING TRIANGLE}", "worse": "\N{BLACK DOWN-POINTING TRIANGLE}", "tie": "="}


def ranking(rows: Sequence[Row], direction: str) -> Ranking | None:
    """Compares the best row of every method and model, and further rows while there is room; `rows` come best first.

    Rows without stored replicates cannot be tested and stay out. None with fewer than three rows, where the table says
    it all, and for a metric that has a target.
    """
    if direction == "target":
        return None
    testable = [row for row in rows if row.primary.value is not None]
    leaders: dict[tuple[str, str | None], Row] = {}
    for row in testable:
        leaders.setdefault((row.method, row.model), row)
    chosen: list[Row] = []
    scores: list[dict[int, RunScore]] = []
    for row in [*leaders.values(), *(row for row in testable if row not in leaders.values())]:
        if len(chosen) < MOST and (own := row.scores):
            chosen.append(row)
            scores.append(own)
    if len(chosen) < 3:
        return None
    place = {row: index for index, row in enumerate(rows)}
    order = sorted(range(len(chosen)), key=lambda index: place[chosen[index]])
    tests = significance({str(index): scores[found] for index, found in enumerate(order)}, maximize=direction != "min")
    shown = tuple(chosen[index] for index in order)
    decimals = decimals_of([row.primary for row in shown])
    return Ranking(shown, tests, rank_ranges(tests.better), len(rows) - len(shown), decimals)
