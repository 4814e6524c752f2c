"""Metrics against scikit-learn and torchmetrics, and what tells the three readings of mIoU apart."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, balanced_accuracy_score, cohen_kappa_score, jaccard_score
from torchmetrics.classification import MulticlassJaccardIndex

from benchmarks.hyperspectral.metrics import METRICS, confusion
from benchmarks.leaderboard.statistics.bootstrap import expanded
from benchmarks.scoring import score

CLASSES = 5


def samples(seed: int = 0, tiles: int = 6, absent: bool = False) -> dict[str, np.ndarray]:
    """Tiles of 7 x 9 pixels of which a fifth does not count; with `absent`, class 4 is answered and never there."""
    random = np.random.default_rng(seed)
    label = random.integers(0, CLASSES - absent, (tiles, 7, 9)).astype(np.uint8)
    answer = np.where(random.random(label.shape) < 0.6, label, random.integers(0, CLASSES, label.shape))
    label[random.random(label.shape) < 0.2] = 255
    names = np.array([f"t{number}" for number in range(tiles)])
    return {"id": names, "unit": names, "label": label, "prediction": answer.astype(np.float32),
            "classes": np.full(tiles, CLASSES)}  # fmt: skip


def values(given: dict[str, np.ndarray], weights: np.ndarray | None = None) -> dict[str, float]:
    return {metric.name: metric.statistic(given).value(weights) for metric in METRICS}


def pixels(given: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    counts = given["label"] != 255
    return given["label"][counts].astype(int), given["prediction"][counts].astype(int)


@pytest.mark.parametrize("absent", [False, True])
def test_values_are_those_of_other_libraries(absent: bool) -> None:
    given = samples(absent=absent)
    truth, answer = pixels(given)
    found = values(given)
    assert found["oa"] == pytest.approx(accuracy_score(truth, answer))
    assert found["kappa"] == pytest.approx(cohen_kappa_score(truth, answer))
    assert found["micro_iou"] == pytest.approx(jaccard_score(truth, answer, average="micro"))
    there = np.unique(truth)
    assert found["miou"] == pytest.approx(jaccard_score(truth, answer, labels=there, average="macro"))
    each = jaccard_score(truth, answer, labels=np.arange(CLASSES), average=None, zero_division=0)
    assert found["miou_all"] == pytest.approx(each.mean())
    with np.errstate(invalid="ignore"):
        recalls = [np.mean(answer[truth == name] == name) for name in there]
    assert found["aa"] == pytest.approx(np.mean(recalls))
    if not absent:
        assert found["aa"] == pytest.approx(balanced_accuracy_score(truth, answer))


def test_a_class_that_is_only_answered_counts_zero_in_torchmetrics_and_nothing_here() -> None:
    given = samples(absent=True)
    truth, answer = pixels(given)
    torchs = MulticlassJaccardIndex(CLASSES, average="macro")(torch.from_numpy(answer), torch.from_numpy(truth)).item()
    found = values(given)
    assert torchs == pytest.approx(found["miou"] * 4 / 5, rel=1e-5)
    assert found["miou_all"] == pytest.approx(torchs, rel=1e-5)
    micro = MulticlassJaccardIndex(CLASSES, average="micro")(torch.from_numpy(answer), torch.from_numpy(truth)).item()
    assert found["micro_iou"] == pytest.approx(micro, rel=1e-5)
    assert found["micro_iou"] == pytest.approx(found["oa"] / (2 - found["oa"]))


def test_a_class_that_is_nowhere_is_zero_in_the_upstream_reading_alone() -> None:
    given = samples()
    given["classes"] = np.full(len(given["id"]), CLASSES + 1)
    assert values(given)["miou"] == values(samples())["miou"]
    assert values(given)["miou_all"] == pytest.approx(values(samples())["miou_all"] * CLASSES / (CLASSES + 1))


def test_confusions_are_added_up_and_weights_repeat_tiles() -> None:
    given = samples()
    assert confusion(given).sum() == (given["label"] != 255).sum()
    weights = np.array([2, 0, 1, 0, 3, 0])
    rows = np.repeat(np.arange(6), weights)
    repeated = {name: column[rows] for name, column in given.items()}
    weighted, once = values(given, weights), values(repeated)
    assert {name: weighted[name] for name in once if name != "drop"} == pytest.approx(
        {name: value for name, value in once.items() if name != "drop"}
    )


def test_truth_is_perfect_and_one_class_has_no_kappa_beyond_chance() -> None:
    given = samples()
    given["prediction"] = np.where(given["label"] == 255, 0, given["label"]).astype(np.float32)
    assert {name: value for name, value in values(given).items() if name != "drop"} == {
        metric.name: 1.0 for metric in METRICS if metric.name != "drop"
    }
    given["prediction"] = np.ones_like(given["prediction"])
    assert values(given)["kappa"] == pytest.approx(0)
    given["label"] = np.full_like(given["label"], 255)
    assert all(np.isnan(value) for value in values(given).values())


def test_the_drop_is_against_the_bands_of_training_and_its_mean_leaves_them_out() -> None:
    parts = {name: samples(seed) for seed, name in enumerate(("id", "shifted", "all"))}
    for part in parts.values():
        part["label"] = parts["id"]["label"]
    whole = {name: np.concatenate([part[name] for part in parts.values()]) for name in parts["id"]}
    whole["condition"] = np.repeat(list(parts), 6)
    scored = score(METRICS, whole, "test", "tiles")
    rows = {(row.metric, row.condition): row for row in scored.quality}
    drops = [1 - rows["miou", name].value / rows["miou", "id"].value for name in ("shifted", "all")]
    assert [rows["drop", name].value for name in ("id", "shifted", "all")] == pytest.approx([0, *drops])
    assert rows["drop", None].value == pytest.approx(np.mean(drops))
    kept = scored.replicates
    low, high = rows["drop", "shifted"].ci_low, rows["drop", "shifted"].ci_high
    drawn = expanded(1 - kept["miou|shifted"] / kept["miou|id"], scored.n_units)
    assert [low, high] == pytest.approx(np.percentile(drawn, [2.5, 97.5]).tolist(), abs=0.01)
    alone = score(METRICS, parts["id"], "val", "tiles")
    missing = next(row for row in alone.quality if row.metric == "drop")
    assert missing.value is None
    assert "layout id" in str(missing.reason)
