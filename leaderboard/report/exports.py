"""The report's figures for other programs: leaderboard.csv, one line a row, and records.json, the records."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

import msgspec

from benchmarks.leaderboard.report.rows import COSTS, Figure, Row, Run, memory_figure
from benchmarks.leaderboard.report.sections import Section

CELL = ("task", "task_version", "dataset", "data_fingerprint", "scale", "protocol")


def leaderboard_csv(sections: Iterable[Section]) -> str:
    """All rows of all sections as CSV; an empty field is a figure that is missing."""
    sections = list(sections)
    metrics = sorted({q.metric for section in sections for q in section.plan.metrics})
    batches = sorted({batch for section in sections for batch in section.plan.batches})
    fields = [
        *CELL, "ranked", "method", "model", "label", "tuned", "seeds", "complete", "primary", "value", "std", "ci_low",
        "ci_high", "difference", "p_holm", "verdict", *metrics, *COSTS, *(f"latency_ms_{b}" for b in batches),
        "hardware", "commit", "runs",
    ]  # fmt: skip
    text = io.StringIO()
    writer = csv.DictWriter(text, fields, restval="", lineterminator="\n")
    writer.writeheader()
    for section in sections:
        for row in section.rows:
            writer.writerow({name: _field(value) for name, value in _line(section, row).items() if value is not None})
    return text.getvalue()


def records_json(runs: Sequence[Run]) -> bytes:
    """All records as one JSON list, by run id."""
    records = sorted((run.record for run in runs), key=lambda record: record.run_id)
    return b"[\n" + b",\n".join(msgspec.json.encode(record) for record in records) + b"\n]\n"


def _line(section: Section, row: Row) -> dict[str, object]:
    record, difference = row.record, row.difference
    line: dict[str, object] = dict(zip(CELL, record.cell, strict=True))
    line |= {"ranked": section.unranked is None, "method": row.method, "model": row.model, "label": row.label}
    line |= {"tuned": record.tuned, "seeds": len(row.runs), "complete": not row.gaps}
    line |= {"primary": section.primary.metric if section.primary else None, **_interval(row.primary)}
    if difference is not None:
        line |= {"difference": difference.difference, "p_holm": difference.p_holm, "verdict": row.verdict}
    line |= {name: figure.value for name, figure in {**row.metrics, **row.cost}.items()}
    # Measured on one group of hardware, as latencies: a mean over machines was measured nowhere.
    line["peak_mem"] = memory_figure(row.runs, section.plan.hardware).value
    line |= {f"latency_ms_{batch}": figure.value for batch, figure in row.latency.items()}
    line["hardware"] = "; ".join(sorted({run.hardware[1] for run in row.runs}))
    line["commit"] = " ".join(sorted({run.record.provenance.git_sha or "" for run in row.runs}))
    line["runs"] = " ".join(run.record.run_id for run in row.runs)
    return line


def _interval(figure: Figure) -> dict[str, object]:
    return {"value": figure.value, "std": figure.std, "ci_low": figure.low, "ci_high": figure.high}


def _field(value: object) -> object:
    if isinstance(value, bool):
        return str(value).lower()
    # A spreadsheet would run a text that begins so as a formula.
    return f"'{value}" if isinstance(value, str) and value[:1] in "=+-@" and value[:1] else value
