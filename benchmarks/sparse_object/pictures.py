"""The pictures of a run: what it detected, and what every stage of an unfolded network makes of an image."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import cast

import numpy as np
import torch

from benchmarks.canvas import SOFT, TEXT, TITLE, Canvas
from benchmarks.datasets.bundle import Fold
from benchmarks.models.sparse_object.lowrankness import hoyer_sparsity, low_rankness
from benchmarks.models.sparse_object.rpcanet import RPCANet
from benchmarks.models.sparse_object.rpcanet_pp import RPCANetPlusPlus
from benchmarks.segmentation.overlays import EDGE, GAP, HEADER, draw_detections, fit, typical
from benchmarks.segmentation.pixels import in_field
from benchmarks.solver import NetworkSolver, Solver
from benchmarks.sparse_object.task import Segmenter, scaled

STAGE_PANEL = 150
"""Pixels of a panel's longer side, about."""


def draw(solver: Solver, fold: Fold, samples: Mapping[str, np.ndarray], folder: Path) -> dict[str, list[int]]:
    """`detections.png` and, of an unfolded network, `stages.png`, after the fold's name where there are several folds.

    `samples` are the fold's test samples as they were scored. Gives the rows of the images that each shows.
    """
    before = "" if fold.name == "all" else f"{fold.name}-"
    images, samples = fold.test.columns["image"], in_field(samples)
    chosen = typical(samples)
    draw_detections(folder / f"{before}detections.png", images, samples, chosen)
    if isinstance(solver, NetworkSolver) and isinstance(solver.network, RPCANet | RPCANetPlusPlus):
        draw_stages(folder / f"{before}stages.png", solver, images[chosen[-1]], str(samples["id"][chosen[-1]]))
        return {f"{before}detections.png": chosen, f"{before}stages.png": chosen[-1:]}
    return {f"{before}detections.png": chosen}


def draw_stages(path: Path, solver: NetworkSolver, image: np.ndarray, name: str) -> None:
    """Background, objects and reconstruction of every stage, each stretched to its own range, with measures of their rank.

    The loss sees the last stage alone: those before it need not look like what they are called.
    """
    network = cast(RPCANet, solver.network)
    with torch.inference_mode():
        seen = scaled(cast(Segmenter, network), torch.from_numpy(image[None]).to(solver.device))
        stages = [tuple(part[0, 0].float().cpu().numpy() for part in stage) for stage in network.decompose(seen)]
    zoom, step = fit(image.shape, STAGE_PANEL)
    height, width = (zoom * -(-size // step) for size in image.shape)
    picture = Canvas(2 * EDGE + 90 + len(stages) * (width + GAP), 2 * EDGE + 48 + 3 * (height + HEADER + GAP))
    rank = low_rankness(image).energy_rank
    picture.text((EDGE, EDGE + 18), f"{name}: what every stage makes of the image", TITLE)
    picture.text(
        (EDGE, EDGE + 40), f"rank: singular values with 99 % of the energy; of the image itself {rank}", TEXT, SOFT
    )
    for row, title in enumerate(("background", "objects", "image")):
        y = EDGE + 48 + row * (height + HEADER + GAP)
        picture.text((EDGE, y + HEADER + height / 2), title)
        for stage, parts in enumerate(stages):
            part = np.maximum(parts[row], 0) if title == "objects" else parts[row]
            measure = (
                f"sparsity {hoyer_sparsity(part):.2f}"
                if title == "objects"
                else f"rank {low_rankness(part).energy_rank}"
            )
            x = EDGE + 90 + stage * (width + GAP)
            picture.text((x, y + 16), f"{stage + 1}: {measure}", TEXT, SOFT)
            low, high = float(part.min()), float(part.max())
            levels = np.rint(255 * (part - low) / ((high - low) or 1)).astype(np.uint8)
            picture.image((x, y + HEADER), np.repeat(levels[::step, ::step, None], 3, 2), zoom)
    picture.save(path)
