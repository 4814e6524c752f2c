"""A person's own recordings: one left out at a time, the others cut in time, and what is wrong with them said."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from benchmarks.datasets.readers import recordings, sim_crowd
from benchmarks.datasets.readers.tracks import read_tracks
from benchmarks.datasets.readers.windows import windows
from benchmarks.errors import BenchmarkError


def write(path, scene="corridor", seed=0, scale=1.0, frames=10_000):
    tracks = sim_crowd.simulate(scene, 30, np.random.default_rng(seed))
    rows = zip(tracks.frame, tracks.pedestrian, *(scale * tracks.xy.T), strict=True)
    path.write_text("frame,ped,x,y\n" + "".join(f"{f},{p},{x},{y}\n" for f, p, x, y in rows if f < 10 * frames))
    return path


@pytest.fixture
def files(tmp_path):
    names = ["mall.csv", "hall.csv", "yard.csv"]
    return {name: write(tmp_path / name, seed=seed) for seed, name in enumerate(names)}


def frames_of(path, split):
    """The distinct frames of a file, and the places among them where paths of a split begin and end."""
    tracks = read_tracks(path)
    found = windows(tracks)
    rows = split.ids % 2**32
    frames = np.unique(tracks.frame)
    return frames, np.searchsorted(frames, found.first[rows]), np.searchsorted(frames, found.last[rows])


def test_each_recording_is_left_out_once_and_the_others_are_cut_at_four_fifths(files):
    folds = recordings.read(files)
    assert [fold.name for fold in folds] == ["mall", "hall", "yard"]
    for fold in folds:
        assert set(fold.test.conditions) == {fold.name}
        assert np.array_equal(fold.test.columns["obs"], windows(read_tracks(files[f"{fold.name}.csv"])).paths[:, :8])
        others = set(files) - {f"{fold.name}.csv"}
        for name in others:
            for part, split in (("train", fold.training.train), ("val", fold.training.val)):
                mine = split.take(split.conditions == name[:-4])
                assert len(mine)
                frames, first, last = frames_of(files[name], mine)
                cut = round(0.8 * len(frames))
                assert last.max() == cut - 1 if part == "train" else first.min() == cut
        assert {f"{name}.csv" for name in np.unique(fold.training.train.conditions)} == others
        assert fold.training.schema["static_distance"] == pytest.approx(0.3)


def test_a_single_recording_is_cut_in_time(files):
    (fold,) = recordings.read({"hall.csv": files["hall.csv"]})
    assert fold.name == "all"
    assert fold.training.schema["scene"] == "hall"
    tracks = read_tracks(files["hall.csv"])
    found = windows(tracks)
    frames = np.unique(tracks.frame)
    first, last = np.searchsorted(frames, found.first), np.searchsorted(frames, found.last)
    cuts = round(0.6 * len(frames)), round(0.8 * len(frames))
    expected = (last < cuts[0], (first >= cuts[0]) & (last < cuts[1]), first >= cuts[1])
    for split, chosen in zip((fold.training.train, fold.training.val, fold.test), expected, strict=True):
        assert len(split)
        assert np.array_equal(split.ids, np.flatnonzero(chosen))


def test_options_set_the_lengths_and_the_time_step(files):
    fold = recordings.read(files, obs_len=5, pred_len=6, min_pedestrians=1, step_seconds=0.5)[0]
    assert fold.test.columns["obs"].shape[1:] == (5, 2)
    assert fold.test.columns["pred"].shape[1:] == (6, 2)
    schema = fold.training.schema
    assert (schema["obs_len"], schema["pred_len"], schema["step_seconds"]) == (5, 6, 0.5)
    assert schema["static_distance"] == pytest.approx(0.375)


def test_pixels_are_remarked_on_and_read(files, tmp_path, caplog):
    files["yard.csv"] = write(tmp_path / "yard.csv", scale=50.0)
    with caplog.at_level(logging.WARNING):
        recordings.read(files)
    (record,) = caplog.records
    assert "yard.csv: those who move do" in record.getMessage()
    assert "If x and y are pixels" in record.getMessage()


@pytest.mark.parametrize(
    ("frames", "options", "message"),
    [
        (15, {}, r"short\.csv has no window: 2 or more pedestrians in all of 20 frames.*longest track has 9 positions"),
        (45, {}, r"Fold short has no window for validation.*smaller data\.obs_len"),
        (999, {"obs_len": 2}, "obs_len is 2"),
        (999, {"step_seconds": 0.0}, r"Type data\.step_seconds=0\.4"),
    ],
)
def test_what_makes_no_windows_is_an_error(tmp_path, frames, options, message):
    files = {name: write(tmp_path / name, "crossing", frames=frames) for name in ("short.csv", "mall.csv")}
    with pytest.raises(BenchmarkError, match=message):
        recordings.read(files, **options)


def test_two_files_of_one_name_are_refused(tmp_path):
    (tmp_path / "b").mkdir()
    files = {"hall.csv": write(tmp_path / "hall.csv"), "b/hall.csv": write(tmp_path / "b" / "hall.csv")}
    with pytest.raises(BenchmarkError, match=r"names of their own.*b/hall\.csv"):
        recordings.read(files)
