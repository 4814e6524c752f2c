"""Colour images that a diffusion prior is trained on, and noisy ones by which it is judged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from benchmarks.datasets.bundle import Fold, Split, TrainingData
from benchmarks.datasets.degradations import LEVELS, Degradation
from benchmarks.datasets.readers.cube_tiles import Scene, split_of
from benchmarks.datasets.readers.object_masks import read_colours
from benchmarks.errors import BenchmarkError

VERSION = 1
SIGMAS = (15.0, 25.0, 50.0)
"""Levels of noise of the test images; validation has the middle one."""
EVERY = 10
"""One in so many training images of BSDS500 is for validation."""


def read(files: Mapping[str, Path], *, patch: int = 128, test_patch: int = 96, seed: int = 0) -> tuple[Fold, ...]:
    """One fold: patches without overlap for training, the middle of every other image as a cube of three bands.

    Two dates of one aerial place share a name upstream and are in one part.
    """
    if not 8 <= test_patch <= 256 or not 8 <= patch <= 256:
        raise BenchmarkError(f"data.patch={patch} data.test_patch={test_patch} is not valid: both are from 8 to 256.")
    photos = sorted(path for path in files if path.startswith("bsds500/train/"))
    val = photos[::EVERY]
    test = [path for path in files if path.startswith("bsds500/test/") or Path(path).name.startswith("test_")]
    train = sorted(files.keys() - set(val) - set(test))
    made = {part: {path: read_colours(files[path]) for path in paths} for part, paths in
            (("train", train), ("val", val), ("test", sorted(test)))}  # fmt: skip
    return photo_fold(made["train"], made["val"], made["test"], patch, test_patch, seed)


def photo_fold(
    train: Mapping[str, np.ndarray],
    val: Mapping[str, np.ndarray],
    test: Mapping[str, np.ndarray],
    patch: int,
    test_patch: int,
    seed: int,
) -> tuple[Fold, ...]:
    """A fold of images uint8 [h, w, 3] by name; its schema keeps the names of those that train."""
    training = photo_split(train, patch)
    judged = split_of(noisy_scenes(val, test_patch, SIGMAS[1:2], seed), test_patch)
    tested = split_of(noisy_scenes(test, test_patch, SIGMAS, seed), test_patch)
    return (Fold("all", TrainingData(training, judged, {"bands": 3, "photos": list(train)}), tested),)


def photo_split(photos: Mapping[str, np.ndarray], patch: int) -> Split:
    """Patches `image` uint8 [n, patch, patch, 3] of images, side by side; the unit is the image."""
    patches, ids, units = [], [], []
    for name, photo in photos.items():
        height, width = photo.shape[:2]
        for row in range(0, height - patch + 1, patch):
            for column in range(0, width - patch + 1, patch):
                patches.append(photo[row : row + patch, column : column + patch])
                ids.append(f"{name} {row},{column}")
                units.append(name)
    return Split({"image": np.stack(patches)}, np.array(ids), np.array(units))


def noisy_scenes(photos: Mapping[str, np.ndarray], side: int, sigmas: Sequence[float], seed: int) -> list[Scene]:
    """The middle square of every image as a clean cube of three bands, once under each level of noise."""
    scenes = []
    for sigma in sigmas:
        for number, (name, photo) in enumerate(photos.items()):
            row, column = ((size - side) // 2 for size in photo.shape[:2])
            clean = (photo[row : row + side, column : column + side] / LEVELS).astype(np.float32)
            seen = Degradation("gaussian", sigma, seed=seed + number).apply(clean)
            scenes.append(Scene(f"{name} {sigma:g}", f"sigma {sigma:g}", clean, seen, unit=name))
    return scenes
