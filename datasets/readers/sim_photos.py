"""Made-up photographs under PROD: smoke runs of pretraining and of fine-tuning, without a file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from benchmarks.datasets.bundle import Fold
from benchmarks.datasets.readers.photo_crops import checked, pretraining_fold
from benchmarks.datasets.readers.sim_cube import photograph

VERSION = 1
PARTS = {"train": 6, "val": 2, "test": 2}
"""Pictures of each part."""


def read(
    files: Mapping[str, Path], *, samples: int = 64, patch: int = 32, degradations: str = "prod", val_samples: int = 8,
    seed: int = 0,
) -> tuple[Fold, ...]:  # fmt: skip
    """One fold of pictures of twice the side of a patch."""
    checked(samples, patch, degradations, val_samples, seed)
    random = np.random.default_rng([seed, 2])
    parts = (
        {f"{part}{number}": photograph(2 * patch, random) for number in range(count)} for part, count in PARTS.items()
    )
    return pretraining_fold(
        *parts, samples=samples, patch=patch, degradations=degradations, val_samples=val_samples, seed=seed
    )
