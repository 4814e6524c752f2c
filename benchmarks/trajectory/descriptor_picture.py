"""A descriptor to look at: the anchors, and what each direction of its space does to a path."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from benchmarks.canvas import BLUE, INK, NAVY, SOFT, TEXT, TITLE, VERMILLION, Canvas, Stroke, tint
from benchmarks.models.trajectory.forecaster import Forecaster
from benchmarks.models.trajectory.ridge import RidgePredictor
from benchmarks.trajectory.plane import Plane

WIDTH, EDGE, GAP, HEADER = 1088, 10, 12, 26
TOP = EDGE + 34
ANCHORS_HEIGHT, DIRECTION_HEIGHT = 320, 128
SHOWN, A_ROW = 12, 6
"""Directions at most, and in a row."""
CHANGES = (-1.0, -0.5, 0.0, 0.5, 1.0)
COLOURS = (BLUE, tint(BLUE, 0.55), INK, tint(VERMILLION, 0.6), VERMILLION)
LEGEND = (
    Stroke("a straight path", [INK], 1.2, 1.8),
    Stroke("less of one coefficient", [BLUE], 1.2, 1.8),
    Stroke("more of it", [VERMILLION], 1.2, 1.8),
)


def draw_descriptor(path: Path, scene: str, network: Forecaster) -> None:
    """The anchors of every class of pedestrians, and a straight path with more and less of each coefficient.

    Paths are in the pedestrian's own frame: it stands at the dot and has come from the left.
    """
    classes = [_Class(network, index) for index in range(len(network.basis))]
    rows = math.ceil(min(network.rank, SHOWN) / A_ROW)
    block = HEADER + rows * (DIRECTION_HEIGHT + GAP)
    picture = Canvas(WIDTH, TOP + HEADER + ANCHORS_HEIGHT + GAP + HEADER + len(classes) * block)
    words = (
        f"{scene}: {network.samples} anchors and {network.rank} directions of the future in a pedestrian's own frame"
    )
    picture.text((EDGE, EDGE + 18), words, TITLE)
    width = (WIDTH - 2 * EDGE - GAP * (len(classes) - 1)) // len(classes)
    what = "Residual anchors" if isinstance(network.predictor, RidgePredictor) else "Anchors"
    for number, one in enumerate(classes):
        x, y = EDGE + number * (width + GAP), TOP
        picture.text((x, y + 18), f"{what}, {one.name}; the darker, the more frequent", TEXT, SOFT)
        picture.put(_anchors(one, width), (x, y + HEADER))
    y = TOP + HEADER + ANCHORS_HEIGHT + GAP + HEADER
    picture.legend((EDGE, y - 6), LEGEND)
    picture.text((WIDTH - EDGE, y - 6), "± standard deviation of the coefficient over the anchors", TEXT, SOFT, "rs")
    for one in classes:
        _directions(picture, one, y)
        y += block
    picture.save(path)


class _Class:
    """The space of one class of pedestrians as arrays, with paths from the origin on."""

    def __init__(self, network: Forecaster, index: int) -> None:
        basis, anchors, popularity = (
            tensor[index].double().cpu().numpy() for tensor in (network.basis, network.anchors, network.popularity)
        )
        steps = network.pred_len
        self.shares = np.exp(popularity)
        mean = self.shares @ anchors / self.shares.sum()
        self.spread = np.sqrt(self.shares @ (anchors - mean) ** 2 / self.shares.sum())
        self.directions = _from_origin(basis.T.reshape(-1, steps, 2))
        self.anchors = _from_origin((anchors @ basis.T).reshape(-1, steps, 2))
        alone = len(network.basis) == 1
        threshold = f"{float(network.threshold):.2f} m a step"
        self.unit = "steps" if index else "m"
        self.name = (
            "all pedestrians" if alone else f"moving, over {threshold}" if index else f"standing, up to {threshold}"
        )


def _anchors(one: _Class, width: int) -> Plane:
    reach = float(np.abs(one.anchors).max())
    past = np.array([(-0.2 * reach, 0.0), (0.0, 0.0)])
    plane = Plane(width, ANCHORS_HEIGHT, np.concatenate([past, one.anchors.reshape(-1, 2)]))
    plane.grid()
    order = np.argsort(one.shares, kind="stable")
    for index in order:
        last = index == order[-1]
        colour = NAVY if last else tint(BLUE, 0.25 + 0.75 * math.sqrt(one.shares[index] / one.shares.max()))
        plane.line(one.anchors[index], colour, 2.4 if last else 1.4)
        plane.dots(one.anchors[index, 1:], colour, 2.2 if last else 1.7)
    plane.line(past, INK, 1.8)
    plane.dots(past[1:], INK, 3.6)
    plane.bar(one.unit)
    plane.frame()
    return plane


def _directions(picture: Canvas, one: _Class, y: int) -> None:
    """A panel for each direction, all of one scale."""
    count = len(one.directions)
    shown = f", the first {SHOWN} of {count}" if count > SHOWN else ""
    picture.text((EDGE, y + 17), f"Directions, {one.name}{shown}", TEXT, SOFT)
    panels = _variants(one)
    columns = min(A_ROW, len(panels))
    width = (WIDTH - 2 * EDGE - GAP * (A_ROW - 1)) // A_ROW
    everything = np.concatenate([paths.reshape(-1, 2) for paths, _ in panels])
    headroom = everything.max(0) + np.array([0, 0.2 * np.ptp(everything[:, 1])])
    everything = np.concatenate([everything, headroom[None]])
    for number, (paths, along) in enumerate(panels):
        plane = Plane(width, DIRECTION_HEIGHT, everything)
        for path, colour in zip(paths, COLOURS, strict=True):
            plane.line(path, colour, 1.2)
            plane.dots(path, colour, 1.8)
        plane.text((8, 17), f"{number + 1} {'along' if along else 'across'}", 12)
        plane.text((width - 8, 17), f"± {one.spread[number]:.2g}", 12, SOFT, "rs")
        plane.frame()
        place = EDGE + number % columns * (width + GAP), y + HEADER + number // columns * (DIRECTION_HEIGHT + GAP)
        picture.put(plane, place)


def _variants(one: _Class) -> list[tuple[np.ndarray, bool]]:
    """For each direction the changed straight paths [5, P + 1, 2], and whether it acts along the heading.

    Paths that are changed along the heading stay on one line, and so are drawn side by side.
    """
    ends = np.linalg.norm(one.anchors, axis=2).max(1)
    reach = math.sqrt(one.shares @ ends**2 / one.shares.sum())
    straight = np.stack([np.linspace(0, 0.7 * reach, one.anchors.shape[1]), np.zeros(one.anchors.shape[1])], 1)
    found = []
    for direction in one.directions[:SHOWN]:
        change = reach / 4 * math.sqrt(len(direction) - 1) * np.array(CHANGES)[:, None, None]
        paths = straight + change * direction
        energy = (direction**2).sum(0)
        along = bool(energy[0] > energy[1])
        if along:
            paths[..., 1] += 0.16 * reach * np.array(CHANGES)[:, None]
        found.append((paths, along))
    return found


def _from_origin(paths: np.ndarray) -> np.ndarray:
    return np.pad(paths, ((0, 0), (1, 0), (0, 0)))
