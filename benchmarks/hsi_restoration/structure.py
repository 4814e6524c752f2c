"""Structural similarity of two cubes, band by band (Wang et al., IEEE TIP 13, 2004)."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import uniform_filter

WINDOW = 7
K1, K2 = 0.01, 0.03


def structural_similarity(clean: np.ndarray, restored: np.ndarray) -> np.ndarray | None:
    """SSIM of the window around every pixel of [c, h, w] on a range from 0 to 1; NaN where it does not fit in the cube.

    Windows are uniform and covariances those of a sample, the defaults of scikit-image. None where no window fits.
    """
    reach = WINDOW // 2
    if min(clean.shape[1:]) < WINDOW:
        return None

    def mean(values: np.ndarray) -> np.ndarray:
        return uniform_filter(values, (0, WINDOW, WINDOW))

    sample = WINDOW**2 / (WINDOW**2 - 1)
    first, second = mean(clean), mean(restored)
    spread = sample * (mean(clean**2) - first**2 + mean(restored**2) - second**2)
    shared = sample * (mean(clean * restored) - first * second)
    found = (2 * first * second + K1**2) * (2 * shared + K2**2)
    found /= (first**2 + second**2 + K1**2) * (spread + K2**2)
    made = np.full(clean.shape, np.nan)
    inner = (slice(None), slice(reach, -reach), slice(reach, -reach))
    made[inner] = found[inner]
    return made
