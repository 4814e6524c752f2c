"""Networks of fixed bands on cubes of other bands: a stated rule fills each band that the network has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import torch
from torch import Tensor, nn

BandRule = Literal["nearest", "interpolate", "zero"]
EQUAL = 1.0
"""Nanometres up to which `zero` takes a band for the network's own."""


class OwnBands(nn.Module):
    """A cube [n, c, ...] with bands at wavelengths [c] -> [n, k, ...], one channel for each of the network's `wavelengths`.

    `nearest`: the band with the nearest centre. `interpolate`: linearly between the two centres around it, the last one beyond
    the ends. `zero`: the band of that very centre, up to 1 nm, else zeros, which in standardised cubes is two deviations below
    the mean.
    """

    def __init__(self, wavelengths: Sequence[float], rule: BandRule) -> None:
        super().__init__()
        if rule not in get_args(BandRule):
            raise ValueError(f"band_rule must be one of {', '.join(get_args(BandRule))}, not '{rule}'")
        self.rule = rule
        self.register_buffer("own", torch.as_tensor(wavelengths, dtype=torch.float32), persistent=False)

    own: Tensor

    def __len__(self) -> int:
        return len(self.own)

    def forward(self, cube: Tensor, wavelengths: Tensor) -> Tensor:
        given = wavelengths.to(self.own)
        # A program that is exported may not branch on values, and takes the way of the rule.
        if not torch.compiler.is_compiling() and given.shape == self.own.shape and torch.equal(given, self.own):
            return cube
        if self.rule == "interpolate":
            return self._between(cube, given)
        apart, nearest = (self.own[:, None] - given[None]).abs().min(1)
        chosen = cube[:, nearest]
        if self.rule == "nearest":
            return chosen
        return chosen * (apart <= EQUAL).to(cube).reshape(-1, *(1,) * (cube.ndim - 2))

    def _between(self, cube: Tensor, given: Tensor) -> Tensor:
        given, order = given.sort(stable=True)
        upper = torch.searchsorted(given, self.own).clamp(1 if len(given) > 1 else 0, len(given) - 1)
        lower = (upper - 1).clamp(min=0)
        width = (given[upper] - given[lower]).clamp(min=torch.finfo(given.dtype).tiny)
        share = ((self.own - given[lower]) / width).clamp(0, 1).to(cube).reshape(-1, *(1,) * (cube.ndim - 2))
        return cube[:, order[lower]] * (1 - share) + cube[:, order[upper]] * share
