"""Do 95 % intervals hold the truth in 95 of 100 test sets? Simulated test sets whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import ndtr

from benchmarks.leaderboard.statistics.bootstrap import Resampler, interval
from benchmarks.leaderboard.statistics.roc import weighted_auc

TRIALS, RESAMPLES = 1000, 400
USERS, CLICKS = 150, 4
UNITS = np.repeat(np.arange(USERS), CLICKS)


@pytest.fixture(scope="module")
def drawn() -> np.ndarray:
    """The weights of samples [B, n]: every trial has the same users, hence the same draws."""
    return np.stack(list(Resampler(UNITS, RESAMPLES))).astype(np.float64)


def covered(truth: float, replicates: np.ndarray) -> bool:
    low, high, _ = interval(replicates)
    return low <= truth <= high


@pytest.mark.slow
@pytest.mark.parametrize("shape", ["normal", "skewed"])
def test_the_interval_of_a_mean_over_clustered_samples_covers(drawn, shape):
    rng = np.random.default_rng(1)
    hits = {"users": 0, "samples": 0}
    by_sample = np.stack(list(Resampler(np.arange(len(UNITS)), RESAMPLES))) / len(UNITS)
    for _ in range(TRIALS):
        user = rng.normal(size=USERS) if shape == "normal" else rng.exponential(size=USERS) - 1
        values = 2 + user[UNITS] + rng.normal(size=len(UNITS))
        hits["users"] += covered(2, drawn @ values / drawn.sum(axis=1))
        hits["samples"] += covered(2, by_sample @ values)
    assert 0.93 * TRIALS <= hits["users"] <= 0.97 * TRIALS
    # Samples of one user are not independent: whoever resamples them is too sure.
    assert hits["samples"] < 0.85 * TRIALS


@pytest.mark.slow
def test_the_interval_of_an_auc_over_users_covers(drawn):
    """Scores of a positive: separation of its user + level of its user + noise; so positive less negative of two users is
    normal with mean d and variance (spread of separations) + 2 (spread of levels) + 2, and the AUC is known."""
    rng = np.random.default_rng(2)
    d, separation, level = 1.0, 0.8, 0.6
    truth = float(ndtr(d / np.sqrt(separation**2 + 2 * level**2 + 2)))
    hits = 0
    for _ in range(TRIALS):
        label = (rng.random(len(UNITS)) < 0.5).astype(int)
        own = rng.normal(d, separation, USERS)[UNITS], rng.normal(0, level, USERS)[UNITS]
        auc = weighted_auc(label, label * own[0] + own[1] + rng.normal(size=len(UNITS)))
        hits += covered(truth, np.array([auc.value(weights) for weights in drawn]))
    assert 0.93 * TRIALS <= hits <= 0.97 * TRIALS
