"""Changes of a row over seeds: p values of two noises against a simulation, and no false alarm more than is allowed."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from benchmarks.leaderboard.statistics.bootstrap import Resampler
from benchmarks.leaderboard.statistics.change import Change, change, corrected
from benchmarks.leaderboard.statistics.paired import RunScore, holm, paired_difference
from benchmarks.leaderboard.statistics.two_noises import two_noise_half_width, two_noise_p

USERS, RESAMPLES = 80, 200
UNITS = Resampler(np.arange(USERS), RESAMPLES)
WEIGHTS = np.stack(list(UNITS)) / USERS


def run(users: np.ndarray) -> RunScore:
    """The score of a run whose metric is the mean of these values of users."""
    return RunScore(float(users.mean()), WEIGHTS @ users, UNITS.digest, USERS)


def versions(
    rng, seeds: int, training: float, users: float, shared: float = 0.0
) -> tuple[list[RunScore], list[RunScore]]:
    """Runs of two versions that do not differ: noise of training, of each run and `shared` by equal seeds, and what
    training does to each user."""
    difficulty = 0.8 + rng.normal(0, 0.1, USERS)
    of_seed = rng.normal(0, shared, seeds)
    side = [
        [run(difficulty + level + rng.normal(0, training) + rng.normal(0, users, USERS)) for level in of_seed]
        for _ in "ab"
    ]
    return side[0], side[1]


def of(before: list[RunScore], after: list[RunScore]) -> Change:
    return change([r.value for r in before], [r.value for r in after], list(zip(before, after, strict=True)))


@pytest.mark.parametrize(("unit", "seed", "degrees"), [(1.0, 1.0, 2), (0.2, 1.0, 1), (1.0, 0.3, 4)])
def test_p_agrees_with_drawing_both_noises(unit, seed, degrees):
    rng = np.random.default_rng(0)
    drawn = unit * rng.standard_t(50, 10**6) + seed * rng.standard_t(degrees, 10**6)
    for size in (0.5, 1.5, 3.0):
        assert two_noise_p(size, unit, 50, seed, degrees) == pytest.approx(np.mean(np.abs(drawn) >= size), rel=0.04)


def test_p_with_one_noise_is_students():
    assert two_noise_p(2, 1, 30, 0, 2) == pytest.approx(2 * stats.t.sf(2, 30))
    assert two_noise_p(-2, 0, 30, 1, 2) == pytest.approx(2 * stats.t.sf(2, 2))
    assert two_noise_p(2, 1e-9, 30, 1, 2) == pytest.approx(2 * stats.t.sf(2, 2), rel=0.015)
    assert two_noise_p(300, 1e-9, 30, 1, 2) == pytest.approx(2 * stats.t.sf(300, 2), rel=0.015)


def test_p_without_noise_is_certain():
    assert (two_noise_p(0, 0, 1, 0, 1), two_noise_p(1e-9, 0, 1, 0, 1)) == (1, 0)


def test_the_interval_ends_where_p_is_a_twentieth():
    half = two_noise_half_width(0.3, 40, 0.5, 2)
    assert two_noise_p(half, 0.3, 40, 0.5, 2) == pytest.approx(0.05, rel=1e-2)
    assert two_noise_half_width(0, 1, 0, 1) == 0


def test_one_seed_is_judged_by_the_base_interval_and_not_corrected():
    before, after = run(np.full(USERS, 0.8)), run(np.full(USERS, 0.7))
    (found,) = corrected([change([before.value], [after.value], [(before, after)], reach=0.05)])
    assert (found.p_holm, found.significant) == (None, True)
    assert not change([0.8], [0.79], None, reach=0.05).significant
    assert not change([0.8], [0.1], None, reach=None).significant


def test_other_resamples_leave_the_noise_of_training_alone():
    before = [run(np.full(USERS, 0.8 + 0.01 * seed)) for seed in range(3)]
    after = [r._replace(digest="other", value=r.value + 0.1 + 0.001 * i) for i, r in enumerate(before)]
    assert of(before, after).noise == "training"


def test_last_digits_are_no_change():
    found = change([0.8, 0.81], [0.8 + 1e-9, 0.81 + 1e-9], None)
    assert (found.p, found.noise) == (1.0, "nothing changed")


@pytest.mark.parametrize(
    ("seeds", "training", "users", "shared"),
    [
        (2, 0.003, 0.005, 0.0), (3, 0.003, 0.005, 0.0), (3, 0.001, 0.005, 0.005), (3, 0.0, 0.02, 0.0),
        (5, 0.002, 0.02, 0.0), (3, 0.003, 0.0, 0.0),
    ],
)  # fmt: skip
def test_versions_that_do_not_differ_seldom_raise_an_alarm(seeds, training, users, shared):
    rng = np.random.default_rng(20261125)
    alarms = 0
    for _ in range(200):
        changes = corrected([of(*versions(rng, seeds, training, users, shared)) for _ in range(10)])
        alarms += any(each.significant and each.difference < 0 for each in changes)
    assert alarms <= 0.05 * 200


@pytest.mark.parametrize(("shared", "drop"), [(0.0, 0.02), (0.01, 0.02)], ids=["other training", "other use of it"])
def test_a_drop_is_found_among_ten_rows_whether_or_not_seeds_share_their_noise(shared, drop):
    rng = np.random.default_rng(1)
    found = 0
    for _ in range(40):
        family = [versions(rng, 3, 0.0015 if shared == 0 else 0.0003, 0.002, shared) for _ in range(10)]
        before, after = family[0]
        worse = [r._replace(value=r.value - drop, replicates=r.replicates - drop) for r in after]
        family[0] = before, worse
        first = corrected([of(*each) for each in family])[0]
        found += first.significant and first.difference < 0
    assert found >= 36


def test_satterthwaites_degrees_of_freedom_would_raise_too_many():
    # Why changes are not judged by `paired_difference`: its p is right alone, not in the tail that a family reaches into.
    rng = np.random.default_rng(20261125)
    families = [[versions(rng, 3, 0.003, 0.005) for _ in range(10)] for _ in range(100)]
    p = [[paired_difference(dict(enumerate(a)), dict(enumerate(b))).p for a, b in family] for family in families]
    ours = [[of(a, b).p for a, b in family] for family in families]
    assert sum(holm(each).min() <= 0.05 for each in p) > 10
    assert sum(holm(each).min() <= 0.05 for each in ours) <= 5
