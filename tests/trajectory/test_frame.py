from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmarks.models.trajectory.frame import Frame, speed


def walks(pedestrians: int = 40, steps: int = 20, seed: int = 0) -> torch.Tensor:
    """Random walks in float64; the first pedestrian stands, the second ends where it was two observed steps before."""
    generator = torch.Generator().manual_seed(seed)
    paths = torch.randn(pedestrians, steps, 2, generator=generator, dtype=torch.float64).mul(0.3).cumsum(1) + 10
    paths[0] = paths[0, :1]
    paths[1, 7] = paths[1, 5]
    return paths


def reference(obs: np.ndarray, path: np.ndarray, moving: bool) -> np.ndarray:
    """One pedestrian at a time, by angle and rotation matrix of row vectors."""
    dx, dy = obs[7] - obs[5]
    theta = np.arctan2(dy, dx)
    R = np.array([[np.cos(theta), -np.sin(theta)], [np.sin(theta), np.cos(theta)]])
    scale = 2 / np.hypot(dx, dy) if moving and np.hypot(dx, dy) > 0 else 1
    return scale * (path - obs[7]) @ R


@pytest.mark.parametrize("split", [False, True])
def test_local_paths_are_those_of_the_angle_and_rotation_matrix(split: bool) -> None:
    paths = walks()
    obs = paths[:, :8]
    moving = speed(obs) > 0.3 if split else None
    local = Frame.of(obs, moving).to_local(paths)
    for row, path in enumerate(paths.numpy()):
        expected = reference(path[:8], path, moving is not None and bool(moving[row]))
        np.testing.assert_allclose(local[row].numpy(), expected, atol=1e-9)


def test_speed_is_half_the_displacement_of_the_last_two_steps() -> None:
    obs = torch.zeros(2, 8, 2)
    obs[0, 5:] = torch.tensor([[1.0, 1.0], [9.0, 9.0], [4.0, 5.0]])
    assert speed(obs).tolist() == [2.5, 0.0]


def test_the_moving_step_one_on_average_along_the_first_axis_and_end_at_the_origin() -> None:
    obs = walks()[:, :8]
    local = Frame.of(obs, torch.ones(len(obs), dtype=torch.bool)).to_local(obs)
    torch.testing.assert_close(local[:, 7], torch.zeros_like(local[:, 7]))
    torch.testing.assert_close(local[2:, 5], torch.tensor([-2.0, 0.0], dtype=torch.float64).expand(len(obs) - 2, 2))


def test_who_has_not_been_displaced_keeps_the_axes_and_the_scale_of_the_world() -> None:
    obs = walks()[:2, :8]
    frame = Frame.of(obs, torch.ones(2, dtype=torch.bool))
    assert frame.heading.tolist() == [[1, 0], [1, 0]]
    assert frame.scale.tolist() == [1, 1]
    torch.testing.assert_close(frame.to_local(obs), obs - obs[:, -1:])


def test_world_and_local_paths_are_inverse_for_one_path_and_for_samples() -> None:
    paths = walks()
    frame = Frame.of(paths[:, :8], torch.arange(len(paths)) % 2 == 0)
    torch.testing.assert_close(frame.to_world(frame.to_local(paths)), paths)
    samples = torch.stack([paths, paths.flip(1), paths + 1], dim=1)
    torch.testing.assert_close(frame.to_world(frame.to_local(samples)), samples)
    torch.testing.assert_close(frame.to_local(samples)[:, 0], frame.to_local(paths))


def test_local_paths_do_not_change_when_the_scene_is_moved_and_turned() -> None:
    paths = walks()[2:]
    angle = torch.tensor(2.0, dtype=torch.float64)
    turn = torch.stack((angle.cos(), angle.sin(), -angle.sin(), angle.cos())).view(2, 2)
    turned = paths @ turn + torch.tensor([30.0, -7.0])
    local = [Frame.of(p[:, :8], speed(p[:, :8]) > 0.3).to_local(p) for p in (paths, turned)]
    torch.testing.assert_close(local[0], local[1])


def test_vectors_are_turned_but_neither_moved_nor_scaled() -> None:
    paths = walks()
    obs = paths[:, :8]
    frame = Frame.of(obs, torch.ones(len(obs), dtype=torch.bool))
    metres = Frame.of(obs)
    vectors = paths[:, 12] - paths[:, 7]
    torch.testing.assert_close(frame.rotate(vectors), metres.to_local(paths)[:, 12])
    rows = torch.tensor([5, 3, 3])
    torch.testing.assert_close(frame.rotate(vectors[rows], rows), frame.rotate(vectors)[rows])


def test_no_pedestrian_and_one_pedestrian_have_frames() -> None:
    paths = walks().float()
    frame = Frame.of(paths[:0, :8], torch.zeros(0, dtype=torch.bool))
    assert frame.to_world(frame.to_local(paths[:0])).shape == (0, 20, 2)
    assert frame.to_local(paths[:0, None]).shape == (0, 1, 20, 2)
    alone = Frame.of(paths[5:6, :8]).to_local(paths[5:6])
    assert torch.equal(alone, Frame.of(paths[:, :8]).to_local(paths)[5:6])
