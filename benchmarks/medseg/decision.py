"""RankSEG-RMA: the mask of highest expected overlap, in place of a threshold at one half. NumPy, without a sort.

Dai and Li, RankSEG: A Consistent Ranking-based Framework for Segmentation, JMLR 24, 2023, and its reciprocal moment
approximation: with pixels independent given their probabilities p, of which the top t sum to c and all to mu, the expected
Dice of these t is about 2 c / (mu + t + 1), and their IoU c / (mu - c + t). Probabilities should be calibrated.
"""

from __future__ import annotations

import numpy as np

BINS = 4096
PRUNING = 0.5
"""An image without any pixel above it is answered by silence."""
TARGETS = ("dice", "iou")


def rank_decision(
    probability: np.ndarray, target: str = "dice", bins: int = BINS, pruning: float = PRUNING
) -> np.ndarray:
    """Which pixels are objects, bool [n, h, w], given their probabilities [n, h, w] from 0 to 1.

    Pixels are counted in `bins` equal parts of [0, 1], so that an image costs one pass; its cut is that of the sorted form up
    to one bin. Sums are those of the probabilities themselves.
    """
    if target not in TARGETS:
        raise ValueError(f"target must be one of {TARGETS}, not {target}")
    n = len(probability)
    flat = probability.reshape(n, -1)
    place = np.minimum((flat * bins).astype(np.int64), bins - 1)
    inside = (place + bins * np.arange(n)[:, None]).ravel()
    counts = np.bincount(inside, minlength=n * bins).reshape(n, bins)[:, ::-1]
    sums = np.bincount(inside, flat.ravel().astype(np.float64), n * bins).reshape(n, bins)[:, ::-1]
    best = np.argmax(expected(np.cumsum(sums, 1), np.cumsum(counts, 1), sums.sum(1, keepdims=True), target), 1)
    cut = np.where(flat.max(1) > pruning, bins - 1 - best, bins)
    return (place >= cut[:, None]).reshape(probability.shape)


def expected(top: np.ndarray, taken: np.ndarray, total: np.ndarray, target: str) -> np.ndarray:
    """The approximate expected overlap of taking so many pixels whose probabilities sum to `top`; 0 for none of them."""
    below = (total + taken + 1) / 2 if target == "dice" else total - top + taken
    return np.where(taken > 0, top / np.maximum(below, np.finfo(np.float64).tiny), 0.0)
