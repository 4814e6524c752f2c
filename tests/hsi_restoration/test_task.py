"""The task: what training sees, cubes in batches of tiles, the base of another data set, a run from end to end."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from benchmarks.datasets.bundle import Split
from benchmarks.datasets.open import open_bundle
from benchmarks.errors import BenchmarkError
from benchmarks.hsi_restoration.task import HSIRestoration
from benchmarks.inference import answers, collect
from benchmarks.leaderboard.store import Store
from benchmarks.models.hsi_restoration.build import build
from benchmarks.models.hsi_restoration.schedules import signal_shares
from benchmarks.runner import RunFailed, run
from benchmarks.solver import NetworkSolver
from benchmarks.spec import RunSpec

TINY = ("task=hsi_restoration", "scale=smoke", "data.size=16", "data.bands=12", "data.tile=8", "trainer.progress=false",
        "trainer.max_epochs=1", "trainer.threads=1", "profile=none")  # fmt: skip
NETWORK = ("model.base=8", "model.mults=[1,2]", "model.groups=4", "task.crop=8")


class Silent(nn.Module):
    """Says that there is no noise, and keeps what it saw."""

    def forward(self, image: torch.Tensor, level: torch.Tensor) -> torch.Tensor:
        self.image, self.level = image, level
        return torch.zeros_like(image)


def test_training_sees_noisy_squares_and_the_root_of_what_is_left_of_the_signal() -> None:
    torch.manual_seed(0)
    photos = torch.full((400, 16, 16, 3), 255, dtype=torch.uint8)
    network, task = Silent(), HSIRestoration(crop=8)
    loss = task.loss(network, {"image": photos})
    assert network.image.shape == (400, 3, 8, 8)
    assert float(loss) == pytest.approx(1, abs=0.02)  # of no answer, the variance of the noise
    shares = network.level.square()
    known = torch.from_numpy(signal_shares("exp", 8.0)).float()
    assert (shares[:, None] - known).abs().amin(1).max() < 1e-5
    assert float((shares > 0.9).float().mean()) == pytest.approx(0.712, abs=0.06)
    means = (network.image.mean((1, 2, 3)) / shares.sqrt())[shares > 0.9]
    assert means.max() == pytest.approx(1, abs=0.1)  # white on the scale from -1 to 1
    assert means.min() == pytest.approx(2 * 0.3 - 1, abs=0.1)  # and as dark as 0.3


def test_channels_places_and_turns_of_training_images_vary() -> None:
    image = torch.zeros(1, 12, 12, 3, dtype=torch.uint8)
    image[..., 0] = 255
    image[:, :6, :, 1] = 255
    torch.manual_seed(1)
    seen = [HSIRestoration(crop=8, darkest=1.0).seen(image)[0] for _ in range(40)]
    assert {int(one.mean((1, 2)).argmax()) for one in seen} == {0, 1, 2}
    assert len({one.numpy().tobytes() for one in seen}) > 10
    with pytest.raises(BenchmarkError, match=r"task\.crop=32 is larger"):
        HSIRestoration().seen(image)


def test_cubes_are_put_together_answered_and_cut_again() -> None:
    bundle = open_bundle("sim_cube", {"size": 20, "tile": 8, "bands": 10, "sigma": 0.0}, progress=False)
    split = bundle.folds[0].test
    solver = NetworkSolver(HSIRestoration(), build("noisy"), {})
    for size in (1, 9, 100):
        found = answers(
            solver,
            Split({k: v for k, v in split.columns.items() if k != "clean"}, split.ids, split.units, None, split.groups),
            size,
        )
        np.testing.assert_array_equal(found["restored"], split.columns["clean"])
        np.testing.assert_array_equal(found["place"], split.columns["place"])


def test_a_lower_resolution_and_gaps_come_back_at_full_size() -> None:
    for kind in ("sr2", "inpaint", "mixture"):
        split = open_bundle("sim_cube", {"degradation": kind, "size": 20, "tile": 8}, progress=False).folds[0].test
        samples = collect(NetworkSolver(HSIRestoration(), build("svd_truncate"), {}), split, HSIRestoration(), 8)
        assert samples["restored"].shape == samples["clean"].shape
        assert np.array_equal(np.isnan(samples["restored"]), np.isnan(samples["clean"]))
        assert np.isfinite(HSIRestoration.metrics[0].statistic(samples).value(None))


def test_the_base_is_a_prior_of_photographs_by_scale() -> None:
    small = RunSpec.of(["task=hsi_restoration", "method=hir_diff", "data.sigma=30"])
    assert (small.base().method, small.base().card.id) == ("prior", "rgb_photos")
    assert (
        small.base().key == RunSpec.of(["task=hsi_restoration", "method=hir_diff", "data.degradation=sr4"]).base().key
    )
    smoke = RunSpec.of(["task=hsi_restoration", "method=hir_diff", "scale=smoke"])
    assert smoke.base().card.id == "sim_cube"
    assert set(smoke.companions()) == {"floor", "rank", "classical", "base"}


def test_a_run_has_its_ceilings_its_oracle_apart_and_a_picture(tmp_path: Path) -> None:
    store = Store(tmp_path / "results")
    record = run(RunSpec.of([*TINY, *NETWORK, "method=hir_diff", "method.steps=4"]), store)
    overall = {row.metric: row.value for row in record.quality if row.condition is None}
    assert overall["oracle_mpsnr"] >= overall["mpsnr"] - 1e-4  # the last step is one of them, up to rounding
    assert overall["ceiling_3"] > overall["span_ceiling"] > overall["mpsnr"]
    assert overall["ceiling_8"] > overall["ceiling_5"] > overall["ceiling_3"]
    assert {row.condition for row in record.quality} == {None, "cube0", "cube1"}
    assert record.base_run
    assert store.folder(record.base_run).is_dir()
    with Image.open(store.folder(record.run_id) / "pictures" / "cubes.png") as picture:
        assert picture.width > 400


def test_a_prior_is_never_trained_on_cubes(mirror: Path, tmp_path: Path) -> None:
    spec = RunSpec.of(["task=hsi_restoration", "method=prior", "data=hsi_cubes", "trainer.max_epochs=1"])
    with pytest.raises(BenchmarkError, match=r"Type data=rgb_photos"):
        run(spec, Store(tmp_path / "results"))
    cubes = open_bundle("hsi_cubes", progress=False).folds[0].training.train
    with pytest.raises(BenchmarkError, match="never on cubes"):
        HSIRestoration().loss(Silent(), {name: torch.from_numpy(column[:1]) for name, column in cubes.columns.items()})


def test_settings_out_of_range_are_named(tmp_path: Path) -> None:
    for words, message in (
        (["method.schedule=expo"], r"method\.schedule=expo"),
        (["method.steps=0"], r"method\.steps=0"),
    ):
        with pytest.raises((BenchmarkError, RunFailed), match=message):
            run(RunSpec.of([*TINY, *NETWORK, "method=hir_diff", *words]), Store(tmp_path / "results"))
    with pytest.raises(BenchmarkError, match=r"task\.crop=4"):
        HSIRestoration(crop=4)
