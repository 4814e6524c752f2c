"""Windows of a recording: every stretch of consecutive frames with all the pedestrians who are in each of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmarks.datasets.readers.tracks import Tracks, in_metres
from benchmarks.errors import BenchmarkError

LEAST_OBSERVED = 3
"""Frames of which the last two steps tell heading and speed."""


@dataclass(frozen=True)
class Windows:
    """Paths by window and, within a window, by pedestrian.

    `paths` float32 [n, obs_len + pred_len, 2] in metres; as int64 [n] the `window` (numbered in time from 0), the
    `pedestrian`, and the frames of the `first` and the `last` position.
    """

    paths: np.ndarray
    window: np.ndarray
    pedestrian: np.ndarray
    first: np.ndarray
    last: np.ndarray

    def __len__(self) -> int:
        return len(self.paths)


def windows(tracks: Tracks, obs_len: int = 8, pred_len: int = 12, min_pedestrians: int = 2) -> Windows:
    """All windows of `obs_len + pred_len` frames, one frame apart, in which at least `min_pedestrians` are seen throughout.

    Frames that do not occur in the recording do not count, so a gap is no gap. A window lies in one part of a recording
    that is cut between two frames exactly if its first and its last frame do; parts therefore need no windows of their
    own. Source: the protocol of Social GAN (Gupta et al. 2018), whose figures leave out windows with a single pedestrian.
    Raises BenchmarkError for lengths that are too small.
    """
    least = {"obs_len": (obs_len, LEAST_OBSERVED), "pred_len": (pred_len, 1), "min_pedestrians": (min_pedestrians, 1)}
    for name, (given, allowed) in least.items():
        if given < allowed:
            raise BenchmarkError(f"{name} is {given}; it must be at least {allowed}. Type data.{name}={allowed}.")
    length = obs_len + pred_len
    order = tracks.by_pedestrian
    frames, rank = np.unique(tracks.frame[order], return_inverse=True)
    pedestrian = tracks.pedestrian[order]
    # Rows of one pedestrian are sorted and distinct: between two that are as far apart as their ranks, none is missing.
    ahead = length - 1
    whole = (pedestrian[ahead:] == pedestrian[:-ahead]) & (rank[ahead:] - rank[:-ahead] == ahead)
    start = np.flatnonzero(whole)
    start = start[np.lexsort((pedestrian[start], rank[start]))]
    present = np.bincount(rank[start], minlength=len(frames))[rank[start]]
    start = start[present >= min_pedestrians]
    return Windows(
        in_metres(tracks.xy[order])[start[:, None] + np.arange(length)],
        np.unique(rank[start], return_inverse=True)[1].astype(np.int64),
        pedestrian[start],
        frames[rank[start]],
        frames[rank[start] + ahead],
    )
