"""How label maps are judged: one confusion of all pixels that count, and what it says. NumPy only.

`prediction` [n, h, w] are classes that a solver answers, `label` [n, h, w] those that are so (255: does not count), `classes`
[n] how many the data set has. Confusions of tiles are added up, never averaged: an IoU of few pixels is no IoU.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from benchmarks.metric import Metric, Samples, Statistic

IGNORED = 255
TRAINED, BESIDE = "id", "against/"


def confusion(samples: Samples) -> np.ndarray:
    """Pixels by truth and answer, [n, k, k]; those whose label is 255 are left out."""
    label = samples["label"].astype(np.int64)
    answer = np.asarray(samples["prediction"]).astype(np.int64)
    size = int(samples["classes"].max(initial=1))
    made = np.zeros((len(label), size, size), np.int64)
    for row, (truth, said) in enumerate(zip(label, answer, strict=True)):
        counts = truth != IGNORED
        made[row] = np.bincount(truth[counts] * size + said[counts], minlength=size * size).reshape(size, size)
    return made


def of_confusion(samples: Samples, measure: Callable[[np.ndarray], float]) -> Statistic:
    """A measure of the one confusion [k, k] of all samples, each weighted."""
    each = confusion(samples)
    flat = each.reshape(len(each), each.shape[1] ** 2).astype(np.float64)
    shape = each.shape[1:]

    def value(weights: np.ndarray | None) -> float:
        total = flat.sum(0) if weights is None else weights @ flat
        return measure(total.reshape(shape)) if total.any() else float("nan")

    seen = each.any((1, 2))
    reason = None if seen.any() else "no pixel counts"
    return Statistic(value, int(seen.sum()), int((~seen).sum()), reason)


def class_ious(total: np.ndarray) -> np.ndarray:
    """Intersection over union of each class [k]; NaN for one that is neither there nor answered."""
    inside = np.diag(total)
    union = total.sum(0) + total.sum(1) - inside
    return np.divide(inside, union, out=np.full(len(inside), np.nan), where=union > 0)


def macro_iou(total: np.ndarray) -> float:
    """The mean IoU of the classes that the truth has; a class that is only answered costs the others, and no more."""
    return float(class_ious(total)[total.sum(1) > 0].mean())


def all_classes_iou(total: np.ndarray) -> float:
    """The mean IoU over all classes of the data set, 0 for one that is neither there nor answered (LESS ViT, first paper)."""
    return float(np.nan_to_num(class_ious(total)).mean())


def micro_iou(total: np.ndarray) -> float:
    """Right pixels over the sum of unions: OA / (2 - OA), which the tables of LESS ViT's second paper call mIoU."""
    right = np.trace(total)
    return float(right / (2 * total.sum() - right))


def overall_accuracy(total: np.ndarray) -> float:
    """The share of right pixels."""
    return float(np.trace(total) / total.sum())


def average_accuracy(total: np.ndarray) -> float:
    """The mean recall of the classes that the truth has."""
    there = total.sum(1) > 0
    return float((np.diag(total)[there] / total.sum(1)[there]).mean())


def kappa(total: np.ndarray) -> float:
    """Cohen's kappa: accuracy beyond that of chance with these marginals; NaN where chance is always right."""
    size = total.sum()
    chance = float(total.sum(0) @ total.sum(1)) / size**2
    return float((np.trace(total) / size - chance) / (1 - chance)) if chance < 1 else float("nan")


def relative_drop(samples: Samples) -> Statistic:
    """1 - mIoU / mIoU on the bands of training, tile by tile the same resamples: how much a change of bands costs.

    It means nothing without the two scores: a solver that is as bad everywhere loses nothing.
    """
    here = of_confusion(samples, macro_iou)
    if "against/label" not in samples:
        return Statistic(
            lambda weights: float("nan"), 0, reason=f"there are no answers on layout {TRAINED} beside these"
        )
    start = of_confusion(
        {key.removeprefix(BESIDE): samples[key] for key in samples if key.startswith(BESIDE)}, macro_iou
    )

    def value(weights: np.ndarray | None) -> float:
        before = start.value(weights)
        return 1 - here.value(weights) / before if before > 0 else float("nan")

    return Statistic(value, here.n, here.dropped, here.reason or f"mIoU on layout {TRAINED} is 0")


UNIT = "tiles"

SHARE = (0.0, 1.0)


def _metric(name: str, measure: Callable[[np.ndarray], float], summary: str,
            bounds: tuple[float, float] = SHARE) -> Metric:  # fmt: skip
    return Metric(name, 1, "", "max", "pooled", partial(of_confusion, measure=measure), summary, bounds, perfect=1.0)


METRICS = (
    _metric("miou", macro_iou, "Mean IoU of the classes that the truth has"),
    _metric("oa", overall_accuracy, "Overall accuracy, the share of right pixels"),
    _metric("aa", average_accuracy, "Average accuracy, the mean recall of the classes that the truth has"),
    _metric("kappa", kappa, "Cohen's kappa", (-1.0, 1.0)),
    _metric("micro_iou", micro_iou, "Micro IoU, OA / (2 - OA)"),
    _metric("miou_all", all_classes_iou, "Mean IoU over all classes of the data set, 0 for one that is absent (upstream, v1)"),
    Metric("drop", 1, "", "min", "pooled", relative_drop, "Relative loss of mIoU against the bands of training",
           (None, 1.0), against=TRAINED),
)  # fmt: skip
