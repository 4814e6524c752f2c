"""`python -m benchmarks report`: the leaderboard as static HTML, CSV and JSON, and as Markdown for a README."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks import __version__, registry
from benchmarks.datasets.catalogue import cards, read_card
from benchmarks.errors import BenchmarkError
from benchmarks.leaderboard.publish import PUBLISHED
from benchmarks.leaderboard.record import UnreadableRecord
from benchmarks.leaderboard.report import build
from benchmarks.leaderboard.report.facts import Facts, TaskFacts
from benchmarks.leaderboard.report.gather import Gathered, gather
from benchmarks.leaderboard.report.markdown import markdown_report, write_between_markers
from benchmarks.leaderboard.report.sections import build_sections, collect
from benchmarks.leaderboard.reported import reported_rows
from benchmarks.leaderboard.store import Store


def main(argv: list[str]) -> int:
    """Builds the report and prints where it is; with --readme or --table only the Markdown is written."""
    arguments = _parser().parse_args(argv)
    stores = [Store(arguments.store)] if arguments.no_published else with_published(Store(arguments.store))
    try:
        if arguments.readme:
            # A README speaks of what everybody can check: the published runs.
            sections = build_sections(collect([Store(PUBLISHED)]), facts())
            write_between_markers(arguments.readme, markdown_report(sections))
            print(arguments.readme)
        if arguments.table:
            write_text(arguments.table, markdown_report(build_sections(collect(stores), facts())))
            print(arguments.table)
        if not arguments.readme and not arguments.table:
            gathered = gather(stores)
            print(build_report(stores, arguments.out, gathered))
            return 1 if gathered.refused else 0
    except UnreadableRecord as error:
        raise BenchmarkError(
            f"{error}. Nothing is left out silently, so nothing is written: `python -m benchmarks verify` lists all "
            "problems of a store."
        ) from error
    return 0


def write_text(path: Path, text: str) -> None:
    """Writes what a command was asked to write beside its answer; raises BenchmarkError where that is not possible."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise BenchmarkError(f"{path} cannot be written: {error.strerror or error}. Name another file.") from error


def build_report(stores: Sequence[Store], out: Path, gathered: Gathered | None = None) -> Path:
    """Builds the report with what the installed tasks and cards say, and returns its first page.

    Records that cannot be used are named on standard error, as they are on the page.
    """
    found = gathered or gather(stores)
    for refused in found.refused:
        print(f"Left out of the report: {refused.path}: {refused.reason}", file=sys.stderr)
    return build(stores, out, facts=facts(), reported=reported_rows(), gathered=found)


def with_published(store: Store) -> list[Store]:
    """The store and, where there are any, the published runs."""
    return [store, Store(PUBLISHED)] if PUBLISHED.is_dir() else [store]


def facts() -> Facts:
    """What the installed tasks and cards say of themselves, read from YAML without importing their code."""
    tasks = {
        name: TaskFacts(
            name=name,
            summary=entry.header("summary", ""),
            domain=entry.header("domain", ""),
            seeds=entry.header("seeds", 1),
            methods=tuple(registry.methods_for(name)),
            bases=_bases(entry),
        )
        for name, entry in registry.entries("task").items()
    }
    return Facts(
        tasks,
        cards={name: read_card(name) for name in cards()},
        methods={name: entry.settings for name, entry in registry.entries("method").items()},
        models={name: entry.settings for name, entry in registry.entries("model").items()},
        version=__version__,
    )


def _bases(task: registry.Entry) -> dict[str, str]:
    """By kind of method the method that the task's companion `base` names."""
    named = {kind: companions.get("base", []) for kind, companions in task.header("companions", {}).items()}
    found = {
        kind: [each.partition("=")[2] for each in base if each.startswith("method=")] for kind, base in named.items()
    }
    return {kind: methods[0] for kind, methods in found.items() if methods}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks report",
        description="Build the leaderboard: pages that open without a server, leaderboard.csv and records.json.",
    )
    parser.add_argument("--store", default="results", help="a folder or an fsspec URL (default: results)")
    parser.add_argument("--out", type=Path, default=Path("report"), help="the folder of the report (default: report)")
    parser.add_argument("--no-published", action="store_true", help="without the runs that the repository publishes")
    parser.add_argument("--readme", type=Path, help="write the published runs' tables between the markers of this file")
    parser.add_argument("--table", type=Path, help="write the tables as Markdown to this file")
    return parser
