"""SD-saliency-900: defects of steel strips of three kinds (inclusion, patches, scratches), with a seeded split."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby
from pathlib import Path

import numpy as np

from benchmarks.datasets.bundle import Fold
from benchmarks.datasets.readers.image_archive import images_of
from benchmarks.datasets.readers.object_masks import Pair, fold_of, split_of

VERSION = 1
SHARES = (0.7, 0.8)
"""Where train ends and where val does."""
ARCHIVE = "MCITF.zip"
LAYOUT = "It must hold `Source Images/NAME.bmp` and `Ground truth/NAME.png`, as the repository does."


def read(files: Mapping[str, Path], *, size: int = 0, seed: int = 2021) -> tuple[Fold, ...]:
    """One fold: 70 / 10 / 20 % of every kind at random, since there is no official split."""
    with images_of(files, ARCHIVE, LAYOUT) as images:

        def pair(name: str) -> Pair:
            return images[f"Source Images/{name}.bmp"], images[f"Ground truth/{name}.png"]

        random = np.random.default_rng(seed)
        parts: list[list[str]] = [[], [], []]
        for _, kind in groupby(images.names("Source Images", ".bmp"), lambda name: name.split("_")[0]):
            drawn = random.permutation(list(kind)).tolist()
            cuts = [0, *(round(share * len(drawn)) for share in SHARES), len(drawn)]
            for part, start, end in zip(parts, cuts[:-1], cuts[1:], strict=True):
                part += drawn[start:end]
        return fold_of(*(split_of(sorted(part), pair, size) for part in parts))
