"""Tokens of click logs: number buckets, times, labels and counts, against plain Python."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest

from benchmarks.datasets.readers.click_text import Block
from benchmarks.datasets.readers.click_tokens import Recipe, TokenCounts, buckets, labels
from benchmarks.errors import BenchmarkError


def bucket(x: float) -> int:
    """A second rendering of the rule, number by number."""
    return math.floor(math.log(x) * math.log(x)) if x > 2 else int(x)


def tokens(recipe: Recipe, field: str, values: list[str]) -> list[str]:
    found, index = recipe.tokens(field, Block.of({field: values}, "own.csv"))
    return [found.to_pylist()[place] for place in index]


def test_buckets_equal_a_plain_rendering():
    numbers = np.concatenate([np.arange(-5, 100_000), np.random.default_rng(0).uniform(-3, 1e9, 10_000)])
    assert buckets(numbers).tolist() == [bucket(x) for x in numbers.tolist()]
    assert buckets(np.array([2, 2.5, 3, 100])).tolist() == [2, 0, 1, 21]


def test_numbers_become_buckets_and_a_missing_one_is_a_token_of_its_own():
    recipe = Recipe(("I1",), numeric=("I1",))
    assert tokens(recipe, "I1", ["3", "", "100", "07", "7.0", "-1", "0", " ", "1"]) == [
        "1", "", "21", "3", "3", "-1", "0", "", "1"]  # fmt: skip


def test_a_missing_number_may_count_as_another():
    assert tokens(Recipe(("I1",), numeric=("I1",), missing="0"), "I1", ["", "0", "5"]) == ["0", "0", "2"]


@pytest.mark.parametrize("wrong", ["many", "nan", "inf", "1,5"])
def test_what_is_no_number_is_named_with_its_row_and_column(wrong):
    with pytest.raises(BenchmarkError, match=rf"own\.csv, row 3: column 'I1' holds '{wrong}'.*numeric"):
        tokens(Recipe(("I1",), numeric=("I1",)), "I1", ["1", "", wrong, "2", wrong])


@pytest.mark.parametrize(
    ("time", "expected"),
    [
        ("14102100", ("0", "2", "0")),  # a Tuesday
        ("14102523", ("23", "6", "1")),  # a Saturday
        ("14102609", ("9", "0", "1")),  # a Sunday
    ],
)
def test_a_time_becomes_hour_weekday_and_weekend(time, expected):
    recipe = Recipe(("C1", "hour", "weekday", "weekend"), calendar="hour")
    assert recipe.columns == ["C1", "hour"]
    block = Block.of({"C1": ["a"], "hour": [time]})
    assert tuple(recipe.tokens(field, block)[0].to_pylist()[0] for field in recipe.fields[1:]) == expected


@pytest.mark.parametrize("wrong", ["", "2014-10-21", "14132100", "1410210"])
def test_what_is_no_time_is_named_with_its_row(wrong):
    with pytest.raises(BenchmarkError, match=r"own\.csv, row 2: column 'hour' holds .*YYMMDDHH"):
        tokens(Recipe(("hour", "weekday", "weekend"), calendar="hour"), "hour", ["14102100", wrong])


def test_labels_are_zero_and_one_however_spelled():
    found = labels(Block.of({"click": ["0", "1", "1.0", "0.0"]}), "click")
    assert found.dtype == np.float32
    assert found.tolist() == [0, 1, 1, 0]


@pytest.mark.parametrize("wrong", ["2", "-1", "", "yes", "0.5"])
def test_other_labels_are_named_with_their_row(wrong):
    with pytest.raises(BenchmarkError, match=rf"own\.csv, row 3: column 'click' holds '{wrong}'\. A label is 0 or 1"):
        labels(Block.of({"click": ["0", "1", wrong]}, "own.csv"), "click")


def test_counts_over_many_blocks_are_those_of_a_plain_counter(monkeypatch):
    monkeypatch.setattr(TokenCounts, "LEAST", 50)
    random, counted, expected = np.random.default_rng(0), TokenCounts(), Counter()
    for _ in range(30):
        values = [f"{x:x}" for x in random.zipf(1.3, 200) % 5000]
        expected.update(values)
        counted.add(*Block.of({"C1": values}).distinct("C1"))
    for least in (1, 2, 10):
        found, counts = counted.kept(least)
        assert found.to_pylist() == sorted(token for token, n in expected.items() if n >= least)
        assert counts.tolist() == [expected[token] for token in found.to_pylist()]
