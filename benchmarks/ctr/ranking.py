"""Per-user ranking metrics by ranx, with its traps closed.

A user's impressions are the candidates, the clicked ones relevant. Ties are broken by a fixed random order and never by
the order of the file (which would give a constant model whatever rank the positives happen to stand at); candidates are
impressions, not items (one item may be shown twice); users without a click are dropped and counted, not scored 0.
ranx's kernels take lists of arrays: this saves the dictionaries of its Qrels and Run, half a minute on a fresh machine.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import wraps

import numpy as np

from benchmarks.metric import Samples, Statistic, mean_of

TIE_SEED = 20211


def of_finite(statistic: Callable[[Samples], Statistic]) -> Callable[[Samples], Statistic]:
    """The statistic where all predictions are numbers; else undefined with how many are not, which sorting would rank alike."""

    @wraps(statistic)
    def checked(samples: Samples) -> Statistic:
        n = len(samples["prediction"])
        if broken := n - int(np.isfinite(samples["prediction"]).sum()):
            return Statistic(lambda _: float("nan"), 0, n, f"{broken} of {n} predictions are not finite")
        return statistic(samples)

    return checked


@of_finite
def ndcg_at_10(samples: Samples) -> Statistic:
    """Normalised discounted cumulative gain of the first ten (linear gain; the same as 2^rel - 1 for clicks)."""
    from ranx.metrics import ndcg

    return _per_user(samples, lambda qrels, run: ndcg(qrels, run, 10, 1))


@of_finite
def mean_reciprocal_rank(samples: Samples) -> Statistic:
    """One over the rank of the first clicked impression."""
    from ranx.metrics import reciprocal_rank

    return _per_user(samples, lambda qrels, run: reciprocal_rank(qrels, run, 0, 1))


@of_finite
def mean_average_precision(samples: Samples) -> Statistic:
    """Mean precision at the ranks of clicked impressions."""
    from ranx.metrics import average_precision

    return _per_user(samples, lambda qrels, run: average_precision(qrels, run, 0, 1))


def without_users(samples: Samples) -> str | None:
    """Why nothing can be ranked within users where each impression is a unit of its own, as in logs without a user field."""
    n = len(samples["unit"])
    if n and len(np.unique(samples["unit"])) == n:
        return f"each of the {n} impressions is a unit of its own, so that there are no users to rank within"
    return None


def _per_user(samples: Samples, kernel: Callable) -> Statistic:
    # A single impression has rank 1 whatever its score: the mean would be 1 for every model.
    if reason := without_users(samples):
        return Statistic(lambda _: float("nan"), 0, len(samples["unit"]), reason)
    qrels, run, first_row, dropped = _lists(samples)
    if not len(first_row):
        return Statistic(lambda _: float("nan"), 0, dropped, "no user has a click")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # ranx casts unsigned ranks; numba remarks on it
        mean = mean_of(np.asarray(kernel(qrels, run)), dropped)
    return Statistic(lambda w: mean.value(None if w is None else w[first_row]), len(first_row), dropped)


def _lists(samples: Samples):
    """ranx's two inputs, the row of each kept user's first impression, and the number of users dropped."""
    from numba.typed import List

    user = np.unique(samples["unit"], return_inverse=True)[1]
    tie_break = np.random.default_rng(TIE_SEED).permutation(len(user))
    order = np.lexsort((tie_break, -samples["prediction"].astype(np.float64), user))
    clicked = samples["label"][order] > 0.5
    starts = np.flatnonzero(np.diff(user[order], prepend=-1))
    qrels, run, first_row, dropped = List(), List(), [], 0
    for start, stop in zip(starts, [*starts[1:], len(order)], strict=True):
        hits = np.flatnonzero(clicked[start:stop]).astype(np.float64)
        if not len(hits):
            dropped += 1
            continue
        rank = np.arange(stop - start, dtype=np.float64)
        qrels.append(np.column_stack((hits, np.ones_like(hits))))
        run.append(np.column_stack((rank, rank[::-1])))
        first_row.append(order[start])
    return qrels, run, np.array(first_row, dtype=np.int64), dropped
