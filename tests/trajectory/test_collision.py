"""Collision rates against the plain definition: densify every track, then look at every pair."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from benchmarks.trajectory import collision
from benchmarks.trajectory.collision import col, col_whole_horizon, collision_rate

STEPS = 12


def crowd(windows=(1, 2, 5, 9), samples: int = 3, side: float = 2.0, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    n = sum(windows)
    start = random.uniform(0, side, (n, 1, 1, 2))
    steps = random.normal(0, 0.2, (n, samples, STEPS, 2))
    return (start + steps.cumsum(axis=2)).astype(np.float32), np.repeat(np.arange(len(windows)), windows)


def walking(*positions: tuple[float, float], velocity=((0.0, 0.0),)) -> np.ndarray:
    """One sample each from the given starts, with the given velocities in metres a step: [N, 1, 12, 2]."""
    velocities = np.broadcast_to(np.array(velocity), (len(positions), 2))
    moved = np.arange(STEPS)[:, None] * velocities[:, None]
    return (np.array(positions)[:, None] + moved)[:, None].astype(np.float32)


def plain_rate(forecast: np.ndarray, group: np.ndarray, points: int) -> np.ndarray:
    collisions = np.zeros(len(forecast))
    for s in range(forecast.shape[1]):
        dense = []
        for track in forecast[:, s].astype(np.float64):
            between = [a + (b - a) * quarter / 4 for a, b in pairwise(track) for quarter in range(4)]
            dense.append(np.array([*between, track[-1]])[:points])
        for i in range(len(forecast)):
            others = [j for j in np.flatnonzero(group == group[i]) if j != i]
            collisions[i] += any(np.linalg.norm(dense[i] - dense[j], axis=1).min() < 0.2 for j in others)
    return 100 * collisions / forecast.shape[1]


@pytest.mark.parametrize(("points", "looked_at"), [(14, 14), (None, 45)])
@pytest.mark.parametrize("side", [0.5, 3.0, 12.0])
def test_rates_equal_the_plain_definition(points, looked_at, side):
    forecast, group = crowd(side=side)
    expected = plain_rate(forecast, group, looked_at)
    assert collision_rate(forecast, group, points) == pytest.approx(expected)
    assert side == 12.0 or 0 < expected.mean() < 100


def test_rates_do_not_depend_on_how_the_work_is_cut(monkeypatch):
    forecast, group = crowd(side=1.0)
    expected = collision_rate(forecast, group)
    monkeypatch.setattr(collision, "PAIRS_AT_ONCE", 3)
    monkeypatch.setattr(collision, "TRACKS_AT_ONCE", 2)
    assert np.array_equal(collision_rate(forecast, group), expected)


def test_a_pedestrian_alone_in_its_window_never_collides():
    forecast = np.zeros((3, 2, STEPS, 2), np.float32)
    assert collision_rate(forecast, np.array([4, 9, 2])).tolist() == [0, 0, 0]
    assert collision_rate(forecast, np.array([4, 9, 4])).tolist() == [100, 0, 100]


def test_pedestrians_meet_only_at_the_same_sample():
    near, far = walking((0, 0)), walking((5, 5))
    crossed = np.concatenate((np.concatenate((near, far), axis=1), np.concatenate((far, near), axis=1)))
    assert collision_rate(crossed, np.zeros(2)).tolist() == [0, 0]


def test_a_collision_between_two_steps_is_seen():
    # They pass each other half-way between two positions, where they are 1.5 m apart both times.
    passing = walking((0, 0), (1.5, 0), velocity=((1.5, 0), (-1.5, 0)))
    assert np.linalg.norm(passing[0] - passing[1], axis=-1).min() > 1
    assert collision_rate(passing, np.zeros(2)).tolist() == [100, 100]


@pytest.mark.parametrize(("start", "published"), [(6.5, 100.0), (7.0, 0.0)])
def test_the_published_rate_ends_three_and_a_quarter_steps_after_the_first_position(start, published):
    # Closing in by 2 m a step, they meet after 3.25 and 3.5 steps.
    meeting = walking((0, 0), (start, 0), velocity=((1, 0), (-1, 0)))
    samples = {"forecast": meeting, "group": np.zeros(2, np.int64)}
    assert col(samples).value(None) == published
    assert col_whole_horizon(samples).value(None) == 100


@pytest.mark.parametrize(("apart", "rate"), [(0.1999, 100.0), (0.2001, 0.0)])
def test_the_radius_is_two_tenths_of_a_metre_in_any_direction(apart, rate):
    x, y = apart * np.cos(1.0), apart * np.sin(1.0)
    assert collision_rate(walking((3, 3), (3 + x, 3 + y)), np.zeros(2)).tolist() == [rate, rate]


def test_permuted_pedestrians_have_permuted_rates():
    forecast, group = crowd(side=1.5)
    order = np.random.default_rng(1).permutation(len(group))
    assert np.array_equal(collision_rate(forecast[order], group[order], 14), collision_rate(forecast, group, 14)[order])


def test_a_forecast_that_is_not_finite_has_no_rate():
    forecast = walking((0, 0), (0, 0), (9, 9))
    forecast[2, 0, 1] = np.nan
    assert np.array_equal(collision_rate(forecast, np.zeros(3)), [100, 100, np.nan], equal_nan=True)


def test_no_pedestrians_give_a_reason_and_no_number():
    statistic = col({"forecast": np.zeros((0, 20, STEPS, 2), np.float32), "group": np.zeros(0, np.int64)})
    assert np.isnan(statistic.value(None))
    assert statistic.reason
