"""Trained NAFNets for inference: the same answers from fewer passes over the image, with pixels as rows of a matrix."""

from __future__ import annotations

import copy
from typing import Any, NoReturn

import torch
from torch import Tensor, nn
from torch.nn.functional import pixel_shuffle

from benchmarks.errors import BenchmarkError
from benchmarks.models.padding import padded
from benchmarks.models.restoration.layer_norm import LayerNorm2d
from benchmarks.models.restoration.nafnet import NAFBlock, NAFNet


class FusedBlock(nn.Module):
    """A block on pixels [n, h, w, c], in place.

    Beta and gamma are in the matrices before them; scale and shift of norms stay, since torch's kernel is slower without. Where
    there is one image, the channel attention is multiplied into the matrix behind it and not into all pixels.
    """

    def __init__(self, block: NAFBlock) -> None:
        super().__init__()
        self.norm1, self.norm2 = _norm(block.norm1), _norm(block.norm2)
        self.enter = _linear(*_exact_conv(block.conv1), block.conv1)
        self.mix = _conv(block.conv2)
        self.attend = _linear(*_exact_conv(block.sca[1]), block.sca[1])
        self.leave = _linear(*_scaled(block.conv3, block.beta), block.conv3)
        self.widen = _linear(*_exact_conv(block.conv4), block.conv4)
        self.narrow = _linear(*_scaled(block.conv5, block.gamma), block.conv5)

    def forward(self, x: Tensor) -> Tensor:
        gated = _gate(_pixels(self.mix(_images(self.enter(self.norm1(x))))))
        attention = self.attend(gated.mean((1, 2)))
        if len(x) == 1 and not torch.compiler.is_compiling():
            _add(x, gated, self.leave.weight * attention, self.leave.bias)
        else:
            _add(x, gated.mul_(attention[:, None, None]), self.leave.weight, self.leave.bias)
        del gated  # its memory is taken again for what is wide
        return _add(x, _gate(self.widen(self.norm2(x))), self.narrow.weight, self.narrow.bias)


class FusedNAFNet(nn.Module):
    """What `fuse` makes: images [n, 3, h, w] of float32 -> restored ones, for inference only."""

    def __init__(self, network: NAFNet) -> None:
        super().__init__()
        self.multiple = network.multiple
        self.intro, self.ending = _conv(network.intro), _conv(network.ending)
        self.encoders = nn.ModuleList(_blocks(blocks) for blocks in network.encoders)
        self.downs = nn.ModuleList(_conv(down) for down in network.downs)
        self.middle = _blocks(network.middle_blks)
        self.ups = nn.ModuleList(
            _linear(*_exact_conv(up.get_submodule("0")), up.get_submodule("0")) for up in network.ups
        )
        self.decoders = nn.ModuleList(_blocks(blocks) for blocks in network.decoders)
        self.to(memory_format=torch.channels_last)
        self.eval().requires_grad_(False)

    def forward(self, image: Tensor) -> Tensor:
        inp = padded(image, self.multiple, mode="constant").contiguous(memory_format=torch.channels_last)
        x = _pixels(self.intro(inp.to(self.intro.weight.dtype)))
        skips = []
        for encoder, down in zip(self.encoders, self.downs, strict=True):
            skips.append(encoder(x))
            x = _pixels(down(_images(skips[-1])))
        x = self.middle(x)
        for up, decoder in zip(self.ups, self.decoders, strict=True):
            x = decoder(_pixels(pixel_shuffle(_images(up(x)), 2)).add_(skips.pop()))
        restored = inp + self.ending(_images(x))  # the image as it came, whatever the type of the features
        return restored[:, :, : image.shape[2], : image.shape[3]]


def _images(pixels: Tensor) -> Tensor:
    """[n, h, w, c] as [n, c, h, w] in memory format channels_last."""
    return pixels.permute(0, 3, 1, 2)


def _pixels(images: Tensor) -> Tensor:
    """[n, c, h, w] as [n, h, w, c]; a copy only where a layer has not kept the memory format."""
    return images.permute(0, 2, 3, 1).contiguous()


def _gate(pixels: Tensor) -> Tensor:
    """The first half of the channels times the second, in the place of the first: new memory costs more than the product."""
    first, second = pixels.chunk(2, dim=3)
    return first.mul_(second)


def _add(x: Tensor, features: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Adds a linear layer's answer to x [n, h, w, c] in place, by the matrix product itself."""
    x.view(-1, x.shape[3]).addmm_(features.flatten(0, 2), weight.T)
    return x.add_(bias)


def fuse(network: nn.Module, dtype: torch.dtype | None = None) -> FusedNAFNet:
    """The answers of a trained NAFNet, up to rounding, in the form that is soonest computed.

    Weights are combined in float64; the device of the result is that of `network`, which stays as it is. So is its type
    unless `dtype` says otherwise: with bfloat16 features are coarse, but the image that they are added to is not. Any other
    network, and one with convolutions that a method has replaced, raises BenchmarkError.
    """
    if type(network) is not NAFNet:
        _refuse(network, "network")
    return FusedNAFNet(network).to(dtype)


def _blocks(blocks: nn.Module) -> nn.Sequential:
    assert isinstance(blocks, nn.Sequential)
    return nn.Sequential(*(FusedBlock(block) for block in blocks if isinstance(block, NAFBlock)))


def _norm(norm: LayerNorm2d) -> nn.LayerNorm:
    """The same over the last dimension."""
    made = nn.LayerNorm(len(norm.weight), norm.eps, device="meta")
    made.weight, made.bias = nn.Parameter(norm.weight.detach().clone()), nn.Parameter(norm.bias.detach().clone())
    return made


def _scaled(conv: nn.Module, scale: Tensor) -> tuple[Tensor, Tensor]:
    """Matrix and bias in float64 of a 1 x 1 convolution whose answer is multiplied by `scale`."""
    weight, bias = _exact_conv(conv)
    assert bias is not None
    factor = _exact(scale).flatten()
    return weight * factor[:, None], bias * factor


def _exact_conv(conv: nn.Module) -> tuple[Tensor, Tensor | None]:
    if type(conv) is not nn.Conv2d:
        _refuse(conv, "layer")
    return _exact(conv.weight).flatten(1), None if conv.bias is None else _exact(conv.bias)


def _linear(weight: Tensor, bias: Tensor | None, like: Any) -> nn.Linear:
    made = nn.Linear(weight.shape[1], weight.shape[0], bias is not None, device="meta")
    made.weight = nn.Parameter(weight.to(like.weight))
    if bias is not None:
        made.bias = nn.Parameter(bias.to(like.weight))
    return made


def _conv(conv: nn.Module) -> nn.Conv2d:
    """A copy, which is refused where a method has put something else in its place."""
    if type(conv) is not nn.Conv2d:
        _refuse(conv, "layer")
    return copy.deepcopy(conv)


def _exact(tensor: Tensor) -> Tensor:
    return tensor.detach().to(torch.float64)


def _refuse(module: nn.Module, what: str) -> NoReturn:
    raise BenchmarkError(
        f"This {what} has no fused form: {type(module).__name__}. NAFNet has one, with dense convolutions. Call the network "
        "itself."
    )
