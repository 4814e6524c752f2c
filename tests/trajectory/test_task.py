"""The task: augmentation by a mirror, files of the user's own, networks by name."""

from __future__ import annotations

import csv
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from benchmarks import registry
from benchmarks.datasets.bundle import Split
from benchmarks.errors import BenchmarkError
from benchmarks.inference import answers
from benchmarks.models.trajectory.build import BASELINES, CLOSED_FORM, NETWORKS
from benchmarks.models.trajectory.forecaster import Forecaster
from benchmarks.solver import NetworkSolver, build
from benchmarks.trajectory.task import Trajectory

SCHEMA = {"obs_len": 8, "pred_len": 12, "step_seconds": 0.4, "scene": "square", "static_distance": 0.3}
MIRROR = torch.tensor([1.0, -1.0])


def paths(pedestrians: int, steps: int = 20) -> Tensor:
    torch.manual_seed(0)
    return (torch.randn(pedestrians, steps, 2) * 0.3 + torch.tensor([0.4, 0.2])).cumsum(1)


def batch_of(*windows: int) -> dict[str, Tensor]:
    both = paths(sum(windows))
    group = torch.arange(len(windows)).repeat_interleave(torch.tensor(windows))
    return {"obs": both[:, :8], "pred": both[:, 8:], "group": group}


def lopsided() -> nn.Module:
    """A network on coordinates that prefers one side, so that a mirror makes a difference."""
    torch.manual_seed(1)
    return Trajectory().network("social", {}, SCHEMA)


def test_a_mirror_turns_whole_windows_and_a_crowd_in_a_mirror_has_the_same_losses_on_average() -> None:
    network, batch = lopsided(), batch_of(3, 2)
    plain, mirrored = Trajectory(mirror=False), Trajectory()
    possible = {}
    for signs in product((False, True), repeat=2):
        flip = torch.where(torch.tensor(signs)[batch["group"]][:, None, None], MIRROR, torch.ones(2))
        turned = batch | {name: batch[name] * flip for name in ("obs", "pred")}
        possible[signs] = plain.loss(network, turned).item()
    assert len({round(loss, 4) for loss in possible.values()}) == 4
    torch.manual_seed(0)
    turned = batch | {name: batch[name] * MIRROR for name in ("obs", "pred")}
    for each in (batch, turned):
        drawn = {round(mirrored.loss(network, each).item(), 4) for _ in range(40)}
        assert drawn == {round(loss, 4) for loss in possible.values()}


def test_answers_are_the_same_with_and_without_a_mirror() -> None:
    network, batch = lopsided(), batch_of(3, 2)
    outputs = [Trajectory(mirror=mirror).predict(network, batch) for mirror in (True, True, False)]
    assert all(
        torch.equal(outputs[0][name], each[name]) for each in outputs[1:] for name in ("forecast", "probability")
    )
    assert outputs[0]["forecast"].shape == (5, 20, 12, 2)


@pytest.mark.parametrize("name", [*NETWORKS, *BASELINES, *CLOSED_FORM])
def test_every_network_is_built_by_its_name_and_answers_alike(name: str) -> None:
    network = Trajectory().network(name, {}, SCHEMA)
    outputs = Trajectory().predict(network, batch_of(2, 1))
    assert outputs["forecast"].shape[2:] == (12, 2)
    assert outputs["probability"].shape == outputs["forecast"].shape[:2]
    torch.testing.assert_close(outputs["probability"].sum(1), torch.ones(3))


def test_the_models_of_the_task_are_its_trained_networks() -> None:
    assert set(registry.models_for("trajectory")) == set(NETWORKS)
    with pytest.raises(BenchmarkError, match="Did you mean 'social'"):
        Trajectory().network("socal", {}, SCHEMA)


def test_a_space_and_options_reach_the_network() -> None:
    space = {"obs_rank": 4, "rank": 3, "samples": 5, "classes": 2}
    network = Trajectory().network("mlp", {"space": space, "hidden_units": [8]}, SCHEMA)
    assert isinstance(network, Forecaster)
    assert network.anchors.shape == (2, 5, 3)
    assert network(*(batch_of(2)[name] for name in ("obs", "group")))[0].shape == (2, 5, 12, 2)


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """Twelve frames of pedestrians 7, 3 and 12; the last is missing in one of the last eight."""
    rows = [
        (10 * frame, pedestrian, *xy)
        for pedestrian, path in zip((7, 3, 12), paths(3, 12).tolist(), strict=True)
        for frame, xy in enumerate(path)
        if (frame, pedestrian) != (9, 12)
    ]
    path = tmp_path / "square.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("frame", "pedestrian", "x", "y"), *sorted(rows)])
    return path


def test_a_file_of_the_users_own_is_forecast_and_written_most_probable_first(recording: Path, tmp_path: Path) -> None:
    task, output = Trajectory(), tmp_path / "forecasts.csv"
    torch.manual_seed(0)
    solver = NetworkSolver(task, build(task, "mlp", {}, SCHEMA), SCHEMA)
    raw, split = task.read_input(recording, SCHEMA)
    assert isinstance(split, Split)
    assert split.units.tolist() == [3, 7]
    np.testing.assert_allclose(split.columns["obs"], paths(3, 12)[[1, 0], 4:].numpy(), atol=6e-5)

    outputs = answers(solver, split, 100, "predict")
    seen = torch.from_numpy(split.columns["obs"])
    alone = solver.network(seen, torch.zeros(2, dtype=torch.long))[0].detach().numpy()
    np.testing.assert_allclose(outputs["forecast"], alone, atol=1e-5)

    task.write_output(output, raw, outputs)
    with output.open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == 2 * 20 * 12
    for row, pedestrian in enumerate((3, 7)):
        own = [line for line in lines if int(line["pedestrian"]) == pedestrian]
        probability = np.array([float(line["probability"]) for line in own]).reshape(20, 12)
        assert (probability == probability[:, :1]).all()
        assert (np.diff(probability[:, 0]) <= 0).all()
        assert probability[:, 0].sum() == pytest.approx(1, abs=2e-3)
        assert [int(line["forecast"]) for line in own[::12]] == list(range(1, 21))
        assert [int(line["step"]) for line in own[:12]] == list(range(1, 13))
        places = np.array([(float(line["x"]), float(line["y"])) for line in own]).reshape(20, 12, 2)
        best = np.argsort(-outputs["probability"][row], kind="stable")
        np.testing.assert_allclose(places, outputs["forecast"][row][best], atol=6e-5)


def test_a_file_without_anybody_in_all_observed_frames_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "short.csv"
    path.write_text("frame,pedestrian,x,y\n" + "".join(f"{frame},1,{frame},0\n" for frame in range(5)))
    with pytest.raises(BenchmarkError, match="needs 8 positions"):
        Trajectory().read_input(path, SCHEMA)
