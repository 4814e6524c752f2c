"""Training with less memory: of a stage its ends are kept, and what lies between is computed again for the gradient."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint


def recomputed(stage: nn.Module, *inputs: Any) -> Any:
    """stage(*inputs) with the same gradients and the same running statistics as a plain call.

    Chen et al., Training Deep Nets with Sublinear Memory Cost, arXiv 1604.06174. Costs one more forward pass; without
    gradients it is a plain call.
    """
    if not torch.is_grad_enabled():
        return stage(*inputs)
    return checkpoint(
        stage,
        *inputs,
        use_reentrant=False,
        preserve_rng_state=False,
        context_fn=lambda: (nullcontext(), _statistics_kept(stage)),
    )


@contextmanager
def _statistics_kept(stage: nn.Module) -> Iterator[None]:
    """The second pass sees the same batch: it must not move the running statistics once more."""
    norms = [module for module in stage.modules() if isinstance(module, nn.BatchNorm2d)]
    before = [
        (norm, norm.momentum, None if norm.num_batches_tracked is None else norm.num_batches_tracked.clone())
        for norm in norms
    ]
    try:
        for norm in norms:
            norm.momentum = 0.0
        yield
    finally:
        for norm, momentum, count in before:
            norm.momentum = momentum
            if norm.num_batches_tracked is not None and count is not None:
                norm.num_batches_tracked.copy_(count)
