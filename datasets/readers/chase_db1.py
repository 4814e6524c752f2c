"""CHASE_DB1: vessels in photographs of the retina, left and right eyes of 14 children."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from benchmarks.datasets.bundle import Fold
from benchmarks.datasets.readers.object_masks import Pair, split_of
from benchmarks.datasets.readers.vessels import require_colour, vessel_fold
from benchmarks.errors import unknown

VERSION = 1
UNITS = ("image", "child")
CHILDREN = {"train": range(1, 9), "val": range(9, 11), "test": range(11, 15)}
"""The usual 20 / 8 images, of which ours takes the last four of the 20 for validation; no child is in two parts."""


def read(
    files: Mapping[str, Path],
    *,
    size: int = 0,
    crop: int = 256,
    constants: str = "train",
    multiple: int = 1,
    colour: bool = False,
    shrink: int = 1,
    unit: str = "image",
) -> tuple[Fold, ...]:
    """One fold; masks are the first grader's. Steps see squares of `crop`; see `vessels` for `constants` and `multiple`.

    With `colour` images are as they were taken, which networks are to see smaller by `shrink`; intervals are over images, or
    over children (`unit`), of whom each has two.
    """
    if unit not in UNITS:
        raise unknown("unit of chase_db1:", unit, UNITS)
    require_colour(colour, shrink)

    def pair(name: str) -> Pair:
        return files[f"Image_{name}.jpg"], files[f"Image_{name}_1stHO.png"]

    names = {part: [f"{child:02}{eye}" for child in children for eye in "LR"] for part, children in CHILDREN.items()}
    whose = (lambda name: name[:2]) if unit == "child" else None
    train, val, test = (
        split_of(names[part], pair, size, colour=colour, unit=whose) for part in ("train", "val", "test")
    )
    return vessel_fold("chase_db1", (train, val, test), constants, crop, multiple, shrink=shrink)
