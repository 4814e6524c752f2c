"""With task.spectra=snv all that learns or answers is shown the shape of spectra alone: light and shade change nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.preprocessing import scale
from torch import Tensor

from benchmarks.datasets.bundle import Fold
from benchmarks.datasets.open import open_bundle
from benchmarks.errors import BenchmarkError
from benchmarks.hyperspectral.features import singular_values
from benchmarks.hyperspectral.task import Hyperspectral
from benchmarks.methods.hyper_mae import Pretrained
from benchmarks.methods.pixels import labelled_spectra
from benchmarks.models.hyperspectral.build import NETWORKS
from benchmarks.models.hyperspectral.spectra import LEAST_DEVIATION, standard_normal_variate
from benchmarks.runner import load_task
from benchmarks.solver import NetworkSolver, build
from benchmarks.spec import RunSpec
from benchmarks.workbench import Bench

BANDS = torch.linspace(450.0, 2300.0, 12)
SCHEMA = {"classes": list("abc"), "window": 8, "trained": BANDS.tolist(), "wavelengths": [400.0, 2500.0], "gsd": 30.0}


def cubes(count: int = 3) -> Tensor:
    return torch.rand(count, len(BANDS), 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def lit(cube: Tensor) -> Tensor:
    """The same under other light: every pixel's spectrum stretched and lifted by numbers of its own."""
    draw = torch.rand(2, len(cube), 1, *cube.shape[2:], generator=torch.Generator().manual_seed(1), dtype=cube.dtype)
    return (0.5 + draw[0]) * cube + draw[1]


def test_spectra_are_scaled_as_scikit_learn_scales_rows() -> None:
    cube = cubes()
    rows = standard_normal_variate(cube).movedim(1, -1).flatten(0, 2)
    np.testing.assert_allclose(rows, scale(cube.movedim(1, -1).flatten(0, 2).numpy(), axis=1), atol=1e-12)
    torch.testing.assert_close(standard_normal_variate(lit(cube)), standard_normal_variate(cube))


def test_noise_on_a_spectrum_without_shape_is_not_blown_up() -> None:
    flat = torch.full((1, 12, 2, 2), 0.3) + 1e-6 * torch.randn(1, 12, 2, 2)
    assert standard_normal_variate(flat).abs().max() < 1e-5 / LEAST_DEVIATION
    assert not standard_normal_variate(torch.zeros(1, 12, 2, 2)).any()


@pytest.mark.parametrize("model", sorted(NETWORKS))
def test_networks_learn_and_answer_the_same_under_other_light(model: str) -> None:
    task = Hyperspectral(spectra="snv", flips=False, keep=0.5)
    torch.manual_seed(0)
    network = build(task, model, {}, SCHEMA).double().eval()
    batch = {"cube": cubes(), "bands": BANDS.double().repeat(3, 1)}
    other = batch | {"cube": lit(batch["cube"])}
    assert torch.equal(task.predict(network, batch)["prediction"], task.predict(network, other)["prediction"])
    for part in (batch, other):
        del part["bands"]  # as an exported network is asked
    assert torch.equal(task.predict(network, batch)["prediction"], task.predict(network, other)["prediction"])

    labelled = {"bands": BANDS.double().repeat(3, 1), "label": torch.randint(3, (3, 8, 8), dtype=torch.uint8)}
    losses = []
    for cube in (batch["cube"], other["cube"]):
        torch.manual_seed(2)
        losses.append(task.loss(network, {"cube": cube, **labelled}).item())
    assert losses[0] == pytest.approx(losses[1], abs=1e-6)
    torch.manual_seed(2)
    plain = Hyperspectral(flips=False, keep=0.5).loss(network, {"cube": batch["cube"], **labelled}).item()
    assert model == "majority" or plain != pytest.approx(losses[0], abs=1e-6)


def bench(*words: str) -> tuple[Bench, Fold]:
    made = RunSpec.of(["task=hyperspectral", "scale=smoke", "data.tiles=8", *words])
    fold = open_bundle(made.card.id, made.data_options, progress=False).folds[0]
    return Bench(made, load_task(made), fold, Path(), lambda: ("", Path())), fold


def test_methods_of_single_pixels_and_pretraining_are_shown_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    at, _ = bench("method=hyper_mae", "task.spectra=snv")
    spectra, _ = labelled_spectra(at)
    np.testing.assert_allclose(spectra.mean(1), 0, atol=1e-4)
    np.testing.assert_allclose(spectra.std(1), 1, atol=1e-2)

    seen: list[Tensor] = []
    stages: list[Any] = []
    monkeypatch.setattr(Bench, "fit", lambda *told: stages.append(told))
    Pretrained().produce(at)
    _, masked, _, objective = stages[0]
    masked.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    objective.loss(masked, {"cube": torch.rand(2, 6, 8, 8), "bands": BANDS[:6].repeat(2, 1)})
    torch.testing.assert_close(seen[0].mean(1), torch.zeros(2, 8, 8), atol=1e-5, rtol=0)


def test_features_are_those_of_what_the_network_is_shown() -> None:
    at, parts = bench("method=none", "model=less_vit", "task.spectra=snv")
    network = at.fresh().eval()
    values = {
        name: singular_values(NetworkSolver(task, network, at.data.schema), parts.test, "id")
        for name, task in (("snv", at.task), ("standardised", Hyperspectral()))
    }
    assert not np.allclose(values["snv"], values["standardised"], rtol=1e-2)


def test_one_band_and_other_words_are_refused() -> None:
    network = build(Hyperspectral(), "less_vit", {}, SCHEMA)
    one = {"cube": torch.rand(1, 1, 8, 8), "bands": torch.tensor([[500.0]])}
    assert Hyperspectral().predict(network, one)["prediction"].shape == (1, 8, 8)
    with pytest.raises(BenchmarkError, match=r"1 bands has no shape\. Type task\.spectra=standardised"):
        Hyperspectral(spectra="snv").predict(network, one)
    with pytest.raises(BenchmarkError, match=r"Unknown task\.spectra 'snw'\. Did you mean 'snv'"):
        Hyperspectral(spectra="snw")
