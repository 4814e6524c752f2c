"""The picture of a run: cubes in three of their bands as they were seen, restored and clean, and where the error is."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from pathlib import Path

import numpy as np

from benchmarks.canvas import SOFT, TEXT, TITLE, Canvas
from benchmarks.datasets.bundle import Fold
from benchmarks.hsi_restoration.scenes import Scene, enlarged, scenes
from benchmarks.segmentation.overlays import EDGE, GAP, HEADER, fit

MOST, PANEL = 4, 200
"""Cubes that are shown, and pixels of a panel's longer side, about."""
ERROR = 0.1
"""The root mean squared error of a pixel that is drawn black."""
COLUMNS = ("seen", "restored", "clean", f"error, black from {ERROR:g}")


def draw(fold: Fold, samples: Mapping[str, np.ndarray], folder: Path) -> dict[str, np.ndarray]:
    """`cubes.png`, after the fold's name where there are several. Gives the rows of the tiles that it shows."""
    shown = list(islice(scenes(samples), MOST))
    sizes = [scene.whole(scene.clean).shape[1:] for scene in shown]
    places = [fit(size, PANEL) for size in sizes]
    heights = [zoom * -(-size[0] // step) for size, (zoom, step) in zip(sizes, places, strict=True)]
    widest = max(zoom * -(-size[1] // step) for size, (zoom, step) in zip(sizes, places, strict=True))
    picture = Canvas(
        2 * EDGE + len(COLUMNS) * (widest + GAP), 2 * EDGE + 48 + sum(heights) + len(shown) * (HEADER + GAP)
    )
    picture.text((EDGE, EDGE + 18), "Three bands of each cube, on the range of the clean ones", TITLE)
    for column, title in enumerate(COLUMNS):
        picture.text((EDGE + column * (widest + GAP), EDGE + 40), title, TEXT, SOFT)
    top = EDGE + 48
    for scene, (zoom, step), height in zip(shown, places, heights, strict=True):
        name = str(samples["group"][scene.rows[0]] if "group" in samples else samples["id"][scene.rows[0]])
        bands = _bands(scene)
        picture.text((EDGE, top + 16), f"{name}: bands {', '.join(map(str, bands))}", TEXT, SOFT)
        for column, panel in enumerate(_panels(scene, fold.test.columns["noisy"][scene.rows], bands)):
            place = (EDGE + column * (widest + GAP), top + HEADER)
            picture.image(place, np.ascontiguousarray(panel[::step, ::step]), zoom)
        top += height + HEADER + GAP
    name = "cubes.png" if fold.name == "all" else f"{fold.name}-cubes.png"
    picture.save(folder / name)
    return {name: np.concatenate([scene.rows for scene in shown])}


def _bands(scene: Scene) -> list[int]:
    """The bands in the middle of three equal parts of the spectrum, the last one red."""
    count = scene.clean.shape[1]
    return [count * part // 6 for part in (5, 3, 1)]


def _panels(scene: Scene, noisy: np.ndarray, bands: list[int]) -> list[np.ndarray]:
    """uint8 [h, w, 3] each; a lower resolution is shown in larger pixels."""
    clean = scene.whole(scene.clean)
    low, high = (np.quantile(clean[bands], share, axis=(1, 2))[:, None, None] for share in (0.01, 0.99))
    seen = scene.whole(enlarged(noisy[:, bands].astype(np.float64), scene.factor))

    def colours(cube: np.ndarray) -> np.ndarray:
        share = (np.nan_to_num(cube) - low) / np.maximum(high - low, 1e-6)
        return np.rint(255 * share.clip(0, 1)).astype(np.uint8).transpose(1, 2, 0)

    restored = scene.whole(scene.restored)
    error = np.sqrt(np.square(restored - clean).mean(0))
    gray = np.rint(255 * (1 - (error / ERROR).clip(0, 1))).astype(np.uint8)
    return [colours(seen), colours(restored[bands]), colours(clean[bands]), np.repeat(gray[..., None], 3, 2)]
