"""SIRST-Aug: squares of SIRST's images, turned and cut in many ways, in the authors' folders trainval and test."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from benchmarks.datasets.bundle import Fold
from benchmarks.datasets.readers.image_archive import images_of
from benchmarks.datasets.readers.object_masks import Pair, fold_of, split_of

VERSION = 1
ARCHIVE = "sirst_aug.zip"
VAL_SHARE = 0.2
LAYOUT = (
    "It must hold PNG files of equal names in trainval/images and trainval/masks, and in test/images and test/masks."
)


def read(files: Mapping[str, Path], *, size: int = 256) -> tuple[Fold, ...]:
    """One fold: the folder `test`, and `trainval`, whose last fifth by name is validation.

    The fifth is one block because neighbours may be cut from one image, which must not be in both parts.
    """
    with images_of(files, ARCHIVE, LAYOUT) as images:

        def pair(name: str) -> Pair:
            folder, _, stem = name.partition("/")
            return images[f"{folder}/images/{stem}.png"], images[f"{folder}/masks/{stem}.png"]

        trainval, test = (
            [f"{part}/{stem}" for stem in images.names(f"{part}/images", ".png")] for part in ("trainval", "test")
        )
        cut = len(trainval) - round(VAL_SHARE * len(trainval))
        return fold_of(*(split_of(names, pair, size) for names in (trainval[:cut], trainval[cut:], test)))
