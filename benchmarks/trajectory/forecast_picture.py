"""Forecasts to look at, in the windows of a scene that have most pedestrians, beside what happened."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from benchmarks.canvas import BLUE, INK, NAVY, PAPER, SOFT, TEXT, TITLE, VERMILLION, Canvas, Stroke, tint
from benchmarks.trajectory.plane import Plane

WINDOWS = 4
CROWD = 20
"""Pedestrians in a window from which on it is shown alone, so that it is as large as four others."""
EDGE, GAP, HEADER, LEGEND = 10, 12, 24, 58
PANEL = (528, 396)
OUTLIERS = 1
"""Per cent of all forecast points that may lie outside on either side, so that one wild forecast does not shrink the rest."""

Samples = Mapping[str, np.ndarray]


def draw_forecasts(path: Path, scene: str, obs: np.ndarray, samples: Samples, step_seconds: float) -> np.ndarray:
    """The forecasts in the windows with most pedestrians, no two of which show the same person; gives the rows drawn.

    `obs` [n, T, 2] in metres, and for each row of it in `samples` pred [n, P, 2], forecast [n, S, P, 2], probability
    [n, S], unit [n] and group [n]. The more probable a forecast, the darker it is drawn.
    """
    windows = busiest(samples["group"], samples["unit"], WINDOWS)
    width, height = PANEL
    if len(windows[0]) > CROWD:
        windows, width, height = windows[:1], 2 * width + GAP, 2 * height + HEADER + GAP
    columns = min(2, len(windows))
    rows = math.ceil(len(windows) / columns)
    picture = Canvas(2 * PANEL[0] + GAP + 2 * EDGE, LEGEND + rows * (height + HEADER) + (rows - 1) * GAP + 2 * EDGE)
    ranked = bool((np.ptp(samples["probability"], 1) > 0).any())
    several = samples["forecast"].shape[1] > 1
    which = "windows" if len(windows) > 1 else "window"
    picture.text((EDGE, EDGE + 18), f"{scene}: forecasts in the {which} with most pedestrians", TITLE)
    picture.text((picture.width - EDGE, EDGE + 18), f"a dot every {step_seconds:g} s", TEXT, SOFT, "rs")
    picture.legend((EDGE, EDGE + 42), _legend(ranked=ranked, several=several))
    for number, chosen in enumerate(windows):
        own = {name: samples[name][chosen] for name in ("pred", "forecast", "probability")}
        x = EDGE + number % columns * (width + GAP)
        y = EDGE + LEGEND + number // columns * (height + HEADER + GAP)
        picture.text((x, y + 16), _caption(own, ranked=ranked, several=several), TEXT, SOFT)
        picture.put(_window(obs[chosen], own, (width, height), marked=ranked or not several), (x, y + HEADER))
    picture.save(path)
    return np.concatenate(windows)


def busiest(group: np.ndarray, unit: np.ndarray, count: int) -> list[np.ndarray]:
    """Rows of up to `count` groups, largest first and of equal ones the first, none with a unit of one before it.

    Windows of a recording are one frame apart, so that the largest ones by size alone would all show the same moment.
    """
    starts = np.flatnonzero(np.r_[True, group[1:] != group[:-1]])
    sizes = np.diff(np.r_[starts, len(group)])
    chosen: list[np.ndarray] = []
    seen: set[int] = set()
    for index in np.argsort(-sizes, kind="stable"):
        rows = np.arange(starts[index], starts[index] + sizes[index])
        people = set(unit[rows].tolist())
        if seen.isdisjoint(people):
            seen |= people
            chosen.append(rows)
            if len(chosen) == count:
                break
    return chosen


def _window(obs: np.ndarray, own: Samples, size: tuple[int, int], *, marked: bool) -> Plane:
    pred, forecast, probability = own["pred"], own["forecast"], own["probability"]
    now = obs[:, -1]
    likely = np.take_along_axis(forecast, probability.argmax(1)[:, None, None, None], 1)[:, 0]
    edges = np.percentile(forecast.reshape(-1, 2), [OUTLIERS, 100 - OUTLIERS], axis=0)
    shown = [obs, pred, likely] if marked else [obs, pred]
    plane = Plane(*size, np.concatenate([edges, *(points.reshape(-1, 2) for points in shown)]))
    plane.grid()
    everything = np.concatenate([np.broadcast_to(now[:, None, None], (*forecast.shape[:2], 1, 2)), forecast], 2)
    everything, probability = everything.reshape(-1, *everything.shape[2:]), probability.ravel()
    for index in np.argsort(probability, kind="stable"):
        colour = tint(BLUE, opacity(probability[index]))
        plane.line(everything[index], colour, 1.2)
        plane.dots(everything[index, -1:], colour, 1.5)
    for person in obs:
        plane.line(person, INK, 1.8)
        plane.dots(person[:-1], INK, 1.7)
    if marked:
        for path in _onwards(now, likely):
            plane.line(path, PAPER, 4.5)
            plane.line(path, NAVY, 3)
        plane.dots(likely[:, -1], NAVY, 3.2)
    for path in _onwards(now, pred):
        plane.line(path, VERMILLION, 1.5)
        plane.dots(path[1:], VERMILLION, 1.7)
    plane.dots(now, PAPER, 4.6)
    plane.dots(now, INK, 3.6)
    plane.bar("m")
    plane.frame()
    return plane


def _onwards(now: np.ndarray, future: np.ndarray) -> np.ndarray:
    """Futures [n, P, 2] from where each begins: [n, P + 1, 2]."""
    return np.concatenate([now[:, None], future], 1)


def opacity(probability: float) -> float:
    """0.2 for what is impossible, 1 for what is certain; the root lets one in twenty be seen."""
    return 0.2 + 0.8 * math.sqrt(probability)


def _caption(own: Samples, *, ranked: bool, several: bool) -> str:
    error = np.linalg.norm(own["forecast"] - own["pred"][:, None], axis=3).mean(2)
    likely = np.take_along_axis(error, own["probability"].argmax(1)[:, None], 1).mean()
    people = f"{len(error)} pedestrian{'s' if len(error) > 1 else ''}, mean error"
    if not several:
        return f"{people} {error.mean():.2f} m"
    best = f"{people} {error.min(1).mean():.2f} m (best of {error.shape[1]})"
    return f"{best}, {likely:.2f} m (most probable)" if ranked else best


def _legend(*, ranked: bool, several: bool) -> list[Stroke]:
    """What is drawn, and no more."""
    strokes = [Stroke("observed", [INK], 1.8, 1.7), Stroke("what happened", [VERMILLION], 1.5, 1.7)]
    if ranked or not several:
        strokes.append(Stroke("most probable forecast" if several else "forecast", [NAVY], 3))
    if several:
        shares = (0.01, 0.05, 0.2, 0.5) if ranked else (1 / 20,)
        words = "all forecasts, probability 1, 5, 20, 50 %" if ranked else "all forecasts, equally probable"
        strokes.append(Stroke(words, [tint(BLUE, opacity(share)) for share in shares], 3 if ranked else 1.2))
    return strokes
