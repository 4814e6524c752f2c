"""Heads that turn an embedding of patches into logits of pixels."""

from __future__ import annotations

from torch import Tensor, nn


class ConvHead(nn.Module):
    """[b, dim, h, w] -> [b, classes, h * patch, w * patch], in steps of twice the side: `width` channels, then half, ..."""

    def __init__(self, dim: int, classes: int, patch: int, width: int = 128) -> None:
        super().__init__()
        if patch & (patch - 1):
            raise ValueError(f"patch={patch} is no power of two, as head=conv needs; head=linear takes any")
        steps: list[nn.Module] = []
        for step in range(patch.bit_length() - 1):
            wide = max(1, width >> step)
            steps += [
                nn.Upsample(scale_factor=2, mode="bilinear"),
                nn.Conv2d(dim, wide, 3, padding=1),
                nn.BatchNorm2d(wide),
                nn.ReLU(inplace=True),
            ]
            dim = wide
        self.steps = nn.Sequential(*steps)
        self.out = nn.Conv2d(dim, classes, 1)

    def forward(self, embedding: Tensor) -> Tensor:
        return self.out(self.steps(embedding))


class LinearHead(nn.Module):
    """[b, dim, h, w] -> [b, classes, h * patch, w * patch]: the logits of a patch's pixels, by one linear layer."""

    def __init__(self, dim: int, classes: int, patch: int) -> None:
        super().__init__()
        self.out = nn.Conv2d(dim, classes * patch**2, 1)
        self.unfold = nn.PixelShuffle(patch)

    def forward(self, embedding: Tensor) -> Tensor:
        return self.unfold(self.out(embedding))
