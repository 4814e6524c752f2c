"""The picture of a run: what it found, missed and marked wrongly in images from the worst to the best."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from benchmarks.datasets.bundle import Fold
from benchmarks.medseg.classes import pieces
from benchmarks.segmentation.overlays import draw_detections, typical


def draw(fold: Fold, samples: Mapping[str, np.ndarray], folder: Path) -> dict[str, list[int]]:
    """`detections.png`, after the fold's name where there are several folds; gives the rows of the images that it shows."""
    name = "detections.png" if fold.name == "all" else f"{fold.name}-detections.png"
    found = pieces(samples)
    # Of several classes, what is any of them.
    objects = np.asarray(found.mask.any(1))
    samples = {"id": samples["id"], "probability": found.probability.sum(1), "mask": objects}
    chosen = typical(samples)
    draw_detections(folder / name, fold.test.columns["image"], samples, chosen)
    return {name: chosen}
