"""The leaderboard as Markdown, for a README between two markers or as a file of its own."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from benchmarks.errors import BenchmarkError
from benchmarks.leaderboard.places import storing
from benchmarks.leaderboard.report.sections import Section
from benchmarks.leaderboard.report.tables import Cell, table

BEGIN = "<!-- leaderboard:begin -->"
END = "<!-- leaderboard:end -->"
LEFT_OUT = frozenset({"tuned", "commit", "hardware", "flops", "peak_mem"})
MOST = 6
"""Columns of conditions and further metrics; the report's page shows all of them."""


def markdown_table(section: Section) -> str:
    """The table of one section: the main figures, with their interval or spread in the same cell."""
    shown = table(section)
    conditions = {f"condition_{name}" for name in section.plan.conditions}
    metrics = [quality.metric for quality in section.plan.metrics]
    left_out = LEFT_OUT | set(metrics[max(1, MOST - len(conditions)) :])
    kept = [index for index, column in enumerate(shown.columns) if column.key not in left_out]
    headings = ["method", *(shown.columns[index].heading for index in kept)]
    rules = ["---", *("---:" if shown.columns[index].numeric else "---" for index in kept)]
    lines = [_line(headings), _line(rules)]
    for row, cells in shown.rows:
        gaps = f" ({'; '.join(row.gaps)})" if row.gaps else ""
        texts = [_text(cells[index], shown.columns[index].key not in conditions) for index in kept]
        lines.append(_line([_escaped(row.label + gaps), *texts]))
    return "\n".join(lines)


def markdown_report(sections: Sequence[Section]) -> str:
    """All ranked sections, each under the name of its task and data set; a sentence where there is none."""
    ranked = [section for section in sections if section.unranked is None and section.rows]
    if not ranked:
        return "No ranked runs yet.\n"
    parts = []
    for section in ranked:
        machine = f" Latency on {_escaped(section.plan.hardware[1])}." if section.plan.hardware else ""
        parts.append(f"**{_escaped(section.task.name)}, {_escaped(section.title)}**\n\n{markdown_table(section)}\n")
        parts.append(f"Mean over seeds, 95 % interval; p after Holm's correction.{machine}\n")
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
    return _escaped(f"{cell.text} ({cell.note})" if cell.note and with_note else cell.text)


def _escaped(text: str) -> str:
    text = " ".join(text.split()).replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\|*_`\[\]])", r"\\\1", text)


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
