"""Networks on images of any size in bounded memory: few at a time, and large ones in tiles that are blended."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from benchmarks.datasets.tiling import tile_starts, tile_weights

AT_ONCE = 1024 * 1024
"""Pixels that a network sees in one go, over all images of a batch; a larger image is seen in tiles."""
SIDE, OVERLAP, MARGIN = 512, 128, 40
"""Pixels of a tile, how many it shares with the next one, and how many of these are not used, the outermost."""


def restored(network: nn.Module, image: Tensor) -> Tensor:
    """The answer of a network to images float32 [n, 3, h, w], as float32.

    A network that looks no farther than `MARGIN` pixels answers to tiles what it answers to the whole, up to rounding. One
    that also looks at means of the image sees those of tiles in place of them, and its answers pass smoothly from tile to tile.
    """
    pixels = image.shape[2] * image.shape[3]
    if torch.compiler.is_compiling():  # a program is traced for images of one size, whatever their number
        return network(image).float()
    if pixels > AT_ONCE:
        return torch.stack([_in_tiles(network, one) for one in image])
    return torch.cat([network(part).float() for part in image.split(max(1, AT_ONCE // pixels))])


def _in_tiles(network: nn.Module, image: Tensor) -> Tensor:
    """One image [3, h, w] in tiles; where they overlap, their weights fall towards their edges."""
    shape = image.shape[1:]
    side = [min(SIDE, size) for size in shape]
    total, made = image.new_zeros(shape), torch.zeros_like(image)
    tops, lefts = (tile_starts(size, part, SIDE - OVERLAP) for size, part in zip(shape, side, strict=True))
    for top in tops:
        for left in lefts:
            down, across = (
                torch.from_numpy(tile_weights(*each, OVERLAP, MARGIN)).to(image)
                for each in zip((top, left), side, shape, strict=True)
            )
            weight = down[:, None] * across
            where = (slice(top, top + side[0]), slice(left, left + side[1]))
            made[(slice(None), *where)] += weight * network(image[(slice(None), *where)][None])[0].float()
            total[where] += weight
    return made.div_(total)
