"""Dropout whose masks are cheap on a CPU."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from benchmarks.errors import BenchmarkError

LEVELS = 2**16


class FastDropout(nn.Module):
    """Inverted dropout with exact Bernoulli masks, drawn as 16-bit integers on a CPU.

    `nn.Dropout` draws one Bernoulli number an element on a single CPU thread, a fifth of the training step of a wide
    MLP. Here one 64-bit draw of the default generator decides four elements. `p` in [0, 1) is rounded to a multiple of
    1/65536, and kept elements are divided by the keep probability that results, so that the expectation is exact. Other
    devices use torch's own dropout.
    """

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        if not 0 <= p < 1:
            raise BenchmarkError(
                f"Dropout of {p} is not a probability below 1. Give a value in [0, 1), for example 0.2."
            )
        self.p = p
        self.dropped_levels = min(round(p * LEVELS), LEVELS - 1)

    @property
    def keep(self) -> float:
        """The probability that an element is kept on a CPU."""
        return 1 - self.dropped_levels / LEVELS

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.training or self.p == 0:
            return x
        if x.device.type != "cpu":
            return nn.functional.dropout(x, self.p)
        # One product with a scaled mask: its backward is the same product, and `x` itself need not be saved.
        return x * self._kept(x).to(x.dtype).mul_(1 / self.keep)

    def rectified(self, x: torch.Tensor) -> torch.Tensor:
        """Dropout of ReLU(x), in place of `x`, which nothing else may read: the same masks in half the passes."""
        if not self.training or self.p == 0 or x.device.type != "cpu":
            return self(nn.functional.relu(x))
        result: torch.Tensor = _RectifiedDropout.apply(x, self._kept(x), 1 / self.keep)
        return result

    def _kept(self, x: torch.Tensor) -> torch.Tensor:
        words = torch.empty((x.numel() + 3) // 4, dtype=torch.int64).random_(-(2**63), None)
        return words.view(torch.int16)[: x.numel()].view(x.shape) >= self.dropped_levels - LEVELS // 2

    def extra_repr(self) -> str:
        return f"p={self.p}"


class _RectifiedDropout(torch.autograd.Function):
    """ReLU, mask and scale at once. What comes out is positive just where a gradient passes, so no mask is saved."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, kept: torch.Tensor, scale: float) -> torch.Tensor:
        y = x.relu_().mul_(kept).mul_(scale)
        ctx.mark_dirty(y)
        ctx.save_for_backward(y)
        ctx.scale = scale
        return y

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        (y,) = ctx.saved_tensors
        return torch.ops.aten.threshold_backward(gradient, y, 0).mul_(ctx.scale), None, None
