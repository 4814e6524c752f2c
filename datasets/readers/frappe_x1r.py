"""Frappe_x1 rebuilt: app usage in context, ten categorical fields of local ids, without rows for unknown ids."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from benchmarks.datasets.bundle import Fold
from benchmarks.datasets.readers.click_fields import Vocabulary, click_fold

VERSION = 1
PARTS = {"train": "train", "val": "valid", "test": "test"}


def read(files: Mapping[str, Path]) -> tuple[Fold, ...]:
    """One fold of 288,609 rows by 957 users; sample ids number the rows of each split from 0.

    Validation and test are the official ones, the positives of train too; its negatives were drawn again.
    """
    with np.load(files["frappe_x1r.npz"], allow_pickle=False) as arrays:
        cardinalities = dict(zip(arrays["fields"].tolist(), arrays["cardinality"].tolist(), strict=True))
        parts = {
            part: (np.arange(len(arrays[f"{name}_y"])), arrays[f"{name}_x"].astype(np.int32), arrays[f"{name}_y"])
            for part, name in PARTS.items()
        }
    vocabulary = Vocabulary(
        {field: [str(value) for value in range(rows)] for field, rows in cardinalities.items()}, oov=False
    )
    return (click_fold(vocabulary, parts, user_field="user", item_field="item"),)
