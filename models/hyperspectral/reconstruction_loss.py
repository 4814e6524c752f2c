"""What HyperMAE minimises: the error of pixels, averaged over what was hidden along each axis.

LESS ViT, arXiv 2503.12843. A token is hidden if its band or its position is. With `weigh="axes"`, as in the authors' code, one
term averages over hidden positions, of hidden and visible bands alike, and one over hidden bands, so that a token that is
hidden twice counts twice; with `weigh="hidden"` every hidden token counts once and no visible one does.
"""

from __future__ import annotations

import torch
from torch import Tensor

from benchmarks.errors import unknown

WEIGHINGS = ("axes", "hidden")


def reconstruction_loss(
    prediction: Tensor,
    target: Tensor,
    hidden_channels: Tensor,
    hidden_positions: Tensor,
    is_radar: Tensor | None = None,
    *,
    weigh: str = "axes",
    absolute: bool = False,
    normalise: bool = False,
    skip_zeros: bool = False,
) -> Tensor:
    """A number, of patches [b, c, n, pixels] and bool [b, c] and [b, n]; the mean of that of optical and of radar bands.

    `is_radar` is bool [c]; a group without bands does not count. With `normalise` a patch's pixels have mean 0 and unbiased
    variance 1; with `skip_zeros` pixels that are 0 are no data, and patches of nothing else do not count.
    """
    if weigh not in WEIGHINGS:
        raise unknown("weigh of HyperMAE's loss:", weigh, WEIGHINGS)
    valid = (target != 0) if skip_zeros else torch.ones_like(target, dtype=torch.bool)
    if normalise:
        variance, mean = torch.var_mean(target, -1, keepdim=True)
        target = (target - mean) / (variance + 1e-6).sqrt()
    difference = (prediction - target) * valid
    pixels = difference.abs() if absolute else difference**2
    error = pixels.sum(-1) / valid.sum(-1).clamp(min=1)
    counts = valid.any(-1).to(error.dtype)
    channels, positions = (hidden.expand(size).to(error.dtype) for hidden, size in (
        (hidden_channels, error.shape[:2]), (hidden_positions, (len(error), error.shape[2])),
    ))  # fmt: skip
    radar = torch.zeros(error.shape[1], dtype=torch.bool) if is_radar is None else is_radar.cpu()
    groups = [group.nonzero()[:, 0].to(error.device) for group in (~radar, radar) if group.any()]
    losses = []
    for group in groups:
        found, counted, hidden = error[:, group], counts[:, group], channels[:, group]
        if weigh == "hidden":
            losses.append(_mean(found, counted * (1 - (1 - hidden[:, :, None]) * (1 - positions[:, None]))))
        else:
            by_position = _mean(_mean(found, counted, 1), positions * counted.amax(1))
            losses.append(by_position + _mean(_mean(found, counted, 2), hidden * counted.amax(2)))
    return torch.stack(losses).mean()


def _mean(values: Tensor, weights: Tensor, dim: int | None = None) -> Tensor:
    """0 where nothing has a weight."""
    over = tuple(range(values.ndim)) if dim is None else (dim,)
    return (values * weights).sum(over) / weights.sum(over).clamp(min=1)
