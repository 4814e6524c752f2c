"""The crowd simulator: reproducible, with the forces of its source, and like people who walk."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.datasets.open import open_bundle
from benchmarks.datasets.readers import sim_crowd
from benchmarks.datasets.readers.tracks import remarks
from benchmarks.errors import BenchmarkError


def test_equal_seeds_agree_and_other_seeds_differ():
    one, same, other = (sim_crowd.read({}, pedestrians=30, seed=seed)[0].test for seed in (1, 1, 2))
    assert np.array_equal(one.columns["pred"], same.columns["pred"])
    assert not np.array_equal(one.columns["obs"][:50], other.columns["obs"][:50])


def test_two_scenes_are_left_out_in_turn(data_cache):
    bundle = open_bundle("sim_crowd")
    assert [fold.name for fold in bundle.folds] == ["crossing", "corridor"]
    for fold in bundle.folds:
        assert set(fold.test.conditions) == {fold.name}
        trained = {"crossing_1", "crossing_2", "corridor_1", "corridor_2"} - {f"{fold.name}_1"}
        assert set(fold.training.train.conditions) == set(fold.training.val.conditions) == trained
        assert not set(fold.test.units) & (set(fold.training.train.units) | set(fold.training.val.units))
        assert len(fold.training.train) > 1000
        assert len(fold.training.val) > 100
        assert len(fold.test) > 500
    assert any("never in a ranked table" in note for note in bundle.notes)
    assert not data_cache.exists()


@pytest.mark.parametrize("scene", sim_crowd.SIZES)
def test_people_walk_at_their_speeds_inside_the_scene_and_some_stand_still(scene):
    tracks = sim_crowd.simulate(scene, 60, np.random.default_rng(3))
    assert remarks(tracks) == []
    half = np.array(sim_crowd.SIZES[scene]) / 2
    assert (np.abs(tracks.xy) < half + 1.5).all()
    if scene == "corridor":
        assert (np.abs(tracks.xy[:, 1]) < half[1]).all()
    means = []
    for pedestrian in np.unique(tracks.pedestrian):
        path = tracks.xy[tracks.pedestrian == pedestrian]
        if len(path) > 10:
            steps = np.linalg.norm(np.diff(path, axis=0), axis=1)
            assert steps.max() < 0.4 * sim_crowd.FASTEST * sim_crowd.SPEEDS[1] + 1e-9
            means.append(steps.mean() / 0.4)
    standing = np.array(means) == 0
    assert 1 <= standing.sum() < 0.3 * len(means)
    assert 0.8 < np.median(np.array(means)[~standing]) < 1.6


def test_people_keep_apart():
    tracks = sim_crowd.simulate("corridor", 60, np.random.default_rng(3))
    nearest = []
    for frame in np.unique(tracks.frame):
        xy = tracks.xy[tracks.frame == frame]
        if len(xy) > 1:
            distance = np.linalg.norm(xy[:, None] - xy[None], axis=2) + np.diag(np.full(len(xy), np.inf))
            nearest.extend(distance.min(axis=1))
    assert np.mean(np.array(nearest) < 0.2) < 0.02


def test_repulsion_is_the_gradient_of_the_elliptic_potential():
    def potential(apart, velocity):
        stride = sim_crowd.FORESIGHT * velocity
        axis = np.linalg.norm(apart) + np.linalg.norm(apart - stride)
        return sim_crowd.REPULSION * np.exp(-np.sqrt(axis**2 - stride @ stride) / 2 / sim_crowd.REACH)

    position, velocity = np.array([[0.0, 0.0], [0.9, 0.4]]), np.array([[0.0, 0.0], [-0.5, 0.2]])
    towards = np.array([[1.0, 0.0], [-1.0, 0.0]])
    force = sim_crowd._force(position, velocity, towards, np.zeros(2), None)[0]
    apart = position[0] - position[1]
    width = 1e-6
    slope = [
        (potential(apart + e, velocity[1]) - potential(apart - e, velocity[1])) / (2 * width) for e in width * np.eye(2)
    ]
    np.testing.assert_allclose(force, -np.array(slope), rtol=1e-5)
    behind = sim_crowd._force(position, velocity, -towards, np.zeros(2), None)[0]
    np.testing.assert_allclose(behind, sim_crowd.BEHIND * force, rtol=1e-9)


def test_too_few_pedestrians_are_refused():
    with pytest.raises(BenchmarkError, match="at least 30; given: 5"):
        sim_crowd.read({}, pedestrians=5)
