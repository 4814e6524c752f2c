"""Metrics of sparse objects: by hand, against scikit-learn and slow renderings, and the traps of the field."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score, jaccard_score, precision_score, recall_score, roc_auc_score

from benchmarks.scoring import score
from benchmarks.sparse_object.metrics import METRICS
from benchmarks.sparse_object.structure import structure_measure
from benchmarks.sparse_object.targets import by_centroid, by_overlap

BY_NAME = {metric.name: metric for metric in METRICS}
STRICT = [metric.name for metric in METRICS if not metric.name.startswith("upstream_")]


def values(probability: np.ndarray, mask: np.ndarray) -> dict[str, float]:
    samples = {"probability": probability.astype(np.float32), "mask": mask.astype(bool)}
    return {metric.name: metric.statistic(samples).value(None) for metric in METRICS}


def blank(*blobs: tuple[int, int, int, int], size: int = 24) -> np.ndarray:
    """An image with rectangles (top, left, height, width) set to one."""
    image = np.zeros((size, size))
    for top, left, height, width in blobs:
        image[top : top + height, left : left + width] = 1
    return image


def noisy(images: int = 6, size: int = 17) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    mask = random.random((images, size, size)) < 0.1
    return np.clip(0.35 * mask + random.normal(0.3, 0.2, mask.shape), 0, 1), mask


def test_pooled_figures_agree_with_scikit_learn() -> None:
    probability, mask = noisy()
    found = values(probability, mask)
    flat, hard = mask.ravel(), probability.astype(np.float32).ravel() > 0.5
    expected = {
        "iou": jaccard_score(flat, hard),
        "f1": f1_score(flat, hard),
        "precision": precision_score(flat, hard),
        "recall": recall_score(flat, hard),
        "specificity": recall_score(~flat, ~hard),
        "niou": np.mean([jaccard_score(m.ravel(), p.ravel() > 0.5) for p, m in zip(probability, mask, strict=True)]),
        "auc": np.mean([roc_auc_score(m.ravel(), p.ravel()) for p, m in zip(probability, mask, strict=True)]),
        "mae": np.abs(probability - mask).mean(),
    }
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, abs=1e-6), name
    assert found["tp_px"] + found["fn_px"] == mask.sum()


def test_the_authors_tables_of_vessels_are_means_of_images_and_their_spe_is_precision() -> None:
    probability, mask = noisy()
    found = values(probability, mask)
    pairs = [(m.ravel(), p.astype(np.float32).ravel()) for p, m in zip(probability, mask, strict=True)]
    judges = {"acc": accuracy_score, "sen": recall_score, "spe": precision_score, "f1": f1_score, "iou": jaccard_score}
    for name, judge in judges.items():
        expected = np.mean([judge(truth, soft > 0.5) for truth, soft in pairs])
        assert found[f"upstream_mean_{name}"] == pytest.approx(expected), name
    assert found["upstream_mean_auc"] == pytest.approx(np.mean([roc_auc_score(*pair) for pair in pairs]))
    assert found["accuracy"] == pytest.approx(np.mean([accuracy_score(truth, soft > 0.5) for truth, soft in pairs]))
    assert found["specificity"] > found["upstream_mean_spe"] + 0.2


def test_outside_of_the_field_of_view_nothing_counts_but_in_the_upstream_set() -> None:
    probability, mask = noisy()
    field = np.zeros(mask.shape, bool)
    field[:, 2:15, 3:] = True
    samples = {"probability": probability.astype(np.float32), "mask": mask, "field": field}
    strict = {metric.name: metric.statistic(samples).value(None) for metric in METRICS}
    cut = values(probability[:, 2:15, 3:], mask[:, 2:15, 3:])
    for name in STRICT:
        if name not in ("s_measure", "weighted_f"):  # they weigh places of the whole image
            assert strict[name] == pytest.approx(cut[name]), name
    whole = values(probability, mask)
    for name in whole.keys() - set(STRICT):
        assert strict[name] == pytest.approx(whole[name]), name
    assert strict["iou"] != whole["iou"]


def test_a_false_alarm_outside_of_the_field_of_view_is_none() -> None:
    mask, alarm = blank((10, 10, 2, 2))[None], blank((10, 10, 2, 2), (1, 1, 2, 2))[None]
    field = np.ones(mask.shape, bool)
    field[:, :5] = False
    samples = {"probability": alarm.astype(np.float32), "mask": mask.astype(bool), "field": field}
    assert BY_NAME["fa"].statistic(samples).value(None) == 0
    assert BY_NAME["iou"].statistic(samples).value(None) == 1
    del samples["field"]
    assert BY_NAME["fa"].statistic(samples).value(None) > 0


def test_pooled_is_not_the_mean_of_images() -> None:
    mask = np.stack([blank((2, 2, 10, 10)), blank((5, 5, 1, 1))])
    probability = np.stack([blank((2, 2, 10, 10)), blank((5, 5, 1, 4))])
    found = values(probability, mask)
    assert found["iou"] == pytest.approx(101 / 104)
    assert found["niou"] == pytest.approx((1 + 1 / 4) / 2)


def test_silence_scores_nothing() -> None:
    mask = np.stack([blank((2, 2, 2, 2)), blank((9, 9, 3, 3))])
    found = values(np.zeros_like(mask), mask)
    assert (found["iou"], found["pd"], found["fa"], found["upstream_iou"], found["upstream_pd"]) == (0, 0, 0, 0, 0)


def test_a_weak_image_is_detected_by_the_upstream_set_alone() -> None:
    mask = blank((4, 4, 3, 3))[None]
    found = values(0.3 * mask, mask)
    assert (found["iou"], found["pd"]) == (0, 0)
    assert (found["upstream_iou"], found["upstream_pd"]) == (1, 100)


def test_one_blob_over_two_targets_finds_both_by_overlap_and_at_most_one_by_centroid() -> None:
    mask = blank((10, 4, 2, 2), (10, 10, 2, 2)).astype(bool)
    blob = blank((10, 4, 2, 8)).astype(bool)
    assert by_overlap(blob, mask) == (2, 2, 8)
    assert by_centroid(blob, mask) == (2, 0, 16)  # its centroid is exactly 3 away from both
    near = blank((10, 5, 2, 8)).astype(bool)
    assert by_centroid(near, mask) == (2, 1, 0)


def test_a_false_blob_as_large_as_a_true_one_is_a_false_alarm() -> None:
    mask, detected = blank((3, 3, 2, 2)), blank((3, 3, 2, 2), (15, 15, 2, 2))
    found = values(detected[None], mask[None])
    assert found["fa"] == pytest.approx(4 / 24**2 * 1e6)
    assert found["upstream_fa"] == pytest.approx(4 / (24**2 - 4) * 1e5)


def test_an_image_without_objects_raises_strict_false_alarms_and_is_skipped_upstream() -> None:
    mask = np.stack([blank((3, 3, 2, 2)), blank()])
    clean = values(mask, mask)
    alarmed = values(np.stack([mask[0], blank((9, 9, 2, 3))]), mask)
    assert clean["fa"] == 0
    assert alarmed["fa"] == pytest.approx(6 / (2 * 24**2) * 1e6)
    assert alarmed["iou"] == pytest.approx(4 / 10)
    assert alarmed["niou"] == pytest.approx(0.5)
    assert clean["niou"] == 1
    assert (alarmed["upstream_iou"], alarmed["upstream_fa"]) == (1, 0)


def test_components_touch_at_corners_and_targets_take_detections_in_turn() -> None:
    diagonal = np.zeros((24, 24), bool)
    diagonal[[5, 6, 7], [5, 6, 7]] = True
    assert by_centroid(diagonal, diagonal) == (1, 1, 0)
    mask = blank((5, 5, 1, 1), (5, 9, 1, 1)).astype(bool)
    between = blank((5, 7, 1, 1)).astype(bool)
    assert by_centroid(between, mask) == (2, 1, 0)
    assert by_centroid(blank((20, 20, 1, 1)).astype(bool), mask) == (2, 0, 1)


def test_a_slow_rendering_of_matching_agrees_on_random_images() -> None:
    random = np.random.default_rng(1)
    for _ in range(20):
        mask, detected = random.random((2, 30, 30)) < 0.06
        assert by_centroid(detected, mask) == slow_match(detected, mask)


def slow_match(detected: np.ndarray, mask: np.ndarray) -> tuple[int, int, int]:
    targets, blobs = components(mask), components(detected)
    free, hits = list(blobs), 0
    for target in targets:
        for blob in free:
            if np.hypot(*(np.mean(blob, 0) - np.mean(target, 0))) < 3:
                free.remove(blob)
                hits += 1
                break
    return len(targets), hits, sum(map(len, free))


def components(mask: np.ndarray) -> list[list[tuple[int, int]]]:
    """8-connected sets of pixels, grown one by one from the first pixel on."""
    left, found = {tuple(place) for place in np.argwhere(mask).tolist()}, []
    for start in sorted(left):
        if start not in left:
            continue
        left.remove(start)
        grown, ends = [start], [start]
        while ends:
            y, x = ends.pop()
            for place in [(y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]:
                if place in left:
                    left.remove(place)
                    grown.append(place)
                    ends.append(place)
        found.append(grown)
    return found


def test_the_structure_measure_knows_perfect_empty_and_full_masks() -> None:
    mask = blank((5, 5, 8, 6)).astype(bool)
    assert structure_measure(mask.astype(float), mask) == pytest.approx(1, abs=1e-6)
    soft = np.full(mask.shape, 0.3)
    assert structure_measure(soft, np.zeros_like(mask)) == pytest.approx(0.7)
    assert structure_measure(soft, np.ones_like(mask)) == pytest.approx(0.3)
    assert structure_measure(1.0 - mask, mask) < 0.1


def test_the_structure_measure_agrees_with_its_package() -> None:
    py_sod_metrics = pytest.importorskip("py_sod_metrics", reason="pysodmetrics is not installed: no oracle")
    probability, mask = noisy()
    for soft, truth in zip(probability, mask, strict=True):
        measure = py_sod_metrics.Smeasure()
        levels = np.rint(255 * soft).astype(np.uint8)
        measure.step(levels, 255 * truth.astype(np.uint8))
        # The package stretches every map from its smallest to its largest value first.
        stretched = (levels - float(levels.min())) / (float(levels.max()) - levels.min())
        assert structure_measure(stretched, truth) == pytest.approx(measure.get_results()["sm"], abs=1e-6)
        measure = py_sod_metrics.Smeasure()
        measure.step(soft, truth, normalize=False)
        assert structure_measure(soft, truth) == pytest.approx(measure.get_results()["sm"], abs=1e-12)


def test_rounding_to_gray_levels_is_what_moves_the_structure_measure_of_a_sure_network() -> None:
    """A part without objects is flawless where the map is zero, and worthless where it is uneven and nearly so."""
    mask = blank((2, 2, 4, 4), (16, 16, 4, 4))[None]
    nearly = np.abs(mask - 1e-6 * np.random.default_rng(0).random(mask.shape))
    found, clean = values(nearly, mask), values(mask, mask)
    assert clean["s_measure"] == clean["upstream_s_measure"] == pytest.approx(1, abs=1e-6)
    assert found["upstream_s_measure"] == pytest.approx(1, abs=1e-6)
    assert found["s_measure"] < 0.8
    coarse = values(np.rint(255 * noisy()[0]) / 255, noisy()[1])
    assert coarse["upstream_s_measure"] == pytest.approx(coarse["s_measure"], abs=1e-6)


def test_matching_agrees_with_its_package() -> None:
    targetwise = pytest.importorskip(
        "py_irstd_metrics.targetwise_metrics", reason="pyirstdmetrics is not installed: no oracle"
    )
    random = np.random.default_rng(2)
    package = targetwise.ProbabilityDetectionAndFalseAlarmRate(num_bins=1, distance_threshold=3)
    masks, soft = [], []
    for _ in range(10):
        mask = random.random((40, 40)) < 0.02
        detected = np.where(random.random(mask.shape) < 0.3, mask, random.random(mask.shape) < 0.02)
        package.update(detected.astype(float), mask)
        masks.append(mask)
        soft.append(detected)
    found = [by_centroid(detected, mask) for detected, mask in zip(soft, masks, strict=True)]
    assert sum(each.hits for each in found) == package.tp_objs[0]
    assert sum(each.targets - each.hits for each in found) == package.fn_objs[0]
    assert sum(each.false_pixels for each in found) == package.fp_area[0]


def test_weights_of_the_bootstrap_are_repetitions_of_images() -> None:
    probability, mask = noisy()
    mask[2] = False
    field = np.random.default_rng(3).random(mask.shape) < 0.8
    samples = {"probability": probability.astype(np.float32), "mask": mask, "field": field}
    weights = np.array([0, 2, 1, 0, 3, 1])
    again = {name: np.repeat(column, weights, axis=0) for name, column in samples.items()}
    for metric in METRICS:
        expected = metric.statistic(again).value(None)
        assert metric.statistic(samples).value(weights) == pytest.approx(expected, rel=1e-6, nan_ok=True), metric.name


def test_an_evaluation_without_any_object_gives_reasons_in_place_of_numbers() -> None:
    empty = np.zeros((2, 9, 9))
    samples = {"probability": empty.astype(np.float32), "mask": empty.astype(bool), "unit": np.arange(2)}
    rows = {row.metric: row for row in score(METRICS, samples, "test", "images").quality}
    assert rows["pd"].value is None
    assert rows["pd"].reason == "no image has a target"
    assert rows["upstream_pd"].reason == "no image has an object"
    assert rows["fa"].value == 0
