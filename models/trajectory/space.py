"""Fitting what is constant in a forecaster: the threshold between standing and moving, bases, anchors."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from benchmarks.models.trajectory.anchors import kmeans
from benchmarks.models.trajectory.forecaster import STATIC, Forecaster
from benchmarks.models.trajectory.frame import Frame, speed
from benchmarks.models.trajectory.ridge import RidgePredictor

Bases = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""From local paths [M, T, 2] and [M, P, 2] to orthonormal bases [2 T, k] and [2 P, k] of either."""


def fit_space(
    forecaster: Forecaster,
    obs: Tensor,
    pred: Tensor,
    bases: Bases,
    *,
    threshold: float | None = None,
    restarts: int = 10,
    seed: int = 0,
) -> None:
    """Sets the buffers of a forecaster from paths [M, T, 2] and [M, P, 2] in world metres, seen also in a mirror.

    Without a threshold Otsu's is taken. A class with fewer paths than anchors is fitted on the paths of all classes.
    A ridge predictor is fitted too, and the anchors are then those of what it leaves.
    """
    mirror = torch.tensor([1.0, -1.0])
    obs, pred = torch.cat([obs, obs * mirror]), torch.cat([pred, pred * mirror])
    pace = speed(obs)
    forecaster.threshold.fill_(otsu(pace) if threshold is None else threshold)
    for index in range(len(forecaster.basis)):
        moving = len(forecaster.basis) > 1 and index != STATIC
        chosen = torch.ones_like(pace, dtype=torch.bool)
        if len(forecaster.basis) > 1:
            chosen = (pace > forecaster.threshold) == moving
            if chosen.sum() < forecaster.samples:
                chosen = pace > 0 if moving else torch.ones_like(chosen)
        frame = Frame.of(obs[chosen], torch.full((int(chosen.sum()),), moving))
        seen, future = frame.to_local(obs[chosen]), frame.to_local(pred[chosen])
        obs_basis, basis = bases(seen, future)
        forecaster.obs_basis[index], forecaster.basis[index] = obs_basis, basis
        coefficients = future.flatten(1) @ basis.to(future.dtype)
        if isinstance(forecaster.predictor, RidgePredictor):
            given = seen.flatten(1) @ obs_basis.to(seen.dtype)
            coefficients = coefficients - forecaster.predictor.fit(index, given, coefficients)
        centres, counts = kmeans(coefficients, forecaster.samples, restarts=restarts, seed=seed)
        forecaster.anchors[index] = centres
        forecaster.popularity[index] = (counts.clamp_min(1) / counts.sum()).log()


def otsu(values: Tensor) -> float:
    """The threshold that leaves the least variance within the two classes it makes (Otsu 1979), over all cuts of [M]."""
    ordered = values.double().sort().values
    count = torch.arange(1, len(ordered), dtype=torch.float64)
    below = ordered.cumsum(0)[:-1]
    total = ordered.sum()
    between = (below / count - total / len(ordered)).square() * count / (len(ordered) - count)
    cut = int(between.argmax()) if len(between) else 0
    return float(ordered[cut : cut + 2].mean())
