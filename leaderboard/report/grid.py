"""Methods by tasks: where each method stands, where it has not been run, and where it does not fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.leaderboard import numbers
from benchmarks.leaderboard.report.facts import Facts
from benchmarks.leaderboard.report.rows import Row
from benchmarks.leaderboard.report.sections import Section
from benchmarks.leaderboard.report.tables import decimals_of, metric_name


@dataclass(frozen=True)
class GridCell:
    """One method in one task: text, a second line, why the row is incomplete, and a page.

    `kind` is value, failed, unranked, missing or unfit.
    """

    kind: str
    text: str
    note: str = ""
    gaps: str = ""
    href: str = ""
    sort: float | None = None


@dataclass(frozen=True)
class GridColumn:
    """A task, and the section of it that the column shows: a table is never mixed of two."""

    task: str
    section: Section | None
    metric: str
    ran: int
    fit: int


@dataclass(frozen=True)
class GridLine:
    """A method with its cells, in the order of the columns; `ran` of the `fit` tasks that it fits have a value."""

    method: str
    summary: str
    cells: tuple[GridCell, ...]
    ran: int
    fit: int


@dataclass(frozen=True)
class Grid:
    """The whole table."""

    columns: tuple[GridColumn, ...]
    lines: tuple[GridLine, ...]


def grid(tasks: Mapping[str, Sequence[Section]], known: Sequence[str], facts: Facts) -> Grid:
    """Every method of the suite and of the runs against every task, from that section of a task which holds most methods.

    A cell shows the best row of its method, and the rank of the method among those that have a value there.
    """
    shown = {task: _main(tasks.get(task, ())) for task in known}
    best = {task: _best_rows(section) if section else {} for task, section in shown.items()}
    names = {row.method for sections in tasks.values() for section in sections for row in section.rows}
    names |= {run.record.method for sections in tasks.values() for section in sections for run in section.failures}
    names |= facts.methods.keys()
    lines = []
    for method in names:
        cells = tuple(_cell(method, shown[task], tasks.get(task, ()), best[task], task, facts) for task in known)
        ran = sum(cell.kind == "value" for cell in cells)
        fit = sum(cell.kind != "unfit" for cell in cells)
        summary = str(facts.methods.get(method, {}).get("summary", ""))
        lines.append(GridLine(method, summary, cells, ran, fit))
    lines.sort(key=lambda line: (-line.ran, line.method))
    columns = []
    for index, task in enumerate(known):
        section = shown[task]
        kinds = [line.cells[index].kind for line in lines]
        metric = metric_name(section.primary) if section and section.primary else ""
        columns.append(GridColumn(task, section, metric, kinds.count("value"), len(kinds) - kinds.count("unfit")))
    return Grid(tuple(columns), tuple(lines))


def _main(sections: Sequence[Section]) -> Section | None:
    """The ranked section with most methods, the first of equal ones."""
    ranked = [section for section in sections if section.unranked is None and section.best is not None]
    return max(ranked, key=lambda section: len({row.method for row in section.rows}), default=None)


def _best_rows(section: Section) -> dict[str, Row]:
    """The first row with a value of each method, in the order of rank."""
    found: dict[str, Row] = {}
    for row in section.rows:
        if row.primary.value is not None:
            found.setdefault(row.method, row)
    return found


def _cell(
    method: str, section: Section | None, sections: Sequence[Section], best: dict[str, Row], task: str, facts: Facts
) -> GridCell:
    if section is not None and method in best:
        row = best[method]
        value = row.primary.value
        # Equal values share the better rank.
        rank = 1 + sum(_better(other.primary.value, value, section) for other in best.values())
        text = numbers.fixed(value, decimals_of([each.primary for each in section.rows]))
        note = f"rank {rank} of {len(best)}"
        return GridCell("value", text, note, "; ".join(row.gaps), f"runs/{row.record.run_id}.html", value)
    failed = [run for each in sections for run in each.failures if run.record.method == method]
    if failed:
        return GridCell(
            "failed", failed[-1].record.status, "no run ended well", href=f"runs/{failed[-1].record.run_id}.html"
        )
    elsewhere = [each for each in sections if any(row.method == method for row in each.rows)]
    if elsewhere:
        note = "not ranked" if elsewhere[0].unranked else "another table"
        return GridCell("unranked", note, elsewhere[0].title, href=f"{task}.html#{elsewhere[0].anchor}")
    if task in facts.tasks and method in facts.methods and method not in facts.tasks[task].methods:
        return GridCell("unfit", "does not fit")
    return GridCell("missing", "not run")


def _better(a: float | None, b: float | None, section: Section) -> bool:
    if a is None or b is None or section.primary is None:
        return False
    return a < b if section.primary.direction == "min" else a > b
