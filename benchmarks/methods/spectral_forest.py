"""Random forest on the spectra of single pixels, carried over from scikit-learn into tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal, cast

import numpy as np
import torch
from msgspec import Meta

from benchmarks.method import Solve, Workbench
from benchmarks.methods.pixels import labelled_spectra
from benchmarks.models.hyperspectral.forest import SpectralForest as Tables
from benchmarks.solver import NetworkSolver, Solver


@dataclass(frozen=True)
class SpectralForest(Solve):
    """Breiman's forest on the bands of training; other bands are filled in by `band_rule`."""

    trees: Annotated[int, Meta(ge=1)] = 100
    min_leaf: Annotated[int, Meta(ge=1)] = 2
    band_rule: Literal["nearest", "interpolate", "zero"] = "nearest"

    def check(self, bench: Workbench) -> None:
        bench.build("spectral_forest", trees=1, nodes=1, depth=0, band_rule=self.band_rule)

    def solve(self, bench: Workbench) -> Solver:
        from sklearn.ensemble import RandomForestClassifier

        spectra, classes = labelled_spectra(bench)
        forest = RandomForestClassifier(self.trees, min_samples_leaf=self.min_leaf, random_state=bench.seed)
        forest.fit(spectra.astype(np.float32), classes)
        trees = [tree.tree_ for tree in forest.estimators_]
        network = cast(
            Tables,
            bench.build(
                "spectral_forest",
                trees=len(trees),
                nodes=max(tree.node_count for tree in trees),
                depth=max(tree.max_depth for tree in trees),
                band_rule=self.band_rule,
            ),
        )
        for number, tree in enumerate(trees):
            _write(network, number, tree, torch.from_numpy(forest.classes_))
        return NetworkSolver(bench.task, network, bench.data.schema)


def _write(network: Tables, number: int, tree: Any, classes: torch.Tensor) -> None:
    """One tree into its rows of the tables; a leaf leads to itself, and classes that training lacks have no share."""
    count, leaf = tree.node_count, tree.children_left < 0
    itself = np.arange(count)
    network.feature[number, :count] = torch.from_numpy(np.where(leaf, 0, tree.feature))
    network.threshold[number, :count] = torch.from_numpy(_rounded_down(tree.threshold))
    network.left[number, :count] = torch.from_numpy(np.where(leaf, itself, tree.children_left))
    network.right[number, :count] = torch.from_numpy(np.where(leaf, itself, tree.children_right))
    value = torch.from_numpy(tree.value[:, 0]).float()
    network.share[number, :count] = 0
    network.share[number, :count, classes] = value / value.sum(1, keepdim=True)


def _rounded_down(threshold: np.ndarray) -> np.ndarray:
    """Thresholds in single precision that part single-precision values as those in double do."""
    single = threshold.astype(np.float32)
    return np.where(single > threshold, np.nextafter(single, np.float32(-np.inf)), single)
