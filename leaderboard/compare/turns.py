"""Blocks that two sides timed in turns: what the machine did meanwhile met both alike, so that they can be paired."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from statistics import median

from benchmarks.leaderboard.record import Block, Latency

RANKS_FROM = 10
"""Pairs from which Wilcoxon's p can reach 0.002: nine give 0.0039 at best."""
LEAST_PAIRS = 3


def pairs_in_turns(before: Sequence[Latency], after: Sequence[Latency]) -> list[tuple[float, float]]:
    """Medians (before, after) of the blocks that stand beside each other, over all sessions in which the sides took turns.

    A session that both sides share but did one after the other (two runs of one sweep) gives none.
    """
    found: list[tuple[float, float]] = []
    for session in sorted({each.session for each in before if each.session}):
        sides = [_blocks(side, session) for side in (before, after)]
        if _take_turns(*sides):
            found += [(a.median, b.median) for a, b in zip(*sides, strict=False) if a.median > 0 and b.median > 0]
    return found


def paired_ratio(pairs: Sequence[tuple[float, float]]) -> float:
    """The median of after over before."""
    return math.exp(median(math.log(after / before) for before, after in pairs))


def paired_p(pairs: Sequence[tuple[float, float]]) -> float | None:
    """Wilcoxon's exact p of the logarithms of the ratios, or Student's where few pairs have too few ranks; None below three."""
    if len(pairs) < LEAST_PAIRS:
        return None
    from scipy import stats

    logs = [math.log(after / before) for before, after in pairs]
    if max(logs) == min(logs):
        return 0.0 if logs[0] else 1.0
    if len(pairs) >= RANKS_FROM:
        return float(stats.wilcoxon(logs, zero_method="zsplit").pvalue)
    return float(stats.ttest_1samp(logs, 0.0).pvalue)


def _blocks(latencies: Sequence[Latency], session: str) -> list[Block]:
    return sorted((b for each in latencies if each.session == session for b in each.blocks), key=lambda block: block.at)


def _take_turns(before: Sequence[Block], after: Sequence[Block]) -> bool:
    """Whether the n-th blocks of both sides began before the next block of either, for all but a rest of one side.

    Blocks that began at one moment are one measurement, in a run that both sides hold.
    """
    shared = min(len(before), len(after))
    if not shared or abs(len(before) - len(after)) > 1:
        return False
    rounds = list(zip(before[:shared], after[:shared], strict=True))
    return all(a.at != b.at for a, b in rounds) and all(
        max(block.at for block in now) <= min(block.at for block in following) for now, following in pairwise(rounds)
    )
