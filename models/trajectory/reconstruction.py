"""How far the best reconstruction of a path within a linear family lies from the path, in the unit of the path."""

from __future__ import annotations

import torch
from torch import Tensor

from benchmarks.errors import BenchmarkError, unknown

CRITERIA = ("lsq", "irls")
ITERATIONS = 40
FLOOR = 1e-6
"""Metres below which a distance weighs no more in the next iteration: the data are rounded to 1e-4."""
CHUNK = 4096


def reconstruct(paths: Tensor, family: Tensor, criterion: str = "lsq") -> Tensor:
    """The paths [N, T, 2] of a family that are nearest to the given ones, float64.

    `family` is a curve [T, m], with control points in the plane, or a basis [2T, k] of vec(path). `lsq` minimises the sum
    of squared distances over the points of each path, `irls` the sum of the distances themselves, by iteratively
    reweighted least squares. An unknown criterion, or a family of another number of points, raises BenchmarkError.
    """
    if criterion not in CRITERIA:
        raise unknown("criterion", criterion, CRITERIA)
    steps = paths.shape[1]
    if len(family) not in (steps, 2 * steps):
        raise BenchmarkError(
            f"A family of {len(family)} rows cannot draw paths of {steps} points. Give a curve [{steps}, m] or a basis "
            f"[{2 * steps}, k]."
        )
    Q = torch.linalg.qr(family.to(paths.device, torch.float64))[0]
    rows, rank = Q.shape
    # A curve fits x and y as two right-hand sides of one system, a basis both at once as one.
    targets = paths.to(torch.float64).reshape(len(paths), rows, 2 * steps // rows)
    fits = Q @ (Q.T @ targets)
    if criterion == "lsq":
        return fits.reshape(paths.shape)
    products = (Q[:, :, None] * Q[:, None, :]).reshape(rows, rank * rank)
    for start in range(0, len(paths), CHUNK):
        target = targets[start : start + CHUNK]
        fit = fits[start : start + CHUNK]
        for _ in range(ITERATIONS):
            distance = (target - fit).reshape(-1, steps, 2).norm(dim=-1)
            weight = distance.clamp(min=FLOOR).reciprocal().repeat_interleave(rows // steps, dim=1)
            system = (weight @ products).view(-1, rank, rank)
            fit = Q @ torch.linalg.solve(system, Q.T @ (weight[:, :, None] * target))
        fits[start : start + CHUNK] = fit
    return fits.reshape(paths.shape)


def reconstruction_error(paths: Tensor, family: Tensor, criterion: str = "lsq") -> float:
    """Mean Euclidean distance between all points of the paths [N, T, 2] and their reconstructions; NaN for no path.

    `family`, `criterion` and errors as in `reconstruct`. EigenTrajectory, arXiv 2307.09306, table 1.
    """
    return (reconstruct(paths, family, criterion) - paths).norm(dim=-1).mean().item()
