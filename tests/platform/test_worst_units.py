"""The worst units of a test set by the primary metric, each on its own samples."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from benchmarks import worst_units as module
from benchmarks.ctr.metrics import METRICS, auc, calibration
from benchmarks.metric import Metric, mean_of
from benchmarks.sparse_object.metrics import METRICS as OBJECTS
from benchmarks.worst_units import MOST, worst_units

ERROR = Metric("error", 1, "m", "min", "mean_of_samples", lambda samples: mean_of(samples["error"]), "Mean error")


def clicks(seed: int = 0, users: int = 30) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    user = random.integers(0, users, 40 * users)
    label = (random.random(len(user)) < 0.3).astype(np.float32)
    label[user == 3] = 0
    prediction = np.clip(0.3 + 0.2 * label + random.normal(0, 0.2, len(user)), 0.01, 0.99)
    return {"unit": user, "id": np.arange(len(user)), "label": label, "prediction": prediction}


def test_the_worst_units_of_a_mean_are_those_with_the_largest_means_of_their_own_samples() -> None:
    random = np.random.default_rng(0)
    unit = random.integers(0, 50, 400)
    samples = {"unit": unit, "id": np.arange(400), "error": random.random(400)}
    found = worst_units(ERROR, samples, "people")
    means = {str(name): samples["error"][unit == name].mean() for name in np.unique(unit)}
    expected = sorted(means, key=lambda name: -means[name])[:MOST]
    assert [each.name for each in found.worst] == expected
    assert [each.value for each in found.worst] == pytest.approx([means[name] for name in expected])
    assert found.middle == pytest.approx(np.median(list(means.values())))
    assert [each.samples for each in found.worst] == [int((unit == int(name)).sum()) for name in expected]
    assert (found.measured, found.undefined, found.single, found.reason) == (50, 0, False, None)


def test_a_rank_statistic_is_taken_within_each_unit_and_left_out_where_it_is_undefined() -> None:
    samples = clicks()
    found = worst_units(METRICS[0], samples, "users")
    own = {
        str(user): roc_auc_score(
            samples["label"][samples["unit"] == user], samples["prediction"][samples["unit"] == user]
        )
        for user in range(30)
        if user != 3
    }
    assert [each.name for each in found.worst] == sorted(own, key=lambda name: own[name])[:MOST]
    assert [each.value for each in found.worst] == pytest.approx(sorted(own.values())[:MOST])
    assert (found.measured, found.undefined) == (29, 1)


def test_a_pooled_metric_is_pooled_over_each_unit() -> None:
    mask = np.zeros((3, 4, 4), dtype=bool)
    mask[:, :2] = True
    probability = np.zeros((3, 4, 4))
    probability[0, :2], probability[1, :1], probability[2, 2:] = 1, 1, 1
    names = np.array(["right", "half", "wrong"])
    found = worst_units(OBJECTS[0], {"unit": names, "id": names, "mask": mask, "probability": probability}, "images")
    assert [(each.name, each.value) for each in found.worst] == [("wrong", 0.0), ("half", 0.5), ("right", 1.0)]
    assert found.single


def test_of_equal_units_the_one_with_more_samples_is_worse_then_the_earlier_one() -> None:
    unit = np.array(["a", "b", "b", "c", "d", "d"])
    samples = {"unit": unit, "id": np.arange(6), "error": np.ones(6)}
    assert [each.name for each in worst_units(ERROR, samples, "people").worst] == ["b", "d", "a", "c"]


def test_a_unit_stands_once_under_each_condition() -> None:
    samples = {
        "unit": np.array([1, 1, 2, 2]), "id": np.arange(4), "condition": np.array(["dry", "wet", "dry", "wet"]),
        "error": np.array([1.0, 4.0, 3.0, 2.0]),
    }  # fmt: skip
    found = worst_units(ERROR, samples, "people").worst
    assert [(each.name, each.condition) for each in found] == [("1", "wet"), ("2", "dry"), ("2", "wet"), ("1", "dry")]


def test_a_metric_with_a_target_is_worst_far_from_it_on_either_side() -> None:
    samples = {
        "unit": np.array(["low", "right", "high"]), "id": np.arange(3), "label": np.ones(3),
        "prediction": np.array([0.2, 1.0, 1.5]),
    }  # fmt: skip
    aimed = Metric("calibration", 1, "", "target", "pooled", calibration, "Predicted over clicks", perfect=1.0)
    assert [each.name for each in worst_units(aimed, samples, "users").worst] == ["low", "high", "right"]
    aimless = Metric("calibration", 1, "", "target", "pooled", calibration, "Predicted over clicks")
    assert "not declared" in (worst_units(aimless, samples, "users").reason or "")


def test_a_metric_that_is_defined_on_no_unit_names_none_and_says_so() -> None:
    samples = {
        "unit": np.arange(6),
        "id": np.arange(6),
        "label": np.array([0, 1, 0, 1, 0, 1]),
        "prediction": np.ones(6),
    }
    found = worst_units(METRICS[0], samples, "users")
    assert (found.worst, found.middle, found.undefined) == ([], None, 6)
    assert found.reason == "auc is not defined on any of the 6 users alone"


def test_of_more_units_than_can_be_scored_one_by_one_none_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_UNITS", 29)
    calls = []

    def counted(samples):
        calls.append(len(samples["unit"]))
        return auc(samples)

    found = worst_units(Metric("auc", 1, "", "max", "rank_statistic", partial(counted), ""), clicks(), "users")
    assert (found.worst, calls) == ([], [])
    assert found.reason == "there are 30 users, and up to 29 are scored one by one"


@pytest.mark.parametrize("names", [np.array(["a", "b"]), np.array([7, 8])])
def test_nothing_depends_on_the_type_of_the_names(names: np.ndarray) -> None:
    found = worst_units(ERROR, {"unit": names, "id": names, "error": np.array([1.0, 2.0])}, "people")
    assert [each.name for each in found.worst] == [str(names[1]), str(names[0])]
    assert found.single
