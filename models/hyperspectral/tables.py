"""Tensors that depend on a few settings alone, kept from one call to the next."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import ParamSpec

import torch
from torch import Tensor

KEPT = 32
"""Tables of each kind, the latest; windows at the rim of a scene have sizes of their own."""

Settings = ParamSpec("Settings")


def kept(make: Callable[Settings, Tensor]) -> Callable[Settings, Tensor]:
    """`make`, which takes hashable settings, called once for each; nobody may change what it returns.

    A table that was first made in inference mode serves training as well. While a network is traced, tensors and sizes stand
    for others, so that nothing is kept then.
    """
    cached = lru_cache(maxsize=KEPT)(make)

    @wraps(make)
    def table(*args: Settings.args, **kwargs: Settings.kwargs) -> Tensor:
        if torch.compiler.is_compiling():
            return make(*args, **kwargs)
        with torch.inference_mode(False):
            return cached(*args, **kwargs)  # type: ignore[arg-type]

    return table
