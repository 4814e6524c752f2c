"""Chambolle's projection for the denoising of images by total variation (J. Math. Imaging Vision 20, 2004)."""

from __future__ import annotations

from torch import Tensor

STEP = 0.25
"""Of the dual ascent in two dimensions."""


def denoise_tv(image: Tensor, weight: float, tolerance: float = 2e-4, max_iterations: int = 200) -> Tensor:
    """The image [h, w] that minimises |u - image|^2 / 2 + weight |grad u|; larger weights are smoother.

    Ends where the objective changes by less than a share `tolerance` of its first value.
    """
    dual = image.new_zeros(2, *image.shape)
    first = previous = None
    result = image
    for _ in range(max_iterations):
        result = image - divergence_adjoint(dual)
        slope = gradient(result)
        size = slope.square().sum(0).sqrt()
        objective = float((image - result).square().sum() + weight * size.sum()) / image.numel()
        dual = (dual - STEP * slope) / (1 + STEP / weight * size)
        if first is None:
            first = objective
        elif previous is not None and abs(previous - objective) < tolerance * first:
            break
        previous = objective
    return result


def gradient(image: Tensor) -> Tensor:
    """Forward differences along rows and columns, [2, h, w]; zero at the far edges."""
    slope = image.new_zeros(2, *image.shape)
    slope[0, :-1], slope[1, :, :-1] = image.diff(dim=0), image.diff(dim=1)
    return slope


def divergence_adjoint(dual: Tensor) -> Tensor:
    """Less the adjoint of `gradient`: the divergence with Chambolle's borders, [h, w]."""
    made = dual.sum(0)
    made[1:] -= dual[0, :-1]
    made[:, 1:] -= dual[1, :, :-1]
    return made
