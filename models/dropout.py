"""Dropout whose masks are cheap on a CPU."""

from __future__ import annotations

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
        words = torch.empty((x.numel() + 3) // 4, dtype=torch.int64).random_(-(2**63), None)
        kept = words.view(torch.int16)[: x.numel()].view(x.shape) >= self.dropped_levels - LEVELS // 2
        # One product with a scaled mask: its backward is the same product, and `x` itself need not be saved.
        return x * kept.to(x.dtype).mul_(1 / self.keep)

    def extra_repr(self) -> str:
        return f"p={self.p}"
