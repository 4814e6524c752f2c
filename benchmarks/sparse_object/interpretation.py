"""Is the background of low rank and are the objects sparse? All stages of a network measured in one forward pass.

The authors' own measures are of backgrounds on whatever scale a stage gives them; beside them stand measures that a factor of
the background does not change. The loss sees the last stage alone, so that earlier ones need not look like what they are called.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from benchmarks.models.sparse_object.lowrankness import hoyer_sparsity, of_singular_values
from benchmarks.sparse_object.supervision import stages_of

LEADING = 10
"""Singular values that the authors plot."""


class StageReport(NamedTuple):
    """Of one stage, the mean over images.

    Scale-free: `energy_rank`, `effective_rank` and `nuclear` of the background (see LowRankness) and `hoyer`, the sparsity of
    what is positive of the objects. The authors': `leading` and `leading_std`, the first singular values of what is positive
    of the background and their standard deviations, and `positive` and `positive_std`, the share of pixels whose objects are
    positive and its sample standard deviation (0 for a single image).
    """

    energy_rank: float
    effective_rank: float
    nuclear: float
    hoyer: float
    leading: np.ndarray
    leading_std: np.ndarray
    positive: float
    positive_std: float


@torch.no_grad()
def interpret(network: nn.Module, image: torch.Tensor) -> list[StageReport]:
    """Measures of every stage on images [n, 1, h, w] as the network sees them; BenchmarkError for one without stages."""
    return [_report(stage.background[:, 0], stage.objects[:, 0]) for stage in stages_of(network, image)]


def _report(background: torch.Tensor, objects: torch.Tensor) -> StageReport:
    plain, rectified = torch.linalg.svdvals(torch.stack((background, background.clamp(min=0))).double()).cpu().numpy()
    energy_rank, effective_rank, nuclear = np.mean([of_singular_values(values) for values in plain], 0).tolist()
    positive = objects.clamp(min=0).cpu().numpy()
    shares = (positive > 0).mean((1, 2))
    return StageReport(
        energy_rank,
        effective_rank,
        nuclear,
        float(np.mean([hoyer_sparsity(each) for each in positive])),
        rectified[:, :LEADING].mean(0),
        rectified[:, :LEADING].std(0),
        float(shares.mean()),
        float(shares.std(ddof=1)) if len(shares) > 1 else 0.0,
    )
