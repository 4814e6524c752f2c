"""Does the head lie where this row usually lies? A slow drift is in no single comparison."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from benchmarks.leaderboard import numbers
from benchmarks.leaderboard.compare.finding import Finding, Level
from benchmarks.leaderboard.compare.pairs import Key, Pair, row_key
from benchmarks.leaderboard.compare.quality import SAME
from benchmarks.leaderboard.report.rows import Run

EARLIER = 5
FENCE = 3.0
"""Interquartile ranges beyond the quartiles: Tukey's outer fences, which about one in 400,000 normal values leaves."""


def usual_range(values: Sequence[float]) -> tuple[float, float]:
    """From the lower to the upper outer fence; of values that are all equal, that value."""
    first, third = np.quantile(values, [0.25, 0.75])
    reach = FENCE * (third - first)
    return float(first - reach), float(third + reach)


def trend(pairs: Iterable[Pair], history: Iterable[Run]) -> Iterator[Finding]:
    """For rows with five earlier values or more: whether the mean of the head's seeds lies outside of their usual range.

    `history` holds all runs of the base's store. Values are of the primary metric, of every seed and repetition that was
    made before the head's first run, in the metric's present version. Outside on the bad side is for the reader to check.
    """
    values: dict[Key, list[Run]] = defaultdict(list)
    for run in history:
        if run.record.status == "ok" and run.record.primary is not None:
            values[row_key(run.record)].append(run)
    for pair in pairs:
        head = [pair.head.ok[seed].record for seed in pair.seeds]
        primary = [record.primary for record in head if record.primary is not None]
        now = [quality.value for quality in primary if quality.value is not None]
        if not now or len(now) < len(head):
            continue
        begun, own = min(record.created_utc for record in head), {record.run_id for record in head}
        earlier = [
            quality.value
            for run in values[row_key(head[0])]
            if run.record.created_utc < begun
            and run.record.run_id not in own
            and (quality := run.record.primary) is not None
            and quality.value is not None
            and quality.metric_version == primary[0].metric_version
        ]
        if len(earlier) >= EARLIER:
            yield from _judged(pair, primary[0].metric, primary[0].direction, float(np.mean(now)), earlier)


def _judged(pair: Pair, metric: str, direction: str, now: float, earlier: Sequence[float]) -> Iterator[Finding]:
    low, high = usual_range(earlier)
    slack = SAME * max(abs(low), abs(high))
    if low - slack <= now <= high + slack:
        return
    bad = direction == "target" or (now < low) == (direction == "max")
    decimals = numbers.column_decimals([low, high, now], [abs(now - low), abs(now - high)])
    span = f"{numbers.fixed(low, decimals)} to {numbers.fixed(high, decimals)}"
    side = "below" if now < low else "above"
    text = (
        f"{metric} {numbers.fixed(now, decimals)} lies {side} the usual range, {span} from {len(earlier)} earlier runs"
    )
    yield Finding(Level.CHECK if bad else Level.NOTE, "trend", pair.label, text)
