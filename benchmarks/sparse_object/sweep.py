"""Targets and false alarms at every threshold of a fixed grid: what is found at a tolerable rate of false alarms.

The thresholds do not depend on the samples, so that resampled images are swept as they were. They lie evenly between zero
and one, where maps of filters and solvers spread, and evenly in the logit, where those of trained networks do.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from benchmarks.metric import Samples, Statistic
from benchmarks.segmentation.pixels import in_field, seen
from benchmarks.sparse_object.targets import centroids, match

LOGITS = np.arange(-16, 17)
THRESHOLDS = np.unique(np.concatenate([np.arange(1, 40) / 40, 1 / (1 + np.exp(-LOGITS.astype(np.float64)))]))[::-1]
"""[k], falling; a pixel is detected where its probability is above."""


@dataclass(frozen=True)
class Sweep:
    """By threshold and image: targets found and pixels of false alarms [k, n]; targets and pixels that count [n]."""

    hits: np.ndarray
    false_pixels: np.ndarray
    targets: np.ndarray
    pixels: np.ndarray

    def rates(self, weights: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """Share of targets found and share of pixels that are false alarms [k]; NaN without any target."""
        weights = np.ones(len(self.targets)) if weights is None else weights
        targets = weights @ self.targets
        found = self.hits @ weights / targets if targets > 0 else np.full(len(self.hits), np.nan)
        return found, self.false_pixels @ weights / max(weights @ self.pixels, 1)


def found_within(samples: Samples, budget: float) -> Statistic:
    """Pd at a budget of Fa: the largest share of targets found, in percent, at a threshold that keeps to the budget.

    Matching is that of `pd` and `fa`; `budget` is a share of all pixels. A threshold above all is one of them, so that the
    worst value is zero: that of a network whose surest answers, which single precision does not part, hold too many alarms.
    """
    swept = sweep(samples)

    def value(weights: np.ndarray | None) -> float:
        found, alarms = swept.rates(weights)
        if not np.isfinite(found).all():
            return float("nan")
        # Both sides are quotients of whole numbers, and what is exactly the budget keeps to it.
        return float(100 * found.max(initial=0.0, where=alarms <= budget * (1 + 1e-9)))

    return Statistic(value, len(swept.targets), reason=None if swept.targets.any() else "no image has a target")


_LAST: dict[str, Sweep] = {}


def sweep(samples: Samples) -> Sweep:
    """The sweep of some samples; that of the last ones is remembered by their content, since every budget asks for it."""
    digest = hashlib.sha256()
    for name in ("probability", "mask", "field"):
        if name in samples:
            array = np.ascontiguousarray(samples[name])
            digest.update(f"{name} {array.dtype} {array.shape}".encode())
            digest.update(array.view(np.uint8).data)
    key = digest.hexdigest()
    if key not in _LAST:
        made = _sweep(in_field(samples))
        _LAST.clear()
        _LAST[key] = made
    return _LAST[key]


def _sweep(samples: Samples) -> Sweep:
    images = list(zip(samples["probability"], samples["mask"], strict=True))
    places = [centroids(mask.astype(bool)) for _, mask in images]
    rows = [list(_of_image(soft, place)) for (soft, _), place in zip(images, places, strict=True)]
    hits, false_pixels = np.array(rows, np.float64).reshape(len(rows), len(THRESHOLDS), 2).transpose(2, 1, 0)
    targets = np.array([len(place) for place in places], np.float64)
    return Sweep(hits, false_pixels, targets, seen(samples).astype(np.float64))


def _of_image(soft: np.ndarray, places: np.ndarray) -> Iterator[tuple[int, int]]:
    """Hits and false pixels at every threshold. Where a threshold adds no pixel, nothing has changed."""
    ordered = np.sort(soft, axis=None)
    counts = soft.size - np.searchsorted(ordered, THRESHOLDS.astype(soft.dtype), side="right")
    before, found = 0, (0, 0)
    for threshold, count in zip(THRESHOLDS.astype(soft.dtype), counts.tolist(), strict=True):
        if count != before:
            before, found = count, match(soft > threshold, places)
        yield found
