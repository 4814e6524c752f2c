"""Forecasts without anything learnt: standing still, going on, a Kalman filter, and going on with noise.

Each maps observed paths [B, obs_len, 2] in metres to forecasts [B, S, pred_len, 2] and their probabilities [B, S]. A
pedestrian's forecast depends on that pedestrian alone, so `group` is not used; empty batches are answered.
"""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor, nn

from benchmarks.errors import BenchmarkError, unknown

MASK = 0xFFFFFFFF


class Extrapolation(nn.Module):
    """One forecast that is linear in the observed path: its last point, and `weights` [pred_len, obs_len] of the path from there.

    Weights of a fit or a filter whose rows sum to 1 do the same to a path wherever it is, so they serve as they are.
    """

    weights: Tensor

    def __init__(self, weights: Tensor) -> None:
        super().__init__()
        # Follows from the arguments, so there is nothing to store.
        self.register_buffer("weights", weights.to(torch.float32), persistent=False)

    def forward(self, obs: Tensor, group: Tensor | None = None) -> tuple[Tensor, Tensor]:
        last = obs[:, -1:]
        forecast = last + torch.einsum("to,boc->btc", self.weights, obs - last)
        return forecast[:, None], obs.new_ones(len(obs), 1)


class Stay(Extrapolation):
    """Everybody stays where they were last seen."""

    def __init__(self, obs_len: int = 8, pred_len: int = 12) -> None:
        super().__init__(torch.zeros(pred_len, obs_len))


class ConstantVelocity(Extrapolation):
    """Everybody goes on at the velocity observed, of which there are four forms.

    `last` step, mean of the last `two_step`s, `mean` of all steps, all three from the last point; and `line`, the line of
    least squares through all points, which need not pass the last one. Another form raises BenchmarkError. Schoeller et
    al., What the Constant Velocity Model Can Teach Us About Pedestrian Motion Prediction, RA-L 2020.
    """

    forms: ClassVar[tuple[str, ...]] = ("last", "two_step", "mean", "line")

    def __init__(self, form: str = "last", obs_len: int = 8, pred_len: int = 12) -> None:
        if form not in self.forms:
            raise unknown("form of constant velocity", form, self.forms)
        ahead = _ahead(pred_len)
        if form == "line":
            times = torch.arange(1 - obs_len, 1, dtype=torch.float64)
            value, slope = torch.linalg.pinv(torch.stack((torch.ones_like(times), times), dim=1))
            super().__init__(value + ahead * slope)
            return
        steps = {"last": 1, "two_step": 2, "mean": obs_len - 1}[form]
        velocity = torch.zeros(obs_len, dtype=torch.float64)
        velocity[-1], velocity[-1 - steps] = 1 / steps, -1 / steps
        super().__init__(ahead * velocity)


class Kalman(Extrapolation):
    """A Kalman filter of position and velocity, extrapolated from its last state.

    Its noise is a random acceleration that is constant within a step, of standard deviation `process_noise` in metres a
    step squared: Q = q^2 [[1/4, 1/2], [1/2, 1]] (Bar-Shalom, Estimation with Applications to Tracking and Navigation,
    2001, section 6.3.2). `measurement_noise` is in metres. It starts at the first point, at rest, with variances of 100,
    which leave that point little weight. Gains do not depend on what is observed, so that the filter is one matrix, made
    once. Process noise below 0, or measurement noise not above it, raises BenchmarkError.
    """

    def __init__(
        self,
        process_noise: float = 0.1,
        measurement_noise: float = 0.05,
        obs_len: int = 8,
        pred_len: int = 12,
    ) -> None:
        if process_noise < 0 or measurement_noise <= 0:
            raise BenchmarkError(
                f"A Kalman filter was given process_noise={process_noise} and measurement_noise={measurement_noise}. Give "
                "0 or more to the first and more than 0 to the second, such as 0.1 and 0.05."
            )
        F = torch.tensor([[1.0, 1.0], [0.0, 1.0]], dtype=torch.float64)
        Q = process_noise**2 * torch.tensor([[0.25, 0.5], [0.5, 1.0]], dtype=torch.float64)
        P = 100 * torch.eye(2, dtype=torch.float64)
        # Each point of the path is a unit vector, so that the state holds its weights.
        points = torch.eye(obs_len, dtype=torch.float64)
        state = torch.stack((points[0], torch.zeros_like(points[0])))
        for point in points[1:]:
            state, P = F @ state, F @ P @ F.T + Q
            gain = P[:, :1] / (P[0, 0] + measurement_noise**2)
            state, P = state + gain * (point - state[:1]), P - gain * P[:1]
        super().__init__(state[0] + _ahead(pred_len) * state[1])


class SampledVelocity(nn.Module):
    """Going on at the last velocity, turned by a random angle and at a random speed; the first sample without noise.

    Angles are normal about 0 (`angle_degrees`), factors of speed normal about 1 (`speed_deviation`), one of each for every
    sample; samples are equally probable. Noise is a hash of the pedestrian's own coordinates and the `seed`: nobody else
    in the batch, no order and no device changes it. A scene that is turned or moved has other noise of the same
    distribution. Fewer than one sample, or a negative deviation, raises BenchmarkError. Schoeller et al., RA-L 2020.
    """

    keys: Tensor
    ahead: Tensor

    def __init__(
        self,
        samples: int = 20,
        angle_degrees: float = 25.0,
        speed_deviation: float = 0.0,
        seed: int = 0,
        pred_len: int = 12,
    ) -> None:
        super().__init__()
        if samples < 1 or angle_degrees < 0 or speed_deviation < 0:
            raise BenchmarkError(
                f"Sampled velocities were given samples={samples}, angle_degrees={angle_degrees} and speed_deviation="
                f"{speed_deviation}. Give 1 sample or more and deviations of 0 or more, such as 20, 25.0 and 0.3."
            )
        self.angle = math.radians(angle_degrees)
        self.speed_deviation = speed_deviation
        self.register_buffer("ahead", _ahead(pred_len).to(torch.float32), persistent=False)
        # Keys are paired by sample, so that more samples begin with the same ones.
        counter = torch.arange(2 * (samples - 1)).view(-1, 2).T
        self.register_buffer("keys", murmur3(counter, torch.tensor(seed & MASK)))

    def forward(self, obs: Tensor, group: Tensor | None = None) -> tuple[Tensor, Tensor]:
        noise = nn.functional.pad(standard_normal(obs, self.keys), (1, 0))
        angle, speed = self.angle * noise[:, 0], 1 + self.speed_deviation * noise[:, 1]
        x, y = (obs[:, -1] - obs[:, -2])[:, None].unbind(-1)
        cos, sin = speed * angle.cos(), speed * angle.sin()
        velocity = torch.stack((cos * x - sin * y, sin * x + cos * y), dim=-1)
        forecast = obs[:, None, -1:] + self.ahead * velocity[:, :, None]
        return forecast, obs.new_full(forecast.shape[:2], 1 / forecast.shape[1])


def standard_normal(obs: Tensor, keys: Tensor) -> Tensor:
    """Normal numbers [B, *keys.shape] that depend on the float32 bits of each path [B, T, 2] and on the keys alone."""
    # Zero has two representations.
    bits = (
        torch.where(obs == 0, 0, obs).to(torch.float32).contiguous().view(torch.int32).flatten(1).to(torch.int64) & MASK
    )
    places = torch.arange(bits.shape[1], device=bits.device)
    path = murmur3(bits, places).sum(1) & MASK
    hashed = murmur3(path.view(-1, *(1,) * keys.ndim), keys)
    # 23 bits: with one more the largest would be rounded to 1.
    return torch.special.ndtri(((hashed >> 9).to(torch.float32) + 0.5) / 2**23)


def murmur3(word: Tensor, seed: Tensor) -> Tensor:
    """MurmurHash3 (x86, 32 bits) of one 32-bit word under a seed; all are int64 tensors of values below 2^32."""
    word = _rotate(_times(word, 0xCC9E2D51), 15)
    hashed = _rotate(seed ^ _times(word, 0x1B873593), 13) * 5 + 0xE6546B64 & MASK
    hashed = hashed ^ 4
    hashed = _times(hashed ^ hashed >> 16, 0x85EBCA6B)
    hashed = _times(hashed ^ hashed >> 13, 0xC2B2AE35)
    return hashed ^ hashed >> 16


def _times(word: Tensor, constant: int) -> Tensor:
    """The product modulo 2^32; a large constant counts as negative, so that nothing leaves 64 bits."""
    return word * (constant - (constant >> 31 << 32)) & MASK


def _rotate(word: Tensor, places: int) -> Tensor:
    return (word << places | word >> 32 - places) & MASK


def _ahead(pred_len: int) -> Tensor:
    """Steps after the last observed point, as a column."""
    return torch.arange(1, pred_len + 1, dtype=torch.float64)[:, None]
