"""How often forecasts walk through one another: pedestrians of a window, all at the same sample.

Tracks are densified by linear interpolation to four points a step. A pedestrian collides in a sample where its distance
to any other falls below 0.2 m at one of the points looked at. Samples count alike, whatever their probability.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from benchmarks.metric import Samples, Statistic, mean_of

RADIUS = 0.2
POINTS_PER_STEP = 4
PUBLISHED_POINTS = 14
PAIRS_AT_ONCE = 1 << 14
TRACKS_AT_ONCE = 1 << 12
# What keeps pruning exact: far above the rounding of single precision, far below anything that costs time.
MARGIN = 1e-3


def col(samples: Samples) -> Statistic:
    """COL as published: the first 14 points only, 0.4 s to 1.7 s ahead."""
    return mean_of(collision_rate(samples["forecast"], samples["group"], PUBLISHED_POINTS))


def col_whole_horizon(samples: Samples) -> Statistic:
    """COL over all points, from the first to the last predicted position."""
    return mean_of(collision_rate(samples["forecast"], samples["group"]))


def collision_rate(forecast: np.ndarray, group: np.ndarray, points: int | None = None) -> np.ndarray:
    """The share of samples in which each pedestrian collides, in percent: [N] of forecasts [N, S, T, 2].

    `group` [N] names the window of each pedestrian; `points` of the dense track are looked at (None: all of them). A
    pedestrian alone in its window scores 0, one whose own forecast is not finite NaN.
    """
    weights = _interpolation(forecast.shape[2], points)
    order = np.argsort(group, kind="stable")
    tracks = forecast[order, :, : weights.shape[1]]
    collides = np.zeros(tracks.shape[:2], dtype=bool)
    low, high = tracks.min(axis=2), tracks.max(axis=2)
    lowest, highest = low.min(axis=1), high.max(axis=1)
    for first, second in _pairs(group[order]):
        close = _near(lowest, highest, first, second)
        first, second = first[close], second[close]
        pair, sample = np.nonzero(_near(low, high, first, second))
        for start in range(0, len(pair), TRACKS_AT_ONCE):
            s = sample[start : start + TRACKS_AT_ONCE]
            a, b = (rows[pair[start : start + TRACKS_AT_ONCE]] for rows in (first, second))
            between = tracks[a, s].astype(np.float64) - tracks[b, s]
            # Interpolation is linear, so the distance of two dense tracks is that of their densified difference.
            x, y = between[..., 0] @ weights.T, between[..., 1] @ weights.T
            hit = (x * x + y * y).min(axis=1) < RADIUS**2
            collides[a[hit], s[hit]] = True
            collides[b[hit], s[hit]] = True
    rate = np.empty(len(group))
    rate[order] = np.where(np.isfinite(tracks).all(axis=(1, 2, 3)), 100 * collides.mean(axis=1), np.nan)
    return rate


def _interpolation(steps: int, points: int | None) -> np.ndarray:
    """[points, steps needed] weights that turn positions into the first points of the dense track."""
    every = POINTS_PER_STEP * (steps - 1) + 1
    position = np.arange(every if points is None else min(points, every)) / POINTS_PER_STEP
    return np.maximum(0.0, 1.0 - np.abs(position[:, None] - np.arange(int(np.ceil(position[-1])) + 1)))


def _pairs(group: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """All pairs of rows with the same entry of the sorted `group`, a bounded number at a time."""
    row = np.arange(len(group))
    partners = np.searchsorted(group, group, side="right") - row - 1
    ends = np.cumsum(partners)
    total = int(ends[-1]) if len(ends) else 0
    for start in range(0, total, PAIRS_AT_ONCE):
        pair = np.arange(start, min(start + PAIRS_AT_ONCE, total))
        first = np.searchsorted(ends, pair, side="right")
        yield first, first + 1 + pair - (ends - partners)[first]


def _near(low: np.ndarray, high: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Whether the boxes around two tracks are near enough for a collision; beyond that no dense track is needed."""
    gap = np.maximum(low[first] - high[second], low[second] - high[first])
    return (gap < RADIUS + MARGIN).all(axis=-1)
