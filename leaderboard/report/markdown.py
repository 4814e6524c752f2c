"""The leaderboard as Markdown, for a README between two markers or as a file of its own."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from benchmarks.errors import BenchmarkError
from benchmarks.leaderboard import numbers
from benchmarks.leaderboard.places import storing
from benchmarks.leaderboard.report.curves import Curve, CurvePoint, CurveSet
from benchmarks.leaderboard.report.sections import Section
from benchmarks.leaderboard.report.tables import Cell, decimals_of, table

BEGIN = "<!-- leaderboard:begin -->"
END = "<!-- leaderboard:end -->"
LEFT_OUT = frozenset({"tuned", "commit", "hardware", "flops", "peak_mem"})
MOST = 6
"""Columns of conditions and further metrics; the report's page shows all of them."""

BUDGETS = (1.0, 0.75, 0.5, 0.25, 0.1)
"""Columns of a table of curves, shares of the base's size; the first only where such a run is. All else is on the page."""


def markdown_table(section: Section) -> str:
    """The table of one section: the main figures, with their interval or spread in the same cell.

    Rows that stand in a table of curves are left out: ten methods at four budgets would bury the others.
    """
    elsewhere = {point.row for found in section.curves for _, points in _lines(found) for point in points.values()}
    shown = table(section)
    conditions = {f"condition_{name}" for name in section.plan.conditions}
    metrics = [quality.metric for quality in section.plan.metrics]
    left_out = LEFT_OUT | set(metrics[max(1, MOST - len(conditions)) :])
    kept = [index for index, column in enumerate(shown.columns) if column.key not in left_out and not column.machine]
    headings = ["method", *(shown.columns[index].heading for index in kept)]
    rules = ["---", *("---:" if shown.columns[index].numeric else "---" for index in kept)]
    lines = [_line(headings), _line(rules)]
    for row, cells in shown.rows:
        if row in elsewhere:
            continue
        gaps = f" ({'; '.join(row.gaps)})" if row.gaps else ""
        texts = [_text(cells[index], shown.columns[index].key not in conditions) for index in kept]
        lines.append(_line([escaped(row.label + gaps), *texts]))
    return "\n".join(lines)


def markdown_curves(section: Section, found: CurveSet) -> str:
    """The curves of one base: a row a method, a column a budget, the verdict against the control beside the quality."""
    lines = _lines(found)
    budgets = [b for b in BUDGETS if b < 1 or any(b in points for _, points in lines)]
    decimals = decimals_of([row.primary for row in section.rows])
    text = [_line(["method", *(f"{budget:g}" for budget in budgets)]), _line(["---", *("---:" for _ in budgets)])]
    for curve, points in lines:
        name = f"{curve.label} (control)" if curve.is_control else curve.label
        text.append(_line([escaped(name), *(_at_budget(points.get(budget), decimals) for budget in budgets)]))
    return "\n".join(text)


def _lines(found: CurveSet) -> list[tuple[Curve, dict[float, CurvePoint]]]:
    """The curves with a run at one of the budgets, each with its points by budget; of two at one the first."""
    lines = []
    for curve in found.curves:
        points: dict[float, CurvePoint] = {}
        for point in curve.points:
            points.setdefault(round(point.asked, 2), point)
        if own := {budget: point for budget, point in points.items() if budget in BUDGETS}:
            lines.append((curve, own))
    return lines


def _at_budget(point: CurvePoint | None, decimals: int) -> str:
    if point is None:
        return numbers.DASH
    parts = [numbers.fixed(point.row.primary.value, decimals), point.found.verdict or ""]
    parts += [f"({'; '.join(point.row.gaps)})"] if point.row.gaps else []
    return escaped(" ".join(part for part in parts if part))


def _caption(section: Section, found: CurveSet) -> str:
    """What a table of curves shows, and what its words mean."""
    base, metric = found.base, section.primary.metric if section.primary else ""
    size = numbers.short(base.cost["bytes_stored"].value, "B")
    quality = numbers.fixed(base.primary.value, decimals_of([row.primary for row in section.rows]))
    text = f"{metric} at a budget, as a share of the stored size of {found.title} ({base.method}: {quality}, {size})."
    if found.control is None:
        return f"{text} No control of equal size was trained from scratch, so there are no verdicts."
    return (
        f"{text} win, loss: more than two paired standard errors better, worse than {found.control.label}, a network of "
        "equal size trained from scratch; tie: within them; no word: not judged."
    )


def markdown_report(sections: Sequence[Section]) -> str:
    """All ranked sections, each under the name of its task and data set; a sentence where there is none."""
    ranked = [section for section in sections if section.unranked is None and section.rows]
    if not ranked:
        return "No ranked runs yet.\n"
    parts = []
    for section in ranked:
        machine = f" Latency on {escaped(section.plan.hardware[1])}." if section.plan.hardware else ""
        parts.append(f"**{escaped(section.task.name)}, {escaped(section.title)}**\n\n{markdown_table(section)}\n")
        parts.append(f"Mean over seeds, 95 % interval; p after Holm's correction.{machine}\n")
        for found in section.curves:
            if _lines(found):
                parts.append(f"{markdown_curves(section, found)}\n\n{escaped(_caption(section, found))}\n")
    return "\n".join(parts)


def write_between_markers(path: Path, text: str) -> None:
    """Replaces what stands between the two markers of a file; raises BenchmarkError where they are not there."""
    content = path.read_text(encoding="utf-8") if path.is_file() else ""
    if content.count(BEGIN) != 1 or content.count(END) != 1 or content.index(BEGIN) > content.index(END):
        raise BenchmarkError(
            f"{path} needs the lines {BEGIN} and {END}, once each and in this order; the table is written between them."
        )
    before, rest = content.split(BEGIN)
    after = rest.split(END)[1]
    with storing(path):
        temporary = path.with_name(f".{path.name}.new")
        temporary.write_text(f"{before}{BEGIN}\n{text.strip()}\n{END}{after}", encoding="utf-8")
        temporary.replace(path)


def _text(cell: Cell, with_note: bool) -> str:
    return escaped(f"{cell.text} ({cell.note})" if cell.note and with_note else cell.text)


def escaped(text: str) -> str:
    """Text that Markdown shows as it is, on one line: no table, link or element begins in it."""
    text = " ".join(text.split()).replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\|*_`\[\]])", r"\\\1", text)


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
