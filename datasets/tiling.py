"""Where tiles of an image begin that is larger than one, and how much each of them counts where they overlap."""

from __future__ import annotations

import numpy as np


def tile_starts(size: int, side: int, step: int) -> list[int]:
    """Along an axis of `size` pixels: `step` apart, the last one at the end; one tile where all fits into it."""
    return [*range(0, max(0, size - side), step), max(0, size - side)]


def tile_weights(start: int, side: int, size: int, overlap: int, margin: int = 0) -> np.ndarray:
    """Of the pixels along one axis of a tile at `start` of an image of `size`, float32 [side].

    Towards other tiles the weight falls as a squared cosine over `overlap` pixels, so that the weights of two add up to one;
    of these pixels the outermost `margin`, where a network sees what is beyond the tile as an edge, count nothing.
    """
    place = np.arange(side, dtype=np.float32) + np.float32(0.5) - margin
    ramp = np.sin(np.pi / 2 * (place / max(1, overlap - 2 * margin)).clip(0, 1)) ** 2
    ramp[min(overlap, side) :] = 1
    made = np.ones(side, np.float32)
    if start > 0:
        made *= ramp
    if start + side < size:
        made *= ramp[::-1]
    return made
