"""Measures of soft maps: from their definitions pixel by pixel, against their package, and where they are known."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.sparse_object.alignment import enhanced_alignment
from benchmarks.sparse_object.metrics import METRICS
from benchmarks.sparse_object.weighted_f import weighted_f

BY_NAME = {metric.name: metric for metric in METRICS}


def example(seed: int, shape: tuple[int, int] = (24, 31)) -> tuple[np.ndarray, np.ndarray]:
    """A noisy map and a mask of two objects."""
    random = np.random.default_rng(seed)
    mask = np.zeros(shape, bool)
    mask[3:8, 4:9] = True
    mask[15:18, 12:22] = random.random((3, 10)) < 0.7
    return np.clip(0.5 * mask + random.normal(0.3, 0.2, shape), 0, 1), mask


def slow_alignment(soft: np.ndarray, mask: np.ndarray) -> float:
    """The definition: the matrix of every threshold, and its mean."""
    values = []
    for threshold in np.arange(256) / 255:
        ours, theirs = (part - part.mean() for part in ((soft >= threshold).astype(float), mask.astype(float)))
        aligned = 2 * ours * theirs / (ours**2 + theirs**2)
        values.append(((1 + aligned) ** 2 / 4).mean())
    return float(np.mean(values))


@pytest.mark.parametrize("seed", range(3))
def test_alignment_is_that_of_the_matrices_of_all_thresholds(seed: int) -> None:
    soft, mask = example(seed)
    assert enhanced_alignment(soft.ravel(), mask.ravel()) == pytest.approx(slow_alignment(soft, mask), abs=1e-12)


def test_alignment_has_the_perfect_the_silent_and_the_reversed_map_where_the_definition_puts_them() -> None:
    mask = example(0)[1].ravel()
    every = 1 / 4 / 256  # at the first threshold all is detected, and nothing aligned
    assert enhanced_alignment(mask.astype(float), mask) == pytest.approx(255 / 256 + every)
    assert enhanced_alignment(np.zeros(mask.size), mask) == pytest.approx(1 / 4)
    assert enhanced_alignment(1.0 - mask, mask) == pytest.approx(every)


def test_alignment_without_objects_is_the_share_left_alone_and_of_nothing_else_the_share_detected() -> None:
    soft = np.full(400, 100 / 255)
    soft[:100] = 0.0
    detected = (0.75 * 100 + 1) / 256  # at 100 thresholds three quarters, at the lowest all
    assert enhanced_alignment(soft, np.zeros(400, bool)) == pytest.approx(1 - detected)
    assert enhanced_alignment(soft, np.ones(400, bool)) == pytest.approx(detected)


def test_gray_levels_are_themselves_in_single_precision() -> None:
    mask = np.arange(256) >= 200
    levels = np.arange(256) / 255
    assert enhanced_alignment(levels.astype(np.float32), mask) == enhanced_alignment(levels, mask)


def slow_weighted(soft: np.ndarray, mask: np.ndarray) -> float:
    """The definition: errors by the nearest pixel of an object, a window pixel by pixel, weights by distance."""
    error, places = np.abs(soft - mask), np.argwhere(mask)
    apart = np.hypot(*(np.indices(mask.shape)[:, :, :, None] - places.T[:, None, None, :]))
    spread = error[tuple(places[apart.argmin(2)].transpose(2, 0, 1))]
    offsets = np.arange(-3, 4)
    window = np.exp(-(offsets[:, None] ** 2 + offsets**2) / (2 * 5.0**2))
    window /= window.sum()
    padded = np.pad(spread, 3)
    around = np.array(
        [[(window * padded[y : y + 7, x : x + 7]).sum() for x in range(mask.shape[1])] for y in range(mask.shape[0])]
    )
    forgiven = np.where(mask & (around < error), around, error)
    weight = np.where(mask, 1.0, 2 - np.exp(np.log(0.5) / 5 * apart.min(2)))
    final = forgiven * weight
    hits, alarms = mask.sum() - final[mask].sum(), final[~mask].sum()
    recall, precision = 1 - final[mask].mean(), hits / (hits + alarms)
    return float(2 * recall * precision / (recall + precision))


def test_weighted_f_is_that_of_its_definition() -> None:
    soft, mask = example(0)
    point = np.zeros_like(mask)
    point[11, 13] = True
    assert weighted_f(soft, point) == pytest.approx(slow_weighted(soft, point), abs=1e-12)
    soft[mask] = 0.8  # of pixels that are equally near, any has the same error
    assert weighted_f(soft, mask) == pytest.approx(slow_weighted(soft, mask), abs=1e-12)


def test_weighted_f_knows_the_extremes_and_minds_where_an_alarm_is() -> None:
    mask = np.zeros((40, 40), bool)
    mask[5:10, 5:10] = True
    assert weighted_f(mask.astype(float), mask) == pytest.approx(1)
    assert weighted_f(np.zeros(mask.shape), mask) == 0
    assert weighted_f(1.0 - mask, mask) == 0
    near, far = mask.astype(float), mask.astype(float)
    near[5:10, 10], far[30:35, 30] = 1, 1
    assert weighted_f(far, mask) < weighted_f(near, mask) < 1


def test_images_without_objects_are_left_out_of_weighted_f_and_not_of_alignment() -> None:
    soft, mask = example(1)
    samples = {"probability": np.stack([soft, soft]).astype(np.float32), "mask": np.stack([mask, mask & False])}
    found = BY_NAME["weighted_f"].statistic(samples)
    assert (found.n, found.dropped) == (1, 1)
    assert found.value(None) == pytest.approx(weighted_f(samples["probability"][0], mask))
    assert BY_NAME["e_measure"].statistic(samples).n == 2
    empty = {name: column[1:] for name, column in samples.items()}
    assert BY_NAME["weighted_f"].statistic(empty).reason


@pytest.mark.parametrize("seed", range(3))
def test_both_agree_with_their_package(seed: int) -> None:
    package = pytest.importorskip("py_sod_metrics", reason="pysodmetrics is not installed: no oracle")
    soft, mask = example(seed)
    measure, weighed = package.Emeasure(), package.WeightedFmeasure()
    for each in (measure, weighed):
        each.step(soft, mask, normalize=False)
    # The package divides by one pixel less than there are, so that a perfect map passes one.
    theirs = measure.get_results()["em"]["curve"].mean() * (mask.size - 1) / mask.size
    assert enhanced_alignment(soft.ravel(), mask.ravel()) == pytest.approx(theirs, abs=1e-9)
    assert weighted_f(soft, mask) == pytest.approx(weighed.get_results()["wfm"], abs=1e-9)
