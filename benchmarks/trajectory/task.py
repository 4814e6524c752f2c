"""Trajectory forecasting: eight observed positions of every pedestrian in, twenty futures of twelve positions out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from benchmarks.datasets.bundle import Fold, Split
from benchmarks.models.trajectory.build import build
from benchmarks.models.trajectory.forecaster import Forecaster
from benchmarks.solver import Solver
from benchmarks.task import Batch, Outputs, Task
from benchmarks.trajectory.metrics import METRICS, UNIT


class Trajectory(Task):
    """Paths `obs` [B, T, 2] of pedestrians in windows `group` [B]; networks answer forecasts and their probabilities.

    With `mirror`, half of the windows of a training batch are seen in a mirror, which turns left into right. With `stretch`,
    windows are drawn larger or smaller by a log-normal factor of that deviation, since a new scene has another pace.
    """

    metrics = METRICS
    unit = UNIT
    target_names = ("pred",)
    latency_batches = (1, 57)

    def __init__(self, mirror: bool = True, stretch: float = 0.0) -> None:
        super().__init__()
        self.mirror, self.stretch = mirror, stretch

    def network(self, model: str, settings: Mapping[str, Any], schema: Mapping[str, Any]) -> nn.Module:
        return build(model, schema["obs_len"], schema["pred_len"], **settings)

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        """What the best of all forecasts misses: coefficients, mean and final displacement; and which one that is.

        The three minima are taken independently, as in the paper; the fourth term, a cross-entropy, teaches the
        probabilities. Distances are the same in every frame, so nothing is carried back to world coordinates.
        """
        forecaster = cast(Forecaster, network)
        obs, pred = self._varied(batch)
        seen = forecaster.observe(obs, batch["group"])
        coefficients, logits = forecaster.refine(seen)
        local, truth = forecaster.describe(seen, pred)

        def misses(chosen: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            error = (forecaster.paths(seen, chosen) - local[:, None]).norm(dim=3) / seen.frame.scale[:, None, None]
            return (chosen - truth[:, None]).norm(dim=2), error.mean(2), error[:, :, -1]

        # Only the best forecasts have a gradient, so the others are not differentiated at all.
        with torch.no_grad():
            best = [miss.argmin(1) for miss in misses(coefficients)]
        rows = torch.arange(len(obs), device=obs.device)[:, None]
        nearest = misses(coefficients[rows, torch.stack(best, 1)])
        missed = sum(miss[:, index].mean() for index, miss in enumerate(nearest))
        return missed + cross_entropy(logits, best[1])

    def _varied(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Observed and future paths, each window as it is, in a mirror, or at another size."""
        obs = batch["obs"]
        factor = torch.ones_like(obs[:, 0])
        if self.mirror:
            factor[:, 1] = 1 - 2 * torch.randint(2, (len(obs),), device=obs.device)[batch["group"]]
        if self.stretch:
            factor = factor * (self.stretch * torch.randn(len(obs), 1, device=obs.device)).exp()[batch["group"]]
        return obs * factor[:, None], batch["pred"] * factor[:, None]

    def predict(self, network: nn.Module, batch: Batch) -> Outputs:
        forecast, probability = network(batch["obs"], batch["group"])
        return {"forecast": forecast, "probability": probability}

    def example(self, schema: Mapping[str, Any], size: int) -> Batch:
        """Windows of three people who walk at random speeds, every fourth of whom stands."""
        generator = torch.Generator().manual_seed(0)
        steps = 0.5 * torch.randn(size, 1, 2, generator=generator) + 0.05 * torch.randn(
            size, schema["obs_len"], 2, generator=generator
        )
        steps[::4] = 0
        start = 5 * torch.rand(size, 1, 2, generator=generator)
        return {"obs": start + steps.cumsum(1), "group": torch.arange(size) // 3}

    def pictures(
        self, solver: Solver, fold: Fold, samples: Mapping[str, np.ndarray], folder: Path
    ) -> Mapping[str, Sequence[int] | np.ndarray]:
        """Forecasts in the windows with most pedestrians, and the anchors and directions of the descriptor."""
        from benchmarks.trajectory.pictures import draw

        return draw(solver, fold, samples, folder)

    def read_input(self, path: Path, schema: Mapping[str, Any]) -> tuple[Any, Split]:
        """The last observed steps of a recording (CSV, text or Trajnet++ ndjson), one window of all pedestrians in it."""
        from benchmarks.datasets.readers.tracks import read_observed

        raw, obs, pedestrian, _, group = read_observed(path, schema["obs_len"], schema["step_seconds"])
        return (raw, pedestrian), Split({"obs": obs}, np.arange(len(obs)), pedestrian, groups=group)

    def write_output(self, path: Path, raw: Any, outputs: Mapping[str, np.ndarray]) -> None:
        """One line for every pedestrian, forecast and step: its probability and place, most probable forecasts first."""
        import csv

        _, pedestrians = raw
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["pedestrian", "forecast", "probability", "step", "x", "y"])
            for pedestrian, paths, probability in zip(
                pedestrians, outputs["forecast"], outputs["probability"], strict=True
            ):
                for rank, sample in enumerate(np.argsort(-probability, kind="stable"), start=1):
                    for step, (x, y) in enumerate(paths[sample], start=1):
                        writer.writerow([pedestrian, rank, f"{probability[sample]:.4f}", step, f"{x:.4f}", f"{y:.4f}"])
