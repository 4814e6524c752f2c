"""What a network holds: numbers, and the bytes that they are stored in."""

from __future__ import annotations

import torch
from torch import nn

NORMALISATION = nn.modules.batchnorm._NormBase
BYTES = (torch.int8, torch.uint8)
"""Types of buffers that hold what was learnt: rows of a table, a bitmap of weights. Wider integers are counters and keys."""


def unique_parameters(module: nn.Module, trainable: bool = False) -> int:
    """Number of parameters, shared storage counted once; all of them, or those that train. Meta tensors count too."""
    places = {
        (parameter.untyped_storage()._cdata, parameter.storage_offset()): parameter.numel()
        for parameter in module.parameters()
        if parameter.requires_grad or not trainable
    }
    return sum(places.values())


def stored_constants(network: nn.Module) -> int:
    """Numbers in buffers that must be shipped: bases, anchors, rows of bytes; how many bytes each has, `stored_bytes` tells.

    Those of a normalisation fold into the weights beside it.
    """
    return sum(
        value.numel()
        for module in network.modules()
        if not isinstance(module, NORMALISATION)
        for name, value in module.named_buffers(recurse=False)
        if (value.is_floating_point() or value.dtype in BYTES) and name not in module._non_persistent_buffers_set
    )


def stored_bytes(network: nn.Module) -> int:
    """Bytes of all that a saved network holds, shared storage once: its file is larger by a header alone."""
    places = {
        (value.untyped_storage()._cdata, value.storage_offset()): value.numel() * value.element_size()
        for value in network.state_dict().values()
    }
    return sum(places.values())
