"""A scene in MATLAB files as the Computational Intelligence Group (UPV/EHU) hands them out: NAME.mat and NAME_gt.mat."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from benchmarks.datasets.bands import VISIBLE_END
from benchmarks.datasets.bundle import Fold
from benchmarks.datasets.matlab import read_mat
from benchmarks.datasets.readers.checkerboard import LabelledScene, Layouts, checkerboard_fold
from benchmarks.datasets.readers.spectral_tiles import Windows
from benchmarks.errors import BenchmarkError

VERSION = 1
LABELS = "_gt.mat"
"""What the name of the file of labels ends with."""


def read(
    files: Mapping[str, Path], *, low: float = 430.0, high: float = 860.0, channels: int = 103, dropped: str = "",
    gsd: float = 1.3, names: str = "", block: int = 10, margin: int = 1, window: int = 6, stride: int = 1,
    boundary: float = VISIBLE_END, visible: int = 16, infrared: int = 8, sensors: str = "",
) -> tuple[Fold, ...]:  # fmt: skip
    """One fold, a checkerboard of `block` pixels (see `checkerboard_fold`), of the only cube [h, w, bands] in one file and the
    only label map [h, w] in the other, whatever they are called there.

    The sensor's `channels` are taken to lie at even distances from `low` to `high` nanometres; those of `dropped` ("108-112,
    224", from 1) are not in the file. `names` are the classes 1, 2, ..., comma-separated, or their numbers; 0 is what nobody
    labelled. `gsd` is the side of a pixel in metres. Layouts are by rule, on either side of `boundary` nanometres (see
    `spread_layouts`).
    """
    by_kind = {path.endswith(LABELS): file for path, file in files.items()}
    cube, numbers = _array(by_kind[False], 3), _array(by_kind[True], 2)
    wavelengths = np.delete(np.linspace(low, high, channels), _places(dropped, channels))
    classes = (
        [name.strip() for name in names.split(",")] if names else [f"class {n + 1}" for n in range(int(numbers.max()))]
    )
    if cube.shape[2] != len(wavelengths):
        raise BenchmarkError(
            f"{by_kind[False]} has {cube.shape[2]} bands; the data set has {len(wavelengths)}, {channels} channels without "
            f"'{dropped}'. Take the file that the card names."
        )
    if cube.shape[:2] != numbers.shape:
        raise BenchmarkError(
            f"The labels {by_kind[True].name} are {numbers.shape[0]} x {numbers.shape[1]} pixels and the scene "
            f"{by_kind[False].name} {cube.shape[0]} x {cube.shape[1]}; they must have one size."
        )
    if numbers.min() < 0 or numbers.max() > len(classes) or (numbers != np.round(numbers)).any():
        raise BenchmarkError(
            f"The labels {by_kind[True]} must be whole numbers from 0 to {len(classes)}; they go from {numbers.min()} to "
            f"{numbers.max()}."
        )
    bands = np.ascontiguousarray(np.moveaxis(cube, 2, 0), np.float32)
    scene = LabelledScene(bands, numbers, classes, wavelengths, gsd)
    layouts = Layouts(visible, infrared, sensors, boundary)
    return (checkerboard_fold(scene, block, Windows(window, stride, margin), layouts),)


def _array(path: Path, ndim: int) -> np.ndarray:
    """The only array of numbers with so many dimensions, none of them of length 1, in a MATLAB file."""
    arrays = {
        name: value
        for name, value in read_mat(path).items()
        if isinstance(value, np.ndarray) and value.dtype.kind in "iuf"
    }
    found = [value for value in arrays.values() if value.ndim == ndim and min(value.shape) > 1]
    if len(found) != 1:
        shown = ", ".join(f"{name} {value.shape}" for name, value in arrays.items()) or "no numbers"
        raise BenchmarkError(f"{path} must hold one array of {ndim} dimensions; it holds {shown}.")
    return found[0]


def _places(dropped: str, channels: int) -> list[int]:
    """Channels "108-112, 224", from 1, as places from 0."""
    try:
        ends = [[int(end) for end in part.split("-")] for part in dropped.split(",") if part.strip()]
        places = [channel - 1 for first, *last in ends for channel in range(first, (last or [first])[0] + 1)]
    except ValueError:
        places = [-1]
    if any(not 0 <= place < channels for place in places):
        raise BenchmarkError(
            f"data.dropped='{dropped}' is not valid: channels from 1 to {channels}, such as '108-112, 224'."
        )
    return places
