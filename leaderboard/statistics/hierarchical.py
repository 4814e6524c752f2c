"""Intervals that hold both the noise of training (seeds, outer) and of the test set (units, inner)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from benchmarks.leaderboard.statistics.bootstrap import (
    DEFAULT_SEED,
    Interval,
    expanded,
    expansion,
    interval,
    uniform_integers,
)


class SeedSummary(NamedTuple):
    """Mean over seeds, sample standard deviation (n - 1; None for one seed) and number of seeds."""

    mean: float
    std: float | None
    n: int


def seed_summary(values: Sequence[float] | np.ndarray) -> SeedSummary:
    """Summarises the values of one configuration over its seeds; at least one is needed."""
    if len(values) == 0:
        raise ValueError("A summary over seeds needs at least one value.")
    std = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return SeedSummary(float(np.mean(values)), std, len(values))


def hierarchical_interval(replicates: np.ndarray, values: np.ndarray, n_units: int, level: float = 0.95) -> Interval:
    """The interval of the mean over seeds, or of the units alone with one seed; see `hierarchical_replicates`."""
    return interval(hierarchical_replicates(replicates, values, n_units, level), level)


def hierarchical_replicates(
    replicates: np.ndarray, values: np.ndarray, n_units: int, level: float = 0.95
) -> np.ndarray:
    """Replicates [B] of the mean over seeds, each with its own draw of units and of seeds.

    All seeds saw the same test set, so the two noises are crossed: the mean over seeds of resample b carries that of
    the units, and the mean of seeds drawn with replacement from `values` deviates by that of training.

    Args:
        replicates: [n_seeds, B], of one metric in runs that drew the same resamples.
        values: [n_seeds], the metric on the whole test set.
        n_units: of the test set.
        level: the level of the interval that will be read off, see `expansion`.
    """
    return expanded(replicates.mean(axis=0), n_units, level) + seed_deviations(values, replicates.shape[1], level)


def seed_deviations(values: np.ndarray, resamples: int, level: float = 0.95, stream: int = 0) -> np.ndarray:
    """Deviations [resamples] of the mean of resampled seeds from their mean, widened for the small number of seeds.

    `stream` separates the draws for methods whose seeds are independent.
    """
    n = len(values)
    if n < 2:
        return np.zeros(resamples)
    # A third number that is not 0 keeps these draws apart from those of units: PCG64 ignores zeros at the end of its
    # seed.
    drawn = uniform_integers((DEFAULT_SEED, n, stream + 1), n, n * resamples).reshape(resamples, n)
    return expansion(n, level) * (values[drawn].mean(axis=1) - values.mean())
