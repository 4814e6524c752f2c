"""The pictures of a run: what it forecast, and the space in which it did."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from benchmarks.datasets.bundle import Fold
from benchmarks.models.trajectory.forecaster import Forecaster
from benchmarks.solver import NetworkSolver, Solver
from benchmarks.trajectory.descriptor_picture import draw_descriptor
from benchmarks.trajectory.forecast_picture import draw_forecasts


def draw(solver: Solver, fold: Fold, samples: Mapping[str, np.ndarray], folder: Path) -> dict[str, np.ndarray]:
    """`SCENE-forecasts.png` and, of a solver that forecasts from anchors, `SCENE-descriptor.png`.

    `samples` are the fold's test samples as they were scored, in the order of the split. Gives the rows of the
    pedestrians whose forecasts are drawn.
    """
    schema = fold.training.schema
    scene = str(schema["scene"])
    observed = fold.test.columns["obs"]
    shown = draw_forecasts(folder / f"{scene}-forecasts.png", scene, observed, samples, schema["step_seconds"])
    if isinstance(solver, NetworkSolver) and isinstance(solver.network, Forecaster) and solver.network.anchors.any():
        draw_descriptor(folder / f"{scene}-descriptor.png", scene, solver.network)
    return {f"{scene}-forecasts.png": shown}
