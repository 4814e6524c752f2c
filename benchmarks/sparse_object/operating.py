"""What other thresholds would give: precision and recall, the ROC of pixels, and targets found against false alarms."""

from __future__ import annotations

import numpy as np

from benchmarks.metric import Operating, Samples
from benchmarks.segmentation.pixels import THRESHOLD, counted_pixels
from benchmarks.sparse_object.sweep import THRESHOLDS, sweep


def precision_recall(samples: Samples) -> np.ndarray:
    """(threshold, recall, precision) of the pixels of all images; NaN where nothing is detected."""
    hits, alarms, objects, _ = _pooled(samples)
    with np.errstate(invalid="ignore"):
        return np.column_stack([THRESHOLDS, hits / objects, hits / (hits + alarms)])


def roc(samples: Samples) -> np.ndarray:
    """(threshold, false positive rate, true positive rate) of the pixels of all images."""
    hits, alarms, objects, others = _pooled(samples)
    with np.errstate(invalid="ignore"):
        return np.column_stack([THRESHOLDS, alarms / others, hits / objects])


def targets_found(samples: Samples) -> np.ndarray:
    """(threshold, Fa in millionths, Pd in percent) by centroids; Pd falls again where detections grow together."""
    found, alarms = sweep(samples).rates(None)
    return np.column_stack([THRESHOLDS, 1e6 * alarms, 100 * found])


def _pooled(samples: Samples) -> tuple[np.ndarray, np.ndarray, np.float64, np.float64]:
    """Object and other pixels above every threshold [k], and all there are of either."""
    above, there = np.zeros((2, len(THRESHOLDS))), np.zeros(2)
    for soft, mask in counted_pixels(samples):
        for kind, values in enumerate((soft[mask], soft[~mask])):
            limits = THRESHOLDS.astype(values.dtype)
            above[kind] += len(values) - np.searchsorted(np.sort(values), limits, side="right")
            there[kind] += len(values)
    return above[0], above[1], there[0], there[1]


CURVES = (
    Operating("Precision and recall of pixels", "recall", "precision", precision_recall, THRESHOLD),
    Operating("ROC of pixels", "false positive rate", "true positive rate", roc, THRESHOLD, logarithmic=True),
    Operating("Targets and false alarms", "fa (1e-6)", "pd (%)", targets_found, THRESHOLD, most=100.0, logarithmic=True),
)  # fmt: skip
