"""CBSD68 under one synthetic degradation, beside pictures of BSDS500's training part under the same for training."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from benchmarks.datasets.bundle import Fold, Split
from benchmarks.datasets.prod import LEVELS, blurred, compressed, keyed, levels
from benchmarks.datasets.readers.object_masks import read_colours
from benchmarks.datasets.readers.pair_pixels import alike
from benchmarks.datasets.readers.photo_crops import held_out, middle
from benchmarks.datasets.readers.photo_pairs import drawn, pair_fold
from benchmarks.errors import BenchmarkError, unknown

VERSION = 1
USUAL = {"noise": 25.0, "blur": 1.6, "jpeg": 10.0, "mosaic": 4.0, "quantise": 8.0}
"""Levels where none is given: deviation in gray levels, deviation in pixels, quality, pixels along a tile, levels of a colour."""
RANGES = {"noise": (0, 255), "blur": (0, 50), "jpeg": (1, 100), "mosaic": (1, 64), "quantise": (2, 256)}


def read(
    files: Mapping[str, Path], *, degradation: str = "noise", level: float = 0.0, pairs: int = 0, seed: int = 0, crop: int = 0,
    every: int = 1,
) -> tuple[Fold, ...]:  # fmt: skip
    """One fold; columns `image` and `clean`, uint8 [n, 321, 481, 3]; a picture is a unit, upright ones are turned by 90 degrees.

    `level` is how strong the degradation is, the usual one with 0. `noise` is the same for a picture whatever else is read;
    it is rounded to gray levels and cut, as a file of it would be. `mosaic` shows the mean of each tile, `quantise` so many
    levels a colour. Every tenth picture for training is for validation; `pairs`, `crop` and `every` are those of `photo_pairs`.
    """
    if degradation not in USUAL:
        raise unknown("data.degradation", degradation, list(USUAL))
    level = level or USUAL[degradation]
    low, high = RANGES[degradation]
    if not low <= level <= high or min(pairs, seed, crop) < 0 or every < 1:
        raise BenchmarkError(
            f"data.level={level:g} data.pairs={pairs} data.seed={seed} data.crop={crop} data.every={every} is not valid: the "
            f"level of {degradation} is {low} to {high}, every 1 or more, the others are 0 or more. Type data.level=0 for the "
            "usual one."
        )
    train, val = held_out(sorted(path for path in files if path.startswith("bsds500/train/")))
    test = sorted(path for path in files if path.startswith("cbsd68/"))
    parts = ((drawn(train, pairs, seed), 0), (val, crop), (test[::every], crop))
    return (pair_fold(*(_split(files, paths, degradation, level, side) for paths, side in parts)),)


def degraded(clean: np.ndarray, kind: str, level: float, random: np.random.Generator) -> np.ndarray:
    """A picture uint8 [h, w, 3] under one degradation, uint8."""
    if kind == "mosaic":
        return mosaic(clean, int(level))
    if kind == "quantise":
        return levels(np.rint(clean / LEVELS * (level - 1)) / (level - 1))
    shares = clean.astype(np.float32) / np.float32(LEVELS)
    if kind == "noise":
        return levels(shares + level / LEVELS * random.standard_normal(clean.shape))
    return levels(blurred(shares, level) if kind == "blur" else compressed(shares, int(level)))


def mosaic(image: np.ndarray, side: int) -> np.ndarray:
    """Each tile of `side` x `side` pixels [h, w, c] as its mean, halves to the even level; at the far edges tiles are cut."""
    rows, columns = (np.arange(0, size, side) for size in image.shape[:2])
    sums = np.add.reduceat(np.add.reduceat(image.astype(np.float64), rows, 0), columns, 1)
    heights, widths = (
        np.diff(np.append(starts, size)) for starts, size in zip((rows, columns), image.shape[:2], strict=True)
    )
    means = np.rint(sums / (heights[:, None] * widths)[..., None]).astype(np.uint8)
    return np.repeat(np.repeat(means, heights, 0), widths, 1)


def _split(files: Mapping[str, Path], paths: list[str], kind: str, level: float, side: int) -> Split:
    rows = []
    for path in paths:
        photo = read_colours(files[path])
        clean = np.rot90(photo) if photo.shape[0] > photo.shape[1] else photo
        # The number of the picture is its key, so that its noise does not depend on which others are drawn.
        image = degraded(np.ascontiguousarray(clean), kind, level, keyed(int(Path(path).stem)))
        rows.append((image, clean))
    names = [Path(path).stem for path in paths]
    alike([clean for _, clean in rows], names, "crop")
    if side > min(rows[0][1].shape[:2]):
        raise BenchmarkError(f"data.crop={side} is larger than the pictures, {rows[0][1].shape[:2]}. Type data.crop=0.")
    image, clean = (np.stack([middle(one, side) if side else one for one in part]) for part in zip(*rows, strict=True))
    ids = np.array(names)
    return Split({"image": image, "clean": clean}, ids, ids, np.full(len(ids), f"{kind} {level:g}"))
