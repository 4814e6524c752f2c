"""Pictures of a run: what it answers under every layout beside the truth, and the spectra of the classes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from benchmarks.canvas import FAINT, SOFT, TEXT, TITLE, Canvas, Stroke
from benchmarks.datasets.bundle import Fold
from benchmarks.hyperspectral.features import draw_features
from benchmarks.hyperspectral.metrics import IGNORED, confusion, macro_iou, overall_accuracy
from benchmarks.hyperspectral.scenes import colours
from benchmarks.solver import NetworkSolver, Solver

EDGE, GAP, HEADER = 10, 12, 24
PANEL = 128
"""Pixels of a panel's side, about."""
SHOWN = 4
"""Tiles of a picture."""
BLANK = (225, 228, 232)
"""Where nothing counts."""
WIDE, HIGH = 620, 300
"""Pixels of the diagram of spectra."""


def draw(solver: Solver, fold: Fold, samples: Mapping[str, np.ndarray], folder: Path) -> dict[str, np.ndarray]:
    """`maps.png`, `spectra.png` and, of networks with features, `features.png`, after the fold's name where there are several;
    gives the rows that maps show."""
    before = "" if fold.name == "all" else f"{fold.name}-"
    names = list(fold.training.schema["classes"])
    rows = _maps(folder / f"{before}maps.png", samples, names)
    _spectra(folder / f"{before}spectra.png", fold, names)
    if isinstance(solver, NetworkSolver) and hasattr(solver.network, "embedding"):
        draw_features(folder / f"{before}features.png", solver, fold.test)
    return {f"{before}maps.png": rows}


def painted(classes: np.ndarray, count: int) -> np.ndarray:
    """Class numbers [h, w] in their colours, uint8 [h, w, 3]; 255 is pale."""
    table = np.full((256, 3), BLANK, np.uint8)
    for number, colour in colours(count).items():
        table[number] = colour[:3]
    return table[classes.astype(np.uint8)]


def _maps(path: Path, samples: Mapping[str, np.ndarray], names: list[str]) -> np.ndarray:
    """Truth and answers of a few tiles, a row each: those of the most labelled pixels."""
    layouts = list(dict.fromkeys(samples["condition"].tolist()))
    counts = (samples["label"] != IGNORED).sum((1, 2))
    first = np.flatnonzero(samples["condition"] == layouts[0])
    units = samples["unit"][first[np.argsort(-counts[first], kind="stable")][:SHOWN]].tolist()
    zoom = max(1, PANEL // samples["label"].shape[1])
    side = zoom * samples["label"].shape[1]
    lines = -(-len(names) // 5)
    width = max(2 * EDGE + (1 + len(layouts)) * (side + GAP) - GAP, WIDE)
    top = EDGE + 30 + 22 * lines
    picture = Canvas(width, top + 2 * HEADER + len(units) * (side + GAP + HEADER))
    picture.text(
        (EDGE, EDGE + 18), "Classes of test tiles: the truth, and what is answered from each set of bands", TITLE
    )
    palette = colours(len(names))
    for line in range(lines):
        part = range(5 * line, min(5 * line + 5, len(names)))
        strokes = [Stroke(names[number], ["#{:02x}{:02x}{:02x}".format(*palette[number][:3])], 8) for number in part]
        picture.legend((EDGE, EDGE + 42 + 22 * line), strokes)
    shown = []
    for column, words in enumerate(["truth", *(_scores(samples, layout) for layout in layouts)]):
        name, _, score = words.partition("\n")
        picture.text((EDGE + column * (side + GAP), top + 16), name, TEXT)
        picture.text((EDGE + column * (side + GAP), top + 34), score, TEXT, SOFT)
    for line, unit in enumerate(units):
        y = top + 2 * HEADER + line * (side + GAP + HEADER)
        picture.text((EDGE, y - 4), str(unit), TEXT, SOFT)
        for column, layout in enumerate(layouts):
            row = int(np.flatnonzero((samples["unit"] == unit) & (samples["condition"] == layout))[0])
            shown.append(row)
            truth = samples["label"][row]
            if column == 0:
                picture.image((EDGE, y), painted(truth, len(names)), zoom)
            answer = np.where(truth == IGNORED, IGNORED, samples["prediction"][row])
            picture.image((EDGE + (column + 1) * (side + GAP), y), painted(answer, len(names)), zoom)
    picture.save(path)
    return np.array(shown)


def _scores(samples: Mapping[str, np.ndarray], layout: str) -> str:
    rows = samples["condition"] == layout
    total = confusion({name: column[rows] for name, column in samples.items()}).sum(0)
    return f"{layout}\nmIoU {macro_iou(total):.2f}, OA {overall_accuracy(total):.2f}"


def _spectra(path: Path, fold: Fold, names: list[str]) -> None:
    """The mean standardised spectrum of each class over the test tiles' pixels, from all bands."""
    test = fold.test
    rows = np.flatnonzero(np.asarray(test.conditions) == "all")
    bands = test.columns["bands"][rows[0]]
    given = np.isfinite(bands)
    cube, label = test.columns["cube"][rows][:, given], test.columns["label"][rows]
    low, high = float(bands[given].min()), float(bands[given].max())
    picture = Canvas(2 * EDGE + 30 + WIDE, HIGH + 100)
    picture.text(
        (EDGE, EDGE + 18), "Mean spectra of the classes in the test tiles, in the range that networks see", TITLE
    )
    left, top = EDGE + 30, EDGE + 34
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        y = top + (1 - share) * HIGH
        picture.line(np.array([(left, y), (left + WIDE - EDGE, y)]), FAINT)
        picture.text((left - 6, y + 4), f"{share:g}", TEXT, SOFT, "rs")
    place = left + (bands[given] - low) / max(high - low, 1e-9) * (WIDE - EDGE)
    for number, colour in colours(len(names)).items():
        inside = label == number
        if inside.any():
            mean = np.moveaxis(cube, 1, -1)[inside].mean(0)
            picture.line(np.stack((place, top + (1 - mean) * HIGH), 1), "#{:02x}{:02x}{:02x}".format(*colour[:3]), 1.8)
    picture.text((left, top + HIGH + 20), f"{low:.0f} nm", TEXT, SOFT)
    picture.text((left + WIDE - EDGE, top + HIGH + 20), f"{high:.0f} nm", TEXT, SOFT, "rs")
    picture.save(path)
