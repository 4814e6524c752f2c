"""The click store: equal to a rendering in memory, built once, whole or not at all."""

from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from benchmarks.ctr.task import CTR
from benchmarks.datasets.readers import click_store, click_text, clicks
from benchmarks.errors import BenchmarkError

ROWS = {"train": 400, "valid": 60, "test": 50}
PARTS = {"train": "train.csv", "val": "valid.csv", "test": "test.csv"}
OPTIONS = {"label": "click", "user": "user", "item": "item", "min_count": 3}


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    random = np.random.default_rng(7)
    paths = {}
    for name, rows in ROWS.items():
        path = paths[f"{name}.csv"] = tmp_path / f"{name}.csv"
        columns = zip(
            random.integers(2, size=rows),
            random.zipf(1.6, rows) % 60,
            [f"{x:08x}" for x in random.zipf(1.4, rows) % 90],
            ["" if x < 0 else x for x in random.integers(-1, 4000, rows)],
            strict=True,
        )
        path.write_text("click,user,item,price\n" + "".join(",".join(map(str, row)) + "\n" for row in columns))
    return paths


def read(files: dict[str, Path], store: Path, **options):
    (fold,) = clicks.read(files, store, **OPTIONS | options)
    return fold, {"train": fold.training.train, "val": fold.training.val, "test": fold.test}


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as opened:
        return list(csv.DictReader(opened))


def test_the_store_equals_a_rendering_in_memory_bit_for_bit(files, tmp_path, monkeypatch):
    monkeypatch.setattr(click_text, "BLOCK", 512)
    fold, parts = read(files, tmp_path / "built" / "a")
    schema, fields = fold.training.schema, ["user", "item", "price"]
    train = rows_of(files["train.csv"])
    counts = {field: Counter(row[field] for row in train) for field in fields}
    vocabulary = {field: sorted(token for token, n in counts[field].items() if n >= 3) for field in fields}
    assert schema["fields"] == fields
    assert schema["vocabulary"] == vocabulary
    assert schema["cardinalities"] == [len(tokens) + 1 for tokens in vocabulary.values()]
    for part, name in PARTS.items():
        rows = rows_of(files[name])
        expected = np.array(
            [[vocabulary[f].index(row[f]) + 1 if row[f] in vocabulary[f] else 0 for f in fields] for row in rows],
            np.int32,
        )
        columns = parts[part].columns
        assert (columns["ids"].dtype, columns["label"].dtype) == (np.int32, np.float32)
        assert columns["ids"].tobytes() == expected.tobytes()
        assert columns["label"].tolist() == [float(row["click"]) for row in rows]
        assert parts[part].ids.tolist() == list(range(len(rows)))
        assert (expected == 0).any()
    for position, field in enumerate(fields):
        expected = np.bincount(parts["train"].columns["ids"][:, position], minlength=schema["cardinalities"][position])
        assert schema["counts"][field].tolist() == expected.tolist()


def test_a_token_that_is_frequent_in_test_and_rare_in_train_is_unknown(tmp_path):
    paths = {}
    for name, items in {"train": "aab" * 3 + "c", "valid": "ac", "test": "cccccccccd"}.items():
        paths[f"{name}.csv"] = tmp_path / f"{name}.csv"
        lines = [f"{place % 2},u,{item}\n" for place, item in enumerate(items)]
        paths[f"{name}.csv"].write_text("click,user,item\n" + "".join(lines))
    fold, parts = read(paths, tmp_path / "store", min_count=2)
    assert fold.training.schema["vocabulary"]["item"] == ["a", "b"]
    assert not parts["test"].columns["ids"][:, 1].any()
    assert parts["val"].columns["ids"][:, 1].tolist() == [1, 0]


def test_users_that_are_rare_in_train_stay_apart_as_units(files, tmp_path):
    _, parts = read(files, tmp_path / "store")
    users = [row["user"] for row in rows_of(files["test.csv"])]
    units = parts["test"].units
    assert units.dtype == np.int64
    assert len(set(zip(users, units.tolist(), strict=True))) == len(set(users)) == len(set(units.tolist()))
    known = parts["test"].columns["ids"][:, 0]
    assert np.array_equal(units[known > 0], known[known > 0])
    assert (units[known == 0] < 0).all()
    assert (known == 0).any()


def test_without_a_user_field_each_impression_is_a_unit(files, tmp_path):
    fold, parts = read(files, tmp_path / "store", user="")
    assert fold.training.schema["user_field"] is None
    assert parts["test"].units.tolist() == list(range(ROWS["test"]))


def test_batches_may_be_written_to_and_leave_the_files_as_they_are(files, tmp_path):
    _, parts = read(files, tmp_path / "store")
    before = (tmp_path / "store" / "train-ids.npy").read_bytes()
    batch = next(parts["train"].batches(16))
    assert batch["ids"].flags.writeable
    batch["ids"][:] = 9
    assert (tmp_path / "store" / "train-ids.npy").read_bytes() == before


def test_a_store_is_built_once(files, tmp_path, monkeypatch):
    read(files, tmp_path / "store")

    def refuse(*_, **__):
        raise AssertionError("built again")

    monkeypatch.setattr(click_store, "_build", refuse)
    assert len(read(files, tmp_path / "store")[1]["train"]) == ROWS["train"]
    with pytest.raises(AssertionError, match="built again"):
        read(files, tmp_path / "other")


def test_a_whole_store_is_read_where_nothing_can_be_written(files, tmp_path, monkeypatch):
    read(files, tmp_path / "store")

    def refuse(*_):
        raise AssertionError("a lock is written")

    monkeypatch.setattr(click_store, "locked", refuse)
    assert len(read(files, tmp_path / "store")[1]["train"]) == ROWS["train"]


@pytest.mark.parametrize("damage", ["cut", "changed", "missing", "manifest", "format", "key"])
def test_a_damaged_store_is_built_again(files, tmp_path, damage):
    store = tmp_path / "store"
    _, parts = read(files, store)
    expected, ids = parts["test"].columns["ids"].copy(), store / "test-ids.npy"
    if damage == "cut":
        ids.write_bytes(ids.read_bytes()[:-4])
    elif damage == "changed":
        ids.write_bytes(ids.read_bytes()[:-4] + b"\1\1\1\1")
    elif damage == "missing":
        ids.unlink()
    elif damage == "manifest":
        (store / "manifest.json").write_text("{")
    else:
        manifest = json.loads((store / "manifest.json").read_text())
        (store / "manifest.json").write_text(json.dumps(manifest | {damage: "other"}))
    _, parts = read(files, store)
    assert np.array_equal(parts["test"].columns["ids"], expected)


def test_what_a_killed_process_left_is_removed(files, tmp_path):
    (tmp_path / "store.partial").mkdir()
    (tmp_path / "store.partial" / "train-ids.npy").write_bytes(b"half")
    read(files, tmp_path / "store")
    assert not (tmp_path / "store.partial").exists()


def test_a_large_vocabulary_stays_in_the_store_and_is_found_from_the_schema(files, data_cache, monkeypatch, tmp_path):
    monkeypatch.setattr(click_store, "IN_SCHEMA", 10)
    fold, parts = read(files, data_cache / "toy" / ".built" / "abc", numeric="price")
    schema = {key: value for key, value in fold.training.schema.items() if key != "counts"}
    assert "vocabulary" not in schema
    assert schema["vocabulary_at"] == "toy/.built/abc"
    schema = json.loads(json.dumps(schema))  # as it comes back from solver.json
    _, split = CTR().read_input(files["test.csv"], schema)
    assert np.array_equal(split.columns["ids"], parts["test"].columns["ids"])
    (data_cache / "toy" / ".built" / "abc" / "vocabulary.arrow").unlink()
    with pytest.raises(BenchmarkError, match="Set BENCH_DATA to the cache"):
        CTR().read_input(files["test.csv"], schema)


def test_a_users_own_file_is_encoded_as_the_data_were(files, tmp_path):
    fold, parts = read(files, tmp_path / "store", numeric="price")
    schema = json.loads(json.dumps({key: v for key, v in fold.training.schema.items() if key != "counts"}))
    raw, split = CTR().read_input(files["test.csv"], schema)
    assert list(raw) == ["user", "item", "price"]
    assert np.array_equal(split.columns["ids"], parts["test"].columns["ids"])


def test_a_folder_that_cannot_be_written_is_named(files, tmp_path):
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(BenchmarkError, match="Set BENCH_DATA"):
        read(files, tmp_path / "taken" / "store")


def test_vocabularies_of_any_text_are_kept(tmp_path):
    words = {"a": pa.array(["", "ü", "x" * 5000], pa.large_string()), "b": pa.array([], pa.large_string())}
    click_store._write_vocabulary(tmp_path, words)
    assert {name: found.to_pylist() for name, found in click_store._read_vocabulary(tmp_path).items()} == {
        name: tokens.to_pylist() for name, tokens in words.items()
    }
