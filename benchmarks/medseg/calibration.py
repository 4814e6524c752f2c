"""Temperature scaling: one number that makes a network's probabilities as sure as they are right. NumPy only.

Guo et al., On Calibration of Modern Neural Networks, ICML 2017: logits are divided by the temperature that makes the cross
entropy on validation least. Masks at one half stay as they are; what RankSEG decides on changes.
"""

from __future__ import annotations

import numpy as np

from benchmarks.medseg.classes import by_class

STEPS = 30
PIXELS = 200_000
"""Of validation, evenly spaced; one number needs no more."""
BOUNDS = (0.05, 20.0)
"""Of the temperature: where every pixel is told right, none is least."""
SMALLEST = 1e-6


def fit_temperature(probability: np.ndarray, mask: np.ndarray, field: np.ndarray | None = None) -> float:
    """The temperature of probabilities [n, h, w] or, by class, [n, k, h, w], given objects [n, h, w] (see `classes`).

    Only pixels inside of `field` count; 1 where there is none.
    """
    inside = np.ones(mask.shape, bool) if field is None else field.astype(bool)
    soft, hard = by_class(probability).transpose(0, 2, 3, 1)[inside], mask[inside]
    every = max(1, len(soft) // PIXELS)
    logit = _logits(soft[::every], 1)
    so = (hard[::every, None] == np.arange(1, soft.shape[1] + 1)).astype(np.float64)
    if not len(logit):
        return 1.0
    slope = 1.0  # 1 / temperature, in which the cross entropy is convex
    for _ in range(STEPS):
        said = _shares(slope * logit, 1)
        centre = (said * logit).sum(1)
        first = (centre - (so * logit).sum(1)).mean()
        second = ((said * logit**2).sum(1) - centre**2).mean()
        # At most a factor of two a step, so that a flat stretch does not throw it away.
        proposed = slope - first / max(second, 1e-12)
        slope = float(np.clip(np.clip(proposed, slope / 2, slope * 2), 1 / BOUNDS[1], 1 / BOUNDS[0]))
    return 1 / slope


def tempered(probability: np.ndarray, temperature: np.ndarray) -> np.ndarray:
    """Probabilities [n, h, w] or [n, k, h, w] at a temperature each, [n].

    Pixels that are sure, of an object or of none, remain; what is nearer to 0 or 1 than 1e-6 counts as that far.
    """
    soft = by_class(probability)
    divided = _shares(_logits(soft, 1) / temperature.astype(np.float64)[:, None, None, None], 1)
    sure = (soft.max(1, keepdims=True) >= 1) | (soft.sum(1, keepdims=True) <= 0)
    return np.where(sure, soft, divided).astype(np.float32).reshape(probability.shape)


def _logits(probability: np.ndarray, axis: int) -> np.ndarray:
    """Logarithms of how much likelier each class along `axis` is than the background."""
    soft = probability.astype(np.float64)
    objects = np.clip(soft.sum(axis, keepdims=True), SMALLEST, 1 - SMALLEST)
    return np.log(np.clip(soft, SMALLEST, 1 - SMALLEST)) - np.log1p(-objects)


def _shares(logits: np.ndarray, axis: int) -> np.ndarray:
    """The probabilities of these logits beside a background of logit 0."""
    highest = np.maximum(logits.max(axis, keepdims=True), 0)
    parts = np.exp(logits - highest)
    return parts / (parts.sum(axis, keepdims=True) + np.exp(-highest))
