"""Frappe_x1r: the published counts, and the official test file row for row."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.datasets.cache import fetch
from benchmarks.datasets.card import load_card
from benchmarks.datasets.open import open_bundle
from benchmarks.datasets.readers.click_fields import Vocabulary
from benchmarks.errors import BenchmarkError

CARDINALITIES = [957, 4082, 7, 7, 2, 3, 2, 9, 80, 233]


def test_counts_agree_with_the_reference(mirror):
    fold = open_bundle("frappe_x1r").folds[0]
    train, val, test, schema = fold.training.train, fold.training.val, fold.test, fold.training.schema
    assert [len(train), len(val), len(test)] == [202_027, 57_722, 28_860]
    assert int(train.columns["label"].sum()) == 67_604
    assert schema["cardinalities"] == CARDINALITIES
    assert sum(schema["cardinalities"]) == 5_382
    assert schema["oov"] is False
    assert sum(int((counts > 0).sum()) for counts in schema["counts"].values()) == 5_379
    for part in (train, val, test):
        assert part.columns["ids"].dtype == np.int32
        assert part.columns["ids"].flags.c_contiguous
        assert (part.columns["ids"] < CARDINALITIES).all()
        assert part.columns["label"].dtype == np.float32
        assert np.array_equal(part.units, part.columns["ids"][:, 0])
        assert np.array_equal(part.ids, np.arange(len(part)))


def test_the_test_split_is_the_official_file(mirror):
    official = mirror / "frappe" / "frappe.test.libfm"
    if not official.is_file():
        pytest.skip("the mirror lacks frappe.test.libfm")
    lines = [line.split() for line in official.read_text().splitlines()]
    offsets = np.concatenate([[0], np.cumsum(CARDINALITIES)[:-1]])
    test = open_bundle("frappe_x1r").folds[0].test
    assert np.array_equal(
        test.columns["ids"] + offsets, [[int(x.partition(":")[0]) for x in line[1:]] for line in lines]
    )
    assert np.array_equal(test.columns["label"], [float(line[0]) > 0 for line in lines])


def test_an_id_without_a_table_row_is_refused(mirror):
    schema = open_bundle("frappe_x1r").folds[0].training.schema
    vocabulary = Vocabulary.of(schema)
    assert vocabulary.encode({name: ["0", "1"] for name in schema["fields"]}).tolist() == [[0] * 10, [1] * 10]
    with pytest.raises(BenchmarkError, match="Row 2 has user = '957'"):
        vocabulary.encode({name: ["0", "957" if name == "user" else "1"] for name in schema["fields"]})


def test_published_weights_are_an_optional_file(mirror, data_cache):
    card = load_card("frappe_x1r")
    name = card.published["deepfm"].file
    assert name not in fetch(card)
    with np.load(fetch(card, files=[name])[name]) as weights:
        assert weights["emb.weight"].shape == (5_382, 10)
