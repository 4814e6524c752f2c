"""Atomic feature mimicking: principal components of what each layer puts out on training data.

Tables need no pass over the data: a lookup puts out its row, so the id counts of the training set give the same moments.
Yu et al., Unified Low-rank Compression Framework for Click-through Rate Prediction, KDD 2024.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from msgspec import Meta
from torch import nn

from benchmarks.method import Workbench
from benchmarks.methods.factorize import Factorize, Factors, units_of
from benchmarks.models.lowrank.afm import afm_embedding, afm_linear
from benchmarks.models.lowrank.factors import EmbeddingFactors, LinearFactors
from benchmarks.models.lowrank.moments import collect_input_moments
from benchmarks.task import tensors


@dataclass(frozen=True)
class AFM(Factorize):
    """The best approximation of each layer's outputs, in mean square over `calibration_samples` training samples."""

    calibration_samples: Annotated[int, Meta(ge=2)] = 65536

    def factorise(self, network: nn.Module, bench: Workbench) -> Factors:
        layers, tables = units_of(self.targets, network)
        factors: dict[str, LinearFactors | EmbeddingFactors] = {}
        if layers:
            train = bench.data.train
            order = np.random.default_rng(bench.seed).permutation(len(train.starts) - 1)
            chosen = order[np.cumsum(np.diff(train.starts)[order]) <= self.calibration_samples]
            batches = (tensors(batch) for batch in train.batches(4096, np.sort(chosen)))
            moments = collect_input_moments(
                network, list(layers), batches, lambda batch: bench.task.predict(network, batch)
            )
            factors |= {name: afm_linear(layer, moments[name]) for name, layer in layers.items()}
        if tables:
            counts = torch.from_numpy(
                np.concatenate([bench.data.schema["counts"][field] for field in bench.data.schema["fields"]])
            )
            factors |= {name: afm_embedding(table, counts) for name, table in tables.items()}
        return factors
