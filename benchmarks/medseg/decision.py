"""RankSEG-RMA: the mask of highest expected overlap, in place of a threshold at one half. NumPy, without a sort.

Dai and Li, RankSEG: A Consistent Ranking-based Framework for Segmentation, JMLR 24, 2023, and its reciprocal moment
approximation: with pixels independent given their probabilities p, of which the top t sum to c and all to mu, the expected
Dice of these t is about 2 c / (mu + t + 1), and their IoU c / (mu - c + t). Probabilities should be calibrated.

Of several classes each is decided on alone, and a pixel that more than one claims goes to that which gains most by it (Wang and
Dai, RankSEG-RMA, NeurIPS 2025).
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


def exclusive_decision(
    probability: np.ndarray, target: str = "dice", bins: int = BINS, pruning: float = PRUNING
) -> np.ndarray:
    """Which pixels are objects of which class, bool [n, k, h, w] without overlap, given probabilities [n, k, h, w].

    A class keeps what it alone claims. Let these c pixels sum to m, and all pixels to mu: one more of probability p adds
    2 (m + p) / (mu + c + 2) - 2 m / (mu + c + 1) to its expected Dice, and by the same difference to its IoU. What no class
    claims is background.
    """
    n, classes, *shape = probability.shape
    claims = rank_decision(probability.reshape(n * classes, *shape), target, bins, pruning).reshape(probability.shape)
    alone = claims & (claims.sum(1, keepdims=True) == 1)
    soft = probability.astype(np.float64)
    total, kept, count = soft.sum((2, 3)), (soft * alone).sum((2, 3)), alone.sum((2, 3))
    image, *place = np.nonzero(claims.sum(1) > 1)
    more = soft.transpose(0, 2, 3, 1)[image, *place]
    gain = expected(kept[image] + more, count[image] + 1, total[image], target) - expected(
        kept[image], count[image], total[image], target
    )
    gain[~claims.transpose(0, 2, 3, 1)[image, *place]] = -np.inf
    alone[image, gain.argmax(1), *place] = True
    return alone


def expected(top: np.ndarray, taken: np.ndarray, total: np.ndarray, target: str) -> np.ndarray:
    """The approximate expected overlap of taking so many pixels whose probabilities sum to `top`; 0 for none of them."""
    below = (total + taken + 1) / 2 if target == "dice" else total - top + taken
    return np.where(taken > 0, top / np.maximum(below, np.finfo(np.float64).tiny), 0.0)
