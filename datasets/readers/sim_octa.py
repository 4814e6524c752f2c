"""Simulated OCT angiographies: networks of vessels from a model of their growth, with labels of four times the resolution."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from benchmarks.datasets.bundle import Fold, Split
from benchmarks.datasets.readers.object_masks import fold_of, read_gray
from benchmarks.errors import BenchmarkError

VERSION = 1
FINER = 4
"""Pixels of a label along a pixel of its image."""
PARTS = {"train": slice(0, 12), "val": slice(12, 16), "test": slice(16, 24)}
"""In the order of their names; every image is a patient of its own."""


def read(files: Mapping[str, Path], *, crop: int = 112) -> tuple[Fold, ...]:
    """One fold; a pixel is vessel where more than half of its label's 4 x 4 pixels are. Steps see squares of `crop`."""
    names = sorted(Path(path).stem.removeprefix("G_") for path in files if path.startswith("images/"))
    images = np.stack([read_gray(files[f"images/G_{name}.png"]) for name in names])
    masks = np.stack([coarse(read_gray(files[f"labels/{name}.png"]) > 127) for name in names])
    if images.shape != masks.shape:
        raise BenchmarkError(f"Images are {images.shape[1:]} and labels {masks.shape[1:]} after reduction by {FINER}.")
    ids = np.array(names)
    whole = Split({"image": images, "mask": masks}, ids, ids)
    return fold_of(*(whole.take(rows) for rows in PARTS.values()), crop=crop)


def coarse(label: np.ndarray) -> np.ndarray:
    """bool [4 h, 4 w] -> [h, w], what most of each square of pixels is; a tie is background."""
    height, width = (size // FINER for size in label.shape)
    return label[: height * FINER, : width * FINER].reshape(height, FINER, width, FINER).mean((1, 3)) > 0.5
