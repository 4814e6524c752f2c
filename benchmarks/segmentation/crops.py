"""What training sees of an image and of what belongs to it: a square of both, mirrored and transposed at random."""

from __future__ import annotations

import torch
from torch import Tensor


def squares(image: Tensor, mask: Tensor, side: int, positives: float = 0.5) -> tuple[Tensor, Tensor]:
    """A random square of each image [n, c, h, w] and of its mask [n, k, h, w] -> [n, c, side, side], [n, k, side, side].

    A share of `positives` holds a random pixel of an object, at a random place of the square, in images that have one; the
    others lie anywhere.
    """
    parts = [_square(*pair, side, positives) for pair in zip(image, mask, strict=True)]
    return torch.stack([part for part, _ in parts]), torch.stack([part for _, part in parts])


def _square(image: Tensor, mask: Tensor, side: int, positives: float) -> tuple[Tensor, Tensor]:
    room = torch.tensor(image.shape[1:]) - side
    low, high = torch.zeros_like(room), room
    objects = mask[0].nonzero() if torch.rand(()) < positives else ()
    if len(objects):
        pixel = objects[int(torch.randint(len(objects), ()))].cpu()
        low, high = (pixel - side + 1).clamp(min=0), torch.minimum(pixel, room)
    top, left = (low + (torch.rand(2) * (high - low + 1)).floor().long()).tolist()
    window = (slice(None), slice(top, top + side), slice(left, left + side))
    return image[window], mask[window]


def flipped(image: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Images [n, c, h, w] and masks [n, k, h, w], each upside down, left to right, and transposed where square, by chance."""
    both = torch.cat((image, mask), 1)
    up, left, across = torch.rand(3, len(both), 1, 1, 1, device=both.device) < 0.5
    both = torch.where(up, both.flip(2), both)
    both = torch.where(left, both.flip(3), both)
    if both.shape[2] == both.shape[3]:
        both = torch.where(across, both.transpose(2, 3), both)
    return both[:, : image.shape[1]], both[:, image.shape[1] :]
