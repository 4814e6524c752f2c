"""k-means with all restarts as one problem: the anchors of EigenTrajectory."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from benchmarks.errors import BenchmarkError

CHUNK = 2048
TOLERANCE = 1e-4
"""A restart has converged when its centres move by no more than this share of a feature's variance, summed and squared."""


def kmeans(
    points: Tensor, clusters: int, *, restarts: int = 10, iterations: int = 300, seed: int = 0
) -> tuple[Tensor, Tensor]:
    """The centres [clusters, k] with the least sum of squared distances from points [M, k], and their counts [clusters].

    Lloyd's iterations from greedy k-means++ starts (Arthur and Vassilvitskii, SODA 2007); the best of `restarts` is
    kept. Centres stand in falling order of counts, which are zero only where there are fewer distinct points than
    clusters. One seed gives one result. Fewer points than clusters, or points that are not finite, raise BenchmarkError.
    """
    if not 1 <= clusters <= len(points):
        raise BenchmarkError(
            f"{len(points)} points cannot be grouped into {clusters} clusters. Give a number from 1 to {len(points)}."
        )
    if not torch.isfinite(points).all():
        raise BenchmarkError("Points to be grouped hold NaN or infinity. Give finite points only.")
    mean = points.to(torch.float64).mean(0)
    # Around their mean, float32 tells distances apart although |x|^2 - 2 x.c + |c|^2 cancels.
    x = (points - mean).to(torch.float32)
    centres = _plus_plus(x, clusters, restarts, torch.Generator().manual_seed(seed))
    moving = torch.arange(restarts, device=x.device)
    enough = TOLERANCE * x.var(0, correction=0).mean()
    for _ in range(iterations):
        before = centres[moving]
        sums, counts, nearest = _assign(x, before)
        after = torch.where(counts[..., None] > 0, sums / counts[..., None].clamp(min=1), before)
        after = _reseed(x, after, counts, nearest)
        centres[moving] = after
        moving = moving[(after - before).square().sum((1, 2)) > enough]
        if not len(moving):
            break
    _, counts, nearest = _assign(x, centres)
    best = nearest.sum(1, dtype=torch.float64).argmin()
    order = counts[best].argsort(descending=True, stable=True)
    return (centres[best, order] + mean).to(points), counts[best, order].to(torch.int64)


def _assign(x: Tensor, centres: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """For centres [R, C, k]: sums [R, C, k] and counts [R, C] of the points nearest to each, squared distances [R, M]."""
    restarts, clusters, size = centres.shape
    # Clusters come first: a minimum over the first dimension runs along memory, and so is far faster than an argmin.
    columns = centres.transpose(0, 1).reshape(-1, size)
    columns = torch.cat((-2 * columns, columns.square().sum(1, keepdim=True)), dim=1)
    extended = torch.cat((x, torch.ones_like(x[:, :1])), dim=1)
    totals = torch.zeros(clusters * restarts, size + 1, dtype=torch.float64, device=x.device)
    nearest = x.new_empty(restarts, len(x))
    start = 0
    for chunk in extended.split(CHUNK):
        scores = (columns @ chunk.T).view(clusters, -1)
        least = scores.amin(0)
        hits = scores.eq_(least)
        parts = hits.view(-1, len(chunk)) @ chunk
        if parts[:, -1].sum() > len(least):
            # A point at equal distances belongs to the first of them.
            hits *= hits.cumsum(0) == 1
            parts = hits.view(-1, len(chunk)) @ chunk
        totals += parts
        nearest[:, start : start + len(chunk)] = least.view(restarts, -1)
        start += len(chunk)
    totals = totals.view(clusters, restarts, -1).transpose(0, 1)
    nearest += x.square().sum(1)
    return totals[..., :-1].to(x), totals[..., -1].to(x), nearest.clamp_(min=0)


def _reseed(x: Tensor, centres: Tensor, counts: Tensor, nearest: Tensor) -> Tensor:
    """Moves the centres of empty clusters to the points that are farthest from their own."""
    for restart in torch.nonzero((counts == 0).any(1)).flatten():
        empty = torch.nonzero(counts[restart] == 0).flatten()
        distances, rows = nearest[restart].topk(len(empty))
        far = distances > 0
        centres[restart, empty[far]] = x[rows[far]]
    return centres


def _plus_plus(x: Tensor, clusters: int, restarts: int, generator: torch.Generator) -> Tensor:
    """Starts [restarts, clusters, k]: each next centre is the best of a few points drawn by their squared distance."""
    trials = 2 + int(math.log(clusters))
    norms = x.square().sum(1)

    def distances(rows: Tensor) -> Tensor:
        """Squared, from the points of these rows [R, n] to all: [R, n, M]."""
        chosen = x[rows.flatten()]
        scores = torch.addmm(norms[rows].view(-1, 1) + norms, chosen, x.T, alpha=-2)
        return scores.clamp_(min=0).view(*rows.shape, -1)

    def uniform(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=generator, dtype=torch.float64).to(x.device)

    first = (uniform(restarts, 1) * len(x)).long()
    centres, nearest = [x[first[:, 0]]], distances(first)[:, 0]
    restart = torch.arange(restarts, device=x.device)
    for _ in range(1, clusters):
        reached = nearest.to(torch.float64).cumsum(1)
        rows = torch.searchsorted(reached, uniform(restarts, trials) * reached[:, -1:], right=True)
        rows = rows.clamp(max=len(x) - 1)
        candidates = torch.minimum(nearest[:, None], distances(rows))
        best = candidates.sum(2).argmin(1)
        centres.append(x[rows[restart, best]])
        nearest = candidates[restart, best]
    return torch.stack(centres, dim=1)
