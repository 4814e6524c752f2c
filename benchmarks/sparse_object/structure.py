"""The structure measure of soft maps: do they show the objects' shape, beside their pixels?

Fan, Cheng, Liu, Li and Borji, Structure-Measure: A New Way to Evaluate Foreground Maps, ICCV 2017.
"""

from __future__ import annotations

import numpy as np

ALPHA = 0.5
"""Weight of the object part against the region part."""
EPSILON = np.finfo(np.float64).eps


def structure_measure(soft: np.ndarray, mask: np.ndarray) -> float:
    """S of a map [h, w] in [0, 1] against a mask bool [h, w], 1 for a perfect one.

    Without objects it is one minus the mean of the map; where all is object, the mean.
    """
    soft = soft.astype(np.float64)
    share = mask.mean()
    if share in (0, 1):
        return float(soft.mean() if share else 1 - soft.mean())
    value = ALPHA * _object(soft, mask, share) + (1 - ALPHA) * _region(soft, mask)
    return max(0.0, float(value))


def _object(soft: np.ndarray, mask: np.ndarray, share: float) -> float:
    """How bright and even the map is on objects, and how dark and even beside them."""
    return share * _evenness(soft[mask]) + (1 - share) * _evenness(1 - soft[~mask])


def _evenness(levels: np.ndarray) -> float:
    spread = levels.std(ddof=1) if len(levels) > 1 else 0.0
    return 2 * levels.mean() / (levels.mean() ** 2 + 1 + spread + EPSILON)


def _region(soft: np.ndarray, mask: np.ndarray) -> float:
    """Similarity of the four parts around the centroid of the mask, weighted by their area."""
    y, x = (int(np.round(places.mean())) + 1 for places in np.nonzero(mask))
    total = 0.0
    for rows in (slice(None, y), slice(y, None)):
        for columns in (slice(None, x), slice(x, None)):
            part = mask[rows, columns]
            if part.size:
                total += part.size / mask.size * _similarity(soft[rows, columns], part.astype(np.float64))
    return total


def _similarity(a: np.ndarray, b: np.ndarray) -> float:
    """Structural similarity of two maps, in one window that is all of them."""
    mean_a, mean_b = a.mean(), b.mean()
    less = max(a.size - 1, 1)
    var_a, var_b = ((a - mean_a) ** 2).sum() / less, ((b - mean_b) ** 2).sum() / less
    covariance = ((a - mean_a) * (b - mean_b)).sum() / less
    above, below = 4 * mean_a * mean_b * covariance, (mean_a**2 + mean_b**2) * (var_a + var_b)
    if above != 0:
        return above / (below + EPSILON)
    return 1.0 if below == 0 else 0.0
