"""The reduced image nearest to a given one that agrees with what was seen: the data step of splitting methods, exactly."""

from __future__ import annotations

import torch
from torch import Tensor

from benchmarks.models.hsi_restoration.observation import Observation
from benchmarks.models.hsi_restoration.operators import shrinking


class Proximal:
    """argmin over A of |w (Y - H(E A))|^2 + weight |A - A0|^2, for one observation and E [c, k].

    The quadratic form is diagonal in a basis that is found once: that of E'E, at each pixel that of its measured bands where
    entries are missing, and beside it those of both directions of blur and lower resolution. Double precision within.
    """

    def __init__(self, observation: Observation, coefficients: Tensor) -> None:
        E, Y = coefficients.double(), observation.noisy.double()
        self.down = self.across = None
        if observation.observed is None:
            form = (E.T @ E)[None, None]
        else:
            seen = observation.observed.double()
            form = torch.einsum("chw,ck,cl->hwkl", seen, E, E)
            Y = Y * seen
        weights, self.basis = torch.linalg.eigh(form)  # [h, w, k] and [h, w, k, k], or of one pixel for all
        projected = torch.einsum("ck,chw->khw", E, Y)
        if observation.factor > 1:
            _, *sides = observation.shape
            matrices = [shrinking(side, observation.factor, Y.dtype, Y.device) for side in sides]
            projected = matrices[0].T @ projected @ matrices[1]
            (rows, self.down), (columns, self.across) = (torch.linalg.eigh(each.T @ each) for each in matrices)
            weights = weights * (rows[:, None] * columns)[..., None]
        self.weights, self.projected = weights.clamp(min=0), projected

    def __call__(self, reduced: Tensor, weight: float) -> Tensor:
        """[k, h, w] of the given image [k, h, w]; `weight` is above 0."""
        wanted = (self.projected + weight * reduced.double()).movedim(0, -1)[..., None]
        turned = self._spatial((self.basis.mT @ wanted)[..., 0], forward=True)
        solved = self._spatial(turned / (self.weights + weight), forward=False)
        return (self.basis @ solved[..., None])[..., 0].movedim(-1, 0).to(reduced)

    def _spatial(self, images: Tensor, *, forward: bool) -> Tensor:
        """Images [h, w, k] in the basis of both directions of the operator, or back."""
        if self.down is None or self.across is None:
            return images
        down, across = (self.down.T, self.across.T) if forward else (self.down, self.across)
        return torch.einsum("ih,jw,hwk->ijk", down, across, images)
