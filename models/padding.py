"""Images of any size for networks that halve them: padded to a multiple at the bottom and right, to be cut off again."""

from __future__ import annotations

import torch
from torch.nn.functional import pad


def padded(image: torch.Tensor, multiple: int, least: int = 1, mode: str = "replicate") -> torch.Tensor:
    """[n, c, h, w] with height and width raised to multiples of `multiple`, and to `least` or more.

    New pixels repeat the edges, or are zero with `mode="constant"`.
    """
    below, right = (-(-max(size, least) // multiple) * multiple - size for size in image.shape[2:])
    return pad(image, (0, right, 0, below), mode=mode) if below or right else image
