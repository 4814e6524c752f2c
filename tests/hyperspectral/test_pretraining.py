"""Pretraining before a task: an objective of its own in the shared trainer, judged on validation samples, and what it leaves."""

from __future__ import annotations

import csv
import dataclasses
from enum import Enum
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from benchmarks.datasets.bundle import Split, TrainingData
from benchmarks.errors import BenchmarkError
from benchmarks.method import Objective, Workbench
from benchmarks.methods.hyper_mae import Pretrained, reconstruction
from benchmarks.metric import Metric, Statistic
from benchmarks.models.hyperspectral.hyper_mae import HyperMAE
from benchmarks.models.hyperspectral.less_vit import LessViT
from benchmarks.settings import Finetune, Trainer
from benchmarks.side_files import write_history
from benchmarks.task import Batch, Outputs, Task
from benchmarks.workbench import Bench

BANDS = torch.linspace(450, 2300, 8)


def share_right(samples: Any) -> Statistic:
    right = samples["prediction"] == samples["label"]
    return Statistic(lambda _: float(right.mean()), right.size)


class Pixels(Task):
    """The task's batches at their smallest: `cube` [n, c, h, w], `bands` [n, c] with NaN behind the last, `label` [n, h, w]."""

    metrics = (Metric("accuracy", 1, "", "max", "pooled", share_right, "share of pixels"),)
    unit = "tiles"
    target_names = ("label",)

    def seen(self, cube: Tensor) -> Tensor:
        return cube

    def __init__(self, **settings: object) -> None:
        super().__init__()
        self.settings = {"dim": 16, "heads": 2, "channel_dim": 2, "depth": 1, "head_width": 4} | settings

    def network(self, model: str, settings: Any, schema: Any) -> nn.Module:
        return nn.Linear(2, 2) if model == "line" else LessViT(2, 8, (400.0, 2500.0), **self.settings)

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        given = batch["bands"][0].isfinite()
        return cross_entropy(network(batch["cube"][:, given], batch["bands"][0][given]), batch["label"].long())

    def predict(self, network: nn.Module, batch: Batch) -> Outputs:
        given = batch["bands"][0].isfinite()
        return {"prediction": network(batch["cube"][:, given], batch["bands"][0][given]).argmax(1).to(torch.uint8)}


def tiles(count: int, seed: int) -> Split:
    """Smooth spectra of two classes in smooth fields."""
    random = np.random.default_rng(seed)
    label = (np.add.outer(np.arange(8), np.arange(8))[None] + random.integers(0, 8, count)[:, None, None]) // 6 % 2
    spectra = np.stack([np.sin(BANDS.numpy() / 400), np.cos(BANDS.numpy() / 300)])
    cube = np.moveaxis(spectra[label], -1, 1) + random.normal(0, 0.05, (count, len(BANDS), 8, 8))
    bands = np.concatenate((np.tile(BANDS.numpy(), (count, 1)), np.full((count, 1), np.nan)), 1)
    cube = np.concatenate((cube, np.zeros((count, 1, 8, 8))), 1)
    columns = {"cube": cube.astype(np.float32), "bands": bands.astype(np.float32), "label": label.astype(np.uint8)}
    return Split(columns, np.arange(count), np.arange(count))


def bench(folder: Path, task: Task | None = None, model: str = "less_vit", protocol: str = "suite") -> Bench:
    plain = {
        key: value.value if isinstance(value, Enum) else value for key, value in dataclasses.asdict(Trainer()).items()
    }
    trainer = {"progress": False, "accelerator": "cpu", "max_epochs": 1, "batch_size": 8, "optimizer": "adamw"}
    spec = SimpleNamespace(
        seed=0, protocol=protocol, kind="train", model=model, method="hyper_mae", own_weights=None, checkpoint=None,
        config={"finetune": dataclasses.asdict(Finetune()), "trainer": plain | trainer, "weights": None, "shots": None},
        settings=lambda group: {},
    )  # fmt: skip
    fold = SimpleNamespace(name="all", training=TrainingData(tiles(16, 0), tiles(8, 1), {}))
    return Bench(cast(Any, spec), task or Pixels(), cast(Any, fold), folder, lambda: ("", folder))


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_an_encoder_learns_to_fill_in_what_is_hidden_and_goes_on_to_the_task(tmp_path: Path) -> None:
    here = bench(tmp_path)
    fits: list[tuple[str, nn.Module, Tensor]] = []
    fit = here.fit

    def noted(network: nn.Module, stage: str = "train", objective: Objective | None = None) -> None:
        encoder = cast(Any, network).encoder
        fits.append((stage, encoder, encoder.blocks[0].mlp.fc1.weight.detach().clone()))
        fit(network, stage, objective)

    here.fit = noted  # type: ignore[method-assign]
    method = Pretrained(epochs=8, learning_rate=5e-3, decoder_dim=16, decoder_heads=2)
    method.check(cast(Workbench, here))
    solver = cast(Any, method.produce(cast(Workbench, here)))
    assert [stage for stage, _, _ in fits] == ["pretrain", "train"]
    assert fits[0][1] is fits[1][1] is solver.network.encoder
    assert not torch.equal(fits[0][2], fits[1][2])
    losses = [row["val_loss"] for row in here.histories["pretrain"].rows]
    assert len(losses) == 8
    assert min(losses) < 0.85 * losses[0]
    assert losses[here.histories["pretrain"].best_epoch - 1] == min(losses)
    assert [list(row)[3] for row in here.histories["train"].rows] == ["val_accuracy"]
    assert isinstance(solver.network, LessViT)

    write_history(tmp_path, [here])
    with (tmp_path / "history.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["stage"] for row in rows] == ["pretrain"] * 8 + ["train"]
    assert (
        [row["val_accuracy"] == "" for row in rows] == [row["val_loss"] != "" for row in rows] == [True] * 8 + [False]
    )


def test_labels_are_not_seen(tmp_path: Path) -> None:
    here = bench(tmp_path)
    network = Pretrained(decoder_dim=16, decoder_heads=2).masked(here.fresh(), cast(Workbench, here))
    batch = {name: torch.from_numpy(column) for name, column in here.data.train.columns.items() if name != "label"}
    assert torch.isfinite(reconstruction(network, batch, seen=Pixels().seen))


def test_several_layouts_of_a_batch_count_by_their_samples(tmp_path: Path) -> None:
    here = bench(tmp_path)
    network = Pretrained(decoder_dim=16, decoder_heads=2, channel_ratio=0.0, position_ratio=0.0, weigh="hidden")
    masked = network.masked(here.fresh(), cast(Workbench, here)).eval()
    masked.forward = lambda cube, bands: cube  # type: ignore[assignment,method-assign]
    masked.loss = lambda cube: torch.tensor(float(cube.shape[1]))  # type: ignore[assignment,method-assign]
    bands = torch.tensor([[500.0, 600.0, 700.0], [500.0, 600.0, torch.nan], [500.0, 600.0, torch.nan]])
    assert float(
        reconstruction(masked, {"cube": torch.zeros(3, 3, 8, 8), "bands": bands}, seen=Pixels().seen)
    ) == pytest.approx(7 / 3)


def test_what_is_drawn_for_validation_is_the_same_at_every_epoch_and_leaves_training_alone(tmp_path: Path) -> None:
    here = bench(tmp_path)
    network = Pretrained(decoder_dim=16, decoder_heads=2).masked(here.fresh(), cast(Workbench, here)).eval()
    judge = here._mean(partial(reconstruction, seen=Pixels().seen))
    state = torch.get_rng_state()
    assert judge(network) == judge(network)
    assert torch.equal(torch.get_rng_state(), state)


def test_the_decoder_of_the_upstream_protocol_is_not_rotated(tmp_path: Path) -> None:
    method = Pretrained(decoder_dim=16, decoder_heads=2)
    for protocol, rotated in (("suite", True), ("upstream", False)):
        here = bench(tmp_path, protocol=protocol)
        network = method.masked(here.fresh(), cast(Workbench, here))
        assert isinstance(network, HyperMAE)
        assert network.rotary_decoder is rotated


def test_settings_and_models_that_cannot_be_pretrained_are_named(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match="model=less_vit"):
        Pretrained().check(cast(Workbench, bench(tmp_path, model="line")))
    with pytest.raises(BenchmarkError, match=r"method\.\*"):
        Pretrained(decoder_dim=15).check(cast(Workbench, bench(tmp_path)))
    with pytest.raises(BenchmarkError, match="axes"):
        Pretrained(weigh="both").check(cast(Workbench, bench(tmp_path)))
