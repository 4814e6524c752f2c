"""How many dimensions a network's features fill under every set of bands: their singular values, and three effective ranks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, cast

import numpy as np
import torch
from torch import Tensor

from benchmarks.canvas import FAINT, SOFT, TEXT, TITLE, Canvas, Stroke
from benchmarks.datasets.bundle import Split
from benchmarks.hyperspectral.scenes import colours
from benchmarks.models.sparse_object.lowrankness import of_singular_values
from benchmarks.solver import NetworkSolver

if TYPE_CHECKING:
    from benchmarks.hyperspectral.task import Hyperspectral

WIDE, HIGH = 620, 260
"""Pixels of the diagram."""
DECADES = 4
"""Singular values that are drawn reach so many powers of ten below the first."""


class FeatureRank(NamedTuple):
    """Effective ranks of features by the singular values s of their centred matrix.

    `rankme`: exp of the entropy of s / sum s (Garrido et al., RankMe, ICML 2023). `participation`: (sum s^2)^2 / sum s^4.
    `stable`: sum s^2 / max s^2. All lie between 1 and the number of dimensions; features that do not differ have 0.
    """

    rankme: float
    participation: float
    stable: float


def feature_rank(values: np.ndarray) -> FeatureRank:
    """The three ranks of singular values [d] in descending order."""
    if not values[0] > 0:
        return FeatureRank(0.0, 0.0, 0.0)
    squared = (values.astype(np.float64) / values[0]) ** 2
    total = squared.sum()
    return FeatureRank(of_singular_values(values).effective_rank, float(total**2 / (squared**2).sum()), float(total))


@torch.inference_mode()
def singular_values(solver: NetworkSolver, split: Split, condition: str, at_once: int = 8) -> np.ndarray:
    """Of the centred features of all windows that the condition's samples are cut to, one row a patch: [d], descending.

    Features are what the head reads, `embedding` of the network. They are summed up in float64 and never held together, so
    that values below 1e-8 of the first are noise.
    """
    count, total, squares = 0, torch.zeros(()), torch.zeros(())
    for cube, wavelengths in _windows(solver, split, condition, at_once):
        rows = solver.network.embedding(cube, wavelengths).flatten(2).transpose(1, 2).flatten(0, 1)  # type: ignore[operator]
        rows = rows.double().cpu()
        count, total, squares = count + len(rows), total + rows.sum(0), squares + rows.T @ rows
    spread = squares - torch.outer(total, total) / count
    return torch.linalg.eigvalsh(spread).flip(0).clamp(min=0).sqrt().numpy()


def _windows(solver: NetworkSolver, split: Split, condition: str, at_once: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Cubes [n, c, window, window] of a condition and their wavelengths [c]; what is left over at the edges is left out."""
    task, side = cast("Hyperspectral", solver.task), int(solver.schema["window"])
    rows = np.flatnonzero(np.asarray(split.conditions) == condition)
    bands = torch.from_numpy(split.columns["bands"][rows[0]])
    given = bands.isfinite()
    for start in range(0, len(rows), at_once):
        cube = torch.from_numpy(split.columns["cube"][rows[start : start + at_once]])[:, given]
        parts = cube.unfold(2, side, side).unfold(3, side, side).permute(0, 2, 3, 1, 4, 5).flatten(0, 2)
        yield task.seen(parts.to(solver.device)), bands[given].to(solver.device)


def draw_features(path: Path, solver: NetworkSolver, split: Split) -> dict[str, FeatureRank]:
    """A diagram of singular values under every condition, with their effective ranks; gives these."""
    names = list(dict.fromkeys(np.asarray(split.conditions).tolist()))
    values = {name: singular_values(solver, split, name) for name in names}
    ranks = {name: feature_rank(found) for name, found in values.items()}
    palette = ["#{:02x}{:02x}{:02x}".format(*colour[:3]) for colour in colours(len(names)).values()]
    left, top = 50, 60
    picture = Canvas(left + WIDE + 20, top + HIGH + 40 + 22 * len(names))
    picture.text((10, 28), "Singular values of the features of test windows, in shares of the first", TITLE)
    for power in range(DECADES + 1):
        y = top + HIGH * power / DECADES
        picture.line(np.array([(left, y), (left + WIDE, y)]), FAINT)
        picture.text((left - 6, y + 4), f"{10.0**-power:g}", TEXT, SOFT, "rs")
    for line, (name, colour) in enumerate(zip(names, palette, strict=True)):
        found, rank = values[name], ranks[name]
        x = left + np.arange(len(found)) / max(1, len(found) - 1) * WIDE
        if found[0] > 0:
            depth = -np.log10(np.maximum(found / found[0], 10.0**-DECADES))
            picture.line(np.stack((x, top + HIGH * depth / DECADES), 1), colour, 1.8)
        words = (
            f"{name}: RankMe {rank.rankme:.1f}, participation ratio {rank.participation:.1f}, stable rank {rank.stable:.1f} "
            f"of {len(found)}"
        )
        picture.legend((left, top + HIGH + 40 + 22 * line), [Stroke(words, [colour], 2)])
    picture.save(path)
    return ranks
