"""Effective ranks of features: by their definitions, of windows under each set of bands, of every network that has features."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.datasets.open import open_bundle
from benchmarks.hyperspectral.features import FeatureRank, draw_features, feature_rank, singular_values
from benchmarks.hyperspectral.task import Hyperspectral
from benchmarks.solver import NetworkSolver, build


def test_equal_singular_values_have_full_rank_and_one_alone_has_rank_1() -> None:
    assert feature_rank(np.full(7, 3.0)) == pytest.approx(FeatureRank(7, 7, 7))
    assert feature_rank(np.array([5.0, 0, 0])) == pytest.approx(FeatureRank(1, 1, 1))
    assert feature_rank(np.zeros(4)) == FeatureRank(0, 0, 0)


def test_ranks_are_those_of_the_definitions_whatever_the_scale() -> None:
    s = np.array([4.0, 2.0, 1.0])
    p = s / s.sum()
    expected = FeatureRank(float(np.exp(-(p * np.log(p)).sum())), 21**2 / (256 + 16 + 1), 21 / 16)
    assert feature_rank(s) == pytest.approx(expected)
    assert feature_rank(1e-3 * s) == pytest.approx(expected)


@pytest.mark.parametrize("model", ["vit", "dofa", "less_vit", "backbone"])
def test_values_are_those_of_one_decomposition_of_all_centred_features(model: str, tmp_path: Path) -> None:
    settings = {"network": "test_resnet", "stage": 1} if model == "backbone" else {"dim": 32, "heads": 2, "depth": 1}
    fold = open_bundle("sim_spectra", {"tiles": 8}, progress=False).folds[0]
    torch.manual_seed(0)
    task, schema = Hyperspectral(), fold.training.schema
    solver = NetworkSolver(task, build(task, model, settings, schema), schema)
    split, side = fold.test, schema["window"]
    for name in ("id", "all"):
        rows = []
        for row in np.flatnonzero(split.conditions == name):
            bands = split.columns["bands"][row]
            given = np.isfinite(bands)
            cube = torch.from_numpy(split.columns["cube"][[row]][0, given])
            for top in range(0, 16, side):
                for left in range(0, 16, side):
                    window = cube[None, :, top : top + side, left : left + side]
                    with torch.no_grad():
                        seen = solver.network.embedding(window, torch.from_numpy(bands[given]))
                    rows.append(seen[0].flatten(1).T)
        features = torch.cat(rows).double()
        expected = torch.linalg.svdvals(features - features.mean(0)).numpy()
        found = singular_values(solver, split, name, at_once=3)
        np.testing.assert_allclose(found, expected, atol=1e-4 * expected[0])
    ranks = draw_features(tmp_path / "features.png", solver, split)
    assert list(ranks) == ["id", "shifted", "complement", "all"]
    assert ranks["id"] == pytest.approx(feature_rank(singular_values(solver, split, "id")))
    assert all(1 <= value <= 32 for rank in ranks.values() for value in rank)
