"""The pixels of pairs: decoding, squares out of them, and splits of one size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.datasets.bundle import Split
from benchmarks.datasets.matlab import read_mat
from benchmarks.datasets.prod import keyed
from benchmarks.datasets.readers.object_masks import read_alike
from benchmarks.datasets.readers.pair_paths import Pair, PairFiles
from benchmarks.datasets.readers.photo_crops import SMALLEST, middle
from benchmarks.errors import BenchmarkError

PLACE = 2
"""Third part of the key under which the place of a training square is drawn."""


@dataclass(frozen=True)
class Cut:
    """What is taken of each image: the middle square of `side` pixels, or `count` squares drawn by `seed`; with 0 all of it."""

    side: int = 0
    count: int = 1
    seed: int | None = None

    def places(self, height: int, width: int, index: int) -> list[tuple[int, int, int, int]]:
        """Top, left, height and width of each square of image `index`."""
        if not self.side:
            return [(0, 0, height, width)]
        if self.seed is None:
            return [((height - self.side) // 2, (width - self.side) // 2, self.side, self.side)]
        random = keyed(self.seed, index, PLACE)
        tops, lefts = (random.integers(size - self.side + 1, size=self.count) for size in (height, width))
        return [(top, left, self.side, self.side) for top, left in zip(tops.tolist(), lefts.tolist(), strict=True)]


def pair_split(files: PairFiles, pairs: Sequence[Pair], cut: Cut, condition: str, part: str) -> Split:
    """Columns `image` and `clean`, uint8 [n, h, w, 3], of pairs or of squares of them, in the order of the pairs."""
    if not pairs:
        raise BenchmarkError(f"No pair is for {part}. See data.train_units, data.test_units and data.{part}.")
    rows: dict[str, list[np.ndarray]] = {"image": [], "clean": []}
    ids, owners = [], []
    for index, pair in enumerate(pairs):
        both = dict(zip(rows, read_alike([files.read(pair.image), files.read(pair.clean)]), strict=True))
        height, width = fitting(both["image"], both["clean"], pair.name)
        if cut.side > min(height, width):
            option = "crop" if cut.seed is None else "tile"
            raise BenchmarkError(
                f"data.{option}={cut.side} is larger than '{pair.name}', {height} x {width}. Type data.{option}="
                f"{min(height, width)} or less."
            )
        for top, left, high, wide in cut.places(height, width, index):
            for name, pixels in both.items():
                square = pixels[top : top + high, left : left + wide]
                # A view would hold all of the picture until the last one is read.
                rows[name].append(square if square.size == pixels.size else square.copy())
            ids.append(pair.name if (high, wide) == (height, width) else f"{pair.name} {top},{left}")
            owners.append(pair)
    alike(rows["image"], ids, "tile" if part == "train" else "crop")
    return Split(
        {name: np.stack(pixels) for name, pixels in rows.items()},
        np.array(ids),
        np.array([pair.unit for pair in owners]),
        np.array([condition.replace("{kind}", pair.kind) for pair in owners]),
    )


def fitting(image: np.ndarray, clean: np.ndarray, name: str) -> tuple[int, int]:
    """Height and width of a pair; raises BenchmarkError where the two differ or are too small."""
    if image.shape != clean.shape:
        raise BenchmarkError(
            f"'{name}' is {image.shape[0]} x {image.shape[1]} and its clean partner {clean.shape[0]} x {clean.shape[1]}; they "
            "must have one size."
        )
    if min(image.shape[:2]) < SMALLEST:
        raise BenchmarkError(
            f"'{name}' is {image.shape[0]} x {image.shape[1]}; images need {SMALLEST} pixels along each side."
        )
    return image.shape[0], image.shape[1]


def alike(images: Sequence[np.ndarray], names: Sequence[str], option: str) -> None:
    """Raises BenchmarkError where images of one part differ in size."""
    sizes = {image.shape[:2]: name for image, name in zip(images, names, strict=True)}
    if len(sizes) > 1:
        (first, one), (second, two) = list(sizes.items())[:2]
        side = min(min(size) for size in sizes)
        raise BenchmarkError(
            f"'{one}' is {first[0]} x {first[1]} and '{two}' {second[0]} x {second[1]}; images of one part need one size. Type "
            f"data.{option}={side} to take squares of them."
        )


def blocks_split(files: Mapping[str, Path], names: Sequence[str], condition: str, every: int, crop: int) -> Split:
    """Test images out of two MATLAB files, degraded and clean, each with one array uint8 [images, blocks, h, w, 3]."""
    if len(names) != 2:
        raise BenchmarkError(f"data.blocks={', '.join(names)} is not valid: two files, degraded and clean.")
    both = []
    for name in names:
        held = {key: value for key, value in read_mat(files[name], name).items() if not key.startswith("__")}
        arrays = [value for value in held.values() if value.ndim == 5 and value.shape[-1] == 3]
        if len(arrays) != 1 or arrays[0].dtype != np.uint8:
            raise BenchmarkError(
                f"{name} must hold one array uint8 [images, blocks, height, width, 3]; it has {list(held)}."
            )
        both.append(arrays[0])
    if both[0].shape != both[1].shape:
        raise BenchmarkError(
            f"{names[0]} is {both[0].shape} and {names[1]} {both[1].shape}; they must be of one shape."
        )
    count, blocks = both[0].shape[:2]
    rows = np.arange(count * blocks)[::every]
    made = [array.reshape(-1, *array.shape[2:])[rows] for array in both]
    if crop > min(made[0].shape[1:3]):
        raise BenchmarkError(f"data.crop={crop} is larger than the blocks, {made[0].shape[1:3]}. Type data.crop=0.")
    image, clean = (np.stack([middle(one, crop) for one in array]) if crop else array for array in made)
    ids = np.array([f"image {row // blocks} block {row % blocks}" for row in rows])
    return Split({"image": image, "clean": clean}, ids, np.array([f"image {row // blocks}" for row in rows]),
                 np.full(len(rows), condition))  # fmt: skip
