"""Temperatures: found where they are known, by an outside minimiser where they are not, and kept with a trained network."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar

from benchmarks.medseg.calibration import BOUNDS, fit_temperature, tempered
from benchmarks.medseg.metrics import METRICS
from benchmarks.medseg.task import MedSeg
from benchmarks.solver import NetworkSolver, build

BY_NAME = {metric.name: metric for metric in METRICS}


def drawn(temperature: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities [3, 80, 80] that are sure by the wrong factor, and objects."""
    random = np.random.default_rng(seed)
    logit = random.normal(-1, 2, (3, 80, 80))
    mask = random.random(logit.shape) < 1 / (1 + np.exp(-logit / temperature))
    return 1 / (1 + np.exp(-logit)), mask


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_temperature_that_pixels_were_drawn_at_is_found(temperature: float) -> None:
    probability, mask = drawn(temperature)
    found = fit_temperature(probability, mask)
    assert found == pytest.approx(temperature, rel=0.06)

    def entropy(candidate: float) -> float:
        soft = tempered(probability, np.full(3, candidate)).astype(np.float64)
        return float(-np.where(mask, np.log(soft), np.log(1 - soft)).mean())

    assert found == pytest.approx(minimize_scalar(entropy, bounds=(0.1, 10), method="bounded").x, rel=1e-3)


def test_pixels_outside_of_the_field_do_not_count_and_limits_hold() -> None:
    probability, mask = drawn(2.0)
    field = np.zeros(mask.shape, bool)
    assert fit_temperature(probability, mask, field) == 1.0
    field[:, :40] = True
    assert fit_temperature(probability, mask & field, field) == fit_temperature(probability[:, :40], mask[:, :40])
    assert fit_temperature(probability, probability > 0.5) == pytest.approx(BOUNDS[0])
    assert fit_temperature(probability, probability < 0.5) == pytest.approx(BOUNDS[1])


def test_a_temperature_mends_calibration_and_leaves_masks_at_one_half() -> None:
    probability, mask = drawn(3.0)
    samples = {"probability": probability.astype(np.float32), "mask": mask}
    cooled = {**samples, "temperature": np.full(3, fit_temperature(probability, mask))}
    names = ("ece", "tempered_ece", "rma_dice", "tempered_rma_dice")
    value = {name: BY_NAME[name].statistic(cooled).value(None) for name in names}
    assert value["tempered_ece"] < 0.1 * value["ece"]
    assert value["tempered_rma_dice"] > value["rma_dice"]
    unknown = BY_NAME["tempered_ece"].statistic(samples)
    assert np.isnan(unknown.value(None))
    assert unknown.reason == "no temperature was found on validation"
    assert np.array_equal(tempered(probability, cooled["temperature"]) > 0.5, probability > 0.5)


def test_the_temperature_is_kept_with_the_network(tmp_path: Path) -> None:
    task, schema = MedSeg(), {"height": 32, "width": 32, "crop": 0}
    torch.manual_seed(0)
    network = build(task, "small_unet", {"widths": [4, 8]}, schema)
    image = np.random.default_rng(0).integers(0, 255, (2, 32, 32), dtype=np.uint8)
    solver = NetworkSolver(task, network, schema)
    before = solver.predict({"image": image})
    assert before["temperature"].tolist() == [1, 1]
    task.calibrate(network, {**before, "mask": before["probability"] > np.median(before["probability"])})
    after = solver.predict({"image": image})
    assert after["temperature"][0] != 1
    assert np.array_equal(after["probability"], before["probability"])
    solver.save(tmp_path)
    again = NetworkSolver.load(task, tmp_path).predict({"image": image})
    assert np.array_equal(again["temperature"], after["temperature"])


def test_weights_without_a_temperature_have_none() -> None:
    network = build(MedSeg(), "small_unet", {"widths": [4, 8]}, {"height": 32, "width": 32, "crop": 0})
    state = {name: value for name, value in network.state_dict().items() if name != "temperature"}
    network.get_buffer("temperature").fill_(3.0)
    network.load_state_dict(state)
    assert network.get_buffer("temperature") == 1
