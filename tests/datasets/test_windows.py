"""Windows of recordings against the definition, read window by window; on the real splits bit for bit."""

from __future__ import annotations

import json
from collections import defaultdict

import numpy as np
import pytest

from benchmarks.datasets.readers import eth_ucy, sim_crowd
from benchmarks.datasets.readers.tracks import Tracks
from benchmarks.datasets.readers.windows import windows
from benchmarks.errors import BenchmarkError

FIELDS = ("paths", "window", "pedestrian", "first", "last")


def window_by_window(rows, length=20, min_pedestrians=2):
    """Paths, windows, pedestrians, first and last frames of rows (frame, pedestrian, x, y), by the words of the protocol."""
    positions = defaultdict(dict)
    for frame, pedestrian, x, y in rows:
        positions[frame][pedestrian] = (x, y)
    frames = sorted(positions)
    found = {field: [] for field in FIELDS}
    number = 0
    for start in range(len(frames) - length + 1):
        seen = frames[start : start + length]
        present = sorted(set.intersection(*(set(positions[frame]) for frame in seen)))
        if len(present) < min_pedestrians:
            continue
        for pedestrian in present:
            found["paths"].append([positions[frame][pedestrian] for frame in seen])
            found["window"].append(number)
            found["pedestrian"].append(pedestrian)
            found["first"].append(seen[0])
            found["last"].append(seen[-1])
        number += 1
    paths = np.around(np.array(found["paths"], np.float64).reshape(-1, length, 2), 4).astype(np.float32)
    return {
        **{field: np.array(values, np.int64) for field, values in found.items() if field != "paths"},
        "paths": paths,
    }


def rows_of(tracks):
    return list(zip(tracks.frame.tolist(), tracks.pedestrian.tolist(), *tracks.xy.T.tolist(), strict=True))


def assert_identical(found, expected):
    for field in FIELDS:
        assert getattr(found, field).dtype == expected[field].dtype
        assert np.array_equal(getattr(found, field), expected[field]), field


def scattered(seed):
    """A recording in which people come, go, come back, and frames are missing."""
    generator = np.random.default_rng(seed)
    seen = np.repeat(generator.random((12, 40)) < 0.6, 3, axis=1) & (generator.random((12, 120)) < 0.97)
    seen[:, generator.choice(120, 10)] = False
    pedestrian, frame = np.nonzero(seen)
    order = np.lexsort((pedestrian, frame))
    return Tracks(7 * frame[order] - 50, 5 * pedestrian[order], generator.normal(0, 9, (len(frame), 2)), "scattered")


@pytest.mark.parametrize("min_pedestrians", [1, 2, 4])
@pytest.mark.parametrize("seed", range(3))
def test_windows_are_those_of_the_definition(seed, min_pedestrians):
    tracks = scattered(seed)
    found = windows(tracks, 3, 4, min_pedestrians)
    assert len(found)
    assert_identical(found, window_by_window(rows_of(tracks), 7, min_pedestrians))


@pytest.mark.parametrize("scene", sim_crowd.SIZES)
def test_windows_of_a_simulated_crowd_are_those_of_the_definition(scene):
    tracks = sim_crowd.simulate(scene, 40, np.random.default_rng(0))
    assert_identical(windows(tracks), window_by_window(rows_of(tracks)))


def test_a_part_of_a_recording_has_the_windows_that_lie_in_it():
    tracks = scattered(4)
    found = windows(tracks, 3, 4)
    cut = int(np.median(tracks.frame))
    for chosen, kept in (
        (found.last <= cut, [row for row in rows_of(tracks) if row[0] <= cut]),
        (found.first > cut, [row for row in rows_of(tracks) if row[0] > cut]),
    ):
        expected = window_by_window(kept, 7)
        assert np.array_equal(found.paths[chosen], expected["paths"])
        assert np.array_equal(found.window[chosen] - found.window[chosen].min(), expected["window"])


def test_a_recording_that_is_too_short_has_none():
    tracks = sim_crowd.simulate("corridor", 30, np.random.default_rng(0))
    early = tracks.frame < 190
    found = windows(Tracks(tracks.frame[early], tracks.pedestrian[early], tracks.xy[early], "short"))
    assert len(found) == 0
    assert found.paths.shape == (0, 20, 2)
    assert len(windows(Tracks(tracks.frame[:3], tracks.pedestrian[:3], tracks.xy[:3], "tiny"))) == 0


@pytest.mark.parametrize(
    ("lengths", "message"),
    [
        ((2, 12, 2), "obs_len is 2; it must be at least 3"),
        ((8, 0, 2), "pred_len is 0"),
        ((8, 12, 0), "min_pedestrians=1"),
    ],
)
def test_lengths_that_are_too_small_are_refused(lengths, message):
    with pytest.raises(BenchmarkError, match=message):
        windows(scattered(0), *lengths)


def test_the_fifteen_real_splits_are_those_of_the_definition(mirror):
    folder = mirror / "eth_ucy"
    protocol = json.loads((folder / "splits.json").read_text())
    rows = {
        name: [tuple(map(float, row.split())) for row in (folder / f"{name}.txt").read_text().splitlines()]
        for name in protocol["cuts"]
    }
    parts = {"train": {}, "val": {}, "test": {}}
    for name, cut in protocol["cuts"].items():
        parts["train"][name] = window_by_window(rows[name][: cut["train_rows"]])
        parts["val"][name] = window_by_window(rows[name][cut["train_rows"] :])
        parts["test"][name] = window_by_window(rows[name])
    for fold in eth_ucy.read({f"{name}.txt": folder / f"{name}.txt" for name in rows}):
        files = protocol["folds"][fold.name]
        splits = {"train": fold.training.train, "val": fold.training.val, "test": fold.test}
        for part, split in splits.items():
            expected = [parts[part][name] for name in files["test" if part == "test" else "trainval"]]
            found = np.concatenate([split.columns["obs"], split.columns["pred"]], axis=1)
            assert np.array_equal(found, np.concatenate([each["paths"] for each in expected]))
            assert np.array_equal(split.units % 2**32, np.concatenate([each["pedestrian"] for each in expected]))
            sizes = [np.bincount(each["window"]) for each in expected if len(each["window"])]
            assert np.array_equal(np.diff(split.starts), np.concatenate(sizes))
