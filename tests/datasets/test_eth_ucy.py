"""ETH/UCY: the published numbers of windows and pedestrians, the protocol's facts, and nothing of test in training."""

from __future__ import annotations

import json

import numpy as np
import pytest

from benchmarks.datasets.card import load_card
from benchmarks.datasets.open import open_bundle
from benchmarks.datasets.readers import eth_ucy
from benchmarks.errors import BenchmarkError

COUNTS = {
    "eth": ((2785, 29809), (660, 5349), (70, 181), 5, (253, 364)),
    "hotel": ((2594, 29152), (621, 5136), (301, 1053), 8, (445, 1197)),
    "univ": ((2076, 9231), (530, 2708), (947, 24334), 57, (947, 24334)),
    "zara1": ((2322, 28010), (605, 5118), (602, 2253), 14, (705, 2356)),
    "zara2": ((2112, 25507), (501, 4173), (921, 5833), 14, (998, 5910)),
}
"""Windows and samples of train, val and test, most pedestrians in a test window, and test with people who are alone."""


@pytest.fixture
def files(mirror):
    return {f"{name}.txt": mirror / "eth_ucy" / f"{name}.txt" for name in eth_ucy.LAST_TRAIN_FRAME}


def parts_of(fold):
    return (fold.training.train, fold.training.val, fold.test)


def counts(split):
    return len(np.unique(split.groups)), len(split)


def test_counts_are_the_published_ones(files):
    for fold, alone in zip(eth_ucy.read(files), eth_ucy.read(files, min_pedestrians=1), strict=True):
        *parts, most, with_one = COUNTS[fold.name]
        assert [counts(split) for split in parts_of(fold)] == parts
        assert np.diff(fold.test.starts).max() == most
        assert counts(alone.test) == with_one
        assert all(len(split.starts) - 1 == counts(split)[0] for split in parts_of(fold))


def test_the_card_opens_from_checked_files_with_the_facts_of_the_protocol(mirror):
    bundle = open_bundle("eth_ucy")
    protocol = json.loads((mirror / "eth_ucy" / "splits.json").read_text())
    assert [fold.name for fold in bundle.folds] == list(protocol["folds"])
    assert {name: facts["test"] for name, facts in protocol["folds"].items()} == eth_ucy.SCENES
    assert {name: cut["last_train_frame"] for name, cut in protocol["cuts"].items()} == eth_ucy.LAST_TRAIN_FRAME
    for fold in bundle.folds:
        assert fold.training.schema == {
            "obs_len": protocol["obs_len"],
            "pred_len": protocol["pred_len"],
            "step_seconds": protocol["time_step_s"],
            "scene": fold.name,
            "static_distance": protocol["static_dist"][fold.name],
        }
        assert set(fold.test.conditions) == {fold.name}
    assert any("2.3 m/s" in note for note in bundle.notes)


def test_ids_units_and_windows_are_the_same_in_every_fold_and_tell_the_recording(files):
    paths = {}
    for fold in eth_ucy.read(files):
        for split in parts_of(fold):
            assert split.ids.dtype == split.units.dtype == split.groups.dtype == np.int64
            assert len(np.unique(split.ids)) == len(split)
            assert np.array_equal(split.ids >> 32, split.units >> 32)
            assert np.array_equal(split.ids >> 32, split.groups >> 32)
            assert all(
                (np.diff(split.units[a:b]) > 0).all() for a, b in zip(split.starts, split.starts[1:], strict=False)
            )
            for sample, obs in zip(split.ids.tolist(), split.columns["obs"], strict=True):
                assert np.array_equal(paths.setdefault(sample, obs), obs)
        train, val, test = (set(split.units.tolist()) for split in parts_of(fold))
        assert not test & (train | val)
        assert not set(fold.training.train.ids.tolist()) & set(fold.training.val.ids.tolist())
        assert {n for n, name in enumerate(files) if name[:-4] in eth_ucy.SCENES[fold.name]} == {u >> 32 for u in test}


def test_another_test_recording_changes_nothing_that_a_method_sees(files, tmp_path):
    (fold,) = eth_ucy.read(files, scene="zara1")
    rows = [row.split("\t") for row in files["crowds_zara01.txt"].read_text().splitlines()]
    (tmp_path / "other.txt").write_text("".join(f"{f}\t{p}\t{y}\t{x}\n" for f, p, x, y in rows))
    (other,) = eth_ucy.read({**files, "crowds_zara01.txt": tmp_path / "other.txt"}, scene="zara1")
    for left, right in zip(parts_of(fold)[:2], parts_of(other)[:2], strict=True):
        assert np.array_equal(left.ids, right.ids)
        assert all(np.array_equal(left.columns[name], right.columns[name]) for name in left.columns)
    assert np.array_equal(fold.test.columns["pred"], other.test.columns["pred"][..., ::-1])


def test_one_scene_is_the_fold_of_that_name(files):
    (fold,) = eth_ucy.read(files, scene="hotel")
    same = eth_ucy.read(files)[1]
    assert fold.name == same.name == "hotel"
    for left, right in zip(parts_of(fold), parts_of(same), strict=True):
        assert np.array_equal(left.ids, right.ids)
        assert np.array_equal(left.columns["obs"], right.columns["obs"])


def test_people_who_have_not_moved_are_as_many_as_the_notes_say(files):
    standing = {}
    for fold in eth_ucy.read(files):
        obs = fold.test.columns["obs"]
        standing[fold.name] = int((obs[:, 7] == obs[:, 5]).all(axis=1).sum())
    assert standing == {"eth": 30, "hotel": 334, "univ": 0, "zara1": 0, "zara2": 0}


def test_an_unknown_scene_is_answered_with_the_nearest():
    with pytest.raises(
        BenchmarkError, match=r"'zara3'\. Did you mean 'zara.'\? Valid: all, eth, hotel, univ, zara1, zara2"
    ):
        eth_ucy.read({}, scene="zara3")


def test_homographies_are_fetched_only_when_asked_for():
    card = load_card("eth_ucy")
    assert [file.path for file in card.required] == [f"{name}.txt" for name in eth_ucy.LAST_TRAIN_FRAME]
    assert {file.path for file in card.files if file.optional} == {
        f"homography/{scene}.txt" for scene in eth_ucy.SCENES
    }
