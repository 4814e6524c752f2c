"""Indian Pines: fields seen by AVIRIS in 1992, split into a checkerboard of blocks that share no pixel with any window."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from benchmarks.datasets.bands import VISIBLE_END
from benchmarks.datasets.bundle import Fold
from benchmarks.datasets.readers.checkerboard import LabelledScene, Layouts, checkerboard_fold
from benchmarks.datasets.readers.spectral_tiles import Windows
from benchmarks.datasets.sensor import sensor

VERSION = 1
CLASSES = (
    "alfalfa", "corn, no till", "corn, minimum till", "corn", "grass, pasture", "grass, trees", "grass, mowed", "hay",
    "oats", "soybean, no till", "soybean, minimum till", "soybean, clean", "wheat", "woods", "buildings", "steel towers",
)  # fmt: skip
"""Labels 1 to 16; 0 is what nobody labelled."""
GSD = 20.0
"""Metres along a pixel."""
DROPPED = (range(104, 109), range(150, 164), range(220, 221))
"""Channels of the 220, from 1, in the water bands and at the end: what `corrected` leaves out."""


def read(
    files: Mapping[str, Path], *, block: int = 10, margin: int = 1, window: int = 6, stride: int = 1, visible: int = 16,
    infrared: int = 8, sensors: str = "",
) -> tuple[Fold, ...]:  # fmt: skip
    """One fold, a checkerboard of `block` pixels (see `checkerboard_fold`), which leaves all 16 classes in train and in test.

    Layouts are by rule: `visible` and `infrared` bands below and above 1000 nm for training, their numbers exchanged for
    `shifted` (see `spread_layouts`).
    """
    cube = np.load(files["indian_pines_corrected.npy"], allow_pickle=False).astype(np.float32)
    numbers = np.load(files["indian_pines_gt.npy"], allow_pickle=False)
    scene = LabelledScene(np.moveaxis(cube, 2, 0), numbers, CLASSES, usual_wavelengths(), GSD)
    layouts = Layouts(visible, infrared, sensors, VISIBLE_END)
    return (checkerboard_fold(scene, block, Windows(window, stride, margin), layouts),)


def usual_wavelengths() -> np.ndarray:
    """Centres [200] of the corrected cube's bands: the 1992 calibration without the channels that are left out by custom.

    The list that tensorly ships differs: it leaves out others, and two numbers in it are misprints.
    """
    lost = [channel - 1 for part in DROPPED for channel in part]
    return np.delete(np.array(sensor("aviris").centre), lost)
