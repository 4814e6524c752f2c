"""What a run says at its end: the result table, and where the record and the page are."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console

from benchmarks.follower import leads
from benchmarks.leaderboard.console import result_table
from benchmarks.leaderboard.record import Record
from benchmarks.leaderboard.reported import reported_rows
from benchmarks.leaderboard.store import Store
from benchmarks.spec import RunSpec


def announce(text: str, *, error: bool = False) -> None:
    """A line about the run on standard error; of several processes that make one run, the first speaks."""
    if not leads():
        return
    Console(stderr=True, soft_wrap=True).print(text, style="red" if error else "dim", markup=False, highlight=False)


def show(spec: RunSpec, rows: Mapping[str, Record], store: Store) -> None:
    """Prints the table on standard output and brings the report up to date.

    What was judged on another data set, as a base that was pretrained there, is no row of this table.
    """
    console = Console(width=None if sys.stdout.isatty() else 200)
    reported = [
        row
        for row in reported_rows(spec.task)
        if spec.card.id in (row.dataset, *row.shown_with)
        and (row.model == spec.model if row.model is not None else row.method == spec.method)
    ]
    alike = {role: record for role, record in rows.items() if record.dataset == spec.card.id}
    roles = {("this run" if role == "result" else role): record for role, record in alike.items()}
    console.print(result_table(list(roles.items()), reported=reported))
    for note in dict.fromkeys(note for record in rows.values() for note in record.notes):
        announce(f"note: {note}")
    if "result" in rows:
        console.print(f"record  {store.folder(rows['result'].run_id)}/record.json", soft_wrap=True, highlight=False)
    if spec.config["report"] and rows:
        bring_report_up_to_date(store)


def bring_report_up_to_date(store: Store) -> None:
    """Builds the report of a store beside the published runs, in the working directory, and says where it is."""
    from benchmarks.commands.report import build_report, with_published

    page = build_report(with_published(store), Path("report"))
    Console(width=None if sys.stdout.isatty() else 200).print(
        f"report  {page.resolve()}", soft_wrap=True, highlight=False
    )
