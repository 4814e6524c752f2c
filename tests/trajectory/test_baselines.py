from __future__ import annotations

import math
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import scipy.stats
import torch
from sklearn.utils import murmurhash3_32
from torch import nn

from benchmarks.datasets.open import open_bundle
from benchmarks.errors import BenchmarkError
from benchmarks.models.trajectory.baselines import (
    ConstantVelocity,
    Kalman,
    SampledVelocity,
    Stay,
    murmur3,
    standard_normal,
)

DETERMINISTIC: dict[str, Callable[[], nn.Module]] = {
    "stay": Stay,
    **{form: lambda form=form: ConstantVelocity(form) for form in ConstantVelocity.forms},
    "kalman": Kalman,
}
SAMPLED: dict[str, Callable[[], nn.Module]] = {
    "angle": SampledVelocity,
    "speed": lambda: SampledVelocity(speed_deviation=0.3),
}
EVERY = {**DETERMINISTIC, **SAMPLED}


def walks(pedestrians: int = 50, seed: int = 0) -> torch.Tensor:
    """Observed random walks; the first pedestrian stands."""
    generator = torch.Generator().manual_seed(seed)
    obs = torch.randn(pedestrians, 8, 2, generator=generator).mul(0.2).add(0.3).cumsum(1) + 5
    obs[:1] = obs[:1, :1]
    return obs


def kalman_reference(path: np.ndarray, q: float, r: float) -> np.ndarray:
    """A filter of both coordinates of one pedestrian, in the form of the textbook."""
    F = np.kron([[1, 1], [0, 1]], np.eye(2))
    H = np.kron([[1, 0]], np.eye(2))
    Q = np.kron(q**2 * np.array([[1 / 4, 1 / 2], [1 / 2, 1]]), np.eye(2))
    R = r**2 * np.eye(2)
    x, P = np.concatenate((path[0], [0, 0])), 100 * np.eye(4)
    for point in path[1:]:
        x, P = F @ x, F @ P @ F.T + Q
        K = P @ H.T @ np.linalg.inv(H @ P @ H.T + R)
        x, P = x + K @ (point - H @ x), (np.eye(4) - K @ H) @ P
    forecast = []
    for _ in range(12):
        x = F @ x
        forecast.append(H @ x)
    return np.array(forecast)


@pytest.mark.parametrize(("q", "r"), [(0.1, 0.05), (0.0, 0.2), (1.0, 0.01)])
def test_kalman_is_the_filter_of_the_textbook(q: float, r: float) -> None:
    obs = walks()
    forecast, _ = Kalman(q, r)(obs)
    for path, found in zip(obs.double().numpy(), forecast[:, 0].numpy(), strict=True):
        np.testing.assert_allclose(found, kalman_reference(path, q, r), atol=2e-4)


def test_kalman_without_process_noise_goes_on_along_the_line_through_all_points_but_the_first() -> None:
    obs = walks()
    line = ConstantVelocity("line", obs_len=7)(obs[:, 1:])[0]
    torch.testing.assert_close(Kalman(0.0, 1e-3)(obs)[0], line, atol=1e-4, rtol=0)


def test_forms_of_constant_velocity_are_what_they_are_called() -> None:
    obs = walks()
    steps = torch.arange(1, 13)[:, None]
    velocity = {"last": obs[:, 7] - obs[:, 6], "two_step": (obs[:, 7] - obs[:, 5]) / 2, "mean": obs.diff(dim=1).mean(1)}
    for form, v in velocity.items():
        torch.testing.assert_close(ConstantVelocity(form)(obs)[0][:, 0], obs[:, 7:] + steps * v[:, None])
    lines = ConstantVelocity("line")(obs)[0][:, 0].numpy()
    for path, line in zip(obs.numpy(), lines, strict=True):
        fit = np.polynomial.polynomial.polyfit(np.arange(8), path.astype(np.float64), 1)
        np.testing.assert_allclose(line, fit[0] + np.arange(8, 20)[:, None] * fit[1], atol=1e-4)


def test_to_stay_is_to_be_forecast_where_last_seen() -> None:
    obs = walks()
    assert torch.equal(Stay()(obs)[0], obs[:, None, -1:].expand(-1, 1, 12, 2))


@pytest.mark.parametrize("name", EVERY)
def test_forecasts_have_the_shapes_of_the_task_and_no_parameters(name: str) -> None:
    network = EVERY[name]()
    samples = 20 if name in SAMPLED else 1
    for pedestrians in (0, 1, 5):
        forecast, probability = network(walks(5)[:pedestrians], torch.zeros(pedestrians, dtype=torch.int64))
        assert forecast.shape == (pedestrians, samples, 12, 2)
        assert forecast.dtype == probability.dtype == torch.float32
        torch.testing.assert_close(probability.sum(1), torch.ones(pedestrians))
    assert not list(network.parameters())


@pytest.mark.parametrize("name", EVERY)
def test_who_stands_is_forecast_to_stand(name: str) -> None:
    obs = walks()[:1]
    forecast, _ = EVERY[name]()(obs)
    torch.testing.assert_close(forecast, obs[:, None, -1:].expand_as(forecast), atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", EVERY)
def test_a_pedestrian_alone_is_forecast_as_in_any_batch_and_order(name: str) -> None:
    network, obs = EVERY[name](), walks()
    forecast, _ = network(obs)
    for row in (1, 7, 49):
        torch.testing.assert_close(network(obs[row : row + 1])[0][0], forecast[row])
    torch.testing.assert_close(network(obs.flip(0))[0], forecast.flip(0))


@pytest.mark.parametrize("name", DETERMINISTIC)
def test_forecasts_turn_and_move_with_the_scene(name: str) -> None:
    network, obs = DETERMINISTIC[name](), walks()
    turn = torch.tensor([[math.cos(2), math.sin(2)], [-math.sin(2), math.cos(2)]])
    shift = torch.tensor([30.0, -7.0])
    torch.testing.assert_close(network(obs @ turn + shift)[0], network(obs)[0] @ turn + shift, atol=1e-4, rtol=1e-5)


@pytest.mark.parametrize("name", SAMPLED)
def test_samples_turn_and_move_with_the_scene_in_distribution(name: str) -> None:
    network, obs = SAMPLED[name](), walks(2000)[1:]
    ends = []
    for turns in (0, 1):
        scene = obs if not turns else torch.stack((-obs[..., 1], obs[..., 0]), dim=-1) + 3
        step = scene[:, -1] - scene[:, -2]
        way = (network(scene)[0][:, 1:, -1] - scene[:, None, -1]) / step.norm(dim=1)[:, None, None] / 12
        along, across = (step / step.norm(dim=1, keepdim=True)).unbind(-1)
        ends.append((way[..., 0] * along[:, None] + way[..., 1] * across[:, None]).flatten().numpy())
    assert not np.allclose(*ends)
    assert scipy.stats.ks_2samp(*ends).pvalue > 0.01


@pytest.mark.parametrize(("pred_len", "obs_len"), [(1, 8), (5, 4), (12, 3)])
def test_horizon_and_observed_length_are_free(pred_len: int, obs_len: int) -> None:
    obs = walks()[:, :obs_len]
    networks = [Stay(obs_len, pred_len), Kalman(obs_len=obs_len, pred_len=pred_len), SampledVelocity(pred_len=pred_len)]
    networks += [ConstantVelocity(form, obs_len, pred_len) for form in ConstantVelocity.forms]
    assert {tuple(network(obs)[0].shape[2:]) for network in networks} == {(pred_len, 2)}


def test_the_first_sample_is_without_noise_and_the_others_have_the_deviations_asked_for() -> None:
    obs = walks(3000)[1:]
    network = SampledVelocity(angle_degrees=25, speed_deviation=0.3)
    step = torch.view_as_complex((obs[:, -1] - obs[:, -2]).contiguous())
    way = torch.view_as_complex((network(obs)[0][:, :, 0] - obs[:, None, -1]).contiguous()) / step[:, None]
    torch.testing.assert_close(way[:, 0], torch.ones_like(way[:, 0]), atol=1e-4, rtol=0)
    factor, angle = way[:, 1:].abs(), way[:, 1:].angle().rad2deg()
    forward = angle.abs() < 90  # a negative factor of speed appears as half a turn
    assert scipy.stats.kstest(angle[forward].numpy(), "norm", (0, 25)).pvalue > 0.01
    assert scipy.stats.kstest(factor[forward].numpy(), "norm", (1, 0.3)).pvalue > 0.01
    assert abs(np.corrcoef(factor[forward], angle[forward])[0, 1]) < 0.02


def test_samples_go_on_in_straight_lines_at_constant_speed() -> None:
    obs = walks()
    steps = torch.cat((obs[:, None, -1:].expand(-1, 20, -1, -1), SampledVelocity(speed_deviation=0.3)(obs)[0]), 2).diff(
        dim=2
    )
    torch.testing.assert_close(steps, steps[:, :, :1].expand_as(steps), atol=1e-5, rtol=0)


def test_more_samples_begin_with_the_same_ones_and_another_seed_gives_others() -> None:
    obs = walks()
    few, many = (SampledVelocity(samples, speed_deviation=0.3)(obs)[0] for samples in (3, 20))
    torch.testing.assert_close(many[:, :3], few)
    assert torch.equal(SampledVelocity(1)(obs)[0], many[:, :1])
    other = SampledVelocity(speed_deviation=0.3, seed=1)(obs)[0]
    moving = slice(1, None)
    assert torch.equal(other[:, 0], many[:, 0])
    assert ((other - many)[moving, 1:].abs().amax((2, 3)) > 1e-6).float().mean() > 0.99


def test_noise_is_normal_and_unrelated_among_pedestrians_keys_and_seeds() -> None:
    obs = walks(1000)
    obs[500:] = obs[:500]
    obs[500:, 0, 0] += 1e-4  # the same path but for one digit of one coordinate
    keys = torch.arange(40)
    noise = standard_normal(obs, murmur3(keys, torch.tensor(0))).double().numpy()
    other = standard_normal(obs, murmur3(keys, torch.tensor(1))).double().numpy()
    assert scipy.stats.kstest(noise.ravel(), "norm").pvalue > 0.01
    for left, right in ((noise[:500], noise[500:]), (noise[:, 1:], noise[:, :-1]), (noise, other)):
        assert abs(np.corrcoef(left.ravel(), right.ravel())[0, 1]) < 4 / math.sqrt(left.size)


def test_both_zeros_have_the_same_noise_and_no_noise_is_infinite() -> None:
    obs = torch.zeros(1, 8, 2)
    keys = murmur3(torch.arange(4), torch.tensor(0))
    assert torch.equal(standard_normal(obs, keys), standard_normal(-obs, keys))
    assert torch.isfinite(torch.special.ndtri((torch.tensor([0.0, 2**23 - 1]) + 0.5) / 2**23)).all()


def test_the_hash_is_that_of_scikit_learn() -> None:
    words, seeds = np.random.default_rng(0).integers(2**32, size=(2, 300))
    words[:2], seeds[:2] = (0, 2**32 - 1), (2**32 - 1, 0)
    found = murmur3(torch.as_tensor(words), torch.as_tensor(seeds))
    pairs = zip(words.tolist(), seeds.tolist(), strict=True)
    assert found.tolist() == [murmurhash3_32(struct.pack("<I", word), seed=seed, positive=True) for word, seed in pairs]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ConstantVelocity("lats"), "Did you mean 'last'"),
        (lambda: Kalman(measurement_noise=0), "measurement_noise=0"),
        (lambda: Kalman(process_noise=-1), "process_noise=-1"),
        (lambda: SampledVelocity(samples=0), "samples=0"),
        (lambda: SampledVelocity(speed_deviation=-0.1), "speed_deviation=-0.1"),
    ],
)
def test_settings_that_make_no_sense_are_refused(make: Callable[[], nn.Module], message: str) -> None:
    with pytest.raises(BenchmarkError, match=message):
        make()


ROWS = {
    "stay": [2.843, 4.824, 1.150, 2.089, 1.359, 2.474, 2.506, 4.612, 1.377, 2.532],
    "last": [0.995, 2.234, 0.323, 0.617, 0.524, 1.165, 0.431, 0.960, 0.326, 0.728],
    "two_step": [0.960, 2.176, 0.271, 0.519, 0.557, 1.206, 0.457, 0.995, 0.346, 0.755],
    "mean": [0.959, 2.127, 0.239, 0.453, 0.676, 1.370, 0.557, 1.141, 0.422, 0.862],
    "line": [1.021, 2.184, 0.256, 0.468, 0.737, 1.429, 0.609, 1.192, 0.458, 0.896],
    "kalman": [0.969, 2.199, 0.288, 0.555, 0.540, 1.184, 0.445, 0.977, 0.335, 0.740],
    "angle": [0.852, 1.888, 0.243, 0.457, 0.386, 0.816, 0.300, 0.609, 0.226, 0.476],
    "speed": [0.557, 0.975, 0.182, 0.316, 0.286, 0.540, 0.279, 0.535, 0.198, 0.385],
}
"""Best-of-S mean and final displacement in metres: eth, hotel, univ, zara1, zara2."""


def test_rows_of_the_real_test_paths_are_reproduced(mirror: Path) -> None:
    folds = open_bundle("eth_ucy", progress=False).folds
    for name, expected in ROWS.items():
        network, found = EVERY[name](), []
        for fold in folds:
            obs, pred = (torch.as_tensor(np.asarray(fold.test.columns[column])) for column in ("obs", "pred"))
            distance = (network(obs)[0] - pred[:, None]).norm(dim=-1)
            found += [distance.mean(2).amin(1).mean().item(), distance[:, :, -1].amin(1).mean().item()]
        if name in DETERMINISTIC:
            np.testing.assert_allclose(found, expected, atol=6e-4, err_msg=name)
        else:
            # The reference drew other noise: 181 pedestrians in eth, 24,334 in univ.
            np.testing.assert_allclose(found, expected, rtol=0.05, atol=2e-3, err_msg=name)
            np.testing.assert_allclose(found[4:6], expected[4:6], rtol=0.006, err_msg=name)
