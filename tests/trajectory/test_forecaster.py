"""What holds for every forecaster: where it looks, what it does not depend on, what it is trained by."""

from __future__ import annotations

from fnmatch import fnmatchcase

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.errors import BenchmarkError
from benchmarks.models.trajectory.build import CLOSED_FORM, NETWORKS, build
from benchmarks.models.trajectory.descriptor import svd_basis
from benchmarks.models.trajectory.forecaster import MOVING, STATIC, Forecaster
from benchmarks.models.trajectory.frame import Frame
from benchmarks.models.trajectory.space import fit_space
from benchmarks.trajectory.task import Trajectory

SPACE = {"obs_rank": 5, "rank": 6, "samples": 7, "classes": 2}
COORDINATES = [f"{name} on coordinates" for name in NETWORKS]
CASES = [*NETWORKS, *CLOSED_FORM, *COORDINATES]
THRESHOLD = 0.25


def crowd(*windows: int, seed: int = 0) -> dict[str, Tensor]:
    """Windows of so many pedestrians, who walk with noise at 0 to 1 m a step; float64, no two of them alike."""
    generator = torch.Generator().manual_seed(seed)
    count = sum(windows)
    group = torch.arange(len(windows)).repeat_interleave(torch.tensor(windows, dtype=torch.long))
    angle = 6.3 * torch.rand(count, 1, generator=generator, dtype=torch.float64)
    pace = torch.rand(count, 1, generator=generator, dtype=torch.float64)
    steps = torch.cat([angle.cos(), angle.sin()], 1)[:, None] * pace[:, None]
    steps = steps + 0.05 * torch.randn(count, 20, 2, generator=generator, dtype=torch.float64)
    start = 8 * torch.rand(count, 1, 2, generator=generator, dtype=torch.float64)
    paths = start + steps.cumsum(1)
    return {"obs": paths[:, :8], "pred": paths[:, 8:], "group": group}


def bases(obs: Tensor, pred: Tensor) -> tuple[Tensor, Tensor]:
    return svd_basis(obs, SPACE["obs_rank"])[0], svd_basis(pred, SPACE["rank"])[0]


def fitted(case: str, zero_start: bool = False) -> Forecaster:
    """In float64, on paths of a seed of its own; what starts at zero has random weights, or nothing would be tested."""
    torch.manual_seed(0)
    name, _, coordinates = case.partition(" on ")
    network = build(name, 8, 12, space=None if coordinates else SPACE)
    assert isinstance(network, Forecaster)
    if not coordinates:
        train = crowd(400, seed=99)
        fit_space(network, train["obs"].float(), train["pred"].float(), bases, threshold=THRESHOLD, restarts=2)
    for parameter in [] if zero_start else network.parameters():
        if not parameter.any():
            nn.init.normal_(parameter, std=0.1)
    return network.double().eval()


def close(given: tuple[Tensor, Tensor], wanted: tuple[Tensor, Tensor]) -> None:
    for one, other in zip(given, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-9)


def rows(batch: dict[str, Tensor], chosen: Tensor) -> dict[str, Tensor]:
    """Those rows as a batch of their own, windows numbered anew."""
    part = {name: column[chosen] for name, column in batch.items()}
    return part | {"group": part["group"].unique(return_inverse=True)[1]}


@pytest.mark.parametrize("case", CASES)
def test_forecasts_and_probabilities_have_their_shapes_and_probabilities_sum_to_one(case: str) -> None:
    network, batch = fitted(case), crowd(3, 1, 2)
    samples = 20 if "coordinates" in case else SPACE["samples"]
    forecast, probability = network(batch["obs"], batch["group"])
    assert forecast.shape == (6, samples, 12, 2)
    assert probability.shape == (6, samples)
    assert (probability > 0).all()
    torch.testing.assert_close(probability.sum(1), torch.ones(6, dtype=torch.float64))
    assert len(probability.unique(dim=0)) > 1 or case in COORDINATES


@pytest.mark.parametrize("case", CASES)
def test_the_future_changes_the_loss_and_nothing_that_is_forecast(case: str) -> None:
    network, batch, task = fitted(case), crowd(4, 3), Trajectory(mirror=False)
    before, loss = task.predict(network, batch), task.loss(network, batch)
    seen = network.observe(batch["obs"], batch["group"])
    for pred in (torch.zeros_like(batch["pred"]), batch["pred"].flip(0), batch["pred"].flip(1) + 100):
        changed = batch | {"pred": pred}
        assert not torch.isclose(task.loss(network, changed), loss, rtol=1e-3)
        after = task.predict(network, changed)
        assert all(torch.equal(after[name], before[name]) for name in before)
        network.describe(seen, pred)
        again = network.observe(changed["obs"], changed["group"])
        for name in ("coefficients", "moving", "speed"):
            assert torch.equal(getattr(again, name), getattr(seen, name))
        assert torch.equal(again.frame.scale, seen.frame.scale)


@pytest.mark.parametrize("case", CASES)
def test_a_window_alone_is_forecast_as_among_others(case: str) -> None:
    network, batch = fitted(case), crowd(4, 1, 9, 2)
    together = network(batch["obs"], batch["group"])
    for window in range(4):
        chosen = (batch["group"] == window).nonzero()[:, 0]
        alone = rows(batch, chosen)
        close(network(alone["obs"], alone["group"]), (together[0][chosen], together[1][chosen]))


@pytest.mark.parametrize("case", CASES)
def test_another_order_of_pedestrians_gives_the_same_forecasts_in_that_order(case: str) -> None:
    network, batch = fitted(case), crowd(6, 5)
    order = torch.tensor([3, 0, 5, 1, 4, 2, 10, 8, 6, 9, 7])
    forecast, probability = network(batch["obs"], batch["group"])
    close(network(batch["obs"][order], batch["group"]), (forecast[order], probability[order]))


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-8), (torch.float32, 2e-3)])
def test_forecasts_go_along_when_the_world_is_turned_and_moved(case: str, dtype: torch.dtype, tolerance: float) -> None:
    network, batch = fitted(case).to(dtype), crowd(6, 2)
    angle = torch.tensor(2.0, dtype=torch.float64)
    turn = torch.stack([angle.cos(), angle.sin(), -angle.sin(), angle.cos()]).view(2, 2)
    shift = torch.tensor([40.0, -15.0], dtype=torch.float64)
    forecast, probability = network(batch["obs"].to(dtype), batch["group"])
    turned, same = network((batch["obs"] @ turn + shift).to(dtype), batch["group"])
    torch.testing.assert_close(turned.double(), forecast.double() @ turn + shift, rtol=0, atol=tolerance)
    torch.testing.assert_close(same, probability, rtol=0, atol=tolerance)


@pytest.mark.parametrize("case", ["social", "stgcnn", "sgcn", *COORDINATES[1:]])
def test_graphs_and_attention_see_who_is_where(case: str) -> None:
    network, batch = fitted(case), crowd(5)
    far = batch["obs"].clone()
    # Two places are changed so that their mean is not: otherwise the offset from it would be all that is tested.
    far[1] += 5
    far[2] -= 5
    before, after = (network(obs, batch["group"])[0] for obs in (batch["obs"], far))
    assert (before - after)[[0, 3, 4]].abs().amax((1, 2, 3)).min() > 1e-6


@pytest.mark.parametrize("case", CASES)
def test_windows_of_none_one_and_fifty_seven_are_forecast(case: str) -> None:
    network = fitted(case)
    for size in (0, 1, 57):
        batch = crowd(size) if size else rows(crowd(1), torch.zeros(0, dtype=torch.long))
        forecast, probability = network(batch["obs"], batch["group"])
        assert forecast.shape[0] == probability.shape[0] == size
        assert forecast.isfinite().all()
        assert probability.isfinite().all()


@pytest.mark.parametrize("case", CASES)
def test_forecasts_are_finite_however_far_people_are_apart(case: str) -> None:
    network, batch = fitted(case).float(), crowd(6, 2)
    forecast, probability = network((1e5 * batch["obs"]).float(), batch["group"])
    assert forecast.isfinite().all()
    torch.testing.assert_close(probability.sum(1), torch.ones(8))


@pytest.mark.parametrize("case", [*NETWORKS, *COORDINATES])
@pytest.mark.parametrize("zero_start", [False, True])
def test_people_who_stand_still_give_finite_forecasts_losses_and_gradients(case: str, zero_start: bool) -> None:
    network, batch = fitted(case, zero_start), crowd(3, 1, 2)
    for row in (0, 1, 3):
        batch["obs"][row] = batch["obs"][row, -1:].clone()
        batch["pred"][row] = batch["obs"][row, -1:]
    batch["obs"][1], batch["pred"][1] = batch["obs"][0], batch["pred"][0]
    batch["obs"][4, 7] = batch["obs"][4, 5]
    assert network(batch["obs"], batch["group"])[0].isfinite().all()
    loss = Trajectory().loss(network, batch)
    loss.backward()
    assert loss.isfinite()
    assert all(parameter.grad.isfinite().all() for parameter in network.parameters() if parameter.grad is not None)


@pytest.mark.parametrize("case", [*NETWORKS, *COORDINATES])
def test_gradients_reach_every_parameter(case: str) -> None:
    network = fitted(case).train()
    Trajectory().loss(network, crowd(6, 9, 4)).backward()
    without = [
        name for name, parameter in network.named_parameters() if parameter.grad is None or not parameter.grad.any()
    ]
    assert not without


@pytest.mark.parametrize("case", CASES)
def test_the_loss_is_its_definition_in_the_world(case: str) -> None:
    network, batch = fitted(case), crowd(4, 3, 1)
    forecast, probability = (output.detach().numpy() for output in network(batch["obs"], batch["group"]))
    obs, pred = batch["obs"].numpy(), batch["pred"].numpy()
    split = len(network.basis) == 2
    terms = []
    for n in range(len(obs)):
        displacement = obs[n, 7] - obs[n, 5]
        moving = split and np.linalg.norm(displacement) / 2 > THRESHOLD
        theta = np.arctan2(displacement[1], displacement[0])
        R = np.array([[np.cos(theta), -np.sin(theta)], [np.sin(theta), np.cos(theta)]])
        scale = 2 / np.linalg.norm(displacement) if moving else 1.0
        basis = network.basis[int(moving)].numpy()
        truth = basis.T @ (scale * (pred[n] - obs[n, 7]) @ R).ravel()
        coefficient, ade, fde = [], [], []
        for path in forecast[n]:
            given = basis.T @ (scale * (path - obs[n, 7]) @ R).ravel()
            coefficient.append(np.linalg.norm(given - truth))
            error = np.linalg.norm(path - pred[n], axis=1)
            ade.append(error.mean())
            fde.append(error[-1])
        terms.append(min(coefficient) + min(ade) + min(fde) - np.log(probability[n, np.argmin(ade)]))
    loss = Trajectory(mirror=False).loss(network, batch)
    assert loss.item() == pytest.approx(np.mean(terms), rel=1e-5)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_first_forecast_is_that_of_the_anchors(name: str) -> None:
    network, anchors, batch = fitted(name, zero_start=True), fitted("anchors"), crowd(5, 2)
    close(network(batch["obs"], batch["group"]), anchors(batch["obs"], batch["group"]))


@pytest.mark.parametrize("case", [*NETWORKS, *COORDINATES])
def test_patterns_of_layers_to_keep_name_real_modules(case: str) -> None:
    network = fitted(case)
    modules = [module for module, _ in network.named_modules()]
    assert all(any(fnmatchcase(module, pattern) for module in modules) for pattern in network.keep_dense)


@pytest.mark.parametrize("name", NETWORKS)
def test_operations_can_be_counted_and_are_more_in_company(name: str) -> None:
    network, counts = fitted(name), []
    for batch in (crowd(*[1] * 16), crowd(16)):
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            network(batch["obs"], batch["group"])
        counts.append(counter.get_total_flops())
    assert 0 < counts[0] <= counts[1]
    assert (counts[0] < counts[1]) == (name in ("social", "sgcn"))


@pytest.mark.parametrize(
    ("name", "count"), [("mlp", 104_588), ("social", 102_540), ("stgcnn", 2_372), ("sgcn", 20_907)]
)
def test_networks_for_six_coefficients_and_twenty_anchors_are_as_large_as_told(name: str, count: int) -> None:
    network = build(name, 8, 12, space={"obs_rank": 6, "rank": 6, "samples": 20, "classes": 2})
    assert sum(parameter.numel() for parameter in network.parameters()) == count


def test_forecasts_without_a_predictor_are_the_anchors_of_the_class_in_the_own_frame() -> None:
    network, batch = fitted("anchors"), crowd(9)
    forecast, probability = network(batch["obs"], batch["group"])
    for n, obs in enumerate(batch["obs"]):
        index = MOVING if (obs[7] - obs[5]).norm() / 2 > THRESHOLD else STATIC
        frame = Frame.of(obs[None], torch.tensor([index == MOVING]))
        paths = (network.anchors[index] @ network.basis[index].T).view(1, -1, 12, 2)
        torch.testing.assert_close(forecast[n], frame.to_world(paths)[0])
        torch.testing.assert_close(probability[n], network.popularity[index].exp(), rtol=0, atol=1e-6)
    assert len(network.observe(batch["obs"], batch["group"]).moving.unique()) == 2


def test_plain_coordinates_are_the_path_in_the_own_frame_in_metres() -> None:
    network, batch = fitted("mlp on coordinates"), crowd(4, 2)
    seen = network.observe(batch["obs"], batch["group"])
    frame = Frame.of(batch["obs"])
    torch.testing.assert_close(seen.coefficients, frame.to_local(batch["obs"]).flatten(1))
    assert not seen.moving.any()
    local, coefficients = network.describe(seen, batch["pred"])
    torch.testing.assert_close(coefficients, local.flatten(1))
    torch.testing.assert_close(frame.to_world(network.paths(seen, coefficients[:, None]))[:, 0], batch["pred"])


def test_the_offset_is_from_the_mean_of_the_window_along_and_across_the_heading() -> None:
    obs = torch.zeros(3, 8, 2)
    obs[0] = torch.stack([torch.zeros(8), torch.arange(8.0)], 1)
    obs[1] = obs[0] + torch.tensor([4.0, 0.0])
    seen = fitted("anchors").observe(obs.double(), torch.tensor([0, 0, 1]))
    expected = torch.tensor([[0.0, 2.0], [0.0, -2.0], [0.0, 0.0]], dtype=torch.float64)
    torch.testing.assert_close(seen.offset(), expected)


def test_an_unknown_network_is_answered_with_the_nearest() -> None:
    with pytest.raises(BenchmarkError, match="Did you mean 'stgcnn'"):
        build("stgcn", 8, 12)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("social", {"width": 62, "heads": 4}, "62 .* 4 heads.* model.width"),
        ("sgcn", {"heads": 0}, "0 heads.* model.heads"),
        ("sgcn", {"layers": 0}, "model.layers=1 or more"),
        ("stgcnn", {"layers": 0}, "model.layers=1 or more"),
    ],
)
def test_sizes_that_make_no_network_are_refused(name: str, options: dict[str, int], message: str) -> None:
    with pytest.raises(BenchmarkError, match=message):
        build(name, 8, 12, space=SPACE, **options)
