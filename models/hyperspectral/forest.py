"""Decision trees on the spectra of pixels, as tables that a device can walk: what a random forest leaves behind."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from benchmarks.models.hyperspectral.own_bands import BandRule, OwnBands


class SpectralForest(nn.Module):
    """Cubes [n, c, h, w] and wavelengths [c] -> log probabilities [n, classes, h, w], the mean over trees of their leaves'.

    Tables have a row for each of `nodes` in every tree: `feature` (the band that is asked for), `threshold`, the two nodes
    after it (itself for a leaf) and the share of each class. `depth` is how many questions lead to any leaf.
    """

    multiple = 1
    keep_dense = ()

    def __init__(self, classes: int, wavelengths: Sequence[float], trees: int, nodes: int, depth: int,
                 band_rule: BandRule = "nearest") -> None:  # fmt: skip
        super().__init__()
        self.bands = OwnBands(wavelengths, band_rule)
        self.depth = depth
        self.register_buffer("feature", torch.zeros(trees, nodes, dtype=torch.long))
        self.register_buffer("threshold", torch.zeros(trees, nodes))
        self.register_buffer("left", torch.arange(nodes).repeat(trees, 1))
        self.register_buffer("right", torch.arange(nodes).repeat(trees, 1))
        self.register_buffer("share", torch.full((trees, nodes, classes), 1 / classes))

    feature: Tensor
    threshold: Tensor
    left: Tensor
    right: Tensor
    share: Tensor

    def forward(self, cube: Tensor, wavelengths: Tensor) -> Tensor:
        spectra = self.bands(cube, wavelengths).flatten(2).transpose(0, 1).flatten(1)
        trees = torch.arange(len(self.feature), device=cube.device)[:, None]
        node = torch.zeros(len(self.feature), spectra.shape[1], dtype=torch.long, device=cube.device)
        pixel = torch.arange(spectra.shape[1], device=cube.device)[None]
        for _ in range(self.depth):
            low = spectra[self.feature[trees, node], pixel] <= self.threshold[trees, node]
            node = torch.where(low, self.left[trees, node], self.right[trees, node])
        found = self.share[trees, node].mean(0)
        logits = found.clamp(min=1e-9).log().unflatten(0, (len(cube), cube.shape[2] * cube.shape[3]))
        return logits.transpose(1, 2).unflatten(2, cube.shape[2:])
