"""The weighted F-measure of soft maps: errors count by where they are.

Margolin, Zelnik-Manor and Tal, How to Evaluate Foreground Maps?, CVPR 2014, with their constants and beta = 1.
"""

from __future__ import annotations

import numpy as np

WINDOW, SPREAD = 7, 5.0
"""Side and standard deviation in pixels of the window in which an error on an object is shared with its neighbours."""
HALF_WAY = 5.0
"""Pixels from an object at which a false alarm costs 1.5; it costs 1 beside it and 2 far away."""


def weighted_f(soft: np.ndarray, mask: np.ndarray) -> float:
    """F of probabilities [h, w] against a mask bool [h, w] that has objects, 1 for a perfect map.

    An error on an object is forgiven as far as its neighbourhood is right, in which a pixel beside the object is as wrong as
    the nearest pixel of the object. An error elsewhere weighs the more the further from any object it is.
    """
    from scipy.ndimage import convolve, distance_transform_edt

    error = np.abs(soft.astype(np.float64) - mask)
    distance, nearest = distance_transform_edt(~mask, return_indices=True)
    around = convolve(error[tuple(nearest)], _window(), mode="constant")
    on_objects = np.minimum(error, around)[mask]
    elsewhere = (error * (2 - 0.5 ** (distance / HALF_WAY)))[~mask]
    hits = mask.sum() - on_objects.sum()
    recall = 1 - on_objects.mean()
    precision = hits / (hits + elsewhere.sum()) if hits > 0 else 0.0
    return float(2 * precision * recall / (precision + recall)) if hits > 0 else 0.0


def _window() -> np.ndarray:
    """A Gaussian that sums to one, [WINDOW, WINDOW]."""
    line = np.exp(-((np.arange(WINDOW) - WINDOW // 2) ** 2) / (2 * SPREAD**2))
    window = np.outer(line, line)
    return window / window.sum()
