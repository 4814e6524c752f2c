"""What the page of a task shows of each section: the table, plots, tests, curves and figures of others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from markupsafe import Markup

from benchmarks.leaderboard import numbers
from benchmarks.leaderboard.report.bases import BASE
from benchmarks.leaderboard.report.curve_plot import budget_plot
from benchmarks.leaderboard.report.curve_table import curve_table
from benchmarks.leaderboard.report.exports import leaderboard_csv
from benchmarks.leaderboard.report.plots import Point, pareto_plot
from benchmarks.leaderboard.report.rank_plot import rank_plot
from benchmarks.leaderboard.report.ranking import ranking
from benchmarks.leaderboard.report.rows import Figure, Row, latency_figure, memory_figure
from benchmarks.leaderboard.report.sections import Section
from benchmarks.leaderboard.report.tables import machines_shown, metric_name, table
from benchmarks.leaderboard.reported import Reported

LATENCY_BATCH = 256
"""The batch size of the plots against latency; where it was not measured, the largest."""

COST_AXES = {
    "bytes_stored": "stored size (bytes)",
    "flops": "FLOPs of one prediction",
}
"""Costs that quality is drawn against, besides those that depend on the hardware: peak memory and latency."""


def view(section: Section) -> dict[str, Any]:
    """What the task page shows of a section."""
    ranks = ranking(section.rows, section.primary.direction) if section.primary and not section.unranked else None
    return {
        "section": section,
        "table": table(section),
        "csv": leaderboard_csv([section]),
        "plots": _plots(section),
        "machines": _machines(section),
        "ranking": ranks,
        "rank_plot": rank_plot(ranks, _numbered(section.rows)) if ranks else None,
        "curves": _curves(section),
        "reported": _reported_groups(section.reported),
    }


def _plots(section: Section) -> list[tuple[int | None, Markup]]:
    """Quality against every cost that two rows or more have; of memory and latency one for each group of hardware, with the
    place of that group where there is a choice."""
    if section.primary is None or section.unranked:
        return []
    found: list[tuple[int | None, Markup | None]] = [
        (None, _plot(section, name, lambda row, key=key: row.cost[key])) for key, name in COST_AXES.items()
    ]
    machines = machines_shown(section)
    batches = section.plan.batches
    batch = LATENCY_BATCH if LATENCY_BATCH in batches else max(batches, default=None)
    for place, machine in enumerate(machines):
        chosen = place if len(machines) > 1 else None
        name = f"peak memory (bytes), {machine[1]}"
        found.append((chosen, _plot(section, name, lambda row, own=machine: memory_figure(row.runs, own))))
        if batch is not None:
            name = f"latency at batch {batch} (ms), {machine[1]}"
            found.append((chosen, _plot(section, name, lambda row, own=machine: latency_figure(row.runs, batch, own))))
    return [(place, plot) for place, plot in found if plot]


def _machines(section: Section) -> list[tuple[str, str]]:
    """What the choice of hardware offers: a name to remember it by, and one to read, numbered where two read alike."""
    shown = machines_shown(section)
    names = [description for _, description in shown]
    seen: Counter[str] = Counter()
    found = []
    for key, name in shown:
        seen[name] += 1
        found.append((key, f"{name} (machine {seen[name]})" if names.count(name) > 1 else name))
    return found


def _curves(section: Section) -> list[dict[str, Any]]:
    """The plot and the tables of every base with budget curves."""
    quality = section.primary
    if quality is None:
        return []
    return [
        {
            "found": found,
            "plot": budget_plot(found, y=metric_name(quality), metric=quality.metric, bounds=quality.bounds),
            "table": curve_table(section, quality, found),
        }
        for found in section.curves
    ]


def _plot(section: Section, cost_name: str, cost_of: Any) -> Markup | None:
    quality = section.primary
    assert quality is not None
    series = _series(section.rows)
    points = [_point(row, cost_of(row), cost_name, series[row]) for row in section.rows]
    maximize = quality.direction != "min"
    title = f"{quality.metric} against {cost_name}"
    return pareto_plot(
        points, x=cost_name, y=metric_name(quality), maximize=maximize, title=title, bounds=quality.bounds
    )


def _series(rows: Sequence[Row]) -> dict[Row, str]:
    """What tells the rows of a section apart in a plot: the model, or the method where all share one model."""
    models = {row: row.model or row.method for row in rows}
    return models if len(set(models.values())) > 1 else {row: row.method for row in rows}


def _numbered(rows: Sequence[Row]) -> dict[Row, int]:
    """The series of each row by the order in which a plot counts them."""
    series = _series(rows)
    order = sorted(set(series.values()))
    return {row: order.index(name) for row, name in series.items()}


def _point(row: Row, cost: Figure, cost_name: str, series: str) -> Point:
    quality = row.primary
    interval = (
        f" ({quality.low:.5g} to {quality.high:.5g})" if quality.low is not None and quality.high is not None else ""
    )
    value = "" if quality.value is None else f"{quality.value:.5g}"
    paid = "" if cost.value is None else numbers.short(cost.value)
    return Point(
        name=row.model if row.method == BASE and row.model else row.label,
        series=series,
        cost=cost.value,
        quality=quality.value,
        low=quality.low,
        high=quality.high,
        title=f"{row.name}: {value}{interval}, {cost_name} {paid}",
        href=f"runs/{row.record.run_id}.html",
    )


def _reported_groups(rows: Iterable[Reported]) -> list[dict[str, Any]]:
    """Figures of one standing on one data set together, each model on a line with its metrics side by side."""
    groups: dict[tuple[object, ...], dict[str, Any]] = {}
    for row in rows:
        key = (row.dataset, row.how, row.comparable, row.reason)
        group = groups.setdefault(key, {"first": row, "sources": {}, "columns": {}, "lines": {}})
        group["sources"][row.source] = None
        group["columns"][row.metric, row.condition] = None
        line = group["lines"].setdefault((row.source, row.method, row.model, row.params), {"row": row, "values": {}})
        line["values"][row.metric, row.condition] = row
    return list(groups.values())
