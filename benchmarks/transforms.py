"""Operations that torch's counter leaves out or takes for less: Fourier transforms, and matrix products of complex numbers."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

TRANSFORMS = "; Fourier transforms 2.5 n log2 n of n real numbers"
"""What is added to a convention where there are any."""
COMPLEX = 4
"""Real multiply-adds of a complex one."""


def formulas() -> dict[Any, Callable[..., int]]:
    """For `FlopCounterMode(custom_mapping=...)`."""
    aten = torch.ops.aten
    return {
        aten._fft_r2c: _raw(lambda x, dim, *args, out_val, **kwargs: _transform(x, dim)),
        aten._fft_c2r: _raw(lambda x, dim, *args, out_val, **kwargs: _transform(out_val, dim)),
        aten.bmm: _raw(_products),
    }


def _transform(real: Tensor, dim: list[int]) -> int:
    return round(2.5 * real.numel() * math.log2(max(1, math.prod(real.shape[axis] for axis in dim))))


def _products(a: Tensor, b: Tensor, *args: Any, out_val: Tensor, **kwargs: Any) -> int:
    return 2 * (COMPLEX if out_val.is_complex() else 1) * out_val.numel() * a.shape[-1]


def _raw(formula: Callable[..., int]) -> Callable[..., int]:
    """Has the counter hand over tensors in place of their shapes."""
    formula._get_raw = True  # type: ignore[attr-defined]
    return formula
