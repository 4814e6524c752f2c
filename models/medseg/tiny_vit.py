"""The image encoder of LiteMedSAM: a TinyViT that keeps its maps large, and SAM's neck.

Wu et al., TinyViT: Fast Pretraining Distillation for Small Vision Transformers, ECCV 2022; widths as TinyViT-5M. Other than
there, patches are single pixels, the last stage keeps the size of its maps, and a neck of 256 channels follows. Module names
are those of the published weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import pad, scaled_dot_product_attention

from benchmarks.models.medseg.norms import FrozenBatchNorm2d, LayerNorm2d

HEAD_DIM = 32
EXPANSION = 4
"""How much wider the hidden layers of blocks are than the blocks."""


class ConvNorm(nn.Sequential):
    """A convolution without bias and its normalisation; 3 x 3 kernels are padded to keep the size."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> None:
        super().__init__()
        self.add_module(
            "c", nn.Conv2d(in_channels, out_channels, kernel, stride, kernel // 2, groups=groups, bias=False)
        )
        self.add_module("bn", FrozenBatchNorm2d(out_channels))


class PatchEmbed(nn.Module):
    """Two point-wise convolutions: every pixel is a patch."""

    def __init__(self, in_channels: int, dim: int) -> None:
        super().__init__()
        self.seq = nn.Sequential(ConvNorm(in_channels, dim // 2), nn.GELU(), ConvNorm(dim // 2, dim))

    def forward(self, image: Tensor) -> Tensor:
        return self.seq(image)


class MBConv(nn.Module):
    """An inverted bottleneck around a depth-wise convolution, [n, dim, h, w] in and out."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        hidden = EXPANSION * dim
        self.conv1 = ConvNorm(dim, hidden)
        self.conv2 = ConvNorm(hidden, hidden, 3, groups=hidden)
        self.conv3 = ConvNorm(hidden, dim)
        self.act = nn.GELU()

    def forward(self, x: Tensor) -> Tensor:
        return self.act(x + self.conv3(self.act(self.conv2(self.act(self.conv1(x))))))


class PatchMerging(nn.Module):
    """[n, dim, h, w] -> [n, out_dim, h / stride, w / stride], rounded up."""

    def __init__(self, dim: int, out_dim: int, stride: int) -> None:
        super().__init__()
        self.conv1 = ConvNorm(dim, out_dim)
        self.conv2 = ConvNorm(out_dim, out_dim, 3, stride, groups=out_dim)
        self.conv3 = ConvNorm(out_dim, out_dim)
        self.act = nn.GELU()

    def forward(self, x: Tensor) -> Tensor:
        return self.conv3(self.act(self.conv2(self.act(self.conv1(x)))))


class Attention(nn.Module):
    """Normalised self-attention within windows [m, window * window, dim], with a bias for every distance between pixels."""

    distances: Tensor

    def __init__(self, dim: int, heads: int, window: int) -> None:
        super().__init__()
        self.heads, self.window = heads, window
        self.norm = nn.LayerNorm(dim)
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)
        self.attention_biases = nn.Parameter(torch.zeros(heads, window * window))
        places = torch.cartesian_prod(torch.arange(window), torch.arange(window))
        rows, columns = (places[:, None] - places[None]).abs().unbind(-1)
        self.register_buffer("distances", rows * window + columns, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        windows, pixels, dim = x.shape
        # Queries, keys and values of a head lie side by side, head after head.
        parts = self.qkv(self.norm(x)).view(windows, pixels, self.heads, 3, dim // self.heads)
        query, key, value = parts.permute(3, 0, 2, 1, 4)
        bias = self.attention_biases[:, self.distances]
        mixed = scaled_dot_product_attention(query, key, value, attn_mask=bias.to(query.dtype))
        return self.proj(mixed.transpose(1, 2).reshape(windows, pixels, dim))


class Mlp(nn.Module):
    """A normalised perceptron of one hidden layer on the last dimension."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.fc1 = nn.Linear(dim, EXPANSION * dim)
        self.fc2 = nn.Linear(EXPANSION * dim, dim)
        self.act = nn.GELU()

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(self.act(self.fc1(self.norm(x))))


class Block(nn.Module):
    """Attention in windows, a depth-wise convolution across them, and a perceptron, [n, dim, h, w] in and out.

    Maps whose sides are no multiples of the window get zeros at the bottom and right, which attention sees, as in the
    network that the weights were trained in.
    """

    def __init__(self, dim: int, heads: int, window: int) -> None:
        super().__init__()
        self.window = window
        self.attn = Attention(dim, heads, window)
        self.local_conv = ConvNorm(dim, dim, 3, groups=dim)
        self.mlp = Mlp(dim)

    def forward(self, x: Tensor) -> Tensor:
        x = self.local_conv(x + self._attended(x)).permute(0, 2, 3, 1)
        return (x + self.mlp(x)).permute(0, 3, 1, 2)

    def _attended(self, x: Tensor) -> Tensor:
        n, dim, height, width = x.shape
        side = self.window
        down, across = (-(-size // side) for size in (height, width))
        x = pad(x, (0, across * side - width, 0, down * side - height))
        x = x.view(n, dim, down, side, across, side).permute(0, 2, 4, 3, 5, 1)
        x = self.attn(x.reshape(n * down * across, side * side, dim))
        x = x.view(n, down, across, side, side, dim).permute(0, 5, 1, 3, 2, 4)
        return x.reshape(n, dim, down * side, across * side)[:, :, :height, :width]


class Stage(nn.Module):
    """Blocks of one width and, but for the last stage, the step to the next width."""

    def __init__(self, blocks: Sequence[nn.Module], downsample: nn.Module | None) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*blocks)
        self.downsample = downsample


class TinyViT(nn.Module):
    """Images [n, 3, h, w] -> an embedding [n, 256, h / 4, w / 4] and the first stage's map [n, embed_dims[0], h, w].

    Stages have `embed_dims` channels and `depths` blocks; the first is convolutional, those after it attend in windows of
    `windows` pixels at strides 2, 4 and 4. Heads have 32 dimensions, or fewer where a stage is narrower. Any image size works.
    """

    def __init__(
        self,
        embed_dims: Sequence[int] = (64, 128, 160, 320),
        depths: Sequence[int] = (2, 2, 6, 2),
        windows: Sequence[int] = (7, 14, 7),
        out_channels: int = 256,
    ) -> None:
        super().__init__()
        if not len(embed_dims) == len(depths) == len(windows) + 1 == 4:
            raise ValueError("embed_dims and depths have four entries, windows three")
        self.patch_embed = PatchEmbed(3, embed_dims[0])
        stages = []
        for number, (dim, depth) in enumerate(zip(embed_dims, depths, strict=True)):
            blocks: list[nn.Module] = [MBConv(dim) for _ in range(depth)]
            if number:
                heads = max(1, dim // HEAD_DIM)
                blocks = [Block(dim, heads, windows[number - 1]) for _ in range(depth)]
            last = number == len(embed_dims) - 1
            stride = 1 if number == 2 else 2
            stages.append(Stage(blocks, None if last else PatchMerging(dim, embed_dims[number + 1], stride)))
        self.layers = nn.ModuleList(stages)
        self.neck = nn.Sequential(
            nn.Conv2d(embed_dims[-1], out_channels, 1, bias=False),
            LayerNorm2d(out_channels),
            nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False),
            LayerNorm2d(out_channels),
        )

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        x = self.patch_embed(image)
        first = x
        for number, layer in enumerate(self.layers):
            stage = cast(Stage, layer)
            x = stage.blocks(x)
            if number == 0:
                first = x
            if stage.downsample is not None:
                x = stage.downsample(x)
        return self.neck(x), first
