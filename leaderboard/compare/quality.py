"""Is a row worse than it was? The paired difference over common seeds, corrected over all rows.

Two families are corrected apart, each by Holm's procedure at 5 %: the primary metric of every row, and whatever else was
measured (other metrics, the primary one under each condition). Tests are two-sided, and a regression is a significant
difference on the bad side, so that each family raises a false alarm in at most 2.5 % of comparisons, both in 5 %.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from benchmarks.leaderboard import numbers
from benchmarks.leaderboard.compare.finding import Finding, Level
from benchmarks.leaderboard.compare.pairs import Pair
from benchmarks.leaderboard.record import Quality, UnreadableRecord
from benchmarks.leaderboard.replicates import run_score
from benchmarks.leaderboard.report.rows import Run, find_quality
from benchmarks.leaderboard.statistics.change import SAME, Change, change, corrected


@dataclass(frozen=True, eq=False)
class Test:
    """One metric of one row, over all conditions or under one, and its change."""

    pair: Pair
    quality: Quality
    change: Change

    @property
    def name(self) -> str:
        """The metric, with its condition."""
        return _name(self.quality)

    @property
    def main(self) -> bool:
        """Whether this is what the row is ranked by."""
        return self.quality.primary and self.quality.condition is None

    @property
    def gain(self) -> float | None:
        """The difference in the good direction; None where a metric has a target that the record does not name."""
        if self.quality.direction == "target":
            errors = self.errors
            return None if errors is None else errors[0] - errors[1]
        return self.change.difference if self.quality.direction == "max" else -self.change.difference

    @property
    def errors(self) -> tuple[float, float] | None:
        """How far base and head are from the perfect value; None where the metric declares none.

        Records of schema 1 know of no perfect value. It is then 0 where less is better, and 1 where more is better and both
        values are shares of 1.
        """
        before, after = self.change.before, self.change.after
        perfect = self.quality.perfect
        if perfect is None and self.quality.bounds is None:
            if self.quality.direction == "min":
                perfect = 0.0 if after >= 0 else None
            elif self.quality.direction == "max":
                perfect = 1.0 if 0 <= before < 1 and after <= 1 else None
        return None if perfect is None else (abs(perfect - before), abs(perfect - after))

    @property
    def verdict(self) -> str:
        """One of worse, better, differs, same, tie."""
        if abs(self.change.difference) <= SAME * abs(self.change.before):
            return "same"
        if not self.change.significant:
            return "tie"
        return "differs" if self.gain is None else "better" if self.gain > 0 else "worse"


def measured_change(before: Sequence[Run], after: Sequence[Run], wanted: Quality) -> Change | None:
    """The change of one metric between runs of equal seeds, in equal order; None where a value is missing.

    A damaged file of replicates raises UnreadableRecord.
    """
    ours = [find_quality(run.record, wanted.metric, wanted.condition) for run in after]
    theirs = [find_quality(run.record, wanted.metric, wanted.condition) for run in before]
    values_after = [quality.value for quality in ours if quality and quality.value is not None]
    values_before = [quality.value for quality in theirs if quality and quality.value is not None]
    if len(values_after) < len(after) or len(values_before) < len(before):
        return None
    widths = [q.ci_high - q.ci_low for q in theirs if q and q.ci_low is not None and q.ci_high is not None]
    reach = sum(widths) / len(widths) if widths else None
    if values_after == values_before:  # nothing to test, and no file to open
        return change(values_before, values_after, None, reach)
    scores = [(run_score(a.store, a.record, q), run_score(b.store, b.record, r))
              for a, q, b, r in zip(before, theirs, after, ours, strict=True)]  # fmt: skip
    known = [(a, b) for a, b in scores if a and b]
    return change(values_before, values_after, known if len(known) == len(scores) else None, reach)


def quality_tests(pairs: Iterable[Pair]) -> tuple[list[Test], list[Finding]]:
    """All tests, corrected, and what could not be tested and why."""
    tests: list[Test] = []
    findings: list[Finding] = []
    for pair in pairs:
        before, after = [pair.base.ok[seed] for seed in pair.seeds], [pair.head.ok[seed] for seed in pair.seeds]
        for wanted in _wanted(before):
            refused = _not_comparable(pair, before, after, wanted)
            if refused is not None:
                findings += refused
                continue
            try:
                found = measured_change(before, after, wanted)
            except UnreadableRecord as error:
                if not any(finding.text == str(error) for finding in findings):
                    findings.append(Finding(Level.CHECK, "unreadable", pair.label, str(error), weight=5))
                continue
            if found is not None:
                tests.append(Test(pair, wanted, found))
    families = ([t for t in tests if t.main], [t for t in tests if not t.main])
    return [
        replace(test, change=adjusted)
        for family in families
        for test, adjusted in zip(family, corrected([test.change for test in family]), strict=True)
    ], findings


def quality_findings(tests: Sequence[Test]) -> Iterator[Finding]:
    """A finding for each row whose primary metric changed, and one for each with other metrics that became worse."""
    others: dict[Pair, list[Test]] = {}
    for test in tests:
        verdict = test.verdict
        if test.main and verdict in ("worse", "better"):
            level = Level.REGRESSION if verdict == "worse" else Level.BETTER
            weight = 1 - (test.change.p_holm or 0)
            yield Finding(level, "quality", test.pair.label, described(test), test.change.p_holm, 2 + weight)
        elif verdict == "differs":
            text = f"{described(test)}; whether that is nearer to its target the record does not say"
            yield Finding(Level.CHECK, "quality", test.pair.label, text, test.change.p_holm)
        elif verdict == "worse":
            others.setdefault(test.pair, []).append(test)
    for pair, worse in others.items():
        text = "; ".join(described(test) for test in worse)
        p = min((test.change.p_holm for test in worse if test.change.p_holm is not None), default=None)
        yield Finding(Level.REGRESSION, "other metrics", pair.label, text, p, 1)


def described(test: Test) -> str:
    """A change in words: both values, the difference with its interval, p and what stands behind it."""
    found = test.change
    half = found.half_width
    decimals = numbers.column_decimals([found.before, found.after], [half or abs(found.difference)])
    text = f"{test.name} {numbers.fixed(found.before, decimals)} -> {numbers.fixed(found.after, decimals)}"
    text += f", {numbers.signed(found.difference, decimals)}"
    if half is not None:
        ends = (found.difference - half, found.difference + half)
        text += f" ({numbers.signed(ends[0], decimals)} to {numbers.signed(ends[1], decimals)})"
    if found.p_holm is not None:
        return f"{text}, p {numbers.probability(found.p_holm)}, {found.seeds} seeds"
    return f"{text}, one seed, so judged by the width of the base's interval"


def _wanted(runs: Sequence[Run]) -> list[Quality]:
    """The rows of quality on the test split that any seed of the base has."""
    found = {(q.metric, q.condition): q for run in reversed(runs) for q in run.record.quality if q.split == "test"}
    return list(found.values())


def _not_comparable(pair: Pair, before: Sequence[Run], after: Sequence[Run], wanted: Quality) -> list[Finding] | None:
    """Why a metric is not tested: another version or direction, or a value that was there and is not. None: it can be."""
    name = _name(wanted)
    theirs = [q for run in before if (q := find_quality(run.record, wanted.metric, wanted.condition))]
    ours = [q for run in after if (q := find_quality(run.record, wanted.metric, wanted.condition))]
    versions = [sorted({q.metric_version for q in side}) for side in (theirs, ours)]
    if ours and (len({*versions[0], *versions[1]}) > 1 or {q.direction for q in ours} != {q.direction for q in theirs}):
        if wanted.condition is not None:  # said once, for the row over all conditions
            return []
        shown = " -> ".join(", ".join(map(str, each)) for each in versions)
        text = f"{name} version {shown}: `rescore` brings both sides to one version"
        return [Finding(Level.INCOMPARABLE, "version", pair.label, text)]
    lost = [
        run.record.seed
        for run in after
        if (q := find_quality(run.record, wanted.metric, wanted.condition)) is None or q.value is None
    ]
    if lost and all(q.value is not None for q in theirs):
        reason = next((q.reason for q in ours if q.reason), "not measured")
        text = f"{name} is defined in the base, not in the head (seed {', '.join(map(str, lost))}): {reason}"
        level = Level.REGRESSION if wanted.primary else Level.CHECK
        return [Finding(level, "undefined", pair.label, text, weight=3)]
    return None


def _name(quality: Quality) -> str:
    return quality.metric + (f" under {quality.condition}" if quality.condition else "")
