"""CHASE_DB1: vessels in photographs of the retina, left and right eyes of 14 children."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from benchmarks.datasets.bundle import Fold
from benchmarks.datasets.readers.object_masks import Pair, fold_of, split_of

VERSION = 1
CHILDREN = {"train": range(1, 9), "val": range(9, 11), "test": range(11, 15)}
"""The usual 20 / 8 images, of which ours takes the last four of the 20 for validation; no child is in two parts."""


def read(files: Mapping[str, Path], *, size: int = 0, crop: int = 256) -> tuple[Fold, ...]:
    """One fold; masks are the first grader's. Gray levels are standardised by train's constants, steps see squares of `crop`."""

    def pair(name: str) -> Pair:
        return files[f"Image_{name}.jpg"], files[f"Image_{name}_1stHO.png"]

    names = {part: [f"{child:02}{eye}" for child in children for eye in "LR"] for part, children in CHILDREN.items()}
    train, val, test = (split_of(names[part], pair, size) for part in ("train", "val", "test"))
    return fold_of(train, val, test, zscore=True, crop=crop)
