"""The enhanced-alignment measure: do detections agree with the mask pixel by pixel, beyond what their shares would give?

Fan, Gong, Cao, Ren, Cheng and Borji, Enhanced-alignment Measure for Binary Foreground Map Evaluation, IJCAI 2018.
"""

from __future__ import annotations

import numpy as np

LEVELS = 256
"""Thresholds t / 255, from all pixels to those that are sure."""
ROUNDING = 1e-5
"""A gray level that came out of single precision is itself, not the one below."""


def enhanced_alignment(soft: np.ndarray, mask: np.ndarray) -> float:
    """E of probabilities [k] against a mask bool [k] of the same pixels, the mean over thresholds.

    The first of these detects every pixel of any map, so that even a perfect one has (255 + 1/4) / 256.
    Both are compared with their own means: the alignment of a pixel is 2 a b / (a^2 + b^2) of the two differences, and it
    enters as (1 + alignment)^2 / 4. A binary map has four kinds of pixels, so that their counts suffice. Without objects it
    is the share of pixels that are left alone; where all is object, of those detected.
    """
    pixels, objects = mask.size, int(mask.sum())
    level = np.floor((LEVELS - 1) * soft.astype(np.float64).clip(0, 1) + ROUNDING).astype(np.int64)
    hits, alarms = (_at_least(level[of]) for of in (mask, ~mask))
    share = (hits + alarms) / pixels
    if objects in (0, pixels):
        return float(share.mean() if objects else 1 - share.mean())
    total = np.zeros(LEVELS)
    kinds = ((1, 1, hits), (1, 0, alarms), (0, 1, objects - hits), (0, 0, pixels - objects - alarms))
    for detected, true, count in kinds:
        ours, theirs = detected - share, true - objects / pixels
        total += count * (1 + 2 * ours * theirs / (ours**2 + theirs**2)) ** 2 / 4
    return float(total.mean() / pixels)


def _at_least(level: np.ndarray) -> np.ndarray:
    """How many pixels have each level or a higher one, [LEVELS]."""
    return np.bincount(level, minlength=LEVELS)[::-1].cumsum()[::-1]
