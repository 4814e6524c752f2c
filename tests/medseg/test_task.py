"""The task: what networks see, the loss and its official form, weights of a model, files of one's own, pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from benchmarks import registry
from benchmarks.datasets.bundle import Split
from benchmarks.datasets.open import open_bundle
from benchmarks.errors import BenchmarkError, Misfit
from benchmarks.inference import answers, collect
from benchmarks.medseg.losses import dice_loss, focal_loss
from benchmarks.medseg.task import MedSeg, levels, shrunk
from benchmarks.models.medseg.build import NETWORKS
from benchmarks.runner import load_task
from benchmarks.segmentation.overlays import typical
from benchmarks.solver import NetworkSolver, build
from benchmarks.spec import RunSpec
from benchmarks.workbench import Bench

SCHEMA = {"height": 23, "width": 30, "crop": 0}


class Echo(nn.Module):
    """Answers with the red channel as logits, and keeps what it saw."""

    multiple, shrink, crop = 8, 1, 0

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("temperature", torch.ones(()))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        self.seen = image
        return image[:, :1]


def colours(seed: int = 0, size: tuple[int, int] = (23, 30)) -> torch.Tensor:
    return torch.randint(40, 200, (2, *size, 3), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)


def test_networks_see_each_image_from_zero_to_one_and_zeros_beside_it() -> None:
    echo, image = Echo(), colours()
    soft = MedSeg().predict(echo, {"image": image})["probability"]
    inner = echo.seen[:, :, :23, :30]
    assert echo.seen.shape == (2, 3, 24, 32)
    assert inner.amin((1, 2, 3)).tolist() == [0, 0]
    assert inner.amax((1, 2, 3)).tolist() == [1, 1]
    assert not echo.seen[:, :, 23:].any()
    torch.testing.assert_close(soft, torch.sigmoid(inner[:, 0]))
    gray = levels(image[..., 0])
    assert torch.equal(gray[:, 0], gray[:, 2])
    assert not levels(torch.full((1, 4, 4), 7, dtype=torch.uint8)).any()


def test_smaller_images_are_answered_at_their_own_size() -> None:
    echo = Echo()
    echo.shrink = 2
    smooth = torch.linspace(0, 255, 30).round().to(torch.uint8).expand(2, 23, 30)
    soft = MedSeg().predict(echo, {"image": smooth})["probability"]
    assert echo.seen.shape == (2, 3, 16, 16)
    assert soft.shape == (2, 23, 30)
    torch.testing.assert_close(soft, torch.sigmoid(levels(smooth)[:, 0]), atol=0.02, rtol=0)
    parts = shrunk(torch.arange(12.0).reshape(1, 1, 3, 4), 2)
    assert parts.tolist() == [[[[2.5, 4.5], [8.5, 10.5]]]]


def test_training_sees_squares_made_smaller_with_masks_of_most_pixels() -> None:
    task, echo = MedSeg(flips=False), Echo()
    echo.shrink, echo.crop = 2, 16
    mask = torch.zeros(2, 23, 30, dtype=torch.bool)
    loss = task.loss(echo, {"image": colours(), "mask": mask})
    assert echo.seen.shape == (2, 3, 8, 8)
    logits = echo.seen[:, :1].double()
    prob = torch.sigmoid(logits).numpy()
    assert loss.item() == pytest.approx(1 - 1 / (prob.sum() + 1) + np.logaddexp(0, logits.numpy()).mean(), rel=1e-5)


def test_the_loss_is_dice_of_the_batch_and_focal_on_logits() -> None:
    random = np.random.default_rng(0)
    x, y = random.normal(size=(2, 1, 4, 4)), random.random((2, 1, 4, 4)) < 0.3
    logits, mask, p = torch.from_numpy(x), torch.from_numpy(y).double(), 1 / (1 + np.exp(-x))
    assert dice_loss(torch.sigmoid(logits), mask).item() == pytest.approx(
        1 - (2 * p[y].sum() + 1) / (p.sum() + y.sum() + 1)
    )
    right = np.where(y, p, 1 - p)
    weight = np.where(y, 0.75, 0.25)
    assert focal_loss(logits, mask, 3.0, 0.75).item() == pytest.approx(
        (-weight * (1 - right) ** 3 * np.log(right)).mean()
    )
    assert focal_loss(logits, mask, 0.0, None).item() == pytest.approx(-np.log(right).mean())
    twice = 1 / (1 + np.exp(-p))
    official = -weight * (1 - right) ** 3 * np.log(np.where(y, twice, 1 - twice))
    assert focal_loss(logits, mask, 3.0, 0.75, True).item() == pytest.approx(official.mean())
    assert official.mean() != pytest.approx(focal_loss(logits, mask, 3.0, 0.75).item(), rel=0.1)


def test_the_official_loss_comes_with_its_protocol_unless_typed() -> None:
    words = ["task=medseg", "method=lora", "scale=smoke"]
    assert load_task(RunSpec.of(words)).focal == (0.0, None, False)
    assert load_task(RunSpec.of([*words, "protocol=upstream"])).focal == (3.0, 0.75, True)
    assert load_task(RunSpec.of([*words, "protocol=upstream", "task.focal_gamma=2.0"])).focal == (2.0, 0.75, True)
    with pytest.raises(BenchmarkError, match=r"positives=2\.0"):
        MedSeg(positives=2.0)
    with pytest.raises(BenchmarkError, match=r"task\.crop=24 is larger than the images, 23 x 30"):
        MedSeg(crop=24).network("small_unet", {}, SCHEMA)


def test_a_run_begins_with_the_models_weights_unless_it_says_otherwise() -> None:
    words = ["task=medseg", "method=lora"]
    made = RunSpec.of(words)
    assert made.config["weights"] == "litemedsam"
    assert made.key == RunSpec.of([*words, "weights=published"]).derive(["weights=litemedsam"]).key
    assert made.weights_sha256 == RunSpec.of([*words, "weights=published"]).weights_sha256
    assert RunSpec.of([*words, "weights=null"]).weights_sha256 is None
    assert RunSpec.of([*words, "scale=smoke"]).config["weights"] is None
    assert RunSpec.of([*words, "model=small_unet"]).config["weights"] is None
    with pytest.raises(Misfit, match=r"no data set but weights of a model\. Type weights=litemedsam"):
        RunSpec.of(["task=medseg", "method=lora", "data=litemedsam"])
    with pytest.raises(BenchmarkError, match="has no published weights for model 'small_unet'"):
        _ = RunSpec.of(["task=medseg", "model=small_unet", "method=none", "weights=litemedsam"]).weights_sha256


@pytest.mark.parametrize(("words", "random"), [(["weights=null"], True), ([], False)])
def test_random_weights_are_marked(words: list[str], random: bool) -> None:
    made = RunSpec.of(["task=medseg", "method=lora", *words])
    fold = open_bundle("sim_vessels", {"subjects": 5, "size": 16}, progress=False).folds[0]
    notes = Bench(made, load_task(made), fold, Path(), lambda: ("", Path())).notes
    assert any("Random initialisation" in note for note in notes) == random


def test_floors_mark_all_and_nothing() -> None:
    solvers = [
        NetworkSolver(MedSeg(), build(MedSeg(), "constant", {"foreground": yes}, SCHEMA), SCHEMA)
        for yes in (True, False)
    ]
    found = [solver.predict({"image": colours().numpy()})["probability"] for solver in solvers]
    assert found[0].min() == 1
    assert found[1].max() < 1e-12


def test_the_models_of_the_task_are_its_networks() -> None:
    assert set(registry.models_for("medseg")) == set(NETWORKS)


def test_a_picture_of_ones_own_is_answered_by_one_of_its_size_and_runs_are_drawn(tmp_path: Path) -> None:
    task = MedSeg()
    fold = open_bundle("sim_vessels", {"subjects": 10, "size": 24}, progress=False).folds[0]
    torch.manual_seed(0)
    network = build(task, "small_unet", {"widths": [4, 8]}, fold.training.schema)
    solver = NetworkSolver(task, network, fold.training.schema)
    Image.fromarray(colours(size=(21, 33))[0].numpy()).save(tmp_path / "mine.jpg")
    raw, split = task.read_input(tmp_path / "mine.jpg", fold.training.schema)
    task.write_output(tmp_path / task.answer_name(tmp_path / "mine.jpg"), raw, answers(solver, split, 1))
    with Image.open(tmp_path / "mine.png") as answer:
        assert answer.size == (33, 21)
    samples = collect(solver, fold.test, task, 2)
    (tmp_path / "shown").mkdir()
    shown = task.pictures(solver, fold, samples, tmp_path / "shown")
    assert shown == {"detections.png": typical(samples)}
    coloured = {**fold.test.columns, "image": np.repeat(fold.test.columns["image"][..., None], 3, 3)}
    tinted = Split(coloured, fold.test.ids, fold.test.units)
    task.pictures(solver, type(fold)(fold.name, fold.training, tinted), samples, tmp_path / "shown")
    with Image.open(tmp_path / "shown" / "detections.png") as picture:
        assert len(picture.getcolors()) > 20


def test_every_adapter_trains_the_head_beside_its_own() -> None:
    made = RunSpec.of(
        ["task=medseg", "method=lora", "scale=smoke", "model.channels=32", "model.embed_dims=[16,16,32,32]",
         "model.depths=[1,1,1,1]", "model.windows=[2,4,2]"]
    )  # fmt: skip
    task = load_task(made)
    network = task.network("litemedsam", made.settings("model"), SCHEMA)
    method = registry.entry("method", "lora").load(object)(rank=2)
    trained = {name for name, value in method.attached(network, None).named_parameters() if value.requires_grad}
    head = {name for name, _ in network.named_parameters() if name.startswith("head.")}
    assert head < trained
    assert all("parametrizations" in name for name in trained - head)
