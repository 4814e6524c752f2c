"""How a metric of one row changed over common seeds, with the noise of the test set and of training in its p value."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from benchmarks.leaderboard.statistics.bootstrap import standard_error
from benchmarks.leaderboard.statistics.paired import RunScore, holm
from benchmarks.leaderboard.statistics.two_noises import two_noise_half_width, two_noise_p

LEVEL = 0.05
SAME = 1e-6
"""Relative difference up to which values agree: on another machine sums differ in their last digits."""


@dataclass(frozen=True, eq=False)
class Change:
    """A metric of one row before and after: means over the common seeds, and the p value of their difference.

    `errors` are the arguments of `two_noise_p` after the difference, None where nothing is known of the noise; they come
    from the more certain one of so many `tests`, and p is corrected for that.
    `noise` says which noise p holds. With one seed the noise of training is unknown: p is then of the test set alone, takes
    no part in the correction, and only a difference beyond `reach` counts, the whole width of the base's own interval.
    """

    before: float
    after: float
    p: float | None
    seeds: int
    noise: str
    reach: float | None
    errors: tuple[float, float, float, float] | None = None
    tests: int = 1
    p_holm: float | None = None

    @property
    def difference(self) -> float:
        """Head less base."""
        return self.after - self.before

    @cached_property
    def half_width(self) -> float | None:
        """Half of the 95 % interval of the difference, not corrected for other rows."""
        return None if self.errors is None else two_noise_half_width(*self.errors, level=1 - LEVEL / self.tests)

    @property
    def significant(self) -> bool:
        """Whether the difference is told from noise; with one seed, whether it is too large for any."""
        if self.seeds > 1:
            return self.p_holm is not None and self.p_holm <= LEVEL
        return self.reach is not None and abs(self.difference) > self.reach


def change(
    before: Sequence[float],
    after: Sequence[float],
    scores: Sequence[tuple[RunScore, RunScore]] | None,
    reach: float | None = None,
) -> Change:
    """The change from values by seed (equal order) and, where all runs have them, their replicates on one test set.

    p is the smaller one of two tests (see `_training_noise`), doubled for having taken two.
    """
    n = len(before)
    unit_error, unit_degrees = _unit_noise(scores)
    parts = ["test set"] * (unit_error is not None) + ["training"] * (n > 1)
    mean_before, mean_after = float(np.mean(before)), float(np.mean(after))
    size = mean_after - mean_before
    if abs(size) <= SAME * abs(mean_before):
        return Change(mean_before, mean_after, 1.0, n, "nothing changed", reach)
    if not parts:
        return Change(mean_before, mean_after, None, n, "one seed and no replicates", reach)
    tried = [(unit_error or 0.0, unit_degrees, *noise) for noise in _training_noise(before, after)]
    p, errors = min((two_noise_p(size, *each), each) for each in tried)
    return Change(mean_before, mean_after, min(1.0, len(tried) * p), n, " and ".join(parts), reach, errors, len(tried))


def _training_noise(before: Sequence[float], after: Sequence[float]) -> list[tuple[float, float]]:
    """Standard errors of the mean difference over seeds with their degrees of freedom, as two tests know them.

    Where a version changes what training does, the noise of equal seeds has nothing in common, and the spread of both
    sides gives twice as many degrees of freedom, which a correction over many rows needs: 3 seeds have 2 or 4. Where it
    changes what is done with a trained network, equal seeds share their noise, and only the spread of the differences tells.
    """
    n = len(before)
    if n < 2:
        return [(0.0, 1)]
    paired = float(np.var(np.subtract(after, before), ddof=1))
    apart = float(np.var(before, ddof=1) + np.var(after, ddof=1))
    return [(math.sqrt(paired / n), n - 1), (math.sqrt(apart / n), 2 * (n - 1))]


def corrected(changes: Sequence[Change]) -> list[Change]:
    """The changes with Holm's correction over all that have two seeds or more."""
    p = [math.nan if each.p is None or each.seeds < 2 else each.p for each in changes]
    return [
        each if math.isnan(adjusted) else replace(each, p_holm=adjusted)
        for each, adjusted in zip(changes, holm(p).tolist(), strict=True)
    ]


def _unit_noise(scores: Sequence[tuple[RunScore, RunScore]] | None) -> tuple[float | None, int]:
    """Standard error of the mean difference by the units of the test set and its degrees of freedom; None where the runs
    have no common resamples."""
    if not scores or len({score.digest for pair in scores for score in pair}) > 1:
        return None, 1
    drawn = np.mean([after.replicates - before.replicates for before, after in scores], axis=0)
    finite = drawn[np.isfinite(drawn)]
    if 2 * len(finite) < len(drawn) or len(finite) < 2:
        return None, 1
    n_units = min(score.n_units for pair in scores for score in pair)
    return standard_error(finite, n_units), max(n_units - 1, 1)
