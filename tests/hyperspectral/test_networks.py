"""Every network of the task: any number and order of bands, sides of its multiple, and what solvers carry over."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression

from benchmarks import registry
from benchmarks.datasets.open import open_bundle
from benchmarks.errors import BenchmarkError
from benchmarks.exporting import export
from benchmarks.hyperspectral.task import Hyperspectral
from benchmarks.methods.pixels import labelled_spectra
from benchmarks.models.hyperspectral.build import FACTS, NETWORKS, build
from benchmarks.runner import load_method, load_task
from benchmarks.solver import NetworkSolver
from benchmarks.solver import build as network_of
from benchmarks.spec import RunSpec
from benchmarks.workbench import Bench

TRAINED = np.linspace(420.0, 2400.0, 24)
GIVEN = {"classes": 5, "window": 8, "wavelengths": TRAINED.tolist(), "wavelength_range": (400.0, 2500.0), "gsd": 30.0}


def cube(bands: int, side: int = 8) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(bands)
    return torch.rand(2, bands, side, side, generator=generator), torch.linspace(400, 2500, bands)


@pytest.fixture(params=sorted(NETWORKS))
def network(request: pytest.FixtureRequest) -> torch.nn.Module:
    torch.manual_seed(0)
    return build(request.param, **GIVEN).eval()


def test_the_models_of_the_task_are_its_networks() -> None:
    assert set(registry.models_for("hyperspectral")) == set(NETWORKS)


@pytest.mark.parametrize("bands", [2, 24, 60])
def test_any_number_of_bands_and_windows_of_other_sizes_are_answered(network: torch.nn.Module, bands: int) -> None:
    for side in (8, 8 + 2 * network.multiple):
        values, wavelengths = cube(bands, side)
        assert network(values, wavelengths).shape == (2, 5, side, side)


def test_the_order_of_the_bands_does_not_matter_where_wavelengths_follow(network: torch.nn.Module) -> None:
    values, wavelengths = cube(30)
    order = torch.randperm(30, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        torch.testing.assert_close(
            network(values[:, order], wavelengths[order]), network(values, wavelengths), atol=1e-5, rtol=1e-4
        )


def test_wavelengths_are_read_and_every_parameter_learns(network: torch.nn.Module) -> None:
    values, wavelengths = cube(24)
    network.train()
    logits = network(values, wavelengths)
    assert not torch.allclose(logits, network(values, wavelengths.flip(0)), atol=1e-4)
    weigh = torch.rand_like(logits)
    (logits * weigh).sum().backward()
    with torch.no_grad():  # a step first: what ends residual blocks may begin at zero, and lets no gradient through
        for value in network.parameters():
            value.sub_(0.01 * value.grad.sign())
    network.zero_grad()
    (network(values, wavelengths) * weigh).sum().backward()
    still = [name for name, value in network.named_parameters() if value.grad is None or not value.grad.any()]
    assert not still


def test_networks_get_the_facts_that_they_take_and_settings_are_checked() -> None:
    assert build("dofa", **GIVEN).encoder.head.out_features == 5 * 4
    assert set(GIVEN) == set(FACTS)
    with pytest.raises(BenchmarkError, match=r"Unknown option of model vit 'dept'\. Did you mean 'depth'"):
        build("vit", **GIVEN, dept=2)
    with pytest.raises(ValueError, match="patch=3 must divide the training window of 8 pixels"):
        build("vit", **GIVEN, patch=3)
    with pytest.raises(BenchmarkError, match=r"Unknown model 'vitt'"):
        build("vitt", **GIVEN)


@pytest.mark.parametrize("model", sorted(NETWORKS))
def test_networks_leave_the_suite_as_programs_of_the_bands_of_training(model: str, tmp_path: Path) -> None:
    task = Hyperspectral()
    schema = {"classes": list("abc"), "window": 8, "trained": TRAINED.tolist(), "wavelengths": [400.0, 2500.0]}
    torch.manual_seed(0)
    network = network_of(task, model, {}, schema).eval()
    batch = task.example(schema, 3)
    told = {**batch, "bands": torch.tensor(TRAINED, dtype=torch.float32).repeat(3, 1)}
    assert torch.equal(task.predict(network, batch)["prediction"], task.predict(network, told)["prediction"])
    export(NetworkSolver(task, network, schema), tmp_path / "network.pt2")
    assert (tmp_path / "network.pt2").stat().st_size > 10_000


def bench(method: str, *words: str) -> Bench:
    made = RunSpec.of(["task=hyperspectral", f"method={method}", "scale=smoke", "data.tiles=8", *words])
    fold = open_bundle(made.card.id, made.data_options, progress=False).folds[0]
    return Bench(made, load_task(made), fold, Path(), lambda: ("", Path()))


@pytest.mark.parametrize("method", ["spectral_logistic", "spectral_forest"])
def test_solvers_answer_as_scikit_learn_does(method: str) -> None:
    at = bench(method)
    spectra, classes = labelled_spectra(at)
    settings = at.spec.settings("method")
    if method == "spectral_logistic":
        fitted = LogisticRegression(C=1 / settings["penalty"], max_iter=5000).fit(spectra, classes)
    else:
        fitted = RandomForestClassifier(settings["trees"], min_samples_leaf=settings["min_leaf"], random_state=at.seed)
        fitted.fit(spectra.astype(np.float32), classes)
    solver = load_method(at.spec).solve(at)
    values = torch.from_numpy(at.data.val.columns["cube"][:])
    wavelengths = torch.tensor(at.data.schema["trained"])
    with torch.no_grad():
        ours = solver.network(values, wavelengths).softmax(1).movedim(1, -1).flatten(0, 2)
    theirs = fitted.predict_proba(values.movedim(1, -1).flatten(0, 2).numpy())
    np.testing.assert_allclose(ours[:, fitted.classes_], theirs, atol=2e-4)
    if method == "spectral_forest":
        agree = solver.predict({"cube": values.numpy(), "bands": at.data.val.columns["bands"]})["prediction"]
        said = fitted.predict(values.movedim(1, -1).flatten(0, 2).numpy()).reshape(agree.shape)
        assert (agree == said).mean() > 0.999


def test_spectra_of_overlapping_windows_are_there_once() -> None:
    spectra, classes = labelled_spectra(bench("majority"))
    apart, _ = labelled_spectra(bench("majority", "data.stride=8"))
    assert len(spectra) == len(apart) == len(classes)
    assert len(np.unique(spectra, axis=0)) == len(spectra)


def test_the_floor_answers_the_most_frequent_class() -> None:
    at = bench("majority")
    label = at.data.train.columns["label"]
    solver = load_method(at.spec).solve(at)
    batch = next(iter(at.data.val.batches(2)))
    said = Hyperspectral().predict(solver.network, {name: torch.from_numpy(np.asarray(batch[name])) for name in batch})
    assert np.unique(said["prediction"]).tolist() == [np.bincount(label.ravel())[:5].argmax()]
