"""Finding layers in a network, putting others in their place, and describing what was put there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any, get_args

from torch import nn

from benchmarks import errors
from benchmarks.models.embedding import FieldEmbedding
from benchmarks.models.fft_conv import FFTConv2d
from benchmarks.models.lowrank.conv import LowRankConv2d, compressible
from benchmarks.models.lowrank.hashing import HashFieldEmbedding
from benchmarks.models.lowrank.int8 import Int8FieldEmbedding
from benchmarks.models.lowrank.int8_linear import Int8Linear
from benchmarks.models.lowrank.layers import LowRankFieldEmbedding, LowRankLinear
from benchmarks.models.lowrank.merge import MergedLinear, merge_projections
from benchmarks.models.lowrank.mixed import MixedFieldEmbedding
from benchmarks.models.lowrank.pruned import PrunedLinear
from benchmarks.models.lowrank.quotient import QRFieldEmbedding
from benchmarks.models.lowrank.tensor_train import TTFieldEmbedding
from benchmarks.models.wide_conv import WideConv2d

CONVOLUTIONS = (nn.Conv2d, FFTConv2d, WideConv2d)
"""Kinds that answer as nn.Conv2d does."""
Small = (
    LowRankLinear
    | LowRankConv2d
    | MergedLinear
    | PrunedLinear
    | Int8Linear
    | LowRankFieldEmbedding
    | HashFieldEmbedding
    | QRFieldEmbedding
    | TTFieldEmbedding
    | MixedFieldEmbedding
    | Int8FieldEmbedding
)
LAYERS: dict[str, type[nn.Module]] = {kind.__name__: kind for kind in get_args(Small)}


def linear_units(network: nn.Module, keep_dense: Iterable[str] = ()) -> dict[str, nn.Linear]:
    """The linear layers that may be compressed, by name: none that matches `keep_dense`, none inside a compressed layer.

    Subclasses of `nn.Linear` are left alone: their owners rely on more than the call (attention reads `weight`).
    """
    return dict(_of_type(network, nn.Linear, tuple(keep_dense)))


def conv_units(network: nn.Module, keep_dense: Iterable[str] = (), *, every: bool = False) -> dict[str, nn.Conv2d]:
    """The convolutions over images that may be compressed, by name, under the same conditions.

    Those with groups, or other padding than zeros, are no matrix on patches: only with `every`, for what updates any weight.
    """
    found = [pair for kind in CONVOLUTIONS for pair in _of_type(network, kind, tuple(keep_dense))]
    order = {name: place for place, (name, _) in enumerate(network.named_modules())}
    return {name: conv for name, conv in sorted(found, key=lambda pair: order[pair[0]]) if every or compressible(conv)}


def whole_linear_units(network: nn.Module) -> dict[str, nn.Linear]:
    """The linear layers that may be made smaller one by one, by name, for methods that leave their inputs as they are.

    Those of `linear_units` under the network's own `keep_dense`, and the readers of tables (see `reader_of`), which
    factorisations leave to the table.
    """
    keep, readers = getattr(network, "keep_dense", ()), getattr(network, "reads_rows", {}).values()
    kept = linear_units(network, keep)
    return {name: layer for name, layer in linear_units(network).items() if name in kept or name in readers}


def embedding_units(network: nn.Module, keep_dense: Iterable[str] = ()) -> dict[str, FieldEmbedding]:
    """The field embeddings that may be compressed, by name, under the same conditions."""
    return dict(_of_type(network, FieldEmbedding, tuple(keep_dense)))


def replace_module(network: nn.Module, name: str, module: nn.Module) -> None:
    """Puts `module`, in the mode of its predecessor, wherever the network holds the module called `name`."""
    old = network.get_submodule(name)
    module.train(old.training)
    for parent in list(network.modules()):
        for key, child in parent._modules.items():
            if child is old:
                setattr(parent, key, module)


def reader_of(network: nn.Module, table: str) -> str | None:
    """The layer that reads all rows of a table side by side, where the network names one in `reads_rows`."""
    return getattr(network, "reads_rows", {}).get(table)


def put_low_rank_table(network: nn.Module, name: str, table: LowRankFieldEmbedding) -> None:
    """Puts a low-rank table in the place of the one called `name`, its projections merged into the layer that reads it."""
    replace_module(network, name, table)
    if reader := reader_of(network, name):
        layer = network.get_submodule(reader)
        assert isinstance(layer, nn.Linear)
        replace_module(network, reader, merge_projections(table, layer))


def blueprint(network: nn.Module) -> list[dict[str, Any]]:
    """Name, class and constructor arguments of every compressed layer, outer ones first: what `restore` needs, fit for JSON."""
    return [
        {"name": name, "layer": type(module).__name__, "kwargs": module.blueprint()}
        for name, module in network.named_modules()
        if isinstance(module, Small)
    ]


def restore(network: nn.Module, layers: Iterable[Mapping[str, Any]]) -> None:
    """Puts the layers of a blueprint into a dense network, ready for the state dict that was saved with it."""
    for entry in layers:
        if entry["layer"] not in LAYERS:
            raise errors.unknown("low-rank layer", entry["layer"], LAYERS)
        like = next(network.get_submodule(entry["name"]).parameters())
        layer = LAYERS[entry["layer"]](**entry["kwargs"]).to(like.device, like.dtype)
        replace_module(network, entry["name"], layer)


def _of_type(network: nn.Module, kind: type[Any], keep_dense: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    inside_low_rank = tuple(
        f"{name}." for name, module in network.named_modules() if isinstance(module, tuple(LAYERS.values()))
    )
    for name, module in network.named_modules():
        kept = any(fnmatchcase(name, pattern) for pattern in keep_dense) or name.startswith(inside_low_rank)
        if type(module) is kind and not kept:
            yield name, module
