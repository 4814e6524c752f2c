"""Splits: batches in order, groups never cut, and the same number of batches for every process."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.datasets.bundle import Split, TrainingData, few
from benchmarks.errors import BenchmarkError

LENGTHS = (3, 1, 40, 2, 2, 7, 1, 5)


def grouped() -> Split:
    group = np.repeat(np.arange(10, 10 + len(LENGTHS)), LENGTHS)
    rows = np.arange(len(group))
    return Split({"x": rows * 1.0}, rows, rows, groups=group)


def test_batches_of_a_plain_split_keep_the_order_asked_for():
    split = Split({"x": np.arange(7)}, np.arange(7), np.arange(7))
    assert [list(batch["x"]) for batch in split.batches(3)] == [[0, 1, 2], [3, 4, 5], [6]]
    assert [list(batch["x"]) for batch in split.batches(2, np.array([4, 1, 6]))] == [[4, 1], [6]]
    assert set(next(split.batches(3))) == {"x"}


@pytest.mark.parametrize("size", [1, 4, 10, 30, 61, 1000])
def test_no_batch_cuts_a_group_and_none_is_lost(size: int):
    split = grouped()
    batches = list(split.batches(size))
    assert np.array_equal(np.concatenate([batch["x"] for batch in batches]), split.columns["x"])
    counts = np.concatenate([np.bincount(batch["group"]) for batch in batches])
    assert tuple(counts) == LENGTHS
    assert all(batch["group"][0] == 0 for batch in batches)


def test_groups_come_in_the_order_asked_for():
    order = np.array([7, 2, 0])
    rows = np.concatenate([batch["x"] for batch in grouped().batches(10, order)])
    starts = grouped().starts
    assert np.array_equal(rows, np.concatenate([np.arange(starts[part], starts[part + 1]) for part in order]))


@pytest.mark.parametrize("steps", [1, 2, 3, 5, 8])
def test_a_number_of_batches_is_kept_whatever_the_sizes_of_groups(steps: int):
    for seed in range(20):
        order = np.random.default_rng(seed).permutation(len(LENGTHS))
        batches = list(grouped().batches(4, order, steps))
        assert len(batches) == steps
        assert sum(len(batch["x"]) for batch in batches) == sum(LENGTHS)
        assert min(len(batch["x"]) for batch in batches) > 0


def test_samples_of_a_group_must_stand_together():
    with pytest.raises(ValueError, match="one after another"):
        Split({"x": np.arange(3)}, np.arange(3), np.arange(3), groups=np.array([0, 1, 0]))


def test_drawn_samples_make_one_group():
    batch = grouped().batch(np.array([50, 0, 3]))
    assert list(batch["group"]) == [0, 0, 0]
    assert list(batch["x"]) == [50, 0, 3]


def test_columns_of_another_length_are_refused():
    with pytest.raises(ValueError, match="conditions"):
        Split({"x": np.arange(3)}, np.arange(3), np.arange(3), conditions=np.array(["a"]))


def test_whole_groups_are_numbered_anew_and_may_come_twice():
    batch = grouped().whole(np.array([5, 0, 5]))
    assert np.bincount(batch["group"]).tolist() == [7, 3, 7]
    assert np.array_equal(batch["x"][:7], batch["x"][10:])


def test_few_samples_are_drawn_by_the_seed_and_validation_stays():
    rows = np.arange(50)
    data = TrainingData(Split({"x": rows}, rows, rows), Split({"x": rows[:5]}, rows[:5], rows[:5]), {"y": 1})
    first, again, other = (few(data, 8, seed) for seed in (0, 0, 1))
    assert len(set(first.train.columns["x"])) == 8
    assert list(first.train.ids) == list(again.train.ids) != list(other.train.ids)
    assert (first.val, first.schema) == (data.val, data.schema)
    assert few(data, None, 0) is data
    with pytest.raises(BenchmarkError, match="shots=51 is more than the 50"):
        few(data, 51, 0)


def test_few_groups_are_drawn_whole():
    split = grouped()
    drawn = few(TrainingData(split, split, {}), 3, 0).train
    assert drawn.parts == 3
    for group in np.unique(drawn.groups):
        assert np.sum(drawn.groups == group) == np.sum(split.groups == group)
