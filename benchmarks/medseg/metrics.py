"""How masks of organs, vessels and membranes are judged: overlap, outlines, centre lines, ranking and calibration.

`probability` [n, h, w] is what a solver says of each pixel and `mask` [n, h, w] what is so, both at the images' own
resolution. Pixels outside of `field` [n, h, w] do not count, where data have it. Overlaps are of each image and then
averaged; an image without objects and without detections counts 1, one with either alone 0. Masks are what is above one half,
and in `rma_*` what RankSEG-RMA decides on (see `decision`); `tempered_*` are of probabilities at the `temperature` [n] that
was found on validation (see `calibration`).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from benchmarks.medseg.calibration import tempered
from benchmarks.medseg.decision import rank_decision
from benchmarks.medseg.skeleton import cl_dice
from benchmarks.medseg.surfaces import hausdorff95
from benchmarks.metric import Metric, Samples, Statistic, mean_of
from benchmarks.segmentation.pixels import area_under_curve, detections, in_field, mean_iou, pixel_counts

CALIBRATION_BINS = 15


def dice(samples: Samples) -> Statistic:
    """2 |P and G| / (|P| + |G|) of each image, averaged."""
    samples = in_field(samples)
    return mean_of(overlap(detections(samples), samples["mask"]))


def ranked_overlap(samples: Samples, target: str) -> Statistic:
    """Dice or IoU of each image with the mask of the highest expected one, averaged."""
    samples = in_field(samples)
    return mean_of(overlap(rank_decision(samples["probability"], target), samples["mask"], target))


def at_temperature(samples: Samples, measure: Callable[[Samples], Statistic]) -> Statistic:
    """A measure of the probabilities at their temperature; NaN where none was found, which a temperature of 1 says."""
    temperature = samples.get("temperature", np.ones(len(samples["mask"])))
    if (temperature == 1).all():
        return Statistic(lambda _: float("nan"), len(temperature), reason="no temperature was found on validation")
    return measure({**samples, "probability": tempered(samples["probability"], temperature)})


def overlap(detected: np.ndarray, mask: np.ndarray, target: str = "dice") -> np.ndarray:
    """Dice or IoU of each image, [n], 1 where both masks are empty."""
    counts = pixel_counts(detected, mask.astype(bool))
    shared = counts["tp"] * (2 if target == "dice" else 1)
    total = shared + counts["fp"] + counts["fn"]
    return np.where(total > 0, shared / np.maximum(total, 1), 1.0)


def of_each(samples: Samples, measure: Callable[[np.ndarray, np.ndarray], float]) -> Statistic:
    """A measure of the two masks of each image, averaged."""
    samples = in_field(samples)
    pairs = zip(detections(samples), samples["mask"].astype(bool), strict=True)
    return mean_of(np.array([measure(*pair) for pair in pairs], np.float64))


def empty_answers(samples: Samples) -> Statistic:
    """Images of which the answer or the truth is empty and the other is not, where distances are the diagonal."""
    samples = in_field(samples)
    found, wanted = (part.any((1, 2)) for part in (detections(samples), samples["mask"]))
    lonely = (found != wanted).astype(np.float64)
    return Statistic(lambda weights: float(lonely.sum() if weights is None else weights @ lonely), len(lonely))


def calibration_error(samples: Samples) -> Statistic:
    """ECE of the probability of an object, over pixels of all images in bins of equal width."""
    fields = samples.get("field", np.ones(samples["mask"].shape, bool)).astype(bool)
    counts, gaps = [], []
    for soft, mask, field in zip(samples["probability"], samples["mask"], fields, strict=True):
        said, so = soft[field].astype(np.float64), mask[field].astype(np.float64)
        place = np.minimum((said * CALIBRATION_BINS).astype(np.int64), CALIBRATION_BINS - 1)
        counts.append(len(said))
        gaps.append(np.bincount(place, said - so, CALIBRATION_BINS))
    sizes, differences = np.array(counts, np.float64), np.array(gaps)

    def value(weights: np.ndarray | None) -> float:
        drawn = np.ones(len(sizes)) if weights is None else weights
        total = drawn @ sizes
        return float(np.abs(drawn @ differences).sum() / total) if total > 0 else float("nan")

    return Statistic(value, len(sizes), reason=None if sizes.sum() else "no pixel counts")


UNIT = "subjects"

SHARE = (0.0, 1.0)
LENGTH = (0.0, None)

METRICS = (
    Metric("dice", 1, "", "max", "mean_of_samples", dice, "Dice at one half, mean of images", SHARE, perfect=1.0),
    Metric("iou", 1, "", "max", "mean_of_samples", mean_iou, "Intersection over union at one half, mean of images", SHARE,
           perfect=1.0),
    Metric("rma_dice", 1, "", "max", "mean_of_samples", partial(ranked_overlap, target="dice"),
           "Dice of the mask that RankSEG-RMA decides on for Dice, mean of images", SHARE, perfect=1.0),
    Metric("rma_iou", 1, "", "max", "mean_of_samples", partial(ranked_overlap, target="iou"),
           "IoU of the mask that RankSEG-RMA decides on for IoU, mean of images", SHARE, perfect=1.0),
    Metric("hd95", 1, "px", "min", "mean_of_samples", partial(of_each, measure=hausdorff95),
           "95 % Hausdorff distance of outlines (MONAI's), mean of images; the diagonal where one mask is empty", LENGTH,
           perfect=0.0),
    Metric("cldice", 1, "", "max", "mean_of_samples", partial(of_each, measure=cl_dice),
           "clDice, the overlap of centre lines with masks, mean of images", SHARE, perfect=1.0),
    Metric("auc", 1, "", "max", "mean_of_samples", area_under_curve, "ROC area of pixels, mean of images", SHARE,
           perfect=1.0),
    Metric("ece", 1, "", "min", "pooled", calibration_error,
           f"Expected calibration error of pixels, {CALIBRATION_BINS} bins", SHARE, perfect=0.0),
    Metric("tempered_rma_dice", 1, "", "max", "mean_of_samples",
           partial(at_temperature, measure=partial(ranked_overlap, target="dice")),
           "rma_dice of probabilities at the temperature found on validation", SHARE, perfect=1.0),
    Metric("tempered_ece", 1, "", "min", "pooled", partial(at_temperature, measure=calibration_error),
           "ece of probabilities at the temperature found on validation", SHARE, perfect=0.0),
    Metric("empty", 1, "images", "min", "pooled", empty_answers, "Images of which one mask alone is empty", LENGTH,
           intervals=False, perfect=0.0),
)  # fmt: skip
