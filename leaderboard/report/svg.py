"""What the report's drawings are made of: axes, frames, marks and names as SVG text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import log10

from markupsafe import Markup, escape

from benchmarks.leaderboard.numbers import ticks
from benchmarks.leaderboard.record import Bounds

WIDTH, HEIGHT = 640, 416
LEFT, RIGHT, TOP, BOTTOM = 70, 20, 32, 48
SERIES = 6
"""Pairs of colour and shape before they repeat."""


def drawing(parts: Sequence[Markup], summary: str, height: int = HEIGHT, kind: str = "plot") -> Markup:
    """A whole drawing, `WIDTH` by `height` units; the summary is its title and what is read in its place."""
    body = Markup("").join([tag("title", summary), *parts])
    # What is inside an image is hidden from a screen reader, so marks that can be reached make it a group.
    role = "group" if "<a " in body else "img"
    return tag("svg", body, class_=kind, viewBox=f"0 0 {WIDTH} {height}", role=role, aria_label=summary)


def axis(low: float, high: float, start: float, end: float, *, logarithmic: bool = False) -> Callable[[float], float]:
    """The way from values to places: `low` stands at `start`, `high` at `end`."""
    scale: Callable[[float], float] = log10 if logarithmic else float
    span = scale(high) - scale(low) or 1
    return lambda value: start + (scale(value) - scale(low)) / span * (end - start)


def padded(values: Sequence[float], bounds: Bounds | None = None) -> tuple[float, float]:
    """The ends of an axis that holds the values and some room beside them, but nothing beyond the metric's bounds."""
    pad = (max(values) - min(values)) * 0.06 or abs(max(values)) * 0.01 or 1
    low, high = bounds or (None, None)
    ends = min(values) - pad, max(values) + pad
    return (ends[0] if low is None else max(low, ends[0]), ends[1] if high is None else min(high, ends[1]))


def kept_inside(at: Callable[[float], float], start: float, end: float) -> Callable[[float], float]:
    """An axis on which values beyond its ends stand on them."""
    return lambda value: min(max(at(value), start), end)


def frame(
    x_labels: Sequence[tuple[float, str]],
    y_labels: Sequence[tuple[float, str]],
    x: str,
    y: str,
    height: int = HEIGHT - BOTTOM,
    top: int = TOP,
) -> Markup:
    """The lower axis, a grid line for every label (place, text) of the vertical one, and the names of both."""
    parts = [
        tag("line", x1=LEFT, x2=WIDTH - RIGHT, y1=f"{at:.1f}", y2=f"{at:.1f}", class_="grid") for at, _ in y_labels
    ]
    parts += [tag("text", text, x=LEFT - 8, y=f"{at + 4:.1f}", class_="tick end") for at, text in y_labels]
    parts += [
        tag("line", x1=f"{at:.1f}", x2=f"{at:.1f}", y1=height, y2=height + 5, class_="axis") for at, _ in x_labels
    ]
    parts += [tag("text", text, x=f"{at:.1f}", y=height + 19, class_="tick middle") for at, text in x_labels]
    parts.append(tag("line", x1=LEFT, x2=WIDTH - RIGHT, y1=height, y2=height, class_="axis"))
    if x:
        parts.append(tag("text", x, x=WIDTH - RIGHT, y=height + 38, class_="axis-name end"))
    if y:
        # Clear of marks that stand on the upper edge.
        parts.append(tag("text", y, x=LEFT, y=top - 20, class_="axis-name"))
    return Markup("").join(parts)


def y_labels(low: float, high: float, at: Callable[[float], float], wanted: int = 5) -> list[tuple[float, str]]:
    """Round values between `low` and `high`: their places on an axis and their texts, of equal decimals."""
    values = ticks(low, high, wanted)
    step = values[1] - values[0] if len(values) > 1 else 1
    decimals = next((digits for digits in range(8) if abs(round(step, digits) - step) < step * 1e-6), 8)
    return [(at(value), f"{value:.{decimals}f}".replace("-", "\N{MINUS SIGN}")) for value in values]


def short_label(value: float) -> str:
    """A tick's value with a decimal prefix, as short as it can be."""
    for size, prefix in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size * 0.999:
            return f"{value / size:g} {prefix}"
    return f"{value:g}"


def style(index: int) -> tuple[int, int]:
    """Colour and shape of the series with this index; they take turns at different paces, so that no pair comes back soon."""
    return index % SERIES, (index + index // SERIES) % SERIES


def shape(series: int, x: float, y: float, r: float = 5.5) -> Markup:
    """Circle, square, triangle, diamond, triangle down, cross: told apart without colour."""
    paths = [
        f"M{x - r:.1f},{y:.1f} a{r},{r} 0 1 0 {2 * r},0 a{r},{r} 0 1 0 {-2 * r},0 Z",
        f"M{x - r:.1f},{y - r:.1f} h{2 * r} v{2 * r} h{-2 * r} Z",
        f"M{x:.1f},{y - r - 1:.1f} l{r + 1},{2 * r} h{-2 * r - 2} Z",
        f"M{x:.1f},{y - r - 1.5:.1f} l{r + 1.5},{r + 1.5} l{-r - 1.5},{r + 1.5} l{-r - 1.5},{-r - 1.5} Z",
        f"M{x:.1f},{y + r + 1:.1f} l{r + 1},{-2 * r} h{-2 * r - 2} Z",
        f"M{x - 2:.1f},{y - r:.1f} h4 v{r - 2} h{r - 2} v4 h{2 - r} v{r - 2} h-4 v{2 - r} h{2 - r} v-4 h{r - 2} Z",
    ]
    return tag("path", d=paths[series], class_="shape")


def linked_mark(
    at: tuple[float, float], ends: tuple[float, float] | None, drawn: Markup, *, title: str, href: str, kind: str
) -> Markup:
    """A mark with its interval's `ends` (vertical places) that leads to a page, by the keyboard too."""
    parts = [tag("title", title)]
    if ends is not None:
        x, (low, high) = f"{at[0]:.1f}", ends
        parts.append(tag("line", x1=x, x2=x, class_="whisker", y1=f"{low:.1f}", y2=f"{high:.1f}"))
    return tag("a", Markup("").join([*parts, drawn]), href=href, class_=f"point {kind}", aria_label=title)


def arrow(quality: float, low: float) -> str:
    """Which way a value lies that is below `low`, or above the axis."""
    return "\N{DOWNWARDS ARROW}" if quality < low else "\N{UPWARDS ARROW}"


def placed_names(candidates: Sequence[tuple[float, float, str]], marks: Sequence[tuple[float, float]]) -> list[Markup]:
    """Names of points where they touch neither one another nor a mark; the others are read on the point itself."""
    taken = [(x - 7, y - 7, x + 7, y + 7) for x, y in marks]
    names = []
    for x, y, name in sorted(candidates):
        width = 6.9 * len(name)
        beside = [(x + 9, y + 4), (x - 9 - width, y + 4), (x - width / 2, y - 11), (x - width / 2, y + 20)]
        for left, base in [*beside, (x + 9, y - 9)]:
            box = (left, base - 10, left + width, base + 2)
            fits = left > LEFT and box[2] < WIDTH and box[1] > 0 and box[3] < HEIGHT - BOTTOM
            if fits and not any(_overlap(box, other) for other in taken):
                taken.append(box)
                names.append(tag("text", name, x=f"{left:.1f}", y=f"{base:.1f}", class_="name", aria_hidden="true"))
                break
    return names


def tag(name: str, content: str | Markup = "", **attributes: object) -> Markup:
    """An element; what is not Markup is escaped, `class_` is written `class` and `aria_label` `aria-label`."""
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{_attribute(value)}"' for key, value in attributes.items()
    )
    return Markup(f"<{name}{written}>{escape(content)}</{name}>")


def _overlap(a: tuple[float, float, float, float], b: tuple[float, float, float, float]) -> bool:
    """Of two boxes left, top, right, bottom."""
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _attribute(value: object) -> str:
    return str(value) if isinstance(value, (int, float)) else str(escape(value))
