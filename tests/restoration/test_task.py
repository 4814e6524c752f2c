"""The task: what training sees, answers in tiles, the base of other photographs, runs from end to end."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import nn

from benchmarks import scoring
from benchmarks.datasets.open import open_bundle
from benchmarks.errors import BenchmarkError
from benchmarks.inference import collect
from benchmarks.leaderboard.store import Store
from benchmarks.models.restoration.build import build
from benchmarks.restoration import tiles
from benchmarks.restoration.metrics import METRICS
from benchmarks.restoration.pictures import typical, worst_square
from benchmarks.restoration.plan_picture import draw_plan, learnt_share
from benchmarks.restoration.task import Restoration
from benchmarks.result import show
from benchmarks.runner import run, validate
from benchmarks.solver import NetworkSolver
from benchmarks.spec import RunSpec

TINY = ("task=restoration", "scale=smoke", "data.samples=24", "data.patch=16", "data.val_samples=4", "trainer.progress=false",
        "trainer.threads=1", "profile=none")  # fmt: skip
NETWORK = ("model.width=8",)


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    """Intervals have tests of their own."""
    monkeypatch.setattr(scoring, "RESAMPLES", 20)


class Kept(nn.Module):
    """Answers what it sees, `change` above it, and keeps it."""

    def __init__(self, change: float = 0.0, crop: int = 0) -> None:
        super().__init__()
        self.change, self.crop, self.largest = change, crop, 0

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        self.image, self.largest = image, max(self.largest, image.numel() // image.shape[1])
        return image + self.change


def pair(seed: int = 0, n: int = 3, side: int = 20) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    clean = torch.randint(256, (n, side, side, 3), dtype=torch.uint8, generator=generator)
    return {"image": 255 - clean, "clean": clean}


def test_training_sees_the_same_square_of_both_images_mirrored_and_turned_alike() -> None:
    batch, seen = pair(), set()
    torch.manual_seed(0)
    for _ in range(60):
        network = Kept(crop=7)
        loss = Restoration().loss(network, batch)
        assert network.image.shape == (3, 3, 7, 7)
        # The pair are negatives of each other, wherever and however they are cut.
        expected = 10 * torch.log10((2 * network.image - 1).square().mean((1, 2, 3)) + 1e-8).mean()
        assert float(loss) == pytest.approx(float(expected), abs=1e-5)
        seen.add(network.image.numpy().tobytes())
    assert len(seen) == 60
    whole = Kept()
    Restoration(flips=False).loss(whole, batch)
    assert torch.equal(whole.image, batch["image"].permute(0, 3, 1, 2) / 255)


def test_the_losses_are_decibels_of_each_image_or_absolute_errors() -> None:
    batch = {"image": torch.zeros(2, 8, 8, 3), "clean": torch.zeros(2, 8, 8, 3, dtype=torch.uint8)}
    batch["clean"][1] = 51
    decibels = 10 * (np.log10(0.01 + 1e-8) + np.log10(0.01 + 1e-8)) / 2
    assert float(Restoration().loss(Kept(0.1), batch)) == pytest.approx(decibels, abs=1e-5)
    assert float(Restoration(loss="l1").loss(Kept(0.1), batch)) == pytest.approx(0.1, abs=1e-6)


def test_answers_are_of_the_kind_of_the_images_rounded_half_to_even_and_cut() -> None:
    task = Restoration()
    levels = torch.tensor([0, 1, 2, 255], dtype=torch.uint8).reshape(1, 2, 2, 1).expand(1, 2, 2, 3)
    found = task.predict(Kept(0.5 / 255), {"image": levels})["restored"]
    assert found.dtype == torch.uint8
    assert found[0, ..., 0].flatten().tolist() == [0, 2, 2, 255]
    shares = task.predict(Kept(0.5), {"image": levels.float() / 255})["restored"]
    assert shares.dtype == torch.float32
    assert shares.flatten().tolist() == pytest.approx((levels.float() / 255 + 0.5).clamp(max=1).flatten().tolist())


def test_a_large_image_is_answered_in_tiles_as_it_is_as_a_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(*(layer for _ in range(3) for layer in (nn.Conv2d(3, 3, 3, padding=1), nn.Tanh())))
    image = torch.rand(2, 3, 150, 97)
    with torch.no_grad():
        whole = tiles.restored(network, image)
        for name, value in {"AT_ONCE": 48 * 48, "SIDE": 48, "OVERLAP": 16, "MARGIN": 4}.items():
            monkeypatch.setattr(tiles, name, value)
        kept = Kept()
        torch.testing.assert_close(tiles.restored(kept, image), image, atol=1e-6, rtol=0)
        assert kept.largest == 48 * 48
        assert float((tiles.restored(network, image) - whole).abs().max()) < 1e-5
        # Small images are seen together, but never more than so many pixels of them.
        many = image[:, :, :40, :40].repeat(3, 1, 1, 1)
        assert torch.equal(tiles.restored(kept, many), many)
        assert kept.largest == 48 * 48


def test_a_network_that_looks_at_means_of_the_image_leaves_no_seam() -> None:
    class Means(nn.Module):
        """Adds a fifth of the mean of what it sees, and keeps these means."""

        seen: ClassVar[list[float]] = []

        def forward(self, image: torch.Tensor) -> torch.Tensor:
            self.seen.append(float(image.mean()))
            return image + 0.2 * image.mean((2, 3), keepdim=True)

    rows = torch.linspace(0, 1, 1400)[:, None].expand(1, 3, 1400, 900)
    change = tiles.restored(Means(), rows) - rows
    assert max(Means.seen) - min(Means.seen) > 0.5  # cut sharply, tiles would differ by many levels
    assert float(change.diff(dim=2).abs().max()) < 1 / 255
    assert float(change.diff(dim=3).abs().max()) < 1e-6
    assert float(change.max() - change.min()) > 0.1


def test_the_base_is_pretrained_on_other_photographs_and_is_a_row_of_this_data_set() -> None:
    words = ["task=restoration", "shots=8", "task.crop=32", "finetune.learning_rate=1e-4"]
    for method in ("lora", "continued"):
        spec = RunSpec.of([*words, f"method={method}"])
        zero = spec.base()
        assert (zero.method, zero.card.id, zero.config["task"]["crop"]) == ("prod", spec.card.id, 64)
        assert set(spec.companions()) >= {"floor", "base"}
        base = zero.base()
        assert (base.method, base.card.id, base.model) == ("prod", "prod_photos", spec.model)
        # What is typed for fine-tuning leaves the base alone, so that one serves all.
        assert base.key == RunSpec.of(["task=restoration", "method=prod", "data=prod_photos"]).key
        assert RunSpec.of(["experiment=restoration_shots", f"method={method}"]).base().base().key == base.key
        single = RunSpec.of([*words, f"method={method}", "task.pretraining=single"])
        assert single.base().base().config["data"]["degradations"] == "single"
        assert single.key != spec.key
    assert {RunSpec.of(["task=restoration", f"scale={scale}"]).model for scale in ("smoke", "small", "paper")} == {
        "nafnet_tiny", "nafnet_small", "nafnet",
    }  # fmt: skip


def test_pretraining_zero_shot_and_adapters_from_end_to_end(tmp_path: Path) -> None:
    store = Store(tmp_path / "results")
    records = {
        name: run(RunSpec.of([*TINY, *words]), store)
        for name, words in {
            "floor": ["method=degraded"],
            "full": [*NETWORK, "method=continued"],
            "lora": [*NETWORK, "method=lora", "method.rank=2"],
            "zero": [*NETWORK, "method=continued", "finetune.max_epochs=0"],
        }.items()
    }
    values = {name: {row.metric: row.value for row in record.quality if row.condition is None}
              for name, record in records.items()}  # fmt: skip
    assert values["floor"]["gain"] == 0
    for name, found in values.items():
        assert found["gain"] == pytest.approx(found["psnr"] - values["floor"]["psnr"], abs=1e-9), name
        assert {row.condition for row in records[name].quality} > {None, "noise", "rain"}
    assert len({record.base_run for record in records.values() if record.base_run}) == 1
    base = store.find(RunSpec.of([*TINY, *NETWORK, "method=prod", "task.crop=64"]).key)
    assert base is not None
    assert values["zero"]["psnr"] == pytest.approx(base.primary.value)
    assert len({values[name]["psnr"] for name in ("zero", "full", "lora")}) == 3
    with Image.open(store.folder(records["lora"].run_id) / "pictures" / "images.png") as picture:
        assert picture.width > 400
    with np.load(store.folder(records["lora"].run_id) / "targets.npz") as targets:
        assert {"clean", "input_mse"} <= set(targets)


def test_pretraining_is_searched_by_the_metric_of_the_task_and_not_by_its_loss(tmp_path: Path) -> None:
    spec = RunSpec.of([*TINY, *NETWORK, "method=prod", "task.crop=16", "trainer.accelerator=cpu"])
    store = Store(tmp_path / "results")
    found, _ = validate(spec, store)
    record, task = run(spec, store), Restoration()
    val = task.data("sim_photos", spec.data_options).folds[0].training.val
    solver = NetworkSolver.load(task, store.folder(record.run_id) / "solver" / "all")
    answers = solver.predict({"image": val.columns["image"][:]})["restored"]
    errors = (np.rint(255.0 * answers.clip(0, 1)) - val.columns["clean"][:]) ** 2
    assert found == pytest.approx(np.mean(10 * np.log10(255**2 / errors.mean((1, 2, 3)))), abs=1e-4)


def test_an_adapter_begins_with_zero_shot_and_that_with_what_was_pretrained_elsewhere(
    tmp_path: Path, mirror: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """PolyU's noise by a network that was pretrained on made-up pictures, as the smallest scale has it."""
    store = Store(tmp_path / "results")
    words = ["task=restoration", "scale=smoke", "data=polyu", *NETWORK, "shots=2", "data.crop=32", "data.every=10",
             "trainer.progress=false", "trainer.threads=1", "profile=none", "task.crop=16"]  # fmt: skip
    small = run(RunSpec.of([*words, "method=bias_norm"]), store)
    zero = store.get(small.base_run or "")
    first = store.get(zero.base_run or "")
    assert [(record.method, record.dataset) for record in (zero, first)] == [("prod", "polyu"), ("prod", "sim_photos")]
    files = [store.folder(record.run_id) / "solver" / "all" / "weights.safetensors" for record in (zero, first, small)]
    weights = [load_file(file) for file in files]
    assert all(torch.equal(value, weights[1][name]) for name, value in weights[0].items())
    moved = {name for name, value in weights[2].items() if not torch.equal(value, weights[0][name])}
    assert moved
    assert all(name.endswith("bias") or ".norm" in name for name in moved)
    assert len(list(store.records())) == 3
    again = run(RunSpec.of([*words, "method=prod", f"weights={files[1]}"]), store)
    assert [row.value for row in again.quality] == [row.value for row in zero.quality]
    assert again.base_run is None
    show(
        RunSpec.of([*words, "method=bias_norm", "report=false"]),
        {"elsewhere": first, "base": zero, "result": small},
        store,
    )
    shown = capsys.readouterr().out
    assert "base (prod)" in shown
    assert "elsewhere" not in shown


def test_what_pretraining_saw_must_be_what_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match=r"data\.degradations=fixed is not what task\.pretraining=prod"):
        run(RunSpec.of([*TINY, *NETWORK, "method=prod", "data.degradations=fixed"]), Store(tmp_path / "results"))


def test_gain_is_told_from_the_test_images_alone() -> None:
    options = {"samples": 4, "patch": 16, "val_samples": 2}
    bundle = Restoration().data("sim_photos", options)
    plain = open_bundle("sim_photos", options, progress=False)
    fold, before = bundle.folds[0], plain.folds[0]
    assert bundle.fingerprint == plain.fingerprint
    samples = collect(NetworkSolver(Restoration(), build("degraded"), {}), fold.test, Restoration(), 5)
    gain = next(metric for metric in METRICS if metric.name == "gain")
    assert gain.statistic(samples).value(None) == 0
    assert "input_mse" not in {*before.test.columns, *fold.training.train.columns, *fold.training.val.columns}


def test_pictures_show_the_worst_square_of_images_from_the_worst_to_the_best() -> None:
    clean = np.zeros((5, 64, 64, 3), np.uint8)
    restored = clean + np.array([9, 1, 200, 30, 4], np.uint8)[:, None, None, None]
    assert typical({"clean": clean, "restored": restored}) == [2, 3, 0, 1]
    error = np.zeros((64, 90, 3))
    error[40:50, 70:80] = 5
    rows, columns = worst_square(error, 32)
    assert rows.start <= 40
    assert rows.stop >= 50
    assert columns.start <= 70 <= 80 <= columns.stop


def test_a_plan_is_drawn_by_the_share_that_each_layer_learns(tmp_path: Path) -> None:
    network = build("nafnet_tiny", width=8, encoder=[1], middle=1, decoder=[1])
    names = [name for name, module in network.named_modules() if isinstance(module, nn.Conv2d) and module.groups == 1]
    plan = {name: "dense" if name in ("intro", "ending") else 1 for name in names} | {"middle_blks.0.conv1": 0}
    scores = {name: 10.0 ** -(number % 7) for number, name in enumerate(names)} | {"middle_blks.0.conv1": 0.0}
    draw_plan(
        {"allocation": "contribution", "trained": 321, "plan": plan, "scores": scores}, network, tmp_path / "plan.png"
    )
    with Image.open(tmp_path / "plan.png") as picture:
        colours = picture.convert("RGB").getcolors(2**16)
    assert colours is not None
    assert {(0, 114, 178), (213, 94, 0)} <= {colour for _, colour in colours}
    intro, down = (network.get_submodule(name) for name in ("intro", "downs.0"))
    assert [learnt_share("dense", intro), learnt_share(0, intro)] == [1.0, 0.0]
    assert learnt_share(2, down) == pytest.approx(2 * (16 + 8 * 4) / (16 * 8 * 4))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"loss": "psmr"}, "'psnr'"),
        ({"crop": -1}, "task.crop=-1"),
        ({"pretraining": "all"}, "fixed, none, prod, single"),
    ],
)
def test_settings_that_cannot_work_are_named(settings: dict, message: str) -> None:
    with pytest.raises(BenchmarkError, match=message):
        Restoration(**settings)


def test_a_crop_larger_than_the_images_is_named() -> None:
    with pytest.raises(BenchmarkError, match=r"task\.crop=64 is larger than the images, 20 x 20"):
        Restoration().loss(Kept(crop=64), pair())
