"""Temperature scaling: one number that makes a network's probabilities as sure as they are right. NumPy only.

Guo et al., On Calibration of Modern Neural Networks, ICML 2017: logits are divided by the temperature that makes the cross
entropy on validation least. Masks at one half stay as they are; what RankSEG decides on changes.
"""

from __future__ import annotations

import numpy as np

STEPS = 30
PIXELS = 200_000
"""Of validation, evenly spaced; one number needs no more."""
BOUNDS = (0.05, 20.0)
"""Of the temperature: where every pixel is told right, none is least."""
SMALLEST = 1e-6


def fit_temperature(probability: np.ndarray, mask: np.ndarray, field: np.ndarray | None = None) -> float:
    """The temperature of probabilities and objects [n, h, w], inside of `field` alone; 1 where no pixel counts."""
    inside = np.ones(mask.shape, bool) if field is None else field.astype(bool)
    soft, hard = probability[inside], mask[inside]
    every = max(1, len(soft) // PIXELS)
    logit, so = _logit(soft[::every]), hard[::every].astype(np.float64)
    if not len(logit):
        return 1.0
    slope = 1.0  # 1 / temperature, in which the cross entropy is convex
    for _ in range(STEPS):
        said = 1 / (1 + np.exp(-slope * logit))
        first = ((said - so) * logit).mean()
        second = (said * (1 - said) * logit**2).mean()
        # At most a factor of two a step, so that a flat stretch does not throw it away.
        proposed = slope - first / max(second, 1e-12)
        slope = float(np.clip(np.clip(proposed, slope / 2, slope * 2), 1 / BOUNDS[1], 1 / BOUNDS[0]))
    return 1 / slope


def tempered(probability: np.ndarray, temperature: np.ndarray) -> np.ndarray:
    """Probabilities [n, h, w] at a temperature each, [n]; 0 and 1 remain, what is nearer to them than 1e-6 counts as that far."""
    divided = _logit(probability) / temperature.astype(np.float64)[:, None, None]
    sure = (probability <= 0) | (probability >= 1)
    return np.where(sure, probability, 1 / (1 + np.exp(-divided))).astype(np.float32)


def _logit(probability: np.ndarray) -> np.ndarray:
    bounded = np.clip(probability.astype(np.float64), SMALLEST, 1 - SMALLEST)
    return np.log(bounded) - np.log1p(-bounded)
