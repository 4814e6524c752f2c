"""The minimum detectable effect against a power simulation."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.leaderboard.statistics.effect import minimum_detectable_effect


def test_default_is_eighty_percent_power_at_five_percent():
    assert minimum_detectable_effect(0.001) == pytest.approx((1.95996 + 0.84162) * 0.001, rel=1e-5)


def test_seeds_average_out_training_noise_but_not_the_test_set():
    assert minimum_detectable_effect(0.0, 2.0, 4) == pytest.approx(minimum_detectable_effect(1.0))
    assert minimum_detectable_effect(1.0, 2.0, 10**9) == pytest.approx(minimum_detectable_effect(1.0))


def test_an_effect_of_that_size_is_found_as_often_as_promised():
    effect = minimum_detectable_effect(0.6, 1.6, 4)
    estimates = np.random.default_rng(0).normal(effect, 1.0, size=20_000)
    assert np.mean(np.abs(estimates) > 1.959964) == pytest.approx(0.8, abs=0.01)
