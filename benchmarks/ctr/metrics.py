"""How click predictions are judged. `label` is 0 or 1, `prediction` a probability, `unit` the user (or the impression).

All sums run in float64 over impressions, never over batch averages. Probabilities are clipped to [1e-7, 1 - 1e-7] in the
logarithms, so that one certain mistake costs 16.1 nats.
"""

from __future__ import annotations

import numpy as np

from benchmarks.ctr.ranking import (
    mean_average_precision,
    mean_reciprocal_rank,
    ndcg_at_10,
    of_finite,
    without_users,
)
from benchmarks.leaderboard.statistics.roc import weighted_auc
from benchmarks.metric import Metric, Samples, Statistic, mean_of

CLIP = 1e-7


@of_finite
def auc(samples: Samples) -> Statistic:
    """The chance that a click is scored above a non-click, ties counted half; undefined for a single class."""
    prepared = weighted_auc(samples["label"], samples["prediction"])
    return Statistic(prepared.value, len(samples["label"]), reason=prepared.reason)


@of_finite
def log_loss(samples: Samples) -> Statistic:
    """Mean binary cross-entropy in nats."""
    return mean_of(_cross_entropy(samples))


@of_finite
def normalised_entropy(samples: Samples) -> Statistic:
    """Log loss over the entropy of the click rate (He et al. 2014): 1 is what the constant click rate achieves."""
    loss, label = _cross_entropy(samples), samples["label"].astype(np.float64)

    def value(weights: np.ndarray | None) -> float:
        w = np.ones(len(label)) if weights is None else weights
        rate = np.average(label, weights=w)
        if not 0.0 < rate < 1.0:
            return float("nan")
        entropy = -(rate * np.log(rate) + (1 - rate) * np.log1p(-rate))
        return float(np.average(loss, weights=w) / entropy)

    return Statistic(value, len(label), reason=_single_class(label))


@of_finite
def calibration(samples: Samples) -> Statistic:
    """Predicted clicks over clicks: 1 is calibrated, above 1 over-confident in clicks."""
    label, prediction = samples["label"].astype(np.float64), samples["prediction"].astype(np.float64)

    def value(weights: np.ndarray | None) -> float:
        clicks = label.sum() if weights is None else weights @ label
        predicted = prediction.sum() if weights is None else weights @ prediction
        return float(predicted / clicks) if clicks > 0 else float("nan")

    return Statistic(value, len(label), reason=None if label.any() else "no impression was clicked")


@of_finite
def grouped_auc(samples: Samples) -> Statistic:
    """AUC within each user, weighted by impressions (Zhou et al. 2018); users of a single class are dropped and counted."""
    label = samples["label"] > 0.5
    if reason := without_users(samples):
        return Statistic(lambda _: float("nan"), 0, len(label), reason)
    user_of = np.unique(samples["unit"], return_inverse=True)[1]
    order = np.lexsort((samples["prediction"], user_of))
    user, score, positive = user_of[order], samples["prediction"][order], label[order]
    count = np.bincount(user)
    start = np.concatenate(([0], np.cumsum(count)[:-1]))
    rank = _mid_ranks(user, score) - start[user]
    positives = np.bincount(user, positive)
    negatives = count - positives
    kept = (positives > 0) & (negatives > 0)
    if not kept.any():
        return Statistic(lambda _: float("nan"), 0, len(label), "no user has clicks and others")
    rank_sum = np.bincount(user, rank * positive)
    per_user = (rank_sum[kept] - positives[kept] * (positives[kept] + 1) / 2) / (positives[kept] * negatives[kept])
    return _mean_over_users(per_user, order[start[kept]], count[kept], int(len(label) - count[kept].sum()))


def _mean_over_users(values: np.ndarray, first_row: np.ndarray, impressions: np.ndarray, dropped: int) -> Statistic:
    """A mean of per-user values whose bootstrap weight is that of each user's first row (a user is drawn whole)."""
    mean = mean_of(values, dropped, counts=impressions)
    return Statistic(
        lambda w: mean.value(None if w is None else w[first_row]), int(impressions.sum()), dropped, mean.reason
    )


def _mid_ranks(group: np.ndarray, score: np.ndarray) -> np.ndarray:
    """Ranks from 1 over the whole sorted array, ties within a group averaged."""
    new = np.concatenate(([True], (np.diff(group) != 0) | (np.diff(score) != 0)))
    tie = np.cumsum(new) - 1
    size = np.bincount(tie)
    last = np.cumsum(size)
    return (last - (size - 1) / 2)[tie]


def _cross_entropy(samples: Samples) -> np.ndarray:
    p = np.clip(samples["prediction"].astype(np.float64), CLIP, 1 - CLIP)
    return -np.where(samples["label"] > 0.5, np.log(p), np.log1p(-p))


def _single_class(label: np.ndarray) -> str | None:
    if len(label) and 0 < label.sum() < len(label):
        return None
    return f"all {len(label)} impressions have the label {int(label[0])}" if len(label) else "there is no impression"


UNIT = "users"

SHARE = (0.0, 1.0)
POSITIVE = (0.0, None)

METRICS = (
    Metric("auc", 1, "", "max", "rank_statistic", auc, "Area under the ROC curve", SHARE, perfect=1.0),
    Metric("logloss", 1, "nats", "min", "mean_of_samples", log_loss, "Mean binary cross-entropy", POSITIVE, perfect=0.0),
    Metric("ne", 1, "", "min", "pooled", normalised_entropy, "Normalised entropy", POSITIVE, perfect=0.0),
    Metric("calibration", 1, "", "target", "pooled", calibration, "Predicted clicks over clicks", POSITIVE, perfect=1.0),
    Metric("gauc", 1, "", "max", "rank_statistic", grouped_auc, "AUC within users", SHARE, perfect=1.0),
    Metric("ndcg@10", 1, "", "max", "mean_of_samples", ndcg_at_10, "NDCG of each user's impressions", SHARE, perfect=1.0),
    Metric(
        "mrr", 1, "", "max", "mean_of_samples", mean_reciprocal_rank, "Reciprocal rank of the first click", SHARE,
        perfect=1.0,
    ),
    Metric(
        "map", 1, "", "max", "mean_of_samples", mean_average_precision, "Average precision of each user", SHARE,
        perfect=1.0,
    ),
)  # fmt: skip
