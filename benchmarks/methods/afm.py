"""Atomic feature mimicking: principal components of what each layer puts out on training data.

Tables need no pass over the data: a lookup puts out its row, so the id counts of the training set give the same moments.
Yu et al., Unified Low-rank Compression Framework for Click-through Rate Prediction, KDD 2024.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np
import torch
from msgspec import Meta
from torch import nn

from benchmarks.method import Workbench
from benchmarks.methods.factorize import Factorize, Factors, units_of
from benchmarks.models.lowrank.afm import afm_conv, afm_embedding, afm_linear
from benchmarks.models.lowrank.factors import EmbeddingFactors, LinearFactors
from benchmarks.models.lowrank.moments import InputMoments, collect_input_moments
from benchmarks.task import tensors

LARGEST = 2**20
"""Numbers that enter a network in one batch of a calibration, at most: images come a few at a time."""


@dataclass(frozen=True)
class AFM(Factorize):
    """The best approximation of each layer's outputs, in mean square over `calibration_samples` training samples.

    `sequential` takes the inputs of each layer anew once those before it are compressed, at the cost of a pass a layer.
    """

    calibration_samples: Annotated[int, Meta(ge=2)] = 65536
    sequential: bool = False

    def inputs(self) -> tuple[object, ...]:
        return (*super().inputs(), self.calibration_samples)

    def shapes(self, network: nn.Module) -> Factors:
        """Those of SVD, with a bias after a layer (its mean output), one between the factors of a layer that had one, and a mean
        of each table."""
        found: dict[str, LinearFactors | EmbeddingFactors] = {}
        for name, factors in super().shapes(network).items():
            if isinstance(factors, EmbeddingFactors):
                found[name] = replace(factors, mean=factors.projection[:, 0])
            else:
                between = None if factors.offset is None else factors.spectrum
                found[name] = replace(factors, offset=factors.up[:, 0], down_bias=between)
        return found

    def factorise(self, network: nn.Module, bench: Workbench) -> Factors:
        layers, tables = units_of(self.targets, network, self.layers)
        factors: dict[str, LinearFactors | EmbeddingFactors] = {}
        if tables:
            counts = torch.from_numpy(
                np.concatenate([bench.data.schema["counts"][field] for field in bench.data.schema["fields"]])
            )
            factors |= {name: afm_embedding(table, counts) for name, table in tables.items()}
        if layers:
            moments = self._moments(list(layers), network, bench)
            factors |= {name: _factors(layer, moments[name]) for name, layer in layers.items()}
        return factors

    def refined(self, name: str, found: LinearFactors, network: nn.Module, bench: Workbench) -> LinearFactors:
        if not self.sequential:
            return found
        layer = network.get_submodule(name)
        assert isinstance(layer, nn.Linear | nn.Conv2d)
        return _factors(layer, self._moments([name], network, bench)[name])

    def _moments(self, names: list[str], network: nn.Module, bench: Workbench) -> dict[str, InputMoments]:
        """What enters the named layers, over the same training samples at every call."""
        train = bench.data.train
        order = np.random.default_rng(bench.seed).permutation(train.parts)
        if train.groups is None:
            chosen = order[: self.calibration_samples]
        else:
            chosen = order[np.cumsum(np.diff(train.starts)[order]) <= self.calibration_samples]
        numbers = sum(column[:1].size for column in train.columns.values())
        batches = (tensors(batch) for batch in train.batches(max(1, min(4096, LARGEST // numbers)), np.sort(chosen)))
        return collect_input_moments(network, names, batches, lambda batch: bench.task.predict(network, batch))


def _factors(layer: nn.Linear | nn.Conv2d, moments: InputMoments) -> LinearFactors:
    return afm_conv(layer, moments) if isinstance(layer, nn.Conv2d) else afm_linear(layer, moments)
