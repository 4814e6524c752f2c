"""The task: loss, crops and mirrors, what networks and solvers see, files of the user's own, and published figures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks import registry
from benchmarks.datasets.open import open_bundle
from benchmarks.inference import answers, collect
from benchmarks.models.sparse_object.build import NETWORKS, SOLVERS
from benchmarks.solver import NetworkSolver, build
from benchmarks.sparse_object.crops import flipped, squares
from benchmarks.sparse_object.metrics import METRICS, pixel_counts, upstream_detections
from benchmarks.sparse_object.task import SparseObject, soft_iou_loss

SCHEMA = {"height": 20, "width": 20, "centre": 40.0, "spread": 50.0, "crop": 0}
TINY = {"stages": 2, "channels": 4, "sparse_depth": 1, "merge_depth": 1}


def batch_of(images: int = 3, size: int = 20) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    image = torch.randint(256, (images, size, size), generator=generator, dtype=torch.uint8)
    return {"image": image, "mask": image > 230}


def test_the_loss_is_soft_iou_of_each_image_and_the_reconstruction() -> None:
    task = SparseObject(flips=False, fidelity=0.5)
    network = task.network("rpcanet", TINY, SCHEMA).eval()
    batch = batch_of()
    image = (batch["image"].double() - 40) / 50
    with torch.no_grad():
        objects, reconstruction = network(image[:, None].float())
        loss = task.loss(network, batch).item()
    soft, mask = torch.sigmoid(objects[:, 0].double()).numpy(), batch["mask"].numpy()
    shared, total = (soft * mask).sum((1, 2)), soft.sum((1, 2)) + mask.sum((1, 2))
    expected = np.mean(1 - (shared + 1) / (total - shared + 1))
    expected += 0.5 * np.mean((reconstruction[:, 0].double() - image).numpy() ** 2)
    assert loss == pytest.approx(expected, rel=1e-5)


def test_an_image_without_objects_is_best_answered_by_silence() -> None:
    mask, silent = torch.zeros(1, 1, 5, 5), torch.full((1, 1, 5, 5), -50.0)
    assert soft_iou_loss(silent, mask).item() == pytest.approx(0, abs=1e-6)
    assert soft_iou_loss(-silent, mask).item() == pytest.approx(1 - 1 / 26, abs=1e-6)


def test_mirrors_move_images_and_masks_alike_and_take_all_eight_forms() -> None:
    torch.manual_seed(0)
    image = torch.arange(16.0).reshape(1, 1, 4, 4).repeat(200, 1, 1, 1)
    turned, mask = flipped(image, 2 * image)
    assert torch.equal(mask, 2 * turned)
    assert len({tuple(one.flatten().tolist()) for one in turned}) == 8
    wide, _ = flipped(image[:, :, :2], image[:, :, :2])
    assert len({tuple(one.flatten().tolist()) for one in wide}) == 4


def test_squares_lie_inside_and_half_of_them_hold_an_object() -> None:
    torch.manual_seed(0)
    image = torch.arange(40.0 * 30).reshape(1, 1, 40, 30).repeat(400, 1, 1, 1)
    mask = torch.zeros_like(image)
    mask[:, :, 39, 0] = 1
    seen, objects = squares(image, mask, 8)
    assert seen.shape == objects.shape == (400, 1, 8, 8)
    assert 0.4 < objects.any((1, 2, 3)).float().mean() < 0.6
    corner = seen[:, 0, 0, 0]
    assert ((corner % 30 <= 22) & (corner // 30 <= 32)).all()
    whole, _ = squares(image[:2, :, :8, :8], mask[:2, :, :8, :8], 8)
    assert torch.equal(whole, image[:2, :, :8, :8])


def test_training_sees_squares_and_prediction_whole_images() -> None:
    task = SparseObject()
    network = task.network("rpcanet_pp", TINY, {**SCHEMA, "crop": 12})
    sizes = []
    network.register_forward_pre_hook(lambda _, given: sizes.append(tuple(given[0].shape)))
    task.loss(network, batch_of()).backward()
    with torch.no_grad():
        assert task.predict(network.eval(), batch_of())["probability"].shape == (3, 20, 20)
    assert sizes == [(3, 1, 12, 12), (3, 1, 20, 20)]


@pytest.mark.parametrize("name", [*NETWORKS, *SOLVERS])
def test_everything_answers_probabilities_of_any_size(name: str) -> None:
    task = SparseObject()
    network = task.network(name, TINY if name == "rpcanet_pp" else {}, SCHEMA).eval()
    with torch.no_grad():
        soft = task.predict(network, {"image": batch_of()["image"][:, :17, :13]})["probability"]
    assert soft.shape == (3, 17, 13)
    assert soft.min() >= 0
    assert soft.max() <= 1


def test_the_models_of_the_task_are_its_networks() -> None:
    assert set(registry.models_for("sparse_object")) == set(NETWORKS)


def test_a_picture_of_ones_own_is_answered_by_one_of_its_size(tmp_path: Path) -> None:
    levels = np.random.default_rng(0).integers(0, 100, (21, 33)).astype(np.uint8)
    levels[8:10, 20:22] = 250
    Image.fromarray(levels).convert("RGB").save(tmp_path / "mine.png")
    task = SparseObject()
    solver = NetworkSolver(task, build(task, "tophat", {}, SCHEMA), SCHEMA)
    raw, split = task.read_input(tmp_path / "mine.png", SCHEMA)
    task.write_output(tmp_path / "out", raw, answers(solver, split, 8))
    found = np.array(Image.open(tmp_path / "out"))
    assert found.shape == (21, 33)
    assert found[8:10, 20:22].min() > 150


def published(card: str, model: str, rows: slice = slice(None)) -> dict[str, np.ndarray]:
    """Test samples as the published weights of a card answer them."""
    from benchmarks.datasets.cache import fetch
    from benchmarks.datasets.card import load_card

    described = load_card(card)
    name = described.published[model].file
    fold, task = open_bundle(card, progress=False).folds[0], SparseObject()
    network = build(task, model, {}, fold.training.schema)
    task.load_weights(network, fetch(described, files=[name], progress=False)[name])
    return collect(NetworkSolver(task, network, fold.training.schema), fold.test.take(rows), task, 1)


def test_published_weights_find_the_targets_of_three_images(mirror: Path) -> None:
    samples = published("sirst", "rpcanet", slice(0, 3))
    counts = pixel_counts(samples["probability"] > 0.5, samples["mask"])
    assert samples["id"].tolist() == ["Misc_70", "Misc_214", samples["id"][2]]
    assert counts["tp"].sum() / (counts["tp"] + counts["fp"] + counts["fn"]).sum() > 0.6


@pytest.mark.slow
def test_published_weights_repeat_the_published_figures(mirror: Path) -> None:
    samples = published("sirst", "rpcanet")
    found = {metric.name: metric.statistic(samples).value(None) for metric in METRICS}
    counts = pixel_counts(upstream_detections(samples), samples["mask"])
    for kind, pixels in {"tp": 2655, "fp": 418, "fn": 700}.items():
        assert counts[kind].sum() == pytest.approx(pixels, abs=5)
    assert found["iou"] == pytest.approx(0.70406, abs=1e-3)
    assert found["niou"] == pytest.approx(0.69396, abs=2e-3)
    assert found["upstream_iou"] == pytest.approx(0.70368, abs=1e-3)
    assert found["upstream_pd"] == pytest.approx(100 * 104 / 109)
    assert found["upstream_fa"] == pytest.approx(7.42, abs=0.1)
    assert found["pd"] == pytest.approx(100 * 103 / 109)
    assert found["fa"] == pytest.approx(8.694, abs=0.6)


@pytest.mark.slow
def test_published_weights_repeat_the_figures_of_defects(mirror: Path) -> None:
    samples = published("neu_seg_sample", "rpcanet")
    found = {metric.name: metric.statistic(samples).value(None) for metric in METRICS}
    expected = {
        "iou": 0.74720,
        "precision": 0.82984,
        "recall": 0.88241,
        "f1": 0.85531,
        "mae": 0.04257,
        "upstream_s_measure": 0.84006,
    }
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, abs=2e-3), name
