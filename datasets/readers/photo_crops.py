"""Folds of photographs for pretraining a restorer: virtual samples of PROD, and degraded squares of other pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from benchmarks.datasets.bundle import Fold, Split, TrainingData
from benchmarks.datasets.photo_crops import CropColumn, ProdColumn
from benchmarks.datasets.prod import DEGRADATIONS, LEVELS, MODES, prod_sample
from benchmarks.errors import BenchmarkError, unknown

Photos = Mapping[str, np.ndarray]
"""Pictures uint8 [h, w, 3] by name."""
JUDGED = 2**32
"""Added to the seed for validation, so that samples of it have other noise than those that train.

But for number 0 alone: NumPy reads the key (seed + 2**32, 0) as (seed, 1, 0), and pads (seed, 1) to that. Its recipe and noise
are those of training sample 1, on another picture. Another key would be other data, and so waits for a new version of them.
"""
MIXED = "mixed"
"""The condition of test samples with a random selection in random order."""
SMALLEST = 16
EVERY = 10
"""One in so many training pictures is for validation."""


def checked(samples: int, patch: int, degradations: str, val_samples: int, seed: int) -> None:
    """Raises BenchmarkError for options that no fold can be made with, before a picture is opened."""
    if degradations not in MODES:
        raise unknown("data.degradations", degradations, MODES)
    if samples < 1 or val_samples < 1 or patch < SMALLEST or seed < 0:
        raise BenchmarkError(
            f"data.samples={samples} data.val_samples={val_samples} data.patch={patch} data.seed={seed} is not valid: there is a "
            f"sample or more of each, patches are of {SMALLEST} pixels or more, and the seed is 0 or more."
        )


def pretraining_fold(
    train: Photos,
    val: Photos,
    test: Photos,
    *,
    samples: int,
    patch: int,
    degradations: str,
    val_samples: int,
    seed: int,
) -> tuple[Fold, ...]:
    """One fold; columns `image` float32 [n, patch, patch, 3] from 0 to 1, degraded, and `clean` uint8 of the same shape.

    Sample i of `train` and `val` is drawn by (seed, i) and made when a batch is made. Tests are the middles of `test`, once under
    each degradation alone and once under a random selection, whatever `degradations` training has; their units are pictures.
    Raises BenchmarkError for pictures smaller than `patch`.
    """
    for name, photo in {**train, **val, **test}.items():
        if min(photo.shape[:2]) < patch:
            raise BenchmarkError(
                f"Picture '{name}' is {photo.shape[0]} x {photo.shape[1]} pixels, smaller than data.patch={patch}. Type "
                f"data.patch={min(photo.shape[:2])} or leave the picture out."
            )
    schema = {"photos": list(train), "patch": patch, "degradations": degradations}
    training = virtual_split(train, samples, patch, degradations, seed)
    judged = virtual_split(val, val_samples, patch, degradations, seed + JUDGED)
    return (Fold("all", TrainingData(training, judged, schema), tested_split(test, patch, seed)),)


def virtual_split(photos: Photos, samples: int, patch: int, degradations: str, seed: int) -> Split:
    """So many samples of pictures under PROD, none of which is made before it is asked for; each is a unit of its own."""
    pictures, numbers = list(photos.values()), np.arange(samples)
    clean = CropColumn(pictures, patch, seed, samples)
    image = ProdColumn(pictures, patch, seed, samples, degradations)
    return Split({"image": image, "clean": clean}, numbers, numbers)  # type: ignore[dict-item]


def tested_split(photos: Photos, patch: int, seed: int) -> Split:
    """The middle of every picture under each degradation alone and under a random selection, which are the conditions."""
    rows = [(name, middle(photo, patch), kind) for kind in (*DEGRADATIONS, MIXED) for name, photo in photos.items()]
    clean = np.stack([square for _, square, _ in rows])
    degraded = [
        prod_sample(square / np.float32(LEVELS), seed + 2 * JUDGED, number, only="" if kind == MIXED else kind)[0]
        for number, (_, square, kind) in enumerate(rows)
    ]
    ids = np.array([f"{name} {kind}" for name, _, kind in rows])
    names, kinds = (np.array([row[place] for row in rows]) for place in (0, 2))
    return Split({"image": np.stack(degraded), "clean": clean}, ids, names, kinds)


def middle(image: np.ndarray, side: int) -> np.ndarray:
    """The middle square of an image [h, w, ...]; of an odd remainder the smaller half is cut off at the top and left."""
    row, column = ((size - side) // 2 for size in image.shape[:2])
    return image[row : row + side, column : column + side]


def held_out(names: Sequence[str]) -> tuple[list[str], list[str]]:
    """Names that train and those of every tenth, which are for validation."""
    return [name for number, name in enumerate(names) if number % EVERY], list(names[::EVERY])
