"""SVG drawn at build time: quality against cost with its Pareto front, learning curves, interval bars."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from benchmarks.leaderboard.numbers import log_ticks, ticks, usual_range
from benchmarks.leaderboard.statistics.pareto import pareto_front

WIDTH, HEIGHT = 640, 400
LEFT, RIGHT, TOP, BOTTOM = 70, 20, 16, 48
SERIES = 6
"""Pairs of colour and shape before they repeat."""


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


def pareto_plot(points: Sequence[Point], *, x: str, y: str, maximize: bool = True, title: str) -> Markup | None:
    """Quality against cost on a logarithmic axis, the front as a step line; None with fewer than two points to show.

    Points far from the others stand on the edge with an arrow and their figure.
    """
    known = [p for p in points if p.cost is not None and p.cost > 0 and p.quality is not None]
    if len(known) < 2:
        return None
    costs, qualities = [p.cost or 0.0 for p in known], [p.quality or 0.0 for p in known]
    front = pareto_front(costs, qualities if maximize else [-quality for quality in qualities])
    usual = usual_range(qualities)
    inside = [p for p in known if p.quality is not None and usual[0] <= p.quality <= usual[1]]
    bounds = [v for p in inside for v in (p.quality, p.low, p.high) if v is not None]
    pad = (max(bounds) - min(bounds)) * 0.06 or abs(max(bounds)) * 0.01 or 1
    low, high = min(bounds) - pad, max(bounds) + pad
    x_low, x_high = min(costs) / 1.3, max(costs) * 1.3
    at_x = _axis(x_low, x_high, LEFT, WIDTH - RIGHT, logarithmic=True)
    at_y = _kept_inside(_axis(low, high, HEIGHT - BOTTOM, TOP), TOP, HEIGHT - BOTTOM)
    order = sorted({p.series for p in known})
    parts = [_frame([(at_x(v), _short(v)) for v in log_ticks(x_low, x_high)], _y_labels(low, high, at_y), x, y)]
    steps = sorted((at_x(costs[i]), at_y(qualities[i])) for i in range(len(known)) if front[i])
    parts.append(_tag("path", d=_step_path(steps), class_="front"))
    marks = [(at_x(cost), at_y(quality)) for cost, quality in zip(costs, qualities, strict=True)]
    far = [not low <= quality <= high for quality in qualities]
    named = [i for i in range(len(known)) if front[i] or far[i]]
    texts = [known[i].name + (f" {_arrow(qualities[i], low)} {qualities[i]:.4g}" if far[i] else "") for i in named]
    for index, point in enumerate(known):
        parts.append(_point(point, marks[index], at_y, order.index(point.series) % SERIES, on_front=bool(front[index])))
    parts += _placed_names([(*marks[i], text) for i, text in zip(named, texts, strict=True)], marks)
    if len(order) > 1:
        parts.append(_legend(order))
    summary = f"{title}: {len(known)} rows, {int(front.sum())} on the front. The table holds the same figures."
    return _svg(parts, summary)


def curve_plot(series: Sequence[tuple[str, Sequence[tuple[float, float]]]], *, x: str, title: str) -> Markup | None:
    """Lines over a common x axis, each on its own vertical scale; None where no line has two points."""
    drawn = [(name, points) for name, points in series if len(points) > 1]
    if not drawn:
        return None
    high_x = max(point[0] for _, points in drawn for point in points)
    low_x = min(point[0] for _, points in drawn for point in points)
    height = 150
    at_x = _axis(low_x, high_x or 1, LEFT, WIDTH - RIGHT)
    parts = []
    for index, (name, points) in enumerate(drawn):
        values = [value for _, value in points]
        pad = (max(values) - min(values)) * 0.08 or abs(values[0]) * 0.01 or 1
        low, high = min(values) - pad, max(values) + pad
        at_y = _axis(low, high, height - 26, 22)
        lines = [
            _tag("text", name, x=LEFT, y=12, class_="axis-name"),
            _frame([], _y_labels(low, high, at_y, 3), "", "", height=height - 26, top=22),
            _tag("path", d="M" + " L".join(f"{at_x(a):.1f},{at_y(b):.1f}" for a, b in points), class_="curve"),
        ]
        parts.append(_tag("g", Markup("").join(lines), transform=f"translate(0,{index * height})"))
    bottom = len(drawn) * height
    for value in ticks(low_x, high_x, 8):
        parts.append(_tag("text", f"{value:g}", x=f"{at_x(value):.1f}", y=bottom - 8, class_="tick middle"))
    parts.append(_tag("text", x, x=WIDTH - RIGHT, y=bottom + 8, class_="axis-name end"))
    return _svg(parts, title, height=bottom + 14)


def interval_bar(value: float | None, low: float | None, high: float | None, scale: tuple[float, float]) -> Markup:
    """A dot and its interval on the scale of a column, 90 by 12 pixels; hollow and on the end where it is beyond."""
    at = _kept_inside(_axis(*scale, 4, 86), 4, 86) if scale[1] > scale[0] else (lambda _: 45.0)
    parts = [_tag("line", x1=0, x2=90, y1=6, y2=6, class_="rail")]
    if low is not None and high is not None:
        parts.append(_tag("line", x1=f"{at(low):.1f}", x2=f"{at(high):.1f}", y1=6, y2=6, class_="interval"))
    if value is not None:
        kind = "mean" if scale[0] <= value <= scale[1] else "mean beyond"
        parts.append(_tag("circle", cx=f"{at(value):.1f}", cy=6, r=3, class_=kind))
    return _tag(
        "svg", Markup("").join(parts), class_="bar", viewBox="0 0 90 12", width=90, height=12, aria_hidden="true"
    )


def _svg(parts: Sequence[Markup], summary: str, height: int = HEIGHT) -> Markup:
    body = Markup("").join([_tag("title", summary), *parts])
    return _tag("svg", body, class_="plot", viewBox=f"0 0 {WIDTH} {height}", role="img", aria_label=summary)


def _axis(low: float, high: float, start: float, end: float, *, logarithmic: bool = False) -> Callable[[float], float]:
    from math import log10

    scale: Callable[[float], float] = log10 if logarithmic else float
    span = scale(high) - scale(low) or 1
    return lambda value: start + (scale(value) - scale(low)) / span * (end - start)


def _kept_inside(axis: Callable[[float], float], start: float, end: float) -> Callable[[float], float]:
    return lambda value: min(max(axis(value), start), end)


def _arrow(quality: float, low: float) -> str:
    return "\N{DOWNWARDS ARROW}" if quality < low else "\N{UPWARDS ARROW}"


def _frame(
    x_labels: Sequence[tuple[float, str]],
    y_labels: Sequence[tuple[float, str]],
    x: str,
    y: str,
    height: int = HEIGHT - BOTTOM,
    top: int = TOP,
) -> Markup:
    parts = [
        _tag("line", x1=LEFT, x2=WIDTH - RIGHT, y1=f"{at:.1f}", y2=f"{at:.1f}", class_="grid") for at, _ in y_labels
    ]
    parts += [_tag("text", text, x=LEFT - 8, y=f"{at + 4:.1f}", class_="tick end") for at, text in y_labels]
    parts += [
        _tag("line", x1=f"{at:.1f}", x2=f"{at:.1f}", y1=height, y2=height + 5, class_="axis") for at, _ in x_labels
    ]
    parts += [_tag("text", text, x=f"{at:.1f}", y=height + 19, class_="tick middle") for at, text in x_labels]
    parts.append(_tag("line", x1=LEFT, x2=WIDTH - RIGHT, y1=height, y2=height, class_="axis"))
    if x:
        parts.append(_tag("text", x, x=WIDTH - RIGHT, y=height + 38, class_="axis-name end"))
    if y:
        parts.append(_tag("text", y, x=LEFT, y=top - 4, class_="axis-name"))
    return Markup("").join(parts)


def _y_labels(low: float, high: float, at: Callable[[float], float], wanted: int = 5) -> list[tuple[float, str]]:
    values = ticks(low, high, wanted)
    step = values[1] - values[0] if len(values) > 1 else 1
    decimals = next((digits for digits in range(8) if abs(round(step, digits) - step) < step * 1e-6), 8)
    return [(at(value), f"{value:.{decimals}f}".replace("-", "\N{MINUS SIGN}")) for value in values]


def _short(value: float) -> str:
    for size, prefix in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size * 0.999:
            return f"{value / size:g} {prefix}"
    return f"{value:g}"


def _step_path(steps: Sequence[tuple[float, float]]) -> str:
    """From point to point to the right first: until the next cost is paid, the quality stays."""
    (x, y), *others = steps
    path = [f"M{x:.1f},{y:.1f}"] + [f"H{a:.1f} V{b:.1f}" for a, b in others]
    return " ".join([*path, f"H{WIDTH - RIGHT}"])


def _point(
    point: Point, at: tuple[float, float], at_y: Callable[[float], float], series: int, *, on_front: bool
) -> Markup:
    x, y = at
    parts = [_tag("title", point.title)]
    if point.low is not None and point.high is not None:
        ends = {"y1": f"{at_y(point.low):.1f}", "y2": f"{at_y(point.high):.1f}"}
        parts.append(_tag("line", x1=f"{x:.1f}", x2=f"{x:.1f}", class_="whisker", **ends))
    parts.append(_shape(series, x, y))
    kind = "point front-point" if on_front else "point"
    return _tag("a", Markup("").join(parts), href=point.href, class_=f"{kind} series-{series}", aria_label=point.title)


def _shape(series: int, x: float, y: float, r: float = 5.5) -> Markup:
    """Circle, square, triangle, diamond, triangle down, cross: told apart without colour."""
    paths = [
        f"M{x - r:.1f},{y:.1f} a{r},{r} 0 1 0 {2 * r},0 a{r},{r} 0 1 0 {-2 * r},0 Z",
        f"M{x - r:.1f},{y - r:.1f} h{2 * r} v{2 * r} h{-2 * r} Z",
        f"M{x:.1f},{y - r - 1:.1f} l{r + 1},{2 * r} h{-2 * r - 2} Z",
        f"M{x:.1f},{y - r - 1.5:.1f} l{r + 1.5},{r + 1.5} l{-r - 1.5},{r + 1.5} l{-r - 1.5},{-r - 1.5} Z",
        f"M{x:.1f},{y + r + 1:.1f} l{r + 1},{-2 * r} h{-2 * r - 2} Z",
        f"M{x - 2:.1f},{y - r:.1f} h4 v{r - 2} h{r - 2} v4 h{2 - r} v{r - 2} h-4 v{2 - r} h{2 - r} v-4 h{r - 2} Z",
    ]
    return _tag("path", d=paths[series], class_="shape")


def _placed_names(candidates: Sequence[tuple[float, float, str]], marks: Sequence[tuple[float, float]]) -> list[Markup]:
    """Names of points where they touch neither one another nor a mark; the others are read on the point itself."""
    taken = [(x - 7, y - 7, x + 7, y + 7) for x, y in marks]
    names = []
    for x, y, name in sorted(candidates):
        width = 6.4 * len(name)
        for left, base in ((x + 9, y + 4), (x - 9 - width, y + 4), (x - width / 2, y - 11), (x - width / 2, y + 20)):
            box = (left, base - 10, left + width, base + 2)
            fits = left > LEFT and box[2] < WIDTH and box[1] > 0 and box[3] < HEIGHT - BOTTOM
            if fits and not any(_overlap(box, other) for other in taken):
                taken.append(box)
                names.append(_tag("text", name, x=f"{left:.1f}", y=f"{base:.1f}", class_="name", aria_hidden="true"))
                break
    return names


def _overlap(a: tuple[float, float, float, float], b: tuple[float, float, float, float]) -> bool:
    """Of two boxes left, top, right, bottom."""
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _legend(series: Sequence[str]) -> Markup:
    """At the lower right, where quality is low and cost high: the corner that good rows leave empty."""
    parts = []
    for index, name in enumerate(series):
        y = HEIGHT - BOTTOM - 14 - 18 * (len(series) - 1 - index)
        mark = _tag("g", _shape(index % SERIES, WIDTH - RIGHT - 120, y), class_=f"series-{index % SERIES} legend")
        parts += [mark, _tag("text", name, x=WIDTH - RIGHT - 108, y=y + 4, class_="tick")]
    return Markup("").join(parts)


def _tag(name: str, content: str | Markup = "", **attributes: object) -> Markup:
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{_attribute(value)}"' for key, value in attributes.items()
    )
    return Markup(f"<{name}{written}>{escape(content)}</{name}>")


def _attribute(value: object) -> str:
    return str(value) if isinstance(value, (int, float)) else str(escape(value))
