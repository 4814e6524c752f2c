"""Stacks of 3 x 3 convolutions that the stages of unfolded robust PCA are made of; all keep height and width."""

from __future__ import annotations

import torch
from torch import nn


def conv3(in_channels: int, out_channels: int) -> nn.Conv2d:
    """A 3 x 3 convolution with bias and padding 1."""
    return nn.Conv2d(in_channels, out_channels, 3, padding=1)


class Norm(nn.BatchNorm2d):
    """Batch normalisation that also trains on one image.

    Where a batch has one value a channel, as means of a single image are, its deviation is none; it is then normalised by
    the running statistics, which are left as they are.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.training or x.numel() > x.shape[1]:
            return super().forward(x)
        return nn.functional.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)


def stack(channels: int, depth: int, norm: bool) -> nn.Sequential:
    """[n, 1, h, w] -> [n, 1, h, w]: `depth` convolutions between the first and the last, a ReLU after each but the last."""
    layers: list[nn.Module] = []
    for index in range(depth + 1):
        layers.append(conv3(channels if index else 1, channels))
        if norm:
            layers.append(nn.BatchNorm2d(channels))
        layers.append(nn.ReLU(inplace=True))
    return nn.Sequential(*layers, conv3(channels, 1))


class Merge(nn.Module):
    """IRM: the image as background and objects make it up, B + T -> D, without a skip connection."""

    def __init__(self, channels: int, depth: int) -> None:
        super().__init__()
        self.mapping = stack(channels, depth, norm=True)

    def forward(self, background: torch.Tensor, objects: torch.Tensor) -> torch.Tensor:
        return self.mapping(background + objects)


def initialise(network: nn.Module) -> None:
    """Xavier's normal draw for the weights of all convolutions; biases stay as torch draws them."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.xavier_normal_(module.weight)


def narrow(network: nn.Module) -> tuple[str, ...]:
    """Names of convolutions with an image of one channel on either side, and of those of an attention.

    No rank makes them much smaller.
    """
    return tuple(
        name
        for name, module in network.named_modules()
        if isinstance(module, nn.Conv2d) and (1 in (module.in_channels, module.out_channels) or ".attn." in name)
    )
