"""Trained RPCANets for inference: the same answers from fewer passes over the image and from cheaper products."""

from __future__ import annotations

import copy
from typing import Any, NoReturn

import torch
from torch import nn
from torch.nn.functional import conv2d, pad

from benchmarks.errors import BenchmarkError
from benchmarks.models.fft_conv import TILE, overlap_save, spectrum
from benchmarks.models.lowrank.conv import LowRankConv2d
from benchmarks.models.sparse_object.contrast import ChannelAttention, Contrast, kernel_sum
from benchmarks.models.sparse_object.conv_lstm import ConvLSTM, State
from benchmarks.models.sparse_object.rpcanet import Decomposition, RPCANet, Stage
from benchmarks.models.sparse_object.rpcanet_pp import MemoryStage, RPCANetPlusPlus

PIXELS_A_TILE = 200
"""So many pixels of a 17 x 17 convolution of 32 channels take as long on a CPU as one tile of its Fourier form."""
FIXED_TILES = 2
"""So many tiles take as long as it does to read the spectrum."""


class FusedRPCANet(nn.Module):
    """What `fuse` makes: images [n, 1, h, w] -> objects (logits) and reconstruction, for inference only."""

    def __init__(self, network: RPCANet | RPCANetPlusPlus) -> None:
        super().__init__()
        self.network = network
        for name in ("centre", "spread", "crop", "multiple"):
            if hasattr(network, name):
                setattr(self, name, getattr(network, name))
        self.to(memory_format=torch.channels_last)
        self.eval().requires_grad_(False)

    def decompose(self, image: torch.Tensor) -> list[Decomposition]:
        """What every stage makes of the image."""
        return self.network.decompose(image)

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.network(image)

    def answer(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
        """The probability [n, h, w] of an object at every pixel."""
        return self.network.answer(image)


class ToOneChannel(nn.Module):
    """A 3 x 3 convolution to one channel, [n, c, h, w] -> [n, 1, h, w]: nine numbers a pixel, added up where they belong.

    Convolutions to many channels are what CPUs are good at: this one took half of the time of one to 32.
    """

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.weight = nn.Parameter(conv.weight.detach()[0].flatten(1).T.contiguous())
        self.bias = nn.Parameter(conv.weight.new_zeros(1) if conv.bias is None else conv.bias.detach().clone())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        n, channels, height, width = x.shape
        pixels = x.permute(0, 2, 3, 1).reshape(n, height * width, channels)
        parts = pad(torch.matmul(self.weight, pixels.transpose(1, 2)).view(n, 9, height, width), (1, 1, 1, 1))
        total = self.bias + parts[:, 0, :height, :width]
        for place in range(1, 9):
            y, x_ = divmod(place, 3)
            total = total + parts[:, place, y : y + height, x_ : x_ + width]
        return total[:, None]


class WideConv(nn.Module):
    """A convolution by a wide kernel that is kept as its spectrum too, applied in the way that is sooner for the size."""

    spectrum: torch.Tensor

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        weight = conv.weight.detach()
        self.kernel = weight.shape[-1]
        self.weight = nn.Parameter(weight.clone())
        self.bias = nn.Parameter(weight.new_zeros(len(weight)) if conv.bias is None else conv.bias.detach().clone())
        # As real numbers [places, in, 2 out]: what moves or saves a network does not always know complex ones.
        self.register_buffer("spectrum", torch.view_as_real(spectrum(weight)).flatten(2), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        images = 1 if torch.compiler.is_compiling() else len(x)
        if x.device.type == "cpu" and fourier_is_sooner(images, x.shape[2], x.shape[3], self.kernel):
            y = overlap_save(x, torch.view_as_complex(self.spectrum.unflatten(2, (-1, 2))), self.kernel)
            return y + self.bias[:, None, None]
        return conv2d(x, self.weight, self.bias, padding=self.kernel // 2)


def fourier_is_sooner(images: int, height: int, width: int, kernel: int) -> bool:
    """Whether so many images of that size are convolved sooner by tiles than directly, on a CPU."""
    step = TILE - kernel + 1
    tiles = images * -(-height // step) * -(-width // step)
    return images * height * width > PIXELS_A_TILE * (tiles + FIXED_TILES) * (17 / kernel) ** 2


class FusedContrast(nn.Module):
    """The contrast layer and the normalisation behind it: theta (W1 x) - W x, W1 summed and both scaled beforehand."""

    def __init__(self, contrast: Contrast, norm: nn.BatchNorm2d) -> None:
        super().__init__()
        scale, shift = _scale_and_shift(norm)
        centre = kernel_sum(contrast.conv).detach()
        self.centre = nn.Parameter((scale[:, None, None, None] * _exact(centre)).to(centre))
        self.attn = ChannelAttention(1)
        self.attn.avg_channel = folded(contrast.attn.avg_channel)
        self.wide = _wide(_merged(contrast.conv, scale, -shift))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return conv2d(x, self.centre).mul_(self.attn(x)).sub_(self.wide(x))


class FusedConvLSTM(nn.Module):
    """A step of the memory with all gates as one convolution of x and h; the gates stand before the candidate."""

    def __init__(self, conv: nn.Conv2d, first: bool) -> None:
        super().__init__()
        self.conv = conv
        self.first = first
        self.channels = conv.out_channels // (3 if first else 4)

    def forward(self, x: torch.Tensor, state: State | None) -> State:
        made = self.conv(x if state is None else torch.cat((x, state[0]), 1))
        gates, new = made.split([made.shape[1] - self.channels, self.channels], 1)
        gates, new = torch.sigmoid(gates), torch.tanh(new)
        if state is None:
            enter, leave = gates.split(self.channels, 1)
            cell = enter * new
            return leave * cell, cell
        forget, enter, leave = gates.split(self.channels, 1)
        cell = forget * state[1] + enter * new
        return leave * torch.tanh(cell), cell


def fuse(network: nn.Module) -> FusedRPCANet:
    """The answers of a trained RPCANet or RPCANet++ in evaluation mode, up to rounding, in the form that is soonest computed.

    BatchNorm is folded into the convolution before it, dense gates of the memory are one convolution, the wide kernels have
    their sums and spectra computed, parameters that never act are gone. Convolutions stay low-rank except where one is no
    more work than the two. Weights are combined in float64; type and device of the result are those of `network`, which stays
    as it is. Anything else raises BenchmarkError.
    """
    if type(network) not in (RPCANet, RPCANetPlusPlus):
        _refuse(network, "network")
    made = copy.deepcopy(network).eval()
    assert isinstance(made, RPCANet | RPCANetPlusPlus)
    for stage in made.decos:
        assert isinstance(stage, Stage | MemoryStage)
        lowrank: Any = stage.lowrank
        if isinstance(stage, MemoryStage):
            lowrank.conv1_C = folded(lowrank.conv1_C)
            lowrank.convC_1 = folded(nn.Sequential(lowrank.convC_1))
            for block in (lowrank.RB_1, lowrank.RB_2):
                block.conv1, block.conv2 = _plain(block.conv1), _plain(block.conv2)
            lowrank.ConvLSTM = _one_convolution(lowrank.ConvLSTM)
            stage.sparse.contrast = folded(stage.sparse.contrast)
        else:
            lowrank.convs = folded(lowrank.convs)
        stage.sparse.convs = folded(stage.sparse.convs)
        stage.merge.mapping = folded(stage.merge.mapping)
    return FusedRPCANet(made)


def folded(layers: nn.Sequential) -> nn.Sequential:
    """The same steps without normalisation, which goes into the convolution or contrast before it."""
    steps: list[nn.Module] = []
    for layer in layers:
        if isinstance(layer, nn.BatchNorm2d):
            before = steps.pop()
            if isinstance(before, Contrast):
                steps.append(FusedContrast(before, layer))
            else:
                steps.append(_merged(before, *_scale_and_shift(layer)))
        else:
            steps.append(_plain(layer) if isinstance(layer, nn.Conv2d | LowRankConv2d) else layer)
    return nn.Sequential(*map(_quick, steps))


def _plain(conv: nn.Module) -> nn.Module:
    return _merged(conv, None, None)


def _merged(conv: nn.Module, scale: torch.Tensor | None, shift: torch.Tensor | None) -> nn.Module:
    """A convolution with its answer multiplied by `scale` [out] and `shift` [out] added."""
    if isinstance(conv, LowRankConv2d):
        geometry = conv.geometry
        area = geometry.in_channels * geometry.kernel_size[0] * geometry.kernel_size[1]
        rank, out = conv.up.in_channels, conv.up.out_channels
        if conv.inner is not None or rank * (area + out) < area * out:
            small = copy.deepcopy(conv)
            small.up = _conv(*_scaled(conv.up, scale, shift), conv.up)
            return small
        whole = nn.Conv2d(1, 1, 1, device="meta")
        whole.weight = nn.Parameter(_exact(conv.kernel()))
        bias = whole.weight.new_zeros(out) if conv.up.bias is None else _exact(conv.up.bias)
        if conv.down.bias is not None:
            bias = bias + _exact(conv.up.weight)[:, :, 0, 0] @ _exact(conv.down.bias)
        whole.bias = nn.Parameter(bias)
        return _conv(*_scaled(whole, scale, shift), conv.down)
    if not isinstance(conv, nn.Conv2d) or conv.groups != 1 or conv.padding_mode != "zeros":
        _refuse(conv, "layer")
    return _conv(*_scaled(conv, scale, shift), conv)


def _scaled(
    conv: nn.Conv2d, scale: torch.Tensor | None, shift: torch.Tensor | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Weight and bias of a convolution in float64 with its answer multiplied and moved."""
    weight = _exact(conv.weight)
    bias = weight.new_zeros(len(weight)) if conv.bias is None else _exact(conv.bias)
    if scale is not None:
        weight, bias = scale[:, None, None, None] * weight, scale * bias
    return weight, bias if shift is None else bias + shift


def _conv(weight: torch.Tensor, bias: torch.Tensor, like: nn.Conv2d) -> nn.Conv2d:
    """A convolution with these weights that moves as another does."""
    out_channels, in_channels, *kernel = weight.shape
    moves: dict[str, Any] = {"stride": like.stride, "padding": like.padding, "dilation": like.dilation}
    made = nn.Conv2d(in_channels, out_channels, (kernel[0], kernel[1]), **moves, device="meta")
    made.weight, made.bias = nn.Parameter(weight.to(like.weight)), nn.Parameter(bias.to(like.weight))
    return made


def _quick(layer: nn.Module) -> nn.Module:
    if isinstance(layer, nn.Conv2d) and layer.out_channels == 1 and layer.kernel_size == (3, 3):
        return ToOneChannel(layer)
    return layer


def _wide(conv: nn.Module) -> nn.Module:
    if isinstance(conv, LowRankConv2d):
        small: Any = conv
        small.down = WideConv(conv.down)
        return conv
    assert isinstance(conv, nn.Conv2d)
    return WideConv(conv)


def _one_convolution(memory: nn.Module) -> nn.Module:
    """All gates at once where they are dense; else the convolutions that act, each for itself."""
    assert isinstance(memory, ConvLSTM)
    gates = "ioj" if memory.first else "fioj"
    sources = "x" if memory.first else "xh"
    made = {f"conv_{of}{gate}": _plain(memory.get_submodule(f"conv_{of}{gate}")) for of in sources for gate in gates}
    if not all(isinstance(conv, nn.Conv2d) for conv in made.values()):
        lean = copy.deepcopy(memory)
        lean._modules.clear()
        for name, conv in made.items():
            lean.add_module(name, conv)
        return lean
    rows: list[list[Any]] = [[made[f"conv_{of}{gate}"] for of in sources] for gate in gates]
    weight = torch.cat([torch.cat([_exact(conv.weight) for conv in row], 1) for row in rows])
    bias = torch.cat([torch.stack([_exact(conv.bias) for conv in row]).sum(0) for row in rows])
    return FusedConvLSTM(_conv(weight, bias, rows[0][0]), memory.first)


def _scale_and_shift(norm: nn.BatchNorm2d) -> tuple[torch.Tensor, torch.Tensor]:
    if norm.running_mean is None or norm.running_var is None or not norm.affine:
        _refuse(norm, "normalisation")
    scale = (_exact(norm.running_var) + norm.eps).rsqrt() * _exact(norm.weight)
    return scale, _exact(norm.bias) - scale * _exact(norm.running_mean)


def _exact(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.detach().to(torch.float64)


def _refuse(module: nn.Module, what: str) -> NoReturn:
    raise BenchmarkError(
        f"This {what} has no fused form: {type(module).__name__}. RPCANet and RPCANet++ have one, with dense or low-rank "
        "convolutions. Call the network itself."
    )
