"""ETH/UCY: eight recordings from above, five scenes, each in turn left out and tested on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from benchmarks.datasets.bundle import Fold
from benchmarks.datasets.readers.recordings import Protocol, leave_one_out
from benchmarks.datasets.readers.tracks import read_tracks
from benchmarks.errors import unknown

VERSION = 1
LAST_TRAIN_FRAME = {
    "biwi_eth": 10230,
    "biwi_hotel": 14390,
    "crowds_zara01": 7100,
    "crowds_zara02": 8410,
    "crowds_zara03": 6020,
    "students001": 3540,
    "students003": 4310,
    "uni_examples": 5930,
}
"""Where the files that Social GAN distributes for train end and those for val begin, by recording."""
SCENES = {
    "eth": ["biwi_eth"],
    "hotel": ["biwi_hotel"],
    "univ": ["students001", "students003"],
    "zara1": ["crowds_zara01"],
    "zara2": ["crowds_zara02"],
}
STATIC_DISTANCE = {"eth": 0.419, "hotel": 0.353, "univ": 0.227, "zara1": 0.338, "zara2": 0.350}
"""Metres a step up to which EigenTrajectory takes a pedestrian for static, by test scene (Bae et al. 2023, its settings)."""


def read(files: Mapping[str, Path], *, scene: str = "all", min_pedestrians: int = 2) -> tuple[Fold, ...]:
    """The five folds, or the one that tests on `scene`: 8 observed and 12 future positions, 0.4 s apart.

    Training takes all recordings of other scenes, crowds_zara03 and uni_examples included, which are never tested on. With
    `min_pedestrians=1` people who are alone count too. Splits are those of `leave_one_out`.
    """
    if scene != "all" and scene not in SCENES:
        raise unknown("scene of eth_ucy:", scene, ["all", *SCENES])
    tracks = {name: read_tracks(files[f"{name}.txt"]) for name in LAST_TRAIN_FRAME}
    scenes = SCENES if scene == "all" else {scene: SCENES[scene]}
    return leave_one_out(tracks, scenes, LAST_TRAIN_FRAME, Protocol(min_pedestrians=min_pedestrians), STATIC_DISTANCE)
