"""What an experiment could have shown: the smallest difference that its seeds and units would find."""

from __future__ import annotations

import math
from statistics import NormalDist


def minimum_detectable_effect(
    unit_error: float, seed_std: float = 0.0, n_seeds: int = 1, *, power: float = 0.8, alpha: float = 0.05
) -> float:
    """The true difference that a two-sided test at `alpha` finds with probability `power`, in units of the metric.

    (z(1 - alpha / 2) + z(power)) times the standard error, 2.80 at the defaults; normal theory, so optimistic below
    some five seeds.

    Args:
        unit_error: standard error by the test set, the standard deviation of the replicates of the paired difference;
        or
            `Difference.standard_error`, which holds the seeds already.
        seed_std: sample standard deviation of the paired difference over seeds, zero where `unit_error` holds it.
        n_seeds: seeds of each method, those run or those planned.
    """
    error = math.sqrt(unit_error**2 + seed_std**2 / n_seeds)
    normal = NormalDist()
    return (normal.inv_cdf(1 - alpha / 2) + normal.inv_cdf(power)) * error
