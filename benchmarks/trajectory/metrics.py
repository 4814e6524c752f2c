"""How trajectory forecasts are judged: distances in metres, averaged over pedestrians and never over windows.

`forecast` [N, S, T, 2] holds S futures of each pedestrian and `probability` [N, S] how likely each is; `pred` [N, T, 2] is
what happened, `group` [N] the window, `unit` the pedestrian. "@k" keeps the k most probable samples (ties in their order)
and takes the best of them by the truth: an oracle, which rewards spread. The value at k = 1, the joint minima (one
sample for the whole window, as in Social GAN, Gupta et al. 2018) and the energy score are what it is to be read beside.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from benchmarks.metric import Metric, Samples, Statistic, mean_of
from benchmarks.trajectory.calibration import energy
from benchmarks.trajectory.collision import col, col_whole_horizon

ROWS_AT_ONCE = 512


def min_ade(samples: Samples, k: int) -> Statistic:
    """Each pedestrian's smallest displacement, averaged over time steps, among its k most probable samples."""
    return mean_of(average_displacement(_most_probable(samples, k), samples["pred"]).min(axis=1))


def min_fde(samples: Samples, k: int) -> Statistic:
    """Each pedestrian's smallest displacement at the last step among its k most probable samples."""
    return mean_of(_best_final(samples, k))


def miss_rate(samples: Samples, k: int, distance: float) -> Statistic:
    """The share of pedestrians, in percent, whose k most probable samples all end further than `distance` away."""
    best = _best_final(samples, k)
    return mean_of(np.where(np.isnan(best), np.nan, 100.0 * (best > distance)))


def joint_ade(samples: Samples, k: int) -> Statistic:
    """Average displacement where one sample is chosen for a whole window: the best on average over its pedestrians."""
    return mean_of(_jointly_best(average_displacement(samples["forecast"], samples["pred"]), samples, k))


def joint_fde(samples: Samples, k: int) -> Statistic:
    """Final displacement where one sample is chosen for a whole window: the best on average over its pedestrians."""
    return mean_of(_jointly_best(final_displacement(samples["forecast"], samples["pred"]), samples, k))


def correlation(samples: Samples) -> Statistic:
    """TCC: Pearson's correlation with the truth over time, of x and of y, of the sample that ends nearest to it.

    A coordinate that does not change, predicted or true, counts 0: a standing pedestrian scores 0 even where it is predicted
    perfectly. Single precision would turn some of these into -1 or 1 by the rounding of their mean, and which depends on
    the memory layout (hotel under constant velocity: 0.242 with torch.corrcoef, 0.208 here).
    """
    nearest = final_displacement(samples["forecast"], samples["pred"]).argmin(axis=1)
    forecast = _centred(samples["forecast"][np.arange(len(nearest)), nearest])
    truth = _centred(samples["pred"])
    scale = np.sqrt((forecast**2).sum(axis=1) * (truth**2).sum(axis=1))
    product = (forecast * truth).sum(axis=1) / np.where(scale == 0, 1.0, scale)
    return mean_of(np.clip(product, -1.0, 1.0).mean(axis=1))


def average_displacement(forecast: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """[N, S] Euclidean distances of forecasts [N, S, T, 2] from [N, T, 2], averaged over time steps."""
    average = np.empty(forecast.shape[:2])
    for start in range(0, len(forecast), ROWS_AT_ONCE):
        rows = slice(start, start + ROWS_AT_ONCE)
        average[rows] = _distance(forecast[rows], truth[rows, None]).mean(axis=2)
    return average


def final_displacement(forecast: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """[N, S] Euclidean distances of forecasts [N, S, T, 2] from [N, T, 2] at the last step."""
    return _distance(forecast[:, :, -1], truth[:, None, -1])


def _distance(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    apart = a.astype(np.float64) - b
    return np.sqrt(apart[..., 0] ** 2 + apart[..., 1] ** 2)


def _centred(track: np.ndarray) -> np.ndarray:
    # The first position is taken off first, so that a constant coordinate becomes exactly zero.
    moved = track.astype(np.float64) - track[:, :1]
    return moved - moved.mean(axis=1, keepdims=True)


def _best_final(samples: Samples, k: int) -> np.ndarray:
    return final_displacement(_most_probable(samples, k), samples["pred"]).min(axis=1)


def _most_probable(samples: Samples, k: int) -> np.ndarray:
    forecast = samples["forecast"]
    if k >= forecast.shape[1]:
        return forecast
    return np.take_along_axis(forecast, _ranking(samples["probability"])[:, :k, None, None], axis=1)


def _jointly_best(displacement: np.ndarray, samples: Samples, k: int) -> np.ndarray:
    """Each pedestrian's displacement at its window's best sample, among the k that are most probable over the window."""
    windows, window = np.unique(samples["group"], return_inverse=True)
    total, probability = np.zeros((2, len(windows), displacement.shape[1]))
    np.add.at(total, window, displacement)
    np.add.at(probability, window, samples["probability"])
    offered = _ranking(probability)[:, :k]
    best = np.take_along_axis(total, offered, axis=1).argmin(axis=1)
    sample = offered[np.arange(len(windows)), best]
    return displacement[np.arange(len(window)), sample[window]]


def _ranking(probability: np.ndarray) -> np.ndarray:
    return np.argsort(-probability, axis=1, kind="stable")


UNIT = "pedestrians"

DISTANCE = (0.0, None)
PERCENT = (0.0, 100.0)

METRICS = (
    *(
        Metric(
            f"{name}@{k}", 1, "m", "min", "mean_of_samples", partial(statistic, k=k), summary.format(k), DISTANCE,
            perfect=0.0,
        )
        for k in (20, 1, 3, 5)
        for name, statistic, summary in (
            ("minade", min_ade, "Average displacement, best of the {} most probable samples"),
            ("minfde", min_fde, "Final displacement, best of the {} most probable samples"),
        )
    ),
    *(
        Metric(
            f"{name}@20", 1, "m", "min", "mean_of_samples", partial(statistic, k=20), summary, DISTANCE, perfect=0.0
        )
        for name, statistic, summary in (
            ("jade", joint_ade, "The best joint sample's ADE"),
            ("jfde", joint_fde, "The best joint sample's FDE"),
        )
    ),
    # The true tracks collide at times, and stand still at times: neither 0 % nor a correlation of 1 is what they score.
    Metric("col", 1, "%", "min", "mean_of_samples", col, "Collisions within 1.7 s, as published", PERCENT),
    Metric("tcc", 1, "", "max", "mean_of_samples", correlation, "Correlation with the true track", (-1.0, 1.0)),
    Metric("col@4.8s", 1, "%", "min", "mean_of_samples", col_whole_horizon, "Collisions within 4.8 s", PERCENT),
    Metric(
        "energy", 1, "m", "min", "mean_of_samples", energy, "Energy score, a mean over time steps", DISTANCE, perfect=0.0
    ),
    *(
        Metric(
            f"miss@{distance:g}m", 1, "%", "min", "mean_of_samples", partial(miss_rate, k=20, distance=distance),
            f"Pedestrians whose 20 samples all end over {distance:g} m off", PERCENT, perfect=0.0,
        )
        for distance in (2.0, 0.5)
    ),
)  # fmt: skip
