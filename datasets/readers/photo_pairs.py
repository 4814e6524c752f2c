"""Degraded photographs with their clean partners: any layout of paths, real or synthetic, as files or in archives."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

import numpy as np

from benchmarks.datasets.bundle import Fold, Split, TrainingData
from benchmarks.datasets.readers.pair_paths import Pair, PairFiles, dealt, listed_parts
from benchmarks.datasets.readers.pair_pixels import Cut, blocks_split, pair_split
from benchmarks.errors import BenchmarkError

T = TypeVar("T")

VERSION = 1
DRAWN = 100
"""Added to the seed by which pairs are drawn."""


def read(
    files: Mapping[str, Path], *, image: str = "{part}/input/{name}", clean: str = "{part}/target/{name}",
    condition: str = "degraded", kinds: str = "", train: str = "", val: str = "", test: str = "", lists: str = "",
    columns: str = "", train_units: int = 0, test_units: int = 0, val_units: int = 1, val_pairs: int = 32, split_seed: int = 7,
    pairs: int = 0, seed: int = 0, crop: int = 0, every: int = 1, tile: int = 0, tiles: int = 1, blocks: str = "",
    skip: str = "",
) -> tuple[Fold, ...]:  # fmt: skip
    """One fold; columns `image` (degraded) and `clean`, both uint8 [n, h, w, 3]; units are scenes, conditions degradations.

    `image` and `clean` are the ends of the paths of a pair, such as `{part}/{scene}/blur/{name}.png`: what stands in braces is
    any text without a slash and the same in both. `{scene}` is the unit (without it each image is one), `{kind}` may be any of
    `kinds`, and `condition` is a name or `{kind}`.

    Which pairs train and which are tested is told by one of these: `{part}`, of which `train`, `val` and `test` are the values
    (several are separated by commas); `lists`, two text files of training and of test, whose lines name the paths of a pair
    in `columns`; `train_units`, the first so many of the units in an order that is drawn by `split_seed`; `test_units`, the last
    so many by name. `train_units` may also choose within what `{part}` or `lists` have for training. `blocks` are two MATLAB
    files of test images and their partners, [images, blocks, h, w, 3]. `skip` names images that are known to have no partner.

    Of what trains, `val_units` units are validation, and no more than `val_pairs` pairs. `pairs` are how many of the others are
    read, drawn by `seed`, smaller draws being parts of larger ones; 0 are all. Each is cut to `tiles` squares of `tile`
    pixels at places drawn by `seed`; 0 leaves it whole. Validation and test are cut to their middle squares of `crop` pixels,
    0 leaves them whole, and of test only every `every`-th pair is taken.

    Gray images become three equal colours, transparency is ignored, 16 bits become 8. Raises BenchmarkError for a pair without
    partner or of two sizes, images that are smaller than 16 pixels or unlike the others of their part, and a part without any.
    """
    if (
        min(pairs, seed, crop, tile, train_units, test_units, split_seed) < 0
        or min(every, tiles, val_units, val_pairs) < 1
    ):
        raise BenchmarkError(
            "data.pairs, data.seed, data.crop, data.tile, data.train_units, data.test_units and data.split_seed are 0 or more; "
            "data.every, data.tiles, data.val_units and data.val_pairs are 1 or more."
        )
    with PairFiles(files, image, clean) as found:
        parts = {"train": _names(train), "val": _names(val), "test": _names(test)}
        if lists:
            pools = listed_parts(found, _names(lists), columns)
        else:
            pools = by_part(found.pairs(_names(kinds), _names(skip)), parts, bool(blocks))
        training, judged, tested = dealt(*pools, train_units, test_units, val_units, split_seed)
        seen = drawn(training, pairs, seed)
        whole = Cut(crop)
        judged = judged[:: max(1, -(-len(judged) // val_pairs))]
        splits = [
            pair_split(found, seen, Cut(tile, tiles, seed), condition, "train"),
            pair_split(found, judged, whole, condition, "val"),
        ]
        if blocks:
            splits.append(blocks_split(files, _names(blocks), condition, every, crop))
        else:
            splits.append(pair_split(found, tested[::every], whole, condition, "test"))
    return (pair_fold(*splits),)


def pair_fold(train: Split, val: Split, test: Split) -> Fold:
    """A fold whose schema says how large training images are and how many pairs there are."""
    height, width = train.columns["image"].shape[1:3]
    return Fold("all", TrainingData(train, val, {"height": height, "width": width, "pairs": len(train)}), test)


def by_part(
    pairs: list[Pair], parts: Mapping[str, list[str]], elsewhere: bool
) -> tuple[list[Pair], list[Pair], list[Pair]]:
    """Pairs for training, validation and test by their `{part}`; without one all are for training until units are dealt.

    With `elsewhere` the test images are in files of their own.
    """
    if not any(parts.values()):
        return pairs, [], []
    given = {pair.part for pair in pairs}
    for option, names in parts.items():
        if missing := [name for name in names if name not in given]:
            raise BenchmarkError(
                f"No pair is of the part '{missing[0]}' that data.{option} names; there are {', '.join(sorted(given))}."
            )
    chosen = {option: [pair for pair in pairs if pair.part in names] for option, names in parts.items()}
    return chosen["train"], chosen["val"], [] if elsewhere else chosen["test"]


def drawn(listed: list[T], pairs: int, seed: int) -> list[T]:
    """So many pairs by `seed`, in the order in which they stand; raises BenchmarkError where there are fewer."""
    if pairs > len(listed):
        raise BenchmarkError(
            f"data.pairs={pairs} is more than the {len(listed)} pairs for training. Type data.pairs=0 for all of them."
        )
    if not pairs:
        return listed
    chosen = np.random.default_rng(DRAWN + seed).permutation(len(listed))[:pairs]
    return [listed[number] for number in sorted(chosen.tolist())]


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]
