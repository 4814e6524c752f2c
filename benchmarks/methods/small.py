"""The small parameters of a network train: vectors of any shape, and depthwise kernels, which have few numbers each.

What CoLoRA (Park et al., ECCV 2024) has in training beside its updates, by itself: in NAFNet a hundredth of all parameters.
"""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase

from torch import nn

from benchmarks.errors import BenchmarkError
from benchmarks.methods.choose import Choose
from benchmarks.models.lowrank.update import Layer


@dataclass(frozen=True)
class Small(Choose):
    """As `bias_norm`, and also vectors that are kept in a shape such as [1, c, 1, 1], and depthwise kernels."""

    def freeze(self, network: nn.Module) -> None:
        freeze_all_but_small(network)


def freeze_all_but_small(network: nn.Module) -> None:
    """Leaves only small parameters trainable; a network without any raises BenchmarkError."""
    names = small_parameters(network)
    if not names:
        raise BenchmarkError(
            f"The network has no biases, norms, other vectors or depthwise kernels to train: {type(network).__name__}."
        )
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(name in names)


def small_parameters(network: nn.Module) -> set[str]:
    """Names of the vectors, whatever shape they are kept in, and of depthwise kernels outside of `keep_dense`.

    A weight of more than one dimension is a matrix, also with a single row.
    """
    keep = getattr(network, "keep_dense", ())
    depthwise = {
        f"{name}.weight"
        for name, module in network.named_modules()
        if is_depthwise(module) and not any(fnmatchcase(name, pattern) for pattern in keep)
    }
    vectors = {
        name
        for name, parameter in network.named_parameters()
        if parameter.ndim <= 1 or (parameter.numel() == max(parameter.shape) and name.rpartition(".")[2] != "weight")
    }
    return vectors | depthwise


def is_depthwise(module: nn.Module | Layer) -> bool:
    """Whether a convolution has a kernel for each channel and mixes none."""
    return isinstance(module, nn.Conv2d) and module.groups == module.in_channels > 1
