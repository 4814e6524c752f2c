"""What draws a reduced image towards the observation: a data term and the total variation of the cube that it stands for.

With E [c, k], a cube is E A. Its data term in the subspace, |EA|^2 - 2 <E'Y, A>, needs k images in place of c and differs from
that of the whole cube by a constant. So does it after a blur and a lower resolution, which act on every band alike, and under
masks that are equal in all bands. The total variation has no such form, since it adds absolute values over bands.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from benchmarks.models.hsi_restoration.fill import spanning
from benchmarks.models.hsi_restoration.observation import Observation
from benchmarks.models.hsi_restoration.operators import lowered
from benchmarks.models.hsi_restoration.subspace import truncated

DATA_UNIT, VARIATION_UNIT, REFERENCE = 256 * 64, 8 * 64, 256 * 256
"""By what the authors' two weights are multiplied, and the pixels of the image that these numbers belong to: the terms are means
over the cube, so that the pull on one pixel would otherwise grow as images get smaller."""
DIRECTIONS = (-2, -1, -3)
"""Rows, columns, bands of a cube [c, h, w]."""


@dataclass
class Guidance:
    """L(A) = e1 |w (Y - H(E A))|^2 / N + e2 sum of |w_d D_d E A| / N, for one observation.

    `form` is `subspace` or `full`, two ways to the same gradient; masks that differ between bands have the full one alone.
    """

    observation: Observation
    coefficients: Tensor
    eta1: float
    eta2: float
    form: str = "subspace"

    def __post_init__(self) -> None:
        bands, height, width = self.observation.shape
        scale = height * width / REFERENCE
        self.data_weight = self.eta1 * DATA_UNIT * scale
        self.variation_weight = self.eta2 * VARIATION_UNIT * scale
        self.count = bands * height * width
        observed = self.observation.observed
        self.mask = None if observed is None else observed.to(self.coefficients.dtype)
        self.subspace = self.form == "subspace" and (observed is None or bool((observed == observed[:1]).all()))
        noisy = self.observation.noisy
        if self.subspace:
            seen = noisy if self.mask is None else noisy * self.mask
            self.inner = self.coefficients.T @ self.coefficients
            self.projected = torch.einsum("ck,chw->khw", self.coefficients, seen)
        # The observation never changes, nor do its weights.
        self.weights = (
            variation_weights(spanning(self.observation), inner=self.observation.inner)
            if self.observation.kind == "denoise" and self.eta2
            else (1.0, 1.0, 1.0)
        )

    def gradient(self, reduced: Tensor) -> Tensor:
        """dL/dA at A [k, h, w]."""
        with torch.enable_grad():
            reduced = reduced.detach().requires_grad_()
            return torch.autograd.grad(self.value(reduced), reduced)[0]

    def value(self, reduced: Tensor) -> Tensor:
        """L(A), in the subspace up to a constant."""
        loss = self.data_weight * self.fidelity(reduced)
        if self.variation_weight:
            loss = loss + self.variation_weight * self.variation(self.expand(reduced))
        return loss

    def expand(self, reduced: Tensor) -> Tensor:
        """The cube E A."""
        return torch.einsum("ck,khw->chw", self.coefficients, reduced)

    def fidelity(self, reduced: Tensor) -> Tensor:
        """The squared distance from what was seen, per entry of the cube; of a masked cube per entry that was seen."""
        count = self.count if self.mask is None else self.mask.sum()
        if self.subspace:
            seen = self._seen(reduced)
            own = torch.einsum("khw,kl,lhw->", seen, self.inner, seen if self.mask is None else reduced)
            return (own - 2 * (self.projected * (reduced if self.mask is not None else seen)).sum()) / count
        return self.residual(reduced) / count

    def residual(self, reduced: Tensor) -> Tensor:
        """The squared distance |w (Y - H(E A))|^2 from what was seen, summed over the whole cube."""
        images = self.expand(reduced)
        difference = self.observation.noisy - (
            lowered(images, self.observation.factor) if self.observation.factor > 1 else images
        )
        return (difference if self.mask is None else difference * self.mask).square().sum()

    def _seen(self, images: Tensor) -> Tensor:
        if self.observation.factor > 1:
            return lowered(images, self.observation.factor)
        return images if self.mask is None else images * self.mask[: len(images)]

    def variation(self, cube: Tensor) -> Tensor:
        """Weighted absolute differences along rows, columns and bands, per entry; around the edges unless the cube has gaps."""
        if self.observation.kind == "inpaint":
            return sum((cube.diff(dim=axis).abs().mean() for axis in DIRECTIONS), cube.new_zeros(()))
        parts = [weight * wrapped(cube, axis).abs() for weight, axis in zip(self.weights, DIRECTIONS, strict=True)]
        return sum((part.sum() for part in parts), cube.new_zeros(())) / self.count


def wrapped(cube: Tensor, axis: int) -> Tensor:
    """Differences to the next entry along an axis, the last to the first."""
    return cube.roll(-1, axis) - cube


def variation_weights(noisy: Tensor, rank: int = 3, inner: Tensor | None = None) -> Sequence[Tensor | float]:
    """Weights from 1/3 to 1 of differences along rows, columns and bands, [h, w] each: small where a rank-3 copy has edges.

    d is the absolute mean over bands of its differences; m / (d + m / 2) with the largest d of a direction as m, divided by the
    largest weight of all. Along bands the mean of differences that wrap around is zero, so that nothing but rounding would
    tell pixels apart: they all count as without an edge.
    """
    copy = truncated(noisy, rank, inner)
    made = []
    for axis in DIRECTIONS[:2]:
        size = wrapped(copy, axis).mean(0).abs()
        most = size.max()
        made.append(most / (size + 0.5 * most) if most > 0 else torch.full_like(size, 2.0))
    made.append(torch.full_like(made[0], 2.0))
    largest = max(float(weight.max()) for weight in made)
    return [weight / largest for weight in made]
