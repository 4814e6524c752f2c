"""Metrics of masks: by brute force, by definition, and at their borders."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import label
from scipy.spatial.distance import cdist

from benchmarks.medseg.metrics import METRICS
from benchmarks.medseg.skeleton import cl_dice, skeleton
from benchmarks.medseg.surfaces import hausdorff95, outline


def values(probability: np.ndarray, mask: np.ndarray, **more: np.ndarray) -> dict[str, float]:
    samples = {
        "probability": probability.astype(np.float32),
        "mask": mask,
        "temperature": np.full(len(mask), 2.0),
        **more,
    }
    return {metric.name: metric.statistic(samples).value(None) for metric in METRICS}


def blobs(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Two unequal unions of discs, bool [40, 50]."""
    random, (y, x) = np.random.default_rng(seed), np.mgrid[:40, :50]
    made = []
    for _ in range(2):
        centres = zip(random.uniform(0, 40, 4), random.uniform(0, 50, 4), random.uniform(3, 9, 4), strict=True)
        made.append(np.any([(y - r) ** 2 + (x - c) ** 2 < size**2 for r, c, size in centres], axis=0))
    return made[0], made[1]


@pytest.mark.parametrize("seed", range(4))
def test_hausdorff_distance_is_that_of_all_pairs_of_outline_pixels(seed: int) -> None:
    one, two = blobs(seed)
    places = [np.argwhere(outline(mask)) for mask in (one, two)]
    apart = cdist(*places)
    expected = max(np.percentile(apart.min(axis), 95) for axis in (0, 1))
    assert hausdorff95(one, two) == hausdorff95(two, one) == pytest.approx(expected)
    assert hausdorff95(one, one) == 0


def test_the_outline_has_the_edge_of_the_image_and_corners_count_as_inside() -> None:
    drawn = outline(np.ones((5, 6), bool))
    assert drawn.sum() == 18
    assert not drawn[1:-1, 1:-1].any()
    notched = np.ones((7, 7), bool)
    notched[0, 0] = False
    assert not outline(notched)[1, 1]


def test_distances_of_empty_masks_are_stated_and_counted() -> None:
    mask = np.zeros((3, 30, 40), bool)
    mask[0, 5:9, 5:9] = True
    soft = np.zeros((3, 30, 40))
    soft[1, 2, 2] = 1
    assert [hausdorff95(p > 0.5, m) for p, m in zip(soft, mask, strict=True)] == [50, 50, 0]
    found = values(soft, mask)
    assert (found["hd95"], found["empty"]) == (pytest.approx(100 / 3), 2)
    assert found["dice"] == found["iou"] == found["cldice"] == pytest.approx(1 / 3)


def test_the_truth_is_perfect_and_floors_have_their_closed_form() -> None:
    mask = np.stack([blobs(seed)[0] for seed in range(3)])
    perfect = {metric.name: metric.perfect for metric in METRICS}
    assert values(mask, mask) == pytest.approx(perfect)
    share = mask.mean((1, 2))
    assert values(np.ones(mask.shape), mask)["dice"] == pytest.approx(np.mean(2 * share / (1 + share)))
    assert values(np.ones(mask.shape), mask)["iou"] == pytest.approx(share.mean())
    nothing = values(np.zeros(mask.shape), mask)
    assert (nothing["dice"], nothing["hd95"], nothing["empty"]) == (0, pytest.approx(np.hypot(40, 50)), 3)


def test_overlap_is_a_mean_of_images_and_not_of_pixels() -> None:
    mask = np.zeros((2, 10, 10), bool)
    mask[0, :5], mask[1, 0, :2] = True, True
    soft = mask.astype(float)
    soft[1, 0, 1] = 0
    assert values(soft, mask)["dice"] == pytest.approx((1 + 2 / 3) / 2)
    assert values(soft, mask)["iou"] == pytest.approx((1 + 1 / 2) / 2)


def test_outside_of_the_field_of_view_nothing_counts() -> None:
    one, two = blobs(0)
    field = np.zeros((40, 50), bool)
    field[5:30, 10:45] = True
    soft = np.where(one, 0.8, 0.1)
    whole = values(soft[None], two[None], field=field[None])
    cut = values(soft[None, 5:30, 10:45], two[None, 5:30, 10:45])
    assert whole == pytest.approx(cut, rel=1e-6)
    assert whole["dice"] != pytest.approx(values(soft[None], two[None])["dice"])


def test_calibration_error_is_the_gap_of_each_bin_weighted_by_its_pixels() -> None:
    mask = np.zeros((2, 10, 10), bool)
    mask[:, :3] = True
    assert values(np.full(mask.shape, 0.3), mask)["ece"] == pytest.approx(0, abs=1e-6)
    soft = np.where(mask, 0.9, 0.2)
    assert values(soft, mask)["ece"] == pytest.approx(0.3 * 0.1 + 0.7 * 0.2, abs=1e-6)


def test_a_skeleton_is_thin_lies_inside_and_has_the_parts_and_holes_of_its_mask() -> None:
    for seed in range(4):
        mask = blobs(seed)[0]
        thin = skeleton(mask)
        assert not (thin & ~mask).any()
        assert 0 < thin.sum() < 0.4 * mask.sum()
        assert label(thin, np.ones((3, 3)))[1] == label(mask, np.ones((3, 3)))[1]
        assert np.array_equal(skeleton(thin), thin)
    bar = np.zeros((9, 40), bool)
    bar[2:7, 3:37] = True
    assert set(np.nonzero(skeleton(bar))[0]) == {4}
    ring = np.pad(np.ones((15, 15), bool), 2)
    ring[7:12, 7:12] = False
    assert label(~skeleton(ring))[1] == 2


def test_cl_dice_sees_a_gap_that_dice_hardly_sees_and_no_thickness() -> None:
    truth = np.zeros((20, 60), bool)
    truth[8:11, 2:58] = True
    thick = np.zeros_like(truth)
    thick[7:12, 1:59] = True
    assert cl_dice(thick, truth) == pytest.approx(1, abs=0.05)
    half = truth.copy()
    half[:, 30:] = False
    assert cl_dice(half, truth) == pytest.approx(2 * 0.5 / 1.5, abs=0.03)
    assert cl_dice(truth, np.zeros_like(truth)) == 0
