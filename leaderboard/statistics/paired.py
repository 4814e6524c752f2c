"""Are two methods different? Paired bootstrap over stored replicates, signed ranks over samples, Holm over a table."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from benchmarks.leaderboard.statistics.bootstrap import expanded, interval, standard_error
from benchmarks.leaderboard.statistics.hierarchical import seed_deviations
from benchmarks.leaderboard.statistics.two_noises import two_noise_p

RESOLVED = 10
"""Resamples that must lie beyond zero for their share to be a p value (Knijnenburg et al., Bioinformatics 25, 2009)."""


class RunScore(NamedTuple):
    """What a run stores of one metric: value, replicates [B], `Resampler.digest` and the number of units."""

    value: float
    replicates: np.ndarray
    digest: str
    n_units: int


@dataclass(frozen=True)
class Difference:
    """The difference a - b of one metric; a figure that is undefined is None, and `reason` says why.

    `seeds` counts the pairs of runs with equal seeds, 0 where no seed was common and the means over seeds were
    compared. With one pair the interval holds the noise of the test set only (`with_training_noise` is False).
    `standard_error` and `p` are of the same noise; `p_holm` is p corrected for all pairs of a table.
    """

    difference: float | None
    ci_low: float | None = None
    ci_high: float | None = None
    p: float | None = None
    standard_error: float | None = None
    seeds: int = 0
    with_training_noise: bool = False
    dropped: int = 0
    reason: str | None = None
    p_holm: float | None = None

    @property
    def tie(self) -> bool | None:
        """Whether the interval includes zero; None without an interval."""
        if self.ci_low is None or self.ci_high is None:
            return None
        return self.ci_low <= 0 <= self.ci_high


class SignedRank(NamedTuple):
    """Wilcoxon's statistic and two-sided p over `n` units; p is 1 where no difference is left."""

    statistic: float
    p: float
    n: int


@dataclass(frozen=True)
class Significance:
    """All pairs of a table: `pairs[a, b]` is a - b, in order of `names`; `better[i, j]`: i is significantly better."""

    names: tuple[str, ...]
    pairs: Mapping[tuple[str, str], Difference]
    better: np.ndarray


def paired_difference(a: Mapping[int, RunScore], b: Mapping[int, RunScore], level: float = 0.95) -> Difference:
    """The difference a - b from the runs of two methods on one test set, by seed.

    Runs with equal seeds are paired; without a common seed the means over seeds are compared. p is two-sided, twice
    the smaller share of replicates on one side of zero, with one added to both counts. B resamples cannot resolve a p
    below 2 / (B + 1), which a Holm correction over a large table needs, so where fewer than `RESOLVED` resamples lie
    beyond zero p comes from the distributions of both noises (see `two_noise_p`, and why not Satterthwaite's).
    """
    if not a or not b:
        raise ValueError("A difference needs at least one run of each method.")
    common = sorted(a.keys() & b.keys())
    runs_a, runs_b = ([a[s] for s in common], [b[s] for s in common]) if common else ([*a.values()], [*b.values()])
    values_a, values_b = (np.array([run.value for run in runs]) for runs in (runs_a, runs_b))
    difference = float(values_a.mean() - values_b.mean())
    if not math.isfinite(difference):
        return Difference(None, seeds=len(common), reason="the metric is undefined in a run")
    if len({run.digest for run in (*runs_a, *runs_b)}) > 1:
        return Difference(difference, seeds=len(common), reason="the runs drew different resamples of their test sets")

    unit_noise = _mean_replicates(runs_a) - _mean_replicates(runs_b)
    n_units = min(run.n_units for run in (*runs_a, *runs_b))
    samples_of_seeds = [values_a - values_b] if common else [values_a, values_b]
    seed_noise = sum(
        seed_deviations(values, len(unit_noise), level, stream) for stream, values in enumerate(samples_of_seeds)
    )
    replicates = expanded(unit_noise, n_units, level) + seed_noise
    low, high, dropped = interval(replicates, level)
    if low is None:
        return Difference(
            difference, seeds=len(common), dropped=dropped, reason="fewer than half of the resamples are defined"
        )
    errors = _errors(unit_noise, n_units, samples_of_seeds)
    return Difference(
        difference,
        low,
        high,
        p=_p_value(replicates, difference, errors),
        standard_error=math.hypot(errors[0], errors[2]),
        seeds=len(common),
        with_training_noise=all(len(values) > 1 for values in samples_of_seeds),
        dropped=dropped,
    )


def wilcoxon(differences: np.ndarray, units: np.ndarray | None = None) -> SignedRank:
    """Wilcoxon's signed-rank test of per-sample differences [n] of a mean-of-samples metric.

    Samples of one unit are not independent: with `units` [n] they are averaged first. Samples where the difference is
    NaN are left out, and units that agree exactly take no part in the ranks.
    """
    defined = np.isfinite(differences)
    values = differences[defined]
    if units is not None:
        names, unit_of_sample = np.unique(np.asarray(units)[defined].astype(str), return_inverse=True)
        counts = np.bincount(unit_of_sample, minlength=len(names))
        values = np.bincount(unit_of_sample, weights=values, minlength=len(names)) / counts
    if not np.any(values):
        return SignedRank(0.0, 1.0, len(values))
    from scipy import stats

    result = stats.wilcoxon(values)
    return SignedRank(float(result.statistic), float(result.pvalue), len(values))


def holm(p_values: Sequence[float] | np.ndarray) -> np.ndarray:
    """Adjusted p values [k] of Holm's step-down procedure (1979); a NaN stays and does not count as a test."""
    p = np.asarray(p_values, dtype=np.float64)
    adjusted = np.full(p.shape, np.nan)
    order = np.argsort(p)[: np.count_nonzero(~np.isnan(p))]
    factors = np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(factors * p[order]), 1)
    return adjusted


def significance(
    rows: Mapping[str, Mapping[int, RunScore]], *, maximize: bool = True, level: float = 0.95
) -> Significance:
    """Compares every pair of rows (runs by seed), corrected over all pairs; `maximize` says whether more is better."""
    names = tuple(rows)
    pairs = {(a, b): paired_difference(rows[a], rows[b], level) for a, b in itertools.combinations(names, 2)}
    adjusted = holm([math.nan if pair.p is None else pair.p for pair in pairs.values()])
    better = np.zeros((len(names), len(names)), dtype=bool)
    for (key, pair), p in zip(pairs.items(), adjusted.tolist(), strict=True):
        if pair.p is None or pair.difference is None:
            continue
        pairs[key] = replace(pair, p_holm=p)
        if p <= 1 - level:
            i, j = (names.index(name) for name in key)
            winner, loser = (i, j) if (pair.difference > 0) == maximize else (j, i)
            better[winner, loser] = True
    return Significance(names, pairs, better)


def _mean_replicates(runs: Sequence[RunScore]) -> np.ndarray:
    return np.mean([run.replicates for run in runs], axis=0)


def _errors(
    unit_noise: np.ndarray, n_units: int, samples_of_seeds: Sequence[np.ndarray]
) -> tuple[float, float, float, float]:
    """The standard errors of units and of seeds, each with its degrees of freedom: the arguments of `two_noise_p`.

    Two unpaired samples of seeds are joined after Satterthwaite (1946).
    """
    unit_error = standard_error(unit_noise[np.isfinite(unit_noise)], n_units)
    terms = [(float(np.var(v, ddof=1)) / len(v), len(v) - 1) for v in samples_of_seeds if len(v) > 1]
    total = sum(variance for variance, _ in terms)
    spread = sum(variance**2 / degrees for variance, degrees in terms)
    return unit_error, max(n_units - 1, 1), math.sqrt(total), total**2 / spread if spread > 0 else 1.0


def _p_value(replicates: np.ndarray, difference: float, errors: tuple[float, float, float, float]) -> float:
    finite = replicates[np.isfinite(replicates)]
    beyond = int(min(np.count_nonzero(finite <= 0), np.count_nonzero(finite >= 0)))
    if beyond >= RESOLVED or not any(errors[::2]):
        return min(1.0, 2 * (beyond + 1) / (len(finite) + 1))
    return two_noise_p(difference, *errors)
