"""Images larger than a training window, answered window by window: logits averaged where windows overlap."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from benchmarks.datasets.tiling import tile_starts
from benchmarks.models.padding import padded

if TYPE_CHECKING:
    from benchmarks.hyperspectral.task import Segmenter

VALUES = 2**18
"""Numbers of a cube that a network sees at once: tokens of every band are many times as many."""


def mosaic(network: Segmenter, cube: Tensor, wavelengths: Tensor, overlap: float) -> Tensor:
    """Logits [n, classes, h, w] of cubes [n, c, h, w] by windows of the network's own size.

    Windows share about `overlap` of their side with the next one, a multiple of what the network asks for; the last ones end
    at the edge. Images smaller than a window have their edges repeated.
    """
    height, width = cube.shape[2:]
    side = -(-network.window // network.multiple) * network.multiple
    image = padded(cube, network.multiple, side)
    step = max(1, round(side * (1 - overlap) / network.multiple)) * network.multiple
    tops, lefts = (tile_starts(size, side, step) for size in image.shape[2:])
    places = [(top, left) for top in tops for left in lefts]
    windows = torch.cat([image[:, :, top : top + side, left : left + side] for top, left in places])
    at_once = max(1, VALUES // (image.shape[1] * side**2))
    logits = torch.cat([network(part, wavelengths).float() for part in windows.split(at_once)])
    total = logits.new_zeros(len(image), logits.shape[1], *image.shape[2:])
    count = logits.new_zeros(image.shape[2:])
    for part, (top, left) in zip(logits.split(len(image)), places, strict=True):
        total[:, :, top : top + side, left : left + side] += part
        count[top : top + side, left : left + side] += 1
    return (total / count)[:, :, :height, :width]
