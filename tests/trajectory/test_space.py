"""What is constant in a forecaster: the threshold, bases and anchors of each class, and the linear predictor."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import LinearRegression, Ridge
from torch import Tensor

from benchmarks.errors import BenchmarkError
from benchmarks.models.trajectory.build import build
from benchmarks.models.trajectory.descriptor import svd_basis
from benchmarks.models.trajectory.forecaster import MOVING, STATIC, Forecaster
from benchmarks.models.trajectory.frame import Frame, speed
from benchmarks.models.trajectory.ridge import RidgePredictor
from benchmarks.models.trajectory.space import fit_space, otsu

SPACE = {"obs_rank": 5, "rank": 6, "samples": 7, "classes": 2}
THRESHOLD = 0.3


def crowd(pedestrians: int, seed: int = 0) -> dict[str, Tensor]:
    """Random walks in some direction, at 0 to 1 m a step."""
    generator = torch.Generator().manual_seed(seed)
    pace = torch.rand(pedestrians, 1, 1, generator=generator)
    drift = torch.randn(pedestrians, 1, 2, generator=generator)
    steps = pace * drift / drift.norm(dim=2, keepdim=True) + 0.1 * torch.randn(pedestrians, 20, 2, generator=generator)
    paths = steps.cumsum(1) + 5
    return {"obs": paths[:, :8], "pred": paths[:, 8:]}


def bases(obs: Tensor, pred: Tensor) -> tuple[Tensor, Tensor]:
    return svd_basis(obs, SPACE["obs_rank"])[0], svd_basis(pred, SPACE["rank"])[0]


def space_of(classes: int, train: dict[str, Tensor], **options: float | None) -> Forecaster:
    network = build("anchors", 8, 12, space=SPACE | {"classes": classes})
    assert isinstance(network, Forecaster)
    fit_space(network, train["obs"], train["pred"], bases, restarts=2, **options)
    return network


def test_each_class_is_fitted_on_its_own_paths_and_their_mirror_images() -> None:
    train = crowd(300)
    network = space_of(2, train, threshold=THRESHOLD)
    paths, flip = torch.cat([train["obs"], train["pred"]], 1), torch.tensor([1.0, -1.0])
    for index in (STATIC, MOVING):
        own = paths[(speed(train["obs"]) > THRESHOLD) == bool(index)]
        own = torch.cat([own, own * flip])
        local = Frame.of(own[:, :8], torch.full((len(own),), bool(index))).to_local(own).flatten(1).numpy()
        for part, found in ((local[:, :16], network.obs_basis[index]), (local[:, 16:], network.basis[index])):
            U = np.linalg.svd(part.T, full_matrices=False)[0][:, : found.shape[1]]
            np.testing.assert_allclose(found.numpy() @ found.numpy().T, U @ U.T, atol=1e-4)
    torch.testing.assert_close(network.popularity.exp().sum(1), torch.ones(2))


def test_a_class_with_fewer_paths_than_anchors_is_fitted_on_those_of_all() -> None:
    train = crowd(60)
    slow = space_of(2, train, threshold=float(speed(train["obs"]).min()) + 1e-6)
    torch.testing.assert_close(slow.basis[STATIC], space_of(1, train).basis[0])
    torch.testing.assert_close(slow.anchors[STATIC], space_of(1, train).anchors[0])
    fast, none = (space_of(2, train, threshold=threshold) for threshold in (5.0, 0.0))
    torch.testing.assert_close(fast.basis[MOVING], none.basis[MOVING])
    torch.testing.assert_close(fast.anchors[MOVING], none.anchors[MOVING])


def test_a_class_without_any_path_that_could_be_scaled_is_refused() -> None:
    train = crowd(60)
    train["obs"] = train["obs"][:, -1:].expand(-1, 8, -1)
    with pytest.raises(BenchmarkError, match="no path"):
        space_of(2, train)


def test_the_threshold_is_the_one_given_or_that_of_otsu() -> None:
    train = crowd(100)
    assert space_of(2, train, threshold=0.4).threshold.item() == pytest.approx(0.4)
    paces = speed(train["obs"])
    assert space_of(2, train).threshold.item() == pytest.approx(otsu(paces))


@pytest.mark.parametrize("seed", range(4))
def test_otsu_leaves_the_least_variance_within_the_classes(seed: int) -> None:
    generator = np.random.default_rng(seed)
    values = np.concatenate([generator.gamma(2, 0.05, 30), generator.normal(1, 0.3, 50), np.full(9, 0.125)])
    within = {
        cut: sum(len(part) * part.var() for part in (values[values <= cut], values[values > cut]))
        for cut in np.unique(values)[:-1]
    }
    threshold = otsu(torch.from_numpy(values))
    found = sum(len(part) * part.var() for part in (values[values <= threshold], values[values > threshold]))
    assert found == pytest.approx(min(within.values()), rel=1e-12)


def test_otsu_lies_in_the_middle_between_the_classes_or_at_the_only_value() -> None:
    assert otsu(torch.tensor([0.0, 1.0, 0.0, 1.0])) == 0.5
    assert otsu(torch.full((5,), 0.5)) == 0.5
    assert otsu(torch.tensor([0.5])) == 0.5


def test_least_squares_without_a_penalty_takes_inputs_that_are_not_independent() -> None:
    torch.manual_seed(0)
    given, wanted = torch.randn(50, 3), torch.randn(50, 2)
    given[:, 2] = 0
    predictor = RidgePredictor(3, 2, 1, 1, penalty=0.0)
    x = np.column_stack([given.numpy(), np.ones(50)])
    expected = x @ np.linalg.lstsq(x, wanted.numpy(), rcond=None)[0]
    np.testing.assert_allclose(predictor.fit(0, given, wanted).numpy(), expected, atol=1e-5)


@pytest.mark.parametrize("penalty", [0.0, 1e-3, 0.3])
def test_the_linear_predictor_is_that_of_scikit_learn(penalty: float) -> None:
    train, test = crowd(200), crowd(30, seed=1)
    network = build("ridge", 8, 12, space=SPACE | {"samples": 1}, penalty=penalty)
    assert isinstance(network, Forecaster)
    fit_space(network, train["obs"], train["pred"], bases, threshold=THRESHOLD)
    flip = torch.tensor([1.0, -1.0])
    obs, pred = (torch.cat([train[name], train[name] * flip]) for name in ("obs", "pred"))
    seen = network.observe(obs, torch.zeros(len(obs), dtype=torch.long))
    wanted = network.describe(seen, pred)[1].numpy()
    given = np.column_stack([seen.coefficients.numpy(), np.ones(len(obs))])
    asked = network.observe(test["obs"], torch.zeros(len(test["obs"]), dtype=torch.long))
    forecast = network.refine(asked)[0][:, 0].numpy()
    for index in (STATIC, MOVING):
        x, y = (part[seen.moving.numpy() == bool(index)] for part in (given, wanted))
        if penalty:
            oracle = Ridge(alpha=penalty * (x**2).mean(0).mean() * len(x), fit_intercept=False, solver="cholesky")
        else:
            oracle = LinearRegression(fit_intercept=False)
        chosen = asked.moving.numpy() == bool(index)
        x_test = np.column_stack([asked.coefficients.numpy(), np.ones(len(chosen))])[chosen]
        oracle.fit(x, y)
        # The only anchor is the mean of what is left.
        expected = oracle.predict(x_test) + (y - oracle.predict(x)).mean(0)
        np.testing.assert_allclose(forecast[chosen], expected, atol=2e-3)
