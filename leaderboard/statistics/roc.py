"""Area under the ROC curve with sample weights, prepared for the bootstrap, and DeLong's test for two scores."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from benchmarks.errors import BenchmarkError


@dataclass(frozen=True)
class PreparedAUC:
    """The AUC of sorted scores: `value(weights)` costs O(n) for each set of weights.

    `order` sorts the samples by score, `positive` (float64, sorted) marks label 1, `starts` are the first positions
    of the groups of equal scores. `reason` says why the unweighted value is undefined, None where it is defined.
    """

    order: np.ndarray
    positive: np.ndarray
    starts: np.ndarray
    reason: str | None

    def value(self, weights: np.ndarray | None = None) -> float:
        """The probability that a positive scores above a negative (a tie: one half); NaN where a class has no weight.

        `weights`: [n] >= 0 in the order of the labels, None for one each.
        """
        if self.reason is not None:
            return math.nan
        if weights is None:
            positive, negative = self.positive, 1 - self.positive
        else:
            sorted_weights = weights[self.order]
            positive = sorted_weights * self.positive
            negative = sorted_weights - positive
        if len(self.starts) < len(self.order):
            positive, negative = np.add.reduceat(positive, self.starts), np.add.reduceat(negative, self.starts)
        below = np.cumsum(negative)
        total = positive.sum() * below[-1]
        return float(positive @ (below - 0.5 * negative) / total) if total > 0 else math.nan


@dataclass(frozen=True)
class DeLong:
    """Two AUCs on the same samples; z and p (two-sided) are None where the scores differ without any variance."""

    auc_a: float
    auc_b: float
    difference: float
    standard_error: float
    z: float | None
    p: float | None


def weighted_auc(label: np.ndarray, score: np.ndarray) -> PreparedAUC:
    """Prepares the AUC of `score` [n] (any real number; higher means label 1) against `label` [n] of 0 and 1."""
    positive, score = _checked(label, score)
    order = np.argsort(score, kind="stable")
    ranked = score[order]
    starts = np.flatnonzero(np.concatenate(([True], ranked[1:] != ranked[:-1]))) if len(ranked) else order
    n_positive, n_nan = int(positive.sum()), int(np.isnan(score).sum())
    reason = None
    if n_nan:
        reason = f"{n_nan} of {len(score)} scores are NaN"
    elif n_positive in (0, len(score)):
        reason = f"AUC needs both classes: {n_positive} positive and {len(score) - n_positive} negative samples"
    return PreparedAUC(order, positive[order].astype(np.float64), starts, reason)


def delong(label: np.ndarray, score_a: np.ndarray, score_b: np.ndarray) -> DeLong:
    """DeLong's test of AUC(a) - AUC(b) on the same independent samples [n].

    Samples that share a user or an image are not independent: the test then understates the error, and the paired
    bootstrap over units is the one to trust. It knows nothing of training noise either. Raises BenchmarkError with
    fewer than two samples of a class. Source: DeLong, DeLong and Clarke-Pearson, Biometrics 44 (1988).
    """
    aucs, of_positive, of_negative = _components(label, np.stack([score_a, score_b]))
    # The variance of the contrast itself, so that equal scores give exactly zero.
    variance = _variance_of_mean(of_positive[0] - of_positive[1]) + _variance_of_mean(of_negative[0] - of_negative[1])
    error = math.sqrt(variance)
    difference = float(aucs[0] - aucs[1])
    z: float | None = difference / error if error > 0 else (0.0 if difference == 0 else None)
    p = None if z is None else math.erfc(abs(z) / math.sqrt(2))
    return DeLong(float(aucs[0]), float(aucs[1]), difference, error, z, p)


def delong_variance(label: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The AUCs [k] of `scores` [k, n] against `label` [n] and their covariance matrix [k, k]; errors as in `delong`."""
    aucs, of_positive, of_negative = _components(label, scores)
    covariance = np.atleast_2d(np.cov(of_positive)) / of_positive.shape[1]
    return aucs, covariance + np.atleast_2d(np.cov(of_negative)) / of_negative.shape[1]


def _components(label: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """AUCs [k] and structural components [k, positives], [k, negatives] by mid-ranks in O(n log n).

    Source: X. Sun and W. Xu, Fast Implementation of DeLong's Algorithm, IEEE Signal Processing Letters 21 (2014).
    """
    from scipy.stats import rankdata

    positive, scores = _checked(label, scores)
    n_positive, n_negative = int(positive.sum()), int((~positive).sum())
    if min(n_positive, n_negative) < 2:
        raise BenchmarkError(
            f"DeLong's test was given {n_positive} positive and {n_negative} negative samples. It estimates a variance "
            "within each class and so needs two of each. Give a larger test set, or compare by the paired bootstrap."
        )
    if np.isnan(scores).any():
        raise BenchmarkError(
            "DeLong's test was given scores that are NaN. Every sample needs a score: leave such runs out."
        )
    overall = rankdata(scores, axis=1)
    among_positive = rankdata(scores[:, positive], axis=1)
    among_negative = rankdata(scores[:, ~positive], axis=1)
    of_positive = (overall[:, positive] - among_positive) / n_negative
    of_negative = 1 - (overall[:, ~positive] - among_negative) / n_positive
    return of_positive.mean(axis=1), of_positive, of_negative


def _checked(label: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    label, scores = np.asarray(label), np.asarray(scores, dtype=np.float64)
    if label.ndim != 1 or scores.shape[-1:] != label.shape:
        raise ValueError(f"Labels of shape {label.shape} do not fit scores of shape {scores.shape}.")
    if not np.isin(label, (0, 1)).all():
        raise BenchmarkError(
            f"AUC was given the labels {np.unique(label)[:5].tolist()}. Allowed are 0 and 1: choose a threshold "
            "that makes them binary, for example `label >= 4`."
        )
    return label.astype(bool), scores


def _variance_of_mean(values: np.ndarray) -> float:
    return float(np.var(values, ddof=1)) / len(values)
