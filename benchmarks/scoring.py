"""Evaluation: a solver's answers to a split, kept by sample, and the metrics over them with their intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.leaderboard.record import Quality
from benchmarks.leaderboard.statistics.bootstrap import Resampler, interval
from benchmarks.metric import Metric, Samples

RESAMPLES = 1000


@dataclass(frozen=True)
class Evaluation:
    """Quality rows, and for every metric its bootstrap replicates with the digest of the resamples that made them."""

    quality: list[Quality]
    replicates: dict[str, np.ndarray]
    digest: str
    n_units: int


def score(metrics: Sequence[Metric], samples: Samples, split: str, unit: str) -> Evaluation:
    """All metrics over kept samples; the first is marked primary. No torch: this is also how a store is re-scored."""
    resampler = Resampler(samples["unit"], RESAMPLES)
    rows, replicates = [], {}
    for metric in metrics:
        statistic = metric.statistic(samples)
        value = statistic.value(None)
        defined = math.isfinite(value)
        low = high = None
        if defined and metric.intervals:
            replicates[metric.name] = resampler.replicates(statistic.value)
            low, high, _ = interval(replicates[metric.name])
        rows.append(
            Quality(
                metric=metric.name,
                metric_version=metric.version,
                split=split,
                value=value if defined else None,
                unit=metric.unit,
                direction=metric.direction,
                primary=metric is metrics[0],
                n=statistic.n,
                dropped=statistic.dropped,
                ci_low=low,
                ci_high=high,
                ci_kind=f"bootstrap-95 over {unit}, {resampler.n_units} of them" if low is not None else None,
                reason=None if defined else statistic.reason or f"{metric.name} is {value}",
            )
        )
    return Evaluation(rows, replicates, resampler.digest, resampler.n_units)


def write_replicates(folder: Path, evaluation: Evaluation) -> None:
    """replicates.npz: what the leaderboard needs for paired differences, without any target of the data."""
    arrays: dict[str, Any] = {name: values.astype(np.float32) for name, values in evaluation.replicates.items()}
    arrays |= {"digest": np.array(evaluation.digest), "n_units": np.array(evaluation.n_units)}
    np.savez_compressed(folder / "replicates.npz", **arrays)
