"""MovieLens 100K: the published counts of both protocols, and nothing of test in what a method sees."""

from __future__ import annotations

import csv
import datetime
from pathlib import Path

import numpy as np
import pytest

from benchmarks.datasets.cache import fetch
from benchmarks.datasets.card import load_card
from benchmarks.datasets.readers import ml_100k
from benchmarks.datasets.readers.click_fields import Vocabulary, read_csv
from benchmarks.errors import BenchmarkError


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("BENCH_DATA", str(tmp_path_factory.mktemp("data")))
        try:
            return fetch(load_card("ml_100k"))
        except BenchmarkError as error:
            pytest.skip(f"the recbole wheel cannot be had: {error}")


@pytest.fixture(scope="module")
def folds(files):
    return {protocol: ml_100k.read(files, protocol=protocol)[0] for protocol in ("time", "random")}


def parts_of(fold):
    return {"train": fold.training.train, "val": fold.training.val, "test": fold.test}


@pytest.mark.parametrize(
    ("protocol", "rows", "positives", "item_rows", "table_rows", "oov"),
    [
        ("time", (80_808, 9_596, 9_596), (46_225, 4_619, 4_531), 1_618, 2_795, (33, 46)),
        ("random", (80_000, 10_000, 10_000), (44_299, 5_550, 5_526), 1_660, 2_837, (18, 8)),
    ],
)
def test_counts_agree_with_the_reference(folds, protocol, rows, positives, item_rows, table_rows, oov):
    fold, schema = folds[protocol], folds[protocol].training.schema
    parts = parts_of(fold)
    assert tuple(len(part) for part in parts.values()) == rows
    assert tuple(int(part.columns["label"].sum()) for part in parts.values()) == positives
    assert schema["cardinalities"] == [944, item_rows, 62, 3, 22, 20, 74, 19, 25, 8]
    assert sum(schema["cardinalities"]) == table_rows
    assert tuple(int((part.columns["ids"][:, 1] == 0).sum()) for part in (parts["val"], parts["test"])) == oov
    assert not (parts["train"].columns["ids"] == 0).any()


def test_every_user_is_in_each_split_by_time_and_one_genre_is_new_in_val(folds):
    parts = parts_of(folds["time"])
    assert {len(np.unique(part.units)) for part in parts.values()} == {943}
    assert int((parts["val"].columns["ids"][:, 7] == 0).sum()) == 1


@pytest.mark.parametrize("protocol", ["time", "random"])
def test_splits_partition_the_file_in_its_order(folds, protocol):
    ids = [part.ids for part in parts_of(folds[protocol]).values()]
    assert all((np.diff(rows) > 0).all() for rows in ids)
    assert np.array_equal(np.sort(np.concatenate(ids)), np.arange(100_000))


def test_the_time_split_equals_a_plain_sort_of_each_users_ratings(files, folds):
    by_user: dict[str, list[tuple[int, int]]] = {}
    with files["ml-100k.inter"].open() as opened:
        for row, rating in enumerate(csv.DictReader(opened, delimiter="\t")):
            by_user.setdefault(rating["user_id:token"], []).append((int(rating["timestamp:float"]), row))
    held_out: dict[str, set[int]] = {"val": set(), "test": set()}
    for ratings in by_user.values():
        order = [row for _, row in sorted(ratings)]
        tenth = max(1, len(order) // 10)
        held_out["test"].update(order[-tenth:])
        held_out["val"].update(order[-2 * tenth : -tenth])
    assert set(folds["time"].test.ids.tolist()) == held_out["test"]
    assert set(folds["time"].training.val.ids.tolist()) == held_out["val"]


def test_the_schema_decodes_a_row_to_its_film_user_and_time(folds):
    fold = folds["random"]
    schema = fold.training.schema
    rows = np.concatenate([part.ids for part in parts_of(fold).values()])
    ids = np.concatenate([part.columns["ids"] for part in parts_of(fold).values()])
    first = ids[np.flatnonzero(rows == 0)[0]]
    tokens = {
        name: schema["vocabulary"][name][number - 1] for name, number in zip(schema["fields"], first, strict=True)
    }
    when = datetime.datetime.fromtimestamp(881250949, datetime.UTC)
    assert tokens["user_id"] == "196"
    assert tokens["item_id"] == "242"
    assert tokens["release_year"] == "1996"
    assert tokens["genre1"] == "Comedy"
    assert (tokens["age"], tokens["gender"], tokens["occupation"], tokens["zip1"]) == ("49", "M", "writer", "5")
    assert (int(tokens["hour"]), int(tokens["weekday"])) == (when.hour, when.weekday())


@pytest.mark.parametrize("protocol", ["time", "random"])
def test_counts_of_ids_are_those_of_train(folds, protocol):
    training = folds[protocol].training
    for position, name in enumerate(training.schema["fields"]):
        counts = training.schema["counts"][name]
        assert counts.dtype == np.int64
        assert len(counts) == training.schema["cardinalities"][position]
        assert counts[0] == 0
        assert (counts[1:] > 0).all()
        assert counts.sum() == len(training.train)


def test_a_csv_of_a_persons_own_clicks_is_encoded_like_the_data(folds, tmp_path):
    schema = folds["time"].training.schema
    ids = folds["time"].training.train.columns["ids"][:3]
    header, numeric = schema["fields"], schema["numeric"]
    lines = [[schema["vocabulary"][name][i - 1] for name, i in zip(header, row, strict=True)] for row in ids]
    lines[0][header.index("hour")] += ".0"
    lines[1][header.index("item_id")] = "no such film"
    with (tmp_path / "own.csv").open("w", newline="") as out:
        csv.writer(out).writerows([header, *lines])
    encoded = Vocabulary.of(schema).encode(read_csv(tmp_path / "own.csv", header, numeric=numeric))
    expected = ids.copy()
    expected[1, header.index("item_id")] = 0
    assert np.array_equal(encoded, expected)


def small_files(folder: Path, ratings: list[list[object]]) -> dict[str, Path]:
    tables = {
        "ml-100k.inter": [["user_id:token", "item_id:token", "rating:float", "timestamp:float"], *ratings],
        "ml-100k.item": [
            ["item_id:token", "movie_title:token_seq", "release_year:token", "class:token_seq"],
            *([item, f"Film {item}", 1990 + item % 7, "Drama War" if item % 2 else "Comedy"] for item in range(60)),
        ],
        "ml-100k.user": [
            ["user_id:token", "age:token", "gender:token", "occupation:token", "zip_code:token"],
            *([user, 20 + user, "F", "writer", f"{user}0000"] for user in range(4)),
        ],
    }
    folder.mkdir()
    for name, rows in tables.items():
        (folder / name).write_text("".join("\t".join(map(str, row)) + "\n" for row in rows))
    return {name: folder / name for name in tables}


def assert_equal_training(one, other):
    for part in ("train", "val"):
        left, right = getattr(one.training, part), getattr(other.training, part)
        assert np.array_equal(left.ids, right.ids)
        assert all(np.array_equal(left.columns[name], right.columns[name]) for name in left.columns)
    for key, value in one.training.schema.items():
        np.testing.assert_equal(other.training.schema[key], value)


@pytest.fixture
def ratings():
    generator = np.random.default_rng(0)
    time = generator.permutation(4 * 30)
    return [
        [row % 4, int(generator.integers(50)), int(generator.integers(1, 6)), 900_000_000 + int(time[row])]
        for row in range(120)
    ]


@pytest.mark.parametrize("protocol", ["time", "random"])
def test_other_test_rows_change_nothing_that_a_method_sees(tmp_path, ratings, protocol):
    fold = ml_100k.read(small_files(tmp_path / "one", ratings), protocol=protocol)[0]
    for row in fold.test.ids:
        ratings[row][1], ratings[row][2] = 59, 6 - ratings[row][2]
    changed = ml_100k.read(small_files(tmp_path / "two", ratings), protocol=protocol)[0]
    assert_equal_training(fold, changed)
    assert (changed.test.columns["ids"][:, 1] == 0).all()


def test_the_order_of_test_rows_changes_nothing_that_a_method_sees(tmp_path, ratings):
    fold = ml_100k.read(small_files(tmp_path / "one", ratings))[0]
    shuffled = list(ratings)
    for old, new in zip(fold.test.ids, np.random.default_rng(1).permutation(fold.test.ids), strict=True):
        shuffled[new] = ratings[old]
    other = ml_100k.read(small_files(tmp_path / "two", shuffled))[0]
    assert_equal_training(fold, other)
    assert not np.array_equal(fold.test.columns["ids"], other.test.columns["ids"])


def test_an_unknown_protocol_is_answered_with_the_nearest(tmp_path, ratings):
    with pytest.raises(BenchmarkError, match="Did you mean 'random'"):
        ml_100k.read(small_files(tmp_path / "one", ratings), protocol="randm")
