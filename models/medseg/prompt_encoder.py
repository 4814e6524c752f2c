"""SAM's prompt encoder: where pixels and the corners of a box are, as vectors.

Kirillov et al., Segment Anything, ICCV 2023, Section 3 and Appendix A; module names are those of published weights.
"""

from __future__ import annotations

import math
from typing import cast

import torch
from torch import Tensor, nn

from benchmarks.models.medseg.norms import LayerNorm2d

TOP_LEFT, BOTTOM_RIGHT = 2, 3
"""Which of the point embeddings are corners of a box; 0 and 1 are points outside and inside of an object."""


class PositionEmbedding(nn.Module):
    """Random Fourier features of places (Tancik et al., NeurIPS 2020)."""

    positional_encoding_gaussian_matrix: Tensor

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.register_buffer("positional_encoding_gaussian_matrix", torch.randn(2, dim // 2))

    def forward(self, places: Tensor) -> Tensor:
        """Places [..., 2] (x, y), from 0 to 1 over the image, -> [..., dim]."""
        angles = 2 * math.pi * (2 * places - 1) @ self.positional_encoding_gaussian_matrix
        return torch.cat((angles.sin(), angles.cos()), -1)


class PromptEncoder(nn.Module):
    """Boxes as two vectors, and the places of an embedding's pixels.

    Points and masks as prompts have their weights here, since published files have them, and no use in this suite.
    """

    def __init__(self, dim: int = 256, mask_channels: int = 16) -> None:
        super().__init__()
        self.pe_layer = PositionEmbedding(dim)
        self.point_embeddings = nn.ModuleList(nn.Embedding(1, dim) for _ in range(4))
        self.not_a_point_embed = nn.Embedding(1, dim)
        self.no_mask_embed = nn.Embedding(1, dim)
        few = mask_channels // 4
        self.mask_downscaling = nn.Sequential(
            nn.Conv2d(1, few, 2, 2), LayerNorm2d(few), nn.GELU(),
            nn.Conv2d(few, mask_channels, 2, 2), LayerNorm2d(mask_channels), nn.GELU(),
            nn.Conv2d(mask_channels, dim, 1),
        )  # fmt: skip

    def box(self, box: Tensor, height: int, width: int) -> Tensor:
        """Corners [..., 4] (left, top, right, bottom) in pixels of an image -> tokens [..., 2, dim]."""
        corners = (box.unflatten(-1, (2, 2)) + 0.5) / box.new_tensor([width, height])
        kinds = [cast(nn.Embedding, self.point_embeddings[kind]).weight[0] for kind in (TOP_LEFT, BOTTOM_RIGHT)]
        return self.pe_layer(corners) + torch.stack(kinds)

    def places(self, height: int, width: int) -> Tensor:
        """The places of an embedding's pixels, [1, dim, height, width]."""
        like = self.pe_layer.positional_encoding_gaussian_matrix
        y, x = ((torch.arange(size, device=like.device, dtype=like.dtype) + 0.5) / size for size in (height, width))
        grid = torch.stack(torch.meshgrid(y, x, indexing="ij")[::-1], -1)
        return self.pe_layer(grid).permute(2, 0, 1)[None]

    @property
    def no_mask(self) -> Tensor:
        """What is added to an embedding where no mask is given, [1, dim, 1, 1]."""
        return self.no_mask_embed.weight[:, :, None, None]
