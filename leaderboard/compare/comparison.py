"""All rules applied to two sides, and what follows from them: a verdict and an exit code."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from benchmarks.leaderboard.compare.costs import exact_costs
from benchmarks.leaderboard.compare.finding import Finding, Level, worst_first
from benchmarks.leaderboard.compare.pairs import Pairing, pair_rows
from benchmarks.leaderboard.compare.plausible import impossible, new_twins, too_good
from benchmarks.leaderboard.compare.quality import Test, quality_findings, quality_tests
from benchmarks.leaderboard.compare.sides import Side
from benchmarks.leaderboard.compare.structure import structure, uncommitted, unreadable
from benchmarks.leaderboard.compare.timing import measured_costs
from benchmarks.leaderboard.compare.trend import trend
from benchmarks.leaderboard.record import Record


@dataclass(frozen=True, eq=False)
class Comparison:
    """Two sides, their rows, all tests of quality, and the findings, worst first."""

    base: Side
    head: Side
    pairing: Pairing
    tests: tuple[Test, ...]
    findings: tuple[Finding, ...]
    strict: bool = False

    def count(self, level: Level) -> int:
        """Findings of a level."""
        return Counter(found.level for found in self.findings)[level]

    @property
    def comparable(self) -> bool:
        """Whether any run of the base has an equal in the head: sides that share nothing are no regression, but a mistake."""
        return any(pair.base.ok.keys() & pair.head.latest.keys() for pair in self.pairing.pairs)

    @property
    def exit_code(self) -> int:
        """0 fine, 1 a regression (under --strict also what must be checked), 2 nothing comparable."""
        if not self.comparable:
            return 2
        return int(bool(self.count(Level.REGRESSION) or (self.strict and self.count(Level.CHECK))))

    @property
    def regressed(self) -> list[Record]:
        """The base's records of every row with a regression, a record a seed: what to run again before anybody is alarmed."""
        rows = {found.row for found in self.findings if found.level is Level.REGRESSION}
        sides = [
            *((pair.label, pair.base) for pair in self.pairing.pairs),
            *((row.label, row) for row in self.pairing.vanished),
        ]
        return [row.ok[seed].record for label, row in sides if label in rows for seed in sorted(row.ok)]

    @property
    def verdict(self) -> str:
        """The verdict in a sentence."""
        if not self.comparable:
            return "Nothing comparable: no run of the base has an equal in the head."
        regressions, checks = self.count(Level.REGRESSION), self.count(Level.CHECK)
        to_check = f"{checks} finding{'s' * (checks != 1)} to check"
        if regressions:
            return f"Regression: {regressions} finding{'s' * (regressions != 1)}" + (
                f", {to_check}." if checks else "."
            )
        if self.exit_code:
            return f"Failed under --strict: {to_check}."
        return f"Fine: no regression{f', {to_check}' if checks else ''}."

    @property
    def scope(self) -> str:
        """How much was compared."""
        pairs = self.pairing.pairs
        runs, rows = sum(len(pair.seeds) for pair in pairs), len(pairs)
        return f"{rows} row{'s' * (rows != 1)} with {runs} pair{'s' * (runs != 1)} of runs, {len(self.tests)} tests of quality"


def compare(base: Side, head: Side, *, allow_missing: bool = False, strict: bool = False) -> Comparison:
    """Compares two sides. `allow_missing` lets the head hold a part of the rows; `strict` fails on what must be checked."""
    pairing = pair_rows(base.runs, head.runs)
    pairs = pairing.pairs
    tests, untested = quality_tests(pairs)
    suspicious = list(too_good(tests))
    leaps = {found.row for found in suspicious}
    quality = [f for f in quality_findings(tests) if not (f.level is Level.BETTER and f.row in leaps)]
    findings = [
        *unreadable(base, "base"), *unreadable(head, "head"), *uncommitted(base, "base"), *uncommitted(head, "head"),
        *structure(pairing, allow_missing=allow_missing), *impossible(pairing), *exact_costs(pairs), *untested,
        *quality, *suspicious, *new_twins(pairs), *measured_costs(pairs), *trend(pairs, base.history), *_single_seeds(tests),
    ]  # fmt: skip
    return Comparison(base, head, pairing, tuple(tests), tuple(worst_first(findings)), strict)


def _single_seeds(tests: list[Test]) -> list[Finding]:
    """Says how weak a comparison is where the noise of training is unknown."""
    changed = [t for t in tests if t.main and t.change.seeds == 1 and t.verdict == "tie"]
    if not changed:
        return []
    text = (
        f"{len(changed)} row{'s' * (len(changed) != 1)} changed in the one seed that both sides have; only a change beyond the "
        "base's interval counts then, two seeds are needed for a test"
    )
    return [Finding(Level.NOTE, "one seed", "", text)]
