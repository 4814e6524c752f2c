"""A crowd simulator for smoke runs: the social force model of Helbing and Molnar (Physical Review E 51, 1995).

Two scenes, a square that people cross in four directions and a corridor with two, are recorded twice each; the first recording
of each is a test set. Nothing of low rank is planted: paths bend where people make way for each other.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from benchmarks.datasets.bundle import Fold
from benchmarks.datasets.readers.recordings import Protocol, frame_at, leave_one_out
from benchmarks.datasets.readers.tracks import Tracks
from benchmarks.errors import BenchmarkError

VERSION = 1
SIZES = {"crossing": (15.0, 15.0), "corridor": (18.0, 6.0)}
"""Metres from side to side in x and y; the corridor has walls along x."""
RECORDINGS = 2
LEAST_PEDESTRIANS = 30

SPEED, SPEED_SPREAD, SPEEDS = 1.3, 0.3, (0.5, 2.1)
"""Desired speeds in m/s: mean, standard deviation, limits."""
STANDING = 0.1
"""Probability of a pedestrian who stands still, for as long as others take to cross."""
HEADWAY = 1.2
"""Seconds between two pedestrians who enter, on average."""
TIME_STEP, STEPS_A_FRAME, FRAME = 0.1, 4, 10

RELAXATION = 0.5
REPULSION, REACH, FORESIGHT = 2.1, 0.3, 2.0
"""V0 in m^2/s^2, sigma in m, and the time for which the step of the other is foreseen, in s."""
WALL, WALL_REACH = 10.0, 0.2
SIGHT, BEHIND = np.cos(np.radians(100)), 0.5
"""Cosine of half the angle of sight, and the weight of what is out of it."""
FASTEST = 1.3
"""Times the desired speed."""
FLUCTUATION = 0.15
"""Standard deviation of the random change of speed in one second, in m/s."""


def read(files: Mapping[str, Path], *, pedestrians: int = 60, seed: int = 2021) -> tuple[Fold, ...]:
    """Two folds, `crossing` and `corridor`, of four recordings with so many `pedestrians` each, 0.4 s a frame.

    Splits are those of `leave_one_out`, the first 80 % of frames being train. Equal seeds give equal data.
    """
    if pedestrians < LEAST_PEDESTRIANS:
        raise BenchmarkError(
            f"sim_crowd needs pedestrians of at least {LEAST_PEDESTRIANS}; given: {pedestrians}. Type data.pedestrians=60."
        )
    names = {f"{scene}_{number}": scene for scene in SIZES for number in range(1, RECORDINGS + 1)}
    generators = np.random.default_rng(seed).spawn(len(names))
    tracks = {
        name: simulate(scene, pedestrians, generator, name)
        for (name, scene), generator in zip(names.items(), generators, strict=True)
    }
    cuts = {name: frame_at(recording, 0.8) for name, recording in tracks.items()}
    return leave_one_out(tracks, {scene: [f"{scene}_1"] for scene in SIZES}, cuts, Protocol())


def simulate(scene: str, pedestrians: int, generator: np.random.Generator, source: str = "simulation") -> Tracks:
    """A recording of a scene into which people come at random times, and which they leave on the side where they wanted to."""
    size = np.array(SIZES[scene])
    walls = size[1] / 2 if scene == "corridor" else None
    start, goal, speed = _people(scene, pedestrians, generator)
    enter = np.sort(generator.uniform(0, HEADWAY * pedestrians, pedestrians))
    crossing = size.max() / SPEED
    leave = np.where(speed > 0, np.inf, enter + generator.uniform(1, 2, pedestrians) * crossing)
    towards = _unit(goal - start)
    length = np.linalg.norm(goal - start, axis=1)
    position, velocity = start.copy(), speed[:, None] * towards
    gone = np.zeros(pedestrians, bool)
    frames: list[np.ndarray] = []
    seen: list[np.ndarray] = []
    places: list[np.ndarray] = []
    for step in range(round((HEADWAY * pedestrians + crossing) / TIME_STEP)):
        time = step * TIME_STEP
        here = np.flatnonzero((enter <= time) & ~gone)
        if step % STEPS_A_FRAME == 0:
            frames.append(np.full(len(here), FRAME * (step // STEPS_A_FRAME)))
            seen.append(here)
            places.append(position[here])
        force = _force(position[here], velocity[here], _unit(goal[here] - position[here]), speed[here], walls)
        force += generator.normal(0, FLUCTUATION / np.sqrt(TIME_STEP), (len(here), 2))
        pushed = velocity[here] + TIME_STEP * force
        limit = FASTEST * speed[here, None] / np.maximum(np.linalg.norm(pushed, axis=1, keepdims=True), 1e-9)
        velocity[here] = pushed * np.minimum(1, limit)
        position[here] += TIME_STEP * velocity[here]
        arrived = ((position - start) * towards).sum(1) >= length
        gone |= (arrived & (speed > 0)) | (leave <= time)
    return Tracks(np.concatenate(frames), np.concatenate(seen), np.concatenate(places), source)


def _people(scene: str, pedestrians: int, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Start and goal [n, 2] on opposite sides, and the desired speed [n]; those who stand are anywhere between."""
    half = np.array(SIZES[scene]) / 2
    axis = generator.integers(2, size=pedestrians) if scene == "crossing" else np.zeros(pedestrians, np.int64)
    forward = generator.choice([-1, 1], pedestrians)
    rows = np.arange(pedestrians)
    start, goal = generator.uniform(-0.8, 0.8, (2, pedestrians, 2)) * half
    standing = generator.random(pedestrians) < STANDING
    start[rows, axis] = np.where(standing, start[rows, axis], -forward * half[axis])
    goal[rows, axis] = forward * half[axis]
    speed = np.clip(generator.normal(SPEED, SPEED_SPREAD, pedestrians), *SPEEDS)
    return start, goal, np.where(standing, 0.0, speed)


def _force(
    position: np.ndarray, velocity: np.ndarray, towards: np.ndarray, speed: np.ndarray, walls: float | None
) -> np.ndarray:
    """Accelerations [n, 2]: towards the desired velocity, away from others and from walls at y = +-`walls`."""
    force = (speed[:, None] * towards - velocity) / RELAXATION
    apart = position[:, None] - position[None]
    foreseen = apart - FORESIGHT * velocity[None]
    near, far = np.linalg.norm(apart, axis=2), np.linalg.norm(foreseen, axis=2)
    stride = FORESIGHT * np.linalg.norm(velocity, axis=1)
    # The potential of another person is constant on ellipses whose foci are where that person is and will be.
    minor = np.sqrt(np.maximum((near + far) ** 2 - stride**2, 1e-6)) / 2
    gradient = ((near + far) / (4 * minor))[..., None] * (_unit(apart) + _unit(foreseen))
    push = (REPULSION / REACH * np.exp(-minor / REACH))[..., None] * gradient
    in_sight = (-push * towards[:, None]).sum(2) >= SIGHT * np.linalg.norm(push, axis=2)
    weight = np.where(in_sight, 1.0, BEHIND)
    np.fill_diagonal(weight, 0)
    force += (weight[..., None] * push).sum(1)
    if walls is not None:
        for side in (-1, 1):
            distance = walls - side * position[:, 1]
            force[:, 1] -= side * WALL / WALL_REACH * np.exp(-distance / WALL_REACH)
    return force


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9)
