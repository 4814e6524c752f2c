"""ISBI 2012: membranes in slices of a fly's nerve cord, every third slice of the training stack."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from benchmarks.datasets.bundle import Fold, Split
from benchmarks.datasets.readers.object_masks import Pair, fold_of, split_of

VERSION = 1
SLICES = {"train": range(0, 15, 3), "val": range(15, 16), "test": range(18, 28, 3)}


def read(files: Mapping[str, Path], *, crop: int = 112) -> tuple[Fold, ...]:
    """One fold along the stack; the mask is the membrane, which the labels show black. Steps see squares of `crop`."""

    def pair(name: str) -> Pair:
        return files[f"image/{name}.png"], files[f"label/{name}.png"]

    parts = [_inverted(split_of([str(place) for place in SLICES[part]], pair, 0)) for part in ("train", "val", "test")]
    return fold_of(*parts, crop=crop)


def _inverted(split: Split) -> Split:
    return Split({**split.columns, "mask": np.logical_not(split.columns["mask"])}, split.ids, split.units)
