"""A size-quality curve: quality at a stored size by interpolation, and the area under the curve over a range of sizes.

Sizes are on a logarithmic axis throughout: from a half to a quarter is as far as from a quarter to an eighth. Both figures
are then weighted sums of the runs that were measured, so what is true of a run is true of them: taken resample by resample
and seed by seed they have replicates of their own, and differences of them are paired.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from benchmarks.leaderboard.statistics.paired import RunScore

TOLERANCE = 0.05
"""Two sizes that differ by no more than this share count as equal: networks come in steps, and none is exactly as large
as was asked. So far beyond its ends a curve keeps the quality of the end."""


class SizePoint(NamedTuple):
    """One point of a curve: stored size (> 0, in any unit, for example as a share of the base), mean quality over seeds,
    and the runs by seed; None where one of them has no replicates."""

    size: float
    value: float
    scores: Mapping[int, RunScore] | None = None


class Weighted(NamedTuple):
    """A weighted sum of points: its value, and the runs of the seeds that all points with a weight have in common.

    `scores` is empty where no seed is common or replicates are missing; `reason` then says so.
    """

    value: float
    scores: Mapping[int, RunScore]
    reason: str | None = None


def covers(curve: Sequence[SizePoint], size: float) -> bool:
    """Whether a size lies between the smallest and the largest of a curve, `TOLERANCE` beyond them included."""
    sizes = [point.size for point in curve]
    return bool(sizes) and min(sizes) / (1 + TOLERANCE) <= size <= max(sizes) * (1 + TOLERANCE)


def at_size(curve: Sequence[SizePoint], size: float) -> Weighted | None:
    """The quality of a curve at a size, on the straight line between the two neighbouring points; None beyond its ends."""
    if not covers(curve, size):
        return None
    return _weighted(curve, interpolation_weights(np.array([point.size for point in curve]), np.array([size]))[0])


def area(curve: Sequence[SizePoint], low: float, high: float) -> Weighted | None:
    """The area under a curve from size `low` to `high`, divided by the range: its mean quality there.

    A trapezoid between neighbours, in units of the metric; each doubling of the size counts alike. None for a single point
    and where the curve does not reach both ends.
    """
    if not 0 < low < high:
        raise ValueError(f"An area needs a range of sizes, given: {low} to {high}.")
    if len(curve) < 2 or not (covers(curve, low) and covers(curve, high)):
        return None
    return _weighted(curve, area_weights(np.array([point.size for point in curve]), low, high))


def interpolation_weights(sizes: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Weights [wanted, sizes] of points of `sizes` (any order) in the qualities at `wanted` sizes; rows sum to one.

    Beyond the ends the end has all the weight. Of points of equal size one counts.
    """
    order = np.argsort(sizes, kind="stable")
    places, at = np.log(sizes[order]), np.log(wanted)
    weights = np.zeros((len(at), len(places)))
    left = np.clip(np.searchsorted(places, at, side="right") - 1, 0, max(0, len(places) - 2))
    right = np.minimum(left + 1, len(places) - 1)
    width = places[right] - places[left]
    share = np.clip(np.divide(at - places[left], width, out=np.zeros(len(at)), where=width > 0), 0, 1)
    rows = np.arange(len(at))
    np.add.at(weights, (rows, order[left]), 1 - share)
    np.add.at(weights, (rows, order[right]), share)
    return weights


def area_weights(sizes: np.ndarray, low: float, high: float) -> np.ndarray:
    """Weights [sizes] of points in the mean quality from `low` to `high`; they sum to one."""
    inside = np.unique(sizes[(sizes > low) & (sizes < high)])
    knots = np.concatenate(([low], inside, [high]))
    steps = np.diff(np.log(knots))
    trapezoid = np.zeros(len(knots))
    trapezoid[:-1] += steps / 2
    trapezoid[1:] += steps / 2
    return trapezoid @ interpolation_weights(sizes, knots) / math.log(high / low)


def _weighted(curve: Sequence[SizePoint], weights: np.ndarray) -> Weighted:
    terms = [(float(weight), point) for weight, point in zip(weights, curve, strict=True) if weight > 1e-9]
    value = sum(weight * point.value for weight, point in terms)
    runs = [(weight, point.scores) for weight, point in terms if point.scores]
    if len(runs) < len(terms):
        return Weighted(value, {}, "no replicates are stored")
    if len({score.digest for _, scores in runs for score in scores.values()}) > 1:
        return Weighted(value, {}, "the runs drew different resamples of their test sets")
    common = sorted(set.intersection(*(set(scores) for _, scores in runs)))
    if not common:
        return Weighted(value, {}, "no seed is common to the points of the curve")
    return Weighted(value, {seed: _sum([(weight, scores[seed]) for weight, scores in runs]) for seed in common})


def _sum(terms: Sequence[tuple[float, RunScore]]) -> RunScore:
    first = terms[0][1]
    return RunScore(
        sum(weight * score.value for weight, score in terms),
        np.sum([weight * score.replicates for weight, score in terms], axis=0),
        first.digest,
        min(score.n_units for _, score in terms),
    )
