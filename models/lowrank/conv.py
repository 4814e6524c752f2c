"""Low-rank convolutions: a convolution to few channels and a mixture of these, in the place of one convolution."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import nn

from benchmarks.models.lowrank.factors import LinearFactors
from benchmarks.models.lowrank.layers import LowRankLinear, low_rank_inner

Pair = tuple[int, int]


@dataclass(frozen=True)
class Geometry:
    """How a convolution moves over an image."""

    in_channels: int
    kernel_size: Pair
    stride: Pair
    padding: Pair
    dilation: Pair


class LowRankConv2d(nn.Module):
    """A convolution through `rank` channels: [n, in_channels, h, w] -> [n, out_channels, h', w'].

    `down` has the kernel and `up` is 1 x 1 (Zhang et al., Accelerating Very Deep Convolutional Networks for Classification
    and Detection, TPAMI 2016). Arguments are those of LowRankLinear and of the convolution.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        rank: int,
        kernel_size: Pair,
        stride: Pair = (1, 1),
        padding: Pair = (0, 0),
        dilation: Pair = (1, 1),
        bias: bool = True,
        inner: str | None = None,
        inner_bias: bool = False,
    ) -> None:
        super().__init__()
        self.act = low_rank_inner(rank, inner)
        self.geometry = Geometry(in_channels, *map(_pair, (kernel_size, stride, padding, dilation)))
        self.inner = inner
        self.down = nn.Conv2d(
            in_channels,
            rank,
            self.geometry.kernel_size,
            self.geometry.stride,
            self.geometry.padding,
            self.geometry.dilation,
            bias=inner_bias,
        )
        self.up = nn.Conv2d(rank, out_channels, 1, bias=bias)

    @classmethod
    def of(cls, linear: LowRankLinear, geometry: Geometry) -> LowRankConv2d:
        """What `linear` does to patches, done at every place of an image."""
        layer = cls(
            **vars(geometry),
            out_channels=linear.out_features,
            rank=linear.rank,
            bias=linear.up.bias is not None,
            inner=linear.inner,
            inner_bias=linear.down.bias is not None,
        ).to(linear.up.weight)
        with torch.no_grad():
            for ours, theirs in ((layer.down, linear.down), (layer.up, linear.up)):
                ours.weight.copy_(theirs.weight.view(ours.weight.shape))
                if ours.bias is not None:
                    ours.bias.copy_(theirs.bias)
        return layer

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.up(self.act(self.down(x)))

    def kernel(self) -> torch.Tensor:
        """The weights of the one convolution that this is, [out, in, kernel height, kernel width], without an activation."""
        return torch.einsum("or,rihw->oihw", self.up.weight[:, :, 0, 0], self.down.weight)

    def blueprint(self) -> dict[str, Any]:
        """The constructor's arguments, fit for JSON."""
        return {
            **{name: list(value) if isinstance(value, tuple) else value for name, value in vars(self.geometry).items()},
            "out_channels": self.up.out_channels,
            "rank": self.up.in_channels,
            "bias": self.up.bias is not None,
            "inner": self.inner,
            "inner_bias": self.down.bias is not None,
        }


@dataclass(frozen=True, eq=False)
class ConvFactors(LinearFactors):
    """Factors of a convolution as the linear layer that it is on patches, [out_channels, in_channels * kernel]."""

    geometry: Geometry

    @classmethod
    def of(cls, conv: nn.Conv2d, factors: LinearFactors) -> ConvFactors:
        """The factors of `on_patches(conv)`, to be put in the place of `conv`."""
        own = {field.name: getattr(factors, field.name) for field in fields(LinearFactors)}
        return cls(**own, geometry=geometry_of(conv))

    def truncate(self, rank: int, inner: str | None = None) -> LowRankConv2d:  # type: ignore[override]
        """The convolution of the `rank` strongest components; `inner` as in LowRankLinear."""
        return LowRankConv2d.of(super().truncate(rank, inner), self.geometry)


def compressible(conv: nn.Conv2d) -> bool:
    """Whether a convolution is one matrix on patches: without groups, and with zeros around the image."""
    return conv.groups == 1 and conv.padding_mode == "zeros" and not isinstance(conv.padding, str)


def geometry_of(conv: nn.Conv2d) -> Geometry:
    """How a convolution moves."""
    return Geometry(conv.in_channels, *map(_pair, (conv.kernel_size, conv.stride, conv.padding, conv.dilation)))


def on_patches(conv: nn.Conv2d) -> nn.Linear:
    """The linear layer that a convolution is on patches, sharing its weights."""
    linear = nn.Linear(1, 1, bias=conv.bias is not None, device="meta")
    linear.weight = nn.Parameter(conv.weight.detach().flatten(1))
    linear.out_features, linear.in_features = linear.weight.shape
    if conv.bias is not None:
        linear.bias = nn.Parameter(conv.bias.detach())
    return linear


def _pair(value: Any) -> Pair:
    first, second = value if isinstance(value, tuple | list) else (value, value)
    return int(first), int(second)
