"""Centre lines of masks, by which thin and thick vessels count alike."""

from __future__ import annotations

import numpy as np

RING = ((0, 1), (0, 2), (1, 2), (2, 2), (2, 1), (2, 0), (1, 0), (0, 0))
"""Neighbours of the middle of 3 x 3 pixels, clockwise from the north."""


def skeleton(mask: np.ndarray) -> np.ndarray:
    """The lines of one pixel's width in the middle of a mask bool [h, w], with its branches and holes.

    Guo and Hall, Parallel thinning with two-subiteration algorithms, CACM 32(3), 1989, whose first form keeps a square of 2 x 2
    pixels, which Zhang and Suen's lets vanish.
    """
    thin = mask.astype(bool)
    changed = True
    while changed:
        changed = False
        for step in (0, 1):
            gone = _removable(thin, step)
            changed |= bool(gone.any())
            thin = thin & ~gone
    return thin


def cl_dice(detected: np.ndarray, mask: np.ndarray) -> float:
    """clDice of two masks bool [h, w]: the harmonic mean of how much of either centre line lies in the other mask.

    Shit et al., clDice, a Novel Topology-Preserving Loss Function for Tubular Structure Segmentation, CVPR 2021. Two empty
    masks count 1, an empty and another one 0.
    """
    if not detected.any() or not mask.any():
        return float(detected.any() == mask.any())
    ours, theirs = skeleton(detected), skeleton(mask)
    precision, recall = mask[ours].mean(), detected[theirs].mean()
    return float(2 * precision * recall / (precision + recall)) if precision + recall else 0.0


def _removable(thin: np.ndarray, step: int) -> np.ndarray:
    """Pixels of the outline, in the north and east (step 0) or south and west (step 1), whose loss breaks no line."""
    height, width = thin.shape
    around = np.pad(thin, 1)
    n, ne, e, se, s, sw, w, nw = (around[row : row + height, column : column + width] for row, column in RING)
    crossings = sum(
        (~side & (corner | after)).astype(int)
        for side, corner, after in ((n, ne, e), (e, se, s), (s, sw, w), (w, nw, n))
    )
    pairs = (nw | n, ne | e, se | s, sw | w), (n | ne, e | se, s | sw, w | nw)
    neighbours = np.minimum(*(sum(part.astype(int) for part in pair) for pair in pairs))
    kept = ((s | sw | ~nw) & w) if step == 0 else ((n | ne | ~se) & e)
    return thin & (crossings == 1) & (neighbours >= 2) & (neighbours <= 3) & ~kept
