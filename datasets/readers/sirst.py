"""SIRST: infrared small targets in real images, with the official lists of train, val and test."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from benchmarks.datasets.bundle import Fold
from benchmarks.datasets.readers.object_masks import Pair, fold_of, split_of
from benchmarks.errors import unknown

VERSION = 1
LISTS = ("idx_427", "idx_320")


def read(files: Mapping[str, Path], *, lists: str = "idx_427", size: int = 256) -> tuple[Fold, ...]:
    """One fold by the official lists `idx_427` or `idx_320`, images and masks resized to `size` (0: as they are)."""
    if lists not in LISTS:
        raise unknown("lists of sirst:", lists, LISTS)

    def pair(name: str) -> Pair:
        return files[f"images/{name}.png"], files[f"masks/{name}_pixels0.png"]

    names = {
        part: files[f"{lists}/{part}.txt"].read_text(encoding="utf-8").split() for part in ("train", "val", "test")
    }
    return fold_of(*(split_of(names[part], pair, size) for part in ("train", "val", "test")))
