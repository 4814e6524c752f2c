"""The task: loss, crops and mirrors, what networks and solvers see, files of the user's own, and published figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks import registry
from benchmarks.datasets.bundle import Split
from benchmarks.datasets.open import open_bundle
from benchmarks.errors import BenchmarkError
from benchmarks.inference import answers, collect
from benchmarks.models.sparse_object.build import NETWORKS, SOLVERS
from benchmarks.segmentation.crops import flipped, squares
from benchmarks.segmentation.pixels import pixel_counts
from benchmarks.solver import NetworkSolver, build
from benchmarks.sparse_object.metrics import METRICS, upstream_detections
from benchmarks.sparse_object.task import SparseObject, soft_iou_loss
from benchmarks.spec import RunSpec

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


def test_the_loss_has_the_cross_entropy_of_all_pixels_where_it_is_asked_for() -> None:
    batch, losses = batch_of(), {}
    for weight in (0.0, 1.0, 3.0):
        task = SparseObject(flips=False, bce=weight)
        torch.manual_seed(0)
        network = task.network("rpcanet", TINY, SCHEMA).eval()
        with torch.no_grad():
            losses[weight] = task.loss(network, batch).item()
            logits = network((batch["image"][:, None].float() - 40) / 50)[0][:, 0].double().numpy()
    mask = batch["mask"].numpy()
    entropy = np.mean(np.logaddexp(0, np.where(mask, -logits, logits)))
    assert losses[1.0] - losses[0.0] == pytest.approx(entropy, rel=1e-4)
    assert losses[3.0] - losses[0.0] == pytest.approx(3 * entropy, rel=1e-4)


def test_an_image_without_objects_is_best_answered_by_silence() -> None:
    mask, silent = torch.zeros(1, 1, 5, 5), torch.full((1, 1, 5, 5), -50.0)
    assert soft_iou_loss(silent, mask).item() == pytest.approx(0, abs=1e-6)
    assert soft_iou_loss(-silent, mask).item() == pytest.approx(1 - 1 / 26, abs=1e-6)


def test_a_sure_false_alarm_has_a_gradient_in_bfloat16_too() -> None:
    logits = torch.full((1, 1, 5, 5), 7.0, dtype=torch.bfloat16, requires_grad=True)
    soft_iou_loss(logits, torch.zeros(1, 1, 5, 5)).backward()
    assert (logits.grad > 0).all()


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
    assert squares(image, mask, 8, 1.0)[1].any((1, 2, 3)).all()
    assert squares(image, mask, 8, 0.0)[1].any((1, 2, 3)).float().mean() < 0.05
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


def test_the_side_of_squares_is_the_tasks_where_it_names_one_and_never_larger_than_an_image() -> None:
    for crop, expected in ((0, 12), (9, 9)):
        assert SparseObject(crop=crop).network("rpcanet", TINY, {**SCHEMA, "crop": 12}).crop == expected
    with pytest.raises(BenchmarkError, match=r"task\.crop=21 is larger than the images, 20 x 20"):
        SparseObject(crop=21).network("rpcanet", TINY, SCHEMA)
    with pytest.raises(BenchmarkError, match=r"positives=1\.5"):
        SparseObject(positives=1.5)


def test_whole_images_get_zeros_to_a_multiple_and_answers_of_their_own_size() -> None:
    task, batch = SparseObject(), {"image": batch_of()["image"][:, :17, :13]}
    plain, around = (task.network("rpcanet", TINY, {**SCHEMA, "multiple": multiple}).eval() for multiple in (1, 32))
    around.load_state_dict(plain.state_dict())
    seen = []
    around.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    with torch.no_grad():
        found, own = (task.predict(network, batch)["probability"] for network in (around, plain))
        by_hand = plain.answer(torch.nn.functional.pad((batch["image"][:, None].float() - 40) / 50, (0, 19, 0, 15)))
    assert seen[0].shape == (3, 1, 32, 32)
    assert found.shape == own.shape == (3, 17, 13)
    torch.testing.assert_close(found, by_hand["probability"][:, :17, :13])
    assert task.network("tophat", {}, {**SCHEMA, "multiple": 32}).multiple == 1


def test_no_solver_sees_the_field_of_view_and_every_sample_keeps_it() -> None:
    task, batch = SparseObject(), {name: column.numpy() for name, column in batch_of().items()}
    field = np.ones(batch["mask"].shape, bool)
    field[:, :, 10:] = False
    solver = NetworkSolver(task, build(task, "tophat", {}, SCHEMA), SCHEMA)
    asked: list[set[str]] = []
    real = solver.predict
    solver.predict = lambda batch: asked.append(set(batch)) or real(batch)  # type: ignore[method-assign]
    samples = collect(solver, Split({**batch, "field": field}, np.arange(3), np.arange(3)), task, 2)
    assert asked == [{"image"}, {"image"}]
    assert np.array_equal(samples["field"], field)
    whole = {metric.name: metric.statistic(samples).value(None) for metric in METRICS}
    del samples["field"]
    assert whole["fp_px"] < {metric.name: metric.statistic(samples).value(None) for metric in METRICS}["fp_px"]


def test_the_official_constants_come_with_their_protocol_unless_typed() -> None:
    words = ["task=sparse_object", "data=chase_db1", "method=tophat"]
    assert RunSpec.of(words).data_options["constants"] == "train"
    official = RunSpec.of([*words, "protocol=upstream"])
    assert (official.data_options["constants"], official.config["data"]["multiple"]) == ("upstream", 32)
    assert official.data_fingerprint != RunSpec.of(words).data_fingerprint
    typed = RunSpec.of([*words, "protocol=upstream", "data.constants=train"])
    assert (typed.data_options["constants"], typed.data_options["multiple"]) == ("train", 32)


@pytest.mark.parametrize("name", [*NETWORKS, *SOLVERS])
def test_everything_answers_probabilities_of_any_size(name: str) -> None:
    if name == "unet":
        pytest.importorskip("segmentation_models_pytorch", reason="the extra `unet` is not installed")
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


def published(
    card: str,
    model: str,
    rows: slice | np.ndarray = slice(None),
    options: dict[str, Any] | None = None,
    weights: str = "",
) -> dict[str, np.ndarray]:
    """Test samples as the published weights of a card, its own or another, answer them."""
    from benchmarks.datasets.cache import fetch
    from benchmarks.datasets.card import load_card

    described = load_card(weights or card)
    name = described.published[model].file
    fold, task = open_bundle(card, options, progress=False).folds[0], SparseObject()
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


@pytest.mark.slow
def test_weights_of_another_data_set_find_a_third_of_the_pixels(mirror: Path) -> None:
    samples = published("sirst", "rpcanet", weights="nudt_sirst")
    found = {metric.name: metric.statistic(samples).value(None) for metric in METRICS}
    counts = pixel_counts(upstream_detections(samples), samples["mask"])
    for kind, pixels in {"tp": 1025, "fp": 379, "fn": 2330}.items():
        assert counts[kind].sum() == pytest.approx(pixels, abs=5)
    assert found["iou"] == pytest.approx(0.2763, abs=1e-3)
    assert found["pd"] == pytest.approx(100 * 67 / 109)


@pytest.mark.slow
def test_published_weights_repeat_the_figures_of_vessels(mirror: Path) -> None:
    """Of four test images, as the official code gives them: its constants, zeros to a multiple of 32, means of images."""
    rows = np.array([0, 2, 5, 7])
    samples = published("chase_db1", "rpcanet", rows, {"constants": "upstream", "multiple": 32})
    assert samples["id"].tolist() == ["11L", "12L", "13R", "14R"]
    found = {metric.name: metric.statistic(samples).value(None) for metric in METRICS}
    expected = {"acc": 0.9704, "sen": 0.7997, "spe": 0.7448, "auc": 0.9536, "f1": 0.7708, "iou": 0.6277}
    for name, value in expected.items():
        assert found[f"upstream_mean_{name}"] == pytest.approx(value, abs=1e-3), name
    assert found["specificity"] == pytest.approx(0.9818, abs=1e-3)
