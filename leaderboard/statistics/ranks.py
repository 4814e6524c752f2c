"""Ranks that claim no more than the data: rank ranges within a table, average ranks and their tests across tasks."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from benchmarks.errors import BenchmarkError


class RankRanges(NamedTuple):
    """Best and worst rank (1 = first) of each row that significance allows, int64 [k] each."""

    best: np.ndarray
    worst: np.ndarray


class Friedman(NamedTuple):
    """Friedman's chi-squared statistic with k - 1 degrees of freedom and its p value."""

    statistic: float
    p: float


def rank_ranges(better: np.ndarray) -> RankRanges:
    """Rank ranges from `better` [k, k], True where row i is significantly better than column j."""
    return RankRanges(1 + better.sum(axis=0), len(better) - better.sum(axis=1))


def average_ranks(scores: np.ndarray, *, maximize: bool = True) -> np.ndarray:
    """The mean over tasks of the ranks of k methods, float64 [k], from `scores` [tasks, k]; ties share their mean rank.

    Raises BenchmarkError where a score is missing: an average over other tasks is another figure.
    """
    return _ranks(scores, maximize).mean(axis=0)


def friedman(scores: np.ndarray) -> Friedman:
    """Friedman's test that k methods rank alike over tasks, with the correction for ties; `scores` [tasks, k], k >= 3.

    Which direction is better does not matter. p is 1 where all methods tie on every task. Source: J. Demsar,
    Statistical Comparisons of Classifiers over Multiple Data Sets, JMLR 7 (2006), section 3.2.2.
    """
    ranks = _ranks(scores, maximize=True)
    n, k = ranks.shape
    if k < 3:
        raise BenchmarkError(f"Friedman's test was given {k} methods. It needs three or more: compare two as a pair.")
    # The variance of the ranks as they are; without ties it is k (k + 1) / 12, with them it is smaller.
    variance = ranks.var(axis=1, ddof=1).sum() / n
    if variance == 0:
        return Friedman(0.0, 1.0)
    from scipy.special import chdtrc

    statistic = float(n * ((ranks.mean(axis=0) - (k + 1) / 2) ** 2).sum() / variance)
    return Friedman(statistic, float(chdtrc(k - 1, statistic)))


def nemenyi_cd(k: int, n: int, alpha: float = 0.05) -> float:
    """The critical difference of average ranks of `k` methods over `n` tasks (Nemenyi; Demsar 2006, section 3.2.2)."""
    from scipy.stats import studentized_range

    q = float(studentized_range.ppf(1 - alpha, k, np.inf)) / math.sqrt(2)
    return q * math.sqrt(k * (k + 1) / (6 * n))


def _ranks(scores: np.ndarray, maximize: bool) -> np.ndarray:
    from scipy.stats import rankdata

    scores = np.asarray(scores, dtype=np.float64)
    missing = int(np.isnan(scores).sum())
    if missing:
        raise BenchmarkError(
            f"{missing} of {scores.size} scores of {scores.shape[1]} methods on {scores.shape[0]} tasks are "
            "missing. Ranks are averaged over complete rows only: run the missing pairs, or leave out those methods."
        )
    return rankdata(-scores if maximize else scores, axis=1)
