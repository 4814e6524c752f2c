"""The moving average of a network's weights, by which training may be judged (`trainer.ema_decay`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from benchmarks.sharding import local


def moving_average(network: nn.Module, decay: float) -> AveragedModel:
    """A copy of a network that follows it: floats are averaged, whole numbers (offsets, counters, int8 rows) are taken over.

    torch averages whole numbers as well and cuts off the fraction, so that at a decay of 0.9999 many fall by one.
    """
    return AveragedModel(network, multi_avg_fn=_average(decay), use_buffers=True)


def _average(decay: float) -> Callable[[Any, Any, Any], None]:
    average = get_ema_multi_avg_fn(decay)

    def update(averaged: Any, current: Any, steps: Any) -> None:
        averaged, current = local(averaged), local(current)
        if averaged[0].is_floating_point():
            average(averaged, current, steps)
        else:
            torch._foreach_copy_(averaged, current)

    return update
