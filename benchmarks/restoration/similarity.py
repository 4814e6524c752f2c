"""Structural similarity of two images (Wang et al., IEEE TIP 13, 2004) by Gaussian windows, flat or across colours."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.ndimage import correlate1d

WINDOW, SIGMA = 11, 1.5
PEAK = 255.0
C1, C2 = (0.01 * PEAK) ** 2, (0.03 * PEAK) ** 2


def gaussian() -> np.ndarray:
    """The window along one axis, of sum 1, [11]."""
    weights = np.exp(-((np.arange(WINDOW) - WINDOW // 2) ** 2) / (2 * SIGMA**2))
    return weights / weights.sum()


def similarity(first: np.ndarray, second: np.ndarray) -> float:
    """SSIM of levels 0 to 255, [h, w] or [h, w, c]: the mean over windows that lie within the image, then over channels.

    Weights are those of a population, as in the authors' MATLAB code, BasicSR and KAIR; an image of fewer than 11 pixels a side
    has no window, and NaN.
    """
    if min(first.shape[:2]) < WINDOW:
        return float("nan")
    reach = WINDOW // 2
    return float(_of_windows(first, second, (0, 1))[reach:-reach, reach:-reach].mean())


def volume_similarity(first: np.ndarray, second: np.ndarray) -> float:
    """SSIM of [h, w, 3] as NAFNet's code has it: windows of 11 x 11 x 11, the colours being the third axis, edges repeated.

    A window of 11 mixes all three colours several times over, so that its values are far above those of `similarity`.
    """
    return float(_of_windows(first, second, (0, 1, 2)).mean())


def _of_windows(first: np.ndarray, second: np.ndarray, axes: Sequence[int]) -> np.ndarray:
    """SSIM of the window around every pixel; beyond the image its edges are repeated."""
    x, y = first.astype(np.float64), second.astype(np.float64)
    mean_x, mean_y = _smooth(x, axes), _smooth(y, axes)
    spread = _smooth(x * x, axes) - mean_x**2 + _smooth(y * y, axes) - mean_y**2
    shared = _smooth(x * y, axes) - mean_x * mean_y
    found = (2 * mean_x * mean_y + C1) * (2 * shared + C2)
    return found / ((mean_x**2 + mean_y**2 + C1) * (spread + C2))


def _smooth(image: np.ndarray, axes: Sequence[int]) -> np.ndarray:
    for axis in axes:
        image = correlate1d(image, gaussian(), axis, mode="nearest")
    return image
