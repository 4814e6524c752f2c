"""Which units of a test set does a solver answer worst? The primary metric on each unit alone."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from benchmarks.leaderboard.worst import Worst, WorstUnit
from benchmarks.metric import Metric, Samples

MOST = 8
"""Units that are named."""
MOST_UNITS = 100_000
"""Units up to which each is scored: the clicks of millions of users would take longer than the evaluation."""


def worst_units(metric: Metric, samples: Samples, unit: str) -> Worst:
    """The worst units of kept samples, each under each of its conditions, by a metric over its own samples.

    A pooled metric is pooled over the unit (the IoU of an image), a rank statistic ranks within it (the AUC of a user). Of
    units with equal values the one with more samples is worse, then the earlier one. A metric with direction `target` is
    worst far from its perfect value. Where the metric is defined on no unit alone, or there are too many, `reason` says so.
    """
    rows = list(_rows_of_units(samples))
    found: list[tuple[float, WorstUnit]] = []
    reason = None
    if len(rows) > MOST_UNITS:
        reason = f"there are {len(rows):,} {unit}, and up to {MOST_UNITS:,} are scored one by one"
    elif metric.direction == "target" and metric.perfect is None:
        reason = f"what {metric.name} aims at is not declared"
    else:
        for own in rows:
            chosen = {name: column[own] for name, column in samples.items()}
            value = metric.statistic(chosen).value(None)
            if math.isfinite(value):
                found.append((_badness(metric, value), _unit(chosen, value)))
        if not found:
            reason = f"{metric.name} is not defined on any of the {len(rows):,} {unit} alone"
    found.sort(key=lambda each: (-each[0], -each[1].samples))
    return Worst(
        metric=metric.name,
        metric_version=metric.version,
        direction=metric.direction,
        unit=unit,
        single="id" in samples and bool((samples["unit"].astype(str) == samples["id"].astype(str)).all()),
        measured=len(found),
        undefined=0 if len(rows) > MOST_UNITS else len(rows) - len(found),
        middle=float(np.median([each.value for _, each in found])) if found else None,
        worst=[each for _, each in found[:MOST]],
        reason=reason,
    )


def _rows_of_units(samples: Samples) -> Iterator[np.ndarray]:
    """The rows of each unit under each condition, in the order of their first rows."""
    group = np.unique(samples["unit"].astype(str), return_inverse=True)[1]
    if "condition" in samples:
        condition = np.unique(samples["condition"].astype(str), return_inverse=True)[1]
        group = group * (int(condition.max(initial=0)) + 1) + condition
    order = np.argsort(group, kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(group[order])) + 1) if len(order) else []
    return iter(sorted(parts, key=lambda rows: int(rows[0])))


def _badness(metric: Metric, value: float) -> float:
    if metric.direction == "target":
        return abs(value - (metric.perfect or 0.0))
    return value if metric.direction == "min" else -value


def _unit(samples: Samples, value: float) -> WorstUnit:
    return WorstUnit(
        name=str(samples["unit"][0]),
        condition=str(samples["condition"][0]) if "condition" in samples else None,
        samples=len(samples["unit"]),
        value=value,
    )
