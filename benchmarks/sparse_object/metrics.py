"""How object masks are judged: two sets of figures, the field's definitions and the official code's.

`probability` [n, h, w] is what a solver says of each pixel and `mask` [n, h, w] what is so. The strict set thresholds at
one half, pools pixels over all images, matches targets by their centroids and skips no image. Metrics named `upstream_*`
are those of RPCANet's tables: each image is first divided by its largest value, so that an image without any confident
pixel has a false alarm by construction; a target is found if any pixel of it is; images without objects do not count.
Its tables of vessels have means of images instead, `upstream_mean_*`, with the threshold at one half as it is.

Where the data have `field` [n, h, w], what the camera sees, pixels outside of it do not count in the strict set: not as
detections, not as objects, not among all. The official code counts them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from benchmarks.metric import Metric, Samples, Statistic, mean_of
from benchmarks.segmentation.pixels import (
    THRESHOLD,
    Counts,
    area_under_curve,
    counted_pixels,
    detections,
    in_field,
    mean_iou,
    pixel_counts,
    seen,
    strict_counts,
)
from benchmarks.sparse_object.alignment import enhanced_alignment
from benchmarks.sparse_object.operating import CURVES as CURVES
from benchmarks.sparse_object.structure import structure_measure
from benchmarks.sparse_object.sweep import found_within
from benchmarks.sparse_object.targets import Found, by_centroid, by_overlap
from benchmarks.sparse_object.weighted_f import weighted_f


def upstream_detections(samples: Samples) -> np.ndarray:
    """Which pixels are above half of the largest value of their image."""
    probability = samples["probability"]
    # Divided first, as the official code does: half of the smallest numbers cannot be told from them.
    largest = probability.max((1, 2), keepdims=True)
    return probability / np.where(largest > 0, largest, 1) > THRESHOLD


def upstream_counts(samples: Samples) -> Counts:
    """Pixels of each image by kind after division by its maximum, all of them."""
    return pixel_counts(upstream_detections(samples), samples["mask"])


def plain_counts(samples: Samples) -> Counts:
    """Pixels of each image by kind at one half, all of them."""
    return pixel_counts(detections(samples), samples["mask"])


RATIOS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "iou": (("tp",), ("tp", "fp", "fn")),
    "f1": (("tp", "tp"), ("tp", "tp", "fp", "fn")),
    "precision": (("tp",), ("tp", "fp")),
    "recall": (("tp",), ("tp", "fn")),
    "specificity": (("tn",), ("tn", "fp")),
    "accuracy": (("tp", "tn"), ("tp", "fp", "fn", "tn")),
    "upstream_fa": (("fp",), ("tn", "fp")),
}
"""Which counts are above and below the line."""


def parts_of(ratio: str, counts: Counts) -> tuple[np.ndarray, np.ndarray]:
    """What is above and below the line of each image, [n] both."""
    above, below = (np.sum([counts[kind] for kind in kinds], axis=0) for kinds in RATIOS[ratio])
    return above, below


def pooled(samples: Samples, ratio: str, count: Callable[[Samples], Counts], scale: float = 1.0) -> Statistic:
    """A ratio of counts that are summed over all images first."""
    return _ratio(*parts_of(ratio, count(samples)), scale)


def mean_of_images(samples: Samples, ratio: str) -> Statistic:
    """A ratio of each image's counts at one half, all pixels, averaged; 0 where an image has nothing to divide by."""
    above, below = parts_of(ratio, plain_counts(samples))
    return mean_of(np.where(below > 0, above / np.maximum(below, 1), 0.0))


def counted(samples: Samples, kind: str) -> Statistic:
    """Pixels of one kind in all images."""
    counts = strict_counts(samples)[kind].astype(np.float64)
    return Statistic(lambda weights: float(counts.sum() if weights is None else weights @ counts), len(counts))


def found_share(samples: Samples) -> Statistic:
    """Pd: targets found, by centroid, of all targets."""
    samples = in_field(samples)
    found = _found(samples, detections(samples), by_centroid)
    return _ratio(found[:, 1], found[:, 0], 100.0, "no image has a target")


def false_alarms(samples: Samples) -> Statistic:
    """Fa: pixels of detections that match no target, of all pixels, in millionths."""
    samples = in_field(samples)
    found = _found(samples, detections(samples), by_centroid)
    return _ratio(found[:, 2], seen(samples), 1e6)


def upstream(samples: Samples, of: Callable[[Samples], Statistic]) -> Statistic:
    """A metric over the images that have objects."""
    kept = samples["mask"].any((1, 2))
    inner = of({name: samples[name][kept] for name in ("probability", "mask")}) if kept.any() else None

    def value(weights: np.ndarray | None) -> float:
        return float("nan") if inner is None else inner.value(None if weights is None else weights[kept])

    reason = "no image has an object" if inner is None else inner.reason
    return Statistic(value, int(kept.sum()), int((~kept).sum()), reason)


def overlapped_share(samples: Samples) -> Statistic:
    """Targets with any pixel found, of all targets."""
    found = _found(samples, upstream_detections(samples), by_overlap)
    return _ratio(found[:, 1], found[:, 0], 100.0)


def absolute_error(samples: Samples) -> Statistic:
    """MAE: the mean over pixels of how far the probability is from the mask."""
    samples = in_field(samples)
    return mean_of(np.abs(samples["probability"] - samples["mask"]).sum((1, 2), dtype=np.float64) / seen(samples))


def structure(samples: Samples) -> Statistic:
    """The structure measure of each image, averaged."""
    samples = in_field(samples)
    pairs = zip(samples["probability"], samples["mask"], strict=True)
    return mean_of(np.array([structure_measure(soft, mask) for soft, mask in pairs]))


def alignment(samples: Samples) -> Statistic:
    """The enhanced-alignment measure of each image, the mean of 256 thresholds, averaged."""
    return mean_of(np.array([enhanced_alignment(soft, mask) for soft, mask in counted_pixels(samples)]))


def weighted(samples: Samples) -> Statistic:
    """The weighted F-measure of each image, averaged over those with objects."""
    samples = in_field(samples)
    kept = samples["mask"].any((1, 2))
    pairs = zip(samples["probability"][kept], samples["mask"][kept], strict=True)
    inner = mean_of(np.array([weighted_f(soft, mask) for soft, mask in pairs]), int((~kept).sum()))
    return Statistic(
        lambda weights: inner.value(None if weights is None else weights[kept]), inner.n, inner.dropped, inner.reason
    )


def structure_of_levels(samples: Samples) -> Statistic:
    """The structure measure of maps that were rounded to 256 gray levels, as those are that come from image files.

    Published figures are of such maps. It matters where a network is sure: a quarter of the image without objects counts 1 if
    the map is zero there and 0 if it is uneven and nearly so, and rounding makes zeros of probabilities below 1/510.
    """
    levels = np.rint(255 * samples["probability"].astype(np.float64)) / 255
    return structure({"probability": levels, "mask": samples["mask"]})


def _found(samples: Samples, detected: np.ndarray, match: Callable[[np.ndarray, np.ndarray], Found]) -> np.ndarray:
    """Targets, hits and false pixels of each image, [n, 3]."""
    return np.array([match(*pair) for pair in zip(detected, samples["mask"], strict=True)])


def _ratio(above: np.ndarray, below: np.ndarray, scale: float, reason: str = "nothing to divide by") -> Statistic:
    """scale * sum(above) / sum(below), undefined where the latter is zero."""
    above, below = np.asarray(above, np.float64), np.asarray(below, np.float64)

    def value(weights: np.ndarray | None) -> float:
        total = below.sum() if weights is None else weights @ below
        part = above.sum() if weights is None else weights @ above
        return float(scale * part / total) if total > 0 else float("nan")

    return Statistic(value, len(below), reason=None if below.sum() > 0 else reason)


UNIT = "images"

SHARE = (0.0, 1.0)
PERCENT = (0.0, 100.0)
COUNT = (0.0, None)
BUDGETS = (1e-6, 1e-5, 1e-4)
"""Shares of all pixels that may be false alarms."""

METRICS = (
    Metric("iou", 1, "", "max", "pooled", partial(pooled, ratio="iou", count=strict_counts),
           "Intersection over union of all pixels of all images", SHARE, perfect=1.0),
    Metric("niou", 1, "", "max", "mean_of_samples", mean_iou, "Intersection over union, mean of images", SHARE,
           perfect=1.0),
    Metric("pd", 1, "%", "max", "pooled", found_share, "Targets with a detection within 3 px of their centroid", PERCENT,
           perfect=100.0),
    Metric("fa", 1, "1e-6", "min", "pooled", false_alarms, "Pixels of detections that match no target, of all", (0.0, 1e6),
           perfect=0.0),
    Metric("f1", 1, "", "max", "pooled", partial(pooled, ratio="f1", count=strict_counts), "F1 of all pixels", SHARE,
           perfect=1.0),
    *(
        Metric(name, 1, "", "max", "pooled", partial(pooled, ratio=name, count=strict_counts), summary, SHARE, perfect=1.0)
        for name, summary in (
            ("precision", "Pixels of objects among those detected"),
            ("recall", "Pixels detected among those of objects (sensitivity)"),
            ("specificity", "Pixels left alone among those of no object"),
            ("accuracy", "Pixels answered rightly"),
        )
    ),
    Metric("auc", 1, "", "max", "mean_of_samples", area_under_curve, "ROC area of pixels, mean of images", SHARE,
           perfect=1.0),
    Metric("mae", 1, "", "min", "mean_of_samples", absolute_error, "Mean absolute error of the soft map", SHARE,
           perfect=0.0),
    Metric("s_measure", 1, "", "max", "mean_of_samples", structure, "Structure measure (Fan et al. 2017)", SHARE,
           perfect=1.0),
    Metric("e_measure", 1, "", "max", "mean_of_samples", alignment,
           "Enhanced-alignment measure, mean of 256 thresholds (Fan et al. 2018)", SHARE),
    Metric("weighted_f", 1, "", "max", "mean_of_samples", weighted, "Weighted F-measure (Margolin et al. 2014)", SHARE,
           perfect=1.0),
    *(
        Metric(f"pd@{budget:.0e}".replace("e-0", "e-"), 1, "%", "max", "pooled", partial(found_within, budget=budget),
               f"pd at the best threshold with fa up to {1e6 * budget:g}", PERCENT, perfect=100.0)
        for budget in BUDGETS
    ),
    Metric("upstream_s_measure", 1, "", "max", "mean_of_samples", structure_of_levels,
           "Structure measure of the soft map in 256 gray levels", SHARE, perfect=1.0),
    Metric("tp_px", 1, "px", "max", "pooled", partial(counted, kind="tp"), "Object pixels detected", COUNT,
           intervals=False),
    Metric("fp_px", 1, "px", "min", "pooled", partial(counted, kind="fp"), "Other pixels detected", COUNT,
           intervals=False, perfect=0.0),
    Metric("fn_px", 1, "px", "min", "pooled", partial(counted, kind="fn"), "Object pixels not detected", COUNT,
           intervals=False, perfect=0.0),
    *(
        Metric(
            f"upstream_{name}", 1, "", "max", "pooled",
            partial(upstream, of=partial(pooled, ratio=name, count=upstream_counts)),
            f"{name} after division by each image's maximum", SHARE, perfect=1.0,
        )
        for name in ("iou", "f1", "precision", "recall")
    ),
    Metric("upstream_pd", 1, "%", "max", "pooled", partial(upstream, of=overlapped_share),
           "Targets with any pixel found, after division by each image's maximum", PERCENT, perfect=100.0),
    Metric("upstream_fa", 1, "1e-5", "min", "pooled",
           partial(upstream, of=partial(pooled, ratio="upstream_fa", count=upstream_counts, scale=1e5)),
           "Background pixels detected, after division by each image's maximum", (0.0, 1e5), perfect=0.0),
    *(
        Metric(f"upstream_mean_{name}", 1, "", "max", "mean_of_samples", partial(mean_of_images, ratio=ratio), summary, SHARE,
               perfect=1.0)
        for name, ratio, summary in (
            ("iou", "iou", "IoU of all pixels, mean of images"),
            ("f1", "f1", "F1 of all pixels, mean of images"),
            ("acc", "accuracy", "Accuracy of all pixels, mean of images"),
            ("sen", "recall", "Sensitivity of all pixels, mean of images"),
            ("spe", "precision", "Precision of all pixels, mean of images, which the authors' tables call Spe"),
        )
    ),
    Metric("upstream_mean_auc", 1, "", "max", "mean_of_samples", partial(area_under_curve, everywhere=True),
           "ROC area of all pixels, mean of images", SHARE, perfect=1.0),
)  # fmt: skip
