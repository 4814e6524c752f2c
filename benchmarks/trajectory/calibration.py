"""How far a forecast's probabilities can be trusted, which the best of many samples never asks."""

from __future__ import annotations

import numpy as np

from benchmarks.metric import Samples, Statistic, mean_of

ROWS_AT_ONCE = 512


def energy(samples: Samples) -> Statistic:
    """The energy score in metres, a proper score of samples with probabilities, averaged over time steps.

    At each step sum_s p_s |y_s - y| - 1/2 sum_st p_s p_t |y_s - y_t| (Gneiting and Raftery 2007, section 4.3), with p in
    proportion to `probability`. A single sample scores its average displacement.
    """
    return mean_of(energy_score(samples["forecast"], samples["probability"], samples["pred"]))


def energy_score(forecast: np.ndarray, probability: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """[N] energy scores of forecasts [N, S, T, 2] with probabilities [N, S] against [N, T, 2]."""
    scores = np.empty(len(forecast))
    for start in range(0, len(forecast), ROWS_AT_ONCE):
        rows = slice(start, start + ROWS_AT_ONCE)
        # Samples first and coordinates apart: every operation below then runs over long stretches of memory.
        x, y = np.ascontiguousarray(np.moveaxis(forecast[rows].astype(np.float64), (3, 1), (0, 1)))
        p = probability[rows].T.astype(np.float64)
        p = p / p.sum(axis=0)
        to_truth = np.sqrt((x - truth[rows, :, 0]) ** 2 + (y - truth[rows, :, 1]) ** 2)
        score = (p * to_truth.mean(axis=2)).sum(axis=0)
        for s in range(1, len(x)):
            apart = np.sqrt((x[s] - x[:s]) ** 2 + (y[s] - y[:s]) ** 2).mean(axis=2)
            score -= p[s] * (p[:s] * apart).sum(axis=0)
        scores[rows] = score
    return scores
