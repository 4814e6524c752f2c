"""Operating curves of a run, drawn at build time: a line over thresholds with a mark at the one that is used."""

from __future__ import annotations

from markupsafe import Markup

from benchmarks.leaderboard.numbers import log_ticks, ticks
from benchmarks.leaderboard.operating import OperatingCurve
from benchmarks.leaderboard.report.svg import (
    BOTTOM,
    HEIGHT,
    LEFT,
    RIGHT,
    TOP,
    WIDTH,
    axis,
    drawing,
    frame,
    shape,
    short_label,
    tag,
    y_labels,
)


def operating_plot(curve: OperatingCurve) -> Markup | None:
    """y from zero to the most there can be against x; None with fewer than two points.

    On a logarithmic axis, points at zero stand on its left end, which is a fifth of the smallest other one.
    """
    xs, ys = [point[1] for point in curve.points], [point[2] for point in curve.points]
    positive = [x for x in xs if x > 0]
    if len(xs) < 2 or not positive:
        return None
    low, high = (min(positive) / 5, max(positive)) if curve.logarithmic else (0.0, max(xs))
    at_x = axis(low, high, LEFT, WIDTH - RIGHT, logarithmic=curve.logarithmic)
    at_y = axis(0, curve.most, HEIGHT - BOTTOM, TOP)
    marks = log_ticks(low, high) if curve.logarithmic else ticks(low, high, 6)
    places = [(at_x(max(x, low)), at_y(y)) for x, y in zip(xs, ys, strict=True)]
    used = min(range(len(xs)), key=lambda index: abs(curve.points[index][0] - curve.chosen))
    label = f"threshold {curve.points[used][0]:.3g}: {curve.x} {xs[used]:.4g}, {curve.y} {ys[used]:.4g}"
    parts = [
        frame([(at_x(v), _label(v)) for v in marks], y_labels(0, curve.most, at_y), curve.x, curve.y),
        tag("path", d="M" + " L".join(f"{x:.1f},{y:.1f}" for x, y in places), class_="curve"),
        tag("g", Markup("").join([tag("title", label), shape(0, *places[used])]), class_="front-point series-0"),
    ]
    return drawing(parts, f"{curve.name}: {len(xs)} thresholds; {label}")


def _label(value: float) -> str:
    """A tick's value; those far below one in powers of ten."""
    return f"{value:.0e}".replace("e-0", "e-") if 0 < value < 1e-3 else short_label(value)
