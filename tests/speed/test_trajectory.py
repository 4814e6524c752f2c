"""Speed of the trajectory task, compared within one process: `uv run pytest tests/speed --benchmark-only -p no:cacheprovider`.

Ratios are those of the fastest of several rounds, which other work on the machine disturbs least; they, and what is beside them
in `extra_info`, are written by `--benchmark-json=FILE`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from benchmarks.datasets.bundle import Split, TrainingData
from benchmarks.datasets.cache import fetch
from benchmarks.datasets.card import load_card
from benchmarks.datasets.readers import eth_ucy
from benchmarks.epochs import EpochBatches
from benchmarks.models.trajectory.descriptor import svd_basis
from benchmarks.models.trajectory.forecaster import MOVING, STATIC, Forecaster, Observation
from benchmarks.models.trajectory.frame import Frame, speed
from benchmarks.models.trajectory.space import fit_space
from benchmarks.runner import load_method, load_task
from benchmarks.solver import NetworkSolver
from benchmarks.spec import RunSpec
from benchmarks.task import Batch, tensors
from benchmarks.trajectory.task import Trajectory
from benchmarks.workbench import Bench

OBS, LENGTH, SAMPLES, RANK = 8, 20, 20, 6
ACCUMULATED = 128
WINDOWS = 2 * ACCUMULATED


@pytest.fixture
def files(mirror: Path) -> dict[str, Path]:
    return fetch(load_card("eth_ucy"), progress=False)


@pytest.fixture
def zara1(files) -> TrainingData:
    (fold,) = eth_ucy.read(files, scene="zara1")
    return fold.training


def test_all_fifteen_splits_are_windowed_ten_times_faster_than_window_by_window(benchmark, files):
    benchmark.group = "recordings read and windowed, all 15 splits"
    folds = benchmark(eth_ucy.read, files)
    expected = []
    slow = fastest(lambda: expected.append(all_splits_window_by_window(files)), rounds=2)
    for fold, parts in zip(folds, expected[0], strict=True):
        for split, paths in zip((fold.training.train, fold.training.val, fold.test), parts, strict=True):
            np.testing.assert_array_equal(split.columns["obs"], paths[:, :OBS])
            np.testing.assert_array_equal(split.columns["pred"], paths[:, OBS:])
    once = fastest(lambda: [window_by_window(path) for path in files.values()], rounds=2)
    benchmark.extra_info["ratio to each recording once, window by window"] = once / least(benchmark)
    require_ratio(benchmark, slow, 10)


def test_an_epoch_of_the_mlp_is_ten_times_faster_than_window_by_window(benchmark, zara1):
    benchmark.group = f"an epoch of the MLP, {WINDOWS} windows of zara1"
    task = Trajectory(mirror=False)
    some = np.flatnonzero(np.isin(zara1.train.groups, np.unique(zara1.train.groups)[::9][:WINDOWS]))
    train = zara1.train.take(some)
    windows = [tensors(train.batch(rows)) for rows in np.split(np.arange(len(train)), train.starts[1:-1])]
    assert len(windows) == WINDOWS
    forecaster = fitted(task, zara1, "mlp")
    for window in windows[:8]:
        torch.testing.assert_close(official_loss(forecaster, window), task.loss(forecaster, window))

    batches = EpochBatches(train, 1024, 0, lambda: 0, lambda: (0, 1))
    benchmark(epoch, forecaster, batches, task.loss)
    ours_by_window = fastest(lambda: epoch(forecaster, windows, task.loss, ACCUMULATED), rounds=3)
    slow = fastest(lambda: epoch(forecaster, windows, official_loss, ACCUMULATED), rounds=3)
    benchmark.extra_info |= {
        "samples": len(train),
        "ratio to the task's loss by window": ours_by_window / least(benchmark),
    }
    require_ratio(benchmark, slow, 10)


@pytest.mark.parametrize("name", ["constant_velocity", "anchors", "mlp", "social"])
@pytest.mark.parametrize("pedestrians", [1, 57])
def test_the_latency_of_a_window(benchmark, files, name, pedestrians):
    benchmark.group = f"latency of a window, pedestrians: {pedestrians}"
    (fold,) = eth_ucy.read(files, scene="univ")
    sizes = np.diff(fold.test.starts)
    rows = fold.test.starts[sizes.argmax()] + np.arange(pedestrians)
    assert sizes.max() >= pedestrians
    task = Trajectory()
    plain = name == "constant_velocity"
    network = task.network(name, {}, fold.training.schema) if plain else fitted(task, fold.training, name)
    batch = Split({"obs": fold.test.columns["obs"]}, fold.test.ids, fold.test.units, groups=fold.test.groups).batch(
        rows
    )
    benchmark(NetworkSolver(task, network, fold.training.schema).predict, batch)
    benchmark.extra_info["median_ms"] = 1000 * benchmark.stats.stats.median


def test_all_five_folds_in_one_process(benchmark, files, tmp_path_factory):
    benchmark.group = "descriptor, anchors and an epoch of the MLP, five folds"
    spec = RunSpec.of(["task=trajectory", "method=eigentrajectory", "trainer.max_epochs=1", "trainer.progress=false"])
    task, method = load_task(spec), load_method(spec)
    folds = task.data(spec.card.id, spec.data_options).folds
    seconds = {}

    def all_folds() -> None:
        for fold in folds:
            started = time.perf_counter()
            # In a folder of its own, so that no round goes on where another ended.
            method.produce(Bench(spec, task, fold, tmp_path_factory.mktemp(fold.name), lambda: ("", Path())))
            seconds[fold.name] = time.perf_counter() - started

    # A round before the measured ones imports Lightning.
    benchmark.pedantic(all_folds, rounds=2, warmup_rounds=1)
    benchmark.extra_info |= {f"{name}, s": taken for name, taken in seconds.items()}


def all_splits_window_by_window(files: dict[str, Path]) -> list[list[np.ndarray]]:
    """Train, val and test paths [n, 20, 2] of every scene; as loaders of the field do, each split reads files of its own."""
    splits = []
    for held_out in eth_ucy.SCENES.values():
        others = [name for name in eth_ucy.LAST_TRAIN_FRAME if name not in held_out]
        parts = [(others, "train"), (others, "val"), ([n for n in eth_ucy.LAST_TRAIN_FRAME if n in held_out], "test")]
        splits.append(
            [np.concatenate([window_by_window(files[f"{n}.txt"], part) for n in names]) for names, part in parts]
        )
    return splits


def window_by_window(path: Path, part: str = "test") -> np.ndarray:
    """Paths [n, 20, 2] of one part of a recording, made as the loader of Social GAN makes them.

    Lines are split one by one; each window collects its rows and asks of each pedestrian among them whether it is there
    throughout. The polynomial that the loader fits to each path besides is left out.
    """
    with path.open() as file:
        table = np.array([[float(cell) for cell in line.split()] for line in file])
    in_train = table[:, 0] <= eth_ucy.LAST_TRAIN_FRAME[path.stem]
    table = {"train": table[in_train], "val": table[~in_train], "test": table}[part]
    frames = np.unique(table[:, 0])
    by_frame = [table[table[:, 0] == frame] for frame in frames]
    found = []
    for start in range(len(frames) - LENGTH + 1):
        rows = np.concatenate(by_frame[start : start + LENGTH])
        paths = []
        for pedestrian in np.unique(rows[:, 1]):
            own = rows[rows[:, 1] == pedestrian]
            if len(own) == LENGTH:
                paths.append(np.around(own[:, 2:], 4))
        if len(paths) > 1:
            found += paths
    return np.array(found, np.float32).reshape(-1, LENGTH, 2)


def official_loss(forecaster: Forecaster, window: Batch) -> Tensor:
    """The task's loss of one window, computed in the order of the official code.

    Standing and moving pedestrians are normalised, projected and put back under a mask one class after the other; after
    the predictor each class and each of the 20 samples is reconstructed and carried back to world coordinates by itself;
    distances are taken there.
    """
    obs, pred = window["obs"], window["pred"]
    pace = speed(obs)
    moving = pace > forecaster.threshold
    observed, truth = obs.new_empty(len(obs), RANK), obs.new_empty(len(obs), RANK)
    anchors, logits = obs.new_empty(len(obs), SAMPLES, RANK), obs.new_empty(len(obs), SAMPLES)
    frames = {}
    for index in (STATIC, MOVING):
        mask = moving == bool(index)
        frames[index] = Frame.of(obs[mask], moving[mask])
        observed[mask] = frames[index].to_local(obs[mask]).flatten(1) @ forecaster.obs_basis[index]
        truth[mask] = frames[index].to_local(pred[mask]).flatten(1) @ forecaster.basis[index]
        anchors[mask], logits[mask] = forecaster.anchors[index], forecaster.popularity[index]
    changes = forecaster.predictor(Observation(obs, Frame.of(obs, moving), observed, moving, pace, window["group"]))
    refined = anchors + changes[:, : SAMPLES * RANK].unflatten(1, (SAMPLES, RANK))
    forecast = obs.new_empty(len(obs), SAMPLES, *pred.shape[1:])
    for index, frame in frames.items():
        mask, basis = moving == bool(index), forecaster.basis[index].T
        paths = [frame.to_world((refined[mask, s] @ basis).unflatten(1, (-1, 2))) for s in range(SAMPLES)]
        forecast[mask] = torch.stack(paths, 1)
    error = (forecast - pred[:, None]).norm(dim=3)
    displacement = error.mean(2)
    return (
        (refined - truth[:, None]).norm(dim=2).amin(1).mean()
        + displacement.amin(1).mean()
        + error[:, :, -1].amin(1).mean()
        + nn.functional.cross_entropy(logits + changes[:, SAMPLES * RANK :], displacement.detach().argmin(1))
    )


def fitted(task: Trajectory, data: TrainingData, name: str) -> Forecaster:
    """A network in a space that is fitted on some of the training paths; its own weights are as they begin."""
    torch.manual_seed(0)
    space = {"obs_rank": RANK, "rank": RANK, "samples": SAMPLES, "classes": 2}
    network = task.network(name, {"space": space}, data.schema)
    obs, pred = (torch.from_numpy(data.train.columns[column][:2000].copy()) for column in ("obs", "pred"))
    fit_space(
        network, obs, pred, lambda seen, future: (svd_basis(seen, RANK)[0], svd_basis(future, RANK)[0]), restarts=1
    )
    return network


def epoch(network: nn.Module, batches: Iterable[Batch], loss: Callable[..., Tensor], accumulated: int = 1) -> None:
    """One pass over all batches with a step after every so many, in the manner of either trainer."""
    optimizer = torch.optim.AdamW(network.parameters(), 2e-3, weight_decay=1e-4, fused=True)
    for number, batch in enumerate(batches, start=1):
        (loss(network, batch) / accumulated).backward()
        if number % accumulated == 0:
            nn.utils.clip_grad_norm_(network.parameters(), 10.0)
            optimizer.step()
            optimizer.zero_grad()


def fastest(call: Callable[[], object], rounds: int) -> float:
    """Seconds of the fastest round."""
    taken = []
    for _ in range(rounds):
        started = time.perf_counter()
        call()
        taken.append(time.perf_counter() - started)
    return min(taken)


def least(benchmark) -> float:
    return benchmark.stats.stats.min


def require_ratio(benchmark, slow: float, wanted: float) -> None:
    """Notes how many times as long the slow form takes, and fails where that is too little."""
    ratio = slow / least(benchmark)
    benchmark.extra_info |= {"slow form, s": slow, "ratio": ratio}
    assert ratio >= wanted, f"only {ratio:.1f} times faster"
