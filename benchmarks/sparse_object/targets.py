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
    _targets, places = _components(mask)
    detections, seen = _components(detected)
    taken: list[int] = []
    for place in places:
        near = np.linalg.norm(seen - place, axis=1) < distance
        free = [index for index in np.flatnonzero(near).tolist() if index not in taken]
        taken += free[:1]
    areas = np.bincount(detections.ravel(), minlength=len(seen) + 1)[1:]
    return Found(len(places), len(taken), int(areas.sum() - areas[taken].sum()))


def by_overlap(detected: np.ndarray, mask: np.ndarray) -> Found:
    """Targets of which a detection covers any pixel; false alarms are all pixels outside of targets."""
    targets, places = _components(mask)
    hit = np.unique(targets[detected & mask])
    return Found(len(places), len(hit), int((detected & ~mask).sum()))


def _components(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of components [h, w], 0 for none, and their centroids [k, 2], in the order of their first pixels."""
    from scipy.ndimage import center_of_mass, label

    numbers, count = label(mask, NEIGHBOURS)
    places = center_of_mass(mask, numbers, range(1, count + 1)) if count else []
    return numbers, np.array(places, np.float64).reshape(count, 2)
