"""Trajectory networks by their short names."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from torch import nn

from benchmarks import errors
from benchmarks.models.trajectory import baselines
from benchmarks.models.trajectory.forecaster import Forecaster
from benchmarks.models.trajectory.mlp import MLPPredictor
from benchmarks.models.trajectory.ridge import RidgePredictor
from benchmarks.models.trajectory.sgcn import SGCNPredictor
from benchmarks.models.trajectory.social import SocialPredictor
from benchmarks.models.trajectory.stgcnn import STGCNNPredictor

NETWORKS: dict[str, type[nn.Module]] = {
    "mlp": MLPPredictor,
    "social": SocialPredictor,
    "stgcnn": STGCNNPredictor,
    "sgcn": SGCNPredictor,
}
"""Predictors, which a descriptor surrounds."""

BASELINES: dict[str, type[nn.Module]] = {
    "stay": baselines.Stay,
    "constant_velocity": baselines.ConstantVelocity,
    "kalman": baselines.Kalman,
    "cv_sampling": baselines.SampledVelocity,
}
"""Forecasts without parameters."""

CLOSED_FORM = ("anchors", "ridge")
"""Forecasters without a predictor, and with one that is not trained by gradients."""


def build(name: str, obs_len: int, pred_len: int, space: Mapping[str, Any] | None = None, **options: Any) -> nn.Module:
    """A fresh network; `options` are the arguments of its class.

    `space` gives obs_rank, rank, samples and classes of the descriptor; the methods that fit one name it. Without it the
    predictor works on plain coordinates: 2 * obs_len numbers in, 2 * pred_len out for each of 20 forecasts.
    An unknown name raises BenchmarkError with the nearest one.
    """
    if name in BASELINES:
        asked = inspect.signature(BASELINES[name]).parameters
        lengths = {"obs_len": obs_len, "pred_len": pred_len}
        return BASELINES[name](**{key: length for key, length in lengths.items() if key in asked}, **options)
    if name not in (*NETWORKS, *CLOSED_FORM):
        raise errors.unknown("model", name, NETWORKS)
    sizes = {"obs_rank": 2 * obs_len, "rank": 2 * pred_len, "samples": 20, "classes": 1, **(space or {})}
    if name in CLOSED_FORM:
        ridge = RidgePredictor(**sizes, **options) if name == "ridge" else None
        return Forecaster(ridge, obs_len=obs_len, pred_len=pred_len, **sizes)
    outputs = sizes["samples"] * (sizes["rank"] + 1)
    if "samples" in inspect.signature(NETWORKS[name]).parameters:
        options["samples"] = sizes["samples"]
    predictor = NETWORKS[name](sizes["obs_rank"], outputs, zero_start=space is not None, **options)
    forecaster = Forecaster(predictor, obs_len=obs_len, pred_len=pred_len, **sizes)
    if space is None:
        forecaster.use_coordinates()
    return forecaster
