"""A base's budget curves as tables: a row for every method and budget, and the areas under the curves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.leaderboard import numbers
from benchmarks.leaderboard.record import Quality
from benchmarks.leaderboard.report.curves import RANGES, Curve, CurvePoint, CurveSet
from benchmarks.leaderboard.report.sections import Section
from benchmarks.leaderboard.report.tables import (
    Cell,
    Column,
    decimals_of,
    difference_column,
    missing,
    primary_column,
)
from benchmarks.leaderboard.statistics.equal_size import EqualSize

COLOURED = {"win": "better", "loss": "worse", "tie": "tie"}
"""Verdicts against the control by the verdict against a base that has the same colour."""


@dataclass(frozen=True, eq=False)
class CurveTable:
    """Columns and rows of points, and columns and rows of areas (empty where no curve has one)."""

    columns: list[Column]
    rows: list[tuple[Curve, CurvePoint, list[Cell]]]
    area_columns: list[Column]
    areas: list[tuple[Curve, list[Cell]]]


def curve_table(section: Section, quality: Quality, found: CurveSet) -> CurveTable:
    """The tables of one base; `quality` is the primary metric of the section."""
    finer = decimals_of_differences([point.found for curve in found.curves for point in curve.points], section)
    (primary, show_primary), (to_base, show_to_base) = (
        primary_column(section, quality),
        difference_column(section, quality),
    )
    columns = [
        Column("budget", "budget", "largest stored size asked for: a share of the base's, or bytes"),
        Column("share", "size", "measured stored size as a share of the base's", direction="min"),
        primary,
        to_base,
        Column("control", "to control", "difference to the control at equal size, ± two paired standard errors"),
        Column("verdict", "verdict", "win or loss: beyond two paired standard errors", numeric=False),
        Column("seeds", "seeds", "runs in the row"),
    ]
    rows = [
        (
            curve,
            point,
            [
                _budget(point),
                _share(point),
                show_primary(point.row),
                show_to_base(point.row),
                _to_control(point.found, finer),
                _verdict(point.found),
                Cell(str(len(point.row.runs)), len(point.row.runs)),
            ],
        )
        for curve in found.curves
        for point in curve.points
    ]
    return CurveTable(columns, rows, *_areas(found, quality))


def decimals_of_differences(found: Sequence[EqualSize], section: Section) -> int:
    """Decimals of differences to the control: two digits of the middle margin, but at most one more than the quality's."""
    quality = decimals_of([row.primary for row in section.rows])
    margins = [each.margin for each in found if each.margin]
    return min(quality + 1, numbers.column_decimals([], margins)) if margins else quality


def _areas(found: CurveSet, quality: Quality) -> tuple[list[Column], list[tuple[Curve, list[Cell]]]]:
    ranges = [
        limits for limits in RANGES if any(curve.areas[limits].figure.value is not None for curve in found.curves)
    ]
    columns: list[Column] = []
    builders: list[Callable[[Curve], Cell]] = []
    for low, high in ranges:
        span = f"{low:g} to {high:g}"
        explanation = f"mean {quality.metric} between {span} of the base's size, every doubling counting alike"
        columns += [
            Column(f"area_{low}", span, explanation, direction=quality.direction),
            Column(f"area_control_{low}", "to control", "less the control's area, ± two paired standard errors"),
        ]
        builders += [_area(found, (low, high)), _area_to_control(found, (low, high))]
    return columns, [(curve, [build(curve) for build in builders]) for curve in found.curves] if ranges else []


def _area(found: CurveSet, limits: tuple[float, float]) -> Callable[[Curve], Cell]:
    decimals = decimals_of([curve.areas[limits].figure for curve in found.curves])

    def build(curve: Curve) -> Cell:
        figure = curve.areas[limits].figure
        if figure.value is None:
            return missing(figure)
        text = numbers.fixed(figure.value, decimals)
        if figure.low is None:
            return Cell(text, figure.value, f"no interval: {figure.reason}" if figure.reason else "")
        interval = f"{numbers.fixed(figure.low, decimals)} to {numbers.fixed(figure.high, decimals)}"
        seeds = f"{figure.n} seed{'s' * (figure.n != 1)}"
        return Cell(text, figure.value, f"95 % interval, bootstrap over the test set's units, {seeds}", interval)

    return build


def _area_to_control(found: CurveSet, limits: tuple[float, float]) -> Callable[[Curve], Cell]:
    decimals = decimals_of([curve.areas[limits].figure for curve in found.curves])

    def build(curve: Curve) -> Cell:
        judged = curve.areas[limits].found
        if judged.margin is None or judged.verdict is None:
            return _to_control(judged, decimals)
        note = f"± {numbers.fixed(judged.margin, decimals)}, {judged.verdict}"
        title = f"{judged.seeds} paired seeds"
        text = numbers.signed(judged.difference, decimals)
        return Cell(text, judged.difference, title, note, COLOURED[judged.verdict])

    return build


def _budget(point: CurvePoint) -> Cell:
    if point.budget <= 1:
        return Cell(f"{point.budget:g}", point.asked)
    return Cell(
        numbers.short(point.budget, "B"), point.asked, f"{point.budget:,.0f} bytes", f"{point.asked:.3g} of base"
    )


def _share(point: CurvePoint) -> Cell:
    stored = point.row.cost["bytes_stored"]
    if point.share is None:
        return missing(stored)
    return Cell(f"{point.share:.3f}", point.share, f"{stored.value:,.0f} bytes", numbers.short(stored.value, "B"))


def _to_control(found: EqualSize, decimals: int) -> Cell:
    if found.difference is None:
        return Cell(numbers.DASH, None, found.reason or "not judged")
    text = numbers.signed(found.difference, decimals)
    if found.margin is None:
        return Cell(text, found.difference, found.reason or "", "not tested")
    at_size = f"the control has {numbers.fixed(found.control, decimals)} at this size; {found.seeds} paired seeds"
    return Cell(f"{text} ± {numbers.fixed(found.margin, decimals)}", found.difference, at_size)


def _verdict(found: EqualSize) -> Cell:
    if found.verdict is None:
        return Cell(numbers.DASH, None, found.reason or "not judged")
    return Cell(found.verdict, found.verdict, verdict=COLOURED[found.verdict])
