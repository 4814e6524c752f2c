"""Trajectory forecasting: eight observed positions of every pedestrian in, twenty futures of twelve positions out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from benchmarks.datasets.bundle import Split
from benchmarks.models.trajectory.build import build
from benchmarks.models.trajectory.forecaster import Forecaster
from benchmarks.task import Batch, Outputs, Task
from benchmarks.trajectory.metrics import METRICS, UNIT


class Trajectory(Task):
    """Paths `obs` [B, T, 2] of pedestrians in windows `group` [B]; networks answer forecasts and their probabilities.

    With `mirror`, half of the windows of a training batch are seen in a mirror, which turns left into right.
    """

    metrics = METRICS
    unit = UNIT
    target_names = ("pred",)
    latency_batches = (1, 57)

    def __init__(self, mirror: bool = True) -> None:
        super().__init__()
        self.mirror = mirror

    def network(self, model: str, settings: Mapping[str, Any], schema: Mapping[str, Any]) -> nn.Module:
        return build(model, schema["obs_len"], schema["pred_len"], **settings)

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        """What the best of all forecasts misses: coefficients, mean and final displacement; and which one that is.

        The three minima are taken independently, as in the paper (equation 9); the fourth term, a cross-entropy, teaches
        the probabilities. Distances are the same in every frame, so nothing is carried back to world coordinates.
        """
        forecaster = cast(Forecaster, network)
        obs, pred = batch["obs"], batch["pred"]
        if self.mirror:
            sign = torch.ones_like(obs[:, 0])
            sign[:, 1] = 1 - 2 * torch.randint(2, (len(obs),), device=obs.device)[batch["group"]]
            obs, pred = obs * sign[:, None], pred * sign[:, None]
        seen = forecaster.observe(obs, batch["group"])
        coefficients, logits = forecaster.refine(seen)
        local, truth = forecaster.describe(seen, pred)
        error = (forecaster.paths(seen, coefficients) - local[:, None]).norm(dim=3) / seen.frame.scale[:, None, None]
        displacement = error.mean(2)
        coefficient_error = (coefficients - truth[:, None]).norm(dim=2)
        best = displacement.detach().argmin(1)
        return (
            coefficient_error.amin(1).mean()
            + displacement.amin(1).mean()
            + error[:, :, -1].amin(1).mean()
            + cross_entropy(logits, best)
        )

    def predict(self, network: nn.Module, batch: Batch) -> Outputs:
        forecast, probability = network(batch["obs"], batch["group"])
        return {"forecast": forecast, "probability": probability}

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
