"""Evaluation: a solver's answers to a split, kept by sample, and the metrics over them with their intervals."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.leaderboard.operating import OPERATING, OperatingCurve
from benchmarks.leaderboard.record import Quality
from benchmarks.leaderboard.replicates import replicates_name
from benchmarks.leaderboard.statistics.bootstrap import DEFAULT_SEED, Resampler, expanded, interval
from benchmarks.leaderboard.worst import WORST, Worst
from benchmarks.metric import Metric, Operating, Samples
from benchmarks.worst_units import worst_units

RESAMPLES = 1000
MANY_UNITS, FEW_RESAMPLES = 500_000, 200
"""Above so many units each resample takes a good part of a second, and the interval is so narrow that fewer tell it."""


@dataclass(frozen=True)
class Evaluation:
    """Quality rows, and bootstrap replicates by name (see `replicates_name`): of every metric over all conditions, and of
    the primary one under each. `digest` names the resamples that made them. `worst` names the units with the worst answers,
    and `curves` show all samples at other thresholds."""

    quality: list[Quality]
    replicates: dict[str, np.ndarray]
    digest: str
    n_units: int
    worst: Worst
    curves: list[OperatingCurve] = field(default_factory=list)


@dataclass(frozen=True)
class _Part:
    """What every metric says under one condition (None: over all): value, samples in and out, reason, replicates."""

    condition: str | None
    values: list[float]
    counts: list[tuple[int, int]]
    reasons: list[str | None]
    replicates: list[np.ndarray | None]
    n_units: int
    digest: str
    n_samples: int


def score(
    metrics: Sequence[Metric], samples: Samples, split: str, unit: str, curves: Sequence[Operating] = ()
) -> Evaluation:
    """All metrics and operating curves over kept samples; the first metric is marked primary. No torch: this is also how a
    store is re-scored.

    Where samples have a `condition`, each condition has its rows, and the row over all conditions is their plain mean, so
    that a condition with many samples does not hide the others. Units are resampled within conditions; conditions on
    the same units draw the same ones.
    """
    # The bootstrap is thousands of short sums, which two threads finish later than one, and far later on a busy machine.
    with threadpool_limits(1, "blas"):
        found = _evaluation(metrics, _parts(metrics, samples), split, unit, worst_units(metrics[0], samples, unit))
        return replace(found, curves=[_curve(each, samples) for each in curves])


def _curve(operating: Operating, samples: Samples) -> OperatingCurve:
    """A curve with four digits a figure, which is more than can be seen."""
    rows = np.asarray(operating.points(samples), np.float64)
    points = [(float(f"{t:.9g}"), float(f"{x:.4g}"), float(f"{y:.4g}")) for t, x, y in rows[np.isfinite(rows).all(1)]]
    return OperatingCurve(
        name=operating.name, x=operating.x, y=operating.y, logarithmic=operating.logarithmic, most=operating.most,
        chosen=operating.chosen, points=points,
    )  # fmt: skip


def _parts(metrics: Sequence[Metric], samples: Samples) -> list[_Part]:
    """All samples, or their mean over conditions and then each condition."""
    if "condition" not in samples:
        return [_part(metrics, samples, None, _resampler(samples["unit"]))]
    parts = []
    for name in dict.fromkeys(samples["condition"].tolist()):
        rows = samples["condition"] == name
        chosen = {key: column[rows] for key, column in samples.items()}
        chosen |= _beside(metrics, samples, chosen)
        resampler = _resampler(chosen["unit"], _seed_of(chosen["unit"]))
        parts.append(_part(metrics, chosen, str(name), resampler))
    return [_mean(metrics, parts), *parts]


def _beside(metrics: Sequence[Metric], samples: Samples, chosen: Samples) -> dict[str, np.ndarray]:
    """The samples that a condition is compared with, where a metric asks for them and they are of the same units in order."""
    found: dict[str, np.ndarray] = {}
    for name in {metric.against for metric in metrics} - {None}:
        rows = samples["condition"] == name
        if np.array_equal(samples["unit"][rows], chosen["unit"]):
            found |= {f"against/{key}": column[rows] for key, column in samples.items()}
    return found


def write_evaluation(folder: Path, evaluation: Evaluation) -> None:
    """replicates.npz, what the leaderboard needs for paired differences, without any target of the data; worst.json; and
    operating.json, where there are curves."""
    arrays: dict[str, Any] = {name: values.astype(np.float32) for name, values in evaluation.replicates.items()}
    arrays |= {"digest": np.array(evaluation.digest), "n_units": np.array(evaluation.n_units)}
    np.savez_compressed(folder / "replicates.npz", **arrays)
    (folder / WORST).write_bytes(msgspec.json.format(msgspec.json.encode(evaluation.worst), indent=1) + b"\n")
    if evaluation.curves:
        (folder / OPERATING).write_bytes(msgspec.json.encode(evaluation.curves) + b"\n")


def _resampler(units: np.ndarray, seed: int = DEFAULT_SEED) -> Resampler:
    resampler = Resampler(units, RESAMPLES, seed)
    if resampler.n_units > MANY_UNITS:
        resampler.resamples = FEW_RESAMPLES
    return resampler


def _seed_of(units: np.ndarray) -> int:
    """Independent draws for different sets of units, the same draws for the same set."""
    names = "\n".join(np.unique(units.astype(str)))
    return DEFAULT_SEED + int(hashlib.sha256(names.encode()).hexdigest()[:12], 16)


def _part(metrics: Sequence[Metric], samples: Samples, condition: str | None, resampler: Resampler) -> _Part:
    statistics = [metric.statistic(samples) for metric in metrics]
    values = [statistic.value(None) for statistic in statistics]
    wanted = [metric.intervals and math.isfinite(value) for metric, value in zip(metrics, values, strict=True)]
    drawn = resampler.replicates_of([s.value for s, want in zip(statistics, wanted, strict=True) if want])
    found = iter(drawn)
    return _Part(
        condition,
        values,
        [(statistic.n, statistic.dropped) for statistic in statistics],
        [statistic.reason for statistic in statistics],
        [next(found) if want else None for want in wanted],
        resampler.n_units,
        resampler.digest,
        len(samples["unit"]),
    )


def _mean(metrics: Sequence[Metric], parts: Sequence[_Part]) -> _Part:
    """The plain mean over conditions, without that which a metric compares them with; undefined where one of them is."""
    values, replicates, counts, reasons = [], [], [], []
    for i, metric in enumerate(metrics):
        own = [part for part in parts if metric.against is None or part.condition != metric.against]
        drawn = [found for part in own if (found := part.replicates[i]) is not None]
        values.append(float(np.mean([part.values[i] for part in own])) if own else float("nan"))
        replicates.append(np.mean(drawn, axis=0) if own and len(drawn) == len(own) else None)
        counts.append((sum(part.counts[i][0] for part in own), sum(part.counts[i][1] for part in own)))
        reasons.append(next((f"{part.condition}: {part.reasons[i]}" for part in own if part.reasons[i]), None))
    return _Part(
        None,
        values,
        counts,
        reasons,
        replicates,
        sum({part.digest: part.n_units for part in parts}.values()),  # conditions on the same units draw the same ones
        hashlib.sha256("".join(part.digest for part in parts).encode()).hexdigest(),
        sum(part.n_samples for part in parts),
    )


def _evaluation(metrics: Sequence[Metric], parts: Sequence[_Part], split: str, unit: str, worst: Worst) -> Evaluation:
    rows, kept = [], {}
    for part in parts:
        for index, metric in enumerate(metrics):
            value, replicates = part.values[index], part.replicates[index]
            low = high = None
            if replicates is not None:
                low, high, _ = interval(expanded(replicates, part.n_units)).within(metric.bounds)
                if part.condition is None or index == 0:
                    kept[replicates_name(metric.name, part.condition)] = replicates
            defined = math.isfinite(value)
            over = unit if part.n_units < part.n_samples else "samples"
            n, dropped = part.counts[index]
            rows.append(
                Quality(
                    metric=metric.name,
                    metric_version=metric.version,
                    split=split,
                    value=value if defined else None,
                    unit=metric.unit,
                    direction=metric.direction,
                    primary=index == 0,
                    condition=part.condition,
                    n=n,
                    dropped=dropped,
                    ci_low=low,
                    ci_high=high,
                    ci_kind=f"bootstrap-95 over {over}, {part.n_units} of them" if low is not None else None,
                    reason=None if defined else part.reasons[index] or f"{metric.name} is {value}",
                    bounds=metric.bounds,
                    perfect=metric.perfect,
                )
            )
    return Evaluation(rows, kept, parts[0].digest, parts[0].n_units, worst)
