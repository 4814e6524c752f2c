"""A cube at full resolution without gaps, by the simplest means: the floor, and where methods in closed form begin."""

from __future__ import annotations

import torch
from torch import Tensor

from benchmarks.models.hsi_restoration.observation import Observation
from benchmarks.models.hsi_restoration.operators import raised

REACH = 2
"""Pixels on either side of which the mean fills a gap."""


def spanning(observation: Observation) -> Tensor:
    """The cube that a subspace is taken from: as it was seen, zeros in many gaps (as the authors have it), few ones filled."""
    return filled(observation) if observation.kind == "denoise" else observation.noisy


def filled(observation: Observation) -> Tensor:
    """[c, h, w]: as it was seen; a lower resolution by bicubic interpolation; gaps by the mean of measured neighbours in the same
    band, or of the band where there are none near."""
    noisy = observation.noisy
    if observation.factor > 1:
        return raised(noisy, observation.factor)
    if observation.observed is None:
        return noisy
    seen = observation.observed.to(noisy.dtype)
    size = 2 * REACH + 1
    sums, counts = (
        torch.nn.functional.avg_pool2d(part[None], size, 1, REACH, count_include_pad=True)[0]
        for part in (noisy * seen, seen)
    )
    counts_of_band = seen.sum((1, 2))
    # A band of which a tile has nothing keeps what the reader put there, the mean over the scene.
    of_band = torch.where(
        counts_of_band > 0, (noisy * seen).sum((1, 2)) / counts_of_band.clamp(min=1), noisy.mean((1, 2))
    )
    near = torch.where(counts > 0, sums / counts.clamp(min=1e-6), of_band[:, None, None])
    return torch.where(observation.observed, noisy, near)
