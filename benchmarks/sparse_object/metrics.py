"""How object masks are judged: two sets of figures, the field's definitions and the official code's.

`probability` [n, h, w] is what a solver says of each pixel and `mask` [n, h, w] what is so. The strict set thresholds at
one half, pools pixels over all images, matches targets by their centroids and skips no image. Metrics named `upstream_*`
are those of RPCANet's tables: each image is first divided by its largest value, so that an image without any confident
pixel has a false alarm by construction; a target is found if any pixel of it is; images without objects do not count.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from benchmarks.metric import Metric, Samples, Statistic, mean_of
from benchmarks.sparse_object.structure import structure_measure
from benchmarks.sparse_object.targets import Found, by_centroid, by_overlap

THRESHOLD = 0.5
Counts = dict[str, np.ndarray]
"""Pixels of each image by kind, [n] each: tp, fp, fn, tn."""


def detections(samples: Samples) -> np.ndarray:
    """Which pixels are objects, bool [n, h, w]: those above one half."""
    return samples["probability"] > THRESHOLD


def upstream_detections(samples: Samples) -> np.ndarray:
    """Which pixels are above half of the largest value of their image."""
    probability = samples["probability"]
    # Divided first, as the official code does: half of the smallest numbers cannot be told from them.
    largest = probability.max((1, 2), keepdims=True)
    return probability / np.where(largest > 0, largest, 1) > THRESHOLD


def pixel_counts(detected: np.ndarray, mask: np.ndarray) -> Counts:
    """Pixels of each image by kind."""
    tp, fp, fn = ((part).sum((1, 2)) for part in (detected & mask, detected & ~mask, ~detected & mask))
    return {"tp": tp, "fp": fp, "fn": fn, "tn": mask[0].size - tp - fp - fn}


RATIOS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "iou": (("tp",), ("tp", "fp", "fn")),
    "f1": (("tp", "tp"), ("tp", "tp", "fp", "fn")),
    "precision": (("tp",), ("tp", "fp")),
    "recall": (("tp",), ("tp", "fn")),
    "specificity": (("tn",), ("tn", "fp")),
    "upstream_fa": (("fp",), ("tn", "fp")),
}
"""Which counts are above and below the line."""


def pooled(samples: Samples, ratio: str, detect: Callable[[Samples], np.ndarray], scale: float = 1.0) -> Statistic:
    """A ratio of counts that are summed over all images first."""
    counts = pixel_counts(detect(samples), samples["mask"])
    above, below = (np.sum([counts[kind] for kind in kinds], axis=0) for kinds in RATIOS[ratio])
    return _ratio(above, below, scale)


def counted(samples: Samples, kind: str) -> Statistic:
    """Pixels of one kind in all images."""
    counts = pixel_counts(detections(samples), samples["mask"])[kind].astype(np.float64)
    return Statistic(lambda weights: float(counts.sum() if weights is None else weights @ counts), len(counts))


def mean_iou(samples: Samples) -> Statistic:
    """nIoU: each image's IoU, averaged; an image without objects and without detections counts 1."""
    counts = pixel_counts(detections(samples), samples["mask"])
    union = counts["tp"] + counts["fp"] + counts["fn"]
    return mean_of(np.where(union > 0, counts["tp"] / np.maximum(union, 1), 1.0))


def found_share(samples: Samples) -> Statistic:
    """Pd: targets found, by centroid, of all targets."""
    found = _found(samples, detections(samples), by_centroid)
    return _ratio(found[:, 1], found[:, 0], 100.0, "no image has a target")


def false_alarms(samples: Samples) -> Statistic:
    """Fa: pixels of detections that match no target, of all pixels, in millionths."""
    found = _found(samples, detections(samples), by_centroid)
    return _ratio(found[:, 2], np.full(len(found), samples["mask"][0].size), 1e6)


def upstream(samples: Samples, of: Callable[[Samples], Statistic]) -> Statistic:
    """A metric over the images that have objects."""
    kept = samples["mask"].any((1, 2))
    inner = of({"probability": samples["probability"][kept], "mask": samples["mask"][kept]}) if kept.any() else None

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
    return mean_of(np.abs(samples["probability"] - samples["mask"]).mean((1, 2), dtype=np.float64))


def structure(samples: Samples) -> Statistic:
    """The structure measure of each image, averaged."""
    pairs = zip(samples["probability"], samples["mask"], strict=True)
    return mean_of(np.array([structure_measure(soft, mask) for soft, mask in pairs]))


def structure_of_levels(samples: Samples) -> Statistic:
    """The structure measure of maps that were rounded to 256 gray levels, as those are that come from image files.

    Published figures are of such maps. It matters where a network is sure: a quarter of the image without objects counts 1 if
    the map is zero there and 0 if it is uneven and nearly so, and rounding makes zeros of probabilities below 1/510.
    """
    return structure({**samples, "probability": np.rint(255 * samples["probability"].astype(np.float64)) / 255})


def area_under_curve(samples: Samples) -> Statistic:
    """AUC of each image's pixels, averaged over the images that have both kinds of them."""
    areas = [_auc(*pair) for pair in zip(samples["probability"], samples["mask"], strict=True)]
    kept = np.array([area is not None for area in areas])
    defined = mean_of(np.array([area for area in areas if area is not None]), int((~kept).sum()))
    return Statistic(
        lambda weights: defined.value(None if weights is None else weights[kept]),
        defined.n,
        defined.dropped,
        defined.reason,
    )


def _auc(soft: np.ndarray, mask: np.ndarray) -> float | None:
    """The share of pairs of an object's pixel and another in which the first is higher, ties counting half."""
    order = np.sort(soft.ravel())
    inside = soft[mask]
    outside = mask.size - len(inside)
    if not len(inside) or not outside:
        return None
    ranks = (np.searchsorted(order, inside, "left") + np.searchsorted(order, inside, "right") + 1) / 2
    return float((ranks.sum() - len(inside) * (len(inside) + 1) / 2) / (len(inside) * outside))


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

METRICS = (
    Metric("iou", 1, "", "max", "pooled", partial(pooled, ratio="iou", detect=detections),
           "Intersection over union of all pixels of all images", SHARE),
    Metric("niou", 1, "", "max", "mean_of_samples", mean_iou, "Intersection over union, mean of images", SHARE),
    Metric("pd", 1, "%", "max", "pooled", found_share, "Targets with a detection within 3 px of their centroid", PERCENT),
    Metric("fa", 1, "1e-6", "min", "pooled", false_alarms, "Pixels of detections that match no target, of all", (0.0, 1e6)),
    Metric("f1", 1, "", "max", "pooled", partial(pooled, ratio="f1", detect=detections), "F1 of all pixels", SHARE),
    *(
        Metric(name, 1, "", "max", "pooled", partial(pooled, ratio=name, detect=detections), summary, SHARE)
        for name, summary in (
            ("precision", "Pixels of objects among those detected"),
            ("recall", "Pixels detected among those of objects"),
            ("specificity", "Pixels left alone among those of no object"),
        )
    ),
    Metric("auc", 1, "", "max", "mean_of_samples", area_under_curve, "ROC area of pixels, mean of images", SHARE),
    Metric("mae", 1, "", "min", "mean_of_samples", absolute_error, "Mean absolute error of the soft map", SHARE),
    Metric("s_measure", 1, "", "max", "mean_of_samples", structure, "Structure measure (Fan et al. 2017)", SHARE),
    Metric("upstream_s_measure", 1, "", "max", "mean_of_samples", structure_of_levels,
           "Structure measure of the soft map in 256 gray levels", SHARE),
    Metric("tp_px", 1, "px", "max", "pooled", partial(counted, kind="tp"), "Object pixels detected", intervals=False),
    Metric("fp_px", 1, "px", "min", "pooled", partial(counted, kind="fp"), "Other pixels detected", intervals=False),
    Metric("fn_px", 1, "px", "min", "pooled", partial(counted, kind="fn"), "Object pixels not detected", intervals=False),
    *(
        Metric(
            f"upstream_{name}", 1, "", "max", "pooled",
            partial(upstream, of=partial(pooled, ratio=name, detect=upstream_detections)),
            f"{name} after division by each image's maximum", SHARE,
        )
        for name in ("iou", "f1", "precision", "recall")
    ),
    Metric("upstream_pd", 1, "%", "max", "pooled", partial(upstream, of=overlapped_share),
           "Targets with any pixel found, after division by each image's maximum", PERCENT),
    Metric("upstream_fa", 1, "1e-5", "min", "pooled",
           partial(upstream, of=partial(pooled, ratio="upstream_fa", detect=upstream_detections, scale=1e5)),
           "Background pixels detected, after division by each image's maximum", (0.0, 1e5)),
)  # fmt: skip
