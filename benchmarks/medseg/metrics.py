"""How masks of organs, vessels and membranes are judged: overlap, outlines, centre lines, ranking and calibration.

`probability` [n, h, w] is what a solver says of each pixel and `mask` [n, h, w] what is so, both at the images' own
resolution; of several classes they are as in `classes`. Pixels outside of `field` [n, h, w] do not count, where data have it.
Measures are of each image, of several classes the mean over those in the answer or in the truth, and then averaged; an image
without objects and without detections counts 1, one with either alone 0. Masks are what is likeliest, which of one class is
above one half, and in `rma_*` what RankSEG-RMA decides on (see `decision`); `tempered_*` are of probabilities at the
`temperature` [n] that was found on validation (see `calibration`).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from benchmarks.medseg.calibration import tempered
from benchmarks.medseg.classes import most_probable, over_classes, pieces
from benchmarks.medseg.decision import TARGETS, exclusive_decision
from benchmarks.medseg.skeleton import cl_dice
from benchmarks.medseg.surfaces import hausdorff95
from benchmarks.metric import Metric, Samples, Statistic, mean_of
from benchmarks.segmentation.pixels import pixel_area, pixel_counts

CALIBRATION_BINS = 15


def decided_overlap(samples: Samples, target: str, rule: Callable[[np.ndarray, str], np.ndarray]) -> Statistic:
    """Dice or IoU of each image with the mask that a rule makes of probabilities by class, averaged."""
    soft, mask, _ = pieces(samples)
    return mean_of(class_means(rule(soft, target), mask, partial(overlap, target=target)))


def likeliest(probability: np.ndarray, _: str) -> np.ndarray:
    """The rule that does not depend on what the mask is for."""
    return most_probable(probability)


def at_temperature(samples: Samples, measure: Callable[[Samples], Statistic]) -> Statistic:
    """A measure of the probabilities at their temperature; NaN where none was found, which a temperature of 1 says."""
    temperature = samples.get("temperature", np.ones(len(samples["mask"])))
    if (temperature == 1).all():
        return Statistic(lambda _: float("nan"), len(temperature), reason="no temperature was found on validation")
    return measure({**samples, "probability": tempered(samples["probability"], temperature)})


def class_means(
    detected: np.ndarray, mask: np.ndarray, measure: Callable[[np.ndarray, np.ndarray], np.ndarray]
) -> np.ndarray:
    """A measure of pairs of masks [m, h, w] on those of all classes [n, k, h, w], and its means over classes, [n]."""
    n, classes, *shape = mask.shape
    pair = (part.reshape(n * classes, *shape) for part in (detected, mask))
    return over_classes(measure(*pair).reshape(n, classes), (detected | mask).any((2, 3)))


def overlap(detected: np.ndarray, mask: np.ndarray, target: str = "dice") -> np.ndarray:
    """Dice, 2 |P and G| / (|P| + |G|), or IoU of each pair of masks, [m], 1 where both are empty."""
    counts = pixel_counts(detected, mask)
    shared = counts["tp"] * (2 if target == "dice" else 1)
    total = shared + counts["fp"] + counts["fn"]
    return np.where(total > 0, shared / np.maximum(total, 1), 1.0)


def of_each(samples: Samples, measure: Callable[[np.ndarray, np.ndarray], float]) -> Statistic:
    """A measure of the two masks of each image, averaged."""
    found = pieces(samples)

    def all_of(detected: np.ndarray, mask: np.ndarray) -> np.ndarray:
        return np.array([measure(*pair) for pair in zip(detected, mask, strict=True)], np.float64)

    return mean_of(class_means(found.detected, found.mask, all_of))


def empty_answers(samples: Samples) -> Statistic:
    """Images of which the answer or the truth is empty and the other is not, where distances are the diagonal; of each class."""
    found = pieces(samples)
    lonely = (found.detected.any((2, 3)) != found.mask.any((2, 3))).sum(1).astype(np.float64)
    return Statistic(lambda weights: float(lonely.sum() if weights is None else weights @ lonely), len(lonely))


def area(samples: Samples) -> Statistic:
    """ROC area of each image's pixels, averaged over the images that have both kinds of them; of each class."""
    found = pieces(samples)
    n, classes = found.mask.shape[:2]
    rows = zip(found.probability, found.mask, found.field, strict=True)
    areas = [pixel_area(soft[field], mask[field]) for of, so, field in rows for soft, mask in zip(of, so, strict=True)]
    values = np.array([np.nan if area is None else area for area in areas]).reshape(n, classes)
    kept = ~np.isnan(values).all(1)
    defined = mean_of(np.nanmean(values[kept], 1), int((~kept).sum()))
    return Statistic(
        lambda weights: defined.value(None if weights is None else weights[kept]),
        defined.n,
        defined.dropped,
        defined.reason,
    )


def calibration_error(samples: Samples) -> Statistic:
    """ECE of the probability of an object, over pixels of all images, and all classes, in bins of equal width."""
    counts, gaps = [], []
    found = pieces(samples)
    for soft, mask, field in zip(found.probability, found.mask, found.field, strict=True):
        said, so = soft[:, field].ravel().astype(np.float64), mask[:, field].ravel().astype(np.float64)
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

dice, iou = (partial(decided_overlap, target=target, rule=likeliest) for target in TARGETS)
rma_dice, rma_iou = (partial(decided_overlap, target=target, rule=exclusive_decision) for target in TARGETS)

SHARE = (0.0, 1.0)
LENGTH = (0.0, None)

METRICS = (
    Metric("dice", 1, "", "max", "mean_of_samples", dice, "Dice at one half, mean of images", SHARE, perfect=1.0),
    Metric("iou", 1, "", "max", "mean_of_samples", iou, "Intersection over union at one half, mean of images", SHARE,
           perfect=1.0),
    Metric("rma_dice", 1, "", "max", "mean_of_samples", rma_dice,
           "Dice of the mask that RankSEG-RMA decides on for Dice, mean of images", SHARE, perfect=1.0),
    Metric("rma_iou", 1, "", "max", "mean_of_samples", rma_iou,
           "IoU of the mask that RankSEG-RMA decides on for IoU, mean of images", SHARE, perfect=1.0),
    Metric("hd95", 1, "px", "min", "mean_of_samples", partial(of_each, measure=hausdorff95),
           "95 % Hausdorff distance of outlines (MONAI's), mean of images; the diagonal where one mask is empty", LENGTH,
           perfect=0.0),
    Metric("cldice", 1, "", "max", "mean_of_samples", partial(of_each, measure=cl_dice),
           "clDice, the overlap of centre lines with masks, mean of images", SHARE, perfect=1.0),
    Metric("auc", 1, "", "max", "mean_of_samples", area, "ROC area of pixels, mean of images", SHARE,
           perfect=1.0),
    Metric("ece", 1, "", "min", "pooled", calibration_error,
           f"Expected calibration error of pixels, {CALIBRATION_BINS} bins", SHARE, perfect=0.0),
    Metric("tempered_rma_dice", 1, "", "max", "mean_of_samples",
           partial(at_temperature, measure=rma_dice),
           "rma_dice of probabilities at the temperature found on validation", SHARE, perfect=1.0),
    Metric("tempered_ece", 1, "", "min", "pooled", partial(at_temperature, measure=calibration_error),
           "ece of probabilities at the temperature found on validation", SHARE, perfect=0.0),
    Metric("empty", 1, "images", "min", "pooled", empty_answers, "Images of which one mask alone is empty", LENGTH,
           intervals=False, perfect=0.0),
)  # fmt: skip
