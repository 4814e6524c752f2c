"""RankSEG-RMA: near the best of all masks, and the histogram within a bin of the sort."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from benchmarks.medseg.decision import BINS, TARGETS, rank_decision


def by_sorting(probability: np.ndarray, target: str) -> tuple[int, np.ndarray]:
    """How many pixels the sorted form takes, and the scores of taking 1, 2, ... of them."""
    ranked = np.sort(probability.ravel().astype(np.float64))[::-1]
    top, taken, total = np.cumsum(ranked), np.arange(1, ranked.size + 1), ranked.sum()
    scores = 2 * top / (total + taken + 1) if target == "dice" else top / (total - top + taken)
    return int(np.argmax(scores)) + 1, scores


def expected_overlap(p: np.ndarray, chosen: np.ndarray, target: str) -> float:
    """The exact mean over all 2^n truths of independent pixels; nothing chosen of nothing there counts 1."""
    mean = 0.0
    for truth in itertools.product((0, 1), repeat=len(p)):
        so = np.array(truth, bool)
        shared, union = (so & chosen).sum(), (so | chosen).sum()
        value = 1.0 if not union else (2 * shared / (so.sum() + chosen.sum()) if target == "dice" else shared / union)
        mean += np.prod(np.where(so, p, 1 - p)) * value
    return mean


@pytest.mark.parametrize("target", TARGETS)
def test_small_images_are_answered_nearly_as_well_as_by_the_best_of_all_masks(target: str) -> None:
    random, exact = np.random.default_rng(0), 0
    for _ in range(10):
        p = random.beta(0.7, 0.7, 7)
        p[0] = 0.9
        found = rank_decision(p.reshape(1, 1, 7), target)[0, 0]
        every = [np.array(mask, bool) for mask in itertools.product((0, 1), repeat=7)]
        best = max(expected_overlap(p, mask, target) for mask in every)
        gap = best - expected_overlap(p, found, target)
        exact += gap < 1e-12
        assert gap < 0.01
    assert exact >= 6


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("shape", [(0.3, 0.3), (2.0, 5.0), (0.2, 2.0)])
def test_the_histogram_cuts_within_a_bin_of_the_sort(target: str, shape: tuple[float, float]) -> None:
    images = np.random.default_rng(1).beta(*shape, (4, 60, 70)).astype(np.float32)
    for image, mask in zip(images, rank_decision(images, target), strict=True):
        count, scores = by_sorting(image, target)
        ranked = np.sort(image.ravel())[::-1]
        assert image[mask].min() == ranked[mask.sum() - 1]
        assert abs(ranked[mask.sum() - 1] - ranked[count - 1]) <= 1 / BINS + 1e-6
        assert scores[mask.sum() - 1] > scores[count - 1] - 1e-4


def test_images_of_a_batch_are_decided_on_apart_and_silence_is_kept() -> None:
    random = np.random.default_rng(2)
    images = np.stack([random.random((9, 9)), 0.4 * random.random((9, 9)), np.zeros((9, 9)), np.ones((9, 9))])
    whole = rank_decision(images)
    assert np.array_equal(whole, np.concatenate([rank_decision(image[None]) for image in images]))
    assert whole[0].any()
    assert not whole[1:3].any()
    assert whole[3].all()
    assert rank_decision(images, pruning=0.1)[1].any()


def test_fewer_sure_pixels_are_answered_by_a_lower_cut_than_one_half() -> None:
    image = np.full((1, 10, 10), 0.05)
    image[0, 0, :4], image[0, 1, :6] = 0.6, 0.4
    assert rank_decision(image)[0, :2].sum() == 10
    with pytest.raises(ValueError, match="target must be one of"):
        rank_decision(image, "f1")
