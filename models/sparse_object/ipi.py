"""The infrared patch-image model: patches of an image as columns of one matrix, which is parted by principal component pursuit.

Gao, Meng, Yang, Wang, Zhou and Hauptmann, Infrared Patch-Image Model for Small Target Detection in a Single Image, IEEE
Trans. Image Processing 22(12), 2013. A background repeats itself over an image, so that its patches are of low rank even
where the image is not; a small target fills few entries.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from benchmarks.models.sparse_object.filters import relative
from benchmarks.models.sparse_object.pcp import PCP

MERGES = ("median", "mean")


class IPI(nn.Module):
    """Images [n, 1, h, w] -> what is positive of their sparse parts, divided by the largest value of its image.

    Squares of `patch` pixels every `step` pixels (and at the far edges) are the columns; `weight`, `growth`, `tolerance` and
    `max_iterations` are those of the pursuit, whose lambda is weight / sqrt(longer side of the patch image). A pixel takes
    the `merge` (median or mean) of what all patches over it say. Of a small image patches have half of its shorter side at
    most, since one patch alone has no background to share.
    """

    def __init__(
        self,
        patch: int = 50,
        step: int = 10,
        merge: str = "median",
        weight: float = 1.0,
        growth: float = 1.5,
        tolerance: float = 1e-6,
        max_iterations: int = 500,
    ) -> None:
        super().__init__()
        if not 1 <= step <= patch:
            raise ValueError("step must be 1 or more and at most patch, so that every pixel lies in some patch")
        if merge not in MERGES:
            raise ValueError(f"merge must be one of {', '.join(MERGES)}")
        self.patch, self.step, self.merge = patch, step, merge
        self.pursuit = PCP(weight, growth, tolerance, max_iterations)

    def answer(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
        """Probability [n, h, w], and of each image rank of the patch image's background, iterations and duality gap."""
        height, width = image.shape[2:]
        patch = min(self.patch, max(1, min(height, width) // 2))
        rows, columns = (places(size, patch, min(self.step, patch)) for size in (height, width))
        found = self.pursuit.pursue(patch_image(image[:, 0], patch, rows, columns))
        sparse = merged(found.sparse, (height, width), patch, rows, columns, self.merge)
        soft = relative(sparse[:, None])[:, 0].to(image.dtype)
        return {"probability": soft, "rank": found.rank, "iterations": found.iterations, "gap": found.gap}


def places(size: int, patch: int, step: int) -> list[int]:
    """Where patches begin along a side: every `step` pixels, and such that the last one ends with the side."""
    last = size - patch
    return [*range(0, last, step), last]


def patch_image(image: torch.Tensor, patch: int, rows: Sequence[int], columns: Sequence[int]) -> torch.Tensor:
    """Patches of images [n, h, w] as columns, row by row of each patch: [n, patch * patch, patches]."""
    windows = image.unfold(1, patch, 1).unfold(2, patch, 1)[:, list(rows)][:, :, list(columns)]
    return windows.reshape(len(image), len(rows) * len(columns), patch * patch).mT


def merged(
    patches: torch.Tensor, shape: tuple[int, int], patch: int, rows: Sequence[int], columns: Sequence[int], merge: str
) -> torch.Tensor:
    """Images [n, *shape] out of the columns of patch images: at every pixel the median or mean of all patches over it."""
    # Patches over one pixel follow each other, so their numbers modulo the most that can be there are all different.
    down, across = (_most_over_a_pixel(starts, patch) for starts in (rows, columns))
    layers = patches.new_full((len(patches), down * across, *shape), torch.nan)
    windows = patches.mT.reshape(len(patches), len(rows), len(columns), patch, patch)
    for i, top in enumerate(rows):
        for j, left in enumerate(columns):
            layer = (i % down) * across + j % across
            layers[:, layer, top : top + patch, left : left + patch] = windows[:, i, j]
    return layers.nanmean(1) if merge == "mean" else _median(layers)


def _most_over_a_pixel(starts: Sequence[int], patch: int) -> int:
    return max(sum(start <= place < start + patch for start in starts) for place in range(starts[-1] + patch))


def _median(layers: torch.Tensor) -> torch.Tensor:
    """The middle of what is not NaN along dimension 1, or the mean of the two middle ones."""
    ordered, count = layers.sort(1).values, (~layers.isnan()).sum(1, keepdim=True)
    pair = [ordered.gather(1, place) for place in ((count - 1) // 2, count // 2)]
    return (pair[0] + pair[1])[:, 0] / 2
