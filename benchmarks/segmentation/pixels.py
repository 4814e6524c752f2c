"""Pixels of images by kind, and the measures that all tasks take of them. NumPy only.

`probability` [n, h, w] is what a solver says of each pixel and `mask` [n, h, w] what is so. Where the data have `field`
[n, h, w], what the camera sees, pixels outside of it do not count.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from benchmarks.metric import Samples, Statistic, mean_of

THRESHOLD = 0.5
Counts = dict[str, np.ndarray]
"""Pixels of each image by kind, [n] each: tp, fp, fn, tn."""


def detections(samples: Samples) -> np.ndarray:
    """Which pixels are objects, bool [n, h, w]: those above one half."""
    return samples["probability"] > THRESHOLD


def in_field(samples: Samples) -> Samples:
    """The samples with neither probability nor objects outside of the field of view, where there is one."""
    if "field" not in samples:
        return samples
    field = samples["field"].astype(bool)
    return {**samples, "probability": samples["probability"] * field, "mask": samples["mask"] & field, "field": field}


def seen(samples: Samples) -> np.ndarray:
    """How many pixels of each image count, [n]."""
    return (
        samples["field"].sum((1, 2)) if "field" in samples else np.full(len(samples["mask"]), samples["mask"][0].size)
    )


def pixel_counts(detected: np.ndarray, mask: np.ndarray, pixels: np.ndarray | int | None = None) -> Counts:
    """Pixels of each image by kind; `pixels` is how many there are, all unless given."""
    tp, fp, fn = ((part).sum((1, 2)) for part in (detected & mask, detected & ~mask, ~detected & mask))
    return {"tp": tp, "fp": fp, "fn": fn, "tn": (mask[0].size if pixels is None else pixels) - tp - fp - fn}


def strict_counts(samples: Samples) -> Counts:
    """Pixels of each image by kind, in the field of view where there is one."""
    samples = in_field(samples)
    return pixel_counts(detections(samples), samples["mask"], seen(samples))


def mean_iou(samples: Samples) -> Statistic:
    """nIoU: each image's IoU, averaged; an image without objects and without detections counts 1."""
    counts = strict_counts(samples)
    union = counts["tp"] + counts["fp"] + counts["fn"]
    return mean_of(np.where(union > 0, counts["tp"] / np.maximum(union, 1), 1.0))


def area_under_curve(samples: Samples, everywhere: bool = False) -> Statistic:
    """AUC of each image's pixels, averaged over the images that have both kinds of them.

    Only pixels in the field of view count, where there is one, or all `everywhere`.
    """
    areas = [pixel_area(*of) for of in counted_pixels(samples, everywhere)]
    kept = np.array([area is not None for area in areas])
    defined = mean_of(np.array([area for area in areas if area is not None]), int((~kept).sum()))
    return Statistic(
        lambda weights: defined.value(None if weights is None else weights[kept]),
        defined.n,
        defined.dropped,
        defined.reason,
    )


def counted_pixels(samples: Samples, everywhere: bool = False) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Probability and mask of the pixels of each image that count, [k] both: those in the field of view, or all `everywhere`."""
    for index, (soft, mask) in enumerate(zip(samples["probability"], samples["mask"], strict=True)):
        kept = samples["field"][index].astype(bool) if "field" in samples and not everywhere else slice(None)
        yield soft[kept].ravel(), mask[kept].ravel()


def pixel_area(soft: np.ndarray, mask: np.ndarray) -> float | None:
    """ROC area of pixels: the share of pairs of an object's and another in which the first is higher, ties counting half.

    None where there are no such pairs.
    """
    order = np.sort(soft.ravel())
    inside = soft[mask]
    outside = mask.size - len(inside)
    if not len(inside) or not outside:
        return None
    ranks = (np.searchsorted(order, inside, "left") + np.searchsorted(order, inside, "right") + 1) / 2
    return float((ranks.sum() - len(inside) * (len(inside) + 1) / 2) / (len(inside) * outside))
