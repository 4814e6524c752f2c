"""STARE: vessels in twenty photographs of the retina, tested in turns since there is no official split."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from benchmarks.datasets.bundle import Fold
from benchmarks.datasets.readers.image_archive import images_of
from benchmarks.datasets.readers.object_masks import Pair, split_of
from benchmarks.datasets.readers.vessels import require_colour, vessel_fold
from benchmarks.errors import BenchmarkError

VERSION = 1
IMAGES, LABELS = "stare-images.tar", "labels-ah.tar"
LAYOUT = "It must hold im0001.ppm.gz and the like (labels: im0001.ah.ppm.gz), as its page offers it."
LEAST_FOLDS = 3


def read(
    files: Mapping[str, Path],
    *,
    size: int = 0,
    crop: int = 256,
    constants: str = "train",
    multiple: int = 1,
    folds: int = 5,
    colour: bool = False,
    shrink: int = 1,
) -> tuple[Fold, ...]:
    """So many folds; every image is in the test part of one, in the validation part of the one before, and trains the others.

    Masks are the first grader's (Adam Hoover). As many `folds` as images leave one out at a time. With `colour` images are as
    they were taken, which networks are to see smaller by `shrink`. See `vessels`.
    """
    require_colour(colour, shrink)
    with images_of(files, IMAGES, LAYOUT) as images, images_of(files, LABELS, LAYOUT) as labels:
        names = images.names("", ".ppm.gz")
        if not LEAST_FOLDS <= folds <= len(names):
            raise BenchmarkError(
                f"data.folds={folds} is not valid: it must be {LEAST_FOLDS} to {len(names)}. Type data.folds=5."
            )

        def pair(name: str) -> Pair:
            return images[f"{name}.ppm.gz"], labels[f"{name}.ah.ppm.gz"]

        whole = split_of(names, pair, size, colour=colour)
    made: list[Fold] = []
    for fold in range(folds):
        turn = (np.arange(len(names)) - fold) % folds
        train, val, test = (whole.take(np.flatnonzero(rows)) for rows in (turn > 1, turn == 1, turn == 0))
        made += vessel_fold("stare", (train, val, test), constants, crop, multiple, f"fold{fold + 1}", shrink)
    return tuple(made)
