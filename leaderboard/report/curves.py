"""Budget curves of a cell: rows that differ in `method.budget` alone, as quality against size, judged at equal size."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from benchmarks.later import LATER
from benchmarks.leaderboard.labels import BUDGET, flatten, labels, settings_read
from benchmarks.leaderboard.record import canonical_hash
from benchmarks.leaderboard.report.bases import Bases
from benchmarks.leaderboard.report.rows import Figure, Plan, Row
from benchmarks.leaderboard.statistics.equal_size import (
    Direction,
    EqualSize,
    against_control,
    area_against_control,
    why_no_area,
)
from benchmarks.leaderboard.statistics.hierarchical import hierarchical_interval
from benchmarks.leaderboard.statistics.size_curve import SizePoint, area

CONTROL = "small_dim"
"""The method whose curve the others are judged by: a narrower network of the same size, trained from scratch."""

RANGES = ((0.25, 0.75), (0.1, 0.25))
"""Shares of the base's size between which areas are taken. Fixed, so that no area changes with what else was run; two of
them, because many a method cannot make a network ten times smaller and should not lose the other figure for it."""


@dataclass(frozen=True, eq=False)
class CurvePoint:
    """A row of a curve: the budget as it was typed, as a share of the base (`asked`), the measured share, and what was
    found against the control at that size."""

    row: Row
    budget: float
    asked: float
    share: float | None
    found: EqualSize = field(default_factory=EqualSize)

    @property
    def measured(self) -> SizePoint | None:
        """The point of the statistics; None where size or quality is missing."""
        if not self.share or self.row.primary.value is None:
            return None
        return SizePoint(self.share, self.row.primary.value, self.row.scores)


@dataclass(frozen=True)
class Area:
    """The mean quality of a curve over a range of sizes with its interval, and what was found against the control's."""

    figure: Figure
    found: EqualSize


@dataclass(frozen=True, eq=False)
class Curve:
    """Rows of one method and one setting, largest budget first; `areas` by range of sizes."""

    method: str
    label: str
    points: tuple[CurvePoint, ...]
    is_control: bool = False
    areas: Mapping[tuple[float, float], Area] = field(default_factory=dict)

    @property
    def measured(self) -> list[SizePoint]:
        """The points that have a size and a quality."""
        return [point.measured for point in self.points if point.measured]


@dataclass(frozen=True, eq=False)
class CurveSet:
    """All curves of one base, the control first."""

    base: Row
    curves: tuple[Curve, ...]

    @property
    def title(self) -> str:
        """The base's model, with the settings that tell it from other bases of that name."""
        settings = self.base.label.removeprefix(self.base.method).replace(" model.", " ").strip()
        return f"{self.base.model or self.base.method} {settings}".strip()

    @property
    def control(self) -> Curve | None:
        """The control's curve, None where there is none."""
        return next((curve for curve in self.curves if curve.is_control), None)

    @property
    def verdicts(self) -> Counter[str | None]:
        """How often the compressed rows win, tie and lose against the control; None counts those that were not judged."""
        return Counter(point.found.verdict for curve in self.curves if not curve.is_control for point in curve.points)


def curve_sets(rows: Sequence[Row], plan: Plan, bases: Bases) -> list[CurveSet]:
    """The curves of every base that has one of two points or more, in the order of the bases' rows."""
    if plan.primary is None:
        return []
    of_base: dict[Row, list[Row]] = defaultdict(list)
    for row in rows:
        if budget_of(row) is not None and (base := bases.network_of(row)) is not None:
            of_base[base].append(row)
    sets = [_curve_set(base, of_base[base], plan.primary.direction) for base in rows if base in of_base]
    return [found for found in sets if found is not None and any(len(curve.measured) > 1 for curve in found.curves)]


def budget_of(row: Row) -> float | None:
    """The budget that a row was given: up to 1 a share of the base's stored size, above it bytes."""
    budget = flatten(row.record.config).get(BUDGET)
    return float(budget) if isinstance(budget, int | float) and not isinstance(budget, bool) and budget > 0 else None


def _curve_set(base: Row, rows: Sequence[Row], direction: Direction) -> CurveSet | None:
    size = base.cost["bytes_stored"].value
    if not size:
        return None
    grouped: dict[Any, list[Row]] = defaultdict(list)
    for row in rows:
        grouped[_all_but_the_budget(row)].append(row)
    names = labels([group[0].record for group in grouped.values()], hidden=frozenset({BUDGET}))
    curves = [
        Curve(group[0].method, name, tuple(sorted((_point(row, size) for row in group), key=lambda p: -p.asked)))
        for group, (name, _) in zip(grouped.values(), names, strict=True)
    ]
    curves.sort(key=lambda curve: curve.label)
    # Of several controls the one that tells most about other sizes.
    control = max((c for c in curves if c.method == CONTROL), key=lambda c: len(c.measured), default=None)
    judged = [_judged(curve, control, direction) for curve in curves]
    return CurveSet(base, tuple(sorted(judged, key=lambda curve: not curve.is_control)))


def _all_but_the_budget(row: Row) -> tuple[Any, ...]:
    absent = object()
    settings = {
        name: value
        for name, value in settings_read(row.record.config).items()
        if name != BUDGET and LATER.get(name, absent) != value
    }
    return (row.method, row.record.method_version, row.model, canonical_hash(settings))


def _point(row: Row, base_bytes: float) -> CurvePoint:
    budget = budget_of(row) or 0.0
    stored = row.cost["bytes_stored"].value
    return CurvePoint(
        row,
        budget,
        asked=budget if budget <= 1 else budget / base_bytes,
        share=None if stored is None else stored / base_bytes,
    )


def _judged(curve: Curve, control: Curve | None, direction: Direction) -> Curve:
    """The curve with what was found against the control, at the size of every point and over every range."""
    theirs = control.measured if control else []
    if curve is control:
        itself = EqualSize(reason="this is the control")
        areas = {limits: Area(_area(curve, *limits), itself) for limits in RANGES}
        points = [replace(point, found=itself) for point in curve.points]
        return replace(curve, points=tuple(points), areas=areas, is_control=True)
    points = []
    for point in curve.points:
        measured = point.measured
        lost = point.row.primary.reason or point.row.cost["bytes_stored"].reason or "not measured"
        found = against_control(measured, theirs, direction) if measured else EqualSize(reason=lost)
        points.append(replace(point, found=found))
    areas = {
        limits: Area(_area(curve, *limits), area_against_control(curve.measured, theirs, *limits, direction))
        for limits in RANGES
    }
    return replace(curve, points=tuple(points), areas=areas)


def _area(curve: Curve, low: float, high: float) -> Figure:
    found = area(curve.measured, low, high)
    if found is None:
        return Figure(None, reason=why_no_area(curve.measured, low, high))
    if not found.scores:
        return Figure(found.value, reason=found.reason)
    runs = list(found.scores.values())
    replicates, values = np.stack([run.replicates for run in runs]), np.array([run.value for run in runs])
    ends = hierarchical_interval(replicates, values, min(run.n_units for run in runs))
    return Figure(found.value, n=len(runs), low=ends.low, high=ends.high)
