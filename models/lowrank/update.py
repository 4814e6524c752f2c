"""Updates of weights that stay as they are: attaching them, two ways to compute with them, and merging them into plain layers."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, cast

import torch
from torch import nn
from torch.nn.functional import conv2d, linear
from torch.nn.utils import parametrize

from benchmarks.errors import BenchmarkError
from benchmarks.models.lowrank.conv import compressible
from benchmarks.models.lowrank.spectrum import digest
from benchmarks.models.lowrank.update_gradient import factored

WEIGHT = "weight"
MOVED, CALL, BUILT = 10, 2_000_000, 4
"""By steps of one core on layers like NAFNet's: multiplications in the time that it takes to move a number, and to call a
gradient that is written in Python; and numbers of x and y that are moved in the time that it takes to build one of a weight."""
Layer = nn.Linear | nn.Conv2d


class Update(nn.Module, ABC):
    """What is added to one frozen weight [out, ...], read as the matrix [out, in * kernel] that acts on patches.

    Called with the weight it gives the updated one, which is the weight itself, bit by bit, before any training. It remembers
    the sha256 of the weight that it was made for: a state dict that was saved for another one raises BenchmarkError.
    """

    base: torch.Tensor

    def __init__(self, weight: torch.Tensor) -> None:
        super().__init__()
        self.rows, self.columns = matrix_shape(weight)
        self.register_buffer("base", torch.frombuffer(bytearray(digest(weight)), dtype=torch.uint8).to(weight.device))
        self._kept = _Kept()

    @abstractmethod
    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        """The updated weight."""

    def output(self, layer: Layer, weight: torch.Tensor, x: torch.Tensor) -> torch.Tensor | None:
        """The updated layer's answer without its weight ever being built, or None where building it costs less."""
        return None

    def parts(self) -> dict[str, torch.Tensor] | None:
        """What of an adapter's file makes the updated weight (see `adapter_file`), or None where none can."""
        return None

    def built(self, weight: torch.Tensor) -> torch.Tensor:
        """The updated weight in the type of the weight itself, whatever the rest of the step is computed in."""
        if weight.is_meta or not torch.is_autocast_enabled(weight.device.type):
            return self(weight)
        with torch.autocast(weight.device.type, enabled=False):
            return self(weight)

    def kept(self, weight: torch.Tensor) -> torch.Tensor:
        """The updated weight, built anew only after one of the numbers that it depends on was written to."""
        tensors = (weight, *self.parameters(), *self.buffers())
        if any(each.is_inference() for each in tensors):  # nothing tells when these are written to
            return self.built(weight)
        state = tuple((each.data_ptr(), each._version) for each in tensors)
        if self._kept.weight is None or self._kept.state != state:
            self._kept.state, self._kept.weight = state, self.built(weight)
        return self._kept.weight

    def train(self, mode: bool = True) -> Update:
        if mode:
            self._kept = _Kept()
        return super().train(mode)

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *rest: Any) -> None:
        given = state_dict.get(f"{prefix}base")
        if given is not None and not torch.equal(given.cpu(), self.base.cpu()):
            shown = [bytes(each.tolist()).hex()[:12] for each in (given, self.base)]
            raise BenchmarkError(
                f"The adapter was trained for another base: at {prefix.split('.parametrizations')[0]} its weight has sha256 "
                f"{shown[0]}..., the one here {shown[1]}.... Load it into the base that it was trained for."
            )
        super()._load_from_state_dict(state_dict, prefix, *rest)


class FactoredUpdate(Update):
    """W + up down with factors of a `width`, which need not be below the rank of W."""

    def __init__(self, weight: torch.Tensor, width: int) -> None:
        super().__init__(weight)
        self.width = width

    @abstractmethod
    def factors(self) -> tuple[torch.Tensor, torch.Tensor]:
        """`up` [out, width] and `down` [width, in * kernel], made of the numbers that train."""

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        up, down = self.factors()
        return weight + (up @ down).view(weight.shape)

    def output(self, layer: Layer, weight: torch.Tensor, x: torch.Tensor) -> torch.Tensor | None:
        """By `factored`, where multiplications of a step and numbers that it moves say that autograd's gradient of the whole
        weight costs more: not of few channels, nor of little."""
        n, size, ends = tokens(layer, x), self.rows * self.columns, self.rows + self.columns
        thin, whole = 2 * n * ends * (self.width + MOVED), (n + 2 * self.width) * size
        if not acts_on_patches(layer) or thin + CALL > whole:
            return None
        if n * ends <= BUILT * size:
            return factored(layer, x, weight, *self.factors(), around=True)
        with torch.no_grad():
            built = self.built(weight)
        return factored(layer, x, built, *self.factors(), around=False)


class LowRankUpdate(FactoredUpdate):
    """W + scale up down.

    `down` [rank, in * kernel] is drawn as torch draws a linear layer, `up` [out, rank] is zero: an update that was not
    trained changes nothing (Hu et al., LoRA: Low-Rank Adaptation of Large Language Models, ICLR 2022, scale alpha / rank).
    """

    def __init__(self, weight: torch.Tensor, rank: int, scale: float) -> None:
        super().__init__(weight, rank)
        self.scale = scale
        self.down = nn.Parameter(weight.new_empty(rank, self.columns))
        self.up = nn.Parameter(weight.new_zeros(self.rows, rank))
        nn.init.kaiming_uniform_(self.down, a=math.sqrt(5))

    def factors(self) -> tuple[torch.Tensor, torch.Tensor]:
        return self.up if self.scale == 1 else self.scale * self.up, self.down

    def parts(self) -> dict[str, torch.Tensor] | None:
        return dict(zip(("up", "down"), self.factors(), strict=True))


def attach(layers: Mapping[str, Layer], make: Callable[[str, torch.Tensor], Update]) -> None:
    """Gives every layer, in place, the update that `make` makes of its name and weight, and freezes the weight itself.

    Whatever reads `weight` sees the updated one. Calls of the layer build it only where that pays, and in evaluation
    without gradients once. Nothing is changed where `make` raises for one of the layers.
    """
    made = {name: make(name, layer.weight.detach()) for name, layer in layers.items()}
    for name, layer in layers.items():
        layer.weight.requires_grad_(False)
        parametrize.register_parametrization(layer, WEIGHT, made[name])
        made[name].train(layer.training)
        # torch has just given this layer a class of its own, which merging takes away again.
        cast(Any, type(layer)).forward = _forward


def merge_updates(network: nn.Module) -> nn.Module:
    """Puts every updated weight in the place of the frozen one: the same answers from a network of the base's own layers."""
    for layer in [module for module in network.modules() if parametrize.is_parametrized(module, WEIGHT)]:
        parametrize.remove_parametrizations(layer, WEIGHT, leave_parametrized=True)
    return network


class RankError(BenchmarkError):
    """A rank that a weight has no low-rank update of."""


def require_rank(name: str, weight: torch.Tensor, rank: int, *, whole: bool = False) -> None:
    """Raises RankError for a rank that is not below the largest one of the weight, or above it with `whole`."""
    largest = min(matrix_shape(weight))
    if not 1 <= rank < largest + whole:
        raise RankError(
            f"Rank {rank} is no {'rank' if whole else 'low rank'} for an update of {name}, whose matrix has rank {largest} "
            f"at most. Type method.rank={max(1, min(4, largest - 1))}."
        )


def matrix_shape(weight: torch.Tensor) -> tuple[int, int]:
    """Rows and columns of the matrix that a weight is on patches (of a group's channels, where a convolution has groups)."""
    return len(weight), math.prod(weight.shape[1:])


def acts_on_patches(layer: Layer) -> bool:
    """Whether one matrix maps each patch to its outputs: all layers but convolutions with groups or other padding than zeros."""
    return isinstance(layer, nn.Linear) or compressible(layer)


def at_least_single(x: torch.Tensor) -> torch.Tensor:
    """In 32 bits or more, for what is not computed in fewer."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def tokens(layer: Layer, x: torch.Tensor) -> int:
    """How many vectors, or for a convolution about how many patches, x is."""
    if isinstance(layer, nn.Linear):
        return x.numel() // layer.in_features
    return x.numel() // (layer.in_channels * math.prod(layer.stride))


def applied(layer: Layer, weight: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """What the layer would answer with this weight."""
    if isinstance(layer, nn.Linear):
        return linear(x, weight, layer.bias)
    return layer._conv_forward(x, weight, layer.bias)


def project(layer: Layer, x: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    """Every vector or patch of x times each of `rows` [r, in * kernel]: [..., r], or r channels of a convolution."""
    if isinstance(layer, nn.Linear):
        return linear(x, rows)
    kernel = rows.view(len(rows), layer.in_channels, *layer.kernel_size)
    padding = cast(tuple[int, int], layer.padding)
    return conv2d(x, kernel, None, cast(tuple[int, int], layer.stride), padding, cast(tuple[int, int], layer.dilation))


def lift(layer: Layer, z: torch.Tensor, matrix: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
    """`matrix` [o, r] times what `project` gave, at every place."""
    if isinstance(layer, nn.Linear):
        return linear(z, matrix, bias)
    return conv2d(z, matrix[:, :, None, None], bias)


class _Kept:
    """A built weight and the state of what it was built from; copies of a network start without one."""

    def __init__(self) -> None:
        self.state: tuple[tuple[int, int], ...] = ()
        self.weight: torch.Tensor | None = None

    def __deepcopy__(self, memo: Any) -> _Kept:
        return _Kept()


def _forward(layer: Any, x: torch.Tensor) -> torch.Tensor:
    """The forward of a layer with an update."""
    held = layer.parametrizations[WEIGHT]
    update: Update = held[0]
    if not layer.training and not torch.is_grad_enabled():
        return applied(layer, update.kept(held.original), x)
    answer = update.output(layer, held.original, x)
    return applied(layer, update.built(held.original), x) if answer is None else answer
