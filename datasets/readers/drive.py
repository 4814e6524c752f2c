"""DRIVE: vessels in photographs of the retina, with masks of what the camera sees; the official training and test folders."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from benchmarks.datasets.bundle import Fold
from benchmarks.datasets.readers.image_archive import images_of
from benchmarks.datasets.readers.object_masks import Pair, Source, split_of
from benchmarks.datasets.readers.vessels import require_colour, vessel_fold

VERSION = 1
ARCHIVE = "DRIVE.zip"
NUMBERS = {"train": range(21, 37), "val": range(37, 41), "test": range(1, 21)}
"""The official 20 / 20 images, of which ours takes the last four of the first 20 for validation."""
LAYOUT = (
    "It must hold folders training (images 21 to 40) and test (01 to 20), each with images/NN_FOLDER.tif, "
    "1st_manual/NN_manual1.gif and mask/NN_FOLDER_mask.gif. Downloads of today lack 1st_manual of test; older ones have it."
)


def read(
    files: Mapping[str, Path],
    *,
    size: int = 0,
    crop: int = 256,
    constants: str = "train",
    multiple: int = 1,
    colour: bool = False,
    shrink: int = 1,
) -> tuple[Fold, ...]:
    """One fold; masks are the first grader's, and nothing outside of the field of view counts. See `vessels`.

    With `colour` images are as they were taken, which networks are to see smaller by `shrink`.
    """
    require_colour(colour, shrink)
    with images_of(files, ARCHIVE, LAYOUT) as images:

        def folder(name: str) -> str:
            return "test" if int(name) in NUMBERS["test"] else "training"

        def pair(name: str) -> Pair:
            where = folder(name)
            return images[f"{where}/images/{name}_{where}.tif"], images[f"{where}/1st_manual/{name}_manual1.gif"]

        def field(name: str) -> Source:
            return images[f"{folder(name)}/mask/{name}_{folder(name)}_mask.gif"]

        train, val, test = (
            split_of([f"{number:02}" for number in NUMBERS[part]], pair, size, field=field, colour=colour)
            for part in ("train", "val", "test")
        )
    return vessel_fold("drive", (train, val, test), constants, crop, multiple, shrink=shrink)
