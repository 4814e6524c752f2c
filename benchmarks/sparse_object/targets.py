"""Objects as connected components: which of them were found, and how many pixels belong to none."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

DISTANCE = 3.0
"""Pixels between centroids below which a detection counts for a target."""
NEIGHBOURS = np.ones((3, 3), np.int64)
"""Eight of them."""


class Found(NamedTuple):
    """What an image holds: targets, those that were found, and pixels of false alarms."""

    targets: int
    hits: int
    false_pixels: int


def by_centroid(detected: np.ndarray, mask: np.ndarray, distance: float = DISTANCE) -> Found:
    """Targets with a detection whose centroid is less than `distance` away; [h, w] bool both.

    Components are 8-connected. Each target, in the order of its first pixel, takes the first detection of those not taken
    yet. Pixels of detections that nothing took are false alarms, however much they overlap (Li et al., Dense Nested
    Attention Network for Infrared Small Target Detection, TIP 2023, as their evaluation is used since).
    """
    places = centroids(mask)
    return Found(len(places), *match(detected, places, distance))


def match(detected: np.ndarray, places: np.ndarray, distance: float = DISTANCE) -> tuple[int, int]:
    """How many targets at `places` [k, 2] take a detection, and how many pixels belong to detections that none took."""
    numbers, count = _numbered(detected)
    seen, areas = _centroids(numbers, count)
    taken: list[int] = []
    for place in places:
        near = np.linalg.norm(seen - place, axis=1) < distance
        free = [index for index in np.flatnonzero(near).tolist() if index not in taken]
        taken += free[:1]
    return len(taken), int(areas.sum() - areas[taken].sum())


def by_overlap(detected: np.ndarray, mask: np.ndarray) -> Found:
    """Targets of which a detection covers any pixel; false alarms are all pixels outside of targets."""
    targets, count = _numbered(mask)
    hit = np.unique(targets[detected & mask])
    return Found(count, len(hit), int((detected & ~mask).sum()))


def centroids(mask: np.ndarray) -> np.ndarray:
    """The centroids [k, 2] of 8-connected components, in the order of their first pixels."""
    return _centroids(*_numbered(mask))[0]


def _numbered(mask: np.ndarray) -> tuple[np.ndarray, int]:
    """Numbers of components [h, w], 0 for none, in the order of their first pixels, and how many there are."""
    from scipy.ndimage import label

    return label(mask, NEIGHBOURS)


def _centroids(numbers: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Centroids [k, 2] and areas [k] of numbered components; only their own pixels are looked at, which are few."""
    rows, columns = np.nonzero(numbers)
    own = numbers[rows, columns]
    areas = np.bincount(own, minlength=count + 1)[1:]
    sums = np.stack([np.bincount(own, weights, count + 1)[1:] for weights in (rows, columns)], axis=1)
    return sums / areas[:, None], areas
