"""Several classes without overlap: means over classes, decisions, losses and temperatures by brute force, and whole networks."""

from __future__ import annotations

import inspect
import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.optimize import minimize_scalar
from torch.nn.functional import cross_entropy

from benchmarks.datasets.bundle import Fold, Split, TrainingData
from benchmarks.datasets.card import load_card
from benchmarks.inference import collect
from benchmarks.medseg.calibration import fit_temperature, tempered
from benchmarks.medseg.classes import most_probable
from benchmarks.medseg.decision import TARGETS, exclusive_decision, rank_decision
from benchmarks.medseg.losses import dice_loss, focal_loss, with_background
from benchmarks.medseg.metrics import METRICS
from benchmarks.medseg.surfaces import hausdorff95
from benchmarks.medseg.task import MedSeg
from benchmarks.models.medseg.build import NETWORKS
from benchmarks.solver import NetworkSolver, build

BY_NAME = {metric.name: metric for metric in METRICS}
TINY = {
    "litemedsam": {"embed_dims": [16, 16, 32, 32], "depths": [1, 1, 1, 1], "windows": [2, 4, 2], "channels": 32},
    "sam": {"image_size": 64, "channels": 32, "embed_dim": 32, "depth": 1, "num_heads": 2, "window_size": 4},
    "small_unet": {"widths": [4, 8]},
}


def drawn(classes: int, shape: tuple[int, ...], seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities [n, k, h, w] of classes beside a background, and numbers [n, h, w] that are drawn by them."""
    random = np.random.default_rng(seed)
    every = random.dirichlet(np.full(classes + 1, 0.4), shape)
    above = random.random((*shape, 1)) > every.cumsum(-1)
    return np.moveaxis(every[..., 1:], -1, 1), above.sum(-1).clip(0, classes).astype(np.uint8)


def numbers_of(masks: np.ndarray) -> np.ndarray:
    """The numbers [n, h, w] of masks [n, k, h, w] that must not overlap."""
    assert (masks.sum(1) <= 1).all()
    return np.where(masks.any(1), masks.argmax(1) + 1, 0)


def by_loops(probability: np.ndarray, target: str) -> np.ndarray:
    """The sorted form of the rule, contested pixels one by one: numbers [h, w] of an image [k, h, w]."""

    def score(top: float, count: int, total: float) -> float:
        below = (total + count + 1) / 2 if target == "dice" else total - top + count
        return top / below if count else 0.0

    p = probability.reshape(len(probability), -1)
    claims = np.zeros(p.shape, bool)
    for soft, claimed in zip(p, claims, strict=True):
        if soft.max() > 0.5:
            order = np.argsort(-soft)
            scores = [score(soft[order[:count]].sum(), count, soft.sum()) for count in range(1, len(soft) + 1)]
            claimed[order[: int(np.argmax(scores)) + 1]] = True
    alone = claims & (claims.sum(0) == 1)
    answer = np.where(alone.any(0), alone.argmax(0) + 1, 0)
    for pixel in np.flatnonzero(claims.sum(0) > 1):
        gains = []
        for soft, mine, claimed in zip(p, alone, claims, strict=True):
            kept, count, total = soft[mine].sum(), int(mine.sum()), soft.sum()
            more = score(kept + soft[pixel], count + 1, total) - score(kept, count, total)
            gains.append(more if claimed[pixel] else -np.inf)
        answer[pixel] = int(np.argmax(gains)) + 1
    return answer.reshape(probability.shape[1:])


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("classes", [2, 3])
def test_contested_pixels_go_where_they_gain_most_and_nothing_overlaps(target: str, classes: int) -> None:
    soft, _ = drawn(classes, (6, 9, 11))
    claims = sum(rank_decision(soft[:, number], target).astype(int) for number in range(classes))
    assert (claims > 1).sum() > 30
    found = numbers_of(exclusive_decision(soft, target, bins=1 << 20))
    assert np.array_equal(found, [by_loops(image, target) for image in soft])


@pytest.mark.parametrize("target", TARGETS)
def test_the_decision_is_that_of_the_package(target: str) -> None:
    rankseg = pytest.importorskip("rankseg.functional", reason="the package rankseg, an oracle alone, is not installed")
    soft, _ = drawn(3, (5, 20, 24), seed=1)
    theirs = rankseg.rankseg_rma(
        torch.from_numpy(soft), metric=target, output_mode="multiclass", unassigned_policy="void"
    ).numpy()
    assert np.array_equal(
        numbers_of(exclusive_decision(soft, target, bins=1 << 20)), np.where(theirs == 255, 0, theirs + 1)
    )


@pytest.mark.parametrize("target", TARGETS)
def test_small_images_are_answered_nearly_as_well_as_by_the_best_of_all_answers(target: str) -> None:
    """Of four pixels and two classes, 81 answers against 81 truths: the mean over classes, of which absent ones count 1."""
    every = np.array(list(itertools.product(range(3), repeat=4)))
    one_hot = (every[:, None] == np.array([1, 2])[:, None]).astype(float)  # [81, 2, 4]
    shared = np.einsum("akp,tkp->atk", one_hot, one_hot)
    sizes = one_hot.sum(-1)[:, None] + one_hot.sum(-1)[None]
    above, below = (2 * shared, sizes) if target == "dice" else (shared, sizes - shared)
    worth = np.where(below > 0, above / np.maximum(below, 1), 1.0).mean(-1)
    random, gaps = np.random.default_rng(0), []
    for _ in range(40):
        p = random.dirichlet((0.4, 0.4, 0.4), 4)
        p[0], p[1] = (0.1, 0.85, 0.05), (0.1, 0.05, 0.85)
        chance = np.prod(p[np.arange(4), every], 1)
        mine = numbers_of(exclusive_decision(p[:, 1:].T.reshape(1, 2, 1, 4), target))[0, 0]
        place = int(np.flatnonzero((every == mine).all(1))[0])
        gaps.append((worth @ chance).max() - (worth @ chance)[place])
    assert np.max(gaps) < 0.04
    assert np.mean(gaps) < 0.006
    assert np.sum(np.array(gaps) < 1e-12) >= 25


def test_measures_are_means_over_the_classes_that_are_there() -> None:
    mask = np.zeros((3, 20, 20), np.uint8)
    mask[0, 2:8, 2:8], mask[0, 10:16, 10:16] = 1, 3
    soft = np.zeros((3, 3, 20, 20))
    soft[0, 0, 2:8, 2:5] = 0.9  # half of the first class, nothing of the third, one wrong pixel of the second
    soft[0, 1, 0, 0] = 0.8
    soft[2, 2, 4, 4] = 0.7  # of nothing there
    samples = {"probability": soft.astype(np.float32), "mask": mask}
    values = {name: BY_NAME[name].statistic(samples).value(None) for name in ("dice", "iou", "hd95", "empty")}
    assert values["dice"] == pytest.approx(((2 * 18 / (18 + 36) + 0 + 0) / 3 + 1 + 0) / 3)
    assert values["iou"] == pytest.approx(((18 / 36 + 0 + 0) / 3 + 1 + 0) / 3)
    diagonal, first = np.hypot(20, 20), hausdorff95(soft[0, 0] > 0.5, mask[0] == 1)
    assert values["hd95"] == pytest.approx(((first + 2 * diagonal) / 3 + 0 + diagonal) / 3)
    assert values["empty"] == 3
    truth = (mask[:, None] == np.arange(1, 4)[:, None, None]).astype(np.float32)
    for metric in METRICS:
        if not metric.name.startswith("tempered"):
            assert metric.statistic({"probability": truth, "mask": mask}).value(None) == metric.perfect


def test_the_likeliest_class_is_marked_where_it_beats_the_background() -> None:
    soft = np.array([[0.3, 0.4, 0.5, 0.2], [0.3, 0.3, 0.5, 0.2]]).reshape(1, 2, 1, 4)
    assert numbers_of(most_probable(soft))[0, 0].tolist() == [0, 1, 1, 0]


def test_a_class_that_is_alone_is_measured_as_one_class_is() -> None:
    soft, mask = drawn(1, (4, 12, 14))
    beside = {
        "field": np.random.default_rng(1).random(mask.shape) < 0.8,
        "temperature": np.full(4, 1.7),
    }
    for metric in METRICS:
        by_number = metric.statistic({"probability": soft, "mask": mask, **beside}).value(None)
        assert by_number == metric.statistic({"probability": soft[:, 0], "mask": mask > 0, **beside}).value(None)


@pytest.mark.parametrize("temperature", [0.6, 2.5])
def test_the_temperature_of_several_classes_is_found(temperature: float) -> None:
    soft, mask = drawn(3, (3, 60, 60))
    sharp = tempered(soft, np.full(3, 1 / temperature))
    found = fit_temperature(sharp, mask)
    assert found == pytest.approx(temperature, rel=0.08)

    def entropy(candidate: float) -> float:
        p = tempered(sharp, np.full(3, candidate)).astype(np.float64)
        every = np.concatenate((1 - p.sum(1, keepdims=True), p), 1).clip(1e-6)
        return float(-np.log(np.take_along_axis(every, mask[:, None].astype(int), 1)).mean())

    assert found == pytest.approx(minimize_scalar(entropy, bounds=(0.1, 10), method="bounded").x, rel=0.01)
    assert tempered(sharp, np.full(3, found)).sum(1).max() <= 1 + 1e-6


def test_the_loss_is_cross_entropy_beside_a_background_and_the_mean_dice() -> None:
    random = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 3, 5, 6, generator=random, dtype=torch.float64)
    number = torch.randint(4, (2, 5, 6), generator=random)
    mask = (number[:, None] == torch.arange(1, 4)[:, None, None]).double()
    beside = torch.cat((torch.zeros(2, 1, 5, 6, dtype=torch.float64), logits), 1)
    assert focal_loss(logits, mask, 0.0, None).item() == pytest.approx(cross_entropy(beside, number).item())
    p = torch.softmax(beside, 1)
    torch.testing.assert_close(with_background(logits), p)
    right = p.gather(1, number[:, None])[:, 0]
    weight = torch.where(number > 0, 0.75, 0.25)
    assert focal_loss(logits, mask, 2.0, 0.75).item() == pytest.approx(
        (-weight * (1 - right) ** 2 * right.log()).mean().item()
    )
    parts = [dice_loss(p[:, k : k + 1], (number == k)[:, None].double()) for k in (1, 2, 3)]
    assert dice_loss(p[:, 1:], mask).item() == pytest.approx(np.mean([float(part) for part in parts]))


@pytest.mark.parametrize("name", TINY)
def test_networks_answer_every_class_train_and_are_found_again(name: str, tmp_path: Path) -> None:
    task = MedSeg()
    schema = {"height": 40, "width": 36, "crop": 32, "shrink": 2, "colour": True, "classes": 3}
    torch.manual_seed(0)
    network = build(task, name, TINY[name], schema)
    generator = torch.Generator().manual_seed(0)
    image = torch.randint(256, (2, 40, 36, 3), generator=generator, dtype=torch.uint8)
    mask = torch.randint(4, (2, 40, 36), generator=generator, dtype=torch.uint8)
    task.loss(network, {"image": image, "mask": mask}).backward()
    solver = NetworkSolver(task, network, schema)
    answer = solver.predict({"image": image.numpy()})
    assert answer["probability"].shape == (2, 3, 40, 36)
    assert 0 < answer["probability"].sum(1).max() < 1
    solver.save(tmp_path)
    again = NetworkSolver.load(task, tmp_path).predict({"image": image.numpy()})
    assert np.array_equal(again["probability"], answer["probability"])
    task.write_output(tmp_path / "mine.png", None, answer)
    with Image.open(tmp_path / "mine.png") as shown:
        assert np.array_equal(np.asarray(shown), numbers_of(most_probable(answer["probability"]))[0])


def test_prompts_of_classes_are_asked_apart() -> None:
    torch.manual_seed(0)
    network = MedSeg().network("sam", TINY["sam"], {"height": 32, "width": 32, "crop": 0, "classes": 2}).eval()
    with torch.no_grad():
        network.prompt[1] += torch.randn_like(network.prompt[1])
        image = torch.rand(2, 3, 32, 32)
        both = network(image)
        assert not torch.allclose(both[:, 0], both[:, 1], atol=1e-3)
        network.prompt.data = network.prompt.data[1:]
        torch.testing.assert_close(network(image), both[:, 1:], atol=1e-5, rtol=1e-5)


def test_every_network_takes_classes_and_floors_answer_with_the_first_or_none() -> None:
    assert all("classes" in inspect.signature(network).parameters for network in NETWORKS.values())
    task, schema = MedSeg(), {"height": 8, "width": 8, "crop": 0, "classes": 2}
    for foreground, number in ((True, 1), (False, 0)):
        solver = NetworkSolver(task, build(task, "constant", {"foreground": foreground}, schema), schema)
        soft = solver.predict({"image": np.zeros((1, 8, 8), np.uint8)})["probability"]
        assert (numbers_of(most_probable(soft)) == number).all()


def test_classes_that_were_trained_on_are_told_apart_and_drawn(tmp_path: Path) -> None:
    """Bright squares are of one class, dark ones of another; a hundred steps of a small network from its start."""
    random = np.random.default_rng(0)
    image, mask = np.full((6, 32, 32), 128, np.uint8), np.zeros((6, 32, 32), np.uint8)
    for picture, numbers in zip(image, mask, strict=True):
        for number, level in ((1, 240), (2, 20)):
            row, column = random.integers(0, 8) + 16 * (number - 1), random.integers(0, 24)
            where = (slice(row, row + 8), slice(column, column + 8))
            picture[where], numbers[where] = level, number
    split = Split({"image": image, "mask": mask}, np.arange(6), np.arange(6))
    task, schema = MedSeg(), {"height": 32, "width": 32, "crop": 0, "classes": 2}
    torch.manual_seed(0)
    network = build(task, "small_unet", TINY["small_unet"], schema)
    optimizer = torch.optim.AdamW(network.parameters(), 1e-2)
    for _ in range(100):
        optimizer.zero_grad()
        task.loss(network, {"image": torch.from_numpy(image), "mask": torch.from_numpy(mask)}).backward()
        optimizer.step()
    solver = NetworkSolver(task, network, schema)
    samples = collect(solver, split, task, 3)
    assert BY_NAME["dice"].statistic(samples).value(None) > 0.9
    assert BY_NAME["rma_dice"].statistic(samples).value(None) > 0.8
    task.calibrate(network, samples)
    fold = Fold("all", TrainingData(split, split, schema), split)
    assert task.pictures(solver, fold, samples, tmp_path)["detections.png"]


def test_the_card_that_has_classes_keeps_its_fingerprint_with_one() -> None:
    card, found = load_card("arcade"), {"arcade.zip": "0" * 64}
    assert card.fingerprint({}, found) == card.fingerprint({"classes": 1}, found)
    assert card.fingerprint({}, found) != card.fingerprint({"classes": 25}, found)
