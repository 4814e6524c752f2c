"""The plot of a base's budget curves: quality against stored size, the base as a level, the control dashed."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from markupsafe import Markup

from benchmarks.leaderboard import numbers
from benchmarks.leaderboard.record import Bounds
from benchmarks.leaderboard.report.curves import Curve, CurvePoint, CurveSet
from benchmarks.leaderboard.report.legend import Key, legend
from benchmarks.leaderboard.report.svg import (
    BOTTOM,
    HEIGHT,
    LEFT,
    RIGHT,
    SERIES,
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
    tag,
    y_labels,
)

SHARES = (0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 0.75, 1, 2)
"""Labels of the axis of sizes: the budgets that are usual, and steps below them."""

CONTROL_SERIES = SERIES - 1
"""Grey and a cross; the other series take turns at the rest."""

SAME_PLACE = 12
"""Units within which marks on the edge cover each other."""


def budget_plot(found: CurveSet, *, y: str, metric: str, bounds: Bounds | None = None) -> Markup | None:
    """Quality against the share of the base's size on a logarithmic axis; None with fewer than two points to show.

    Points far from the others stand on the edge with an arrow and their figure, and lines to them are cut there.
    """
    shown = [(curve, point) for curve in found.curves for point in curve.points if point.measured]
    if len(shown) < 2:
        return None
    sizes = [point.share or 1.0 for _, point in shown]
    at_x = axis(min(sizes) / 1.15, max(1.0, *sizes) * 1.15, LEFT, WIDTH - RIGHT, logarithmic=True)
    low, high = _bounds(found, [point for _, point in shown], bounds)
    straight = axis(low, high, HEIGHT - BOTTOM, TOP)
    at_y = kept_inside(straight, TOP, HEIGHT - BOTTOM)
    labels = [(at_x(v), f"{v:g}") for v in SHARES if LEFT <= at_x(v) <= WIDTH - RIGHT]
    base_size = numbers.short(found.base.cost["bytes_stored"].value, "B")
    series = _series(found.curves)
    parts = [
        frame(labels, y_labels(low, high, at_y), f"stored size, share of the base ({base_size})", y),
        _base_level(found, at_y),
        _clipped([_line(curve, series[curve][0], at_x, straight) for curve in found.curves if len(curve.measured) > 1]),
    ]
    # The control comes first and so lies under the others: it is what they are read against.
    parts += [_mark(curve, point, series[curve], at_x, at_y, metric) for curve, point in shown]
    parts += _names_of_far_points(shown, at_x, at_y, (low, high))
    # Below the axes: curves of good methods lie close together and leave no room beside them.
    drawn, height = legend([_key(curve, *series[curve]) for curve in found.curves])
    return drawing([*parts, drawn], _summary(found, metric, len(shown)), height=height, kind="plot has-lines")


def _bounds(found: CurveSet, points: Sequence[CurvePoint], allowed: Bounds | None) -> tuple[float, float]:
    qualities = [point.row.primary.value for point in points if point.row.primary.value is not None]
    base = found.base.primary
    usual = numbers.usual_range([*qualities, *([base.value] if base.value is not None else [])])
    figures = [f for f in (base, *(p.row.primary for p in points)) if f.value is not None]
    inside = [f for f in figures if f.value is not None and usual[0] <= f.value <= usual[1]]
    ends = [end for f in inside for end in (f.value, f.low, f.high) if end is not None]
    return padded(ends, allowed)


def _base_level(found: CurveSet, at_y: Callable[[float], float]) -> Markup:
    """The base as a horizontal line in the band of its interval; it leads to its run."""
    figure, row = found.base.primary, found.base
    if figure.value is None:
        return Markup("")
    title = f"{row.name} (base): {_with_interval(figure.value, figure.low, figure.high)}"
    parts = [tag("title", title)]
    if figure.low is not None and figure.high is not None:
        top, bottom = at_y(figure.high), at_y(figure.low)
        height = f"{bottom - top:.1f}"
        parts.append(tag("rect", x=LEFT, y=f"{top:.1f}", width=WIDTH - LEFT - RIGHT, height=height, class_="band"))
    level = f"{at_y(figure.value):.1f}"
    parts.append(tag("line", x1=LEFT, x2=WIDTH - RIGHT, y1=level, y2=level, class_="level"))
    href = f"runs/{row.record.run_id}.html"
    return tag("a", Markup("").join(parts), href=href, class_="base-level", aria_label=title)


def _series(curves: Sequence[Curve]) -> dict[Curve, tuple[int, int]]:
    """Colour and shape of each curve; they take turns at different paces, so that no pair comes back soon."""
    others = [curve for curve in curves if not curve.is_control]
    turns = {curve: (i % CONTROL_SERIES, (i + i // CONTROL_SERIES) % CONTROL_SERIES) for i, curve in enumerate(others)}
    return {curve: turns.get(curve, (CONTROL_SERIES, CONTROL_SERIES)) for curve in curves}


def _line(curve: Curve, colour: int, at_x: Callable[[float], float], at_y: Callable[[float], float]) -> Markup:
    ordered = sorted(curve.measured, key=lambda point: point.size)
    path = "M" + " L".join(f"{at_x(point.size):.1f},{at_y(point.value):.1f}" for point in ordered)
    return tag("path", d=path, class_=f"{_line_kind(curve)} series-{colour}")


def _key(curve: Curve, colour: int, form: int) -> Key:
    return Key(f"{curve.label} (control)" if curve.is_control else curve.label, colour, form, _line_kind(curve))


def _line_kind(curve: Curve) -> str:
    return "budget-line control" if curve.is_control else "budget-line"


def _clipped(lines: Sequence[Markup]) -> Markup:
    """Lines cut at the frame: an inner drawing clips by itself, without an id that a second plot would repeat."""
    width, height = WIDTH - LEFT - RIGHT, HEIGHT - BOTTOM - TOP
    box = {"x": LEFT, "y": TOP, "width": width, "height": height, "viewBox": f"{LEFT} {TOP} {width} {height}"}
    return tag("svg", Markup("").join(lines), **box)


def _mark(
    curve: Curve,
    point: CurvePoint,
    series: tuple[int, int],
    at_x: Callable[[float], float],
    at_y: Callable[[float], float],
    metric: str,
) -> Markup:
    figure, share = point.row.primary, point.share or 1.0
    place = (at_x(share), at_y(figure.value or 0.0))
    ends = None if figure.low is None or figure.high is None else (at_y(figure.low), at_y(figure.high))
    size = f"{share:.3g} of the base's size, {numbers.short(point.row.cost['bytes_stored'].value, 'B')}"
    judged = f", {point.found.verdict} against the control" if point.found.verdict else ""
    title = f"{curve.label}: {metric} {_with_interval(figure.value, figure.low, figure.high)} at {size}{judged}"
    href = f"runs/{point.row.record.run_id}.html"
    return linked_mark(place, ends, shape(series[1], *place), title=title, href=href, kind=f"series-{series[0]}")


def _with_interval(value: float | None, low: float | None, high: float | None) -> str:
    interval = f" ({low:.5g} to {high:.5g})" if low is not None and high is not None else ""
    return "" if value is None else f"{value:.5g}{interval}"


def _names_of_far_points(
    shown: Sequence[tuple[Curve, CurvePoint]],
    at_x: Callable[[float], float],
    at_y: Callable[[float], float],
    limits: tuple[float, float],
) -> list[Markup]:
    """Points on the edge with their curve and figure, where there is room; those in one place share a line."""
    places = [(at_x(p.share or 1.0), at_y(p.row.primary.value or 0.0)) for _, p in shown]
    texts: dict[tuple[int, float], list[str]] = {}
    for (curve, point), (x, y) in zip(shown, places, strict=True):
        value = point.row.primary.value or 0.0
        if not limits[0] <= value <= limits[1]:
            texts.setdefault((round(x / SAME_PLACE), y), []).append(
                f"{curve.label} {arrow(value, limits[0])} {value:.4g}"
            )
    named = [(place * SAME_PLACE, y, ", ".join(names)) for (place, y), names in texts.items()]
    return placed_names(named, places)


def _summary(found: CurveSet, metric: str, points: int) -> str:
    counts = found.verdicts
    judged = counts["win"] + counts["tie"] + counts["loss"]
    text = f"{metric} against stored size for {found.title}: {len(found.curves)} curves, {points} points."
    if judged:
        text += f" Against the control at equal size: {counts['win']} win, {counts['tie']} tie, {counts['loss']} loss."
    return f"{text} The table holds the same figures."
