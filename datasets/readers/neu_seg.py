"""NEU-Seg: defects of hot-rolled steel; whatever kind of defect a pixel shows, it is an object."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from benchmarks.datasets.bundle import Fold
from benchmarks.datasets.readers.object_masks import Pair, fold_of, split_of

VERSION = 1
VAL_EVERY = 5
"""Every fifth training image, from the third, is validation: files are ordered by kind of defect, so all kinds are in both."""


def read(files: Mapping[str, Path], *, size: int = 0) -> tuple[Fold, ...]:
    """One fold: the folder `test`, and `training` parted into train and val. Labels 1 to 3 are objects, 0 is not."""

    def pair(name: str) -> Pair:
        return files[f"images/{name}.jpg"], files[f"annotations/{name}.png"]

    names = sorted(f"{path.parent.name}/{path.stem}" for path in map(PurePosixPath, files) if path.parts[0] == "images")
    training = [name for name in names if name.startswith("training/")]
    val = training[2::VAL_EVERY]
    train = [name for name in training if name not in set(val)]
    test = [name for name in names if name.startswith("test/")]
    return fold_of(*(split_of(part, pair, size, threshold=0) for part in (train, val, test)))
