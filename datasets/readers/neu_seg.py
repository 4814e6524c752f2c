"""NEU-Seg: defects of hot-rolled steel; whatever kind of defect a pixel shows, it is an object."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from benchmarks.datasets.bundle import Fold
from benchmarks.datasets.readers.image_archive import images_of
from benchmarks.datasets.readers.object_masks import Pair, fold_of, split_of

VERSION = 1
VAL_EVERY = 5
"""Every fifth training image, from the third, is validation: files are ordered by kind of defect, so all kinds are in both."""
ARCHIVE = "NEU_Seg.zip"
LAYOUT = "It must hold images/training, images/test, annotations/training and annotations/test, as the repository does."


def read(files: Mapping[str, Path], *, size: int = 0) -> tuple[Fold, ...]:
    """One fold: the folder `test`, and `training` parted into train and val. Labels 1 to 3 are objects, 0 is not."""
    with images_of(files, ARCHIVE, LAYOUT) as images:

        def pair(name: str) -> Pair:
            return images[f"images/{name}.jpg"], images[f"annotations/{name}.png"]

        training, test = (
            [f"{part}/{stem}" for stem in images.names(f"images/{part}", ".jpg")] for part in ("training", "test")
        )
        val = training[2::VAL_EVERY]
        train = [name for name in training if name not in set(val)]
        return fold_of(*(split_of(part, pair, size, threshold=0) for part in (train, val, test)))
