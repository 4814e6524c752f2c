"""Infrared small targets out of one archive of images and masks, with the lists of the community's split."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from benchmarks.datasets.bundle import Fold
from benchmarks.datasets.readers.image_archive import images_of
from benchmarks.datasets.readers.object_masks import Pair, fold_of, split_of

VERSION = 1
VAL_SHARE = 0.2


def read(
    files: Mapping[str, Path], *, lists: str = "NUDT-SIRST", size: int = 256, seed: int = 2021
) -> tuple[Fold, ...]:
    """One fold by the files `train_LISTS.txt` and `test_LISTS.txt`; a fifth of train, drawn by `seed`, is validation.

    The archive `LISTS.zip` holds `NAME.png` in folders called `images` and `masks`, wherever these are. Raises
    BenchmarkError for a file that is no such archive, and with the first name that it lacks.
    """
    train, test = (files[f"{part}_{lists}.txt"].read_text(encoding="utf-8").split() for part in ("train", "test"))
    drawn = np.random.default_rng(seed).permutation(train).tolist()
    cut = round(VAL_SHARE * len(drawn))
    layout = "It must hold a PNG for every name of the lists in folders called images and masks."
    with images_of(files, f"{lists}.zip", layout) as images:

        def pair(name: str) -> Pair:
            return images[f"images/{name}.png"], images[f"masks/{name}.png"]

        return fold_of(*(split_of(sorted(names), pair, size) for names in (drawn[cut:], drawn[:cut], test)))
