"""What ranks cost in time: a unit whose costs are nanoseconds in place of parameters, measured on this machine."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from torch import nn

from benchmarks.models.lowrank.allocate import Unit
from benchmarks.models.lowrank.layers import LowRankLinear

CALLS, WARM_UP = 30, 5


def timed(unit: Unit, layer: nn.Linear, batch: int) -> Unit:
    """The unit with the time that `layer` takes for `batch` samples, dense and, from three ranks, a line over all ranks.

    Times are medians on inputs of one allocation; `by_budget` over such units keeps the most energy within a time.
    """
    x = torch.randn(batch, layer.in_features, dtype=layer.weight.dtype, device=layer.weight.device)
    ranks = sorted({1, max(1, unit.max_rank // 4), max(1, unit.max_rank // 2)})
    small = [LowRankLinear(layer.in_features, layer.out_features, rank).to(layer.weight) for rank in ranks]
    taken = [nanoseconds(partial(made, x), layer.weight.device) for made in small]
    per_rank, fixed = np.polyfit(ranks, taken, 1) if len(ranks) > 1 else (0.0, float(taken[0]))
    # Timings scatter: a line that falls would call larger ranks free.
    per_rank = max(1, round(per_rank))
    return replace(
        unit,
        dense_params=nanoseconds(partial(layer, x), layer.weight.device),
        params_per_rank=per_rank,
        fixed_params=max(0, round(fixed)),
    )


@torch.inference_mode()
def nanoseconds(call: Callable[[], object], device: torch.device | str = "cpu") -> int:
    """Median time of a call after a warm-up, synchronised on an accelerator."""
    taken = []
    for number in range(WARM_UP + CALLS):
        _synchronise(device)
        started = time.perf_counter_ns()
        call()
        _synchronise(device)
        if number >= WARM_UP:
            taken.append(time.perf_counter_ns() - started)
    return int(np.median(taken))


def _synchronise(device: torch.device | str) -> None:
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize(device)
