"""SVG drawn at build time: quality against cost with its Pareto front, learning curves, interval bars."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from benchmarks.leaderboard.numbers import log_ticks, ticks, usual_range
from benchmarks.leaderboard.record import Bounds
from benchmarks.leaderboard.report.legend import Key, legend
from benchmarks.leaderboard.report.svg import (
    BOTTOM,
    HEIGHT,
    LEFT,
    RIGHT,
    TOP,
    WIDTH,
    arrow,
    axis,
    drawing,
    frame,
    kept_inside,
    linked_mark,
    padded,
    placed_names,
    shape,
    short_label,
    style,
    tag,
    y_labels,
)
from benchmarks.leaderboard.statistics.pareto import pareto_front


@dataclass(frozen=True)
class Point:
    """A row in a plot: its name, cost, quality with an interval, what to show on it, and the page it leads to."""

    name: str
    series: str
    cost: float | None
    quality: float | None
    low: float | None
    high: float | None
    title: str
    href: str


def pareto_plot(
    points: Sequence[Point], *, x: str, y: str, maximize: bool = True, title: str, bounds: Bounds | None = None
) -> Markup | None:
    """Quality against cost on a logarithmic axis, the front as a step line; None with fewer than two points to show.

    Points far from the others stand on the edge with an arrow and their figure. The axis ends at the metric's `bounds`.
    """
    known = [p for p in points if p.cost is not None and p.cost > 0 and p.quality is not None]
    if len(known) < 2:
        return None
    known.sort(key=lambda point: (point.cost, point.quality))  # the order in which the keyboard walks over them
    costs, qualities = [p.cost or 0.0 for p in known], [p.quality or 0.0 for p in known]
    front = pareto_front(costs, qualities if maximize else [-quality for quality in qualities])
    usual = usual_range(qualities)
    inside = [p for p in known if p.quality is not None and usual[0] <= p.quality <= usual[1]]
    low, high = padded([v for p in inside for v in (p.quality, p.low, p.high) if v is not None], bounds)
    x_low, x_high = min(costs) / 1.3, max(costs) * 1.3
    at_x = axis(x_low, x_high, LEFT, WIDTH - RIGHT, logarithmic=True)
    at_y = kept_inside(axis(low, high, HEIGHT - BOTTOM, TOP), TOP, HEIGHT - BOTTOM)
    order = sorted({p.series for p in points})  # those without this cost too: the plots of a page share their colours
    parts = [frame([(at_x(v), short_label(v)) for v in log_ticks(x_low, x_high)], y_labels(low, high, at_y), x, y)]
    steps = sorted((at_x(costs[i]), at_y(qualities[i])) for i in range(len(known)) if front[i])
    parts.append(tag("path", d=_step_path(steps), class_="front"))
    marks = [(at_x(cost), at_y(quality)) for cost, quality in zip(costs, qualities, strict=True)]
    far = [not low <= quality <= high for quality in qualities]
    named = [i for i in range(len(known)) if front[i] or far[i]]
    texts = [known[i].name + (f" {arrow(qualities[i], low)} {qualities[i]:.4g}" if far[i] else "") for i in named]
    for index, point in enumerate(known):
        parts.append(_point(point, marks[index], at_y, style(order.index(point.series)), on_front=bool(front[index])))
    parts += placed_names([(*marks[i], text) for i, text in zip(named, texts, strict=True)], marks)
    height = HEIGHT
    if len(order) > 1:
        present = {point.series for point in known}
        drawn, height = legend([Key(name, *style(i)) for i, name in enumerate(order) if name in present])
        parts.append(drawn)
    summary = f"{title}: {len(known)} rows, {int(front.sum())} on the front. The table holds the same figures."
    return drawing(parts, summary, height=height)


def curve_plot(series: Sequence[tuple[str, Sequence[tuple[float, float]]]], *, x: str, title: str) -> Markup | None:
    """Lines over a common x axis, each on its own vertical scale; None where no line has two points."""
    drawn = [(name, points) for name, points in series if len(points) > 1]
    if not drawn:
        return None
    high_x = max(point[0] for _, points in drawn for point in points)
    low_x = min(point[0] for _, points in drawn for point in points)
    height = 150
    at_x = axis(low_x, high_x or 1, LEFT, WIDTH - RIGHT)
    parts = []
    for index, (name, points) in enumerate(drawn):
        values = [value for _, value in points]
        pad = (max(values) - min(values)) * 0.08 or abs(values[0]) * 0.01 or 1
        low, high = min(values) - pad, max(values) + pad
        at_y = axis(low, high, height - 26, 22)
        lines = [
            tag("text", name, x=LEFT, y=12, class_="axis-name"),
            frame([], y_labels(low, high, at_y, 3), "", "", height=height - 26, top=22),
            tag("path", d="M" + " L".join(f"{at_x(a):.1f},{at_y(b):.1f}" for a, b in points), class_="curve"),
        ]
        parts.append(tag("g", Markup("").join(lines), transform=f"translate(0,{index * height})"))
    bottom = len(drawn) * height
    for value in ticks(low_x, high_x, 8):
        parts.append(tag("text", f"{value:g}", x=f"{at_x(value):.1f}", y=bottom - 8, class_="tick middle"))
    parts.append(tag("text", x, x=WIDTH - RIGHT, y=bottom + 8, class_="axis-name end"))
    return drawing(parts, title, height=bottom + 14)


def interval_bar(value: float | None, low: float | None, high: float | None, scale: tuple[float, float]) -> Markup:
    """A dot and its interval on the scale of a column, 90 by 12 pixels; hollow and on the end where it is beyond."""
    at = kept_inside(axis(*scale, 4, 86), 4, 86) if scale[1] > scale[0] else (lambda _: 45.0)
    parts = [tag("line", x1=0, x2=90, y1=6, y2=6, class_="rail")]
    if low is not None and high is not None:
        parts.append(tag("line", x1=f"{at(low):.1f}", x2=f"{at(high):.1f}", y1=6, y2=6, class_="interval"))
    if value is not None:
        kind = "mean" if scale[0] <= value <= scale[1] else "mean beyond"
        parts.append(tag("circle", cx=f"{at(value):.1f}", cy=6, r=3, class_=kind))
    return tag(
        "svg", Markup("").join(parts), class_="bar", viewBox="0 0 90 12", width=90, height=12, aria_hidden="true"
    )


def _step_path(steps: Sequence[tuple[float, float]]) -> str:
    """From point to point to the right first: until the next cost is paid, the quality stays."""
    (x, y), *others = steps
    path = [f"M{x:.1f},{y:.1f}"] + [f"H{a:.1f} V{b:.1f}" for a, b in others]
    return " ".join([*path, f"H{WIDTH - RIGHT}"])


def _point(
    point: Point, at: tuple[float, float], at_y: Callable[[float], float], series: tuple[int, int], *, on_front: bool
) -> Markup:
    ends = None if point.low is None or point.high is None else (at_y(point.low), at_y(point.high))
    colour, form = series
    kind = f"front-point series-{colour}" if on_front else f"series-{colour}"
    return linked_mark(at, ends, shape(form, *at), title=point.title, href=point.href, kind=kind)
