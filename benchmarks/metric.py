"""Metrics over kept samples: NumPy only, so that a corrected metric can be applied again without torch or training."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

Samples = Mapping[str, np.ndarray]
"""What an evaluation keeps of each sample, by name, always with `id` and `unit` (the bootstrap unit)."""


@dataclass(frozen=True)
class Statistic:
    """A metric prepared on samples: `value(weights)` gives it with each sample weighted (None: once each), or NaN.

    The bootstrap calls `value` with the number of times that each sample was drawn, so whatever does not depend on the
    weights (sorting, grouping) belongs in the preparation. `n` counts the samples that enter, `dropped` those left out by
    the definition; `reason` says why the unweighted value is undefined.
    """

    value: Callable[[np.ndarray | None], float]
    n: int
    dropped: int = 0
    reason: str | None = None


@dataclass(frozen=True)
class Metric:
    """The definition of one metric. Bump `version` whenever any number would change.

    `bounds` hold every value that the definition allows (None: no end on that side); `perfect` is the value of answers
    without any error, where there is one, and what a metric of direction `target` aims at.

    `aggregation` is `mean_of_samples`, `pooled` or `rank_statistic`; only a mean of samples can be paired sample by sample.

    `against` names a condition that others are compared with: samples of a condition have those of this one beside them, row
    by row, as columns `against/NAME` (see `scoring`), and the mean over conditions leaves it out.
    """

    name: str
    version: int
    unit: str
    direction: Literal["max", "min", "target"]
    aggregation: Literal["mean_of_samples", "pooled", "rank_statistic"]
    statistic: Callable[[Samples], Statistic]
    summary: str
    bounds: tuple[float | None, float | None] | None = None
    intervals: bool = True
    perfect: float | None = None
    against: str | None = None


@dataclass(frozen=True)
class Operating:
    """A line over the thresholds of a detector, for a run's page: it is drawn, and nothing is ranked by it.

    `points` gives rows of (threshold, x, y) [k, 3]; rows that are not finite are left out. `chosen` is the threshold that the
    metrics use, `most` the largest y there can be; `logarithmic` is about x.
    """

    name: str
    x: str
    y: str
    points: Callable[[Samples], np.ndarray]
    chosen: float
    most: float = 1.0
    logarithmic: bool = False


def mean_of(values: np.ndarray, dropped: int = 0, *, counts: np.ndarray | None = None) -> Statistic:
    """The mean of per-sample values (weighted by `counts` where given) as a statistic; undefined without samples."""
    base = np.ones(len(values)) if counts is None else counts.astype(np.float64)

    def value(weights: np.ndarray | None) -> float:
        total = base if weights is None else base * weights
        mass = total.sum()
        return float(total @ values / mass) if mass > 0 else float("nan")

    return Statistic(value, len(values), dropped, None if len(values) else "no sample has a value")
