"""Recordings of one's own: each in turn is the test set, and the others are cut in time into train and val."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.datasets.bundle import Fold, Split, TrainingData
from benchmarks.datasets.readers.tracks import STEP_SECONDS, Tracks, read_tracks, remarks
from benchmarks.datasets.readers.windows import Windows, windows
from benchmarks.errors import BenchmarkError

log = logging.getLogger(__name__)

VERSION = 1
STATIC_SPEED = 0.75
"""Metres a second up to which a pedestrian counts as static where a data set has no threshold of its own."""


@dataclass(frozen=True)
class Protocol:
    """How recordings become samples: see `windows`; `step_seconds` is the time from frame to frame."""

    obs_len: int = 8
    pred_len: int = 12
    min_pedestrians: int = 2
    step_seconds: float = STEP_SECONDS


def read(
    files: Mapping[str, Path],
    *,
    obs_len: int = 8,
    pred_len: int = 12,
    min_pedestrians: int = 2,
    step_seconds: float = STEP_SECONDS,
) -> tuple[Fold, ...]:
    """A fold for every file, named after it, which is its test set; of the others, the first 80 % of frames are train.

    A single file makes one fold that is cut in time, 60 : 20 : 20. Formats are those of `read_tracks`. What is doubtful
    about a recording is logged. Raises BenchmarkError for a recording, or a part of a single one, without any window.
    """
    if not step_seconds > 0:
        raise BenchmarkError(
            f"step_seconds is {step_seconds}; it must be positive. Type data.step_seconds={STEP_SECONDS}."
        )
    tracks = {Path(name).stem: read_tracks(path) for name, path in files.items()}
    if len(tracks) < len(files):
        raise BenchmarkError(f"Files need names of their own without the suffix; given: {', '.join(files)}.")
    for recording in tracks.values():
        for remark in remarks(recording, step_seconds):
            log.warning("%s", remark)
    protocol = Protocol(obs_len, pred_len, min_pedestrians, step_seconds)
    if len(tracks) == 1:
        return tuple(_cut_in_time(name, recording, protocol) for name, recording in tracks.items())
    cuts = {name: frame_at(recording, 0.8) for name, recording in tracks.items()}
    return leave_one_out(tracks, {name: [name] for name in tracks}, cuts, protocol)


def leave_one_out(
    tracks: Mapping[str, Tracks],
    scenes: Mapping[str, Sequence[str]],
    last_train_frame: Mapping[str, int],
    protocol: Protocol,
    static_distance: Mapping[str, float] | None = None,
) -> tuple[Fold, ...]:
    """A fold for every scene: its recordings, whole, are test; all others are train up to a frame and val after it.

    Columns of a split are `obs` float32 [n, obs_len, 2] and `pred` float32 [n, pred_len, 2] in metres. A sample is a
    pedestrian in a window, a unit a pedestrian, a group a window; the condition is the scene in test and the recording
    elsewhere. Ids, units and groups are unique over all recordings. Windows of a recording are made once, for all folds.
    Raises BenchmarkError for a recording without any window, and a fold without any for train or val.
    """
    train, val, whole = {}, {}, {}
    for number, (name, recording) in enumerate(tracks.items()):
        found = _windows(recording, protocol)
        whole[name] = _samples(number, name, found, protocol.obs_len)
        train[name] = whole[name].take(found.last <= last_train_frame[name])
        val[name] = whole[name].take(found.first > last_train_frame[name])
    folds = []
    for scene, held_out in scenes.items():
        others = [name for name in tracks if name not in held_out]
        folds.append(
            _fold(
                scene,
                scene,
                _joined([train[name] for name in others]),
                _joined([val[name] for name in others]),
                _joined([whole[name] for name in tracks if name in held_out], scene),
                protocol,
                (static_distance or {}).get(scene),
            )
        )
    return tuple(folds)


def frame_at(tracks: Tracks, share: float) -> int:
    """The last of the first `share` of a recording's frames."""
    frames = np.unique(tracks.frame)
    return int(frames[max(1, round(share * len(frames))) - 1])


def _cut_in_time(name: str, recording: Tracks, protocol: Protocol) -> Fold:
    found = _windows(recording, protocol)
    samples = _samples(0, name, found, protocol.obs_len)
    first, second = frame_at(recording, 0.6), frame_at(recording, 0.8)
    train = samples.take(found.last <= first)
    val = samples.take((found.first > first) & (found.last <= second))
    return _fold("all", name, train, val, samples.take(found.first > second), protocol)


def _windows(recording: Tracks, protocol: Protocol) -> Windows:
    found = windows(recording, protocol.obs_len, protocol.pred_len, protocol.min_pedestrians)
    if not len(found):
        longest = np.unique(recording.pedestrian, return_counts=True)[1].max()
        raise BenchmarkError(
            f"{recording.source} has no window: {protocol.min_pedestrians} or more pedestrians in all of "
            f"{protocol.obs_len + protocol.pred_len} frames on end. Its longest track has {longest} positions. Leave the file "
            "out, or set data.min_pedestrians=1 or a smaller data.obs_len or data.pred_len."
        )
    return found


def _samples(number: int, name: str, found: Windows, obs_len: int) -> Split:
    # The upper 32 bits tell the recording, so that no two recordings share a pedestrian or a window.
    base = number << 32
    return Split(
        {"obs": found.paths[:, :obs_len], "pred": found.paths[:, obs_len:]},
        base + np.arange(len(found)),
        base + found.pedestrian,
        np.full(len(found), name),
        base + found.window,
    )


def _joined(splits: Sequence[Split], condition: str | None = None) -> Split:
    columns = {name: np.concatenate([split.columns[name] for split in splits]) for name in ("obs", "pred")}
    ids, units, conditions, groups = (
        np.concatenate([getattr(split, name) for split in splits]) for name in ("ids", "units", "conditions", "groups")
    )
    return Split(columns, ids, units, conditions if condition is None else np.full(len(ids), condition), groups)


def _fold(
    name: str,
    scene: str,
    train: Split,
    val: Split,
    test: Split,
    protocol: Protocol,
    static_distance: float | None = None,
) -> Fold:
    for part, split in (("train", train), ("validation", val), ("test", test)):
        if not len(split):
            raise BenchmarkError(
                f"Fold {name} has no window for {part}: that part of the recordings is shorter than "
                f"{protocol.obs_len + protocol.pred_len} frames, or has fewer than {protocol.min_pedestrians} pedestrians at a "
                "time. Give longer recordings, or set data.min_pedestrians=1 or a smaller data.obs_len or data.pred_len."
            )
    schema = {
        "obs_len": protocol.obs_len,
        "pred_len": protocol.pred_len,
        "step_seconds": protocol.step_seconds,
        "scene": scene,
        "static_distance": STATIC_SPEED * protocol.step_seconds if static_distance is None else static_distance,
    }
    return Fold(name, TrainingData(train, val, schema), test)
