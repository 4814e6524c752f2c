"""Photographs of BSDS500 that a restorer is pretrained on with PROD."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from benchmarks.datasets.bundle import Fold
from benchmarks.datasets.readers.object_masks import read_colours
from benchmarks.datasets.readers.photo_crops import checked, held_out, pretraining_fold

VERSION = 1


def read(
    files: Mapping[str, Path], *, samples: int = 16000, patch: int = 128, degradations: str = "prod", val_samples: int = 64,
    seed: int = 0, without: str = "",
) -> tuple[Fold, ...]:  # fmt: skip
    """One fold: pictures of the official training part, every tenth of them for validation, and of the official test part.

    None is of the official validation part, in which all of CBSD68 lies; `without` are numbers of pictures that are left out.
    """
    checked(samples, patch, degradations, val_samples, seed)
    left_out = without.replace(",", " ").split()
    train, val = held_out(sorted(path for path in files if "/train/" in path and Path(path).stem not in left_out))
    test = sorted(path for path in files if "/test/" in path)
    parts = ({Path(path).stem: read_colours(files[path]) for path in paths} for paths in (train, val, test))
    return pretraining_fold(
        *parts, samples=samples, patch=patch, degradations=degradations, val_samples=val_samples, seed=seed
    )
