"""The picture of a plan of ranks: what each layer scored, and which share of its weight it got to learn."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby
from pathlib import Path
from typing import Any, cast

import numpy as np
from torch import nn

from benchmarks.canvas import BLUE, FAINT, SOFT, TEXT, TITLE, VERMILLION, Canvas
from benchmarks.models.lowrank.rank_plan import DENSE
from benchmarks.models.lowrank.update import Layer, matrix_shape

EDGE, HEIGHT, SPACE = 10, 120, 46
"""Pixels around the picture, of a row of bars, and above each of them."""
WIDTH, FEWEST = 900, 5
"""Pixels of the bars together, about, and of one of them at least."""
DECADES = 4
"""Powers of ten below the largest score at which bars end."""


def draw_plan(adapted: Mapping[str, Any], network: nn.Module, path: Path) -> None:
    """Writes a PNG file. `adapted` holds `allocation`, `trained`, and `plan` and `scores` by layer (see methods.colora)."""
    plan, scores = adapted["plan"], adapted["scores"]
    bar = max(FEWEST, WIDTH // len(plan))
    picture = Canvas(2 * EDGE + bar * len(plan), 2 * EDGE + 24 + 2 * (HEIGHT + SPACE))
    title = f"{len(plan)} layers in the order of the network, {adapted['trained']:,} parameters learn ({adapted['allocation']})"
    picture.text((EDGE, EDGE + 18), title, TITLE)
    heights = _heights(np.array([scores[name] for name in plan], np.float64))
    largest = max(scores.values())
    words = f"score of a layer by powers of ten, {DECADES} of them; the highest bar is {largest:.2g}"
    _bars(picture, EDGE + 24, bar, heights, np.full(len(plan), False), words, list(plan))
    shares = np.array([learnt_share(plan[name], cast(Layer, network.get_submodule(name))) for name in plan])
    words = "share of its parameters that it learns; those in red all of them"
    _bars(picture, EDGE + 24 + HEIGHT + SPACE, bar, shares, shares == 1, words, list(plan))
    picture.save(path)


def learnt_share(rank: int | str, layer: Layer) -> float:
    """Parameters of an update over those of the weight; 1 where that trains as a whole."""
    if rank == DENSE:
        return 1.0
    rows, columns = matrix_shape(layer.weight)
    return int(rank) * (rows + columns) / (rows * columns)


def _heights(scores: np.ndarray) -> np.ndarray:
    """From 0, `DECADES` powers of ten below the largest score, to 1."""
    with np.errstate(divide="ignore"):
        return (1 + np.log10(scores / scores.max()) / DECADES).clip(0, 1)


def _bars(
    picture: Canvas, top: int, bar: int, heights: np.ndarray, red: np.ndarray, words: str, names: list[str]
) -> None:
    """A row of bars with heights from 0 to 1, some of them red, and the parts of the network below it."""
    picture.text((EDGE, top + 16), words, TEXT, SOFT)
    floor, place = top + 24 + HEIGHT, 0
    for number, height in enumerate(heights):
        x = EDGE + bar * (number + 0.5)
        tip = floor - max(1.0, height * HEIGHT)
        picture.line(np.array([(x, floor), (x, tip)]), VERMILLION if red[number] else BLUE, bar - 1)
    for part, members in groupby(names, key=lambda name: name.partition(".")[0]):
        count, x = len(list(members)), EDGE + bar * place
        picture.line(np.array([(x, floor + 2), (x, floor + 16)]), FAINT, 1)
        if bar * count > 8 * len(part):
            picture.text((x + 3, floor + 15), part, TEXT, SOFT)
        place += count
